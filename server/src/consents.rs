//! What patients have refused to let others see: Consents in force, as denials among the rights of those whom they concern.
//! <https://hl7.org/fhir/R4/consent.html>
//!
//! A denial that says more than can be held to denies more than it says, never less. Consents themselves stay visible, so that
//! it is known why something is not, and so does the audit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use fhir_spec::json::{Value, parse};
use fhir_spec::time::DateTime;

use crate::app::App;
use crate::auth::{Action, Caller, Grant, Scope, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::limits::{CONSENTS_OF_CALLER_MAX, CONSENTS_READ_AT_ONCE};
use crate::store::{Error, Past, Range, View};

const TYPE: &str = "Consent";
/// How long what was read is believed.
const KEPT: Duration = Duration::from_millis(1_000);
/// Transactions may end later than others that began after them.
const APART_US: i64 = 60_000_000;
const PRIVACY: &str = "patient-privacy";
const TREATMENT: &str = "TREAT";
const TYPES: &str = "http://hl7.org/fhir/resource-types";
/// What somebody may not do with what is denied. What comes in may still be filed.
const LETTERS: &str = "ruds";

/// What is denied, by the ids of Consents.
#[derive(Debug, Default)]
pub struct Consents(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    denials: HashMap<String, Vec<Denial>>,
    /// The time of the last version that was read.
    read_to: Option<i64>,
    read_at: Option<Moment>,
}

/// A provision that denies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Denial {
    patient: String,
    scopes: Vec<String>,
    /// Whom it denies; none: everyone.
    actors: Vec<String>,
    /// Whom it does not.
    excepted: Vec<String>,
    /// For what; none: for everything.
    purposes: Vec<String>,
    from: Option<i64>,
    until: Option<i64>,
}

impl Consents {
    /// Reads what was written since the last time, when that is long enough ago.
    pub async fn refresh(&self, app: &App) -> Result<(), Fault> {
        let since = {
            let state = self.lock();
            if state.read_at.is_some_and(|read| read.elapsed() < KEPT) {
                return Ok(());
            }
            state.read_to.map(|at| Instant::from_micros(at - APART_US))
        };
        let begun = Moment::now();
        let permit = may(&Caller::Kiln, Action::History(Some(TYPE)))?;
        let read = app.store.read(permit, move |view| versions(view, since));
        let versions = read.await.map_err(|error: Error| Fault::from(error))?;
        let mut state = self.lock();
        // The newest of each comes last.
        for past in versions.into_iter().rev() {
            state.read_to = state.read_to.max(Some(past.found.at.micros()));
            let denials = match past.found.is_deleted() {
                true => Vec::new(),
                false => parse(&past.found.body).map_or_else(|_| Vec::new(), |one| denials(&one)),
            };
            match denials.is_empty() {
                true => drop(state.denials.remove(&past.id)),
                false => drop(state.denials.insert(past.id, denials)),
            }
        }
        state.read_at = Some(begun);
        Ok(())
    }

