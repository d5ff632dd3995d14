//! Token: a code, an identifier, a flag. <https://hl7.org/fhir/R4/search.html#token>

use fhir_spec::json::{Data, Value};

use super::{Ask, Found, Wrong, split, terminology, unescaped};

const BOOLEANS: &str = "http://terminology.hl7.org/CodeSystem/special-values";

/// A system, when there is one, and a code, when there is one.
pub(super) type Token = (Option<String>, Option<String>);

pub(super) fn is(ask: &Ask<'_, '_>, found: &Found<'_>, wanted: &str) -> Result<bool, Wrong> {
    let parts: Vec<String> = split(wanted, '|').iter().map(|p| unescaped(p)).collect();
    match ask.modifier {
        Some("of-type") => return of_type(found, &parts),
        Some("in" | "not-in") => {
            let codes = terminology::codes_in(ask.world.definitions, &unescaped(wanted));
            return Ok(has_one_of(ask, found, &codes));
        }
        Some(way @ ("above" | "below")) => {
            let [system, code] = parts.as_slice() else {
                return Err("system|code".into());
            };
            let codes = terminology::related(ask.world.definitions, system, code, way == "above");
            return Ok(has_one_of(ask, found, &codes));
        }
        _ => {}
    }
    let telecom = telecom_system(ask, found);
    if telecom == Some(false) {
        return Ok(false);
    }
    let is_plain = is_primitive(found);
    let mut is_found = false;
    for (system, code) in tokens(ask, found) {
        let (system, code) = (system.as_deref(), code.as_deref());
        is_found |= match parts.as_slice() {
            [wanted] => code == Some(wanted),
            // A primitive has no system that it could be without.
            [none, wanted] if none.is_empty() => {
                code == Some(wanted) && (system.is_none() || is_plain)
            }
            [uri, none] if none.is_empty() => system == Some(uri),
            [uri, wanted] => system == Some(uri) && code == Some(wanted),
            _ => return Err("code, system|code, |code or system|".into()),
        };
    }
    Ok(is_found)
}

/// The tokens of a value; those of primitives have the system that their value set tells.
pub(super) fn tokens(ask: &Ask<'_, '_>, found: &Found<'_>) -> Vec<Token> {
    let text = |value: &Value, name: &str| value.str_of(name).map(str::to_owned);
    let value = &found.value;
    match found.kind {
        "CodeableConcept" => codings(value),
        "Coding" => vec![(text(value, "system"), text(value, "code"))],
        "Identifier" | "ContactPoint" => vec![(text(value, "system"), text(value, "value"))],
        "boolean" => vec![(
            Some(BOOLEANS.into()),
            value.as_bool().map(|b| b.to_string()),
        )],
        kind => {
            let code = match &value.data {
                Data::String(code) => Some(code.to_string()),
                Data::Number(digits) => Some(digits.to_string()),
                _ => None,
            };
            let system = (kind == "code").then(|| terminology::implied_system(ask));
            vec![(system.flatten(), code)]
        }
    }
}

fn codings(concept: &Value) -> Vec<Token> {
    let text = |value: &Value, name: &str| value.str_of(name).map(str::to_owned);
    let codings = concept.items_of("coding").iter();
    codings
        .map(|coding| (text(coding, "system"), text(coding, "code")))
        .collect()
}

fn is_primitive(found: &Found<'_>) -> bool {
    !matches!(
        found.kind,
        "CodeableConcept" | "Coding" | "Identifier" | "ContactPoint"
    )
}

/// `phone` and `email` are telecoms of that system, which their expressions say; nothing for others.
fn telecom_system(ask: &Ask<'_, '_>, found: &Found<'_>) -> Option<bool> {
    let wanted = match &*ask.parameter.code {
        "phone" => "phone",
        "email" => "email",
        _ => return None,
    };
    Some(found.kind != "ContactPoint" || found.value.str_of("system") == Some(wanted))
}

/// The type of an identifier and its value.
fn of_type(found: &Found<'_>, parts: &[String]) -> Result<bool, Wrong> {
    let [system, code, wanted] = parts else {
        return Err("system|code|value".into());
    };
    if found.kind != "Identifier" {
        return Err("no identifier".into());
    }
    let types = found.value.get("type").map(codings).unwrap_or_default();
    let is_typed = types
        .iter()
        .any(|(own, kind)| own.as_ref() == Some(system) && kind.as_ref() == Some(code));
    Ok(is_typed && found.value.str_of("value") == Some(wanted))
}

fn has_one_of(ask: &Ask<'_, '_>, found: &Found<'_>, codes: &[(String, String)]) -> bool {
    let is_plain = is_primitive(found);
    tokens(ask, found).iter().any(|(own, code)| {
        codes.iter().any(|(system, wanted)| {
            code.as_ref() == Some(wanted) && (is_plain || own.as_ref() == Some(system))
        })
    })
}

/// The identifier that a reference names instead of a literal.
pub(super) fn is_identifier(identifier: &Value, wanted: &str) -> Result<bool, Wrong> {
    let parts: Vec<String> = split(wanted, '|').iter().map(|p| unescaped(p)).collect();
    let (system, value) = (identifier.str_of("system"), identifier.str_of("value"));
    Ok(match parts.as_slice() {
        [wanted] => value == Some(wanted),
        [none, wanted] if none.is_empty() => value == Some(wanted) && system.is_none(),
        [uri, none] if none.is_empty() => system == Some(uri) && value.is_some(),
        [uri, wanted] => system == Some(uri) && value == Some(wanted),
        _ => return Err("code, system|code, |code or system|".into()),
    })
}
