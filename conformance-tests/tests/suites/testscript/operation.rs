//! What a script asks of the server. <https://hl7.org/fhir/R4/testscript.html#operation>

use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::Value;

use crate::kiln::{NOT_SUPPORTED, told};

use super::run::{Asked, Run, Stop, filled};

/// The methods of the codes that are no `$` operations.
const METHODS: &[(&str, &str)] = &[
    ("update", "PUT"),
    ("updateCreate", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("create", "POST"),
    ("batch", "POST"),
    ("transaction", "POST"),
];

/// Creates a fixture, under its own id when it has one.
pub(super) fn create(run: &mut Run<'_>, fixture: &str) -> Result<(), Stop> {
    let document = run.document(Some(fixture))?;
    let resource_type = document
        .str_of("resourceType")
        .unwrap_or_default()
        .to_owned();
    let (method, path) = match document.str_of("id") {
        Some(id) => ("PUT", format!("/{resource_type}/{id}")),
        None => ("POST", format!("/{resource_type}")),
    };
    if let Some(need) = run.kiln.lacks(method, &path, b"") {
        return Err(Stop::Needs(need));
    }
    let content = [(
        "Content-Type".to_owned(),
        Format::Json.media_type().to_owned(),
    )];
    let answer = run
        .kiln
        .client
        .send(method, &path, &content, document.to_string().as_bytes())?;
    run.answers.insert(fixture.to_owned(), answer.clone());
    match answer.status {
        200 | 201 => Ok(()),
        _ => Err(format!(
            "{method} {path} of the fixture {fixture}: {}",
            told(&answer)
        )
        .into()),
    }
}

pub(super) fn perform(run: &mut Run<'_>, operation: &Value) -> Result<(), Stop> {
    let code = operation
        .get("type")
        .and_then(|coding| coding.str_of("code"))
        .unwrap_or_default();
    let resource_type = operation.str_of("resource").unwrap_or_default();
    let url = url(run, operation, code, resource_type)?;
    let method = match operation.str_of("method") {
        Some(method) => method.to_uppercase(),
        None => {
            let mut methods = METHODS.iter();
            let method = methods.find(|(known, _)| *known == code);
            method.map_or("GET", |(_, method)| method).to_owned()
        }
    };
    let body = match operation.str_of("sourceId") {
        Some(source) => {
            let document = run.document(Some(source))?;
            Some(filled(run, &document)?)
        }
        None => None,
    };
    let headers = headers(run, operation, body.is_some())?;
    let format = operation
        .str_of("contentType")
        .and_then(format_named)
        .unwrap_or(Format::Json);
    let text = match &body {
        Some(document) => {
            let written = format.write(document, Definitions::r4());
            written.map_err(|issue| issue.diagnostics)?
        }
        None => String::new(),
    };
    if let Some(need) = run.kiln.lacks(&method, &url, text.as_bytes()) {
        return Err(Stop::Needs(need));
    }
    let answer = run
        .kiln
        .client
        .send(&method, &url, &headers, text.as_bytes())?;
    if answer.status == NOT_SUPPORTED {
        return Err(Stop::Needs(told(&answer)));
    }
    if let Some(source) = operation.str_of("sourceId") {
        // `targetId` may name the fixture that this made.
        run.answers.insert(source.to_owned(), answer.clone());
    }
    if let Some(id) = operation.str_of("responseId") {
        run.answers.insert(id.to_owned(), answer.clone());
        run.sources.remove(id);
    }
    run.asked = Some(Asked {
        url,
        body: text.into_bytes(),
    });
    run.answer = Some(answer);
    Ok(())
}

/// As the specification builds it: `url`, or type and `params`, or what `targetId` became.
fn url(
    run: &mut Run<'_>,
    operation: &Value,
    code: &str,
    resource_type: &str,
) -> Result<String, Stop> {
    if let Some(url) = operation.str_of("url") {
        let url = run.fill(url)?;
        // Some scripts leave the place of the server to whoever runs them.
        let base = run.kiln.client.base().to_owned();
        let outside = url.contains("{{") || !(url.starts_with('/') || url.starts_with("http"));
        if outside && !url.starts_with('$') {
            return Err(Stop::Needs(format!(
                "an address for {url} from whoever runs it"
            )));
        }
        return Ok(match url.strip_prefix(&base) {
            Some(path) => path.to_owned(),
            None if url.starts_with('$') => format!("/{url}"),
            None => url,
        });
    }
    let params = run.fill(operation.str_of("params").unwrap_or_default())?;
    if let Some(target) = operation.str_of("targetId") {
        let document = run.document(Some(target))?;
        let kind = document
            .str_of("resourceType")
            .unwrap_or_default()
            .to_owned();
        let created = run
            .answers
            .get(target)
            .and_then(|answer| answer.header("location"));
        let created =
            created.and_then(|location| location.split("/_history").next()?.rsplit('/').next());
        let id = created
            .or(document.str_of("id"))
            .ok_or_else(|| format!("{target} has no id"))?;
        let history = if code == "history" { "/_history" } else { "" };
        return Ok(format!("/{kind}/{id}{history}{params}"));
    }
    let params = params.replace(' ', "%20");
    let between = if params.is_empty() || params.starts_with(['/', '?']) {
        ""
    } else {
        "/"
    };
    Ok(match (code, resource_type) {
        ("capabilities", _) => format!("/metadata{params}"),
        (_, "") => format!("{between}{params}"),
        (_, kind) => format!("/{kind}{between}{params}"),
    })
}

fn headers(
    run: &mut Run<'_>,
    operation: &Value,
    has_body: bool,
) -> Result<Vec<(String, String)>, Stop> {
    let mut headers = Vec::new();
    for (element, name) in [("accept", "Accept"), ("contentType", "Content-Type")] {
        if let Some(asked) = operation.str_of(element) {
            let media = format_named(asked).map_or(asked, |format| format.media_type());
            headers.push((name.to_owned(), media.to_owned()));
        } else if has_body && name == "Content-Type" {
            headers.push((name.to_owned(), Format::Json.media_type().to_owned()));
        }
    }
    for header in operation.items_of("requestHeader") {
        let (field, value) = (header.str_of("field"), header.str_of("value"));
        let value = run.fill(value.unwrap_or_default())?;
        headers.push((field.unwrap_or_default().to_owned(), value));
    }
    Ok(headers)
}

fn format_named(name: &str) -> Option<Format> {
    match name {
        "xml" => Some(Format::Xml),
        "json" => Some(Format::Json),
        other => Format::named(other),
    }
}
