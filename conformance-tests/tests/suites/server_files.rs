//! The resources that another server is tested with: each is sent as a client would send it, and must be taken or refused
//! as its name says.

use std::sync::LazyLock;

use conformance_tests::http::Answer;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::{self, Value};
use regex::bytes::Regex;

use crate::kiln::{Kiln, NOT_SUPPORTED, told};
use crate::material::{explained, files, folder};
use crate::results::Tally;

const EXPLAINED: &str = include_str!("server_files/explained.tsv");
/// What names say of resources that are to be refused.
const REFUSED: &[&str] = &[
    "Invalid",
    "BadSyntax",
    "Missing",
    "RollBack",
    "NoCode",
    "UnknownElements",
    "Unsupported",
    "Wrong",
];

/// What the other server's tests fill in.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new("##[A-Za-z]+##").unwrap());

#[test]
fn are_taken_or_refused() {
    let Some(folder) = folder("fhir-server-testfiles") else {
        return;
    };
    let kiln = Kiln::start();
    let mut tally = Tally::new("fhir-server-testfiles", explained(EXPLAINED));
    for place in ["Normative", "R4", "candle-r4"] {
        let all = [".json", ".xml", ".ndjson"]
            .map(|ending| files(&folder.join(place), ending))
            .concat();
        for (name, bytes) in all {
            // Notes of the other server about what it indexes.
            if name.ends_with(".indexes.json") {
                continue;
            }
            let case = format!("{place}/{name}");
            for (number, text) in documents(&name, &bytes).iter().enumerate() {
                let case = if number == 0 {
                    case.clone()
                } else {
                    format!("{case} line {}", number + 1)
                };
                let text = PLACEHOLDER.replace_all(text, format!("made-up-{number}").as_bytes());
                match sent(&kiln, &name, &text) {
                    Ok(outcome) => tally.count(&case, outcome),
                    Err(need) => tally.wait(&case, &need),
                }
            }
        }
    }
    tally.finish();
}

fn documents<'b>(name: &str, bytes: &'b [u8]) -> Vec<&'b [u8]> {
    if !name.ends_with(".ndjson") {
        return vec![bytes];
    }
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty()).collect()
}

/// The error is what the server would have to offer first.
fn sent(kiln: &Kiln, name: &str, text: &[u8]) -> Result<Result<(), String>, String> {
    let format = Format::of(text);
    let document = format
        .read(text, Definitions::r4())
        .unwrap_or_else(|_| Value::from(""));
    let resource_type = document.str_of("resourceType").unwrap_or("Basic");
    let (method, path) = match (
        resource_type,
        document.str_of("type"),
        document.str_of("id"),
    ) {
        ("Bundle", Some("batch" | "transaction"), _) => ("POST", "/".to_owned()),
        (_, _, Some(id)) => ("PUT", format!("/{resource_type}/{id}")),
        _ => ("POST", format!("/{resource_type}")),
    };
    if let Some(need) = kiln.lacks(method, &path, text) {
        return Err(need);
    }
    let content = [("Content-Type".to_owned(), format.media_type().to_owned())];
    let answer = kiln.client.send(method, &path, &content, text)?;
    let is_resource = document.str_of("resourceType").is_some();
    let must_be_refused = !is_resource || REFUSED.iter().any(|word| name.contains(word));
    let wanted = if must_be_refused {
        400..=499
    } else {
        200..=299
    };
    // A batch is done entry by entry: one that is to be refused has an entry that is.
    let statuses = match document.str_of("type") {
        Some("batch") if answer.status == 200 => entry_statuses(&answer),
        _ => vec![answer.status],
    };
    if statuses.contains(&NOT_SUPPORTED) {
        return Err(told(&answer));
    }
    let is_refused = statuses.iter().any(|status| *status >= 400);
    if is_refused == must_be_refused && statuses.iter().all(|status| *status < 500) {
        return Ok(Ok(()));
    }
    let problem = format!(
        "{method} {path} wants {wanted:?}, answered {}",
        told(&answer)
    );
    Ok(Err(problem))
}

fn entry_statuses(answer: &Answer) -> Vec<u16> {
    let bundle = json::parse(&answer.body).unwrap();
    let responses = bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("response"));
    let statuses =
        responses.filter_map(|response| response.str_of("status")?.get(..3)?.parse().ok());
    statuses.collect()
}
