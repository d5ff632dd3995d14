//! The audit from outside: everything that is done is told, once for each patient, to those who may read it; nobody changes
//! it, and what somebody has done to it behind the server's back is found. (H-9, H-10, H-11, H-17)

use fhir_spec::json::Value;

use crate::authorised::{Holder, cli, guarded, key};
use crate::client::{Answer, FHIR_JSON, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    every_access_is_told,
    what_is_refused_is_told_too,
    the_audit_is_read_by_few_and_changed_by_nobody,
    it_is_searched_page_by_page,
    what_was_done_to_it_is_named,
    what_cannot_be_told_is_not_shown,
    an_open_server_tells_nothing_unless_asked_to,
    an_import_is_told,
);

fn holder<'k>(kiln: &'k Kiln, database: &Database, name: &str, arguments: &[&str]) -> Holder<'k> {
    Holder {
        kiln,
        key: key(database, name, arguments),
    }
}

fn observation(id: &str, subject: &str, performer: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},
        "subject":{{"reference":"Patient/{subject}"}},"performer":[{{"reference":"{performer}"}}]}}"#
    )
}

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#)
}

fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bundle = answer.json();
    let entries = bundle.items_of("entry").iter();
    entries
        .filter_map(|entry| entry.get("resource").cloned())
        .collect()
}

fn code_of<'v>(event: &'v Value, name: &str) -> &'v str {
    let coding = match event.get(name) {
        Some(value) if value.as_array().is_some() => event.items_of(name).first(),
        value => value,
    };
    coding.and_then(|coding| coding.str_of("code")).unwrap()
}

/// Subtype, action and outcome.
fn short(event: &Value) -> String {
    let [action, outcome] = ["action", "outcome"].map(|name| event.str_of(name).unwrap());
    format!("{} {action} {outcome}", code_of(event, "subtype"))
}

fn shorts(answer: &Answer) -> Vec<String> {
    let mut all: Vec<String> = events(answer).iter().map(short).collect();
    all.sort();
    all
}

/// What the entities of a role are.
fn entities<'v>(event: &'v Value, role: &str) -> Vec<&'v Value> {
    let of_role = |entity: &&Value| {
        let role_of = entity.get("role").and_then(|role| role.str_of("code"));
        role_of == Some(role)
    };
    event.items_of("entity").iter().filter(of_role).collect()
}

/// H-9: create, read, vread, update, delete, history, search, batch and operation, each told of the patients touched.
fn every_access_is_told(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let clinician = holder(&kiln, database, "dr", &["--role", "clinician"]);
    let auditor = holder(&kiln, database, "auditor", &["--role", "auditor"]);
    for id in ["1", "2"] {
        admin.put(&patient(id));
    }
    clinician.put(&observation("o1", "1", "Practitioner/p"));
    clinician.put(&observation("o2", "2", "Patient/1"));
    let of = |patient: &str| {
        let path = format!("/fhir/AuditEvent?patient=Patient/{patient}&agent=key:dr&_count=100");
        let path = path.replace("agent=key:dr", "agent:identifier=key:dr");
        shorts(&auditor.get(&path))
    };
    assert_eq!(of("1"), ["create C 0", "create C 0"]);
    assert_eq!(of("2"), ["create C 0"]);
    do_much(&clinician);
    let told = [
        "create C 0",
        "create C 0",
        "delete D 0",
        "history-instance R 0",
        "read R 0",
        "read R 0",
        "search-type E 0",
        "update U 0",
        "vread R 0",
    ];
    assert_eq!(of("1"), told);
    let told = [
        "create C 0",
        "read R 0",
        "search-type E 0",
        "search-type E 0",
    ];
    assert_eq!(of("2"), told);
    let all = auditor.get("/fhir/AuditEvent?agent:identifier=key:dr&_count=100&_sort=date");
    check_patterns(&events(&all));
}

/// Of each kind one or more.
fn do_much(clinician: &Holder<'_>) {
    for path in [
        "/fhir/Observation/o1",
        "/fhir/Observation/o1/_history/1",
        "/fhir/Observation/o1/_history",
        "/fhir/Observation?code:text=x&_include=Observation:subject",
        "/fhir/Practitioner?name=nobody",
    ] {
        assert_eq!(clinician.get(path).status, 200, "{path}");
    }
    let changed = observation("o1", "1", "Practitioner/q");
    assert_eq!(
        clinician
            .ask("PUT", "/fhir/Observation/o1", &changed)
            .status,
        200
    );
    assert_eq!(
        clinician.ask("DELETE", "/fhir/Observation/o1", "").status,
        204
    );
    let batch = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"request":{"method":"GET","url":"Observation/o2"}},
        {"request":{"method":"GET","url":"Observation/absent"}},
        {"request":{"method":"GET","url":"Patient?_id=2"}}]}"#;
    assert_eq!(clinician.ask("POST", "/fhir", batch).status, 200);
}

