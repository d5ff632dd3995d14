//! Patients who turn out to be one: the replaced one points to the survivor, and whoever speaks of the old number means the
//! survivor from then on. <https://hl7.org/fhir/R4/patient-definitions.html#Patient.link>
//!
//! What refers to the replaced patient is moved to the survivor in the same transaction, up to a bound; the survivor is found
//! by the old numbers too, which it bears with the use `old`. History and provenance stay as they are.

use fhir_spec::json::{Data, Object, Value, parse};
use fhir_spec::reference::Literal;

use super::draft::Draft;
use super::plan::{Step, Task};
use super::planner::{Planner, Work, information};
use super::step::sealed;
use super::world::World;
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::Action;
use crate::fault::Fault;
use crate::interactions::conditional::Criteria;
use crate::limits::{MOVED_MAX, REPLACEMENTS_MAX};
use crate::store::{Before, Found, Head};

pub(super) const PATIENT: &str = "Patient";
/// They tell of what was, not of what is.
const OF_THE_PAST: &[&str] = &[PATIENT, "Provenance", "AuditEvent"];

/// A patient is replaced by another: their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    from: String,
    to: String,
}

/// By whom a patient was replaced.
fn replacement(patient: &Value) -> Option<&str> {
    let links = patient.items_of("link").iter();
    let mut replaced = links.filter(|link| link.str_of("type") == Some("replaced-by"));
    let other = replaced.next()?.get("other")?.str_of("reference")?;
    id_of(other)
}

/// `Patient/1`, or a version of it.
fn id_of(reference: &str) -> Option<&str> {
    let target = Literal::parse(reference)?.target()?;
    (target.resource_type == PATIENT).then_some(target.id)
}

fn replacement_of(found: &Found) -> Result<Option<String>, Fault> {
    // Most are not, and most messages are about somebody who is stored.
    const SIGN: &[u8] = b"replaced-by";
    if !found.body.windows(SIGN.len()).any(|part| part == SIGN) {
        return Ok(None);
    }
    let patient = parse(&found.body).map_err(Fault::internal)?;
    Ok(replacement(&patient).map(str::to_owned))
}

/// Whether the message speaks of this very record, replaced or not, and not of the person behind it.
fn is_about_links(draft: &Draft) -> bool {
    let unlinks = draft.deletes.iter().any(|path| path.starts_with("link"));
    let links = draft.resource.items_of("link").iter();
    unlinks || links.into_iter().any(is_replacement)
}

fn is_replacement(link: &Value) -> bool {
    link.str_of("type") == Some("replaced-by")
}

/// Senders give the numbers of a patient in any order: who is not known by the first may be by another record number.
pub(super) fn by_others<W: World>(
    planner: &Planner<'_, W>,
    draft: &Draft,
) -> Result<Option<Criteria>, Fault> {
    let identifiers = draft.resource.items_of("identifier").iter();
    let numbers: Vec<String> = identifiers.filter_map(record_number).collect();
    if numbers.len() < 2 || is_about_links(draft) {
        return Ok(None);
    }
    let parameters = [("identifier".to_owned(), numbers.join(","))];
    Criteria::new(planner.app, PATIENT, &parameters, planner.now).map(Some)
}

/// As a search asks for it.
fn record_number(identifier: &Value) -> Option<String> {
    const OF_RECORDS: &[&str] = &["MR", "PI", "PT"];
    const OF_AUTHORITIES: &str = "urn:oid:2.16.840.1.113883.4.";
    let (system, value) = (identifier.str_of("system")?, identifier.str_of("value")?);
    let kind = identifier.get("type");
    let codings = kind.map(|kind| kind.items_of("coding")).unwrap_or_default();
    let is_typed = codings.iter().any(|coding| {
        let code = coding.str_of("code").unwrap_or_default();
        OF_RECORDS.contains(&code)
    });
    // Ids in documents have no types; those of authorities are under one root.
    let is_local = system.starts_with("urn:oid:") && !system.starts_with(OF_AUTHORITIES);
    let is_of_record = is_typed || (kind.is_none() && is_local);
    let is_old = identifier.str_of("use") == Some("old");
    (is_of_record && !is_old).then(|| format!("{}|{}", escaped(system), escaped(value)))
}

/// <https://hl7.org/fhir/R4/search.html#escaping>
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | ',' | '|' | '$') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Of what is said to be no more, that which takes links back: it has happened, as links have.
pub(super) fn unlinks(resource_type: &str, deletes: &[Box<str>]) -> Vec<Box<str>> {
    let of_links = deletes.iter().filter(|path| path.starts_with("link"));
    match resource_type {
        PATIENT => of_links.cloned().collect(),
        _ => Vec::new(),
    }
}

