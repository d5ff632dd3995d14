//! The request scripts (`.http`) of other servers, sent in order. What is wanted stands in their comments: a request whose
//! comment speaks of failure must be refused, every other one must be done.

mod script;

use std::collections::HashMap;

use conformance_tests::http::Answer;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;

use crate::kiln::{Kiln, NOT_SUPPORTED, told};
use crate::material::{explained, files, folder};
use crate::results::Tally;
use script::Request;

const EXPLAINED: &str = include_str!("http_scripts/explained.tsv");

#[test]
fn of_microsoft() {
    let name = "peer-suites: request scripts of Microsoft's server";
    suite(
        name,
        "http-microsoft",
        &["http-microsoft-data", "../fhir-server-testfiles/Normative"],
    );
}

#[test]
fn of_candle() {
    suite(
        "peer-suites: request scripts of fhir-candle",
        "http-candle",
        &[],
    );
}

fn suite(name: &'static str, place: &str, data: &[&str]) {
    let Some(folder) = folder("peer-suites") else {
        return;
    };
    let data: Vec<(String, Vec<u8>)> = data
        .iter()
        .flat_map(|place| files(&folder.join(place), ""))
        .collect();
    let mut tally = Tally::new(name, explained(EXPLAINED));
    for (file, text) in files(&folder.join(place), ".http.txt") {
        let requests = script::parse(&String::from_utf8_lossy(&text));
        let mut run = Run {
            kiln: Kiln::start(),
            data: &data,
            answers: HashMap::new(),
            deleted: Vec::new(),
            signs_in: requests.iter().any(asks_for_scopes),
        };
        for (number, request) in requests.iter().enumerate() {
            if is_token_request(request) {
                continue;
            }
            let case = format!("{file}: {} {}", number + 1, request.title);
            match run.request(request) {
                Ok(problem) => tally.count(&case, problem.map_or(Ok(()), Err)),
                Err(need) => tally.wait(&case, &need),
            }
        }
    }
    tally.finish();
}

/// Tokens come from a server that is not part of the script.
fn is_token_request(request: &Request) -> bool {
    let url = request.url.split('?').next().unwrap_or_default();
    url.ends_with("/token") || url.contains("login.microsoftonline.com")
}

/// Whether what comes back depends on what the user may see.
fn asks_for_scopes(request: &Request) -> bool {
    is_token_request(request)
        && ["patient/", "user/"]
            .iter()
            .any(|scope| request.body.contains(scope))
}

struct Run<'d> {
    kiln: Kiln,
    data: &'d [(String, Vec<u8>)],
    /// By the names that the script gave its requests.
    answers: HashMap<String, Answer>,
    deleted: Vec<String>,
    signs_in: bool,
}

impl Run<'_> {
    /// `Ok` tells what was wrong with the answer, if anything; the error what is needed to ask at all.
    fn request(&mut self, request: &Request) -> Result<Option<String>, String> {
        if self.signs_in {
            return Err("users who sign in (SMART)".to_owned());
        }
        let url = self.filled(&request.url)?;
        let path = path_of(&url);
        let body = match &request.file {
            Some(file) => self.file(file)?,
            None => self.filled(&request.body)?.into_bytes(),
        };
        if let Some(need) = self.kiln.lacks(&request.method, &path, &body) {
            return Err(need);
        }
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            // The server is open here: tokens say nothing.
            if !name.eq_ignore_ascii_case("authorization") {
                headers.push((name.clone(), self.filled(value)?));
            }
        }
        let answer = self
            .kiln
            .client
            .send(&request.method, &path, &headers, &body)?;
        if answer.status == NOT_SUPPORTED {
            return Err(told(&answer));
        }
        let is_gone = request.method == "GET" && self.deleted.contains(&path);
        let wanted = if is_gone {
            404..=410
        } else if request.must_fail {
            400..=499
        } else {
            200..=299
        };
        if request.method == "DELETE" {
            self.deleted.push(path.clone());
        }
        if let Some(name) = &request.name {
            self.answers.insert(name.clone(), answer.clone());
        }
        if wanted.contains(&answer.status) {
            return Ok(None);
        }
        let problem = format!(
            "{} {path} wants {wanted:?}, answered {}",
            request.method,
            told(&answer)
        );
        Ok(Some(problem))
    }

    /// The suite brings the folder `Data` of the scripts and no other.
    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        let plain = path.replace('\\', "/");
        let name = plain.strip_prefix("./Data/").unwrap_or_default();
        let found = self.data.iter().find(|(known, _)| known == name);
        found
            .map(|(_, bytes)| bytes.clone())
            .ok_or_else(|| format!("the file {path}, which is not in the suite"))
    }

    /// Puts in what earlier answers hold: `{{name.response.body.PATH}}`, `{{name.response.headers.NAME}}`.
    fn filled(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").ok_or("an end of {{")?;
            filled.push_str(before);
            let value = self.value(name.trim());
            filled
                .push_str(&value.ok_or_else(|| format!("a value of {name} from whoever runs it"))?);
            rest = behind;
        }
        filled.push_str(rest);
        // `<FHIR URL>` and the like are left to whoever runs the script.
        let is_whole = filled.starts_with("http") || filled.starts_with('<');
        if is_whole && filled.contains('<') && !filled.contains('\n') {
            return Err(format!("a value of {filled} from whoever runs it"));
        }
        Ok(filled)
    }

    fn value(&self, name: &str) -> Option<String> {
        let (request, path) = name.split_once(".response.")?;
        let answer = self.answers.get(request)?;
        if let Some(header) = path.strip_prefix("headers.") {
            return answer.header(header).map(str::to_owned);
        }
        let path = path.strip_prefix("body.")?.trim_start_matches("$.");
        let document = Format::of(&answer.body)
            .read(&answer.body, Definitions::r4())
            .ok()?;
        crate::testscript::evaluate(&document, path)
            .ok()?
            .first()?
            .as_str()
            .map(str::to_owned)
    }
}

/// What stands behind the server's base, with everything escaped that may not stand in a URL.
fn path_of(url: &str) -> String {
    const ALLOWED: &str = "-._~:/?#[]@!$&'()*+,;=%";
    let path = url.trim_start_matches(script::BASE);
    let mut escaped = if path.starts_with('/') {
        String::new()
    } else {
        "/".to_owned()
    };
    for byte in path.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || ALLOWED.contains(c) {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
