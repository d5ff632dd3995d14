//! Token: a code, an identifier, a flag; found exactly. <https://hl7.org/fhir/R4/search.html#token>
//!
//! Codes are compared as they are written. Elements of type `code` have the system of the value set they are bound to.

use fhir_spec::json::{Data, Value};

use super::Ask;
use crate::condition::{Probe, Reach, Test};
use crate::folding;
use crate::hash;
use crate::query::escape::{split, unescaped};
use crate::registry::{Only, Source};
use crate::rows::{Rows, TokenRow};
use crate::table::TableKind;
use crate::terminology::CODES_MAX;

pub(crate) const MODIFIERS: &[&str] = &["not", "text", "of-type", "in", "not-in", "above", "below"];

/// What booleans are codes of.
pub(crate) const BOOLEANS: &str = "http://terminology.hl7.org/CodeSystem/special-values";

/// The path of identifiers by their types, beside that of the identifiers.
pub(crate) const OF_TYPE: &str = "of-type";

/// The path of what is there without a code: beside that of the codes.
///
/// A coding may tell a system only, a concept a text only, a reference a display only: the first is found by
/// `system|`, and neither is missing.
pub(crate) fn bare(path: i32) -> i32 {
    !path
}

/// How an element holds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The value is the code; the system is known beforehand (0: none).
    Primitive {
        system: i64,
    },
    Coding,
    CodeableConcept,
    /// `of_type`: the path of rows for `:of-type`.
    Identifier {
        of_type: i32,
    },
    ContactPoint,
}

impl Form {
    /// `of_type`: the path of rows for `:of-type`; `implied` finds the system of a code.
    pub(crate) fn of(type_name: &str, of_type: i32, implied: impl FnOnce() -> i64) -> Option<Self> {
        Some(match type_name {
            "Coding" => Self::Coding,
            "CodeableConcept" => Self::CodeableConcept,
            "Identifier" => Self::Identifier { of_type },
            "ContactPoint" => Self::ContactPoint,
            "boolean" => Self::Primitive {
                system: hash::long(BOOLEANS),
            },
            "code" => Self::Primitive { system: implied() },
            "string" | "id" | "uri" | "url" | "canonical" | "oid" | "uuid" | "markdown"
            | "integer" | "positiveInt" | "unsignedInt" => Self::Primitive { system: 0 },
            _ => return None,
        })
    }
}

pub(crate) fn rows(form: Form, path: i32, value: &Value, rows: &mut Rows) {
    match form {
        Form::Primitive { system } => match &value.data {
            Data::String(code) => push(path, code, system, rows),
            Data::Bool(true) => push(path, "true", system, rows),
            Data::Bool(false) => push(path, "false", system, rows),
            Data::Number(digits) => push(path, digits, system, rows),
            _ => {}
        },
        Form::Coding => coding(path, value, rows),
        Form::CodeableConcept => {
            let codings = value.items_of("coding");
            for item in codings {
                coding(path, item, rows);
            }
            if codings.is_empty() {
                push_bare(path, 0, rows);
            }
        }
        Form::Identifier { of_type } => identifier(path, of_type, value, rows),
        Form::ContactPoint => {
            if let Some(code) = value.str_of("value") {
                push(path, code, system(value), rows);
            }
        }
    }
}

fn coding(path: i32, value: &Value, rows: &mut Rows) {
    match value.str_of("code") {
        Some(code) => push(path, code, system(value), rows),
        None => push_bare(path, system(value), rows),
    }
}

/// What is there has no code; perhaps it has a system.
pub(crate) fn push_bare(path: i32, system: i64, rows: &mut Rows) {
    let code = folding::key("");
    let path = bare(path);
    rows.token.push(TokenRow { path, code, system });
}

/// The rows of an identifier: system and value, and for each of its types a row to be found by `:of-type`.
pub(crate) fn identifier(path: i32, of_type: i32, identifier: &Value, rows: &mut Rows) {
    let Some(value) = identifier.str_of("value") else {
        return push_bare(path, system(identifier), rows);
    };
    push(path, value, system(identifier), rows);
    let types = identifier.get("type").map(|kind| kind.items_of("coding"));
    for kind in types.unwrap_or_default() {
        if let Some(code) = kind.str_of("code") {
            push(of_type, &typed(code, value), system(kind), rows);
        }
    }
}

/// How a type of identifier and its value stand in one row.
pub(crate) fn typed(code: &str, value: &str) -> String {
    format!("{code}|{value}")
}

fn system(value: &Value) -> i64 {
    value.str_of("system").map_or(0, hash::long)
}

fn push(path: i32, code: &str, system: i64, rows: &mut Rows) {
    if !code.is_empty() {
        let code = folding::key(code);
        rows.token.push(TokenRow { path, code, system });
    }
}

