//! Searches of texts, as a client sees them. <https://hl7.org/fhir/R4/search.html#text>

use std::net::SocketAddr;
use std::path::PathBuf;

use fhir_spec::json::Value;

use crate::client::{Answer, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{link, put, target};

on_both_databases!(
    texts_are_found_as_they_are_asked_for,
    what_was_just_written_is_found,
    texts_go_together_with_all_else,
    pages_come_by_relevance_while_others_write,
    what_is_not_understood_is_refused_at_once,
    texts_decide_about_no_write,
    the_index_survives_a_kill_and_damage,
    without_the_index_texts_are_refused,
    new_parameters_have_texts_too,
    the_index_is_forgotten_when_asked_to,
);

/// A Condition with a narrative, the text of its code, and what else is said.
fn condition(id: &str, narrative: &str, code: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Condition","id":"{id}"{more},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{narrative}</div>"}},
        "code":{{"coding":[{{"system":"http://example.org/codes","code":"x","display":"{code}"}}]}},"subject":{{"reference":"Patient/p","display":"Anna Muster"}}}}"#
    )
}

fn fill(address: SocketAddr) {
    let patient = r#"{"resourceType":"Patient","id":"p","name":[{"family":"Muster","given":["Ånna"]}],"gender":"female","address":[{"city":"Köln"}]}"#;
    put(address, patient);
    for (id, narrative, code, more) in [
        (
            "bone",
            "<p>Bone</p><p>metastases</p>",
            "Cancer of the bone",
            "",
        ),
        (
            "liver",
            "liver <b>metas</b>tases and pain",
            "Cholesterol raised",
            "",
        ),
        (
            "de",
            "Entzündungen der Leber",
            "Leberentzündung",
            r#","language":"de-CH""#,
        ),
        (
            "fr",
            "des opérations à l'hôpital",
            "Opéré",
            r#","language":"fr""#,
        ),
        ("covid", "pain in the liver", "COVID-19 pneumonia", ""),
    ] {
        put(address, &condition(id, narrative, code, more));
    }
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    resources
        .filter_map(|resource| resource.str_of("id").map(str::to_owned))
        .collect()
}