/// What IHE's patterns want of them.
fn check_patterns(all: &[Value]) {
    let reads = all
        .iter()
        .filter(|event| code_of(event, "subtype") == "read");
    let of_one = reads.clone().find(|event| !entities(event, "1").is_empty());
    let of_one = of_one.unwrap().to_string();
    for part in [
        "IHE.BasicAudit.PatientRead",
        r#""reference":"Patient/1""#,
        r#""reference":"Observation/o1""#,
        r#""value":"key:dr""#,
        r#""address":"127.0.0.1""#,
        "XrequestId",
    ] {
        assert!(of_one.contains(part), "{part}: {of_one}");
    }
    assert!(
        reads
            .clone()
            .any(|event| event.str_of("outcome") == Some("4"))
    );
    let searched = all.iter().find(|event| short(event) == "search-type E 0");
    let query = entities(searched.unwrap(), "24")[0]
        .str_of("query")
        .unwrap();
    use base64::Engine;
    let query = base64::engine::general_purpose::STANDARD
        .decode(query)
        .unwrap();
    let query = String::from_utf8(query).unwrap();
    assert!(
        query.starts_with("Observation?code%3Atext=x&_include="),
        "{query}"
    );
    let nobody = all
        .iter()
        .filter(|event| short(event) == "search-type E 0" && entities(event, "1").is_empty());
    assert_eq!(nobody.count(), 1, "nobody was found, and that is told");
}

/// Denials, what is not there, and keys that nobody knows.
fn what_is_refused_is_told_too(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let own = ["--scope", "patient/*.rs", "--patient", "1"];
    let own = holder(&kiln, database, "own", &own);
    for id in ["1", "2"] {
        admin.put(&patient(id));
    }
    assert!(own.get("/fhir/Patient/2").status >= 403);
    assert_eq!(own.ask("DELETE", "/fhir/Patient/2", "").status, 403);
    assert_eq!(own.get("/metrics").status, 403);
    assert_eq!(own.get("/api/messages").status, 403);
    let headers = [FHIR_JSON, ("X-Api-Key", "kiln_wrong")];
    let wrong = send(kiln.address, "GET", "/fhir/Patient/2", &headers, b"").unwrap();
    assert_eq!(wrong.status, 401);
    let denied = admin.get("/fhir/AuditEvent?patient=2&outcome=4");
    assert_eq!(shorts(&denied), ["delete D 4", "read R 4", "refused E 4"]);
    let who = admin.get("/fhir/AuditEvent?agent:identifier=unknown");
    assert_eq!(shorts(&who), ["refused E 4"]);
    let own =
        admin.get("/fhir/AuditEvent?agent:identifier=key:own&outcome=4&_count=0&_total=accurate");
    assert_eq!(own.json().get("total").and_then(Value::as_u64), Some(4));
}

