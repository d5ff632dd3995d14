//! What an entry means to do, before anything was looked up.
//! <https://hl7.org/fhir/R4/http.html#transaction>

use fhir_spec::bundle::{Asked, Entry, Method, Target};
use fhir_spec::json::Text;

use super::condition::Condition;
use super::look::Look;
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::Action;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::precondition::{Precondition, Versions};

#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Of the entry in the bundle.
    pub(super) place: usize,
    pub(super) entry: Entry,
    pub(super) intent: Intent,
    /// What decides about the id, or whether something is created.
    pub(super) criteria: Option<String>,
    /// The same, once it was looked up.
    pub(super) condition: Option<Condition>,
}

#[derive(Debug, Clone)]
pub(super) enum Intent {
    Write(Write),
    Look(Look),
    /// An operation, with its code.
    Operate(Text),
}

/// A change of one resource.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) how: How,
    pub(super) resource_type: &'static str,
    /// None: criteria will tell.
    pub(super) id: Option<String>,
    pub(super) precondition: Precondition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Create,
    Update,
    Patch,
    Delete,
}

impl Draft {
    pub(super) fn of(place: usize, entry: Entry, cx: &Cx) -> Result<Self, Fault> {
        let method = entry.request.method;
        let how = match (method, &entry.request.address.asked) {
            (_, Asked::Operation { code, .. }) => {
                let intent = Intent::Operate(code.clone());
                return Ok(Self::unconditional(place, entry, intent));
            }
            (Method::Get | Method::Head, _) | (Method::Post, Asked::Search(_)) => {
                let intent = Intent::Look(Look::of(&entry, cx)?);
                return Ok(Self::unconditional(place, entry, intent));
            }
            (Method::Post, _) => How::Create,
            (Method::Put, _) => How::Update,
            (Method::Patch, _) => How::Patch,
            (Method::Delete, _) => How::Delete,
        };
        let (named, id) = match &entry.request.address.asked {
            Asked::Instance(name, id) => (name, Some(id.to_string())),
            Asked::Type(name) => (name, None),
            _ => return Err(Fault::internal("an address that was not checked")),
        };
        let Some(resource_type) = resource_type(named) else {
            return Err(Fault::internal("a type that was not checked"));
        };
        let criteria = match how {
            How::Create => entry.request.if_none_exist.as_deref(),
            _ => entry.request.address.criteria(),
        };
        let criteria = criteria.map(str::to_owned);
        let id = match how {
            How::Create => Some((cx.app.ids)(cx.now)),
            _ => id,
        };
        let write = Write {
            how,
            resource_type,
            id,
            precondition: precondition(&entry)?,
        };
        Ok(Self {
            place,
            entry,
            intent: Intent::Write(write),
            criteria,
            condition: None,
        })
    }

    fn unconditional(place: usize, entry: Entry, intent: Intent) -> Self {
        Self {
            place,
            entry,
            intent,
            criteria: None,
            condition: None,
        }
    }

    pub(super) fn look(&self) -> Option<&Look> {
        match &self.intent {
            Intent::Look(look) => Some(look),
            _ => None,
        }
    }

    /// What the caller must be allowed to do.
    pub(super) fn actions(&self) -> Vec<Action> {
        let mut actions = match &self.intent {
            Intent::Look(look) => look.actions(),
            Intent::Operate(_) => Vec::new(), // asked by its code, when it is known to be one
            Intent::Write(write) => match write.how {
                How::Create => vec![Action::Create(write.resource_type)],
                How::Update => vec![Action::Update(write.resource_type)],
                How::Patch => vec![
                    Action::Update(write.resource_type),
                    Action::Read(write.resource_type),
                ],
                How::Delete => vec![Action::Delete(write.resource_type)],
            },
        };
        if let (Some(_), Some(write)) = (&self.criteria, self.write()) {
            actions.push(Action::Search(write.resource_type));
            actions.push(Action::Read(write.resource_type));
        }
        actions
    }

    pub(super) fn write(&self) -> Option<&Write> {
        match &self.intent {
            Intent::Write(write) => Some(write),
            Intent::Look(_) | Intent::Operate(_) => None,
        }
    }

    /// What its criteria have matched decides what it is about.
    pub(super) fn settle(
        &mut self,
        found: Option<String>,
        app: &App,
        now: Instant,
    ) -> Result<(), Fault> {
        let (Some(condition), Intent::Write(write)) = (&mut self.condition, &mut self.intent)
        else {
            return Ok(());
        };
        condition.expected.clone_from(&found);
        let stated = self.entry.resource.as_ref();
        let stated = stated
            .filter(|_| write.how == How::Update)
            .and_then(|resource| resource.str_of("id"));
        match (write.how, found, stated) {
            (How::Update, Some(found), Some(stated)) if found != stated => {
                return Err(Fault::new(
                    Kind::WrongId,
                    format!("the criteria match `{found}`, the resource has the id `{stated}`"),
                ));
            }
            (How::Update, None, Some(stated)) => write.id = Some(stated.to_owned()),
            (How::Update, None, None) => write.id = Some((app.ids)(now)),
            (How::Patch, None, _) => {
                let told = format!("the criteria match no {}", write.resource_type);
                return Err(Fault::new(Kind::NotFound, told));
            }
            (_, Some(found), _) => write.id = Some(found),
            (How::Create | How::Delete, None, _) => {}
        }
        Ok(())
    }

    pub(super) fn creates(&self) -> bool {
        self.write().is_some_and(|write| write.how == How::Create)
    }

    /// Whether the resource stays as it is: a conditional create that has found one.
    pub(super) fn keeps(&self) -> bool {
        let found = self
            .condition
            .as_ref()
            .is_some_and(|condition| condition.expected.is_some());
        found && self.creates()
    }

    /// Whether its resource is looked at.
    pub(super) fn needs_resource(&self) -> bool {
        match &self.intent {
            Intent::Look(_) => false,
            Intent::Operate(_) => true,
            Intent::Write(write) => write.how != How::Delete && !self.keeps(),
        }
    }

    /// Type and id of what it changes.
    pub(super) fn changed(&self) -> Option<(&'static str, &str)> {
        let write = self.write().filter(|_| !self.keeps())?;
        Some((write.resource_type, write.id.as_deref()?))
    }

    /// What links to its full url lead to.
    pub(super) fn target(&self) -> Option<Target> {
        let write = self.write()?;
        let version = match write.how {
            How::Delete => return None,
            How::Create if !self.keeps() => Some(1),
            _ => None,
        };
        Some(Target::new(
            write.resource_type,
            write.id.as_deref()?,
            version,
        ))
    }
}

fn precondition(entry: &Entry) -> Result<Precondition, Fault> {
    let request = &entry.request;
    let versions = |stated: &Option<Text>, name| match stated.as_deref() {
        None => Ok(None),
        Some(text) => Versions::parse(text).map(Some).ok_or_else(|| {
            let told = format!("expected {name} to name versions as ETags do: W/\"1\"");
            Fault::new(Kind::WrongParameter, told)
        }),
    };
    Ok(Precondition {
        if_match: versions(&request.if_match, "ifMatch")?,
        if_none_match: versions(&request.if_none_match, "ifNoneMatch")?,
    })
}