fn escaped(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn asked(address: SocketAddr, search: &str, text: &str) -> Answer {
    get(address, &format!("/fhir/{search}={}", escaped(text)))
}

fn found(address: SocketAddr, search: &str, text: &str) -> Vec<String> {
    let answer = asked(address, search, text);
    assert_eq!(answer.status, 200, "{search}={text}: {}", answer.text());
    let mut ids = ids(&answer.json());
    ids.sort();
    ids
}

fn texts_are_found_as_they_are_asked_for(database: &Database) {
    let kiln = Kiln::start(database);
    fill(kiln.address);
    for (search, text, wanted) in [
        (
            "Condition?_text",
            "(bone OR liver) and metastases",
            "bone liver",
        ),
        ("Condition?_text", "METASTASES", "bone liver"),
        ("Condition?_text", "pains", "covid liver"),
        ("Condition?_text", "\"liver pain\"", ""),
        ("Condition?_text", "\"pain in the liver\"", "covid"),
        ("Condition?_text", "liver NOT metastases", "covid"),
        ("Condition?_text", "metas*", "bone liver"),
        ("Condition?_text", "bone,leber", "bone de"),
        ("Condition?_text", "Entzündung", "de"),
        ("Condition?_text", "entzundung", "de"),
        ("Condition?_text", "opération hopital", "fr"),
        ("Condition?_text", "\"opération\"", ""),
        ("Condition?_text", "cancer", ""),
        ("Condition?_text", "NOT (bone OR liver OR pain)", "de fr"),
        ("Condition?_content", "cancer", "bone"),
        ("Condition?_content", "covid-19", "covid"),
        ("Condition?_content", "muster liver", "covid liver"),
        ("Condition?code:text", "chol", "liver"),
        ("Condition?code:text", "cancer bone", "bone"),
        ("Condition?code:text", "metastases", ""),
        ("Condition?patient:text", "anna", "bone covid de fr liver"),
        ("Condition?subject:text", "bert", ""),
        ("Patient?_content", "koln", "p"),
        ("Patient?_content", "anna", "p"),
        ("Patient?_content", "female", "p"),
        (
            "Condition?subject:Patient._content",
            "koln",
            "bone covid de fr liver",
        ),
        ("Patient?_has:Condition:patient:_text", "leber", "p"),
        ("Patient?_has:Condition:patient:_text", "nothing", ""),
        ("?_content", "muster", "bone covid de fr liver p"),
    ] {
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        assert_eq!(found(kiln.address, search, text), wanted, "{search}={text}");
    }
    let form = "_text=bone%20OR%20leber&_sort=-_id";
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = send(
        kiln.address,
        "POST",
        "/fhir/Condition/_search",
        &headers,
        form.as_bytes(),
    );
    let bundle = answer.unwrap().json();
    assert_eq!(ids(&bundle), ["de", "bone"]);
    for entry in bundle.items_of("entry") {
        let search = entry.get("search").unwrap();
        let score = search.get("score").and_then(Value::as_number).unwrap();
        let score: f64 = score.parse().unwrap();
        assert!(score > 0.0 && score < 1.0, "{score}");
    }
    let answer = asked(kiln.address, "Condition?_summary=count&_text", "liver");
    let total = answer.json().get("total").and_then(Value::as_u64);
    assert_eq!(total, Some(2));
    let statement = get(kiln.address, "/fhir/metadata").json().to_string();
    assert!(statement.contains("\"_text\"") && statement.contains("\"_content\""));
    let metrics = get(kiln.address, "/metrics").text();
    assert!(metrics.contains("kiln_feed_behind_seconds{follower=\"text-index\"} 0"));
    assert!(metrics.contains("kiln_feed_versions_total{follower=\"text-index\"} 6"));
}

/// Each write is found, or found no more, by the very next search.
fn what_was_just_written_is_found(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    for round in 0..5 {
        put(address, &condition("c", &format!("first{round}"), "x", ""));
        assert_eq!(
            found(address, "Condition?_text", &format!("first{round}")),
            ["c"]
        );
        put(address, &condition("c", &format!("second{round}"), "x", ""));
        assert_eq!(
            found(address, "Condition?_text", &format!("second{round}")),
            ["c"]
        );
        let none = found(address, "Condition?_text", &format!("first{round}"));
        assert_eq!(none, Vec::<String>::new());
        let deleted = send(address, "DELETE", "/fhir/Condition/c", &[], b"").unwrap();
        assert!(deleted.status < 300);
        let none = found(address, "Condition?_text", &format!("second{round}"));
        assert_eq!(none, Vec::<String>::new());
    }
}

fn texts_go_together_with_all_else(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    fill(address);
    for (search, text, wanted) in [
        ("Condition?_id=liver,bone&_text", "metastases", "bone liver"),
        ("Condition?_id=liver&_text", "metastases", "liver"),
        ("Condition?_content=cancer&_text", "metastases", "bone"),
        ("Condition?subject=Patient/other&_text", "metastases", ""),
        (
            "Condition?subject:Patient.gender=female&_text",
            "metastases",
            "bone liver",
        ),
        (
            "Condition?_include=Condition:subject&_text",
            "leber",
            "de p",
        ),
        ("Patient/p/Condition?_text", "leber", "de"),
        ("?_type=Condition,Patient&_content", "koln OR leber", "de p"),
    ] {
        let wanted: Vec<&str> = wanted.split_whitespace().collect();
        assert_eq!(found(address, search, text), wanted, "{search}={text}");
    }
}

/// The order does not change while documents come that change all statistics: nothing is passed over, nothing comes twice.
fn pages_come_by_relevance_while_others_write(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    for number in 0..40 {
        let more = "liver ".repeat(number % 5 + 1);
        let text = if number % 7 == 0 { "bone" } else { "pain" };
        put(
            address,
            &condition(&format!("c{number:02}"), &format!("{more} {text}"), "x", ""),
        );
    }
    let mut seen: Vec<String> = Vec::new();
    let mut scores: Vec<f64> = Vec::new();
    let mut next = Some(format!(
        "/fhir/Condition?_count=7&_text={}",
        escaped("liver OR bone")
    ));
    let mut page = 0;
    while let Some(path) = next {
        let answer = get(address, &path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let bundle = answer.json();
        let old: Vec<String> = ids(&bundle)
            .into_iter()
            .filter(|id| id.starts_with('c'))
            .collect();
        for entry in bundle.items_of("entry") {
            let score = entry.get("search").and_then(|search| search.get("score"));
            scores.push(score.unwrap().as_number().unwrap().parse().unwrap());
        }
        seen.extend(old);
        for number in 0..6 {
            let id = format!("n{page}-{number}");
            put(
                address,
                &condition(&id, "bone bone bone and much besides", "x", ""),
            );
        }
        page += 1;
        next = link(&bundle, "next").map(|url| target(&url).to_owned());
    }
    assert!(page >= 6, "{page}");
    assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
    assert!(
        seen.iter()
            .take(6)
            .all(|id| id.trim_start_matches('c').parse::<usize>().unwrap() % 7 == 0),
        "{seen:?}"
    );
    seen.sort();
    let all: Vec<String> = (0..40).map(|number| format!("c{number:02}")).collect();
    assert_eq!(seen, all);
}

fn what_is_not_understood_is_refused_at_once(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    fill(address);
    for (search, value) in [
        ("Condition?_text", escaped("(bone")),
        ("Condition?_text", escaped("bone)")),
        ("Condition?_text", escaped("*")),
        ("Condition?_text", escaped("a*b")),
        ("Condition?_text", escaped("\"bone")),
        ("Condition?_text", escaped("bone AND")),
        ("Condition?_text", String::new()),
        ("Condition?_text", "bone%00".into()),
        ("Condition?_text", "%ED%A0%80".into()),
        ("Condition?_text:exact", "bone".into()),
        ("Condition?clinical-status:text:x", "bone".into()),
        ("Patient?gender:text", "female".into()),
        ("Bundle?_text", "bone".into()),
        ("Condition?_text", format!("{}a", "(".repeat(2000))),
    ] {
        let answer = get(address, &format!("/fhir/{search}={value}"));
        assert_eq!(answer.status, 400, "{search}={value}: {}", answer.text());
    }
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    for form in [
        format!("_text={}", "word+".repeat(10_000)),
        format!("_content=%22{}%22", "word+".repeat(10_000)),
        format!("code:text={}", "NOT+".repeat(10_000)),
    ] {
        let answer = send(
            address,
            "POST",
            "/fhir/Condition/_search",
            &headers,
            form.as_bytes(),
        );
        assert_eq!(answer.unwrap().status, 400);
    }
    let lenient = [("Prefer", "handling=lenient")];
    let answer = send(address, "GET", "/fhir/Condition?_text=(bone", &lenient, b"").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("is not closed"));
}

fn texts_decide_about_no_write(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    fill(address);
    let deleted = send(address, "DELETE", "/fhir/Condition?_text=bone", &[], b"").unwrap();
    assert_eq!(
        (deleted.status, deleted.issue_code().as_str()),
        (400, "value")
    );
    let bundle = |kind: &str| {
        let entry = r#"{"request":{"method":"GET","url":"Condition?_text=bone"}}"#;
        let text = format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entry}]}}"#);
        post(address, "/fhir", &text)
    };
    // Each entry of a batch stands for itself; a transaction would have to find what only its commit brings to the index.
    let answer = bundle("batch").json();
    let page = answer.items_of("entry")[0].get("resource").unwrap();
    let hit = page.items_of("entry")[0].get("resource").unwrap();
    assert_eq!(hit.str_of("id"), Some("bone"), "{answer}");
    let refused = bundle("transaction");
    assert_eq!(
        (refused.status, refused.issue_code().as_str()),
        (400, "value")
    );
    assert!(refused.text().contains("in a batch"), "{}", refused.text());
    assert_eq!(found(address, "Condition?_text", "bone"), ["bone"]);
}

