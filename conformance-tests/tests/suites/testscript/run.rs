//! The course of a script: fixtures, set-up, tests, tear-down, and what is known on the way.

use std::collections::HashMap;

use conformance_tests::http::Answer;
use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::{Context, Expression};
use fhir_spec::format::Format;
use fhir_spec::json::{self, Value};

use super::{assert, operation};
use crate::kiln::Kiln;

pub(crate) enum Verdict {
    Passed,
    Failed(String),
    /// The server, or whoever runs the script, would have to bring this first.
    Waits(String),
}

/// Why an action did not do what it should.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    Needs(String),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Failed(problem)
    }
}

impl From<Stop> for Verdict {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(problem) => Self::Failed(problem),
            Stop::Needs(need) => Self::Waits(need),
        }
    }
}

/// What an operation asked, as far as assertions may look at it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) url: String,
    pub(super) body: Vec<u8>,
}

/// A run of one script.
pub(super) struct Run<'k> {
    pub(super) kiln: &'k Kiln,
    script: &'k Value,
    /// Fixtures, and the answers that operations have named.
    pub(super) sources: HashMap<String, Value>,
    pub(super) answers: HashMap<String, Answer>,
    /// Fixtures that are not in the suite, by id: their references.
    missing: HashMap<String, String>,
    pub(super) asked: Option<Asked>,
    pub(super) answer: Option<Answer>,
    /// A value that only whoever runs the script can know was used.
    pub(super) used_placeholder: Option<String>,
}

/// The tests of a script with what came of each.
pub(super) fn script(
    kiln: &Kiln,
    script: &Value,
    files: &[(String, Vec<u8>)],
) -> Vec<(String, Verdict)> {
    let mut run = Run {
        kiln,
        script,
        sources: HashMap::new(),
        answers: HashMap::new(),
        missing: HashMap::new(),
        asked: None,
        answer: None,
        used_placeholder: None,
    };
    let prepared = run.prepare(files);
    let tests = script.items_of("test").iter().enumerate();
    let verdicts = tests
        .map(|(number, test)| {
            let name = test.str_of("name").or(test.str_of("id"));
            let name = name.map_or_else(|| format!("test {}", number + 1), str::to_owned);
            let verdict = match &prepared {
                Ok(()) => run.test(test),
                Err(Stop::Failed(problem)) => Verdict::Failed(format!("set-up: {problem}")),
                Err(Stop::Needs(need)) => Verdict::Waits(need.clone()),
            };
            (name, verdict)
        })
        .collect();
    if let Some(teardown) = script.get("teardown") {
        // What could not be undone harms nobody: the server ends with the script.
        let _undone = run.actions(teardown);
    }
    verdicts
}

