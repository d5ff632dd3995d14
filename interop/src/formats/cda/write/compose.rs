//! A Composition over what is known of a patient, where nobody has written one: each section takes what belongs there.

use fhir_spec::fhirpath::{Item, Node};
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::time::DateTime;

use super::notation::Section;
use super::run::{Index, Run, Scope};
use super::values::plain;

/// What a summary is to be of.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The kind of document: `ccd`, `referral-note`, `discharge-summary`.
    pub kind: &'w str,
    /// The reference to the patient, as the bundle has it.
    pub patient: &'w str,
    /// The encounter that the document is about.
    pub encounter: Option<&'w str>,
    /// What happened from then, until then; what has no time, or goes on, is told whenever it was.
    pub start: Option<&'w str>,
    pub end: Option<&'w str>,
    pub now: &'w str,
    /// Types of resources that whoever asks may not see: the sections that they belong to say so.
    pub withheld: &'w [&'w str],
}

/// A Composition of the resources of a bundle; nothing when there is no such kind of document.
pub(super) fn compose(run: &mut Run<'_, '_>, wanted: Wanted<'_>) -> Option<Value> {
    let templates = run.templates;
    let document = templates
        .documents
        .iter()
        .find(|document| document.name == wanted.kind)?;
    let mut sections: Vec<Value> = Vec::new();
    for (name, is_required) in &document.sections {
        let Some(section) = templates
            .sections
            .iter()
            .find(|section| section.name == *name)
        else {
            continue;
        };
        let entries = taken(run, section, wanted);
        let is_withheld = |(of, _): &(&str, _)| wanted.withheld.contains(of);
        let lacks = match section.takes.iter().any(is_withheld) {
            true => Lack::Withheld,
            false => Lack::Unavailable,
        };
        if *is_required || !entries.is_empty() || lacks == Lack::Withheld {
            sections.push(written(section, entries, lacks));
        }
    }
    let mut composition = Object::from_iter([
        ("resourceType", Value::from("Composition")),
        ("status", "final".into()),
        ("type", concept(document.code, document.title)),
        ("subject", reference(wanted.patient)),
    ]);
    if let Some(encounter) = wanted.encounter {
        composition.set("encounter", reference(encounter));
    }
    composition.set("date", wanted.now);
    composition.set("title", document.title);
    composition.set("confidentiality", "N");
    if wanted.start.is_some() || wanted.end.is_some() {
        let mut period = Object::new();
        for (name, moment) in [("start", wanted.start), ("end", wanted.end)] {
            if let Some(moment) = moment {
                period.set(name, moment);
            }
        }
        let event = Object::from_iter([("period", Value::from(period))]);
        composition.set("event", vec![Value::from(event)]);
    }
    composition.set("section", sections);
    Some(composition.into())
}

/// Why a section, or a part of it, is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    Unavailable,
    Withheld,
}

impl Lack {
    fn say(self, section: &mut Object) {
        let (code, display, told) = match self {
            Self::Unavailable => ("unavailable", "Unavailable", "No information"),
            Self::Withheld => (
                "withheld",
                "Information Withheld",
                "Withheld: who asked for this document may not see what belongs here",
            ),
        };
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{told}</div>");
        let text = Object::from_iter([("status", "generated"), ("div", &div)]);
        section.set("text", text);
        let reason = Object::from_iter([
            (
                "system",
                "http://terminology.hl7.org/CodeSystem/list-empty-reason",
            ),
            ("code", code),
            ("display", display),
        ]);
        let reason = Object::from_iter([("coding", vec![Value::from(reason)])]);
        section.set("emptyReason", reason);
    }
}

fn written(section: &Section, entries: Vec<Value>, lacks: Lack) -> Value {
    let mut made = Object::from_iter([
        ("title", Value::from(section.title)),
        ("code", concept(section.code, section.title)),
    ]);
    if entries.is_empty() {
        lacks.say(&mut made);
        return made.into();
    }
    made.set("entry", entries);
    if lacks == Lack::Withheld {
        let mut rest = Object::from_iter([("title", "More")]);
        lacks.say(&mut rest);
        made.set("section", vec![Value::from(rest)]);
    }
    made.into()
}

