//! PostgreSQL goes away and comes back: requests are refused with an outcome meanwhile, and the server recovers by itself.

use std::time::{Duration, Instant};

use crate::client::{get, post};
use crate::databases::own_cluster;
use crate::kiln::Kiln;

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_database_that_is_gone_is_told_and_waited_for() {
    let Some((mut cluster, database)) = own_cluster() else {
        return;
    };
    let kiln = Kiln::start(&database);
    let created = post(kiln.address, "/fhir/Patient", PATIENT);
    assert_eq!(created.status, 201);
    let path = format!("/fhir/Patient/{}", created.json().str_of("id").unwrap());

    cluster.stop();
    for _ in 0..3 {
        for answer in [
            post(kiln.address, "/fhir/Patient", PATIENT),
            get(kiln.address, &path),
            get(kiln.address, "/fhir/_history"),
        ] {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert_eq!(answer.issue_code(), "transient");
            assert!(answer.header("Retry-After").is_some());
        }
        assert_eq!(get(kiln.address, "/health/ready").status, 503);
        assert_eq!(get(kiln.address, "/health/live").status, 200);
    }

    cluster.start();
    let patience = Instant::now() + PATIENCE;
    while get(kiln.address, "/health/ready").status != 200 {
        assert!(Instant::now() < patience, "the server does not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(get(kiln.address, &path).status, 200);
    assert_eq!(post(kiln.address, "/fhir/Patient", PATIENT).status, 201);
}
