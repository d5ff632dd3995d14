//! Who may do what, from outside: keys with scopes, and what they let be seen.

use std::process::Command;

use fhir_spec::json::Value;

use crate::client::{Answer, FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::{Kiln, command};
use base64::Engine;
use server::fault::Kind;

on_both_databases!(
    nobody_comes_in_without_a_key,
    a_key_is_shown_once_and_holds_until_it_expires,
    letters_of_a_scope_are_what_may_be_done,
    what_a_filter_hides_cannot_be_read,
    what_a_filter_hides_is_not_found_nor_counted,
    what_is_written_stays_within_reach,
    bundles_are_judged_entry_by_entry,
    what_is_labelled_is_hidden,
    what_is_not_about_resources_wants_a_role,
    a_key_that_is_revoked_lets_nobody_in_for_long,
    what_was_told_is_told_again_only_to_who_may_read_it,
);

pub(crate) const SMART: &str = "auth = \"smart\"\n";

pub(crate) fn guarded(database: &Database) -> Kiln {
    Kiln::configured(database, SMART)
}

pub(crate) fn cli(database: &Database, arguments: &[&str]) -> std::process::Output {
    let mut kiln: Command = command();
    kiln.args(arguments);
    kiln.arg("--data").arg(&database.directory);
    kiln.args(["--database", &database.url]).output().unwrap()
}

/// Makes a key.
pub(crate) fn key(database: &Database, name: &str, arguments: &[&str]) -> String {
    let made = cli(database, &[&["key", "add", name], arguments].concat());
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{told}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Somebody with a key.
pub(crate) struct Holder<'k> {
    pub(crate) kiln: &'k Kiln,
    pub(crate) key: String,
}

impl Holder<'_> {
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [FHIR_JSON, ("X-Api-Key", self.key.as_str())];
        send(self.kiln.address, method, path, &headers, body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    pub(crate) fn put(&self, resource: &str) {
        let document = fhir_spec::json::parse(resource.as_bytes()).unwrap();
        let path = format!(
            "/fhir/{}/{}",
            document.str_of("resourceType").unwrap(),
            document.str_of("id").unwrap()
        );
        let answer = self.ask("PUT", &path, resource);
        assert!(answer.status < 300, "{path}: {}", answer.text());
    }
}

fn holder<'k>(kiln: &'k Kiln, database: &Database, name: &str, arguments: &[&str]) -> Holder<'k> {
    Holder {
        kiln,
        key: key(database, name, arguments),
    }
}

fn seeder<'k>(kiln: &'k Kiln, database: &Database) -> Holder<'k> {
    holder(kiln, database, "seeder", &["--role", "admin"])
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn observation(id: &str, patient: &str, category: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},
        "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}],
        "subject":{{"reference":"Patient/{patient}"}}}}"#
    )
}

fn patient(id: &str, family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{family}"}}]}}"#)
}

