//! $fhirpath: what an expression says of a resource.
//! <https://hl7.org/fhir/R4/fhirpath.html>

use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::{Context, Expression, FhirPathError, Item};
use fhir_spec::json::Value;
use fhir_spec::time::DateTime;

use crate::instant::Instant;

/// One item of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Such as `FHIR.HumanName` or `System.Boolean`.
    pub type_name: String,
    pub value: Value,
}

/// Evaluates an expression on a resource; `now` is what `now()` says.
pub fn run(
    definitions: &Definitions,
    expression: &str,
    resource: &Value,
    now: Instant,
) -> Result<Vec<Answer>, FhirPathError> {
    let expression = Expression::parse(expression)?;
    let type_of = Expression::parse("type()")?;
    let mut context = Context::new(definitions.types(), resource);
    if let Some(now) = DateTime::from_micros(now.micros(), 0) {
        context = context.at(now);
    }
    let mut answers = Vec::new();
    for item in expression.evaluate(&context)? {
        let described = type_of.evaluate_on(&context, &item)?;
        let type_name = match described.first() {
            Some(Item::Type(info)) => info.to_string(),
            _ => String::new(),
        };
        answers.push(Answer {
            type_name,
            value: item.to_json(),
        });
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_spec::json::parse;

    fn answers(expression: &str) -> Result<Vec<(String, String)>, FhirPathError> {
        let patient = parse(br#"{"resourceType":"Patient","active":true,"name":[{"given":["A","B"]}],"deceasedDateTime":"2020"}"#).unwrap();
        let answers = run(
            Definitions::r4(),
            expression,
            &patient,
            Instant::from_micros(0),
        )?;
        Ok(answers
            .into_iter()
            .map(|answer| (answer.type_name, answer.value.to_string()))
            .collect())
    }

    #[test]
    fn each_answer_has_its_type() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            answers("name.given").unwrap(),
            [pair("FHIR.string", "\"A\""), pair("FHIR.string", "\"B\"")]
        );
        assert_eq!(
            answers("name").unwrap(),
            [pair("FHIR.HumanName", "{\"given\":[\"A\",\"B\"]}")]
        );
        assert_eq!(
            answers("deceased").unwrap(),
            [pair("FHIR.dateTime", "\"2020\"")]
        );
        assert_eq!(
            answers("name.count() + 1").unwrap(),
            [pair("System.Integer", "2")]
        );
        assert_eq!(answers("name.family").unwrap(), []);
        assert_eq!(
            answers("now()").unwrap(),
            [pair("System.DateTime", "\"1970-01-01T00:00:00.000Z\"")]
        );
    }

    #[test]
    fn a_wrong_expression_is_told_with_its_place() {
        let error = answers("name.given.").unwrap_err();
        assert_eq!((error.line, error.column), (1, 12));
    }
}
