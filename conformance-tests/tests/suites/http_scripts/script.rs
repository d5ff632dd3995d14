//! Reads `.http` files: requests between lines of `###`, variables as `@name = value`.

use std::collections::HashMap;

/// Stands for the FHIR base in what is read.
pub(crate) const BASE: &str = "http://base";
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
/// What comments say of requests that are to be refused.
const FAILURE: &[&str] = &[
    "result = fail",
    "should fail",
    "will fail",
    "should throw",
    "should result in an error",
    "error is returned",
    "expect 4",
];

#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) title: String,
    pub(crate) name: Option<String>,
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The body is this file.
    pub(crate) file: Option<String>,
    pub(crate) must_fail: bool,
}

pub(crate) fn parse(text: &str) -> Vec<Request> {
    let variables = variables(text);
    let mut requests = Vec::new();
    let mut lines = text.lines().peekable();
    let mut block = Vec::new();
    loop {
        let line = lines.next();
        if line.is_none_or(|line| line.starts_with("###")) {
            requests.extend(request(&block, &variables));
            block.clear();
        }
        match line {
            Some(line) => block.push(line),
            None => return requests,
        }
    }
}

/// Variables of the file; those that name a server name this one.
fn variables(text: &str) -> HashMap<String, String> {
    let mut variables = HashMap::new();
    for line in text.lines() {
        let Some((name, value)) = line.strip_prefix('@').and_then(|line| line.split_once('='))
        else {
            continue;
        };
        let is_server = matches!(
            &*name.trim().to_lowercase(),
            "hostname" | "fhirurl" | "baseurl"
        );
        let value = if is_server { BASE } else { value.trim() };
        variables.insert(name.trim().to_owned(), value.to_owned());
    }
    variables
}

/// What stays in braces is the answer of a request.
fn filled(text: &str, variables: &HashMap<String, String>) -> String {
    const DEPTH_MAX: usize = 4;
    let mut text = text.to_owned();
    for _ in 0..DEPTH_MAX {
        for (name, value) in variables {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
    }
    text.replace(&format!("https://{BASE}"), BASE)
}

fn request(block: &[&str], variables: &HashMap<String, String>) -> Option<Request> {
    let is_request = |line: &&str| {
        let word = line.split(' ').next().unwrap_or_default();
        METHODS.contains(&word) || line.starts_with("http://") || line.starts_with("https://")
    };
    let start = block.iter().position(is_request)?;
    let (comments, rest) = block.split_at(start);
    let mut request = Request::default();
    let mut told = Vec::new();
    for comment in comments {
        let comment = comment.trim_start_matches(['#', '/', ' ']).trim();
        match comment.strip_prefix("@name ") {
            Some(name) => request.name = Some(name.trim().to_owned()),
            None if !comment.is_empty() && !comment.starts_with('@') => told.push(comment),
            None => {}
        }
    }
    request.title = told.first().copied().unwrap_or_default().to_owned();
    let told = told.join(" ").to_lowercase();
    request.must_fail = FAILURE.iter().any(|words| told.contains(words));
    let mut lines = rest.iter().copied();
    let mut url = lines
        .next()?
        .trim()
        .trim_end_matches("HTTP/1.1")
        .trim_end()
        .to_owned();
    request.method = METHODS
        .iter()
        .find(|method| url.starts_with(**method))
        .map_or("GET", |method| method)
        .to_owned();
    url = url.trim_start_matches(&request.method).trim().to_owned();
    let mut lines = lines.peekable();
    while let Some(more) = lines.next_if(|line| line.trim_start().starts_with(['?', '&'])) {
        url.push_str(more.trim());
    }
    request.url = filled(&url, variables);
    for line in lines.by_ref() {
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line
            .split_once(':')
            .filter(|_| !line.starts_with(['#', '/']))
        {
            request
                .headers
                .push((name.trim().to_owned(), filled(value.trim(), variables)));
        }
    }
    let body: Vec<&str> = lines.filter(|line| !line.starts_with('@')).collect();
    let text = body.join("\n").trim().to_owned();
    match text.strip_prefix("< ") {
        Some(file) => request.file = Some(file.lines().next()?.trim().to_owned()),
        None => request.body = filled(&joined(&text), variables),
    }
    Some(request)
}

/// A form may be written one field a line.
fn joined(text: &str) -> String {
    if text.starts_with(['{', '[', '<']) {
        return text.to_owned();
    }
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("")
}

#[test]
fn requests_are_read_as_they_are_sent() {
    let text = "@hostname = localhost:1\n@token = {{bearer.response.body.access_token}}\n\n### Read it\n# @name first\n\
                GET https://{{hostname}}/Patient/{{made.response.body.id}} HTTP/1.1\nAuthorization: Bearer {{token}}\n\n\
                ### Should fail\nPOST https://{{hostname}}/Patient/_search\nContent-Type: application/x-www-form-urlencoded\n\n\
                name=a\n&_count=1\n";
    let requests = parse(text);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].name.as_deref(), Some("first"));
    assert_eq!(requests[0].title, "Read it");
    assert_eq!(
        requests[0].url,
        "http://base/Patient/{{made.response.body.id}}"
    );
    assert!(requests[1].must_fail && !requests[0].must_fail);
    assert_eq!(requests[1].body, "name=a&_count=1");
    assert_eq!(requests[1].method, "POST");
}
