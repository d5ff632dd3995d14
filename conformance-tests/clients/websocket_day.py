"""A day of aiohttp as one who listens: bound by id and by token, pinged, told of a topic.

websocket_day.py BASE
"""

import asyncio
import sys

import aiohttp

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def subscription(criteria, **channel):
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a day's work",
        "criteria": criteria,
        "channel": {"type": "websocket", **channel},
    }


async def post(session, base, resource):
    async with session.post(f"{base}/{resource['resourceType']}", json=resource) as made:
        assert made.status == 201, await made.text()
        return (await made.json(content_type=None))["id"]


async def active(session, base, id):
    for _ in range(1000):
        async with session.get(f"{base}/Subscription/{id}") as read:
            if (await read.json(content_type=None))["status"] == "active":
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"Subscription/{id} is not active")


async def main(base):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/metadata") as stated:
            rest = (await stated.json(content_type=None))["rest"][0]
        url = next(e["valueUri"] for e in rest["extension"] if e["url"].endswith("capabilitystatement-websocket"))
        plain = await post(session, base, subscription("Patient?family=Listened"))
        content = [{"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}]
        topic = await post(
            session,
            base,
            subscription(
                "urn:kiln:topic:patient-admin",
                payload="application/fhir+json",
                _payload={"extension": content},
            ),
        )
        for id in (plain, topic):
            await active(session, base, id)
        async with session.get(f"{base}/Subscription/{topic}/$get-ws-binding-token") as asked:
            told = (await asked.json(content_type=None))["parameter"]
        token = next(one["valueString"] for one in told if one["name"] == "token")
        async with session.ws_connect(url) as socket:
            await socket.send_str(f"bind {plain}")
            assert await socket.receive_str(timeout=60) == f"bound {plain}"
            await socket.send_str(f"bind-with-token {token}")
            handshake = await socket.receive_json(timeout=60)
            assert handshake["type"] == "history", handshake
            made = await post(session, base, {"resourceType": "Patient", "active": True, "name": [{"family": "Listened"}]})
            heard = [await socket.receive_str(timeout=60) for _ in range(2)]
            assert f"ping {plain}" in heard, heard
            assert any(f"Patient/{made}" in text for text in heard), heard
            await socket.ping()
        for id in (plain, topic):
            async with session.delete(f"{base}/Subscription/{id}") as gone:
                assert gone.status == 204
    print("websocket (aiohttp): done")


asyncio.run(main(sys.argv[1]))