fn the_audit_is_read_by_few_and_changed_by_nobody(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let auditor = holder(&kiln, database, "auditor", &["--role", "auditor"]);
    admin.put(&patient("1"));
    let found = events(&auditor.get("/fhir/Patient/1/AuditEvent"));
    assert_eq!(found.len(), 1);
    let id = found[0].str_of("id").unwrap().to_owned();
    let one = format!("/fhir/AuditEvent/{id}");
    assert_eq!(auditor.get(&one).json().str_of("id"), Some(id.as_str()));
    assert_eq!(admin.get(&one).status, 200);
    assert_eq!(auditor.get("/fhir/AuditEvent/1-999999").status, 404);
    assert_eq!(auditor.get("/fhir/Patient/1").status, 403);
    for (name, arguments) in [
        ("clinician", &["--role", "clinician"][..]),
        ("patient", &["--role", "patient", "--patient", "1"]),
        ("scoped", &["--scope", "system/*.cruds"]),
        ("own", &["--scope", "patient/*.rs", "--patient", "1"]),
    ] {
        let other = holder(&kiln, database, name, arguments);
        for path in ["/fhir/AuditEvent", &one, "/fhir/AuditEvent?patient=1"] {
            let status = other.get(path).status;
            assert!(status == 403 || status == 404, "{name} {path}: {status}");
        }
        let bundle = r#"{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"AuditEvent"}}]}"#;
        let answer = other.ask("POST", "/fhir", bundle).text();
        assert!(!answer.contains("searchset"), "{name}: {answer}");
    }
    let mut event = found[0].to_string();
    for holder in [&admin, &auditor] {
        assert_eq!(holder.ask("PUT", &one, &event).status, 403);
        assert_eq!(holder.ask("DELETE", &one, "").status, 403);
        assert_eq!(holder.ask("POST", "/fhir/AuditEvent", &event).status, 403);
        assert_eq!(
            holder
                .ask("DELETE", "/fhir/AuditEvent?patient=1", "")
                .status,
            403
        );
    }
    event.truncate(event.len());
    let transaction = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{event},"request":{{"method":"POST","url":"AuditEvent"}}}}]}}"#
    );
    assert_eq!(admin.ask("POST", "/fhir", &transaction).status, 403);
    let verified = cli(database, &["verify", "--audit"]);
    assert!(verified.status.success(), "{verified:?}");
}

fn it_is_searched_page_by_page(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    admin.put(&patient("1"));
    for _ in 0..7 {
        assert_eq!(admin.get("/fhir/Patient/1").status, 200);
    }
    let mut path = "/fhir/AuditEvent?patient=Patient/1&subtype=read&_count=3&_sort=date".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = admin.get(&path);
        let found = events(&page);
        assert!(found.len() <= 3);
        ids.extend(
            found
                .iter()
                .map(|event| event.str_of("id").unwrap().to_owned()),
        );
        let page = page.json();
        let mut links = page.items_of("link").iter();
        let next = links.find(|link| link.str_of("relation") == Some("next"));
        let Some(next) = next.and_then(|link| link.str_of("url")) else {
            break;
        };
        path = format!("/fhir{}", next.split_once("/fhir").unwrap().1);
    }
    assert_eq!(ids.len(), 7);
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!(distinct, ids);
    let newest = events(&admin.get("/fhir/AuditEvent?patient=1&subtype=read&_count=1"));
    assert_eq!(newest[0].str_of("id"), Some(ids[6].as_str()));
    let first = newest[0].str_of("recorded").unwrap().to_owned();
    let since = format!("/fhir/AuditEvent?patient=1&subtype=read&date=ge{first}");
    assert_eq!(events(&admin.get(&since)).len(), 1);
    let before =
        format!("/fhir/AuditEvent?patient=1&subtype=read&date=lt{first}&_total=accurate&_count=2");
    let page = admin.get(&before).json();
    assert_eq!(page.get("total").and_then(Value::as_u64), Some(6));
    for refused in [
        "patient.name=x",
        "_include=AuditEvent:patient",
        "_sort=agent",
        "nothing=1",
    ] {
        let answer = admin.get(&format!("/fhir/AuditEvent?{refused}"));
        assert_eq!(answer.status, 400, "{refused}");
    }
    assert_eq!(events(&admin.get("/fhir/AuditEvent?patient=2")).len(), 0);
}