/// The patient that a message means by a number that these bear.
pub(super) fn meant<W: World>(
    planner: &mut Planner<'_, W>,
    draft: &Draft,
    found: Vec<(Head, Found)>,
) -> Result<Vec<(Head, Found)>, Fault> {
    if !is_about_links(draft) {
        return survivors(planner, found);
    }
    if found.len() < 2 {
        return Ok(found);
    }
    // The survivor bears the number too.
    let mut replaced = Vec::new();
    for (head, found) in &found {
        if replacement_of(found)?.is_some() {
            replaced.push((head.clone(), found.clone()));
        }
    }
    Ok(match replaced.is_empty() {
        true => found,
        false => replaced,
    })
}

/// Who has taken the place of those who were replaced; each once.
pub(super) fn survivors<W: World>(
    planner: &mut Planner<'_, W>,
    found: Vec<(Head, Found)>,
) -> Result<Vec<(Head, Found)>, Fault> {
    let mut survivors: Vec<(Head, Found)> = Vec::with_capacity(found.len());
    for (head, found) in found {
        let survivor = survivor(planner, head, found)?;
        if survivors.iter().all(|(head, _)| head.rid != survivor.0.rid) {
            survivors.push(survivor);
        }
    }
    Ok(survivors)
}

fn survivor<W: World>(
    planner: &mut Planner<'_, W>,
    head: Head,
    found: Found,
) -> Result<(Head, Found), Fault> {
    let mut here = (head, found);
    for _ in 0..REPLACEMENTS_MAX {
        let Some(next) = replacement_of(&here.1)? else {
            break;
        };
        let Some(found) = planner.current(PATIENT, &next)? else {
            break;
        };
        if found.is_deleted() {
            break;
        }
        let rid = found.rid;
        let told = planner
            .world
            .look(|view| view.told(&[(PATIENT, rid)]))?
            .get(&rid)
            .copied();
        let head = Head {
            id: next,
            rid,
            version: found.version,
            told,
        };
        here = (head, found);
    }
    Ok(here)
}

/// A message that names one patient by two numbers, as old and as new one.
pub(super) fn is_replaced_by_itself(said: &Value, id: &str) -> bool {
    said.str_of("resourceType") == Some(PATIENT) && replacement(said) == Some(id)
}

/// What is said of links has happened: it holds however late it comes.
pub(super) fn event(said: &Value) -> Option<Value> {
    let is_linked = said.str_of("resourceType") == Some(PATIENT) && said.get("link").is_some();
    if !is_linked {
        return None;
    }
    let mut event = Object::new();
    for name in ["resourceType", "link"] {
        if let Some(value) = said.get(name) {
            event.set(name, value.clone());
        }
    }
    if replacement(said).is_some() {
        event.set("active", false);
    }
    Some(event.into())
}

/// Who is replaced by whom in this message; both are made to say so.
pub(super) fn merges(works: &mut [Work]) -> Result<Vec<Move>, Fault> {
    let mut moves = Vec::new();
    let mut told = Vec::new();
    for work in works
        .iter_mut()
        .filter(|work| work.resource_type == PATIENT)
    {
        let Some(to) = replacement(&work.said).map(str::to_owned) else {
            continue;
        };
        if let Some(said) = work.said.as_object_mut() {
            said.set("active", false);
        }
        work.event = event(&work.said);
        let stored = work.subject.found.as_ref();
        let stored = stored.map(|found| parse(&found.body)).transpose();
        let stored = stored.map_err(Fault::internal)?;
        let numbers = [stored.as_ref(), Some(&work.said)];
        let numbers = numbers
            .into_iter()
            .flatten()
            .flat_map(|patient| patient.items_of("identifier").iter().cloned());
        told.push((
            to.clone(),
            work.subject.id.clone(),
            numbers.collect::<Vec<_>>(),
        ));
        moves.push(Move {
            from: work.subject.id.clone(),
            to,
        });
    }
    unlink(works)?;
    for (to, from, numbers) in told {
        let mut survivors = works.iter_mut();
        let survivor =
            survivors.find(|work| work.resource_type == PATIENT && work.subject.id == to);
        if let Some(survivor) = survivor {
            survive(survivor, &from, numbers)?;
        }
    }
    Ok(moves)
}

