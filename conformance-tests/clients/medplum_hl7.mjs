// A day's work with Medplum's HL7 client, which keeps a connection and waits for the answer to each message.

import assert from 'node:assert/strict';
import { Hl7Message } from '@medplum/core';
import { Hl7Client } from '@medplum/hl7';

const [base, place] = process.argv.slice(2);
const [host, port] = place.split(':');

const result = (id, value) =>
  Hl7Message.parse(
    [
      `MSH|^~\\&|LAB|HOSP|KILN|HERE|20260301120000||ADT^A08^ADT_A01|${id}|P|2.5.1`,
      'EVN|A08|20260301120000',
      `PID|1||medplum^^^HOSP^MR||Clay^${value}||19800101|F`,
    ].join('\r'),
  );

const client = new Hl7Client({ host, port: Number(port), keepAlive: true });
const ids = Array.from({ length: 30 }, (_, number) => `medplum${process.pid}-${number}`);

// One after the other on one connection: the client takes what comes in one piece for one answer.
for (const [number, id] of ids.entries()) {
  const answer = await client.sendAndWait(result(id, `N${number}`));
  const msa = answer.getSegment('MSA');
  assert.equal(msa.getField(1).toString(), 'AA', answer.toString());
  assert.equal(msa.getField(2).toString(), id);
}
const refused = await client.sendAndWait(
  Hl7Message.parse(`MSH|^~\\&|LAB|HOSP|KILN|HERE|20260301||ZZZ^Z99|bad${process.pid}|P|2.5.1`),
);
assert.equal(refused.getSegment('MSA').getField(1).toString(), 'AR');
await client.close();

// What was said last is what is there.
const found = await (await fetch(`${base}/Patient?identifier=medplum`)).json();
assert.equal(found.entry.length, 1);
assert.equal(found.entry[0].resource.name[0].given[0], 'N29');
console.log('@medplum/hl7: thirty messages on one connection');
