//! A panic costs the request in which it happens, and nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use server::app::App;
use server::config::{Database, Settings};
use server::fault::Kind;
use server::instant::Instant;
use server::messages::Desk;
use server::store::Store;
use server::{http, packages};

use crate::client::{get, post};
use crate::databases::sqlite;

fn ids_that_panic(_: Instant) -> String {
    let marker = "marker";
    panic!("no id for {marker}")
}

/// Serves in a thread of the test, as the program does, until the sender is dropped.
fn serve(data: &Path, during: impl FnOnce(SocketAddr)) {
    let settings = Settings {
        data: Some(data.to_owned()),
        ..Settings::default()
    };
    let config = settings.resolve().unwrap();
    let store = Store::open(&Database::Sqlite(data.join("kiln.sqlite")), &config.limits).unwrap();
    let (definitions, _) = packages::lay_over(&[]).unwrap();
    let mut app = App::new(store.clone(), definitions, &config);
    app.ids = ids_that_panic;
    let app = Arc::new(app);
    let desk = Desk::new(Arc::clone(&app), &config).unwrap();
    let (told, address) = channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let ready = |address| {
            told.send(address).unwrap();
            Ok(())
        };
        let stop = async { drop(stopped.await) };
        runtime
            .block_on(http::serve(app, desk, listen, None, ready, stop))
            .unwrap();
        store.close();
    });
    during(address.recv().unwrap());
    drop(stop);
    server.join().unwrap();
}

#[test]
fn the_client_is_told_and_the_server_lives() {
    let database = sqlite();
    serve(&database.directory, |address| {
        for size in [1, 100_000] {
            let words = "x".repeat(size);
            let body = format!(r#"{{"resourceType":"Patient","name":[{{"text":"{words}"}}]}}"#);
            let answer = post(address, "/fhir/Patient", &body);
            assert_eq!(answer.status, Kind::Internal.row().status);
            assert_eq!(answer.issue_code(), "exception");
            assert!(answer.header("X-Request-Id").is_some());
            assert!(!answer.text().contains("marker"), "{}", answer.text());
        }
        assert_eq!(get(address, "/health/ready").status, 200);
        let metrics = get(address, "/metrics").text();
        assert!(
            metrics.contains("\nkiln_http_panics_total 2\n"),
            "{metrics}"
        );
        assert!(
            metrics.contains("\nkiln_http_requests_under_way 1\n"),
            "{metrics}"
        );
    });
}
