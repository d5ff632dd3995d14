//! What patients withhold and the house denies, from outside: Consents, policies, breaking the glass; and what the audit reports
//! of it. (H-6, H-13, H-14, H-17, T-12)

use fhir_spec::json::Value;

use crate::authorised::{Holder, cli, guarded, key};
use crate::client::{FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::receiver::Receiver;

on_both_databases!(
    what_a_patient_withholds_is_nowhere,
    the_glass_is_broken_with_a_reason,
    policies_of_the_house_hold_whoever_grants,
    who_saw_a_patient_is_reported,
    what_left_the_house_is_reported,
    what_was_kept_long_enough_is_cut,
);

fn holder<'k>(kiln: &'k Kiln, database: &Database, name: &str, arguments: &[&str]) -> Holder<'k> {
    Holder {
        kiln,
        key: key(database, name, arguments),
    }
}

fn seed(admin: &Holder<'_>) {
    for id in ["p", "q"] {
        admin.put(&format!(
            r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Zebra{id}"}}]}}"#
        ));
        for (kind, more) in [("Observation", r#""status":"final","#), ("Condition", "")] {
            admin.put(&format!(
                r#"{{"resourceType":"{kind}","id":"{id}-{kind}",{more}"code":{{"text":"x"}},"subject":{{"reference":"Patient/{id}"}}}}"#
            ));
        }
    }
}

fn consent(status: &str, provision: &str) -> String {
    format!(
        r#"{{"resourceType":"Consent","id":"c","status":"{status}","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},
        "category":[{{"text":"privacy"}}],"policyRule":{{"text":"opt-out"}},"patient":{{"reference":"Patient/p"}},"provision":{provision}}}"#
    )
}

/// What somebody is told, whichever way they ask, that names the record of p.
const WAYS: &[&str] = &[
    "/fhir/Patient/p",
    "/fhir/Patient/p/_history",
    "/fhir/Patient/p/_history/1",
    "/fhir/Patient?name=Zebra",
    "/fhir/Patient/_history",
    "/fhir/_history",
    "/fhir/Observation/p-Observation",
    "/fhir/Observation?_include=Observation:subject",
    "/fhir/Observation?patient.name=Zebrap",
    "/fhir/Patient?_has:Observation:patient:code:text=x",
    "/fhir/Patient?_revinclude=Observation:subject",
    "/fhir/Patient/p/Observation",
    "/fhir/Patient/p/*",
    "/fhir/Condition?subject=Patient/p",
    "/fhir?_type=Observation,Condition",
];

