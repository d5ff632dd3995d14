//! The resources that the tests search.

pub(super) const PATIENTS: &[&str] = &[
    r#"{"resourceType": "Patient", "id": "anna", "active": true, "gender": "female", "birthDate": "1970-03-30",
        "identifier": [{"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}, "system": "http://mrn", "value": "1"}],
        "name": [{"family": "Müller", "given": ["Anna", "Eva"]}], "telecom": [{"system": "phone", "value": "555"}],
        "address": [{"city": "Köln", "postalCode": "50667"}], "meta": {"profile": ["http://x/p|1"], "tag": [{"system": "http://t", "code": "a"}]},
        "managingOrganization": {"reference": "Organization/o1"}}"#,
    r#"{"resourceType": "Patient", "id": "bert", "active": false, "gender": "male", "birthDate": "1970-03",
        "identifier": [{"system": "http://mrn", "value": "2"}, {"value": "1"}],
        "name": [{"family": "MULLER", "given": ["Bert"]}, {"text": "100%_x"}], "telecom": [{"system": "email", "value": "555"}],
        "deceasedDateTime": "2020-01-01T10:00:00Z", "meta": {"profile": ["http://x/p"]},
        "managingOrganization": {"reference": "https://kiln.example/fhir/Organization/o1"}}"#,
    r#"{"resourceType": "Patient", "id": "carl", "birthDate": "1971", "name": [{"family": "O,N|e$i\\l"}],
        "managingOrganization": {"reference": "http://other/Organization/o1"},
        "generalPractitioner": [{"reference": "Practitioner/dr/_history/2"}, {"identifier": {"system": "http://npi", "value": "9"}}]}"#,
    r#"{"resourceType": "Patient", "id": "dora"}"#,
];

pub(super) const OBSERVATIONS: &[&str] = &[
    r#"{"resourceType": "Observation", "id": "height", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}, {"code": "height"}]},
        "subject": {"reference": "Patient/anna"}, "effectiveDateTime": "2024-02-28T13:30:00+01:00",
        "valueQuantity": {"value": 170, "unit": "centimetre", "system": "http://unitsofmeasure.org", "code": "cm"}}"#,
    r#"{"resourceType": "Observation", "id": "pressure", "status": "preliminary",
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Group/anna"}, "effectivePeriod": {"start": "2024-02-01", "end": "2024-03-31"},
        "component": [
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}, "valueQuantity": {"value": 120, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}},
            {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}, "valueQuantity": {"value": 80, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}}]}"#,
    r#"{"resourceType": "Observation", "id": "smoker", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "72166-2"}]},
        "subject": {"reference": "Patient/bert"}, "effectiveDateTime": "2024",
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "266919005"}]}}"#,
    r#"{"resourceType": "Observation", "id": "less", "status": "final", "code": {"coding": [{"code": "crp"}]},
        "effectivePeriod": {"start": "2024-03-01T00:00:00Z"}, "valueQuantity": {"value": 5, "comparator": "<", "unit": "mg/l"}}"#,
    r#"{"resourceType": "Observation", "id": "weight", "status": "amended", "code": {"coding": [{"code": "weight"}]},
        "effectivePeriod": {"end": "2023-12-31"}, "valueQuantity": {"value": 1.70, "system": "http://unitsofmeasure.org", "code": "m"}}"#,
];

pub(super) const OTHERS: &[&str] = &[
    r#"{"resourceType": "RiskAssessment", "id": "r1", "status": "final", "prediction": [{"probabilityDecimal": 0.25}, {"probabilityDecimal": 100}]}"#,
    r#"{"resourceType": "RiskAssessment", "id": "r2", "status": "final", "prediction": [{"probabilityDecimal": 0.249}]}"#,
    r#"{"resourceType": "ValueSet", "id": "v1", "status": "active", "url": "http://acme.org/fhir/ValueSet/1"}"#,
    r#"{"resourceType": "ValueSet", "id": "v2", "status": "active", "url": "http://acme.org/fhir"}"#,
    r#"{"resourceType": "ValueSet", "id": "v3", "status": "active", "url": "urn:oid:1.2.3"}"#,
    r#"{"resourceType": "CarePlan", "id": "c1", "status": "active", "intent": "plan", "instantiatesCanonical": ["http://x/plan|1"], "subject": {"reference": "Patient/anna"}}"#,
    r#"{"resourceType": "DocumentReference", "id": "d1", "status": "current", "content": [], "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d0"}}]}"#,
    r#"{"resourceType": "Measure", "id": "m1", "status": "draft", "useContext": [{"code": {"system": "http://u", "code": "age"}, "valueRange": {"low": {"value": 18}, "high": {"value": 65}}}, {"code": {"system": "http://u", "code": "sex"}, "valueCodeableConcept": {"coding": [{"code": "f"}]}}]}"#,
];
