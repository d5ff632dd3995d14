//! Values of FHIR as data types of CDA. What CDA cannot say is not made up: a code of a system without an OID stands beside
//! a nullFlavor, an address of a system without an OID becomes a UUID of its own, with the address beside it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::definitions::Types;
use fhir_spec::fhirpath::Item;
use fhir_spec::json::{Data, Value};
use fhir_spec::ucum;
use sha2::{Digest, Sha256};

use crate::mapping::functions::{is_oid, is_uuid, uri_to_oid};

use super::people;
use super::xml::Element;

/// What stands behind `:` in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// The data type that fits the type of the value.
    Any,
    /// A code, of that system if there is one.
    Cd(Option<&'static str>),
    /// By a table of the templates.
    Code(&'static str),
    Ii,
    Ts,
    Interval,
    Pq,
    Pn,
    On,
    Ad,
    Tel,
    /// A file.
    Ed,
    /// Plain text.
    St,
    /// The attribute `value`.
    Value,
    /// A reference to the row of the resource in the table for people.
    Row,
    /// Words that people read below the table, and a reference to them.
    Told,
    /// An id made of the address of the resource, and of a word that tells several of them apart.
    Own(&'static str),
}

impl Conversion {
    pub(super) fn named(text: &'static str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match (word, rest.trim()) {
            ("any", "") => Self::Any,
            ("CD", "") => Self::Cd(None),
            ("CD", oid) => Self::Cd(Some(oid)),
            ("code", table) if !table.is_empty() => Self::Code(table),
            ("II", "") => Self::Ii,
            ("TS", "") => Self::Ts,
            ("IVL", "") => Self::Interval,
            ("PQ", "") => Self::Pq,
            ("PN", "") => Self::Pn,
            ("ON", "") => Self::On,
            ("AD", "") => Self::Ad,
            ("TEL", "") => Self::Tel,
            ("ED", "") => Self::Ed,
            ("ST", "") => Self::St,
            ("value", "") => Self::Value,
            ("row", "") => Self::Row,
            ("told", "") => Self::Told,
            ("own", word) => Self::Own(word),
            _ => return None,
        })
    }

    /// The type that has to be said where any type may stand.
    fn type_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Cd(_) | Self::Code(_) => "CD",
            Self::Ii => "II",
            Self::Ts => "TS",
            Self::Interval => "IVL_TS",
            Self::Pq => "PQ",
            Self::St => "ST",
            Self::Ed => "ED",
            _ => return None,
        })
    }
}

