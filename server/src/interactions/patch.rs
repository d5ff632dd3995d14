//! Patch: change a resource by telling the change.
//! <https://hl7.org/fhir/R4/http.html#patch>

use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::bundle::Links;
use fhir_spec::json::{Value, parse};
use fhir_spec::patch::{Problem, Refused, fhirpath, json, merge, xml};
use fhir_spec::reference::is_id;
use fhir_spec::{Issue, IssueCode};

use super::precondition::Precondition;
use super::read::{current, not_found};
use super::{Written, checked, sealed, update};
use crate::accept::{Sealed, Submitted};
use crate::app::App;
use crate::auth::{Action, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{Before, Found, Tx};

/// A change, in one of the notations for it.
#[derive(Debug, Clone)]
pub enum Patch {
    Json(Value),
    Merge(Value),
    /// In a Parameters resource.
    FhirPath(Value),
    Xml(String),
}

/// A change of one resource, and what came of it the last time it was tried.
#[derive(Debug)]
pub struct Task {
    pub resource_type: &'static str,
    pub id: String,
    pub patch: Arc<Patch>,
    pub precondition: Precondition,
    /// What the patch brings in may link to other entries of its bundle.
    pub links: Option<Links>,
    tried: Option<Tried>,
}

/// What the patch makes of one version.
#[derive(Debug)]
struct Tried {
    before: Before,
    sealed: Sealed,
    notes: Vec<Issue>,
}

pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    id: &str,
    patch: Patch,
    precondition: Precondition,
) -> Result<Written, Fault> {
    let read = may(&cx.caller, Action::Read(resource_type))?;
    let permit = may_all(
        &cx.caller,
        [Action::Update(resource_type), Action::Read(resource_type)],
    )?;
    if !is_id(id) {
        return Err(not_found(resource_type));
    }
    let found = cx.app.store.find(&read, resource_type, id, None).await?;
    let mut task = Task::new(resource_type, id.to_owned(), patch, precondition);
    let (app, now) = (cx.app.clone(), cx.now);
    let task = cx
        .compute(found.as_ref().map_or(0, |found| found.body.len()), {
            let app = app.clone();
            move || task.prepare(&app, found.as_ref()).map(|()| task)
        })
        .await?;
    cx.app
        .store
        .write(permit, move |tx| apply(tx, &app, &task, now))
        .await
}

/// Works inside the door. When the resource is no longer what the patch was tried on, it is tried anew.
pub fn apply(tx: &mut Tx<'_>, app: &App, task: &Task, now: Instant) -> Result<Written, Fault> {
    let found = tx.current(task.resource_type, &task.id)?;
    task.precondition.check(found.as_ref())?;
    let found = current(task.resource_type, found)?;
    let anew;
    let tried = match &task.tried {
        Some(tried) if tried.before.is_of(&found) => tried,
        _ => {
            anew = task.tried_on(app, &found)?;
            &anew
        }
    };
    let (resource, effect) =
        update::onto(tx, app, &found, Some(&tried.before), &tried.sealed, now)?;
    Ok(Written {
        resource,
        effect,
        notes: tried.notes.clone(),
    })
}

impl Task {
    pub fn new(
        resource_type: &'static str,
        id: String,
        patch: Patch,
        precondition: Precondition,
    ) -> Self {
        Self {
            resource_type,
            id,
            patch: Arc::new(patch),
            precondition,
            links: None,
            tried: None,
        }
    }

    /// The same for another resource of the type, not yet tried.
    #[must_use]
    pub fn of(&self, id: String) -> Self {
        Self {
            resource_type: self.resource_type,
            id,
            patch: Arc::clone(&self.patch),
            precondition: self.precondition.clone(),
            links: self.links.clone(),
            tried: None,
        }
    }

    /// Tries the patch before the door opens. What is wrong with it comes to light here already.
    pub fn prepare(&mut self, app: &App, found: Option<&Found>) -> Result<(), Fault> {
        self.precondition.check(found)?;
        let found = current(self.resource_type, found.cloned())?;
        self.tried = Some(self.tried_on(app, &found)?);
        Ok(())
    }

    fn tried_on(&self, app: &App, found: &Found) -> Result<Tried, Fault> {
        let before = parse(&found.body).map_err(Fault::internal)?;
        let mut document = self.patch.apply(app, &before)?;
        if let Some(links) = &self.links {
            // What leads nowhere was there before, or is said by the patch itself.
            links.rewrite(&mut document, None, String::new, app.definitions().types());
        }
        if document.str_of("id") != Some(self.id.as_str()) {
            let diagnostics = "a patch may not change the id";
            return Err(Fault::new(Kind::Unprocessable, diagnostics));
        }
        if document.str_of("resourceType") != Some(self.resource_type) {
            let diagnostics = "a patch may not change the type";
            return Err(Fault::new(Kind::Unprocessable, diagnostics));
        }
        // Lines and columns of what is stored mean nothing to the client.
        let source = Bytes::new();
        let (accepted, notes) = checked(app, self.resource_type, Submitted { document, source })?;
        Ok(Tried {
            before: Before::of(&app.search(), found)?,
            sealed: sealed(app, accepted, self.id.clone())?,
            notes,
        })
    }
}

impl Patch {
    fn apply(&self, app: &App, document: &Value) -> Result<Value, Fault> {
        let definitions = app.definitions();
        match self {
            Self::Json(patch) => json::apply(document, patch).map_err(|error| refused(&error)),
            Self::Merge(patch) if patch.as_object().is_some() => Ok(merge::apply(document, patch)),
            Self::Merge(_) => Err(Fault::new(
                Kind::Malformed,
                "a merge patch of a resource is a JSON object",
            )),
            Self::FhirPath(parameters) => {
                fhirpath::apply(document, parameters, definitions.types())
                    .map_err(|error| refused(&error))
            }
            Self::Xml(patch) => xml::apply_to_resource(document, patch, definitions)
                .map_err(|issues| Fault::of_issues(xml_kind(&issues), issues)),
        }
    }
}

fn refused(refused: &Refused) -> Fault {
    let kind = match refused.problem {
        Problem::Malformed(_) => Kind::Malformed,
        _ => Kind::Unprocessable,
    };
    Fault::of_issues(kind, vec![Issue::from(refused)])
}

fn xml_kind(issues: &[Issue]) -> Kind {
    match issues
        .iter()
        .any(|issue| issue.code == IssueCode::Structure)
    {
        true => Kind::Malformed,
        false => Kind::Unprocessable,
    }
}
