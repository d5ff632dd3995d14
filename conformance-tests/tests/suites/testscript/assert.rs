//! What a script wants of the answers. <https://hl7.org/fhir/R4/testscript.html#assert>

use conformance_tests::http::Answer;
use fhir_spec::json::{Data, Value};
use fhir_spec::validate::{Request, Validator};

use crate::kiln::told;

use super::run::{Asked, Run, Stop, evaluate, expression_of, text_of};

/// The names of statuses in `assert.response`.
const STATUSES: &[(&str, u16)] = &[
    ("okay", 200),
    ("created", 201),
    ("noContent", 204),
    ("notModified", 304),
    ("bad", 400),
    ("forbidden", 403),
    ("notFound", 404),
    ("methodNotAllowed", 405),
    ("conflict", 409),
    ("gone", 410),
    ("preconditionFailed", 412),
    ("unprocessable", 422),
];

pub(super) fn hold(run: &mut Run<'_>, assertion: &Value) -> Result<(), Stop> {
    if !assertion.items_of("extension").is_empty() {
        return Err(Stop::Needs("extensions of Crucible's engine".to_owned()));
    }
    let source = assertion.str_of("sourceId");
    let operator = assertion.str_of("operator");
    if let Some(name) = assertion.str_of("response") {
        let wanted = STATUSES.iter().find(|(known, _)| *known == name);
        let wanted = wanted
            .ok_or_else(|| format!("no status is called {name}"))?
            .1;
        let answer = answer(run)?;
        return compare(
            operator,
            &answer.status.to_string(),
            &wanted.to_string(),
            answer,
        );
    }
    if let Some(codes) = assertion.str_of("responseCode") {
        let answer = answer(run)?;
        return compare(operator, &answer.status.to_string(), codes, answer);
    }
    if let Some(media) = assertion.str_of("contentType") {
        let answer = answer(run)?;
        let found = answer.header("content-type").unwrap_or_default();
        return check(found.contains(media), || {
            format!("wanted {media}, found {found}")
        });
    }
    if let Some(name) = assertion.str_of("headerField") {
        let value = match assertion.str_of("value") {
            Some(value) => run.fill(value)?,
            None => String::new(),
        };
        let answer = answer(run)?;
        let found = answer.header(name).unwrap_or_default();
        return compare(operator.or(Some("equals")), found, &value, answer);
    }
    if let Some(part) = assertion.str_of("requestURL") {
        let Asked { url, .. } = run
            .asked
            .as_ref()
            .ok_or_else(|| "nothing was asked yet".to_owned())?;
        return operated(operator, url, part);
    }
    if let Some(pattern) = assertion.str_of("responseBody") {
        // Not in R4, but mock.health's scripts use it.
        let answer = answer(run)?;
        return compare(
            operator.or(Some("contains")),
            &answer.text(),
            pattern,
            answer,
        );
    }
    let document = if assertion.str_of("direction") == Some("request") && source.is_none() {
        let asked = run
            .asked
            .as_ref()
            .ok_or_else(|| "nothing was asked yet".to_owned())?;
        super::run::read(&asked.body)?
    } else {
        run.document(source)?
    };
    of_document(run, assertion, &document)
}

fn of_document(run: &mut Run<'_>, assertion: &Value, document: &Value) -> Result<(), Stop> {
    if let Some(wanted) = assertion.str_of("resource") {
        let found = document.str_of("resourceType").unwrap_or_default();
        return check(found == wanted, || {
            format!("wanted a {wanted}, found a {found}")
        });
    }
    let path = assertion.str_of("path").map(expression_of);
    if let Some(expression) = assertion.str_of("expression").map(str::to_owned).or(path) {
        return of_expression(run, assertion, document, &expression);
    }
    if let Some(fixture) = assertion.str_of("minimumId") {
        let least = run.document(Some(fixture))?;
        return check(contains(document, &least), || {
            format!("{document} lacks part of {least}")
        });
    }
    if let Some(profile) = assertion.str_of("validateProfileId") {
        return conforms(run, document, profile);
    }
    if assertion.get("navigationLinks").and_then(Value::as_bool) == Some(true) {
        let links = document.items_of("link");
        let whole =
            |link: &Value| link.str_of("relation").is_some() && link.str_of("url").is_some();
        return check(!links.is_empty() && links.iter().all(whole), || {
            "no navigation links".to_owned()
        });
    }
    Err(Stop::Failed(format!("what is asserted by {assertion}?")))
}