pub(crate) fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bundle = answer.json();
    let entries = bundle.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    let mut ids: Vec<String> = resources
        .filter_map(|resource| resource.str_of("id").map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

/// What is closed to those who show nothing.
const CLOSED: &[&str] = &[
    "/fhir/Patient",
    "/fhir/Patient/1",
    "/fhir/Patient/1/_history/1",
    "/fhir/Patient/_history",
    "/fhir/_history",
    "/fhir?_type=Patient",
    "/fhir/Patient/1/Observation",
    "/fhir/Patient/$validate",
    "/fhir/Composition/1/$document",
    "/api/messages",
    "/api/routes",
    "/api/overlays",
    "/api/maps",
    "/api/nothing",
    "/metrics",
    "/fhir/Nothing",
];

/// B7, A10, T-32, T-33.
fn nobody_comes_in_without_a_key(database: &Database) {
    let kiln = guarded(database);
    for path in ["/health/live", "/health/ready", "/fhir/metadata"] {
        assert_eq!(get(kiln.address, path).status, 200, "{path}");
    }
    let wrong: &[(&str, &str)] = &[
        ("X-Api-Key", "kiln_nothing"),
        ("Authorization", "Bearer garbage"),
        ("Authorization", "Bearer"),
        ("Authorization", "Basic garbage"),
        ("Authorization", "Basic YTpi"),
        ("Authorization", "Digest x"),
    ];
    for path in CLOSED {
        for headers in std::iter::once(&[][..]).chain(wrong.chunks(1)) {
            let answer = send(kiln.address, "GET", path, headers, b"").unwrap();
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            let asked = answer.header("WWW-Authenticate").unwrap();
            assert!(asked.starts_with("Bearer"), "{asked}");
        }
    }
    let answer = get(kiln.address, "/fhir/Patient");
    assert_eq!(answer.issue_code(), "login");
    assert_eq!(Kind::Unauthorized.row().status, answer.status);
    // Nothing is read of what nobody sent.
    let announced = [FHIR_JSON, ("Content-Length", "1000000000")];
    let large = send(kiln.address, "POST", "/fhir/Patient", &announced, b"");
    assert!(large.is_none_or(|answer| answer.status == 401));
}

fn a_key_is_shown_once_and_holds_until_it_expires(database: &Database) {
    let kiln = guarded(database);
    let past = [
        "key",
        "add",
        "old",
        "--role",
        "admin",
        "--expires",
        "2020-01-01",
    ];
    assert_eq!(cli(database, &past).status.code(), Some(1));
    let admin = seeder(&kiln, database);
    admin.put(&patient("1", "Muster"));
    let with = |header: &str| {
        let headers = [("Authorization", header)];
        let answer = send(kiln.address, "GET", "/fhir/Patient/1", &headers, b"");
        answer.unwrap().status
    };
    assert_eq!(with(&format!("Bearer {}", admin.key)), 200);
    let password = |name: &str| format!("Basic {}", base64(&format!("{name}:{}", admin.key)));
    assert_eq!(with(&password("seeder")), 200);
    assert_eq!(with(&password("other")), 401);
    let listed = String::from_utf8(cli(database, &["key", "list"]).stdout).unwrap();
    assert!(
        listed.contains("seeder holds") && !listed.contains(&admin.key),
        "{listed}"
    );
    database.execute("UPDATE api_keys SET expires_at = 1");
    let is_out = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        admin.get("/fhir/Patient/1").status == 401
    });
    assert!(is_out, "the key has expired");
}

/// F4, F14, F16, F17.
fn letters_of_a_scope_are_what_may_be_done(database: &Database) {
    let kiln = guarded(database);
    let admin = seeder(&kiln, database);
    admin.put(&observation("o", "1", "survey"));
    let body = observation("o", "1", "survey");
    let new = body.replace("\"id\":\"o\",", "");
    let patch = r#"[{"op":"replace","path":"/status","value":"amended"}]"#;
    // What is asked, and the letters of which all are needed.
    let asked: &[(&str, &str, &str, &str)] = &[
        ("GET", "/fhir/Observation/o", "", "r"),
        ("GET", "/fhir/Observation/o/_history/1", "", "r"),
        ("GET", "/fhir/Observation/o/_history", "", "r"),
        ("GET", "/fhir/Observation", "", "s"),
        ("GET", "/fhir/Observation/_history", "", "s"),
        ("POST", "/fhir/Observation", &new, "c"),
        ("PUT", "/fhir/Observation/o", &body, "u"),
        (
            "PUT",
            "/fhir/Observation/other",
            &body.replace("\"o\"", "\"other\""),
            "u",
        ),
        // It would create one where there is none.
        ("PUT", "/fhir/Observation?_id=o", &body, "cus"),
        ("DELETE", "/fhir/Observation/o", "", "d"),
        ("DELETE", "/fhir/Observation?_id=o", "", "ds"),
    ];
    let all = ["c", "r", "u", "d", "s", "cus", "ds", "crus"];
    for (number, letters) in all.into_iter().enumerate() {
        let scope = format!("system/Observation.{letters}");
        let caller = holder(&kiln, database, &format!("k{number}"), &["--scope", &scope]);
        for (method, path, body, needed) in asked {
            let answer = caller.ask(method, path, body);
            let may = needed.chars().all(|letter| letters.contains(letter));
            let told = format!(
                "{letters}: {method} {path}: {} {}",
                answer.status,
                answer.text()
            );
            match may {
                true => assert!(answer.status < 300 || answer.status == 410, "{told}"),
                false => assert_eq!(answer.status, 403, "{told}"),
            }
            admin.put(&observation("o", "1", "survey"));
        }
        // Other types are closed, whatever the letters.
        assert_eq!(caller.get("/fhir/Patient").status, 403);
        assert_eq!(caller.get("/fhir/Patient/1").status, 403);
    }
    let headers = [("Content-Type", "application/json-patch+json")];
    let reader = holder(
        &kiln,
        database,
        "reader",
        &["--scope", "system/Observation.rs"],
    );
    let headers = [headers[0], ("X-Api-Key", &*reader.key)];
    let patched = send(
        kiln.address,
        "PATCH",
        "/fhir/Observation/o",
        &headers,
        patch.as_bytes(),
    );
    assert_eq!(patched.unwrap().status, 403);
}

