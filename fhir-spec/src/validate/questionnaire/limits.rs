//! The limits of an answer, most of them in extensions of the question.

use crate::fhirpath::{self, Context, Expression, Item};
use crate::json::Value;
use crate::outcome::IssueCode;
use crate::reference::Literal;

use super::answer::Answer;
use super::{Form, extension, extensions};
use crate::validate::path::Path;
use crate::validate::walk::Walk;

const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";
const SDC: &str = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-";

/// How large the compiled form of a question's regular expression may be.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// What compiling one costs, in steps.
const REGEX_STEPS: usize = 5_000;

/// Extension that bounds a value, and how the value must stand to the bound.
const BOUNDS: &[(&str, &str, &str)] = &[
    (BASE, "minValue", "$this >= %bound"),
    (BASE, "maxValue", "$this <= %bound"),
    (SDC, "questionnaire-minQuantity", "$this >= %bound"),
    (SDC, "questionnaire-maxQuantity", "$this <= %bound"),
];

impl Walk<'_> {
    pub(super) fn limits(
        &mut self,
        form: &Form<'_>,
        question: &Value,
        answer: Answer<'_>,
        path: &Path<'_>,
    ) {
        let faults = [
            self.beyond_bounds(question, answer),
            wrong_length(question, answer),
            wrong_form(form, question, answer),
            too_precise(question, answer),
            wrong_attachment(question, answer),
            wrong_target(question, answer),
            self.wrong_unit(form, question, answer),
        ];
        for fault in faults.into_iter().flatten() {
            self.report
                .error(path, answer.value.at, IssueCode::Value, || fault);
        }
    }

    fn beyond_bounds(&self, question: &Value, answer: Answer<'_>) -> Option<String> {
        BOUNDS.iter().find_map(|(base, name, test)| {
            let bound = extension(question, &format!("{base}{name}"))?;
            if is_plain_amount(bound, answer.value) {
                return None;
            }
            let item = |value| Item::Node(fhirpath::Node::typed(Some(value), None, answer.type_id));
            let context =
                Context::new(self.types, answer.value).with_variable("bound", vec![item(bound)]);
            let verdict = Expression::parse(test)
                .and_then(|test| test.evaluate_on(&context, &item(answer.value)))
                .ok()?;
            match verdict.as_slice() {
                [Item::Boolean(true)] => None,
                // Dates of different precision: neither beyond nor within for certain.
                [] if bound.as_str().is_some() => None,
                [] => Some(format!("cannot be compared to the {name} {bound}")),
                _ => Some(format!("beyond the {name} {bound}")),
            }
        })
    }

    fn wrong_unit(&self, form: &Form<'_>, question: &Value, answer: Answer<'_>) -> Option<String> {
        if answer.property != "valueQuantity" {
            return None;
        }
        let value_set = extension(question, &format!("{BASE}questionnaire-unitValueSet"));
        if let Some(canonical) = value_set.and_then(Value::as_str)
            && self.is_in(form, canonical, answer.value) == Some(false)
        {
            return Some(format!("the unit is not in the value set `{canonical}`"));
        }
        let url = format!("{BASE}questionnaire-unitOption");
        let mut options = extensions(question, &url).peekable();
        let is_restricted = options.peek().is_some();
        let is_option = options.any(|unit| super::options::is_same_coding(unit, answer.value));
        (is_restricted && !is_option).then(|| "the unit is none of the options".to_owned())
    }
}

/// Amounts without coded units, in the same words: only the numbers are left to compare, which FHIRPath does not.
fn is_plain_amount(bound: &Value, value: &Value) -> bool {
    let unit = |quantity: &Value| quantity.str_of("unit").map(str::to_owned);
    let has_code = |quantity: &Value| quantity.get("code").is_some();
    value.as_object().is_some()
        && !has_code(bound)
        && !has_code(value)
        && unit(bound) == unit(value)
}

fn wrong_length(question: &Value, answer: Answer<'_>) -> Option<String> {
    let length = answer.value.as_str()?.chars().count();
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    if let Some(max) = question.get("maxLength").and_then(number)
        && length > max
    {
        return Some(format!("longer than the {max} characters allowed"));
    }
    let min = extension(question, &format!("{BASE}minLength")).and_then(number)?;
    (length < min).then(|| format!("shorter than the {min} characters wanted"))
}

fn wrong_form(form: &Form<'_>, question: &Value, answer: Answer<'_>) -> Option<String> {
    let text = answer.value.as_str()?;
    let pattern = extension(question, &format!("{BASE}regex"))?.as_str()?;
    if !form.spend(REGEX_STEPS) {
        return None;
    }
    let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .ok()?;
    (!regex.is_match(text)).then(|| format!("does not have the form `{pattern}`"))
}

fn too_precise(question: &Value, answer: Answer<'_>) -> Option<String> {
    let digits = answer.value.as_number()?;
    let max = extension(question, &format!("{BASE}maxDecimalPlaces"))?.as_u64()?;
    let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
    let is_too_precise = u64::try_from(places).is_ok_and(|places| places > max);
    is_too_precise.then(|| format!("more than the {max} decimal places allowed"))
}

fn wrong_attachment(question: &Value, answer: Answer<'_>) -> Option<String> {
    if answer.property != "valueAttachment" {
        return None;
    }
    let url = format!("{BASE}mimeType");
    let allowed: Vec<&str> = extensions(question, &url)
        .filter_map(Value::as_str)
        .collect();
    let found = answer.value.str_of("contentType").unwrap_or_default();
    if !allowed.is_empty() && !allowed.contains(&found) {
        return Some(format!(
            "expected {}, found `{found}`",
            allowed.join(" or ")
        ));
    }
    let decimal = |value: &Value| crate::decimal::parse(value.as_number()?);
    let max = extension(question, &format!("{BASE}maxSize")).and_then(decimal)?;
    let size = answer.value.get("size").and_then(decimal)?;
    (size > max).then(|| format!("larger than the {max} allowed"))
}

fn wrong_target(question: &Value, answer: Answer<'_>) -> Option<String> {
    let url = format!("{BASE}questionnaire-referenceResource");
    let allowed: Vec<&str> = extensions(question, &url)
        .filter_map(Value::as_str)
        .collect();
    let target = Literal::parse(answer.value.str_of("reference")?)?.target()?;
    let is_allowed = allowed.is_empty() || allowed.contains(&target.resource_type);
    (!is_allowed).then(|| {
        format!(
            "expected a reference to {}, found one to {}",
            allowed.join(" or "),
            target.resource_type
        )
    })
}