fn index_files(database: &Database) -> Vec<PathBuf> {
    let directory = database.directory.join("text-index");
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

fn the_index_survives_a_kill_and_damage(database: &Database) {
    let kiln = Kiln::start(database);
    fill(kiln.address);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["bone"]);
    // What was acknowledged and is not yet in the index.
    put(kiln.address, &condition("late", "late bone", "x", ""));
    kiln.kill();
    let kiln = Kiln::start(database);
    assert_eq!(
        found(kiln.address, "Condition?_text", "bone"),
        ["bone", "late"]
    );
    kiln.kill();
    let files = index_files(database).len();
    assert!(files > 5, "{files}");
    for damage in 0..4 {
        for file in &index_files(database) {
            match damage {
                0 => std::fs::write(file, "damaged").unwrap(),
                1 if file.extension().is_some_and(|e| e == "term") => {
                    std::fs::remove_file(file).unwrap();
                }
                2 if file.extension().is_some_and(|e| e != "json" && e != "lock") => {
                    let mut bytes = std::fs::read(file).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 0x55;
                    std::fs::write(file, bytes).unwrap();
                }
                3 if file.ends_with("meta.json") => {
                    let text = std::fs::read_to_string(file).unwrap();
                    std::fs::write(file, text.replace("\"payload\": \"1-", "\"payload\": \"0-"))
                        .unwrap();
                }
                _ => {}
            }
        }
        let kiln = Kiln::start(database);
        assert_eq!(
            found(kiln.address, "Condition?_text", "bone"),
            ["bone", "late"]
        );
        assert_eq!(
            found(kiln.address, "Condition?_text", "liver"),
            ["covid", "liver"]
        );
        let log = kiln.stop_and_read_log();
        assert!(
            log.contains("the index of texts is made anew"),
            "{damage}: {log}"
        );
    }
    let kiln = Kiln::start(database);
    assert_eq!(
        found(kiln.address, "Condition?_text", "bone"),
        ["bone", "late"]
    );
    let log = kiln.stop_and_read_log();
    assert!(!log.contains("made anew"), "{log}");
}

