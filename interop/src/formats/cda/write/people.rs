//! Names, addresses and numbers of people and organizations, as CDA says them.

use fhir_spec::json::Value;

use super::values::say;
use super::xml::Element;

/// The name of a person in its parts, or any name as it is.
pub(super) fn name(
    (value, text): (Option<&Value>, Option<String>),
    has_parts: bool,
    element: &mut Element,
) -> bool {
    let Some(value) = value.filter(|value| value.as_object().is_some()) else {
        return say(element, text);
    };
    if !has_parts {
        return say(element, value.str_of("text").map(str::to_owned));
    }
    let used = match value.str_of("use") {
        Some("usual") => Some("L"),
        Some("official") => Some("C"),
        Some("nickname") => Some("P"),
        Some("maiden") => Some("BR"),
        _ => None,
    };
    if let Some(used) = used {
        element.set("use", used);
    }
    let parts = |name: &'static str, member: &str| {
        let items = value.items_of(member).iter();
        let items = items.filter_map(Value::as_str);
        items
            .map(move |text| Element::new(name).containing(text))
            .collect::<Vec<_>>()
    };
    let family = value.str_of("family");
    let family = family.map(|text| Element::new("family").containing(text));
    let all = parts("prefix", "prefix")
        .into_iter()
        .chain(parts("given", "given"))
        .chain(family)
        .chain(parts("suffix", "suffix"));
    let before = element.content.len();
    for part in all {
        element.push(part);
    }
    if element.content.len() == before {
        return say(element, value.str_of("text").map(str::to_owned));
    }
    true
}

/// Line by line; the words where there are no parts.
pub(super) fn address(value: &Value, element: &mut Element) -> bool {
    let used = match (value.str_of("use"), value.str_of("type")) {
        (Some("home"), _) => Some("HP"),
        (Some("work"), _) => Some("WP"),
        (Some("temp"), _) => Some("TMP"),
        (Some("old"), _) => Some("BAD"),
        (_, Some("postal")) => Some("PST"),
        (_, Some("physical")) => Some("PHYS"),
        _ => None,
    };
    if let Some(used) = used {
        element.set("use", used);
    }
    let before = element.content.len();
    for line in value.items_of("line").iter().filter_map(Value::as_str) {
        element.push(Element::new("streetAddressLine").containing(line));
    }
    let mut missing = match element.content.len() == before {
        true => vec!["streetAddressLine"],
        false => Vec::new(),
    };
    for (member, name) in [
        ("city", "city"),
        ("district", "county"),
        ("state", "state"),
        ("postalCode", "postalCode"),
        ("country", "country"),
    ] {
        match value.str_of(member) {
            Some(text) => element.push(Element::new(name).containing(text)),
            None => missing.push(name),
        }
    }
    if element.content.len() == before {
        return say(element, value.str_of("text").map(str::to_owned));
    }
    // Of an address in the United States these are to be there, and most documents leave the country out.
    let is_us = value
        .str_of("country")
        .is_none_or(|name| matches!(name, "US" | "USA"));
    let is_wanted = |name: &&str| match *name {
        "streetAddressLine" | "city" => true,
        "state" | "postalCode" => is_us,
        _ => false,
    };
    for name in missing.into_iter().filter(is_wanted) {
        element.push(Element::new(name).with("nullFlavor", "UNK"));
    }
    true
}

/// With the scheme that its system has.
pub(super) fn telecom(value: &Value, element: &mut Element) -> bool {
    let Some(text) = value.str_of("value") else {
        return false;
    };
    let scheme = match value.str_of("system") {
        Some("phone" | "pager") => "tel:",
        Some("fax") => "fax:",
        Some("email") => "mailto:",
        Some("sms") => "sms:",
        _ => "",
    };
    let has_scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    let text = text.trim().replace(char::is_whitespace, "-");
    element.set(
        "value",
        if has_scheme {
            text
        } else {
            format!("{scheme}{text}")
        },
    );
    let used = match value.str_of("use") {
        Some("home") => Some("HP"),
        Some("work") => Some("WP"),
        Some("mobile") => Some("MC"),
        Some("old") => Some("BAD"),
        Some("temp") => Some("TMP"),
        _ => None,
    };
    if let Some(used) = used {
        element.set("use", used);
    }
    true
}
