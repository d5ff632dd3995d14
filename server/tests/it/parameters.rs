//! Search parameters that users post: at once where the index knows what they ask for, after a reindex where it does not.
//! <https://hl7.org/fhir/R4/searchparameter.html>

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::{Answer, FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    known_elements_need_no_reindex,
    what_was_there_before_is_found_too,
    what_cannot_be_served_is_refused,
    a_parameter_changes_and_goes,
    the_meaning_of_a_code_is_no_accident,
    what_is_not_there_yet_is_not_answered_in_part,
);

/// How long a test waits for what takes a moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Resources get their rows one by one, so that a test sees it happen.
pub(crate) const SLOWLY: &str =
    "[limits]\nreindex_batch_max = 1\nreindex_pause_ms = 120\nreindex_lease_ms = 1000\n";

/// A search parameter of patients.
pub(crate) fn parameter(code: &str, kind: &str, expression: &str) -> String {
    format!(
        r#"{{"resourceType":"SearchParameter","id":"{code}","url":"http://example.org/{code}","name":"{code}","status":"active",
        "description":"d","code":"{code}","base":["Patient"],"type":"{kind}","expression":"{expression}"}}"#
    )
}

/// A patient with a value of an extension.
pub(crate) fn extended(id: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Fox"}}],"extension":[{{"url":"http://x/e",{value}}}]}}"#
    )
}

pub(crate) const NICK: &str = "Patient.extension('http://x/e').value";

pub(crate) fn put(address: SocketAddr, kind: &str, id: &str, body: &str) -> Answer {
    let path = format!("/fhir/{kind}/{id}");
    send(address, "PUT", &path, &[FHIR_JSON], body.as_bytes()).unwrap()
}

pub(crate) fn stored(address: SocketAddr, kind: &str, id: &str, body: &str) {
    let answer = put(address, kind, id, body);
    assert!(answer.status < 300, "{}", answer.text());
}

pub(crate) fn posted(address: SocketAddr, code: &str, kind: &str, expression: &str) {
    stored(
        address,
        "SearchParameter",
        code,
        &parameter(code, kind, expression),
    );
}

/// The ids that a search of patients finds, when it is answered.
pub(crate) fn matches(address: SocketAddr, query: &str) -> Result<Vec<String>, Answer> {
    let answer = get(address, &format!("/fhir/Patient?_count=1000&{query}"));
    if answer.status != 200 {
        return Err(answer);
    }
    let bundle = answer.json();
    let entries = bundle.items_of("entry").iter();
    let mut ids: Vec<String> = entries
        .map(|entry| {
            entry
                .get("resource")
                .unwrap()
                .str_of("id")
                .unwrap()
                .to_owned()
        })
        .collect();
    ids.sort();
    Ok(ids)
}