fn without_the_index_texts_are_refused(database: &Database) {
    let kiln = Kiln::configured(database, "text_index = false");
    fill(kiln.address);
    let answer = get(kiln.address, "/fhir/Condition?_text=bone");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("text_index"), "{}", answer.text());
    let statement = get(kiln.address, "/fhir/metadata").json().to_string();
    assert!(!statement.contains("\"_text\"") && !statement.contains("\"_content\""));
    assert!(!database.directory.join("text-index").exists());
    drop(kiln);
    // Switched on later, it is made of all that is there.
    let kiln = Kiln::start(database);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["bone"]);
}

/// Each node has an index of its own, and finds at once what the other one has written.
#[test]
fn nodes_on_one_database_find_what_the_others_write() {
    let Some(database) = crate::databases::postgres() else {
        return;
    };
    let one = Kiln::start(&database);
    let directory = database.directory.join("other");
    let mut command = crate::kiln::command();
    command.args(["--database", &database.url, "--listen", "127.0.0.1:0"]);
    let other = Kiln::from_command(command.arg("--data").arg(&directory));
    for round in 0..6 {
        let nodes = [one.address, other.address];
        let (writer, reader) = (nodes[round % 2], nodes[(round + 1) % 2]);
        put(writer, &condition("c", &format!("word{round}"), "x", ""));
        assert_eq!(
            found(reader, "Condition?_text", &format!("word{round}")),
            ["c"]
        );
        if round > 0 {
            let before = found(reader, "Condition?_text", &format!("word{}", round - 1));
            assert_eq!(before, Vec::<String>::new());
        }
    }
    assert!(directory.join("text-index").exists());
    // A node that comes later, in the directory of one that is there, takes its turn with it.
    let mut command = crate::kiln::command();
    command.args(["--database", &database.url, "--listen", "127.0.0.1:0"]);
    let third = Kiln::from_command(command.arg("--data").arg(&directory));
    assert_eq!(found(third.address, "Condition?_text", "word5"), ["c"]);
}