/// Two observations within the scope of laboratories, of which one was moved away, and one that never was.
fn filtered<'k>(kiln: &'k Kiln, database: &Database) -> Holder<'k> {
    let admin = seeder(kiln, database);
    admin.put(&patient("1", "Muster"));
    admin.put(&observation("lab", "1", "laboratory"));
    admin.put(&observation("soc", "1", "social-history"));
    admin.put(&observation("moved", "1", "laboratory"));
    admin.put(&observation("moved", "1", "social-history"));
    let scope = "system/Observation.rs?category=laboratory system/Patient.rs";
    holder(kiln, database, "lab", &["--scope", scope])
}

/// F5, F7, F8, T-2.
fn what_a_filter_hides_cannot_be_read(database: &Database) {
    let kiln = guarded(database);
    let caller = filtered(&kiln, database);
    assert_eq!(caller.get("/fhir/Observation/lab").status, 200);
    let absent = caller.get("/fhir/Observation/gone").text();
    for hidden in ["soc", "moved", "nothing"] {
        let read = caller.get(&format!("/fhir/Observation/{hidden}"));
        // What is hidden looks like what is absent.
        assert_eq!((read.status, read.text()), (404, absent.clone()));
        for path in ["_history/1", "_history"] {
            let answer = caller.get(&format!("/fhir/Observation/{hidden}/{path}"));
            assert_eq!(answer.status, 404, "{hidden} {path}: {}", answer.text());
        }
    }
    // A second scope for the type adds what it allows (F12).
    let scope =
        "system/Observation.rs?category=laboratory system/Observation.rs?category=social-history";
    let both = holder(&kiln, database, "both", &["--scope", scope]);
    assert_eq!(ids(&both.get("/fhir/Observation")), ["lab", "moved", "soc"]);
}

