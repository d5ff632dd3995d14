//! Conditional interactions: on the resource that criteria find, decided inside the transaction that writes.
//! <https://hl7.org/fhir/R4/http.html#cond-update>
//!
//! Nothing but the transaction decides: SQLite has one writer, PostgreSQL's transactions are serializable, so of two that
//! find nothing and want to create, one is done again and finds what the other has made.

use std::borrow::Cow;
use std::sync::Arc;

use search::Registry;
use search::query::{self, Handling, Query, Settings};

use super::parameters;
use super::patch::{self, Patch, Task};
use super::precondition::Precondition;
use super::{Effect, Written, checked, create, delete, sealed, update};
use crate::accept::{Sealed, Submitted};
use crate::app::App;
use crate::auth::{Action, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{Deletion, Found, Head, Tx, View};

/// What a resource is found by.
#[derive(Debug, Clone)]
pub struct Criteria {
    resource_type: &'static str,
    query: Query,
    /// By what they were read, and from what, at which time.
    registry: Arc<Registry>,
    parameters: Arc<[(String, String)]>,
    now: Instant,
}

/// What criteria have found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    None,
    /// The id.
    One(String),
    Many,
}

impl Criteria {
    /// Criteria that say nothing would mean every resource there is: they are refused.
    pub fn new(
        app: &App,
        resource_type: &'static str,
        parameters: &[(String, String)],
        now: Instant,
    ) -> Result<Self, Fault> {
        let registry = app.search();
        let query = read(&registry, resource_type, parameters, now)?;
        if let Some(name) = query.asks_for_text() {
            // The index of texts is behind what was written last, and nobody waits for it inside the door.
            let diagnostics =
                format!("`{name}`: texts are for searches, they decide about no write");
            return Err(Fault::new(Kind::WrongParameter, diagnostics));
        }
        if query.is_empty() {
            let diagnostics = "without criteria this would be about every resource of the type";
            return Err(Fault::new(Kind::WrongParameter, diagnostics));
        }
        Ok(Self {
            resource_type,
            query,
            registry,
            parameters: parameters.into(),
            now,
        })
    }

    /// Those of `Type?criteria`, escaped as in an address.
    pub fn of_query(
        app: &App,
        resource_type: &'static str,
        query: &str,
        now: Instant,
    ) -> Result<Self, Fault> {
        Self::new(app, resource_type, &parameters::decoded(query)?, now)
    }

    /// The ids of what they find, at most so many.
    pub fn ids(&self, view: &mut View<'_>, ids_max: u32) -> Result<Vec<String>, Fault> {
        Ok(view.matches(self.resource_type, &self.query, ids_max)?)
    }

    /// The same inside the door, where what was just written is found too.
    pub fn ids_within(&self, tx: &mut Tx<'_>, ids_max: u32) -> Result<Vec<String>, Fault> {
        let query = self.within(tx)?;
        Ok(tx.matches(self.resource_type, &query, ids_max)?)
    }

    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// Whether what they find depends on nothing but resources of their type.
    pub fn is_of_own_type(&self) -> bool {
        let is_own = |name: &str| !name.contains(['.', ':']) && !name.starts_with('_');
        self.parameters.iter().all(|(name, _)| is_own(name))
    }

    /// What they find, at most so many.
    pub fn find(&self, view: &mut View<'_>, found_max: u32) -> Result<Vec<(Head, Found)>, Fault> {
        Ok(view.matching(self.resource_type, &self.query, found_max)?)
    }

    /// The same inside the door.
    pub fn find_within(
        &self,
        tx: &mut Tx<'_>,
        found_max: u32,
    ) -> Result<Vec<(Head, Found)>, Fault> {
        let query = self.within(tx)?;
        Ok(tx.matching(self.resource_type, &query, found_max)?)
    }

    /// The same without the documents.
    pub fn heads_within(&self, tx: &mut Tx<'_>, found_max: u32) -> Result<Vec<Head>, Fault> {
        let query = self.within(tx)?;
        Ok(tx.matching_heads(self.resource_type, &query, found_max)?)
    }

