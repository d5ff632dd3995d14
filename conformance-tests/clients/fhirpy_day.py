"""A day's work with fhirpy."""

import os
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

client = SyncFHIRClient(sys.argv[1])
identifier = {"system": "urn:kiln:clients", "value": f"py-{os.getpid()}"}


def patient(**extra):
    name = [{"family": f"Clay{os.getpid()}", "given": ["Kim"]}]
    return client.resource("Patient", name=name, birthDate="1980-05-01", **extra)


def refused(error, asked):
    try:
        asked()
    except error as expected:
        return expected
    raise AssertionError(f"it was not refused with {error.__name__}")


def create():
    made = patient()
    made.save()
    assert made.id and made["meta"]["versionId"] == "1"
    refused(OperationOutcome, lambda: client.resource("Patient", birthDate="yesterday").save())
    return made


def read(made):
    again = client.reference("Patient", made.id).to_resource()
    assert again.serialize() == made.serialize()
    refused(ResourceNotFound, lambda: client.get("Patient", "nobody"))


def update(made):
    made["gender"] = "female"
    made.save()
    assert made["meta"]["versionId"] == "2"
    stale = SyncFHIRClient(sys.argv[1], extra_headers={"If-Match": 'W/"1"'})
    # fhirpy has one name for everything that is answered with 412.
    refused(MultipleResourcesFound, lambda: stale.resource("Patient", **{**made.serialize(), "gender": "male"}).save())
    made.refresh()
    assert made["gender"] == "female" and made["meta"]["versionId"] == "2"


def patch(made):
    # What fhirpy sends is a merge patch; it does not say so by itself.
    merging = SyncFHIRClient(sys.argv[1], extra_headers={"Content-Type": "application/merge-patch+json"})
    merging.patch("Patient", made.id, active=True)
    made.refresh()
    assert made["active"] is True and made["meta"]["versionId"] == "3"


def conditional_update():
    found = client.resources("Patient").search(identifier=f"{identifier['system']}|{identifier['value']}")
    first, is_new = found.update(patient(identifier=[identifier]))
    assert is_new
    again, is_new = found.update(patient(identifier=[identifier], gender="other"))
    assert not is_new and again.id == first.id and again["gender"] == "other"


def transaction():
    urn = "urn:uuid:0d0aa2c1-5d9c-4f0f-b7b6-1a5a3c1c9e51"
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    observation = {"resourceType": "Observation", "status": "final", "code": code, "subject": {"reference": urn}}
    entries = [
        {"fullUrl": urn, "resource": patient().serialize(), "request": {"method": "POST", "url": "Patient"}},
        {"resource": observation, "request": {"method": "POST", "url": "Observation"}},
    ]
    bundle = client.execute("", data={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    places = [entry["response"]["location"].split("/_history/")[0].split("/")[-2:] for entry in bundle["entry"]]
    made = client.reference(*places[1]).to_resource()
    assert made["subject"].reference == "/".join(places[0])


def history(made):
    path, params, seen = f"Patient/{made.id}/_history", {"_count": 2}, []
    while path:
        page = client.execute(path, method="get", params=params)
        seen += [entry["resource"]["meta"]["versionId"] for entry in page["entry"]]
        path = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert seen == ["3", "2", "1"], seen


def search(made):
    family = made["name"][0]["family"]
    patients = client.resources("Patient")
    found = patients.search(family=family).sort("-birthdate").limit(2)
    ids = [each.id for each in found.fetch_all()]
    assert len(ids) == len(set(ids)) and made.id in ids
    # Its own count() asks with a parameter that FHIR does not know.
    assert patients.search(family=family, _total="accurate", _summary="count").fetch_raw()["total"] == len(ids)
    assert patients.search(family=family, birthdate__ge="1980-05-01", gender__not="male", _id=made.id).first().id == made.id
    refused(OperationOutcome, lambda: patients.search(famly="x").fetch())
    observations = client.resources("Observation").search(patient__Patient__family=family).include("Observation", "subject")
    kinds = {entry["resource"]["resourceType"] for entry in observations.fetch_raw()["entry"]}
    assert kinds == {"Observation", "Patient"}, kinds


def delete(made):
    made.delete()
    refused(ResourceNotFound, lambda: client.get("Patient", made.id))


made = create()
read(made)
update(made)
patch(made)
conditional_update()
transaction()
history(made)
search(made)
delete(made)
print("fhirpy: create, read, update, patch, conditional update, transaction, history, search, delete: all well")
