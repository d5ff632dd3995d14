"""A day's work with python-hl7: its client, and the program mllp_send that comes with it."""

import os
import subprocess
import sys
import tempfile

import hl7
import requests
from hl7.client import MLLPClient

base, place = sys.argv[1], sys.argv[2]
host, port = place.rsplit(":", 1)
here = os.path.dirname(sys.executable)


def admission(control_id, patient):
    return "\r".join(
        [
            f"MSH|^~\\&|PY|HOSP|KILN|HERE|20260301120000||ADT^A01^ADT_A01|{control_id}|P|2.5.1",
            "EVN|A01|20260301120000",
            f"PID|1||{patient}^^^HOSP^MR||Ton^Käthe||19800101|F",
            f"PV1|1|I|W1^R1^B1||||||||||||||||V{patient}^^^HOSP",
            "",
        ]
    )


def of_patient(patient):
    found = requests.get(f"{base}/Patient", params={"identifier": patient}).json()
    return [entry["resource"] for entry in found.get("entry", [])]


def by_the_library():
    with MLLPClient(host, int(port)) as client:
        for number in range(20):
            answer = hl7.parse(client.send_message(admission(f"{os.getpid()}-{number}", f"py{number % 4}")).strip(b"\x0b\x1c\r"))
            assert answer["MSA.F1.R1"] == "AA", str(answer)
            assert answer["MSA.F2.R1"] == f"{os.getpid()}-{number}", str(answer)
    [patient] = of_patient("py3")
    assert patient["name"][0] == {"family": "Ton", "given": ["Käthe"]} or patient["name"][0]["family"] == "Ton"


def by_mllp_send():
    messages = [admission(f"send{os.getpid()}-{number}", "pysend") for number in range(3)]
    with tempfile.NamedTemporaryFile(suffix=".hl7") as file:
        file.write("\r\n".join(message.rstrip("\r").replace("\r", "\r\n") for message in messages).encode())
        file.flush()
        sent = subprocess.run(
            [f"{here}/mllp_send", "--loose", "--port", port, "--file", file.name, host],
            capture_output=True, text=True, check=True,
        )
    assert sent.stdout.count("MSA|AA|") == 3, sent.stdout + sent.stderr
    assert len(of_patient("pysend")) == 1


for step in [by_the_library, by_mllp_send]:
    step()
    print(f"python-hl7: {step.__name__.replace('_', ' ')}")
