//! What people read of values: a few words each.

use fhir_spec::definitions::Types;
use fhir_spec::fhirpath::Item;
use fhir_spec::json::Value;

use super::values::plain;

/// The words for a value; references are followed by whoever asks, so a reference is what it displays.
pub(super) fn words(item: &Item<'_>, types: &Types) -> Option<String> {
    let node = item.as_node();
    let name = node
        .and_then(|node| node.type_id())
        .map_or("", |id| &*types.get(id).name);
    match node
        .and_then(|node| node.value())
        .filter(|value| value.as_object().is_some())
    {
        Some(value) => object(name, value),
        None => {
            let text = plain(item)?;
            let is_moment = matches!(name, "dateTime" | "instant" | "date")
                || matches!(item, Item::DateTime(_));
            let text = if is_moment { moment(&text) } else { text };
            (!text.trim().is_empty()).then_some(text)
        }
    }
}

fn object(name: &str, value: &Value) -> Option<String> {
    let text = |member: &str| value.str_of(member).map(str::to_owned);
    match name {
        "CodeableConcept" => text("text").or_else(|| {
            let codings = value.items_of("coding");
            let display = codings.iter().find_map(|coding| coding.str_of("display"));
            let code = || codings.iter().find_map(|coding| coding.str_of("code"));
            display.or_else(code).map(str::to_owned)
        }),
        "Coding" => text("display").or_else(|| text("code")),
        "Quantity" | "Age" | "Duration" | "Count" | "SimpleQuantity" | "Distance" => {
            quantity(value)
        }
        "Money" => joined(
            [value.get("value")?.as_number(), value.str_of("currency")],
            " ",
        ),
        "Period" => between(
            value.str_of("start").map(moment),
            value.str_of("end").map(moment),
        ),
        "Range" => between(
            value.get("low").and_then(quantity),
            value.get("high").and_then(quantity),
        ),
        "Ratio" => {
            let part = |member| value.get(member).and_then(quantity);
            joined(
                [part("numerator").as_deref(), part("denominator").as_deref()],
                " / ",
            )
        }
        "HumanName" => text("text").or_else(|| {
            let all = ["prefix", "given"]
                .into_iter()
                .flat_map(|name| value.items_of(name));
            let suffixes = value.items_of("suffix").iter().filter_map(Value::as_str);
            let all = all
                .filter_map(Value::as_str)
                .chain(value.str_of("family"))
                .chain(suffixes);
            let name = all.collect::<Vec<_>>().join(" ");
            (!name.is_empty()).then_some(name)
        }),
        "Reference" => text("display"),
        "Identifier" | "ContactPoint" => text("value"),
        "Attachment" => text("title").or_else(|| text("contentType")),
        "Annotation" => text("text"),
        "Dosage" => text("text").or_else(|| dosage(value)),
        "Address" => text("text").or_else(|| {
            let lines = value.items_of("line").iter().filter_map(Value::as_str);
            let rest = ["city", "state", "postalCode", "country"];
            let all = lines.chain(rest.into_iter().filter_map(|name| value.str_of(name)));
            let address = all.collect::<Vec<_>>().join(", ");
            (!address.is_empty()).then_some(address)
        }),
        _ => resource(name, value),
    }
}

/// By what a resource is known.
fn resource(name: &str, value: &Value) -> Option<String> {
    let text = |member: &str| value.str_of(member).map(str::to_owned);
    match name {
        "Organization" | "Location" => text("name"),
        "Device" => {
            let name = value
                .items_of("deviceName")
                .iter()
                .find_map(|name| name.str_of("name"));
            let kind = value
                .get("type")
                .and_then(|kind| object("CodeableConcept", kind));
            name.map(str::to_owned).or(kind)
        }
        "Practitioner" | "Patient" | "RelatedPerson" => value
            .items_of("name")
            .iter()
            .find_map(|name| object("HumanName", name)),
        "DocumentReference" => {
            let kind = value
                .get("type")
                .and_then(|kind| object("CodeableConcept", kind));
            kind.or_else(|| text("description"))
                .or_else(|| Some("Note".to_owned()))
        }
        "PractitionerRole" => value
            .get("practitioner")
            .and_then(|who| object("Reference", who)),
        "Condition" | "Medication" => value
            .get("code")
            .and_then(|code| object("CodeableConcept", code)),
        _ => None,
    }
}

fn quantity(value: &Value) -> Option<String> {
    let number = value.get("value").and_then(Value::as_number)?;
    let unit = value
        .str_of("unit")
        .or_else(|| value.str_of("code"))
        .filter(|unit| *unit != "1");
    let comparator = value.str_of("comparator").unwrap_or_default();
    Some(match unit {
        Some(unit) => format!("{comparator}{number} {unit}"),
        None => format!("{comparator}{number}"),
    })
}

fn dosage(value: &Value) -> Option<String> {
    let dose = value.items_of("doseAndRate").iter().find_map(|rate| {
        let dose = rate.get("doseQuantity").and_then(quantity);
        dose.or_else(|| {
            rate.get("doseRange")
                .and_then(|range| object("Range", range))
        })
    });
    let concept = |member| {
        value
            .get(member)
            .and_then(|of| object("CodeableConcept", of))
    };
    let repeat = value.get("timing").and_then(|timing| timing.get("repeat"));
    let often = repeat.and_then(|repeat| {
        let period = repeat.get("period").and_then(Value::as_number)?;
        let unit = repeat.str_of("periodUnit")?;
        Some(match repeat.get("frequency").and_then(Value::as_number) {
            Some(times) => format!("{times} times every {period} {unit}"),
            None => format!("every {period} {unit}"),
        })
    });
    let often = often.or_else(|| {
        let code = value.get("timing").and_then(|timing| timing.get("code"));
        code.and_then(|code| object("CodeableConcept", code))
    });
    let needed = match value.get("asNeededBoolean").and_then(Value::as_bool) {
        Some(true) => Some("as needed".to_owned()),
        _ => concept("asNeededCodeableConcept").map(|why| format!("as needed for {why}")),
    };
    let parts = [dose, concept("route"), often, needed];
    joined(parts.each_ref().map(Option::as_deref), ", ")
}

/// A time without what nobody reads: parts of seconds, the zone.
fn moment(text: &str) -> String {
    match text.split_once('T') {
        Some((date, time)) => format!("{date} {}", time.get(..5).unwrap_or(time)),
        None => text.to_owned(),
    }
}

fn between(low: Option<String>, high: Option<String>) -> Option<String> {
    match (low, high) {
        (Some(low), Some(high)) if low == high => Some(low),
        (Some(low), Some(high)) => Some(format!("{low} \u{2013} {high}")),
        (Some(low), None) => Some(format!("from {low}")),
        (None, Some(high)) => Some(format!("up to {high}")),
        (None, None) => None,
    }
}

fn joined<const N: usize>(parts: [Option<&str>; N], between: &str) -> Option<String> {
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(between))
}
