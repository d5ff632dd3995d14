//! Routes and overlays that are changed while the server runs.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fhir_spec::json::Value;

use crate::client::{Answer, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::messages::post_hl7;
use crate::mllp::{Sender, adt, messages, said};

on_both_databases!(
    an_overlay_is_tried_out_and_counts_at_once,
    what_is_wrong_with_an_overlay_is_told_and_changes_nothing,
    routes_come_and_go_while_the_server_runs,
    senders_of_a_paused_route_wait_and_those_of_a_stopped_one_are_let_go,
    what_is_wrong_with_a_route_is_told,
);

const ER7: (&str, &str) = ("Content-Type", "x-application/hl7-v2+er7");
const PHOTO: &str = "overlay app : ADT_A01\n  in Patient\n    add PID-3.1 -> photo[].title\n";

fn ask(kiln: &Kiln, method: &str, path: &str, body: &str) -> Answer {
    send(kiln.address, method, path, &[], body.as_bytes()).unwrap()
}

fn json(text: &str, sender: &str) -> String {
    format!("{{\"text\":{},\"sender\":{sender}}}", Value::from(text))
}

/// The patients that are there, as text.
fn patients(kiln: &Kiln) -> String {
    get(kiln.address, "/fhir/Patient").text()
}

/// Where a message says that it comes from.
fn sender(message: &str) -> (String, String) {
    let fields: Vec<&str> = message.split('|').collect();
    (fields[2].to_owned(), fields[3].to_owned())
}

fn an_overlay_is_tried_out_and_counts_at_once(database: &Database) {
    let kiln = Kiln::start(database);
    let (application, _) = sender(&adt("1", "P1"));
    assert_eq!(post_hl7(&kiln, &[ER7], &adt("1", "P1")).status, 200);
    assert!(!patients(&kiln).contains("photo"));
    let kept = messages(&kiln, "");
    let id = kept[0].str_of("id").unwrap().to_owned();

    let of_sender = json(PHOTO, &format!("{{\"application\":\"{application}\"}}"));
    let tried = ask(
        &kiln,
        "POST",
        &format!("/api/overlays/app/try?message={id}"),
        &of_sender,
    );
    assert_eq!(tried.status, 200, "{}", tried.text());
    assert!(tried.text().contains("photo"), "{}", tried.text());
    // It was only tried.
    assert!(!patients(&kiln).contains("photo"));
    assert_eq!(get(kiln.address, "/api/overlays/app").status, 404);

    let made = ask(&kiln, "PUT", "/api/overlays/app", &of_sender);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(post_hl7(&kiln, &[ER7], &adt("2", "P2")).status, 200);
    assert!(patients(&kiln).contains("photo"));
    // Others are not concerned.
    let other = adt("3", "P3").replacen(&application, "ANOTHER", 1);
    let before = patients(&kiln).matches("photo").count();
    assert_eq!(post_hl7(&kiln, &[ER7], &other).status, 200);
    assert_eq!(patients(&kiln).matches("photo").count(), before);
    // By its name it can be had without the store.
    let body = adt("4", "P4");
    let converted = ask(&kiln, "POST", "/api/convert?sender=app", &body);
    assert!(converted.text().contains("photo"), "{}", converted.text());

    let second = ask(
        &kiln,
        "PUT",
        "/api/overlays/app",
        &PHOTO.replace("title", "url"),
    );
    assert_eq!(second.status, 200, "{}", second.text());
    assert_eq!(ask(&kiln, "DELETE", "/api/overlays/app", "").status, 204);
    assert_eq!(ask(&kiln, "DELETE", "/api/overlays/app", "").status, 404);
    let history = get(kiln.address, "/api/overlays/app/history").json();
    let versions = history.items_of("versions");
    assert_eq!(versions.len(), 3);
    assert_eq!(
        versions[0].get("deleted").and_then(Value::as_bool),
        Some(true)
    );
    assert!(versions[1].str_of("text").unwrap().contains("url"));
    assert_eq!(versions[2].str_of("text"), Some(PHOTO));
    // What holds outlives a restart.
    assert_eq!(
        ask(&kiln, "PUT", "/api/overlays/app", &of_sender).status,
        200
    );
    kiln.stop("TERM");
    let kiln = Kiln::start(database);
    let listed = get(kiln.address, "/api/overlays").json();
    assert_eq!(listed.items_of("overlays")[0].str_of("name"), Some("app"));
    let converted = ask(&kiln, "POST", "/api/convert?sender=app", &body);
    assert!(converted.text().contains("photo"), "{}", converted.text());
}

fn what_is_wrong_with_an_overlay_is_told_and_changes_nothing(database: &Database) {
    let kiln = Kiln::start(database);
    for (body, status, told) in [
        (
            "overlay a : ADT_A01\n  in Patient\n    add PID-3.1 -> nmae.text\n",
            422,
            "\"line\":3",
        ),
        (
            "overlay a : nothing\n  in Patient\n    add PID-3.1 -> name.text\n",
            422,
            "\"line\":1",
        ),
        ("garbage", 422, "\"line\":1"),
        ("{\"txt\":\"\"}", 422, "`txt` is no member"),
        ("{\"sender\":{}}", 422, "text: expected"),
        (
            "{\"text\":\"\",\"sender\":{\"app\":\"x\"}}",
            422,
            "sender: expected",
        ),
        ("{\"text\":", 400, "expected"),
    ] {
        let answer = ask(&kiln, "PUT", "/api/overlays/a", body);
        assert_eq!(answer.status, status, "{body} {}", answer.text());
        assert!(answer.text().contains(told), "{body} {}", answer.text());
    }
    assert_eq!(ask(&kiln, "PUT", "/api/overlays/a%20b", PHOTO).status, 400);
    assert_eq!(ask(&kiln, "POST", "/api/overlays/a/try", PHOTO).status, 400);
    let unknown = ask(&kiln, "POST", "/api/overlays/a/try?message=none", PHOTO);
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(ask(&kiln, "POST", "/api/overlays", "").status, 405);
    assert_eq!(get(kiln.address, "/api/overlays/a/history").status, 404);
    assert_eq!(
        get(kiln.address, "/api/overlays")
            .json()
            .items_of("overlays")
            .len(),
        0
    );
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Until somebody listens there.
fn sender_to(address: SocketAddr) -> Sender {
    for _ in 0..600 {
        if TcpStream::connect(address).is_ok() {
            return Sender::to(address);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody listens on {address}")
}

fn until_nobody_listens(address: SocketAddr) {
    for _ in 0..600 {
        if TcpStream::connect(address).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("somebody still listens on {address}")
}

fn routes_come_and_go_while_the_server_runs(database: &Database) {
    let kiln = Kiln::start(database);
    let address = free();
    let route = format!("{{\"transport\":\"mllp\",\"listen\":\"{address}\",\"take\":[\"ADT^*\"]}}");
    let made = ask(&kiln, "PUT", "/api/routes/lab", &route);
    assert_eq!(made.status, 201, "{}", made.text());
    let mut lab = sender_to(address);
    assert_eq!(said(&lab.ask(adt("1", "P1"))).0, "AA");
    let shown = get(kiln.address, "/api/routes/lab").json();
    assert_eq!(shown.str_of("state"), Some("started"));
    assert_eq!(shown.get("readOnly").and_then(Value::as_bool), Some(false));
    let answers = shown.get("answers").unwrap();
    assert_eq!(answers.get("AA").and_then(Value::as_u64), Some(1));
    assert_eq!(messages(&kiln, "route=lab").len(), 1);

    let stopped = ask(&kiln, "POST", "/api/routes/lab/stop", "");
    assert_eq!(stopped.json().str_of("state"), Some("stopped"));
    until_nobody_listens(address);
    kiln.stop("TERM");
    let kiln = Kiln::start(database);
    let shown = get(kiln.address, "/api/routes/lab").json();
    assert_eq!(
        shown.str_of("state"),
        Some("stopped"),
        "that outlives a restart"
    );
    assert_eq!(ask(&kiln, "POST", "/api/routes/lab/start", "").status, 200);
    let mut lab = sender_to(address);
    assert_eq!(said(&lab.ask(adt("2", "P2"))).0, "AA");
    let paused = ask(&kiln, "POST", "/api/routes/lab/pause", "");
    assert_eq!(paused.json().str_of("state"), Some("paused"));

    // Those of the config file stay as they are there.
    let listed = get(kiln.address, "/api/routes").json();
    let http = listed.items_of("routes").iter();
    let http = http
        .clone()
        .find(|route| route.str_of("name") == Some("http"))
        .unwrap();
    assert_eq!(http.get("readOnly").and_then(Value::as_bool), Some(true));
    assert_eq!(ask(&kiln, "DELETE", "/api/routes/http", "").status, 409);
    assert_eq!(ask(&kiln, "PUT", "/api/routes/http", &route).status, 409);

    assert_eq!(ask(&kiln, "DELETE", "/api/routes/lab", "").status, 204);
    until_nobody_listens(address);
    assert_eq!(get(kiln.address, "/api/routes/lab").status, 404);
    let history = get(kiln.address, "/api/routes/lab/history").json();
    assert_eq!(history.items_of("versions").len(), 5);
}

fn senders_of_a_paused_route_wait_and_those_of_a_stopped_one_are_let_go(database: &Database) {
    let kiln = Kiln::start(database);
    let address = free();
    let route = format!("{{\"transport\":\"mllp\",\"listen\":\"{address}\"}}");
    assert_eq!(ask(&kiln, "PUT", "/api/routes/lab", &route).status, 201);
    let mut lab = sender_to(address);
    assert_eq!(said(&lab.ask(adt("1", "P1"))).0, "AA");
    let paused = ask(&kiln, "POST", "/api/routes/lab/pause", "");
    assert_eq!(paused.status, 200, "{}", paused.text());
    lab.send(adt("2", "P2"));
    // A route beside it is not concerned, and what waits is not taken.
    assert_eq!(post_hl7(&kiln, &[ER7], &adt("3", "P3")).status, 200);
    assert_eq!(messages(&kiln, "controlId=2").len(), 0);
    assert_eq!(ask(&kiln, "POST", "/api/routes/lab/start", "").status, 200);
    assert_eq!(said(&lab.answer().expect("an answer")), ("AA", "2"));

    lab.send(adt("4", "P4"));
    assert_eq!(said(&lab.answer().expect("an answer")), ("AA", "4"));
    assert_eq!(ask(&kiln, "POST", "/api/routes/lab/stop", "").status, 200);
    assert_eq!(lab.answer(), None);
    until_nobody_listens(address);
    assert_eq!(ask(&kiln, "POST", "/api/routes/lab/start", "").status, 200);
    assert_eq!(said(&sender_to(address).ask(adt("5", "P5"))).0, "AA");
    assert_eq!(messages(&kiln, "route=lab").len(), 4);
}

fn what_is_wrong_with_a_route_is_told(database: &Database) {
    let kiln = Kiln::start(database);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let taken_body = format!("{{\"transport\":\"mllp\",\"listen\":\"{address}\"}}");
    for (body, status, told) in [
        (
            "{\"transport\":\"mllp\"}",
            422,
            "listen: expected an address",
        ),
        ("{\"transport\":\"pigeon\"}", 422, "pigeon"),
        (
            "{\"transport\":\"http\"}",
            422,
            "transport: expected mllp, folder",
        ),
        ("{\"transport\":\"mllp\",\"lisen\":\"1\"}", 422, "lisen"),
        (
            "{\"transport\":\"mllp\",\"listen\":\"0.0.0.0:1234\"}",
            422,
            "without `tls`",
        ),
        (
            "{\"transport\":\"mllp\",\"listen\":\"127.0.0.1:0\",\"zone\":\"Nowhere\"}",
            422,
            "Nowhere",
        ),
        (
            "{\"transport\":\"mllp\",\"listen\":\"127.0.0.1:0\",\"overlay\":\"none\"}",
            422,
            "no overlay none",
        ),
        (
            "{\"name\":\"b\",\"transport\":\"mllp\"}",
            422,
            "the address says a",
        ),
        (&taken_body, 409, "cannot be listened on"),
        ("[]", 400, "expected a JSON object"),
    ] {
        let answer = ask(&kiln, "PUT", "/api/routes/a", body);
        assert_eq!(answer.status, status, "{body} {}", answer.text());
        assert!(answer.text().contains(told), "{body} {}", answer.text());
    }
    assert_eq!(ask(&kiln, "POST", "/api/routes/a/start", "").status, 404);
    assert_eq!(ask(&kiln, "POST", "/api/routes/a/jump", "").status, 404);
    assert_eq!(get(kiln.address, "/api/routes/http/stop").status, 405);
    drop(kiln);
    let kiln = Kiln::configured(database, "allow_plaintext = true\n");
    let open = "{\"transport\":\"mllp\",\"listen\":\"0.0.0.0:0\"}";
    assert_eq!(ask(&kiln, "PUT", "/api/routes/a", open).status, 201);
}