/// F5, F18, T-1, T-4.
fn what_a_filter_hides_is_not_found_nor_counted(database: &Database) {
    let kiln = guarded(database);
    let caller = filtered(&kiln, database);
    for path in [
        "Observation",
        "Observation?_sort=-_lastUpdated",
        "Observation?patient=1",
        "Observation?_total=accurate",
        "Observation?_id=lab,soc,moved",
        "Observation?category:not=nothing",
        "Observation?code:missing=false",
        "Patient/1/Observation",
        "Observation/_history",
        "Observation?subject:Patient.name=Muster",
        "Observation?_filter=category%20ne%20x",
    ] {
        let answer = caller.get(&format!("/fhir/{path}"));
        assert_eq!(ids(&answer), ["lab"], "{path}");
        let total = answer.json().get("total").and_then(Value::as_u64);
        assert!(total.is_none_or(|total| total == 1), "{path} {total:?}");
    }
    for path in ["_summary=count", "_count=0", "patient=1&_summary=count"] {
        let answer = caller.get(&format!("/fhir/Observation?{path}"));
        let total = answer.json().get("total").and_then(Value::as_u64);
        assert_eq!(total, Some(1), "{path}");
    }
    let has = "Patient?_has:Observation:patient:category=";
    for (path, found) in [
        ("Patient?_revinclude=Observation:patient", &["1", "lab"][..]),
        (&format!("{has}social-history"), &[]),
        (&format!("{has}laboratory"), &["1"]),
        ("?_type=Observation,Patient", &["1", "lab"]),
    ] {
        assert_eq!(ids(&caller.get(&format!("/fhir/{path}"))), found, "{path}");
    }
    // A type that may not be searched may not be asked about either, whatever is there.
    for path in [
        "Observation?encounter.status=finished",
        "Observation?performer:Practitioner.name=x",
        "Patient?_has:Condition:patient:code=x",
        "Patient?_list=x",
        "Condition",
        "Observation?_contained=true",
    ] {
        let answer = caller.get(&format!("/fhir/{path}"));
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
}

/// T-10.
fn what_is_written_stays_within_reach(database: &Database) {
    let kiln = guarded(database);
    let admin = seeder(&kiln, database);
    admin.put(&patient("1", "A"));
    admin.put(&patient("2", "B"));
    admin.put(&observation("own", "1", "survey"));
    admin.put(&observation("foreign", "2", "survey"));
    let scope = ["--scope", "patient/*.cruds", "--patient", "1"];
    let caller = holder(&kiln, database, "one", &scope);
    let status = |method: &str, path: &str, body: &str| caller.ask(method, path, body).status;
    let unnamed = |patient: &str| observation("x", patient, "survey").replace("\"id\":\"x\",", "");
    assert_eq!(status("POST", "/fhir/Observation", &unnamed("1")), 201);
    assert_eq!(status("POST", "/fhir/Observation", &unnamed("2")), 403);
    assert_eq!(
        status(
            "PUT",
            "/fhir/Observation/own",
            &observation("own", "1", "exam")
        ),
        200
    );
    // Not to somebody else, and not from there.
    assert_eq!(
        status(
            "PUT",
            "/fhir/Observation/own",
            &observation("own", "2", "survey")
        ),
        403
    );
    assert_eq!(
        status(
            "PUT",
            "/fhir/Observation/foreign",
            &observation("foreign", "1", "survey")
        ),
        403
    );
    assert_eq!(
        status(
            "PUT",
            "/fhir/Observation/free",
            &observation("free", "1", "survey")
        ),
        403
    );
    let deleted = caller.ask("DELETE", "/fhir/Observation/foreign", "");
    let never = caller.ask("DELETE", "/fhir/Observation/never", "");
    assert_eq!(
        (deleted.status, deleted.text()),
        (never.status, never.text())
    );
    assert_eq!(admin.get("/fhir/Observation/foreign").status, 200);
    let conditional = caller.ask("DELETE", "/fhir/Observation?category=survey", "");
    assert!(conditional.status < 300, "{}", conditional.text());
    assert_eq!(admin.get("/fhir/Observation/foreign").status, 200);
    assert_eq!(status("DELETE", "/fhir/Observation/own", ""), 204);
    // One's own record cannot be made to be another one.
    assert_eq!(
        status("POST", "/fhir/Patient", r#"{"resourceType":"Patient"}"#),
        403
    );
    assert_eq!(status("PUT", "/fhir/Patient/2", &patient("2", "mine")), 403);
    assert_eq!(
        status(
            "PUT",
            "/fhir/Organization/o",
            r#"{"resourceType":"Organization","id":"o","name":"x"}"#
        ),
        403
    );
}

/// F15, SM-14.
fn bundles_are_judged_entry_by_entry(database: &Database) {
    let kiln = guarded(database);
    let admin = seeder(&kiln, database);
    admin.put(&observation("o", "1", "survey"));
    let caller = holder(&kiln, database, "k", &["--scope", "system/Observation.rs"]);
    let entries = r#"{"request":{"method":"GET","url":"Observation/o"}},
        {"request":{"method":"GET","url":"Patient/1"}},
        {"request":{"method":"GET","url":"Observation?status=final"}},
        {"request":{"method":"DELETE","url":"Observation/o"}}"#;
    let bundle =
        |kind: &str| format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#);
    let answer = caller.ask("POST", "/fhir", &bundle("batch"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let statuses: Vec<&str> = json
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("response")?.str_of("status")?.get(..3))
        .collect();
    assert_eq!(statuses, ["200", "403", "200", "403"]);
    let answer = caller.ask("POST", "/fhir", &bundle("transaction"));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(admin.get("/fhir/Observation/o").status, 200);
}

/// T-12.
fn what_is_labelled_is_hidden(database: &Database) {
    let kiln = guarded(database);
    let admin = seeder(&kiln, database);
    admin.put(&patient("1", "A"));
    let label = r#""meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status""#;
    admin.put(&observation("secret", "1", "survey").replace("\"status\"", label));
    admin.put(&observation("plain", "1", "survey"));
    let clinician = holder(&kiln, database, "clinician", &["--role", "clinician"]);
    let program = holder(&kiln, database, "program", &["--scope", "system/*.cruds"]);
    for caller in [&clinician, &program] {
        assert_eq!(caller.get("/fhir/Observation/secret").status, 404);
        assert_eq!(ids(&caller.get("/fhir/Observation")), ["plain"]);
        assert_eq!(ids(&caller.get("/fhir/Observation/_history")), ["plain"]);
        assert_eq!(
            ids(&caller.get("/fhir/Patient?_revinclude=Observation:patient")),
            ["1", "plain"]
        );
    }
    assert_eq!(admin.get("/fhir/Observation/secret").status, 200);
    let cleared = holder(
        &kiln,
        database,
        "auditor",
        &["--scope", "system/Observation.rs", "--role", "auditor"],
    );
    assert_eq!(ids(&cleared.get("/fhir/Observation")), ["plain", "secret"]);
}

fn what_is_not_about_resources_wants_a_role(database: &Database) {
    let kiln = guarded(database);
    let clinician = holder(&kiln, database, "clinician", &["--role", "clinician"]);
    let integrator = holder(&kiln, database, "integrator", &["--role", "integrator"]);
    let admin = seeder(&kiln, database);
    for (path, of_integrator) in [
        ("/api/messages", 200),
        ("/api/routes", 200),
        ("/api/overlays", 200),
        ("/metrics", 200),
        ("/fhir/Patient", 403),
        ("/fhir/Patient?_explain=true", 403),
    ] {
        assert_eq!(integrator.get(path).status, of_integrator, "{path}");
        assert_eq!(admin.get(path).status, 200, "{path}");
        let of_clinician = if path == "/fhir/Patient" { 200 } else { 403 };
        assert_eq!(clinician.get(path).status, of_clinician, "{path}");
    }
    let message = crate::mllp::adt("1", "P1");
    let hl7 = |holder: &Holder<'_>| {
        let headers = [
            ("Content-Type", "x-application/hl7-v2+er7"),
            ("X-Api-Key", &*holder.key),
        ];
        send(
            kiln.address,
            "POST",
            "/api/hl7/v2",
            &headers,
            message.as_bytes(),
        )
        .unwrap()
        .status
    };
    assert_eq!(hl7(&clinician), 403);
    assert_eq!(hl7(&integrator), 200);
}

fn a_key_that_is_revoked_lets_nobody_in_for_long(database: &Database) {
    let kiln = guarded(database);
    let caller = seeder(&kiln, database);
    assert_eq!(caller.get("/fhir/Patient").status, 200);
    // The next one is there before the old one goes; a third is not.
    let next = holder(&kiln, database, "seeder", &["--role", "admin"]);
    let third = cli(database, &["key", "add", "seeder", "--role", "admin"]);
    assert_eq!(third.status.code(), Some(1));
    assert!(
        String::from_utf8(third.stderr)
            .unwrap()
            .contains("revoke one first")
    );
    let listed = String::from_utf8(cli(database, &["key", "list"]).stdout).unwrap();
    let first = listed.lines().next().unwrap();
    let hash = first.split_once("hash=").unwrap().1;
    assert!(cli(database, &["key", "revoke", hash]).status.success());
    let is_out = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        caller.get("/fhir/Patient").status == 401
    });
    assert!(is_out);
    assert_eq!(next.get("/fhir/Patient").status, 200);
    assert!(!cli(database, &["key", "revoke", "nobody"]).status.success());
}

