//! `_filter`: conditions joined by `and`, `or` and `not`, in a text of their own.
//! <https://hl7.org/fhir/R4/search_filter.html>
//!
//! A comparison becomes what a parameter of a search would be: `birthdate ge 1990` is `birthdate=ge1990`,
//! `given co "an"` is `given:contains=an`. The specification does not say whether `and` or `or` binds closer: where both
//! stand side by side, parentheses are asked for.

mod read;

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Reader, shown};
use crate::condition::Condition;
use crate::registry::ResourceType;
use crate::types::SearchType;
use read::{Comparison, Filter, Value, read};

pub(super) const NAME: &str = "_filter";
/// Parentheses and `not` within each other.
const DEPTH_MAX: usize = 16;
/// Comparisons of one filter.
const COMPARISONS_MAX: usize = 100;
/// The modifier of strings that only filters have: all of the text, whatever its case and accents.
pub(crate) const WHOLE: &str = "whole";

impl Reader<'_> {
    pub(super) fn filter(&self, written: &str) -> Result<Condition, Issue> {
        let wrong = |(at, text): (usize, String)| {
            let text = format!("`{NAME}`: at character {}: {text}", at + 1);
            Issue::error(IssueCode::Value, text)
        };
        if written.contains('\0') {
            return Err(wrong((0, "a character of code 0 is in no text".into())));
        }
        let filter = read(written).map_err(wrong)?;
        let reader = Self {
            is_filter: true,
            ..*self
        };
        reader.meant(&filter)
    }

    fn meant(&self, filter: &Filter) -> Result<Condition, Issue> {
        let all = |parts: &[Filter]| {
            let parts = parts.iter().map(|part| self.meant(part));
            parts.collect::<Result<Vec<Condition>, Issue>>()
        };
        Ok(match filter {
            Filter::And(parts) => Condition::All(all(parts)?),
            Filter::Or(parts) => Condition::any(all(parts)?),
            Filter::Not(inner) => self.meant(inner)?.negated(),
            Filter::Compares(comparison) => self.compared(comparison)?,
        })
    }

    fn compared(&self, comparison: &Comparison) -> Result<Condition, Issue> {
        let Comparison { path, op, value } = comparison;
        let kind = self.kind_at(path);
        let ask = |modifier: &str, value: &str| {
            let name = match modifier {
                "" => (**path).to_owned(),
                modifier => format!("{path}:{modifier}"),
            };
            self.criterion(&name, value)
        };
        let is_text = kind == Some(SearchType::String);
        let is_ordered = matches!(
            kind,
            Some(SearchType::Date | SearchType::Number | SearchType::Quantity)
        ) || is_updated(path);
        let written = value.written();
        let prefixed = |prefix: &str| ask("", &format!("{prefix}{written}"));
        match (&**op, kind) {
            ("pr", _) => match &*written {
                "true" => ask("missing", "false"),
                "false" => ask("missing", "true"),
                _ => Err(self.wrong(comparison, "is followed by `true` or `false`")),
            },
            ("eq", _) if is_text => ask(WHOLE, &written),
            ("eq" | "re", Some(SearchType::Reference)) => ask("", &written),
            ("eq", _) => ask("", &written),
            ("ne" | "gt" | "lt" | "ge" | "le" | "ap" | "sa" | "eb", _) if is_ordered => {
                prefixed(op)
            }
            // There is a value, and it is another one.
            ("ne", _) if is_text => Ok(both(
                ask("missing", "false")?,
                ask(WHOLE, &written)?.negated(),
            )),
            ("ne", Some(_)) => Ok(both(ask("missing", "false")?, ask("", &written)?.negated())),
            ("co", Some(SearchType::String)) => ask("contains", &written),
            ("sw", Some(SearchType::String)) => ask("", &written),
            ("sw", Some(SearchType::Uri)) => ask("below", &written),
            // What overlaps is neither wholly after nor wholly before.
            ("po", Some(SearchType::Date)) => Ok(Condition::All(vec![
                ask("missing", "false")?,
                prefixed("sa")?.negated(),
                prefixed("eb")?.negated(),
            ])),
            ("in", Some(SearchType::Token)) => ask("in", &written),
            ("ss", Some(SearchType::Token)) => ask("below", &written),
            ("sb", Some(SearchType::Token)) => ask("above", &written),
            (_, Some(kind)) => {
                let text = format!("is no comparison of a {} that is supported", kind.code());
                Err(self.wrong(comparison, &text))
            }
            // The parameter is not known: asking for it says so.
            (_, None) => ask("", &written),
        }
    }

    fn wrong(&self, comparison: &Comparison, text: &str) -> Issue {
        let Comparison { path, op, .. } = comparison;
        let (path, op) = (shown(path), shown(op));
        let text = format!("`{NAME}`: `{path} {op}`: `{op}` {text}");
        Issue::error(IssueCode::NotSupported, text)
    }

    /// The type of parameter that a path ends in, over any of the types that it may lead to.
    fn kind_at(&self, path: &str) -> Option<SearchType> {
        let mut steps = path.split('.').peekable();
        let mut types: Vec<&ResourceType> = vec![self.known];
        while let Some(step) = steps.next() {
            let (code, named) = match step.split_once(':') {
                Some((code, named)) => (code, Some(named)),
                None => (step, None),
            };
            let mut parameters = types.iter().filter_map(|known| known.parameter(code));
            if steps.peek().is_none() {
                return parameters.next().map(|parameter| parameter.kind);
            }
            types = match named {
                Some(named) => self.registry.of(named).into_iter().collect(),
                None => parameters
                    .flat_map(|parameter| &parameter.targets)
                    .filter_map(|target| self.registry.of(target))
                    .collect(),
            };
        }
        None
    }
}

fn is_updated(path: &str) -> bool {
    path.rsplit('.').next() == Some("_lastUpdated")
}

fn both(one: Condition, other: Condition) -> Condition {
    Condition::All(vec![one, other])
}

impl Value {
    /// As the value of a parameter: what separates there has no such meaning here.
    fn written(&self) -> String {
        let (text, escaped): (&str, &[char]) = match self {
            Self::Text(text) => (text, &['\\', ',', '$', '|']),
            // `system|code`
            Self::Plain(text) => (text, &['\\', ',', '$']),
        };
        let mut written = String::with_capacity(text.len());
        for c in text.chars() {
            if escaped.contains(&c) {
                written.push('\\');
            }
            written.push(c);
        }
        written
    }
}
