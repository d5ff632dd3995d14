//! What a query says to find a value, or to just not find it.

use fhir_spec::definitions::SearchParameter;
use fhir_spec::json::Value;

use super::super::{Ask, Found, composite, escaped, string, token};
use super::Asker;

const PREFIXES: &[&str] = &[
    "", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap",
];

impl<'a> Asker<'_, 'a> {
    pub(super) fn value_of(
        &mut self,
        document: &'a Value,
        parameter: &'a SearchParameter,
        modifier: Option<&str>,
        found: &Found<'a>,
    ) -> Option<String> {
        let ask = Ask {
            world: self.world,
            parameter,
            resource_type: super::type_of(document),
            modifier: None,
        };
        if &*parameter.kind != "composite" {
            return self.simple(&ask, &parameter.kind, modifier, found);
        }
        let mut components = Vec::new();
        for (kind, values) in composite::tuples(&ask, document, found) {
            let value = values.get(self.random.below(values.len()))?;
            let component = self.simple(&ask, kind, None, value)?;
            // Whether a code with an implied system has one is nobody's question; nor is its version that of a pair.
            if component.starts_with('|') || component.contains("/_history/") {
                return None;
            }
            components.push(component);
        }
        (components.len() == parameter.component.len()).then(|| components.join("$"))
    }

    fn simple(
        &mut self,
        ask: &Ask<'_, 'a>,
        kind: &str,
        modifier: Option<&str>,
        found: &Found<'a>,
    ) -> Option<String> {
        match kind {
            "string" => self.string(modifier, found),
            "token" => self.token(ask, modifier, found),
            "reference" => self.reference_value(modifier, found),
            "date" => self.date(&ask.parameter.code, found),
            "number" => self.number(found),
            "quantity" => self.quantity(found),
            "uri" => self.uri(modifier, found),
            "special" => self.near(found),
            _ => None,
        }
    }

    fn string(&mut self, modifier: Option<&str>, found: &Found<'a>) -> Option<String> {
        let texts = string::texts(found);
        let text = texts.get(self.random.below(texts.len()))?;
        let count = text.chars().count();
        let text: String = match (self.random.below(5), modifier) {
            (0, _) => text.to_uppercase(),
            (1, Some("exact")) => text.to_lowercase(),
            (1, _) => text.chars().take(self.random.below(count) + 1).collect(),
            (2, Some("contains")) => text.chars().skip(self.random.below(count)).collect(),
            _ => (*text).to_owned(),
        };
        (!text.trim().is_empty()).then(|| escaped(&text))
    }

    fn token(
        &mut self,
        ask: &Ask<'_, 'a>,
        modifier: Option<&str>,
        found: &Found<'a>,
    ) -> Option<String> {
        match modifier {
            Some("of-type") => return self.of_type(found),
            Some("in" | "not-in") => {
                let name = self.random.pick(&[
                    "administrative-gender",
                    "observation-status",
                    "encounter-status",
                ]);
                return (found.kind == "code")
                    .then(|| format!("http://hl7.org/fhir/ValueSet/{name}"));
            }
            Some("above" | "below") => {
                let system = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
                let is_known = found.value.str_of("system") == Some(system);
                let code = self
                    .random
                    .pick(&["AMB", "IMP", "ACUTE", "_ActEncounterCode"]);
                return is_known.then(|| format!("{system}|{code}"));
            }
            _ => {}
        }
        let tokens = token::tokens(ask, found);
        let (system, code) = tokens.get(self.random.below(tokens.len()))?;
        let system = system.as_deref().map(escaped);
        let code = code.as_deref().map(escaped);
        // Of contacts the specification knows no system, and an id is an id.
        let is_plain = found.kind == "ContactPoint" || &*ask.parameter.code == "_id";
        match (system, code, self.random.below(6)) {
            (_, Some(code), 0..=2) => Some(code),
            (_, Some(code), _) if is_plain => Some(code),
            (Some(system), Some(code), 3 | 4) => Some(format!("{system}|{code}")),
            (_, Some(code), 5) | (None, Some(code), _) => Some(format!("|{code}")),
            (Some(system), None, _) => Some(format!("{system}|")),
            _ => None,
        }
    }

    fn of_type(&mut self, found: &Found<'a>) -> Option<String> {
        let value = found.value.str_of("value")?;
        let kind = found.value.get("type")?.items_of("coding").first()?;
        let (system, code) = (kind.str_of("system")?, kind.str_of("code")?);
        let value = if self.random.is(20) { "9" } else { value };
        Some(format!(
            "{}|{}|{}",
            escaped(system),
            escaped(code),
            escaped(value)
        ))
    }

    fn reference_value(&mut self, modifier: Option<&str>, found: &Found<'a>) -> Option<String> {
        if modifier == Some("identifier") {
            let identifier = found.value.get("identifier")?;
            let value = escaped(identifier.str_of("value")?);
            return Some(match (identifier.str_of("system"), self.random.below(3)) {
                (Some(system), 0) => format!("{}|{value}", escaped(system)),
                (_, 1) => format!("|{value}"),
                _ => value,
            });
        }
        if let Some(text) = found.value.as_str() {
            let plain = text.split('|').next().unwrap_or_default();
            // Here the `|` before a version is no separator.
            return Some(self.random.pick(&[text, plain]).to_owned());
        }
        let literal = found.value.str_of("reference")?;
        if literal.starts_with('#') {
            return None;
        }
        let plain = literal.split("/_history/").next().unwrap_or_default();
        let mut parts = plain.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next());
        let Some(kind) = kind.filter(|_| !literal.starts_with("urn:")) else {
            return Some(escaped(literal));
        };
        Some(match self.random.below(7) {
            0 => id.to_owned(),
            1 => format!("{}/{kind}/{id}", self.world.base),
            2 => format!("{kind}/{id}/_history/1"),
            3 if modifier.is_some() => id.to_owned(),
            4 => format!("{kind}/{id}"),
            _ => literal.to_owned(),
        })
    }

    /// A date of the value, perhaps less exact than it is there.
    fn date(&mut self, code: &str, found: &Found<'a>) -> Option<String> {
        let period = |value: &Value| {
            let ends = ["start", "end"].map(|end| value.str_of(end).map(str::to_owned));
            ends.into_iter().flatten().collect::<Vec<String>>()
        };
        let mut dates = match found.kind {
            "Period" => period(&found.value),
            "Timing" => {
                let events = found.value.items_of("event").iter();
                let mut dates: Vec<String> = events
                    .filter_map(|e| Some(e.as_str()?.to_owned()))
                    .collect();
                let bounds = found
                    .value
                    .get("repeat")
                    .and_then(|r| r.get("boundsPeriod"));
                dates.extend(bounds.map(period).unwrap_or_default());
                dates
            }
            _ => found
                .value
                .as_str()
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        if dates.is_empty() {
            return None;
        }
        let date = dates.swap_remove(self.random.below(dates.len()));
        let length = self.random.pick(&[4, 7, 10, usize::MAX, usize::MAX]);
        let date = date.get(..length).unwrap_or(&date);
        let prefix = match self.random.pick(PREFIXES) {
            // A tenth of what has passed since then is another one at each moment.
            "ap" if code == "_lastUpdated" => "",
            prefix => prefix,
        };
        Some(format!("{prefix}{date}"))
    }

    fn number(&mut self, found: &Found<'a>) -> Option<String> {
        let number = match found.kind {
            "Range" => found.value.get("low")?.get("value")?.as_number()?,
            _ => found.value.as_number()?,
        };
        Some(self.with_prefix(number))
    }

    fn with_prefix(&mut self, number: &str) -> String {
        // More or less exact than it is there.
        let number = match self.random.below(6) {
            0 if number.contains('.') && !number.contains('e') => format!("{number}0"),
            1 => number.split('.').next().unwrap_or_default().to_owned(),
            _ => number.to_owned(),
        };
        format!("{}{number}", self.random.pick(PREFIXES))
    }

    fn quantity(&mut self, found: &Found<'a>) -> Option<String> {
        let value = &*found.value;
        let value = match found.kind {
            "Range" => value.get("low").or(value.get("high"))?,
            "SampledData" => return Some(self.with_prefix("5")),
            _ => value,
        };
        let number = value.get("value")?.as_number()?;
        let unit = value.str_of("code").or(value.str_of("unit"));
        let unit = unit.or(value.str_of("currency"));
        let system = value.str_of("system").unwrap_or_default();
        Some(match (unit, self.random.below(6)) {
            (Some(unit), 0 | 1) => {
                format!(
                    "{}|{}|{}",
                    self.with_prefix(number),
                    escaped(system),
                    escaped(unit)
                )
            }
            (Some(unit), 2) => format!("{}||{}", self.with_prefix(number), escaped(unit)),
            (Some("mg" | "g" | "kg"), 3) => {
                format!("{}|http://unitsofmeasure.org|g", self.with_prefix(number))
            }
            (Some("cm" | "m"), 3) => {
                format!("{}|http://unitsofmeasure.org|m", self.with_prefix(number))
            }
            _ => self.with_prefix(number),
        })
    }

    fn uri(&mut self, modifier: Option<&str>, found: &Found<'a>) -> Option<String> {
        let uri = found.value.as_str()?;
        Some(match (modifier, self.random.below(3)) {
            (Some("below"), 0 | 1) => escaped(uri.rsplit_once('/').map_or(uri, |(start, _)| start)),
            (Some("above"), 0) => escaped(&format!("{uri}/x/y")),
            (Some("above"), 1) => escaped(&format!("{uri}x")),
            // Here the `|` before a version is no separator.
            (None, 0) => uri.split('|').next().unwrap_or_default().to_owned(),
            _ => uri.to_owned(),
        })
    }

    fn near(&mut self, found: &Found<'a>) -> Option<String> {
        let latitude = found.value.get("latitude")?.as_number()?;
        let longitude = found.value.get("longitude")?.as_number()?;
        let distance = self
            .random
            .pick(&["", "|5", "|20|km", "|900|m", "|30000|km"]);
        Some(format!("{latitude}|{longitude}{distance}"))
    }
}
