// What the scripts for Node share: steps that are told, and what a day's work is about.

import assert from 'node:assert/strict';

export const FAMILY = `Clay${process.pid}`;

export const patient = (extra = {}) => ({
  resourceType: 'Patient',
  name: [{ use: 'official', family: FAMILY, given: ['Kim'] }],
  birthDate: '1980-05-01',
  ...extra,
});

export const observation = (subject) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: subject },
  valueQuantity: { value: 72.5, unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
});

/** A patient with an Observation that refers to it, as a transaction. */
export const transaction = (identifier) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      fullUrl: 'urn:uuid:7f6b9a52-3c6c-4b0e-9d43-6a6a3b9f2c11',
      resource: patient({ identifier: [identifier] }),
      request: { method: 'POST', url: 'Patient' },
    },
    {
      resource: observation('urn:uuid:7f6b9a52-3c6c-4b0e-9d43-6a6a3b9f2c11'),
      request: { method: 'POST', url: 'Observation' },
    },
  ],
});

/** A request that must be refused with a status. */
export async function refused(status, asked, statusOf) {
  await assert.rejects(asked, (error) => {
    assert.equal(statusOf(error), status, error.message);
    return true;
  });
}

/** Does the steps in their order and tells each. */
export async function day(client, steps) {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
    } catch (error) {
      console.error(`${client}: ${name}: FAILED`);
      throw error;
    }
  }
  console.log(`${client}: ${Object.keys(steps).join(', ')}: all well`);
}