/// The same once the index is ready, which is waited for.
pub(crate) fn ready(address: SocketAddr, query: &str) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    loop {
        match matches(address, query) {
            Ok(ids) => return ids,
            Err(answer) => {
                assert_eq!(answer.status, 503, "{query}: {}", answer.text());
                assert_eq!(answer.issue_code(), "incomplete");
                assert!(Instant::now() < until, "{query}: {}", answer.text());
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn verified(database: &Database) {
    let verified = crate::kiln::output(&["verify", "--database", &database.url]);
    let told = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{told}");
}

fn known_elements_need_no_reindex(database: &Database) {
    let kiln = Kiln::configured(database, SLOWLY);
    let address = kiln.address;
    for number in 0..40 {
        stored(
            address,
            "Patient",
            &format!("p{number}"),
            &extended(&format!("p{number}"), r#""valueString":"a""#),
        );
    }
    posted(address, "clan", "string", "Patient.name.family");
    assert_eq!(matches(address, "clan=fox").unwrap().len(), 40);
    let statement = get(address, "/fhir/metadata").text();
    assert!(statement.contains("http://example.org/clan"));
    verified(database);
}

/// Values of an extension, of each kind.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("string", r#""valueString":"Foxy""#, "fox", "cat"),
    (
        "token",
        r#""valueCoding":{"system":"http://s","code":"c"}"#,
        "http://s|c",
        "d",
    ),
    (
        "reference",
        r#""valueReference":{"reference":"Patient/boss"}"#,
        "Patient/boss",
        "Patient/1",
    ),
    ("date", r#""valueDate":"2020-02-02""#, "gt2019", "lt2019"),
    (
        "quantity",
        r#""valueQuantity":{"value":5,"system":"http://unitsofmeasure.org","code":"g"}"#,
        "0.005||kg",
        "6",
    ),
    (
        "uri",
        r#""valueUri":"http://u/1""#,
        "http://u/1",
        "http://u",
    ),
    ("number", r#""valueInteger":7"#, "7", "gt8"),
];

fn what_was_there_before_is_found_too(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    for (kind, value, _, _) in KINDS {
        stored(address, "Patient", kind, &extended(kind, value));
    }
    for (kind, value, finds, misses) in KINDS {
        let code = format!("e-{kind}");
        posted(address, &code, kind, NICK);
        // Whoever posts is answered when so little is done.
        assert_eq!(
            matches(address, &format!("{code}={finds}")).unwrap(),
            [*kind],
            "{kind}"
        );
        assert_eq!(
            matches(address, &format!("{code}={misses}")).unwrap(),
            [""; 0]
        );
        let new = format!("{kind}-new");
        stored(address, "Patient", &new, &extended(&new, value));
        assert_eq!(
            matches(address, &format!("{code}={finds}")).unwrap(),
            [*kind, &*new]
        );
    }
    posted(address, "e-count", "number", "Patient.name.count()");
    assert_eq!(ready(address, "e-count=1").len(), 2 * KINDS.len());
    verified(database);
    drop(kiln);
    let kiln = Kiln::start(database);
    assert_eq!(
        matches(kiln.address, "e-date=gt2019").unwrap(),
        ["date", "date-new"]
    );
}

fn what_cannot_be_served_is_refused(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    let refused = |body: &str, expected: &str, place: &str| {
        let answer = post(address, "/fhir/SearchParameter", body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
        let outcome = answer.json();
        let issues = outcome.items_of("issue").iter();
        let mut errors = issues.filter(|issue| issue.str_of("severity") == Some("error"));
        let issue = errors.next().unwrap();
        let told = issue.str_of("diagnostics").unwrap();
        assert!(told.contains(expected), "{told}");
        let at = issue.items_of("expression")[0].as_str().unwrap();
        assert_eq!(at, place);
    };
    let expression = "SearchParameter.expression";
    refused(
        &parameter("a", "string", "Patient.nam"),
        "has no element `nam`",
        expression,
    );
    refused(&parameter("a", "string", "Patient.name."), "", expression);
    refused(
        &parameter("a", "date", "Patient.gender"),
        "no date search can take",
        expression,
    );
    refused(
        &parameter("a", "string", "Observation.status"),
        "leads to nothing in a Patient",
        expression,
    );
    refused(
        &parameter("_count", "string", "Patient.name").replace(r#""id":"_count","#, ""),
        "every search",
        "SearchParameter.code",
    );
    // On every other road, and nothing of what comes with it is stored.
    let wrong = parameter("a", "string", "Patient.nam");
    assert_eq!(put(address, "SearchParameter", "a", &wrong).status, 422);
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"resource":{},"request":{{"method":"PUT","url":"Patient/x"}}}},
            {{"resource":{wrong},"request":{{"method":"PUT","url":"SearchParameter/a"}}}}]}}"#,
        extended("x", r#""valueString":"a""#)
    );
    let answer = post(address, "/fhir", &bundle);
    assert_eq!(answer.status, 422);
    assert!(
        answer
            .text()
            .contains("Bundle.entry[1].resource.expression"),
        "{}",
        answer.text()
    );
    assert_eq!(get(address, "/fhir/Patient/x").status, 404);
    posted(address, "a", "string", "Patient.name");
    let patch = br#"[{"op":"replace","path":"/expression","value":"Patient.nam"}]"#;
    let type_ = ("Content-Type", "application/json-patch+json");
    let patched = send(address, "PATCH", "/fhir/SearchParameter/a", &[type_], patch).unwrap();
    assert_eq!(patched.status, 422, "{}", patched.text());
    // A draft may say what it likes, and finds nothing.
    let draft = parameter("b", "string", "Patient.nam").replace("active", "draft");
    stored(address, "SearchParameter", "b", &draft);
    assert_eq!(matches(address, "b=x").unwrap_err().status, 400);
}

fn a_parameter_changes_and_goes(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    stored(
        address,
        "Patient",
        "p",
        r#"{"resourceType":"Patient","id":"p","contact":[{"name":{"family":"Ant"}}],"extension":[{"url":"http://x/e","valueString":"Bee"}]}"#,
    );
    posted(address, "own", "string", "Patient.contact.name");
    assert_eq!(ready(address, "own=ant"), ["p"]);
    posted(address, "own", "string", NICK);
    assert_eq!(
        (
            ready(address, "own=ant").len(),
            ready(address, "own=bee").len()
        ),
        (0, 1)
    );
    // While nobody asks for the contact its rows are not kept: later they are made anew.
    stored(
        address,
        "Patient",
        "p",
        r#"{"resourceType":"Patient","id":"p","contact":[{"name":{"family":"Cat"}}]}"#,
    );
    posted(address, "own", "string", "Patient.contact.name");
    assert_eq!(
        (
            ready(address, "own=ant").len(),
            ready(address, "own=cat").len()
        ),
        (0, 1)
    );
    verified(database);
    let deleted = send(address, "DELETE", "/fhir/SearchParameter/own", &[], b"").unwrap();
    assert_eq!(deleted.status, 204);
    assert_eq!(matches(address, "own=cat").unwrap_err().status, 400);
    verified(database);
    posted(address, "own", "string", "Patient.contact.name");
    assert_eq!(ready(address, "own=cat"), ["p"]);
    // Retired is as good as gone.
    let retired = parameter("own", "string", "Patient.contact.name").replace("active", "retired");
    stored(address, "SearchParameter", "own", &retired);
    assert_eq!(matches(address, "own=cat").unwrap_err().status, 400);
}

fn the_meaning_of_a_code_is_no_accident(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    stored(
        address,
        "Patient",
        "p",
        r#"{"resourceType":"Patient","id":"p","active":true,"gender":"male"}"#,
    );
    // Another meaning for a code of the specification.
    let taken = post(
        address,
        "/fhir/SearchParameter",
        &parameter("gender", "token", "Patient.active"),
    );
    assert_eq!(taken.status, 422);
    assert_eq!(taken.issue_code(), "duplicate");
    // Under the url of the specification it takes its place, until it goes.
    let url = "http://hl7.org/fhir/SearchParameter/individual-gender";
    let instead =
        parameter("gender", "token", "Patient.active").replace("http://example.org/gender", url);
    stored(address, "SearchParameter", "gender", &instead);
    assert_eq!(matches(address, "gender=true").unwrap(), ["p"]);
    assert_eq!(matches(address, "gender=male").unwrap(), [""; 0]);
    let deleted = send(address, "DELETE", "/fhir/SearchParameter/gender", &[], b"").unwrap();
    assert_eq!(deleted.status, 204);
    assert_eq!(ready(address, "gender=male"), ["p"]);
    // Two in one transaction that mean different things: neither.
    let entry = |id: &str, expression: &str| {
        format!(
            r#"{{"resource":{},"request":{{"method":"PUT","url":"SearchParameter/{id}"}}}}"#,
            parameter("own", "token", expression)
                .replace(r#""id":"own""#, &format!(r#""id":"{id}""#))
        )
    };
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{},{}]}}"#,
        entry("one", "Patient.active"),
        entry("two", "Patient.gender")
    );
    assert_eq!(post(address, "/fhir", &bundle).status, 422);
    assert_eq!(get(address, "/fhir/SearchParameter/one").status, 404);
    // A composite of parameters that somebody posted.
    let composite = parameter("own-pair", "composite", "Patient").replace(
        r#""expression""#,
        r#""component":[{"definition":"http://hl7.org/fhir/SearchParameter/Patient-active","expression":"active"},
            {"definition":"http://hl7.org/fhir/SearchParameter/individual-gender","expression":"gender"}],"expression""#,
    );
    stored(address, "SearchParameter", "own-pair", &composite);
    assert_eq!(matches(address, "own-pair=true$male").unwrap(), ["p"]);
    assert_eq!(matches(address, "own-pair=true$female").unwrap(), [""; 0]);
}

