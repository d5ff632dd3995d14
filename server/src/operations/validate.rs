//! $validate: whether a resource says what FHIR and its profiles allow; nothing is stored.
//! <https://hl7.org/fhir/R4/resource-operation-validate.html>

use fhir_spec::json::Value;
use fhir_spec::outcome::operation_outcome;
use fhir_spec::parameters::Parameters;
use fhir_spec::validate::Request;
use fhir_spec::{Issue, IssueCode};

use super::{Call, Operation, Run, Types};
use crate::accept::text_of;
use crate::app::App;
use crate::fault::Fault;

pub const OPERATION: Operation = Operation {
    code: "$validate",
    definition: Some("http://hl7.org/fhir/OperationDefinition/Resource-validate"),
    on_system: true,
    on_type: Types::Any,
    on_instance: Types::None,
    run: Run::Sent(run),
};

/// The body is the resource, or Parameters with `resource` and `profile`; the answer is an OperationOutcome.
fn run(app: &App, call: &Call) -> Result<Value, Fault> {
    let body = &call.submitted.document;
    let wrapped = Parameters::of(body).filter(|given| given.resource("resource").is_some());
    let resource = wrapped
        .and_then(|given| given.resource("resource"))
        .unwrap_or(body);
    let profiles: Vec<&str> = wrapped
        .iter()
        .flat_map(|given| given.texts("profile"))
        .chain(call.query_values("profile"))
        .collect();
    let mut issues = Vec::new();
    issues.extend(other_type(call, resource));
    issues.extend(app.validator.validate(
        resource,
        &Request {
            source: text_of(&call.submitted.source),
            profiles: &profiles,
            ..Request::default()
        },
    ));
    Ok(operation_outcome(&issues))
}

fn other_type(call: &Call, resource: &Value) -> Option<Issue> {
    let (wanted, named) = (call.resource_type?, resource.str_of("resourceType")?);
    (wanted != named).then(|| {
        let diagnostics = format!("this address is for a {wanted}, the document is a {named}");
        Issue::error(IssueCode::Invalid, diagnostics)
    })
}
