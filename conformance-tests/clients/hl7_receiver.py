"""The receiver of python-hl7: takes two messages on a port, answers each, and says what it understood."""

import asyncio
import sys

import hl7
from hl7.mllp import start_hl7_server

WANTED = 2


async def main():
    done = asyncio.Event()
    told = []

    async def each(reader, writer):
        while not writer.is_closing() and len(told) < WANTED:
            message = await reader.readmessage()
            told.append(
                f"{message['MSH.F9.R1.C1']} {message['MSH.F9.R1.C2']} {message['MSH.F10']} {message['PID.F5.R1.C1']}"
            )
            writer.writemessage(message.create_ack())
            await writer.drain()
        done.set()

    server = await start_hl7_server(each, host="127.0.0.1", port=int(sys.argv[1]), encoding="utf-8")
    await asyncio.wait_for(done.wait(), 60)
    server.close()
    print("\n".join(told))


asyncio.run(main())
