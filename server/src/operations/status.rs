//! $status: what state subscriptions are in, of one or of all that are asked for.
//! <https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html>

use fhir_spec::json::{Object, Value, parse};

use super::{Answer, Call, Operation, Run, Types, Working};
use crate::auth::{Action, Caller, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::read;
use crate::store::{State, Target, View};
use crate::subscriptions::bundle::{About, Type, uuid_of};
use crate::subscriptions::channel::Content;
use crate::subscriptions::{Subscription, TYPE};

pub const OPERATION: Operation = Operation {
    code: "$status",
    definition: Some(
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-status",
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
    call.has_only(&["id", "status"])?;
    let wanted = |name: &str| -> Vec<String> {
        let values = call.values(name);
        values
            .iter()
            .flat_map(|value| value.split(',').map(str::to_owned))
            .collect()
    };
    let (ids, statuses) = (wanted("id"), wanted("status"));
    if let Some(unknown) = statuses.iter().find(|status| {
        !State::ALL
            .iter()
            .any(|state| state.code() == status.as_str())
    }) {
        let told = format!("`status`: expected requested, active, error or off, not `{unknown}`");
        return Err(Fault::new(Kind::WrongParameter, told));
    }
    let all = match &call.id {
        Some(id) => {
            let permit = may(&cx.caller, Action::Read(TYPE))?;
            let id = id.clone();
            // It is there, and may be seen.
            let read = cx
                .app
                .store
                .read(permit, move |view| read::within(view, TYPE, &id));
            read.await?;
            vec![target(cx, call.id.clone().unwrap_or_default()).await?]
        }
        None => targets(cx).await?,
    };
    let all = all.into_iter().filter(|target| {
        let has =
            |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        has(&ids, &target.id) && has(&statuses, target.state.code())
    });
    let mut entries = Vec::new();
    for target in all {
        let permit = may(&cx.caller, Action::Read(TYPE))?;
        let found = cx.app.store.find(&permit, TYPE, &target.id, None).await?;
        let document = found.and_then(|found| parse(&found.body).ok());
        let Some(subscription) = document.and_then(|document| Subscription::read(&document).ok())
        else {
            continue;
        };
        let about = About {
            base: &call.base,
            id: &target.id,
            subscription: &subscription,
            state: target.state,
            born: target.born,
            content: Content::Empty,
            now: call.now,
        };
        let full_url = format!(
            "urn:uuid:{}",
            uuid_of(&format!("{}-{}", target.id, target.born))
        );
        entries.push(Value::from(Object::from_iter([
            ("fullUrl", Value::from(full_url)),
            ("resource", about.status(Type::QueryStatus, &[])),
            ("search", Object::from_iter([("mode", "match")]).into()),
        ])));
    }
    let mut bundle = Object::from_iter([
        ("resourceType", Value::from("Bundle")),
        ("type", "searchset".into()),
        ("timestamp", call.now.to_string().into()),
        ("total", Value::number(entries.len())),
    ]);
    if !entries.is_empty() {
        bundle.set("entry", entries);
    }
    Ok(Answer::Resource(bundle.into()))
}

/// How far it has come; one that nobody has looked at yet is at its beginning.
pub(super) async fn target(cx: &Cx, id: String) -> Result<Target, Fault> {
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let wanted = id.clone();
    let read = cx.app.store.read(permit, move |view| view.target(&wanted));
    let found: Option<Target> = read.await.map_err(Fault::from)?;
    Ok(found.unwrap_or_else(|| Target {
        state: State::Handshake,
        ..Target::new(0, &id)
    }))
}

/// Those that the caller may see.
async fn targets(cx: &Cx) -> Result<Vec<Target>, Fault> {
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let all: Vec<Target> = cx
        .app
        .store
        .read(permit, |view: &mut View<'_>| view.targets())
        .await
        .map_err(Fault::from)?;
    let permit = may_all(&cx.caller, [Action::Read(TYPE)])?;
    let read = cx.app.store.read(permit, move |view| {
        let mut seen = Vec::new();
        for target in &all {
            let current = view.current(TYPE, &target.id)?;
            if current.is_some_and(|current| !current.is_deleted()) {
                seen.push(target.clone());
            }
        }
        Ok::<_, Fault>(seen)
    });
    read.await
}