fn concept(code: &str, display: &str) -> Value {
    let coding = Object::from_iter([
        ("system", "http://loinc.org"),
        ("code", code),
        ("display", display),
    ]);
    Object::from_iter([("coding", vec![Value::from(coding)])]).into()
}

pub(super) fn reference(to: &str) -> Value {
    Object::from_iter([("reference", to)]).into()
}

fn taken(run: &mut Run<'_, '_>, section: &Section, wanted: Wanted<'_>) -> Vec<Value> {
    let mut entries = Vec::new();
    let start = wanted
        .start
        .and_then(moments)
        .map_or(i64::MIN, |(from, _)| from);
    let end = wanted.end.and_then(moments).map_or(i64::MAX, |(_, to)| to);
    let bundle = run.bundle;
    for entry in bundle.items_of("entry") {
        let Some(resource) = entry.get("resource") else {
            continue;
        };
        let kind = resource.str_of("resourceType").unwrap_or_default();
        let mut takes = section
            .takes
            .iter()
            .filter(|(of, _)| *of == kind)
            .peekable();
        if takes.peek().is_none() {
            continue;
        }
        let context = run.context(resource);
        let mut context = context.with_variable("encounter", Vec::new());
        if let Some(encounter) = wanted.encounter.and_then(|to| run.index.find(to)) {
            let node = Item::Node(Node::of_resource(Some(run.types), encounter));
            context = context.with_variable("encounter", vec![node]);
        }
        let scope = Scope {
            item: Item::Node(context.resource()),
            context: &context,
        };
        if !takes.any(|(_, condition)| run.holds(condition.as_ref(), &scope)) {
            continue;
        }
        let is_within = section.dated.as_ref().is_none_or(|dated| {
            let found = run.ask(dated, &scope);
            let times: Vec<(i64, i64)> = found.iter().filter_map(times).collect();
            let is_met = |(from, to): &(i64, i64)| *to > start && *from < end;
            times.is_empty() || times.iter().any(is_met)
        });
        if is_within {
            entries.push(reference(&name_of(entry, resource)));
        }
    }
    entries
}

/// From when to when something was; what goes on has no end.
fn times(item: &Item<'_>) -> Option<(i64, i64)> {
    let value = item.as_node().and_then(|node| node.value());
    match value.map(|value| &value.data) {
        Some(Data::Object(period)) => {
            let moment = |name| moments(period.get(name)?.as_str()?);
            let start = moment("start").map_or(i64::MIN, |(from, _)| from);
            Some((start, moment("end").map_or(i64::MAX, |(_, to)| to)))
        }
        _ => moments(&plain(item)?),
    }
}

/// The first and the last moment that a time may mean.
fn moments(text: &str) -> Option<(i64, i64)> {
    Some(DateTime::parse(text)?.interval(0))
}

/// How a reference calls an entry: by type and id where the bundle has them, else by its address.
fn name_of(entry: &Value, resource: &Value) -> String {
    let own = resource.str_of("resourceType").zip(resource.str_of("id"));
    match (entry.str_of("fullUrl"), own) {
        (Some(url), _) if url.starts_with("urn:") => url.to_owned(),
        (_, Some((kind, id))) => format!("{kind}/{id}"),
        (url, None) => url.unwrap_or_default().to_owned(),
    }
}

/// The only patient of a bundle.
pub(super) fn patient(bundle: &Value) -> Option<String> {
    let entries = bundle.items_of("entry").iter();
    let mut patients = entries.filter_map(|entry| {
        let resource = entry.get("resource")?;
        (resource.str_of("resourceType") == Some("Patient")).then(|| name_of(entry, resource))
    });
    let first = patients.next()?;
    patients.next().is_none().then_some(first)
}

impl Index<'_> {
    /// Whether there is something behind a reference.
    pub(super) fn has(&self, reference: &str) -> bool {
        self.find(reference).is_some()
    }
}