/// Who is no longer the survivor of another does not bear the numbers of that one.
fn unlink(works: &mut [Work]) -> Result<(), Fault> {
    let mut lost = Vec::new();
    for (place, work) in works.iter().enumerate() {
        let links = work.deletes.iter().filter(|path| path.starts_with("link"));
        let links: Vec<_> = links.collect();
        // Rows of a table come by hundreds, and none of them takes a link back.
        if links.is_empty() {
            continue;
        }
        let is_unlinked = |id: &str| {
            let named = format!("={PATIENT}/{id}");
            links.iter().any(|path| path.contains(&named))
        };
        let others = works.iter().filter(|other| other.resource_type == PATIENT);
        for other in others.filter(|other| is_unlinked(&other.subject.id)) {
            if let Some(found) = &other.subject.found {
                let patient = parse(&found.body).map_err(Fault::internal)?;
                lost.push((place, patient.items_of("identifier").to_vec()));
            }
        }
    }
    for (place, numbers) in lost {
        if let Some(work) = works.get_mut(place) {
            work.lost.extend(numbers);
        }
    }
    Ok(())
}

/// Takes numbers away that a patient bears for another.
pub(super) fn lose(document: &mut Value, numbers: &[Value]) {
    let Some(items) = document.get_mut("identifier").and_then(Value::as_array_mut) else {
        return;
    };
    items.retain(|item| {
        let is_it = |number: &Value| {
            number.str_of("system") == item.str_of("system")
                && number.str_of("value") == item.str_of("value")
        };
        item.str_of("use") != Some("old") || !numbers.iter().any(is_it)
    });
}

/// The survivor points back, and bears the old numbers.
fn survive(survivor: &mut Work, from: &str, numbers: Vec<Value>) -> Result<(), Fault> {
    let stored = survivor.subject.found.as_ref();
    let stored = stored.map(|found| parse(&found.body)).transpose();
    let stored = stored.map_err(Fault::internal)?;
    let is_known = |number: &Value, patient: Option<&Value>| {
        let known = patient.map(|patient| patient.items_of("identifier"));
        known.unwrap_or_default().iter().any(|known| {
            known.str_of("system") == number.str_of("system")
                && known.str_of("value") == number.str_of("value")
        })
    };
    let mut old = Vec::new();
    for mut number in numbers {
        let is_new = !is_known(&number, stored.as_ref())
            && !is_known(&number, Some(&survivor.said))
            && !old.contains(&number);
        if let (true, Some(object)) = (is_new, number.as_object_mut()) {
            object.set("use", "old");
            if !old.contains(&number) {
                old.push(number);
            }
        }
    }
    let reference = Object::from_iter([("reference", format!("{PATIENT}/{from}"))]);
    let link = Value::from(Object::from_iter([
        ("other", Value::from(reference)),
        ("type", Value::from("replaces")),
    ]));
    let points_back = |link: &Value| {
        let other = link
            .get("other")
            .and_then(|other| other.str_of("reference"));
        other.and_then(id_of) == Some(from)
    };
    let Some(said) = survivor.said.as_object_mut() else {
        return Ok(());
    };
    let links = match said.get_mut("link").and_then(Value::as_array_mut) {
        Some(links) => links,
        None => {
            said.set("link", Vec::new());
            let links = said.get_mut("link").and_then(Value::as_array_mut);
            links.ok_or_else(|| Fault::internal("a list that was just made"))?
        }
    };
    if !links.iter().any(points_back) {
        links.push(link);
    }
    append(said, "identifier", old.clone());
    survivor.event = event(&survivor.said);
    if let Some(event) = survivor.event.as_mut().and_then(Value::as_object_mut) {
        append(event, "identifier", old);
    }
    Ok(())
}

fn append(object: &mut Object, name: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match object.get_mut(name).and_then(Value::as_array_mut) {
        Some(items) => items.extend(more),
        None => object.set(name, more),
    }
}

/// A patient whose replacement is taken back lives again, unless the message says otherwise.
pub(super) fn revive(stored: &Value, said: &Value, document: &mut Value) {
    let is_patient = stored.str_of("resourceType") == Some(PATIENT);
    let was_replaced = is_patient && replacement(stored).is_some();
    if was_replaced
        && replacement(document).is_none()
        && said.get("active").is_none()
        && let Some(document) = document.as_object_mut()
    {
        document.set("active", true);
    }
}