fn what_is_not_there_yet_is_not_answered_in_part(database: &Database) {
    const COUNT: usize = 60;
    let kiln = Kiln::configured(database, SLOWLY);
    let address = kiln.address;
    for number in 0..COUNT {
        let id = format!("p{number}");
        stored(
            address,
            "Patient",
            &id,
            &extended(&id, &format!(r#""valueString":"n{number}""#)),
        );
    }
    posted(address, "nick", "string", NICK);
    for query in [
        "nick=n1",
        "nick:missing=true",
        "_sort=nick",
        "link:Patient.nick=n1",
        "_has:Patient:link:nick=n1",
    ] {
        let answer = matches(address, query).unwrap_err();
        assert_eq!(answer.status, 503, "{query}: {}", answer.text());
        assert_eq!(answer.issue_code(), "incomplete");
        assert!(answer.header("Retry-After").is_some());
        assert!(answer.text().contains(" % is done"), "{}", answer.text());
    }
    let lenient = ("Prefer", "handling=lenient");
    let path = "/fhir/Patient?nick=n1";
    assert_eq!(
        send(address, "GET", path, &[lenient], b"").unwrap().status,
        503
    );
    // What depends on such a search is not done.
    let body = extended("new", r#""valueString":"n1""#).replace(r#""id":"new","#, "");
    let once = ("If-None-Exist", "nick=n7");
    let created = send(
        address,
        "POST",
        "/fhir/Patient",
        &[FHIR_JSON, once],
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(created.status, 503, "{}", created.text());
    let deleted = send(address, "DELETE", "/fhir/Patient?nick=n1", &[], b"").unwrap();
    assert_eq!(deleted.status, 503);
    // All else goes on.
    assert_eq!(matches(address, "family=fox").unwrap().len(), COUNT);
    assert!(
        !get(address, "/fhir/metadata")
            .text()
            .contains("http://example.org/nick")
    );
    let metrics = get(address, "/metrics").text();
    assert!(
        metrics.contains(&format!("kiln_reindex_resources {COUNT}")),
        "{metrics}"
    );
    verified(database);
    let done = database.number("SELECT done FROM reindex");
    assert!(done > 0, "nothing was done");
    kiln.kill();
    goes_on(database, done, COUNT);
}

/// Killed at any moment, it goes on.
fn goes_on(database: &Database, done: i64, count: usize) {
    let kiln = Kiln::configured(database, SLOWLY);
    assert!(database.number("SELECT done FROM reindex") >= done);
    kiln.kill();
    let kiln = Kiln::configured(database, "[limits]\nreindex_lease_ms = 1000\n");
    assert_eq!(ready(kiln.address, "nick=n7"), ["p7"]);
    assert_eq!(ready(kiln.address, "nick=n").len(), count);
    let metrics = get(kiln.address, "/metrics").text();
    assert!(metrics.contains("kiln_reindex_resources 0"));
    let statement = get(kiln.address, "/fhir/metadata").json();
    assert!(statement.to_string().contains("http://example.org/nick"));
    verified(database);
    // What the criteria find is there now.
    let body = extended("new", r#""valueString":"n7""#).replace(r#""id":"new","#, "");
    let once = ("If-None-Exist", "nick=n7");
    let again = send(
        kiln.address,
        "POST",
        "/fhir/Patient",
        &[FHIR_JSON, once],
        body.as_bytes(),
    );
    assert_eq!(again.unwrap().status, 200);
}