impl Run<'_> {
    /// Fixtures and set-up.
    fn prepare(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), Stop> {
        for fixture in self.script.items_of("fixture") {
            let id = fixture.str_of("id").unwrap_or_default();
            let reference = fixture
                .get("resource")
                .and_then(|resource| resource.str_of("reference"));
            let reference = reference.unwrap_or_default();
            let Some(bytes) = find(files, reference) else {
                self.missing.insert(id.to_owned(), reference.to_owned());
                continue;
            };
            let bytes = &with_made_up(bytes);
            let document = Format::of(bytes).read(bytes, Definitions::r4());
            let document = document.map_err(|issues| format!("{reference}: {issues:?}"))?;
            self.sources.insert(id.to_owned(), document);
        }
        for fixture in self.script.items_of("fixture") {
            let is_set = |name: &str| fixture.get(name).and_then(Value::as_bool) == Some(true);
            let id = fixture.str_of("id").unwrap_or_default();
            if is_set("autocreate") {
                operation::create(self, id)?;
            }
        }
        match self.script.get("setup") {
            Some(setup) => self.actions(setup),
            None => Ok(()),
        }
    }

    fn test(&mut self, test: &Value) -> Verdict {
        self.used_placeholder = None;
        let done = self.actions(test);
        match (done, self.used_placeholder.take()) {
            (Ok(()), _) => Verdict::Passed,
            (Err(Stop::Failed(_)), Some(placeholder)) => {
                Verdict::Waits(format!("from whoever runs it: {placeholder}"))
            }
            (Err(stop), _) => stop.into(),
        }
    }

    fn actions(&mut self, part: &Value) -> Result<(), Stop> {
        for action in part.items_of("action") {
            if let Some(operation) = action.get("operation") {
                operation::perform(self, operation)?;
            }
            if let Some(assertion) = action.get("assert") {
                let told = assertion
                    .str_of("label")
                    .or(assertion.str_of("description"));
                let told = told.unwrap_or("an assertion");
                let only_warns = assertion.get("warningOnly").and_then(Value::as_bool);
                match assert::hold(self, assertion) {
                    Err(Stop::Failed(problem)) if only_warns == Some(true) => {
                        println!("  warning only: {told}: {problem}");
                    }
                    Err(Stop::Failed(problem)) => return Err(format!("{told}: {problem}").into()),
                    done => done?,
                }
            }
        }
        Ok(())
    }

    /// Puts the values of variables in the place of each `${NAME}`.
    pub(super) fn fill(&mut self, text: &str) -> Result<String, Stop> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("no end of ${{ in {text}"))?;
            filled.push_str(before);
            filled.push_str(&self.variable(name)?);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn variable(&mut self, name: &str) -> Result<String, Stop> {
        let variables = self.script.items_of("variable");
        let variable = variables
            .iter()
            .find(|variable| variable.str_of("name") == Some(name));
        let Some(variable) = variable else {
            return Err(format!("no variable {name}").into());
        };
        let from = variable.str_of("sourceId");
        let value = if let Some(header) = variable.str_of("headerField") {
            let answer = from.map_or(self.answer.as_ref(), |id| self.answers.get(id));
            answer
                .and_then(|answer| answer.header(header))
                .map(str::to_owned)
        } else if let Some(expression) = variable.str_of("expression") {
            self.text_at(from, expression)?
        } else if let Some(path) = variable.str_of("path") {
            self.text_at(from, &expression_of(path))?
        } else {
            None
        };
        if let Some(value) = value {
            return Ok(value);
        }
        let asks = variable.str_of("hint").or(variable.str_of("description"));
        self.used_placeholder =
            Some(asks.map_or_else(|| name.to_owned(), |asks| format!("{name}, {asks}")));
        match variable.str_of("defaultValue") {
            Some(default) => Ok(default.to_owned()),
            None => Err(Stop::Needs(format!(
                "a value of {name} from whoever runs it"
            ))),
        }
    }

    fn text_at(&self, source: Option<&str>, expression: &str) -> Result<Option<String>, Stop> {
        let found = evaluate(&self.document(source)?, expression)?;
        Ok(found.first().map(text_of))
    }

    /// The canonical that a script calls by this id.
    pub(super) fn profile(&self, id: &str) -> Option<String> {
        let mut profiles = self.script.items_of("profile").iter();
        let profile = profiles.find(|profile| profile.str_of("id") == Some(id))?;
        profile.str_of("reference").map(str::to_owned)
    }

    /// The document of a source, or of the last answer.
    pub(super) fn document(&self, source: Option<&str>) -> Result<Value, Stop> {
        if let Some(document) = source.and_then(|id| self.sources.get(id)) {
            return Ok(document.clone());
        }
        if let Some(reference) = source.and_then(|id| self.missing.get(id)) {
            let need = format!("the fixture {reference}, which is not in the suite");
            return Err(Stop::Needs(need));
        }
        let answer = match source {
            Some(id) => self
                .answers
                .get(id)
                .ok_or_else(|| format!("no source {id}"))?,
            None => self
                .answer
                .as_ref()
                .ok_or_else(|| "nothing was asked yet".to_owned())?,
        };
        read(&answer.body).map_err(Stop::Failed)
    }
}

pub(super) fn read(body: &[u8]) -> Result<Value, String> {
    let document = Format::of(body).read(body, Definitions::r4());
    document.map_err(|issues| format!("the body is no document: {issues:?}"))
}

pub(crate) fn evaluate(document: &Value, expression: &str) -> Result<Vec<Value>, String> {
    let parsed = Expression::parse(expression).map_err(|error| format!("{expression}: {error}"))?;
    let context = Context::new(Definitions::r4().types(), document);
    let items = parsed
        .evaluate(&context)
        .map_err(|error| format!("{expression}: {error}"))?;
    Ok(items.iter().map(|item| item.to_json()).collect())
}