/// Writes a value into an element; false when it says nothing.
pub(super) fn write(
    conversion: Conversion,
    (item, types): (&Item<'_>, &Types),
    element: &mut Element,
    is_any: bool,
) -> bool {
    let text = plain(item);
    let value = item.as_node().and_then(|node| node.value());
    let said = match conversion {
        Conversion::Any => return any(item, types, element),
        Conversion::Cd(system) => code((value, text.as_deref()), system, element),
        Conversion::Ii => value.is_some_and(|value| id(value, element)),
        Conversion::Ts => time(text.as_deref(), element),
        Conversion::Interval => match value.filter(|value| value.as_object().is_some()) {
            Some(period) => interval(period, element),
            None => time(text.as_deref(), element),
        },
        Conversion::Pq => match value.filter(|value| value.as_object().is_some()) {
            Some(value) => quantity(value, element),
            None => set(element, "value", text),
        },
        Conversion::Pn | Conversion::On => {
            people::name((value, text), conversion == Conversion::Pn, element)
        }
        Conversion::Ad => value.is_some_and(|value| people::address(value, element)),
        Conversion::Tel => value.is_some_and(|value| people::telecom(value, element)),
        Conversion::Ed => value.is_some_and(|value| file(value, element)),
        Conversion::St => say(element, text),
        Conversion::Value => set(element, "value", text),
        Conversion::Code(_) | Conversion::Row | Conversion::Told | Conversion::Own(_) => false,
    };
    if said
        && is_any
        && let Some(name) = conversion.type_name()
    {
        typed(element, name);
    }
    said
}

/// The text of a plain value.
pub(super) fn plain(item: &Item<'_>) -> Option<String> {
    match item.as_node() {
        None => item.text(),
        Some(node) => match &node.value()?.data {
            Data::String(text) | Data::Number(text) => Some(text.to_string()),
            Data::Bool(value) => Some(value.to_string()),
            _ => None,
        },
    }
}

/// Says the type first, unless the template does.
fn typed(element: &mut Element, name: &str) {
    if !element.has("xsi:type") {
        element
            .attributes
            .insert(0, ("xsi:type".into(), name.to_owned()));
    }
}

fn set(element: &mut Element, name: &'static str, text: Option<String>) -> bool {
    let Some(text) = text else {
        return false;
    };
    element.set(name, text);
    true
}

pub(super) fn say(element: &mut Element, text: Option<String>) -> bool {
    let Some(text) = text else {
        return false;
    };
    element.say(text);
    true
}

fn any(item: &Item<'_>, types: &Types, element: &mut Element) -> bool {
    let node = item.as_node();
    let name = node
        .and_then(|node| node.type_id())
        .map(|id| &*types.get(id).name);
    let value = node.and_then(|node| node.value());
    let (kind, said) = match (name, value) {
        (Some("CodeableConcept" | "Coding"), Some(value)) => {
            ("CD", code((Some(value), None), None, element))
        }
        (Some("Quantity" | "Age" | "Duration" | "Count" | "SimpleQuantity"), Some(value)) => {
            match value.str_of("comparator") {
                None => ("PQ", quantity(value, element)),
                Some(sign) => ("IVL_PQ", bound(value, sign, element)),
            }
        }
        (Some("Range"), Some(value)) => ("IVL_PQ", range(value, element)),
        (Some("Ratio"), Some(value)) => ("RTO_PQ_PQ", ratio(value, element)),
        (Some("Period"), Some(value)) => ("IVL_TS", interval(value, element)),
        (Some("dateTime" | "date" | "instant"), _) => ("TS", time(plain(item).as_deref(), element)),
        (Some("boolean"), _) => ("BL", set(element, "value", plain(item))),
        (Some("integer" | "positiveInt" | "unsignedInt"), _) => {
            ("INT", set(element, "value", plain(item)))
        }
        _ => ("ST", say(element, plain(item))),
    };
    if said {
        typed(element, kind);
    }
    said
}

/// A concept: the coding that CDA can name, the others beside it, the words of whoever said it.
fn code(
    (value, text): (Option<&Value>, Option<&str>),
    wanted: Option<&str>,
    element: &mut Element,
) -> bool {
    let Some(value) = value.filter(|value| value.as_object().is_some()) else {
        if let Some(text) = text {
            element.set("code", text);
            if let Some(oid) = wanted {
                element.set("codeSystem", oid);
            }
        }
        return text.is_some();
    };
    let codings: Vec<&Value> = match value.get("coding") {
        Some(codings) => codings.as_array().unwrap_or_default().iter().collect(),
        None => vec![value],
    };
    let codings: Vec<&Value> = codings
        .into_iter()
        .filter(|coding| coding.get("code").is_some() || coding.get("display").is_some())
        .collect();
    let text = value.str_of("text").filter(|_| value.get("code").is_none());
    let oid = |coding: &Value| {
        coding
            .str_of("system")
            .and_then(uri_to_oid)
            .map(str::to_owned)
    };
    let is_named = |coding: &&&Value| coding.get("code").is_some() && oid(coding).is_some();
    let best = codings
        .iter()
        .find(|coding| is_named(coding) && oid(coding).as_deref() == wanted)
        .or_else(|| codings.iter().find(is_named))
        .copied();
    match best {
        Some(coding) => coded(coding, element),
        None if codings.is_empty() && text.is_none() => return false,
        None if codings.is_empty() => element.set("nullFlavor", "UNK"),
        None => element.set("nullFlavor", "OTH"),
    }
    let display = |coding: &Value| coding.str_of("display").map(str::to_owned);
    let first = codings.first().and_then(|coding| display(coding));
    let words = match best {
        Some(coding) => text
            .filter(|text| Some(*text) != coding.str_of("display"))
            .map(str::to_owned),
        None => text.map(str::to_owned).or(first),
    };
    if let Some(words) = words {
        element.push(Element::new("originalText").containing(words));
    }
    let others = codings
        .iter()
        .filter(|coding| !best.is_some_and(|best| std::ptr::eq(best, **coding)));
    for coding in others.filter(|coding| coding.get("code").is_some()) {
        let mut translation = Element::new("translation");
        coded(coding, &mut translation);
        element.push(translation);
    }
    true
}

fn coded(coding: &Value, element: &mut Element) {
    let text = |name: &str| coding.str_of(name);
    if let Some(code) = text("code") {
        element.set("code", code);
    }
    if let Some(system) = text("system") {
        match uri_to_oid(system) {
            Some(oid) => element.set("codeSystem", oid),
            None => {
                element.set("codeSystem", uuid(system));
                element.set("codeSystemName", system);
            }
        }
    }
    if let Some(version) = text("version") {
        element.set("codeSystemVersion", version);
    }
    if let Some(display) = text("display") {
        element.set("displayName", display);
    }
}

/// A UUID that is the same whenever the same is said.
pub(super) fn uuid(text: &str) -> String {
    let hash: String = Sha256::digest(text.as_bytes())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let urn = super::super::convert::uuid(&hash);
    urn.trim_start_matches("urn:uuid:").to_owned()
}

fn id(identifier: &Value, element: &mut Element) -> bool {
    let (system, value) = (identifier.str_of("system"), identifier.str_of("value"));
    let urn = |text: &str| {
        let bare = text
            .strip_prefix("urn:oid:")
            .or_else(|| text.strip_prefix("urn:uuid:"))?;
        (is_oid(bare) || is_uuid(bare)).then(|| bare.to_owned())
    };
    match (system, value) {
        (None | Some("urn:ietf:rfc:3986"), Some(value)) if urn(value).is_some() => {
            element.set("root", urn(value).unwrap_or_default());
        }
        (Some(system), Some(value)) => {
            match uri_to_oid(system)
                .map(str::to_owned)
                .or_else(|| urn(system))
            {
                Some(root) => element.set("root", root),
                None => {
                    element.set("root", uuid(system));
                    element.set("assigningAuthorityName", system);
                }
            }
            element.set("extension", value);
        }
        (None, Some(value)) => {
            element.set("nullFlavor", "UNK");
            element.set("extension", value);
        }
        (_, None) => return false,
    }
    if let Some(name) = identifier
        .get("assigner")
        .and_then(|who| who.str_of("display"))
    {
        element.set("assigningAuthorityName", name);
    }
    true
}

/// `2020-03-04T10:11:12+01:00` is `20200304101112+0100`.
pub(super) fn stamp(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut stamp: String = date.chars().filter(|letter| *letter != '-').collect();
    if stamp.is_empty() || !stamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Some(time) = time {
        let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
        let (clock, zone) = time.split_at(end);
        stamp.extend(clock.chars().filter(|letter| *letter != ':'));
        match zone {
            "Z" => stamp.push_str("+0000"),
            zone => stamp.extend(zone.chars().filter(|letter| *letter != ':')),
        }
    }
    Some(stamp)
}

fn time(text: Option<&str>, element: &mut Element) -> bool {
    set(element, "value", text.and_then(stamp))
}

fn interval(period: &Value, element: &mut Element) -> bool {
    for (from, name) in [("start", "low"), ("end", "high")] {
        if let Some(value) = period.str_of(from).and_then(stamp) {
            element.push(Element::new(name).with("value", value));
        }
    }
    !element.content.is_empty()
}

/// Units that are not UCUM's stand in braces: a count, annotated.
fn unit(quantity: &Value) -> Option<String> {
    let is_ucum = quantity.str_of("system") == Some("http://unitsofmeasure.org");
    if let Some(code) = quantity.str_of("code").filter(|_| is_ucum) {
        return Some(code.to_owned());
    }
    let text = quantity
        .str_of("unit")
        .or_else(|| quantity.str_of("code"))?;
    if ucum::parse(text).is_some() {
        return Some(text.to_owned());
    }
    let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '{' | '}');
    let inner: String = text
        .chars()
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect();
    Some(format!("{{{inner}}}"))
}

