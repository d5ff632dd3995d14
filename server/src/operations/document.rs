//! $document: a Composition with all that it refers to, as a Bundle that stands by itself.
//! <https://hl7.org/fhir/R4/composition-operation-document.html>

use std::fmt::Write;

use bytes::Bytes;
use fhir_spec::format::Format;
use fhir_spec::json::{Object, Value, write_string};
use fhir_spec::reference::{Literal, is_id};
use fhir_spec::{Issue, IssueCode};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::closure::{Closure, Held};
use super::{Answer, Call, Operation, Run, Types, Working};
use crate::accept::Submitted;
use crate::auth::{Action, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::{create, read};

const TYPE: &str = "Composition";

pub const OPERATION: Operation = Operation {
    code: "$document",
    definition: Some("http://hl7.org/fhir/OperationDefinition/Composition-document"),
    on_system: false,
    on_type: Types::Only(TYPE),
    on_instance: Types::Only(TYPE),
    run: Run::Stored(start),
};

fn start<'a>(cx: &'a Cx, call: &'a Call) -> Working<'a> {
    Box::pin(run(cx, call))
}

async fn run(cx: &Cx, call: &Call) -> Result<Answer, Fault> {
    call.has_only(&["id", "persist", "graph"])?;
    if call.value("graph").is_some() {
        let told = "`graph`: graphs are not followed here; without it the document holds all that it refers to";
        return Err(Fault::new(Kind::NotImplemented, told));
    }
    let is_kept = match call.value("persist").as_deref() {
        None | Some("false") => false,
        Some("true") if call.may_change => true,
        Some("true") => {
            let told = "`persist` stores the document: ask for it by POST";
            return Err(Fault::new(Kind::WrongParameter, told));
        }
        Some(_) => return Err(wrong("persist", "true or false")),
    };
    let id = id(call)?;
    let permit = may_all(&cx.caller, [Action::Read(TYPE), Action::Include])?;
    let (base, limits, now) = (call.base.clone(), cx.app.limits, call.now);
    let bundle = cx.app.store.read(permit, move |view| {
        let found = read::within(view, TYPE, &id)?;
        let mut closure = Closure::new(&base, limits);
        closure.take(Held::new(TYPE, id.clone(), found.body)?)?;
        closure.complete(view)?;
        whole(&closure)?;
        Ok::<_, Fault>(bundle(&closure.found, &base, now))
    });
    let bundle = bundle.await?;
    match is_kept {
        false => Ok(Answer::Bundle(bundle)),
        true => keep(cx, bundle).await,
    }
}

/// The Composition: of the address, else the one that `id` names.
fn id(call: &Call) -> Result<String, Fault> {
    let asked = call.value("id");
    let named = match (&call.id, asked) {
        (Some(id), None) => id.clone(),
        (None, Some(text)) => match Literal::parse(&text) {
            Some(Literal::Relative(target)) if target.resource_type == TYPE => target.id.to_owned(),
            Some(Literal::Absolute { base, target })
                if target.resource_type == TYPE && base == call.base =>
            {
                target.id.to_owned()
            }
            _ => text,
        },
        (None, None) => return Err(wrong("id", "the id of a Composition of this server")),
        (Some(_), Some(_)) => {
            let told = "`id`: the address names the Composition already";
            return Err(Fault::new(Kind::WrongParameter, told));
        }
    };
    match is_id(&named) {
        true => Ok(named),
        false => Err(wrong("id", "the id of a Composition of this server")),
    }
}

pub(super) fn wrong(name: &str, expected: &str) -> Fault {
    Fault::new(
        Kind::WrongParameter,
        format!("`{name}`: expected {expected}"),
    )
}

/// What the Composition itself refers to has to be there: a document without it would say less than it seems to.
fn whole(closure: &Closure<'_>) -> Result<(), Fault> {
    let composition = closure.found.first();
    let missing = composition.map(|held| closure.references(&held.document));
    let issues = missing.into_iter().flatten().map(|(kind, id)| {
        let told = format!("the Composition refers to {kind}/{id}, which is not here");
        Issue::error(IssueCode::NotFound, told)
    });
    let issues: Vec<Issue> = issues.collect();
    match issues.is_empty() {
        true => Ok(()),
        false => Err(Fault::of_issues(Kind::Unprocessable, issues)),
    }
}

/// A Bundle of stored texts, the Composition first. Its identifier is that of its content: the same document, made again,
/// is the same.
pub(super) fn bundle(entries: &[Held], base: &str, now: Instant) -> Bytes {
    let uuid = uuid(entries.iter().map(|entry| entry.text.as_str()));
    let mut text = Value::from(head(&uuid, now)).to_string();
    text.pop();
    for (place, entry) in entries.iter().enumerate() {
        text.push_str(if place == 0 { r#","entry":["# } else { "," });
        text.push_str(r#"{"fullUrl":"#);
        write_string(
            &format!("{base}/{}/{}", entry.resource_type, entry.id),
            &mut text,
        );
        // Writing to a String cannot fail.
        let _written = write!(text, r#","resource":{}}}"#, entry.text);
    }
    text.push_str("]}");
    text.into()
}

/// What a document Bundle says of itself.
pub(super) fn head(uuid: &str, now: Instant) -> Object {
    let identifier = Object::from_iter([
        ("system", Value::from("urn:ietf:rfc:3986")),
        ("value", format!("urn:uuid:{uuid}").into()),
    ]);
    Object::from_iter([
        ("resourceType", Value::from("Bundle")),
        ("identifier", identifier.into()),
        ("type", "document".into()),
        ("timestamp", now.to_string().into()),
    ])
}

/// The same for the same texts.
pub(super) fn uuid<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text);
    }
    let mut begin = [0; 16];
    begin
        .iter_mut()
        .zip(hash.finalize())
        .for_each(|(to, from)| *to = from);
    Builder::from_custom_bytes(begin).into_uuid().to_string()
}

/// Stores the document, as any other Bundle is stored.
async fn keep(cx: &Cx, bundle: Bytes) -> Result<Answer, Fault> {
    let document = Format::Json
        .read(&bundle, cx.app.definitions())
        .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    let submitted = Submitted {
        document,
        source: bundle,
    };
    let written = create::run(cx, "Bundle", submitted).await?;
    Ok(Answer::Bundle(written.resource.bytes().clone()))
}