/// H-10: altered, taken out, put in, cut off at the end.
fn what_was_done_to_it_is_named(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    admin.put(&patient("1"));
    for _ in 0..8 {
        assert_eq!(admin.get("/fhir/Patient/1").status, 200);
    }
    drop(kiln);
    let verify = || {
        let done = cli(database, &["verify", "--audit"]);
        (
            done.status.success(),
            String::from_utf8(done.stdout).unwrap(),
        )
    };
    let (is_well, told) = verify();
    assert!(is_well, "{told}");
    let chain = database.number("SELECT chain FROM audit_events ORDER BY seq DESC LIMIT 1");
    let last = database.number(&format!(
        "SELECT max(seq) FROM audit_events WHERE chain = {chain}"
    ));
    assert!(last >= 5);
    let whole = "CREATE TABLE kept AS SELECT * FROM audit_events";
    database.execute(whole);
    let tried = |sql: String, named: String| {
        database.execute(&sql);
        let (is_well, told) = verify();
        assert!(!is_well, "{sql}");
        assert!(told.contains(&named), "{sql}: {told}");
        database.execute("DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept");
        assert!(verify().0, "{sql}");
    };
    let at = |seq: i64| format!("WHERE chain = {chain} AND seq = {seq}");
    tried(
        format!(
            "UPDATE audit_events SET body = replace(body, '\"R\"', '\"E\"') {}",
            at(3)
        ),
        format!("AuditEvent/{chain}-3:"),
    );
    tried(
        format!("UPDATE audit_events SET patient = '2' {}", at(4)),
        format!("AuditEvent/{chain}-4:"),
    );
    tried(
        format!("UPDATE audit_events SET at = at + 1 {}", at(4)),
        format!("AuditEvent/{chain}-4:"),
    );
    tried(
        format!("DELETE FROM audit_events {}", at(2)),
        format!("AuditEvent/{chain}-2: taken out"),
    );
    tried(
        format!("DELETE FROM audit_events {}", at(last)),
        format!("AuditEvent/{chain}-{last}"),
    );
    tried(
        format!(
            "INSERT INTO audit_events SELECT chain, seq + 1, at, patient, body, hash FROM audit_events {}",
            at(last)
        ),
        format!("AuditEvent/{chain}-{}", last + 1),
    );
    tried(
        "DELETE FROM audit_events".to_owned(),
        format!("AuditEvent/{chain}-1 to {chain}-{last}: taken out"),
    );
}

/// H-11: an answer that could not be told stays here.
fn what_cannot_be_told_is_not_shown(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    admin.put(&patient("1"));
    database.execute("ALTER TABLE audit_events RENAME TO elsewhere");
    let read = admin.get("/fhir/Patient/1");
    assert_eq!(read.status, 503, "{}", read.text());
    assert!(!read.text().contains(r#""id":"1""#));
    let written = admin.ask("PUT", "/fhir/Patient/2", &patient("2"));
    assert!(written.status >= 500, "{}", written.text());
    database.execute("ALTER TABLE elsewhere RENAME TO audit_events");
    assert_eq!(admin.get("/fhir/Patient/1").status, 200);
    assert_eq!(
        admin.get("/fhir/Patient/2").status,
        404,
        "nothing was written"
    );
}

fn an_open_server_tells_nothing_unless_asked_to(database: &Database) {
    let ask = |kiln: &Kiln, method: &str, path: &str, body: &str| {
        send(kiln.address, method, path, &[FHIR_JSON], body.as_bytes()).unwrap()
    };
    let event = r#"{"resourceType":"AuditEvent","id":"own","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z",
        "agent":[{"requestor":true}],"source":{"observer":{"display":"x"}}}"#;
    let open = Kiln::start(database);
    assert_eq!(
        ask(&open, "PUT", "/fhir/Patient/1", &patient("1")).status,
        201
    );
    assert_eq!(ask(&open, "GET", "/fhir/Patient/1", "").status, 200);
    assert_eq!(ask(&open, "PUT", "/fhir/AuditEvent/own", event).status, 201);
    assert_eq!(database.number("SELECT count(*) FROM audit_events"), 0);
    drop(open);
    let told = Kiln::configured(database, "[audit]\nenabled = true\n");
    assert_eq!(ask(&told, "GET", "/fhir/Patient/1", "").status, 200);
    assert_eq!(ask(&told, "PUT", "/fhir/AuditEvent/own", event).status, 403);
    let found = ask(&told, "GET", "/fhir/AuditEvent?patient=1", "");
    assert_eq!(shorts(&found), ["read R 0"]);
}

/// What comes in by the command is told as well, and no events of others with it.
fn an_import_is_told(database: &Database) {
    let kiln = guarded(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    admin.put(&patient("1"));
    let event = r#"{"resourceType":"AuditEvent","id":"own","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"x"}}}"#;
    let file = database.directory.join("in.ndjson");
    let text = format!(
        "{}\n{event}\n",
        observation("imported", "1", "Practitioner/p").replace('\n', "")
    );
    std::fs::write(&file, text).unwrap();
    let refused = database.directory.join("refused.ndjson");
    let done = cli(
        database,
        &[
            "import",
            file.to_str().unwrap(),
            "--refused",
            refused.to_str().unwrap(),
        ],
    );
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let refused = std::fs::read_to_string(refused).unwrap();
    assert!(refused.contains("told by this server"), "{refused}");
    let found = events(&admin.get("/fhir/AuditEvent?patient=1&agent:identifier=kiln%20import"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].to_string().contains("Observation/imported"));
    assert!(cli(database, &["verify", "--audit"]).status.success());
}