    /// What they mean inside the door: that may have changed, and whether it can be answered.
    fn within(&self, tx: &mut Tx<'_>) -> Result<Cow<'_, Query>, Fault> {
        tx.flush()?;
        Ok(match tx.newer(&self.registry)? {
            None => Cow::Borrowed(&self.query),
            Some(newer) => {
                let query = read(&newer, self.resource_type, &self.parameters, self.now)?;
                Cow::Owned(query)
            }
        })
    }

    fn look(&self, view: &mut View<'_>) -> Result<Match, Fault> {
        Ok(Match::of(self.ids(view, 2)?))
    }

    fn look_within(&self, tx: &mut Tx<'_>) -> Result<Match, Fault> {
        Ok(Match::of(self.ids_within(tx, 2)?))
    }
}

fn read(
    registry: &Registry,
    resource_type: &str,
    parameters: &[(String, String)],
    now: Instant,
) -> Result<Query, Fault> {
    let settings = Settings {
        handling: Handling::Strict,
        now: now.micros(),
    };
    query::parse(registry, resource_type, parameters, settings).map_err(Fault::of_query)
}

impl Match {
    fn of(mut ids: Vec<String>) -> Self {
        match (ids.pop(), ids.pop()) {
            (None, _) => Self::None,
            (Some(id), None) => Self::One(id),
            _ => Self::Many,
        }
    }
}

fn several() -> Fault {
    let diagnostics = "the criteria are not selective enough: they find more than one resource";
    Fault::new(Kind::SeveralMatches, diagnostics)
}

/// Creates unless the criteria find something; what they find is answered instead.
pub async fn create(cx: &Cx, criteria: Criteria, submitted: Submitted) -> Result<Written, Fault> {
    let resource_type = criteria.resource_type;
    let permit = may_all(
        &cx.caller,
        [
            Action::Create(resource_type),
            Action::Search(resource_type),
            Action::Read(resource_type),
        ],
    )?;
    let (app, now) = (cx.app.clone(), cx.now);
    let (sealed, notes) = cx
        .compute(submitted.source.len(), move || {
            let (accepted, notes) = checked(&app, resource_type, submitted)?;
            Ok((sealed(&app, accepted, (app.ids)(now))?, notes))
        })
        .await?;
    let (resource, effect) = cx
        .app
        .store
        .write(permit, move |tx| apply_create(tx, &criteria, &sealed, now))
        .await?;
    Ok(Written {
        resource,
        effect,
        notes,
    })
}

/// Works inside the door.
pub fn apply_create(
    tx: &mut Tx<'_>,
    criteria: &Criteria,
    sealed: &Sealed,
    now: Instant,
) -> Result<(crate::accept::Stamped, Effect), Fault> {
    match criteria.look_within(tx)? {
        Match::None => Ok((create::apply(tx, sealed, now)?, Effect::Created)),
        Match::One(id) => {
            let found = tx.current(criteria.resource_type, &id)?;
            let found = super::read::current(criteria.resource_type, found)?;
            let existing = found.stamped(criteria.resource_type, &id);
            Ok((existing, Effect::Unchanged))
        }
        Match::Many => Err(several()),
    }
}

/// Updates what the criteria find, or creates it.
pub async fn update(
    cx: &Cx,
    criteria: Criteria,
    submitted: Submitted,
    precondition: Precondition,
) -> Result<Written, Fault> {
    let resource_type = criteria.resource_type;
    let permit = may_all(
        &cx.caller,
        [
            Action::Create(resource_type),
            Action::Update(resource_type),
            Action::Search(resource_type),
        ],
    )?;
    let own_id = submitted.document.str_of("id").map(str::to_owned);
    let (app, now) = (cx.app.clone(), cx.now);
    let (sealed, notes) = cx
        .compute(submitted.source.len(), {
            let (app, own_id) = (app.clone(), own_id.clone());
            move || {
                let (accepted, notes) = checked(&app, resource_type, submitted)?;
                let id = own_id.unwrap_or_else(|| (app.ids)(now));
                Ok((sealed(&app, accepted, id)?, notes))
            }
        })
        .await?;
    let (resource, effect) = cx
        .app
        .store
        .write(permit, move |tx| {
            let change = Change {
                criteria: &criteria,
                sealed: &sealed,
                has_own_id: own_id.is_some(),
                precondition: &precondition,
            };
            apply_update(tx, &app, &change, now)
        })
        .await?;
    Ok(Written {
        resource,
        effect,
        notes,
    })
}

/// A conditional update, ready to be done.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub criteria: &'a Criteria,
    /// Under its own id, or under the one that it gets when nothing is found.
    pub sealed: &'a Sealed,
    pub has_own_id: bool,
    pub precondition: &'a Precondition,
}

