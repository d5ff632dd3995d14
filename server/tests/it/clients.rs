//! Clients of others do a day's work: fhir-kit-client, fhirclient and fhirpy; by MLLP @medplum/hl7 and python-hl7. `conformance-tests/clients/run --install DIR`
//! brings them; `KILN_CLIENTS=DIR` says where they are. Without that they are skipped aloud.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(clients_of_others_do_a_days_work);

fn clients_of_others_do_a_days_work(database: &Database) {
    let Some(place) = std::env::var_os("KILN_CLIENTS") else {
        let message = "SKIPPED: KILN_CLIENTS names no folder with clients of others\n";
        // Past the test harness, which would keep it to itself.
        let _written = std::io::stderr().write_all(message.as_bytes());
        return;
    };
    let kiln = Kiln::start(database);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients/run");
    let output = Command::new(script)
        .arg(place)
        .arg(format!("http://{}/fhir", kiln.address))
        .arg(kiln.mllp[0].to_string())
        .output()
        .unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        told(&output.stdout),
        told(&output.stderr)
    );
}
