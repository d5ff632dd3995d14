// fhirclient, the library of SMART, signs a person in: a standalone launch and one from the launcher. A browser without scripts
// follows the pages.
//   node smart_launch.mjs BASE CLIENT REDIRECT NAME PASSWORD PATIENT
import assert from "node:assert/strict";
import smart from "fhirclient";

const [base, clientId, redirectUri, username, password, patient] = process.argv.slice(2);
const root = base.replace(/\/fhir$/, "");
const scope = "openid fhirUser offline_access patient/*.rs";
let cookie = "";

const decoded = (text) =>
  text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, "&");

async function ask(address, fields) {
  const options = { redirect: "manual", headers: cookie ? { cookie } : {} };
  if (fields) Object.assign(options, { method: "POST", body: new URLSearchParams(fields) });
  const answer = await fetch(address, options);
  for (const line of answer.headers.getSetCookie()) cookie = line.split(";")[0];
  return { status: answer.status, to: answer.headers.get("location"), page: await answer.text() };
}

// What the first form of a page sends when nothing is changed.
function fields(page, filled) {
  const attribute = (tag, name) => decoded(tag.match(new RegExp(` ${name}="([^"]*)"`))?.[1] ?? "");
  const all = [...page.matchAll(/<input [^>]*>/g)].map(([tag]) => tag);
  const sent = all.filter((tag) => /type="(hidden|checkbox)"/.test(tag)).map((tag) => [attribute(tag, "name"), attribute(tag, "value")]);
  return [...sent, ...Object.entries(filled)];
}

// From where the app sends the person to where it gets them back.
async function signIn(address) {
  let { to, page } = await ask(address);
  for (let step = 0; !to && step < 5; step++) {
    const filled = page.includes('name="password"') ? { username, password }
      : page.includes('name="allow"') ? { allow: "yes" }
      : { patient };
    ({ to, page } = await ask(`${root}/auth/authorize`, fields(page, filled)));
  }
  assert.ok(to?.startsWith(redirectUri), page);
  return to;
}

// The app, as a server that gets one request.
function app(address, memory) {
  const { host, pathname, search } = new URL(address);
  const request = { url: pathname + search, headers: { host }, socket: {}, protocol: "http" };
  const response = { to: null, writeHead(_status, headers) { this.to = headers.location ?? headers.Location; }, end() {} };
  const storage = {
    get: async (key) => memory.get(key),
    set: async (key, value) => (memory.set(key, value), value),
    unset: async (key) => memory.delete(key),
  };
  return { api: smart(request, response, storage), response };
}

async function launched(address, asked) {
  const memory = new Map();
  const start = app(address, memory);
  await start.api.authorize({ clientId, redirectUri, pkceMode: "required", ...asked });
  const back = await signIn(start.response.to);
  const client = await app(back, memory).api.ready();
  assert.equal(client.patient.id, patient);
  assert.equal((await client.patient.read()).id, patient);
  const found = await client.patient.request("Observation");
  assert.ok(found.entry.length > 0);
  assert.ok(found.entry.every(({ resource }) => resource.subject.reference === `Patient/${patient}`));
  assert.match(client.user.fhirUser, /Practitioner\/1$/);
  await assert.rejects(client.request("Patient/somebody-else"));
  return client;
}

const client = await launched(redirectUri, { iss: base, scope: `launch/patient ${scope}` });
const before = client.state.tokenResponse.access_token;
await client.refresh();
assert.notEqual(client.state.tokenResponse.access_token, before);
assert.equal((await client.patient.read()).id, patient);

const { page } = await ask(`${root}/auth/launch`);
const { to } = await ask(`${root}/auth/launch`, fields(page, { client: clientId, patient }));
assert.ok(to?.includes("launch="), page);
const chart = await launched(to, { scope: `launch ${scope}` });
assert.equal(chart.state.tokenResponse.need_patient_banner, false);
console.log("fhirclient has signed somebody in, standalone and from a launcher");
