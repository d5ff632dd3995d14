//! $get-ws-binding-token: a token by which a websocket is bound to subscriptions.
//! <https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-get-ws-binding-token.html>

use std::time::Duration;

use fhir_spec::json::{Object, Value};

use super::{Answer, Call, Operation, Run, Types, Working};
use crate::auth::{Action, Caller, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits;
use crate::store::{State, Target, View};
use crate::subscriptions::TYPE;
use crate::subscriptions::binding::{Binding, listened, socket_of};

pub(super) const OPERATION: Operation = Operation {
    code: "$get-ws-binding-token",
    definition: Some(
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-get-ws-binding-token",
    ),
    on_system: false,
    on_type: Types::Only(TYPE),
    on_instance: Types::Only(TYPE),
    run: Run::Stored(start),
};

fn start<'a>(cx: &'a Cx, call: &'a Call) -> Working<'a> {
    Box::pin(run(cx, call))
}

async fn run(cx: &Cx, call: &Call) -> Result<Answer, Fault> {
    call.has_only(&["id"])?;
    let wanted: Vec<String> = match &call.id {
        Some(id) => vec![id.clone()],
        None => call.values("id"),
    };
    if wanted.len() > limits::SOCKET_BINDINGS_MAX {
        let told = format!(
            "at most {} subscriptions at a time",
            limits::SOCKET_BINDINGS_MAX
        );
        return Err(Fault::new(Kind::WrongParameter, told));
    }
    let ids = bindable(cx, &wanted).await?;
    let missing = wanted.iter().find(|id| !ids.contains(id));
    if let Some(id) = missing {
        let shown: String = id.chars().take(64).collect();
        let told = format!("there is no active subscription `{shown}` of yours for a websocket");
        return Err(Fault::new(Kind::NotFound, told));
    }
    if ids.is_empty() {
        let told = "there is no active subscription of yours for a websocket";
        return Err(Fault::new(Kind::NotFound, told));
    }
    let lifetime = Duration::from_secs(limits::SOCKET_TOKEN_S);
    let binding = Binding {
        standing: cx.caller.standing().unwrap_or_default().to_owned(),
        expires_at: call.now.plus(lifetime),
        ids,
    };
    let token = binding.sealed(cx.app.store.secret()?);
    let token = token.ok_or_else(|| Fault::internal("a token cannot be sealed".to_owned()))?;
    let named = |name: &str, kind: &str, value: String| {
        Value::from(Object::from_iter([
            ("name", Value::from(name)),
            (kind, Value::from(value)),
        ]))
    };
    let mut all = vec![
        named("token", "valueString", token),
        named(
            "expiration",
            "valueDateTime",
            binding.expires_at.to_string(),
        ),
    ];
    let ids = binding.ids.into_iter();
    all.extend(ids.map(|id| named("subscription", "valueString", id)));
    all.push(named("websocket-url", "valueUrl", socket_of(&call.base)));
    Ok(Answer::Resource(
        Object::from_iter([
            ("resourceType", Value::from("Parameters")),
            ("parameter", all.into()),
        ])
        .into(),
    ))
}

/// Those of these that the caller may listen to; none named: of all.
async fn bindable(cx: &Cx, wanted: &[String]) -> Result<Vec<String>, Fault> {
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let read = cx
        .app
        .store
        .read(permit, |view: &mut View<'_>| view.targets());
    let targets: Vec<Target> = read.await.map_err(Fault::from)?;
    let mut ids = Vec::new();
    let is_meant = |target: &Target| wanted.is_empty() || wanted.contains(&target.id);
    let listening = |target: &Target| target.state == State::Listening && is_meant(target);
    for target in targets.into_iter().filter(listening) {
        let has_room = ids.len() < limits::SOCKET_BINDINGS_MAX;
        if has_room && listened(&cx.app, &cx.caller, &target.id).await?.is_some() {
            ids.push(target.id);
        }
    }
    Ok(ids)
}
