// A day's work with fhir-kit-client.

import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';
import { FAMILY, day, observation, patient, refused, transaction } from './day.mjs';

const client = new Client({ baseUrl: process.argv[2] });
const status = (error) => error.response?.status;
const asked = (resource) => Client.httpFor(resource).response;
const identifier = { system: 'urn:kiln:clients', value: `kit-${process.pid}` };
let made;

await day('fhir-kit-client', {
  async capabilities() {
    const statement = await client.capabilityStatement();
    assert.equal(statement.fhirVersion, '4.0.1');
  },
  async create() {
    made = await client.create({ resourceType: 'Patient', body: patient() });
    assert.equal(asked(made).status, 201);
    assert.match(asked(made).headers.get('location'), new RegExp(`/Patient/${made.id}/_history/1$`));
    assert.equal(made.meta.versionId, '1');
  },
  async 'create of what is wrong'() {
    const body = patient({ birthDate: 'yesterday' });
    await refused(422, client.create({ resourceType: 'Patient', body }), status);
  },
  async read() {
    const read = await client.read({ resourceType: 'Patient', id: made.id });
    assert.deepEqual(read, made);
    assert.equal(asked(read).headers.get('etag'), 'W/"1"');
    await refused(404, client.read({ resourceType: 'Patient', id: 'nobody' }), status);
  },
  async update() {
    const body = { ...made, gender: 'female' };
    const options = { headers: { 'If-Match': 'W/"1"' } };
    const updated = await client.update({ resourceType: 'Patient', id: made.id, body, options });
    assert.equal(updated.meta.versionId, '2');
    assert.equal(updated.gender, 'female');
    await refused(412, client.update({ resourceType: 'Patient', id: made.id, body: made, options }), status);
  },
  async 'update that creates'() {
    const id = `kit-${process.pid}`;
    const created = await client.update({ resourceType: 'Patient', id, body: patient({ id }) });
    assert.equal(asked(created).status, 201);
    assert.equal(created.id, id);
  },
  async vread() {
    const first = await client.vread({ resourceType: 'Patient', id: made.id, version: '1' });
    assert.deepEqual(first, made);
  },
  async patch() {
    const jsonPatch = [{ op: 'replace', path: '/birthDate', value: '1981-06-02' }];
    const patched = await client.patch({ resourceType: 'Patient', id: made.id, jsonPatch });
    assert.equal(patched.birthDate, '1981-06-02');
    assert.equal(patched.meta.versionId, '3');
  },
  async 'conditional create'() {
    const body = patient({ identifier: [identifier] });
    const options = { headers: { 'If-None-Exist': `identifier=${identifier.system}|${identifier.value}` } };
    const first = await client.create({ resourceType: 'Patient', body, options });
    assert.equal(asked(first).status, 201);
    const again = await client.create({ resourceType: 'Patient', body, options });
    assert.equal(asked(again).status, 200);
    assert.equal(again.id, first.id);
  },
  async transaction() {
    const bundle = await client.transaction({ body: transaction({ ...identifier, value: `${identifier.value}-t` }) });
    assert.equal(bundle.type, 'transaction-response');
    const [who, what] = bundle.entry.map((entry) => entry.response.location.match(/(\w+)\/([^/]+)\/_history\/1$/));
    assert.deepEqual([who[1], what[1]], ['Patient', 'Observation']);
    const read = await client.read({ resourceType: 'Observation', id: what[2] });
    assert.equal(read.subject.reference, `Patient/${who[2]}`);
    const wrong = transaction(identifier);
    wrong.entry[1].resource.status = 'nonsense';
    await refused(422, client.transaction({ body: wrong }), status);
  },
  async batch() {
    const entry = [
      { request: { method: 'GET', url: `Patient/${made.id}` } },
      { request: { method: 'GET', url: 'Patient/nobody' } },
      { resource: observation(`Patient/${made.id}`), request: { method: 'POST', url: 'Observation' } },
    ];
    const bundle = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
    assert.deepEqual(bundle.entry.map((each) => each.response.status.slice(0, 3)), ['200', '404', '201']);
    assert.equal(bundle.entry[0].resource.id, made.id);
  },
  async history() {
    const bundle = await client.history({ resourceType: 'Patient', id: made.id });
    assert.equal(bundle.type, 'history');
    assert.equal(bundle.total, 3);
    assert.deepEqual(bundle.entry.map((entry) => entry.resource.meta.versionId), ['3', '2', '1']);
    // A page at a time.
    let page = await client.request(`Patient/${made.id}/_history?_count=1`);
    const seen = [];
    while (page) {
      seen.push(...page.entry.map((entry) => entry.resource.meta.versionId));
      page = await client.nextPage({ bundle: page });
    }
    assert.deepEqual(seen, ['3', '2', '1']);
  },
  async search() {
    const searchParams = { family: FAMILY, _sort: 'birthdate', _total: 'accurate', _count: 1 };
    let page = await client.search({ resourceType: 'Patient', searchParams });
    assert.equal(page.type, 'searchset');
    const { total } = page;
    const seen = new Set();
    while (page) {
      assert.ok(page.entry.length <= 1);
      page.entry.forEach((entry) => seen.add(entry.resource.id));
      page = await client.nextPage({ bundle: page });
    }
    assert.equal(seen.size, total);
    assert.ok(seen.has(made.id));
    await refused(400, client.search({ resourceType: 'Patient', searchParams: { famly: 'x' } }), status);
  },
  async 'search by POST'() {
    const searchParams = { identifier: `${identifier.system}|${identifier.value}` };
    const found = await client.search({ resourceType: 'Patient', searchParams, options: { postSearch: true } });
    assert.equal(found.entry.length, 1);
    assert.equal(found.entry[0].resource.identifier[0].value, identifier.value);
  },
  async 'search with includes'() {
    const chain = { 'subject:Patient.identifier': `${identifier.system}|${identifier.value}-t` };
    const searchParams = { ...chain, _include: 'Observation:subject' };
    const found = await client.search({ resourceType: 'Observation', searchParams });
    assert.deepEqual(found.entry.map((entry) => [entry.resource.resourceType, entry.search.mode]), [
      ['Observation', 'match'],
      ['Patient', 'include'],
    ]);
  },
  async 'search in a compartment'() {
    const found = await client.compartmentSearch({
      resourceType: 'Observation',
      compartment: { resourceType: 'Patient', id: made.id },
      searchParams: { code: 'http://loinc.org|8867-4' },
    });
    assert.ok(found.entry.every((entry) => entry.resource.subject.reference === `Patient/${made.id}`));
    assert.equal(found.entry.length, 1);
  },
  async 'search in a batch'() {
    const url = `Patient?family=${FAMILY}&_summary=count`;
    const entry = [{ request: { method: 'GET', url } }, { request: { method: 'GET', url: 'Patient?famly=x' } }];
    const bundle = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
    assert.ok(bundle.entry[0].resource.total >= 1);
    assert.equal(bundle.entry[1].response.status.slice(0, 3), '400');
  },
  async delete() {
    await client.delete({ resourceType: 'Patient', id: made.id });
    await refused(410, client.read({ resourceType: 'Patient', id: made.id }), status);
    const bundle = await client.history({ resourceType: 'Patient', id: made.id });
    assert.equal(bundle.total, 4);
    assert.equal(bundle.entry[0].request.method, 'DELETE');
    assert.equal((await client.vread({ resourceType: 'Patient', id: made.id, version: '3' })).birthDate, '1981-06-02');
  },
});