fn quantity(value: &Value, element: &mut Element) -> bool {
    let Some(number) = value.get("value").and_then(Value::as_number) else {
        return false;
    };
    element.set("value", number);
    if let Some(unit) = unit(value) {
        element.set("unit", unit);
    }
    true
}

fn bound(value: &Value, sign: &str, element: &mut Element) -> bool {
    let mut edge = Element::new(if sign.starts_with('<') { "high" } else { "low" });
    if !quantity(value, &mut edge) {
        return false;
    }
    edge.set("inclusive", sign.ends_with('=').to_string());
    element.push(edge);
    true
}

fn range(value: &Value, element: &mut Element) -> bool {
    for name in ["low", "high"] {
        let mut edge = Element::new(name);
        if value
            .get(name)
            .is_some_and(|value| quantity(value, &mut edge))
        {
            element.push(edge);
        }
    }
    !element.content.is_empty()
}

fn ratio(value: &Value, element: &mut Element) -> bool {
    for name in ["numerator", "denominator"] {
        let mut part = Element::new(name).with("xsi:type", "PQ");
        if !value
            .get(name)
            .is_some_and(|value| quantity(value, &mut part))
        {
            part = Element::new(name)
                .with("xsi:type", "PQ")
                .with("nullFlavor", "NI");
        }
        element.push(part);
    }
    true
}

