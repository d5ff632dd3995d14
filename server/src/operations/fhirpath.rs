//! $fhirpath: what an expression says of a resource.
//! <https://hl7.org/fhir/R4/fhirpath.html>

use fhir_spec::fhirpath::{Context, Expression, FhirPathError, Host, Item, Node};
use fhir_spec::json::{Object, Value};
use fhir_spec::parameters::{Parameters, parameter};
use fhir_spec::terminology::Membership;
use fhir_spec::time::DateTime;
use fhir_spec::validate::{Request, Validator};
use fhir_spec::{Issue, IssueCode};

use super::{Call, Operation, Run, Types};
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;

pub const OPERATION: Operation = Operation {
    code: "$fhirpath",
    definition: None,
    on_system: true,
    on_type: Types::None,
    on_instance: Types::None,
    run: Run::Sent(run),
};

/// One item of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Such as `FHIR.HumanName` or `System.Boolean`.
    pub type_name: String,
    pub value: Value,
}

/// Parameters with `expression` and `resource` in, Parameters with a `result` for each item out: its type and its value.
fn run(app: &App, call: &Call) -> Result<Value, Fault> {
    let wanted = "expected Parameters with `expression` (a string) and `resource`";
    let missing = || Fault::new(Kind::Malformed, wanted);
    let given = Parameters::of(&call.submitted.document).ok_or_else(missing)?;
    let expression = given.texts("expression").next().ok_or_else(missing)?;
    let resource = given.resource("resource").ok_or_else(missing)?;
    let answers = evaluate(&app.validator, expression, resource, call.now).map_err(|error| {
        let issue = Issue::error(IssueCode::Invalid, error.to_string());
        Fault::of_issues(Kind::Unprocessable, vec![issue])
    })?;
    let types = app.definitions().types();
    let results: Vec<Value> = answers
        .into_iter()
        .map(|answer| {
            let type_name = Value::from(answer.type_name.as_str());
            let parts = vec![
                parameter("type", "System.String", type_name, types),
                parameter("value", &answer.type_name, answer.value, types),
            ];
            Object::from_iter([("name", Value::from("result")), ("part", parts.into())]).into()
        })
        .collect();
    let mut answer = Object::from_iter([("resourceType", "Parameters")]);
    if !results.is_empty() {
        answer.set("parameter", results);
    }
    Ok(answer.into())
}

/// Evaluates an expression on a resource; `now` is what `now()` says.
pub fn evaluate(
    validator: &Validator,
    expression: &str,
    resource: &Value,
    now: Instant,
) -> Result<Vec<Answer>, FhirPathError> {
    let expression = Expression::parse(expression)?;
    let type_of = Expression::parse("type()")?;
    let known = Known(validator);
    let types = validator.definitions().types();
    let mut context = Context::new(types, resource).with_host(&known);
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

/// What the definitions can tell an expression: codes, profiles, and which code stands above which.
#[derive(Debug)]
struct Known<'v>(&'v Validator);

impl<'a> Host<'a> for Known<'_> {
    fn is_member(&self, item: &Item<'a>, value_set: &str) -> Option<bool> {
        let value_set = self.0.definitions().value_set(value_set)?;
        let is_in = |system: Option<&str>, code: &str| match value_set.contains(system, code, None)
        {
            Membership::In { .. } => Some(true),
            Membership::NotIn => Some(false),
            Membership::Unknown(_) => None,
        };
        let coding = |coding: &Value| is_in(coding.str_of("system"), coding.str_of("code")?);
        if let Item::String(code) = item {
            return is_in(None, code);
        }
        let value = item.as_node()?.value()?;
        if let Some(code) = value.as_str() {
            return is_in(None, code);
        }
        if value.get("coding").is_none() {
            return coding(value);
        }
        let answers: Vec<Option<bool>> = value.items_of("coding").iter().map(coding).collect();
        if answers.contains(&Some(true)) {
            return Some(true);
        }
        answers
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|_| false)
    }

    fn conforms(&self, node: &Node<'a>, profile: &str) -> Option<bool> {
        self.0.definitions().structure(profile)?;
        let resource = node.value().filter(|_| node.is_resource())?;
        let request = Request {
            profiles: &[profile],
            ..Request::default()
        };
        let issues = self.0.validate(resource, &request);
        Some(!issues.iter().any(Issue::is_error))
    }

    fn subsumes(&self, system: &str, above: &str, below: &str) -> Option<bool> {
        let system = self.0.definitions().code_system(system)?;
        system.subsumes(above, below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_spec::json::parse;

    fn answers(expression: &str) -> Result<Vec<(String, String)>, FhirPathError> {
        let patient = parse(br#"{"resourceType":"Patient","active":true,"name":[{"given":["A","B"]}],"deceasedDateTime":"2020"}"#).unwrap();
        let answers = evaluate(
            Validator::r4(),
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
    fn expressions_may_ask_what_the_definitions_know() {
        let only = |expression: &str| answers(expression).unwrap().pop().map(|(_, value)| value);
        let value_set = "http://hl7.org/fhir/ValueSet/administrative-gender";
        assert_eq!(
            only(&format!("'male'.memberOf('{value_set}')")),
            Some("true".into())
        );
        assert_eq!(
            only(&format!("'m'.memberOf('{value_set}')")),
            Some("false".into())
        );
        assert_eq!(only("'m'.memberOf('http://example.org/unknown')"), None);
        let profile = "http://hl7.org/fhir/StructureDefinition/";
        assert_eq!(
            only(&format!("conformsTo('{profile}Patient')")),
            Some("true".into())
        );
        assert_eq!(
            only(&format!("conformsTo('{profile}bodyweight')")),
            Some("false".into())
        );
    }

    #[test]
    fn a_wrong_expression_is_told_with_its_place() {
        let error = answers("name.given.").unwrap_err();
        assert_eq!((error.line, error.column), (1, 12));
    }
}