fn of_expression(
    run: &mut Run<'_>,
    assertion: &Value,
    document: &Value,
    expression: &str,
) -> Result<(), Stop> {
    let expression = run.fill(expression)?;
    let found = evaluate(document, &expression)?;
    let text = found.first().map(text_of).unwrap_or_default();
    let operator = assertion.str_of("operator");
    let other = assertion.str_of("compareToSourceId");
    let value = match (assertion.str_of("value"), other) {
        (Some(value), _) => Some(run.fill(value)?),
        (None, Some(other)) => {
            let other = run.document(Some(other))?;
            let theirs = assertion
                .str_of("compareToSourceExpression")
                .unwrap_or(&expression);
            Some(
                evaluate(&other, theirs)?
                    .first()
                    .map(text_of)
                    .unwrap_or_default(),
            )
        }
        (None, None) => None,
    };
    match value {
        Some(value) => operated(operator, &text, &value),
        None if operator.is_some() => operated(operator, &text, ""),
        // An expression alone must be true.
        None => check(text == "true", || format!("{expression} is {found:?}")),
    }
}

fn answer<'r>(run: &'r Run<'_>) -> Result<&'r Answer, Stop> {
    run.answer
        .as_ref()
        .ok_or_else(|| Stop::Failed("nothing was asked yet".to_owned()))
}

fn check(is_true: bool, otherwise: impl FnOnce() -> String) -> Result<(), Stop> {
    if is_true {
        Ok(())
    } else {
        Err(Stop::Failed(otherwise()))
    }
}

/// The same, and tells the answer when it does not hold.
fn compare(operator: Option<&str>, found: &str, wanted: &str, answer: &Answer) -> Result<(), Stop> {
    operated(operator, found, wanted).map_err(|stop| match stop {
        Stop::Failed(problem) => Stop::Failed(format!("{problem}; {}", told(answer))),
        needs => needs,
    })
}

/// <https://hl7.org/fhir/R4/valueset-assert-operator-codes.html>
fn operated(operator: Option<&str>, found: &str, wanted: &str) -> Result<(), Stop> {
    let list = || wanted.split(',').map(str::trim);
    let numbers = || Some((found.parse::<f64>().ok()?, wanted.parse::<f64>().ok()?));
    let operator = operator.unwrap_or("equals");
    let holds = match operator {
        "equals" => found == wanted,
        "notEquals" => found != wanted,
        "in" => list().any(|one| one == found),
        "notIn" => list().all(|one| one != found),
        "greaterThan" => numbers().is_some_and(|(found, wanted)| found > wanted),
        "lessThan" => numbers().is_some_and(|(found, wanted)| found < wanted),
        "empty" => found.is_empty(),
        "notEmpty" => !found.is_empty(),
        "contains" => found.contains(wanted),
        "notContains" => !found.contains(wanted),
        // Not in R4, but mock.health's scripts use it.
        "matchesRegex" => regex::Regex::new(wanted).is_ok_and(|pattern| pattern.is_match(found)),
        other => return Err(Stop::Failed(format!("no operator is called {other}"))),
    };
    let shown: String = found.chars().take(200).collect();
    check(holds, || {
        format!("{shown:?} {operator} {wanted:?} does not hold")
    })
}

/// Whether a document has all that the least has; items of lists may stand anywhere.
fn contains(document: &Value, least: &Value) -> bool {
    match (&document.data, &least.data) {
        (Data::Object(document), Data::Object(least)) => least.iter().all(|(name, value)| {
            document
                .get(name)
                .is_some_and(|found| contains(found, value))
        }),
        (Data::Array(items), Data::Array(least)) => least
            .iter()
            .all(|value| items.iter().any(|item| contains(item, value))),
        _ => document.to_string() == least.to_string(),
    }
}

fn conforms(run: &Run<'_>, document: &Value, id: &str) -> Result<(), Stop> {
    let profile = run.profile(id).ok_or_else(|| format!("no profile {id}"))?;
    let validator = Validator::r4();
    if validator.definitions().structure(&profile).is_none() {
        return Err(Stop::Needs(format!(
            "the profile {profile}, which is not in the suite"
        )));
    }
    let request = Request {
        profiles: &[&profile],
        ..Request::default()
    };
    let issues = validator.validate(document, &request);
    let errors = issues.iter().filter(|issue| issue.is_error());
    let errors: Vec<&str> = errors.map(|issue| &*issue.diagnostics).collect();
    check(errors.is_empty(), || errors.join("; "))
}
