//! Codes and references.

use fhir_spec::json::{Object, Value};

use super::{Answer, Env, Function, nothing, shortened, text_at};

const FAMILY: &str = "codes";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "normalize_gender",
        &["text"],
        normalize_gender,
        "The code of administrative-gender for what HL7 table 0001 and people write.",
        &[
            (&["M"], "male"), (&["f"], "female"), (&["Female"], "female"), (&["O"], "other"), (&["A"], "other"),
            (&["N"], "other"), (&["U"], "unknown"), (&["x"], "other"), (&["weiblich"], "female"), (&["?"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "map_code",
        &["value", "from", "to", "more..."],
        map_code,
        "What stands behind the value in the list of pairs; one more at the end serves all others.",
        &[
            (&["A", "A", "active", "I", "inactive"], "active"), (&["I", "A", "active", "I", "inactive"], "inactive"),
            (&["X", "A", "active", "unknown"], "unknown"), (&["X", "A", "active"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "find",
        &["value", "type", "system?"],
        find,
        "A reference to the resource of that type which has the value as its identifier: the server looks for it when it stores.",
        &[
            (&["7", "Patient", "urn:mrn"], "{\"reference\":\"Patient?identifier=urn:mrn|7\"}"),
            (&["7", "Patient"], "{\"reference\":\"Patient?identifier=7\"}"),
            (&["a&b", "Patient", "urn:x"], "{\"reference\":\"Patient?identifier=urn:x|a%26b\"}"),
            (&["7", "patient"], "!"),
        ],
    )
    .giving("Reference"),
    Function::new(
        FAMILY,
        "system_uri",
        &["namespace", "id?", "type?"],
        system_uri,
        "The system of an identifier or code by what HL7 v2 says of who assigns it: an OID, a UUID, an address, or a name of its own.",
        &[
            (&["MAIN", "1.2.3", "ISO"], "urn:oid:1.2.3"), (&["MAIN", "http://a.example", "URI"], "http://a.example"),
            (&["", "9F0C5A9E-1F5B-4C3A-9D2E-0123456789AB", "UUID"], "urn:uuid:9f0c5a9e-1f5b-4c3a-9d2e-0123456789ab"),
            (&["MAIN"], "urn:id:MAIN"), (&["St. Mary's"], "urn:id:St.%20Mary%27s"), (&["", "urn:oid:1.2.3"], "urn:oid:1.2.3"),
            (&["", "1.2.840.1", ""], "urn:oid:1.2.840.1"), (&["", "lab.example", "DNS"], "urn:id:lab.example"), (&["", ""], ""),
        ],
    )
    .taking_nothing(),
];

fn system_uri(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = |place| text_at(arguments, place).unwrap_or_default().trim();
    let system = system_of(text(0), text(1), text(2));
    Ok(system.map_or_else(nothing, Value::from))
}

/// The system of what a namespace, an id and the id's type name.
pub(super) fn system_of(namespace: &str, id: &str, kind: &str) -> Option<String> {
    let is_oid = |text: &str| {
        text.contains('.')
            && text.starts_with(['0', '1', '2'])
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let name = if id.is_empty() { namespace } else { id };
    if name.is_empty() {
        return None;
    }
    let is_kind = |word: &str| kind.eq_ignore_ascii_case(word);
    Some(match name {
        _ if name.contains("://") || name.starts_with("urn:") => name.to_owned(),
        _ if is_kind("UUID") || is_kind("GUID") => format!("urn:uuid:{}", name.to_lowercase()),
        _ if (is_kind("ISO") || kind.is_empty()) && is_oid(name) => format!("urn:oid:{name}"),
        _ => {
            let mut system = String::with_capacity(32);
            system.push_str("urn:id:");
            encode(name, &mut system);
            system
        }
    })
}

fn normalize_gender(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    let code = match text.to_lowercase().as_str() {
        "m" | "male" | "man" | "boy" | "männlich" | "masculine" | "masculino" | "homme" => "male",
        "f" | "w" | "female" | "woman" | "girl" | "weiblich" | "feminine" | "femenino"
        | "femme" => "female",
        "o" | "a" | "n" | "x" | "d" | "other" | "ambiguous" | "nonbinary" | "non-binary"
        | "divers" | "diverse" | "not applicable" => "other",
        "u" | "unk" | "unknown" | "unbekannt" => "unknown",
        _ => return Err(format!("a gender instead of '{}'", shortened(text))),
    };
    Ok(code.into())
}

fn map_code(arguments: &[Value], _: &Env<'_>) -> Answer {
    let value = text_at(arguments, 0)?;
    for pair in arguments.get(1..).unwrap_or_default().chunks(2) {
        match pair {
            [from, to] if super::text_of(from) == Some(value) => return Ok(to.clone()),
            [otherwise] => return Ok(otherwise.clone()),
            _ => {}
        }
    }
    Err(format!(
        "a code of the list instead of '{}'",
        shortened(value)
    ))
}

fn find(arguments: &[Value], env: &Env<'_>) -> Answer {
    let (value, kind, system) = (
        text_at(arguments, 0)?,
        text_at(arguments, 1)?,
        text_at(arguments, 2)?,
    );
    if value.is_empty() {
        return Ok(nothing());
    }
    if !kind.starts_with(|first: char| first.is_ascii_uppercase())
        || !kind.bytes().all(|byte| byte.is_ascii_alphabetic())
    {
        return Err(format!("a resource type instead of '{}'", shortened(kind)));
    }
    let mut reference = format!("{kind}?identifier=");
    if !system.is_empty() {
        encode(system, &mut reference);
        reference.push('|');
    }
    encode(value, &mut reference);
    env.finds.set(true);
    Ok(Object::from_iter([("reference", Value::from(reference))]).into())
}

/// As much of the escaping of query strings as keeps a value whole; `:` and `/` stay readable.
pub(in crate::mapping) fn encode(text: &str, out: &mut String) {
    let is_plain = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/');
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(|byte| !is_plain(byte)) {
        let (plain, more) = rest.split_at(place);
        out.push_str(std::str::from_utf8(plain).unwrap_or_default());
        let [byte, after @ ..] = more else { return };
        // Commas, bars and backslashes of a value would divide it: FHIR escapes them once more.
        if matches!(byte, b',' | b'|' | b'$' | b'\\') {
            out.push_str("%5C");
        }
        out.push('%');
        let digits = [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16));
        let digits = digits.into_iter().flatten();
        out.extend(digits.map(|digit| digit.to_ascii_uppercase()));
        rest = after;
    }
    out.push_str(std::str::from_utf8(rest).unwrap_or_default());
}
