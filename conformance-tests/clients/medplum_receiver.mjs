// Medplum's HL7 server: takes two messages on a port, answers each, and says what it understood.

import { Hl7Server } from '@medplum/hl7';

const wanted = 2;
const told = [];
const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    const [kind, event] = [1, 2].map((part) => message.header.getField(9).getComponent(part));
    const id = message.header.getField(10).toString();
    told.push(`${kind} ${event} ${id} ${message.getSegment('PID').getField(5).getComponent(1)}`);
    connection.send(message.buildAck());
    if (told.length === wanted) {
      console.log(told.join('\n'));
      setTimeout(() => process.exit(0), 200);
    }
  });
});
await server.start(Number(process.argv[2]), 'utf-8');
