//! Documents of others on a server, read back as it holds them.

use conformance_tests::http::Client;
use fhir_spec::json::{self, Value};

use crate::kiln::told;

const AT_ONCE: usize = 100;

/// Sends a transaction; answers the paths of what it made.
pub(super) fn transaction(client: &Client, bytes: &[u8]) -> Result<Vec<String>, String> {
    let bundle = sent(client, bytes)?;
    let entries = bundle.items_of("entry").iter();
    let responses = entries.filter_map(|entry| entry.get("response"));
    let locations = responses.filter_map(|response| response.str_of("location"));
    Ok(locations.filter_map(path_in).collect())
}

/// Puts documents where their ids say; answers their paths.
pub(super) fn put(client: &Client, documents: &[Value]) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for some in documents.chunks(AT_ONCE) {
        let entries = some.iter().map(|document| {
            let kind = document.str_of("resourceType").unwrap_or_default();
            let url = format!("{kind}/{}", document.str_of("id").unwrap_or_default());
            format!(r#"{{"resource": {document}, "request": {{"method": "PUT", "url": "{url}"}}}}"#)
        });
        let bundle = sent(client, batch(entries).as_bytes())?;
        for entry in bundle.items_of("entry") {
            let location = entry.get("response").and_then(|r| r.str_of("location"));
            match location.and_then(path_in) {
                Some(path) => paths.push(path),
                None => println!("not taken: {entry}"),
            }
        }
    }
    Ok(paths)
}

/// The documents at these paths.
pub(super) fn read(client: &Client, paths: &[String]) -> Result<Vec<Value>, String> {
    let mut documents = Vec::new();
    for some in paths.chunks(AT_ONCE) {
        let entries = some
            .iter()
            .map(|path| format!(r#"{{"request": {{"method": "GET", "url": "{path}"}}}}"#));
        let bundle = sent(client, batch(entries).as_bytes())?;
        for (path, entry) in some.iter().zip(bundle.items_of("entry")) {
            let resource = entry
                .get("resource")
                .ok_or_else(|| format!("{path} is not there"))?;
            documents.push(resource.clone());
        }
    }
    Ok(documents)
}

fn batch(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    let entries = entries.join(",");
    format!(r#"{{"resourceType": "Bundle", "type": "batch", "entry": [{entries}]}}"#)
}

fn sent(client: &Client, bytes: &[u8]) -> Result<Value, String> {
    let content = [(
        "Content-Type".to_owned(),
        "application/fhir+json".to_owned(),
    )];
    let answer = client.send("POST", "/", &content, bytes)?;
    if answer.status != 200 {
        return Err(told(&answer));
    }
    json::parse(&answer.body).map_err(|error| error.to_string())
}

/// `Type/id` of a location.
fn path_in(location: &str) -> Option<String> {
    let plain = location.split("/_history/").next()?;
    let mut parts = plain.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    Some(format!("{kind}/{id}"))
}
