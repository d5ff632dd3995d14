//! $events: what a subscription was or is to be told, by the numbers of its events.
//! <https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-events.html>

use bytes::Bytes;
use fhir_spec::json::parse;

use super::status::target;
use super::{Answer, Call, Operation, Run, Types, Working};
use crate::accept::resource_type;
use crate::auth::{Action, Caller, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::read;
use crate::store::{Event, Found};
use crate::subscriptions::bundle::{About, Type};
use crate::subscriptions::channel::Content;
use crate::subscriptions::{Subscription, TYPE};

pub const OPERATION: Operation = Operation {
    code: "$events",
    definition: Some(
        "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-events",
    ),
    on_system: false,
    on_type: Types::None,
    on_instance: Types::Only(TYPE),
    run: Run::Stored(start),
};

fn start<'a>(cx: &'a Cx, call: &'a Call) -> Working<'a> {
    Box::pin(run(cx, call))
}

async fn run(cx: &Cx, call: &Call) -> Result<Answer, Fault> {
    call.has_only(&["eventsSinceNumber", "eventsUntilNumber", "content"])?;
    let since = number(call, "eventsSinceNumber")?.unwrap_or(1);
    let until = number(call, "eventsUntilNumber")?.unwrap_or(i64::MAX);
    let id = call.id.clone().unwrap_or_default();
    let permit = may(&cx.caller, Action::Read(TYPE))?;
    let is_limited = permit.rights().is_some();
    let wanted = id.clone();
    let stored = cx
        .app
        .store
        .read(permit, move |view| read::within(view, TYPE, &wanted));
    let stored: Found = stored.await?;
    let document = parse(&stored.body).map_err(|error| Fault::internal(error.to_string()))?;
    let subscription = Subscription::read(&document)
        .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    let content = match call.value("content") {
        None => subscription.channel.content,
        Some(code) => Content::of_code(&code).ok_or_else(|| {
            let told = "`content`: expected empty, id-only or full-resource";
            Fault::new(Kind::WrongParameter, told)
        })?,
    };
    let target = target(cx, id.clone()).await?;
    let most = usize::try_from(cx.app.limits.page_size_max).unwrap_or(usize::MAX);
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let read = cx.app.store.read(permit, move |view| {
        view.events_after(target.rid, since.saturating_sub(1), most)
    });
    let mut events: Vec<Event> = read
        .await
        .map_err(|error: crate::store::Error| Fault::from(error))?;
    events.retain(|event| event.number <= until);
    let found = match content {
        Content::Empty => events.iter().map(|_| None).collect(),
        _ => bodies(cx, events.clone()).await?,
    };
    // Whoever does not see all learns of nothing that they may not read, its id included.
    let (events, found): (Vec<Event>, Vec<Option<Found>>) = events
        .into_iter()
        .zip(found)
        .filter(|(_, found)| content == Content::Empty || !is_limited || found.is_some())
        .unzip();
    let about = About {
        base: &call.base,
        id: &id,
        subscription: &subscription,
        state: target.state,
        born: target.born,
        content,
        now: call.now,
    };
    let told: Vec<(&Event, Option<&Found>)> = events
        .iter()
        .zip(found.iter().map(Option::as_ref))
        .collect();
    let name = format!("{id}-events-{}", call.now.micros());
    let bundle = about.bundle(Type::QueryEvent, &name, &told);
    Ok(Answer::Bundle(Bytes::from(bundle)))
}

fn number(call: &Call, name: &str) -> Result<Option<i64>, Fault> {
    let value = call.value(name);
    let read = value.map(|value| value.parse().ok().filter(|number: &i64| *number >= 0));
    match read {
        Some(None) => {
            let told = format!("`{name}`: expected the number of an event");
            Err(Fault::new(Kind::WrongParameter, told))
        }
        read => Ok(read.flatten()),
    }
}

/// As far as the caller may read them, and there is room for them.
async fn bodies(cx: &Cx, events: Vec<Event>) -> Result<Vec<Option<Found>>, Fault> {
    let types = events
        .iter()
        .filter_map(|event| resource_type(&event.resource_type));
    let permit = may_all(&cx.caller, types.map(Action::Read))?;
    let most = cx.app.limits.page_bytes_max;
    let read = cx.app.store.read(permit, move |view| {
        let (mut all, mut bytes) = (Vec::with_capacity(events.len()), 0);
        for event in &events {
            let type_ = resource_type(&event.resource_type).filter(|_| bytes <= most);
            let version = match type_ {
                Some(type_) => view.version(type_, &event.id, event.version)?,
                None => None,
            };
            bytes += version.as_ref().map_or(0, |found| found.body.len());
            all.push(version);
        }
        Ok::<_, Fault>(all)
    });
    read.await
}
