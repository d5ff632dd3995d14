//! $ccd: what is stored of a patient as a clinical document: C-CDA, or a document Bundle.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=492>

use fhir_spec::json::{Object, Value};
use fhir_spec::reference::{Literal, is_id};
use fhir_spec::time::DateTime;
use interop::formats::cda::{Wanted, Writer};
use search::query::Handling;

use super::closure::{Closure, Held};
use super::document::{head, uuid, wrong};
use super::{Answer, Call, Operation, Run, Types, Working};
use crate::auth::{Action, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::read;
use crate::interactions::search::{Asked, Scope, ask, whole};
use crate::store::View;

const TYPE: &str = "Patient";
const ENCOUNTER: &str = "Encounter";
const DEVICE: &str = "Device";

pub const OPERATION: Operation = Operation {
    code: "$ccd",
    definition: None,
    on_system: false,
    on_type: Types::None,
    on_instance: Types::Only(TYPE),
    run: Run::Stored(start),
};

/// What is asked.
#[derive(Debug, Clone)]
struct Summary {
    patient: String,
    kind: String,
    encounter: Option<String>,
    start: Option<String>,
    end: Option<String>,
}

fn start<'a>(cx: &'a Cx, call: &'a Call) -> Working<'a> {
    Box::pin(run(cx, call))
}

async fn run(cx: &Cx, call: &Call) -> Result<Answer, Fault> {
    let writer = Writer::shipped().map_err(|bad| {
        let told: Vec<String> = bad.iter().map(ToString::to_string).collect();
        Fault::internal(told.join("; "))
    })?;
    let summary = Summary::of(call, &writer)?;
    let (held, withheld) = gathered(cx, call, &summary, &writer).await?;
    let bytes = held.iter().map(|held| held.text.len()).sum();
    let (base, now, wants_cda) = (call.base.clone(), call.now, call.wants_cda);
    cx.compute(bytes, move || {
        let bundle = composed(&writer, held, &summary, (&withheld, &base, now))?;
        if !wants_cda {
            return Ok(Answer::Resource(bundle));
        }
        let written = writer.write(&bundle, &now.to_string());
        let unwritten = |issue| Fault::of_issues(Kind::Unprocessable, vec![issue]);
        Ok(Answer::Clinical(written.map_err(unwritten)?.xml))
    })
    .await
}

impl Summary {
    fn of(call: &Call, writer: &Writer) -> Result<Self, Fault> {
        call.has_only(&["type", "start", "end", "encounter"])?;
        let kind = call.value("type").unwrap_or_else(|| "ccd".to_owned());
        if !writer.kinds().any(|known| known == kind) {
            let kinds: Vec<&str> = writer.kinds().collect();
            return Err(wrong("type", &format!("one of {}", kinds.join(", "))));
        }
        let time = |name: &str| match call.value(name) {
            Some(text) if DateTime::parse_fhir(&text).is_none() => {
                Err(wrong(name, "a date or dateTime, as 2024-03-01"))
            }
            time => Ok(time),
        };
        let (start, end) = (time("start")?, time("end")?);
        let span =
            |text: &Option<String>| Some(DateTime::parse_fhir(text.as_deref()?)?.interval(0));
        if let (Some((start, _)), Some((_, end))) = (span(&start), span(&end))
            && start >= end
        {
            return Err(wrong("end", "a time that is not before `start`"));
        }
        let encounter = call.value("encounter").map(|text| encounter_id(&text));
        let encounter = encounter.transpose()?;
        if encounter.is_none() && kind == "discharge-summary" {
            let expected = "the id of the Encounter that a discharge has ended";
            return Err(wrong("encounter", expected));
        }
        Ok(Self {
            patient: call.id.clone().unwrap_or_default(),
            kind,
            encounter,
            start,
            end,
        })
    }
}

fn encounter_id(text: &str) -> Result<String, Fault> {
    let target = Literal::parse(text).and_then(|literal| literal.target());
    match target.map(|target| (target.resource_type, target.id)) {
        Some((ENCOUNTER, id)) => Ok(id.to_owned()),
        None if is_id(text) => Ok(text.to_owned()),
        _ => Err(wrong("encounter", "the id of an Encounter")),
    }
}

/// The patient, what is known of them, and all that this refers to: one state of the database. And the types of resources that
/// whoever asks may not search: what they may see is no less true without them, and the document says where they are missing.
async fn gathered(
    cx: &Cx,
    call: &Call,
    summary: &Summary,
    writer: &Writer,
) -> Result<(Vec<Held>, Vec<&'static str>), Fault> {
    let mut types = writer.types();
    types.push("RelatedPerson");
    types.retain(|name| *name != TYPE);
    let may_search = |name: &&'static str| may(&cx.caller, Action::Search(name)).is_ok();
    let (mut types, withheld): (Vec<_>, Vec<_>) = types.into_iter().partition(may_search);
    // Devices are in no compartment of patients.
    let has_devices = types.contains(&DEVICE);
    types.retain(|name| *name != DEVICE);
    let reference = format!("{TYPE}/{}", summary.patient);
    let asked = |scope, name: &str, value: &str| {
        let parameters = vec![(name.to_owned(), value.to_owned())];
        ask(cx, scope, parameters, Handling::Strict)
    };
    let mut searches = Vec::new();
    if !types.is_empty() {
        let within = Scope::within(cx.app.definitions(), TYPE, &summary.patient, None)?;
        searches.push(asked(within, "_type", &types.join(",")).await?);
    }
    if has_devices {
        searches.push(asked(Scope::of_type(DEVICE), "patient", &reference).await?);
    }
    let encounter = summary.encounter.as_ref().map(|_| Action::Read(ENCOUNTER));
    let own = [Action::Read(TYPE), Action::Include];
    let searched = searches.iter().flat_map(Asked::actions);
    let permit = may_all(&cx.caller, own.into_iter().chain(encounter).chain(searched))?;
    let (summary, base, limits) = (summary.clone(), call.base.clone(), cx.app.limits);
    let work = move |view: &mut View<'_>| {
        let mut closure = Closure::new(&base, limits);
        let patient = read::within(view, TYPE, &summary.patient)?;
        closure.take(Held::new(TYPE, summary.patient.clone(), patient.body)?)?;
        if let Some(id) = &summary.encounter {
            let encounter = read::within(view, ENCOUNTER, id)?;
            let held = Held::new(ENCOUNTER, id.clone(), encounter.body)?;
            if !is_about(&held.document, &reference) {
                return Err(wrong("encounter", "an Encounter of this patient"));
            }
            closure.take(held)?;
        }
        for asked in &searches {
            let found_max = limits.document_resources_max;
            take(view, asked, &reference, found_max, &mut closure)?;
        }
        closure.complete(view)?;
        Ok::<_, Fault>(closure.found)
    };
    Ok((cx.app.store.read(permit, work).await?, withheld))
}

