// A day's work with fhirclient, the client of SMART apps.

import assert from 'node:assert/strict';
import fhirclient from 'fhirclient';
import { FAMILY, day, patient, refused, transaction } from './day.mjs';

const base = process.argv[2];
const client = new fhirclient.FhirClient(base);
const status = (error) => error.status ?? error.statusCode ?? error.response?.status;
const identifier = { system: 'urn:kiln:clients', value: `smart-${process.pid}` };
let made;

await day('fhirclient', {
  async capabilities() {
    assert.equal(await client.getFhirVersion(), '4.0.1');
    assert.equal(await client.getFhirRelease(), 4);
  },
  async create() {
    made = await client.create(patient());
    assert.equal(made.meta.versionId, '1');
    await refused(422, client.create(patient({ gender: 'blue' })), status);
  },
  async read() {
    assert.deepEqual(await client.fhirRequest(`Patient/${made.id}`), made);
    await refused(404, client.fhirRequest('Patient/nobody'), status);
  },
  async update() {
    const headers = { 'If-Match': 'W/"1"' };
    const updated = await client.update({ ...made, active: true }, { headers });
    assert.equal(updated.meta.versionId, '2');
    await refused(412, client.update({ ...made, active: false }, { headers }), status);
  },
  async patch() {
    const patched = await client.patch(`Patient/${made.id}`, [{ op: 'add', path: '/name/0/given/1', value: 'Lee' }]);
    assert.deepEqual(patched.name[0].given, ['Kim', 'Lee']);
    assert.equal(patched.meta.versionId, '3');
  },
  async 'conditional create'() {
    const headers = { 'If-None-Exist': `identifier=${identifier.system}|${identifier.value}` };
    const first = await client.create(patient({ identifier: [identifier] }), { headers });
    const again = await client.create(patient({ identifier: [identifier] }), { headers });
    assert.equal(again.id, first.id);
  },
  async transaction() {
    const bundle = await client.fhirRequest(base, {
      method: 'POST',
      headers: { 'Content-Type': 'application/fhir+json' },
      body: JSON.stringify(transaction({ ...identifier, value: `${identifier.value}-t` })),
    });
    const [, kind, id] = bundle.entry[1].response.location.match(/(\w+)\/([^/]+)\/_history\/1$/);
    const read = await client.fhirRequest(`${kind}/${id}`);
    const found = await client.getReferences(read, ['subject']);
    assert.equal(found[read.subject.reference].resourceType, 'Patient');
  },
  async history() {
    const seen = [];
    for await (const page of client.pages(`Patient/${made.id}/_history?_count=2`)) {
      seen.push(...page.entry.map((entry) => entry.resource.meta.versionId));
    }
    assert.deepEqual(seen, ['3', '2', '1']);
  },
  async search() {
    const seen = [];
    const asked = `Patient?family=${FAMILY}&_sort=_lastUpdated&_count=2`;
    for await (const page of client.pages(asked)) {
      seen.push(...page.entry.map((entry) => entry.resource.id));
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.includes(made.id));
    await refused(400, client.fhirRequest('Patient?famly=x'), status);
  },
  async 'search with includes'() {
    const chain = `subject:Patient.identifier=${identifier.system}|${identifier.value}-t`;
    const found = await client.fhirRequest(`Observation?${chain}&_include=Observation:subject`);
    assert.deepEqual(found.entry.map((entry) => entry.search.mode), ['match', 'include']);
  },
  async delete() {
    await client.delete(`Patient/${made.id}`);
    await refused(410, client.fhirRequest(`Patient/${made.id}`), status);
  },
});