/// A file: text as it is, all else in base64.
fn file(attachment: &Value, element: &mut Element) -> bool {
    let kind = attachment
        .str_of("contentType")
        .unwrap_or("application/octet-stream");
    let media = kind.split(';').next().unwrap_or(kind).trim();
    let Some(data) = attachment.str_of("data") else {
        let Some(url) = attachment.str_of("url") else {
            return false;
        };
        element.set("mediaType", media);
        element.push(Element::new("reference").with("value", url));
        return true;
    };
    element.set("mediaType", media);
    let text = (media == "text/plain").then(|| STANDARD.decode(data).ok());
    match text
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok())
    {
        Some(text) => element.say(text),
        None => {
            element.set("representation", "B64");
            element.say(data);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_spec::json::parse;

    fn written(value: &str, write: fn(&Value, &mut Element) -> bool) -> String {
        let mut element = Element::new("x");
        let _said = write(&parse(value.as_bytes()).unwrap(), &mut element);
        let mut out = String::new();
        element.write(0, &mut out);
        out.replace('\n', "").replace("  ", "")
    }

    #[test]
    fn times_keep_their_precision() {
        for (fhir, cda) in [
            ("2020", "2020"),
            ("2020-03", "202003"),
            ("2020-03-04", "20200304"),
            ("2020-03-04T10:11:12.5+01:00", "20200304101112.5+0100"),
            ("2020-03-04T10:11:12Z", "20200304101112+0000"),
        ] {
            assert_eq!(stamp(fhir).as_deref(), Some(cda));
        }
        assert_eq!(stamp("x"), None);
    }

    #[test]
    fn systems_without_an_oid_are_not_made_one_of_others() {
        let concept =
            |value: &Value, element: &mut Element| code((Some(value), None), None, element);
        let own =
            r#"{"coding":[{"system":"http://a.example/codes","code":"7","display":"Seven"}]}"#;
        let made = written(own, concept);
        assert!(made.starts_with(r#"<x nullFlavor="OTH"><originalText>Seven</originalText><translation code="7" codeSystem=""#), "{made}");
        assert!(
            made.contains(r#"codeSystemName="http://a.example/codes""#),
            "{made}"
        );
        let both = r#"{"coding":[{"system":"http://a.example/codes","code":"7"},{"system":"http://loinc.org","code":"1-8"}],"text":"T"}"#;
        let made = written(both, concept);
        assert!(made.starts_with(r#"<x code="1-8" codeSystem="2.16.840.1.113883.6.1"><originalText>T</originalText><translation code="7""#), "{made}");
        assert_eq!(
            written(r#"{"text":"T"}"#, concept),
            r#"<x nullFlavor="UNK"><originalText>T</originalText></x>"#
        );
    }

    #[test]
    fn ids_have_roots() {
        for (fhir, cda) in [
            (
                r#"{"system":"urn:oid:1.2.3","value":"7"}"#,
                r#"<x root="1.2.3" extension="7"/>"#,
            ),
            (
                r#"{"system":"urn:ietf:rfc:3986","value":"urn:oid:1.2.3"}"#,
                r#"<x root="1.2.3"/>"#,
            ),
            (
                r#"{"system":"http://hl7.org/fhir/sid/us-npi","value":"7"}"#,
                r#"<x root="2.16.840.1.113883.4.6" extension="7"/>"#,
            ),
            (r#"{"value":"7"}"#, r#"<x nullFlavor="UNK" extension="7"/>"#),
        ] {
            assert_eq!(written(fhir, id), cda);
        }
        assert!(
            written(r#"{"system":"http://a.example","value":"7"}"#, id)
                .contains(r#"assigningAuthorityName="http://a.example" extension="7""#)
        );
    }

    #[test]
    fn quantities_have_units_of_ucum() {
        for (fhir, cda) in [
            (
                r#"{"value":5.0,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}"#,
                r#"<x value="5.0" unit="mg"/>"#,
            ),
            (
                r#"{"value":5,"unit":"mmol/L"}"#,
                r#"<x value="5" unit="mmol/L"/>"#,
            ),
            (
                r#"{"value":2,"unit":"film tablets"}"#,
                r#"<x value="2" unit="{film_tablets}"/>"#,
            ),
            (r#"{"value":2}"#, r#"<x value="2"/>"#),
        ] {
            assert_eq!(written(fhir, quantity), cda);
        }
        let below = |value: &Value, element: &mut Element| bound(value, "<", element);
        assert_eq!(
            written(r#"{"value":5,"unit":"mg"}"#, below),
            r#"<x><high value="5" unit="mg" inclusive="false"/></x>"#
        );
    }
}