fn take(
    view: &mut View<'_>,
    asked: &Asked,
    patient: &str,
    found_max: usize,
    closure: &mut Closure<'_>,
) -> Result<(), Fault> {
    for (kind, body) in whole(view, asked, found_max)? {
        let held = Held::new(kind, body.id, body.text.unwrap_or_default())?;
        if is_about(&held.document, patient) {
            closure.take(held)?;
        }
    }
    Ok(())
}

/// Who has measured something of another patient has it in the compartment, too: that is not about them.
fn is_about(document: &Value, patient: &str) -> bool {
    let members = ["subject", "patient", "beneficiary"].into_iter();
    let mut subjects = members.filter_map(|name| document.get(name)?.str_of("reference"));
    subjects.all(|subject| {
        let subject = subject.split("/_history/").next().unwrap_or(subject);
        subject == patient || subject.ends_with(&format!("/{patient}"))
    })
}

/// A document Bundle around them, with a Composition over it.
fn composed(
    writer: &Writer,
    held: Vec<Held>,
    summary: &Summary,
    (withheld, base, now): (&[&'static str], &str, Instant),
) -> Result<Value, Fault> {
    let asked = [&summary.start, &summary.end, &summary.encounter];
    let asked = asked.map(|text| text.as_deref().unwrap_or_default());
    let texts = held.iter().map(|held| held.text.as_str());
    let said = [summary.kind.as_str()].into_iter().chain(asked);
    let whole = uuid(texts.chain(said).chain(withheld.iter().copied()));
    let version = held.iter().filter_map(changed).max().unwrap_or_default();
    let patient = format!("{TYPE}/{}", summary.patient);
    let custodian = held
        .first()
        .and_then(|held| held.document.get("managingOrganization"));
    let custodian = custodian
        .filter(|to| to.get("reference").is_some())
        .cloned();
    let entries = held.into_iter().map(|held| {
        let url = format!("{base}/{}/{}", held.resource_type, held.id);
        entry(url, held.document)
    });
    let entries: Vec<Value> = entries.collect();
    let mut bundle = head(&whole, now);
    bundle.set("entry", entries);
    let mut bundle = Value::from(bundle);
    let encounter = summary
        .encounter
        .as_ref()
        .map(|id| format!("{ENCOUNTER}/{id}"));
    let wanted = Wanted {
        kind: &summary.kind,
        patient: &patient,
        encounter: encounter.as_deref(),
        start: summary.start.as_deref(),
        end: summary.end.as_deref(),
        now: &now.to_string(),
        withheld,
    };
    // Of one patient and kind all are versions of one document.
    let id = uuid([patient.as_str(), "#", summary.kind.as_str()].into_iter());
    let composition = writer.compose(&bundle, wanted).map(|mut composition| {
        if let Some(composition) = composition.as_object_mut() {
            sign(composition, &id, version, custodian);
        }
        entry(format!("{base}/Composition/{id}"), composition)
    });
    if let Some(entries) = bundle.get_mut("entry").and_then(Value::as_array_mut) {
        entries.splice(0..0, composition);
    }
    Ok(bundle)
}

fn entry(url: String, resource: Value) -> Value {
    Object::from_iter([("fullUrl", Value::from(url)), ("resource", resource)]).into()
}

/// Seconds of the last change.
fn changed(held: &Held) -> Option<i64> {
    let at = held.document.get("meta")?.str_of("lastUpdated")?;
    let (micros, _) = DateTime::parse(at)?.interval(0);
    Some(micros / 1_000_000)
}

/// Who has made the document, in whose keeping it is, and which version it is.
fn sign(composition: &mut Object, id: &str, version: i64, custodian: Option<Value>) {
    let name = Object::from_iter([("name", "Kiln"), ("type", "user-friendly-name")]);
    let mut device = Object::from_iter([
        ("resourceType", Value::from("Device")),
        ("id", "author".into()),
        ("deviceName", vec![Value::from(name)].into()),
    ]);
    if let Some(custodian) = custodian {
        device.set("owner", custodian.clone());
        composition.set("custodian", custodian);
    }
    let url = "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber";
    let version = version.to_string();
    let version = Object::from_iter([("url", url), ("valueString", &version)]);
    composition.insert_at(1, "id", id);
    composition.insert_at(2, "contained", vec![Value::from(device)]);
    composition.insert_at(3, "extension", vec![Value::from(version)]);
    let author = Object::from_iter([("reference", "#author")]);
    composition.set("author", vec![Value::from(author)]);
}
