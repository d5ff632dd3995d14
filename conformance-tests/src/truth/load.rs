//! Made-up documents brought to a server: some in two versions, some taken away again.

use fhir_spec::json::{self, Value};

use super::documents::Maker;
use crate::http::Client;

const ENTRIES: usize = 100;

/// The documents as the server holds them at the end.
pub fn load(client: &Client, maker: &mut Maker) -> Result<Vec<Value>, String> {
    let earlier = maker.all();
    let documents = maker.all();
    let mut puts = Vec::new();
    for document in earlier {
        // What it said before must not be found any more.
        if maker.random.is(15) {
            puts.push(document);
        }
    }
    puts.extend(documents.iter().cloned());
    for some in puts.chunks(ENTRIES) {
        let entries = some.iter().map(|(path, text)| {
            format!(r#"{{"resource": {text}, "request": {{"method": "PUT", "url": "{path}"}}}}"#)
        });
        batch(client, &entries.collect::<Vec<String>>())?;
    }
    let (gone, kept): (Vec<_>, Vec<_>) = documents.into_iter().partition(|_| maker.random.is(5));
    let entries = gone
        .iter()
        .map(|(path, _)| format!(r#"{{"request": {{"method": "DELETE", "url": "{path}"}}}}"#));
    batch(client, &entries.collect::<Vec<String>>())?;
    kept.iter().map(|(path, _)| read(client, path)).collect()
}

fn batch(client: &Client, entries: &[String]) -> Result<(), String> {
    let entries = entries.join(",");
    let bundle = format!(r#"{{"resourceType": "Bundle", "type": "batch", "entry": [{entries}]}}"#);
    let headers = [(
        "Content-Type".to_owned(),
        "application/fhir+json".to_owned(),
    )];
    let answer = client.send("POST", "", &headers, bundle.as_bytes())?;
    let answered = json::parse(&answer.body).map_err(|error| error.to_string())?;
    let failed = answered.items_of("entry").iter().find(|entry| {
        let status = entry
            .get("response")
            .and_then(|response| response.str_of("status"));
        !status.is_some_and(|status| status.starts_with('2'))
    });
    match failed {
        None if answer.status == 200 => Ok(()),
        None => Err(format!("{}: {}", answer.status, answer.text())),
        Some(entry) => Err(entry.to_string()),
    }
}

fn read(client: &Client, path: &str) -> Result<Value, String> {
    let answer = client.send("GET", &format!("/{path}"), &[], b"")?;
    if answer.status != 200 {
        return Err(format!("{path}: {}", answer.status));
    }
    json::parse(&answer.body).map_err(|error| error.to_string())
}