pub(super) fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A plain XPath or JSONPath as FHIRPath: `fhir:Bundle/fhir:type/@value`, `.address[0].city`,
/// `.extension[?(@.url == 'x')].valueDateTime`.
pub(super) fn expression_of(path: &str) -> String {
    let is_xpath = path.split('\'').step_by(2).any(|part| part.contains('/'));
    let index = regex::Regex::new(r"\[(\d+)\]").unwrap();
    let filter = regex::Regex::new(r"\[\?\(@\.(.*?)==").unwrap();
    let choice = regex::Regex::new(r"\bvalue[A-Z]\w*").unwrap();
    // What stands in quotes stays as it is.
    let parts = path.split('\'').enumerate().map(|(number, part)| {
        if number % 2 == 1 {
            return part.to_owned();
        }
        let part = part
            .trim_end_matches("/@value")
            .replace("fhir:", "")
            .replace("[@", ".where(");
        let part = filter.replace_all(&part, ".where($1=").replace(")]", ")");
        let part = part.replace('/', ".").replace('_', "");
        // In FHIRPath a choice of types has the plain name.
        let part = choice.replace_all(&part, "value").into_owned();
        if !is_xpath {
            return part;
        }
        // XPath counts from one.
        let from_zero = |found: &regex::Captures<'_>| {
            let number: u32 = found[1].parse().unwrap();
            format!("[{}]", number.saturating_sub(1))
        };
        index.replace_all(&part, from_zero).into_owned()
    });
    let joined = parts.collect::<Vec<_>>().join("'");
    joined.trim_start_matches('.').replace("']", "')")
}

#[test]
fn paths_become_expressions() {
    for (path, expression) in [
        ("Patient/id", "Patient.id"),
        ("fhir:Bundle/fhir:type/@value", "Bundle.type"),
        (".address[0].city", "address[0].city"),
        ("/Bundle/entry[1]/resource", "Bundle.entry[0].resource"),
        (
            "Patient/extension[@url='http://x/y']/valueDate",
            "Patient.extension.where(url='http://x/y').value",
        ),
        (
            "_birthDate.extension[?(@.url == 'http://x')].value",
            "birthDate.extension.where(url = 'http://x').value",
        ),
    ] {
        assert_eq!(expression_of(path), expression);
    }
}

/// The file a fixture names: folders became `__` in the names of the files.
fn find<'f>(files: &'f [(String, Vec<u8>)], reference: &str) -> Option<&'f [u8]> {
    let parts: Vec<&str> = reference
        .split('/')
        .filter(|part| !part.starts_with('.'))
        .collect();
    (0..parts.len()).find_map(|from| {
        let ending = parts[from..].join("__");
        let found = files
            .iter()
            .find(|(name, _)| *name == ending || name.ends_with(&format!("__{ending}")));
        found.map(|(_, bytes)| &**bytes)
    })
}

/// Fixtures may hold variables too.
pub(super) fn filled(run: &mut Run<'_>, document: &Value) -> Result<Value, Stop> {
    let text = document.to_string();
    if !text.contains("${") {
        return Ok(document.clone());
    }
    let text = run.fill(&text)?;
    json::parse(text.as_bytes()).map_err(|error| Stop::Failed(error.to_string()))
}

/// Touchstone, where these scripts come from, makes up text in fixtures: `${CD16}` are sixteen digits, `${C8}` eight
/// letters, the same through a script.
fn with_made_up(fixture: &[u8]) -> Vec<u8> {
    let asked = regex::Regex::new(r"\$\{(CD|D|C)(\d+)\}").unwrap();
    let made = |captures: &regex::Captures<'_>| {
        let alphabet = if &captures[1] == "C" {
            "Touchstone"
        } else {
            "4711"
        };
        let count = captures[2].parse().unwrap();
        alphabet.chars().cycle().take(count).collect::<String>()
    };
    asked
        .replace_all(&String::from_utf8_lossy(fixture), made)
        .into_owned()
        .into_bytes()
}