fn what_was_told_is_told_again_only_to_who_may_read_it(database: &Database) {
    let settings = format!("{SMART}[deliveries]\nallow = [\"127.0.0.0/8\"]\n");
    let kiln = Kiln::configured(database, &settings);
    let receiver = crate::receiver::Receiver::start();
    let admin = seeder(&kiln, database);
    let endpoint = receiver.url();
    admin.put(&format!(
        r#"{{"resourceType":"Subscription","id":"s","status":"requested","reason":"r","criteria":"Observation?status=final",
        "channel":{{"type":"rest-hook","endpoint":"{endpoint}"}}}}"#
    ));
    let is_active = (0..400).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        admin
            .get("/fhir/Subscription/s")
            .text()
            .contains("\"active\"")
    });
    assert!(is_active);
    admin.put(&observation("seen", "1", "laboratory"));
    admin.put(&observation("hidden", "1", "survey"));
    receiver.wait(2);
    let scope = "system/Subscription.r system/Observation.r?category=laboratory";
    let limited = holder(&kiln, database, "limited", &["--scope", scope]);
    for content in ["id-only", "full-resource"] {
        let path = format!("/fhir/Subscription/s/$events?content={content}");
        let (all, some) = (admin.get(&path), limited.get(&path));
        assert_eq!((all.status, some.status), (200, 200), "{}", some.text());
        assert!(all.text().contains("Observation/hidden"), "{}", all.text());
        assert!(some.text().contains("Observation/seen"), "{}", some.text());
        assert!(!some.text().contains("hidden"), "{}", some.text());
    }
}