/// Two servers never share the files of an index by mistake: those of another database are not believed.
#[test]
fn an_index_of_another_database_is_not_believed() {
    let (one, other) = (crate::databases::sqlite(), crate::databases::sqlite());
    let kiln = Kiln::start(&one);
    fill(kiln.address);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["bone"]);
    drop(kiln);
    let kiln = Kiln::start(&other);
    put(kiln.address, &condition("mine", "bone", "x", ""));
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["mine"]);
    drop(kiln);
    let (from, to) = (
        one.directory.join("text-index"),
        other.directory.join("text-index"),
    );
    std::fs::remove_dir_all(&to).unwrap();
    std::fs::rename(from, to).unwrap();
    let kiln = Kiln::start(&other);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["mine"]);
    assert!(
        kiln.stop_and_read_log()
            .contains("made of another database")
    );
}

/// An element that no parameter knew before: its texts are found as soon as nobody says any more that they are not yet.
fn new_parameters_have_texts_too(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    let basic = |id: &str, text: &str| {
        let resource = format!(
            r#"{{"resourceType":"Basic","id":"{id}","code":{{"text":"x"}},"extension":[{{"url":"http://example.org/colour","valueCodeableConcept":{{"text":"{text}"}}}}]}}"#
        );
        put(address, &resource);
    };
    basic("before", "Dark Blue");
    basic("other", "red");
    assert_eq!(found(address, "Basic?_content", "blue"), ["before"]);
    let parameter = r#"{"resourceType":"SearchParameter","id":"colour","url":"http://example.org/colour-parameter","name":"Colour","status":"active",
        "description":"x","code":"colour","base":["Basic"],"type":"token","expression":"Basic.extension('http://example.org/colour').value"}"#;
    put(address, parameter);
    basic("after", "light blue");
    let ready = (0..200).any(|_| {
        let answer = get(address, "/fhir/Basic?colour:text=blue");
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        std::thread::sleep(std::time::Duration::from_millis(50));
        answer.status == 200
    });
    assert!(ready);
    assert_eq!(
        found(address, "Basic?colour:text", "blue"),
        ["after", "before"]
    );
    assert_eq!(
        found(address, "Basic?_content", "blue"),
        ["after", "before"]
    );
}

fn the_index_is_forgotten_when_asked_to(database: &Database) {
    let kiln = Kiln::start(database);
    fill(kiln.address);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["bone"]);
    let forget = |more: &str| {
        let directory = database.directory.display().to_string();
        let mut command = crate::kiln::command();
        command.args([
            "reindex",
            "--text",
            "--data",
            &directory,
            "--database",
            &database.url,
        ]);
        command.args(more.split_whitespace()).output().unwrap()
    };
    assert!(!forget("--all").status.success());
    kiln.kill();
    let done = forget("");
    assert!(done.status.success(), "{done:?}");
    assert!(!database.directory.join("text-index").exists());
    let kiln = Kiln::start(database);
    assert_eq!(found(kiln.address, "Condition?_text", "bone"), ["bone"]);
    // Under a server that runs: what it has open it keeps, and what is written next makes it anew.
    let _may_be_busy = forget("");
    put(kiln.address, &condition("late", "late bone", "x", ""));
    let ready = (0..100).any(|_| {
        let answer = asked(kiln.address, "Condition?_text", "late");
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
        answer.status == 200
    });
    assert!(ready);
    assert_eq!(
        found(kiln.address, "Condition?_text", "bone"),
        ["bone", "late"]
    );
}