    /// What is denied to somebody now.
    pub fn denied_to(&self, (name, user): (&str, Option<&str>), now: Instant) -> Vec<Grant> {
        let state = self.lock();
        let all = state.denials.values().flatten();
        let own: Vec<&Denial> = all
            .filter(|denial| denial.concerns(name, user, now.micros()))
            .collect();
        if own.len() > CONSENTS_OF_CALLER_MAX {
            tracing::error!(
                caller = name,
                "more Consents deny something to this caller than can be held to: nothing of any patient is shown"
            );
            return Scope::parse("user/*.cruds")
                .into_iter()
                .map(|scope| Grant {
                    scope,
                    patient: None,
                })
                .collect();
        }
        let grants = own.into_iter().flat_map(|denial| {
            let scopes = denial.scopes.iter();
            let scopes = scopes.filter_map(|text| Scope::parse(text).ok());
            scopes.map(|scope| Grant {
                scope,
                patient: Some(denial.patient.clone()),
            })
        });
        grants.collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All versions since then, the newest first; of the oldest time all.
fn versions(view: &mut View<'_>, since: Option<Instant>) -> Result<Vec<Past>, Error> {
    let mut all: Vec<Past> = Vec::new();
    loop {
        let range = Range {
            resource_type: Some(TYPE),
            since,
            before: all.last().map(|past| past.mark),
            versions_max: CONSENTS_READ_AT_ONCE,
            ..Range::default()
        };
        let some = view.history(Action::History(Some(TYPE)), range)?;
        let is_last = u32::try_from(some.len()).is_ok_and(|read| read < CONSENTS_READ_AT_ONCE);
        all.extend(some);
        if is_last {
            return Ok(all);
        }
    }
}

impl Denial {
    fn concerns(&self, name: &str, user: Option<&str>, now: i64) -> bool {
        let is_own = user.and_then(|user| user.strip_prefix("Patient/")) == Some(&*self.patient);
        let is_in_force =
            self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until);
        let is = |actor: &String| actor == name || Some(actor.as_str()) == user;
        // Of whom nobody can tell whether they are meant, they are.
        let may_be = |actor: &String| {
            let groups = ["Organization/", "CareTeam/", "Group/", "PractitionerRole/"];
            is(actor) || groups.iter().any(|group| actor.starts_with(group))
        };
        let is_meant = self.actors.is_empty() || self.actors.iter().any(may_be);
        let treats = user.is_some_and(|user| user.starts_with("Practitioner"));
        let is_for_other =
            treats && !self.purposes.is_empty() && !self.purposes.iter().any(|p| p == TREATMENT);
        is_in_force && !is_own && is_meant && !is_for_other && !self.excepted.iter().any(is)
    }
}

/// What a Consent denies; nothing when it is not in force.
fn denials(consent: &Value) -> Vec<Denial> {
    let is_active = consent.str_of("status") == Some("active");
    let scope = consent.get("scope").map(codes).unwrap_or_default();
    let is_of_privacy = scope.is_empty() || scope.iter().any(|(_, code)| *code == PRIVACY);
    let patient = consent
        .get("patient")
        .and_then(|patient| patient.str_of("reference"));
    let patient = patient.and_then(|text| text.rsplit_once("Patient/"));
    let (Some((_, patient)), Some(provision), true) = (
        patient,
        consent.get("provision"),
        is_active && is_of_privacy,
    ) else {
        return Vec::new();
    };
    let patient = patient.split('/').next().unwrap_or_default();
    let mut all = Vec::new();
    of_provision(provision, patient, &mut all);
    all
}

/// A provision that denies, but for what is permitted within it; one that permits, by what is denied within it.
fn of_provision(provision: &Value, patient: &str, all: &mut Vec<Denial>) {
    let inner = provision.items_of("provision");
    if provision.str_of("type") != Some("deny") {
        for one in inner {
            of_provision(one, patient, all);
        }
        return;
    }
    let permitted = inner
        .iter()
        .filter(|one| one.str_of("type") == Some("permit"));
    // An exception counts that says whom it is for and nothing else: what else it says cannot be held to.
    let excepted = permitted.filter(|one| {
        let names = one.as_object().into_iter().flat_map(|one| one.names());
        names
            .into_iter()
            .all(|name| matches!(name, "type" | "actor" | "id"))
    });
    let period = provision.get("period");
    let bound = |name: &str, end: bool| {
        let text = period.and_then(|period| period.str_of(name))?;
        let (from, until) = DateTime::parse_fhir(text)?.interval(0);
        Some(if end { until } else { from })
    };
    all.push(Denial {
        patient: patient.to_owned(),
        scopes: scopes(provision),
        actors: actors(provision),
        excepted: excepted.flat_map(actors).collect(),
        purposes: provision
            .items_of("purpose")
            .iter()
            .filter_map(|coding| coding.str_of("code").map(str::to_owned))
            .collect(),
        from: bound("start", false),
        until: bound("end", true),
    });
}

/// Whom a provision names: references, or what identifies them.
fn actors(provision: &Value) -> Vec<String> {
    let actors = provision.items_of("actor").iter();
    let named = actors.filter_map(|actor| {
        let reference = actor.get("reference")?;
        let identifier = || reference.get("identifier")?.str_of("value");
        let named = reference.str_of("reference").or_else(identifier);
        // Somebody, but nobody can tell who.
        Some(named.unwrap_or("Group/").to_owned())
    });
    named.collect()
}

/// What of the patient's record it is about.
fn scopes(provision: &Value) -> Vec<String> {
    let classes: Vec<(&str, &str)> = provision
        .items_of("class")
        .iter()
        .filter_map(|coding| {
            Some((
                coding.str_of("system").unwrap_or(TYPES),
                coding.str_of("code")?,
            ))
        })
        .collect();
    let are_types = classes.iter().all(|(system, _)| *system == TYPES);
    let labels: Vec<String> = provision
        .items_of("securityLabel")
        .iter()
        .filter_map(|coding| {
            let code = coding.str_of("code")?;
            Some(match coding.str_of("system") {
                Some(system) => format!("{system}|{code}"),
                None => code.to_owned(),
            })
        })
        .collect();
    let filter = match labels.is_empty() {
        true => String::new(),
        false => format!("?_security={}", labels.join(",")),
    };
    let data: Vec<(&str, &str)> = provision
        .items_of("data")
        .iter()
        .filter_map(|data| data.get("reference")?.str_of("reference")?.split_once('/'))
        .filter(|(name, _)| *name != "Patient")
        .collect();
    if !data.is_empty() {
        let of = |(name, id): (&str, &str)| format!("user/{name}.{LETTERS}?_id={id}");
        return data.into_iter().map(of).collect();
    }
    match classes.is_empty() || !are_types {
        true => vec![format!("patient/*.{LETTERS}{filter}")],
        false => classes
            .iter()
            .map(|(_, name)| format!("patient/{name}.{LETTERS}{filter}"))
            .collect(),
    }
}

fn codes(concept: &Value) -> Vec<(&str, &str)> {
    let codings = concept.items_of("coding").iter();
    codings
        .filter_map(|coding| {
            Some((
                coding.str_of("system").unwrap_or_default(),
                coding.str_of("code")?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DR: (&str, Option<&str>) = ("user:anna", Some("Practitioner/1"));

    fn denied(provision: &str, to: (&str, Option<&str>), now: &str) -> Vec<String> {
        let consent = format!(
            r#"{{"resourceType":"Consent","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},
            "patient":{{"reference":"Patient/p"}},"provision":{provision}}}"#
        );
        let consents = Consents::default();
        let found = denials(&parse(consent.as_bytes()).unwrap());
        consents.lock().denials.insert("c".to_owned(), found);
        let now = DateTime::parse_fhir(now).unwrap().interval(0).0;
        let grants = consents.denied_to(to, Instant::from_micros(now));
        grants.iter().map(|grant| grant.scope.to_string()).collect()
    }

    type Who = (&'static str, Option<&'static str>);

    const APP: Who = ("client:app", None);
    const OWN: Who = ("user:p", Some("Patient/p"));
    const EVERYTHING: &[&str] = &["patient/*.ruds"];

    const CASES: &[(&str, Who, &[&str])] = &[
        (r#"{"type":"deny"}"#, DR, EVERYTHING),
        (r#"{"type":"deny"}"#, APP, EVERYTHING),
        (r#"{"type":"deny"}"#, OWN, &[]),
        (r#"{"type":"permit"}"#, DR, &[]),
        (
            r#"{"type":"permit","provision":[{"type":"deny"}]}"#,
            DR,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/1"}}]}"#,
            DR,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","actor":[{"reference":{"reference":"Practitioner/2"}}]}"#,
            DR,
            &[],
        ),
        (
            r#"{"type":"deny","actor":[{"reference":{"identifier":{"value":"client:app"}}}]}"#,
            APP,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","actor":[{"reference":{"reference":"Organization/9"}}]}"#,
            DR,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","provision":[{"type":"permit","actor":[{"reference":{"reference":"Practitioner/1"}}]}]}"#,
            DR,
            &[],
        ),
        (
            r#"{"type":"deny","provision":[{"type":"permit","purpose":[{"code":"TREAT"}],"actor":[{"reference":{"reference":"Practitioner/1"}}]}]}"#,
            DR,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}"#,
            DR,
            &["patient/Observation.ruds"],
        ),
        (
            r#"{"type":"deny","class":[{"system":"urn:other","code":"x"}]}"#,
            DR,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","securityLabel":[{"system":"urn:l","code":"ETH"}]}"#,
            DR,
            &["patient/*.ruds?_security=urn:l|ETH"],
        ),
        (
            r#"{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"Observation/5"}}]}"#,
            DR,
            &["user/Observation.ruds?_id=5"],
        ),
        (r#"{"type":"deny","purpose":[{"code":"HRESCH"}]}"#, DR, &[]),
        (
            r#"{"type":"deny","purpose":[{"code":"HRESCH"}]}"#,
            APP,
            EVERYTHING,
        ),
        (
            r#"{"type":"deny","period":{"start":"2030-01-01"}}"#,
            DR,
            &[],
        ),
        (r#"{"type":"deny","period":{"end":"2026-01-01"}}"#, DR, &[]),
        (
            r#"{"type":"deny","period":{"start":"2020-01-01","end":"2030"}}"#,
            DR,
            EVERYTHING,
        ),
    ];

    /// H-13: type, actor, purpose, class, label, data, period, exceptions; deny wins.
    #[test]
    fn provisions_deny_what_they_say_or_more() {
        for (provision, to, expected) in CASES {
            assert_eq!(
                denied(provision, *to, "2026-06-01"),
                *expected,
                "{provision}"
            );
        }
    }
}