/// References to the replaced patients lead to the survivors. Versions that are named stay: they are of the past.
pub(super) fn follow_moves(resource_type: &str, document: &mut Value, moves: &[Move]) {
    if !moves.is_empty() && !OF_THE_PAST.contains(&resource_type) {
        follow(document, moves);
    }
}

fn follow(value: &mut Value, moves: &[Move]) -> bool {
    match &mut value.data {
        Data::Array(items) => items
            .iter_mut()
            .fold(false, |moved, item| follow(item, moves) | moved),
        Data::Object(object) => {
            let mut is_moved = false;
            for (name, value) in object.iter_mut() {
                let id = value
                    .as_str()
                    .filter(|_| name == "reference")
                    .and_then(|text| text.strip_prefix("Patient/"));
                let to = id.and_then(|id| moves.iter().find(|one| one.from == id));
                match to {
                    Some(Move { to, .. }) => {
                        *value = format!("{PATIENT}/{to}").into();
                        is_moved = true;
                    }
                    None => is_moved |= follow(value, moves),
                }
            }
            is_moved
        }
        _ => false,
    }
}

/// What a merge may change beside what the message speaks of: all that refers to patients.
pub(super) fn actions(app: &App) -> Vec<Action> {
    let named = app.definitions().resource_types();
    let types = named.filter_map(resource_type);
    let types = types.filter(|name| !OF_THE_PAST.contains(name));
    types
        .flat_map(|name| [Action::Read(name), Action::Update(name)])
        .chain([Action::Include])
        .collect()
}

/// Steps for all that refers to the replaced patients and is not in the message.
pub(super) fn move_references<W: World>(
    planner: &mut Planner<'_, W>,
    moves: &[Move],
    steps: &mut Vec<Step>,
) -> Result<(), Fault> {
    let paths = paths(planner.app);
    let mut left = MOVED_MAX;
    for Move { from, .. } in moves {
        let referring = planner
            .world
            .look(|view| view.referring(Action::Include, &paths, from))?;
        let mut waiting = 0usize;
        for (name, id) in referring {
            let Some(name) = resource_type(&name).filter(|name| !OF_THE_PAST.contains(name)) else {
                continue;
            };
            let is_known = |step: &Step| step.resource_type == name && step.id == id;
            if steps.iter().any(is_known) {
                continue;
            }
            if left == 0 {
                waiting += 1;
                continue;
            }
            if let Some(step) = moved(planner, name, id, moves)? {
                steps.push(step);
                left -= 1;
            }
        }
        if waiting > 0 {
            planner.issues.push(information(format!(
                "{waiting} more resources refer to Patient/{from} and are found by its link; sent again, the message moves {MOVED_MAX} more"
            )));
        }
    }
    Ok(())
}

fn moved<W: World>(
    planner: &mut Planner<'_, W>,
    resource_type: &'static str,
    id: String,
    moves: &[Move],
) -> Result<Option<Step>, Fault> {
    let Some(found) = planner.current(resource_type, &id)? else {
        return Ok(None);
    };
    if found.is_deleted() {
        return Ok(None);
    }
    let mut document = parse(&found.body).map_err(Fault::internal)?;
    let before = Before::of_document(&planner.app.search(), &found, &document);
    if !follow(&mut document, moves) {
        return Ok(None);
    }
    let Ok(sealed) = sealed(planner.app, document, &id) else {
        // It was stored by other rules than those of today. That must not keep two patients apart.
        let told = format!(
            "{resource_type}/{id} still refers to the replaced patient: it is not valid any more"
        );
        planner.issues.push(information(told));
        return Ok(None);
    };
    Ok(Some(Step {
        resource_type,
        id,
        found: Some(found),
        told: None,
        is_told: false,
        task: Task::Update(sealed, Box::new(before)),
    }))
}

/// The paths of the index where patients are referred to.
fn paths(app: &App) -> Vec<i32> {
    let registry = app.search();
    let mut paths = Vec::new();
    for name in app.definitions().resource_types() {
        let Some(known) = registry.of(name) else {
            continue;
        };
        let parameters = known.served().filter(|parameter| {
            parameter.targets.is_empty()
                || parameter.targets.iter().any(|target| **target == *PATIENT)
        });
        let sources = parameters.flat_map(|parameter| &parameter.sources);
        let references =
            sources.filter(|source| source.table == search::table::TableKind::Reference);
        paths.extend(references.map(|source| source.path));
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Whether a message says that somebody is replaced.
pub(super) fn is_merge(draft: &Draft) -> bool {
    draft.resource_type == PATIENT && draft.resource.items_of("link").iter().any(is_replacement)
}