/// Works inside the door.
pub fn apply_update(
    tx: &mut Tx<'_>,
    app: &App,
    change: &Change<'_>,
    now: Instant,
) -> Result<(crate::accept::Stamped, Effect), Fault> {
    let Change {
        criteria,
        sealed,
        has_own_id,
        precondition,
    } = *change;
    match criteria.look_within(tx)? {
        Match::Many => Err(several()),
        Match::None if has_own_id => update::apply(tx, app, sealed, None, precondition, now),
        Match::None => {
            precondition.check(None)?;
            Ok((create::apply(tx, sealed, now)?, Effect::Created))
        }
        Match::One(id) if has_own_id && id != sealed.id() => Err(Fault::new(
            Kind::WrongId,
            "the document bears another id than the resource that the criteria find",
        )),
        Match::One(id) => update::apply(tx, app, &sealed.under(id), None, precondition, now),
    }
}

/// Patches what the criteria find.
pub async fn patch(
    cx: &Cx,
    criteria: Criteria,
    patch: Patch,
    precondition: Precondition,
) -> Result<Written, Fault> {
    let resource_type = criteria.resource_type;
    let rights = [
        Action::Read(resource_type),
        Action::Update(resource_type),
        Action::Search(resource_type),
    ];
    let look = may_all(&cx.caller, rights)?;
    let permit = may_all(&cx.caller, rights)?;
    let (app, now) = (cx.app.clone(), cx.now);
    let guess = cx
        .app
        .store
        .read(look, {
            let (app, criteria) = (app.clone(), criteria.clone());
            move |view| {
                let id = one(&criteria, criteria.look(view)?)?;
                let found = view.current(resource_type, &id)?;
                let mut task = Task::new(resource_type, id, patch.clone(), precondition.clone());
                task.prepare(&app, found.as_ref())?;
                Ok::<_, Fault>(task)
            }
        })
        .await?;
    cx.app
        .store
        .write(permit, move |tx| {
            apply_patch(tx, &app, &criteria, &guess, now)
        })
        .await
}

/// Works inside the door. `guess` was prepared for what the criteria found before.
pub fn apply_patch(
    tx: &mut Tx<'_>,
    app: &App,
    criteria: &Criteria,
    guess: &Task,
    now: Instant,
) -> Result<Written, Fault> {
    let id = one(criteria, criteria.look_within(tx)?)?;
    if id == guess.id {
        return patch::apply(tx, app, guess, now);
    }
    patch::apply(tx, app, &guess.of(id), now)
}

fn one(criteria: &Criteria, found: Match) -> Result<String, Fault> {
    match found {
        Match::One(id) => Ok(id),
        Match::Many => Err(several()),
        Match::None => {
            let resource_type = criteria.resource_type;
            let diagnostics = format!("the criteria find no {resource_type}");
            Err(Fault::new(Kind::NotFound, diagnostics))
        }
    }
}

/// Deletes what the criteria find. That they find nothing is no error.
pub async fn delete(
    cx: &Cx,
    criteria: Criteria,
    precondition: Precondition,
) -> Result<Option<Deletion>, Fault> {
    let resource_type = criteria.resource_type;
    let permit = may_all(
        &cx.caller,
        [Action::Delete(resource_type), Action::Search(resource_type)],
    )?;
    let (app, now) = (cx.app.clone(), cx.now);
    cx.app
        .store
        .write(permit, move |tx| {
            apply_delete(tx, &app, &criteria, &precondition, now)
        })
        .await
}

/// Works inside the door.
pub fn apply_delete(
    tx: &mut Tx<'_>,
    app: &App,
    criteria: &Criteria,
    precondition: &Precondition,
    now: Instant,
) -> Result<Option<Deletion>, Fault> {
    match criteria.look_within(tx)? {
        Match::None => Ok(None),
        Match::Many => Err(several()),
        Match::One(id) => delete::apply(
            tx,
            app,
            criteria.resource_type,
            &id,
            None,
            precondition,
            now,
        ),
    }
}