/// `code`, `system|code`, `|code`, `system|`; with `:of-type` `system|code|value`.
pub(crate) fn probes(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    match ask.modifier {
        Some("of-type") => return of_type(ask, source, value),
        Some("in" | "not-in" | "above" | "below") => return related(ask, source, value),
        _ => {}
    }
    let Some(mut tests) = tests(source, value)? else {
        return Ok(Vec::new());
    };
    let has_code = tests
        .iter()
        .any(|test| matches!(test, Test::Is("code", ..)));
    let reach = match (has_code, source.element) {
        (false, _) => Reach::All,
        (true, facts) if facts.is_identifying => Reach::One,
        (true, facts) if facts.is_primitive => Reach::Most,
        _ => Reach::Many,
    };
    if let Only::System(system) = source.only {
        let wanted = Test::equal("system", system);
        if !tests.contains(&wanted) {
            tests.push(wanted);
        }
    }
    let probe = |path, reach, tests| Probe::new(TableKind::Token, path, reach, tests);
    let mut probes = vec![probe(source.path, reach, tests.clone())];
    let is_tuple = source.table == TableKind::Composite;
    if !has_code && !source.element.is_primitive && !is_tuple {
        probes.push(probe(bare(source.path), Reach::Some, tests));
    }
    Ok(probes)
}

/// What a value says of code and system. None: nothing can be found.
fn tests(source: &Source, value: &str) -> Result<Option<Vec<Test>>, String> {
    let parts: Vec<String> = split(value, '|').into_iter().map(unescaped).collect();
    let code = |code: &str| Test::equal("code", folding::key(code));
    let system = |system: &str| Test::equal("system", hash::long(system));
    Ok(Some(match parts.as_slice() {
        [only] => vec![code(only)],
        [none, written] if none.is_empty() && written.is_empty() => {
            return Err("neither a system nor a code is given".into());
        }
        // A primitive has no system to be without.
        [none, written] if none.is_empty() && source.element.is_primitive => vec![code(written)],
        [none, written] if none.is_empty() => vec![code(written), Test::equal("system", 0_i64)],
        [uri, none] if none.is_empty() => vec![system(uri)],
        [uri, written] => {
            let wanted = hash::long(uri);
            if matches!(source.only, Only::System(only) if only != wanted) {
                return Ok(None);
            }
            vec![code(written), system(uri)]
        }
        _ => return Err("a token is `code`, `system|code`, `|code` or `system|`".into()),
    }))
}

/// The codes of a value set, or those above or below a code.
fn related(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let is_above = ask.modifier == Some("above");
    let codes = if is_above || ask.modifier == Some("below") {
        let parts: Vec<String> = split(value, '|').into_iter().map(unescaped).collect();
        let [system, code] = parts.as_slice() else {
            return Err("a place in a hierarchy is `system|code`".into());
        };
        if is_above {
            ask.terminology.codes_above(system, code)?
        } else {
            ask.terminology.codes_below(system, code)?
        }
    } else {
        ask.terminology.codes_in(&unescaped(value))?
    };
    if codes.len() > CODES_MAX {
        let count = codes.len();
        return Err(format!(
            "{count} codes are meant, {CODES_MAX} can be searched for at once"
        ));
    }
    let probes = codes.iter().map(|(system, code)| {
        let mut tests = vec![Test::equal("code", folding::key(code))];
        // A primitive has no system to be of another.
        if !source.element.is_primitive {
            tests.push(Test::equal("system", hash::long(system)));
        }
        Probe::new(TableKind::Token, source.path, Reach::Most, tests)
    });
    Ok(probes.collect())
}

fn of_type(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let parts: Vec<String> = split(value, '|').into_iter().map(unescaped).collect();
    let [system, code, value] = parts.as_slice() else {
        return Err("`:of-type` takes `system|code|value`".into());
    };
    if system.is_empty() || code.is_empty() || value.is_empty() {
        return Err("`:of-type` takes `system|code|value`, none of them empty".into());
    }
    let Some(path) = ask.known.path_beside(source.path, OF_TYPE) else {
        return Err(format!("`{}` is no identifier", ask.parameter.code));
    };
    let code = folding::key(&typed(code, value));
    let tests = vec![
        Test::equal("code", code),
        Test::equal("system", hash::long(system)),
    ];
    Ok(vec![Probe::new(TableKind::Token, path, Reach::One, tests)])
}

/// The value of an identifier, wherever identifiers are kept as tokens.
pub(crate) fn identifier_probes(path: i32, value: &str) -> Result<Vec<Probe>, String> {
    let source = Source {
        table: TableKind::Token,
        path,
        only: Only::Any,
        element: crate::registry::ElementFacts::default(),
    };
    let tests = tests(&source, value)?.unwrap_or_default();
    Ok(vec![Probe::new(TableKind::Token, path, Reach::One, tests)])
}