/// Whether any of the ways leads to it.
fn sees(holder: &Holder<'_>, id: &str) -> Vec<&'static str> {
    let names = [format!(r#""id":"{id}""#), format!(r#""id":"{id}-"#)];
    let ways = WAYS.iter().copied();
    ways.filter(|way| {
        let text = holder.get(&way.replace("/p", &format!("/{id}"))).text();
        names.iter().any(|name| text.contains(name.as_str()))
    })
    .collect()
}

/// As long as what was looked up may be believed.
fn becomes(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{what}");
}

/// H-13: deny wins over every grant; of others nothing is withheld; revoked, it holds no longer.
fn what_a_patient_withholds_is_nowhere(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let clinician = holder(&kiln, database, "dr", &["--role", "clinician"]);
    let own = holder(
        &kiln,
        database,
        "own",
        &["--role", "patient", "--patient", "p"],
    );
    let client = holder(&kiln, database, "app", &["--scope", "system/*.rs"]);
    seed(&admin);
    assert!(
        sees(&clinician, "p").len() >= 14,
        "{:?}",
        sees(&clinician, "p")
    );
    admin.put(&consent("active", r#"{"type":"deny"}"#));
    for holder in [&clinician, &client] {
        becomes("withheld", || sees(holder, "p").is_empty());
        assert!(
            sees(holder, "q").len() >= 10,
            "of others nothing is withheld"
        );
        assert_eq!(holder.get("/fhir/Consent/c").status, 200, "it is known why");
        let absent = holder.get("/fhir/Patient/nobody");
        assert_eq!(holder.get("/fhir/Patient/p").text(), absent.text());
        let total = holder.get("/fhir/Observation?_summary=count").json();
        assert_eq!(total.get("total").and_then(Value::as_u64), Some(1));
    }
    assert!(!sees(&own, "p").is_empty(), "it is their own");
    // As of what is not there, and nothing is taken away.
    clinician.ask("DELETE", "/fhir/Observation/p-Observation", "");
    assert_eq!(own.get("/fhir/Observation/p-Observation").status, 200);
    let only = r#"{"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]}"#;
    admin.ask("PUT", "/fhir/Consent/c", &consent("active", only));
    becomes("only conditions are withheld", || {
        clinician.get("/fhir/Observation/p-Observation").status == 200
    });
    assert!(clinician.get("/fhir/Condition/p-Condition").status >= 403);
    admin.ask(
        "PUT",
        "/fhir/Consent/c",
        &consent("inactive", r#"{"type":"deny"}"#),
    );
    becomes("revoked", || {
        clinician.get("/fhir/Condition/p-Condition").status == 200
    });
}

/// H-6, T-12: what is restricted or withheld is seen with a reason, by those who may, and that is told.
fn the_glass_is_broken_with_a_reason(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let roles = ["--role", "clinician", "--role", "emergency"];
    let clinician = holder(&kiln, database, "dr", &roles);
    let other = holder(&kiln, database, "other", &["--role", "clinician"]);
    seed(&admin);
    admin.put(r#"{"resourceType":"Observation","id":"secret","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/q"},
        "meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}"#);
    admin.put(&consent("active", r#"{"type":"deny"}"#));
    becomes("withheld", || {
        clinician.get("/fhir/Patient/p").status == 404
    });
    let break_glass = |holder: &Holder<'_>, path: &str, reason: &str| {
        let headers = [
            FHIR_JSON,
            ("X-Api-Key", holder.key.as_str()),
            ("X-Break-Glass", reason),
        ];
        send(kiln.address, "GET", path, &headers, b"").unwrap()
    };
    for path in ["/fhir/Patient/p", "/fhir/Observation/secret"] {
        assert!(clinician.get(path).status >= 403);
        assert_eq!(
            break_glass(&clinician, path, "unconscious").status,
            200,
            "{path}"
        );
        assert_eq!(break_glass(&clinician, path, " ").status, 400);
        assert_eq!(break_glass(&other, path, "curious").status, 403);
        assert!(clinician.get(path).status >= 403, "for that request only");
    }
    let told = admin
        .get("/fhir/AuditEvent?patient=p&subtype=110127")
        .json();
    let event = &told.items_of("entry")[0].to_string();
    for part in ["unconscious", "BTG", "key:dr", "Patient/p"] {
        assert!(event.contains(part), "{part}: {event}");
    }
    let refused = admin
        .get("/fhir/AuditEvent?agent:identifier=key:other&outcome=4")
        .json();
    assert!(refused.items_of("entry").len() >= 2, "{refused}");
}

fn policies_of_the_house_hold_whoever_grants(database: &Database) {
    let settings = "auth = \"smart\"\n[[policies]]\nwho = [\"role:clinician\"]\ndeny = [\"user/Condition.cruds\"]\n\
        [[policies]]\nwho = [\"key:app\"]\nallow = [\"user/Patient.rs?name=Zebraq\"]\n";
    let kiln = Kiln::configured(database, settings);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let clinician = holder(&kiln, database, "dr", &["--role", "clinician"]);
    let client = holder(&kiln, database, "app", &["--scope", "system/*.cruds"]);
    seed(&admin);
    assert_eq!(admin.get("/fhir/Condition").status, 200);
    assert_eq!(clinician.get("/fhir/Condition").status, 403);
    assert!(clinician.get("/fhir/Condition/p-Condition").status >= 403);
    assert_eq!(clinician.get("/fhir/Observation/p-Observation").status, 200);
    let text = client.get("/fhir/Patient").text();
    assert!(
        text.contains("Zebraq") && !text.contains("Zebrap"),
        "{text}"
    );
    assert_eq!(client.get("/fhir/Observation").status, 403);
    drop(kiln);
    let wrong = "auth = \"smart\"\n[[policies]]\nwho = [\"*\"]\ndeny = [\"user/Nothing.rs\"]\n";
    let file = database.directory.join("wrong.toml");
    std::fs::write(&file, wrong).unwrap();
    let started = cli(database, &["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(started.status.code(), Some(1));
    let told = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(told.contains("user/Nothing.rs"), "{told}");
}

fn who_saw_a_patient_is_reported(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let auditor = holder(&kiln, database, "privacy", &["--role", "auditor"]);
    let clinician = holder(&kiln, database, "dr", &["--role", "clinician"]);
    seed(&admin);
    for _ in 0..3 {
        assert_eq!(clinician.get("/fhir/Observation/p-Observation").status, 200);
    }
    assert_eq!(clinician.get("/api/audit/patients/p").status, 403);
    let mut path = "/api/audit/patients/p?limit=2".to_owned();
    let mut rows = Vec::new();
    loop {
        let page = auditor.get(&path);
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        rows.extend(page.items_of("accesses").to_vec());
        match page.str_of("next").and_then(|next| next.split_once("/api")) {
            Some((_, rest)) => path = format!("/api{rest}"),
            None => break,
        }
    }
    assert_eq!(rows.len(), 6, "three were written, three read: {rows:?}");
    let reads = rows
        .iter()
        .filter(|row| row.str_of("who") == Some("key:dr"));
    assert_eq!(reads.count(), 3);
    assert_eq!(rows[0].str_of("what"), Some("Observation/p-Observation"));
    assert_eq!(rows[0].str_of("address"), Some("127.0.0.1"));
    let table = auditor.get("/api/audit/patients/p?format=csv").text();
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(table.starts_with("at,patient,who,"), "{table}");
    let none = auditor.get("/api/audit/patients/p?until=2020-01-01").json();
    assert!(none.items_of("accesses").is_empty());
    assert_eq!(auditor.get("/api/audit/patients/p?color=red").status, 400);
    assert_eq!(auditor.get("/api/audit").status, 404);
}

/// H-17: what was told to a subscriber, and nothing else.
fn what_left_the_house_is_reported(database: &Database) {
    let kiln = Kiln::configured(database, "[audit]\nenabled = true\n");
    let receiver = Receiver::start();
    let post = |path: &str, body: &str| {
        let answer = send(kiln.address, "POST", path, &[FHIR_JSON], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json().str_of("id").map(str::to_owned)
    };
    post(
        "/fhir/Subscription",
        &format!(
            r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Observation?status=final",
            "channel":{{"type":"rest-hook","endpoint":"{}","payload":"application/fhir+json"}}}}"#,
            receiver.url()
        ),
    );
    let observation = r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#;
    let sent = post("/fhir/Observation", observation).unwrap();
    let reported = || get(kiln.address, "/api/audit/patients/p/disclosures").json();
    becomes("disclosed", || {
        !reported().items_of("disclosures").is_empty()
    });
    let report = reported();
    let rows = report.items_of("disclosures");
    assert_eq!(rows.len(), 1, "{report}");
    let what = format!("Observation/{sent}/_history/1");
    assert_eq!(rows[0].str_of("what"), Some(what.as_str()));
    let to = rows[0].str_of("address").unwrap();
    assert!(to.contains(&receiver.address.port().to_string()), "{to}");
    assert!(rows[0].str_of("told").unwrap().contains("Subscription/"));
    let events = get(kiln.address, "/fhir/AuditEvent?patient=p&type=110106").text();
    assert!(events.contains("PrivacyDisclosure.Source"), "{events}");
}

/// The rest is verified as before, and says that it was cut.
fn what_was_kept_long_enough_is_cut(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    seed(&admin);
    let key = admin.key;
    assert_eq!(database.number("SELECT count(*) FROM audit_events"), 6);
    drop(kiln);
    let kiln = Kiln::configured(database, "auth = \"smart\"\n[audit]\nretain_days = 0\n");
    becomes("cut", || {
        database.number("SELECT count(*) FROM audit_events WHERE patient <> ''") == 0
    });
    let admin = Holder { kiln: &kiln, key };
    assert_eq!(admin.get("/fhir/Patient/p").status, 200);
    drop(kiln);
    let verified = cli(database, &["verify", "--audit"]);
    assert!(verified.status.success(), "{verified:?}");
    assert!(database.number("SELECT count(*) FROM audit_events WHERE body LIKE '%\"cut\"%'") > 0);
    database.execute("DELETE FROM audit_events WHERE body LIKE '%\"cut\"%'");
    assert!(!cli(database, &["verify", "--audit"]).status.success());
}
