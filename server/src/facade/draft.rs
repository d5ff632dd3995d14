//! What a message wants to be written, before anything was looked up.

use std::collections::HashMap;

use fhir_spec::json::{Data, Object, Text, Value};
use fhir_spec::{Issue, IssueCode};
use interop::host::{Origin, Submission};
use interop::mapping::{Entry, Request};

use super::merge::{Said, merged};
use super::patients;
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::Action;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::interactions::parameters::decoded;

pub(super) const PROVENANCE: &str = "Provenance";

#[derive(Debug)]
pub(super) struct Drafts {
    pub(super) all: Vec<Draft>,
    /// Full urls of entries that speak of the same resource as an earlier one, and its place.
    pub(super) aliases: Vec<(Text, usize)>,
    pub(super) origin: Origin,
    /// When what it says was so. Nobody knows the future: a clock that is ahead keeps nobody from telling what is new.
    pub(super) at: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) resource_type: &'static str,
    pub(super) full_url: Text,
    pub(super) resource: Value,
    pub(super) deletes: Vec<Box<str>>,
    pub(super) ask: Ask,
    /// Types that it refers to by criteria.
    referred: Vec<&'static str>,
}

/// What a draft is about.
#[derive(Debug)]
pub(super) enum Ask {
    New,
    /// What the key finds stays as it is.
    Once(Key),
    Update(Key),
    /// The resource of that id.
    Place(String),
}

/// What finds a resource again.
#[derive(Debug)]
pub(super) struct Key {
    /// As it was sent: `identifier=urn%3Amrn%7C1`
    pub(super) query: String,
    pub(super) parameters: Vec<(String, String)>,
    /// None: it names other entries, whose ids are not known yet.
    pub(super) criteria: Option<Criteria>,
}

impl Key {
    fn of(
        app: &App,
        resource_type: &'static str,
        query: String,
        full_urls: &HashMap<&str, usize>,
        now: Instant,
    ) -> Result<Self, Fault> {
        let parameters = decoded(&query)?;
        let names_entries = parameters
            .iter()
            .any(|(_, value)| full_urls.contains_key(value.as_str()));
        let criteria = match names_entries {
            true => None,
            false => Some(Criteria::new(app, resource_type, &parameters, now)?),
        };
        Ok(Self {
            query,
            parameters,
            criteria,
        })
    }
}

impl Drafts {
    /// All that is wrong with the entries comes back at once.
    pub(super) fn of(app: &App, submission: Submission, now: Instant) -> Result<Self, Fault> {
        let Submission {
            entries, origin, ..
        } = submission;
        let urls: Vec<Text> = entries.iter().map(|entry| entry.full_url.clone()).collect();
        let by_url: HashMap<&str, usize> = urls
            .iter()
            .enumerate()
            .map(|(place, url)| (url.as_str(), place))
            .collect();
        let mut drafts = Self {
            all: Vec::with_capacity(entries.len()),
            aliases: Vec::new(),
            at: origin
                .event_time_us
                .map(|at| Instant::from_micros(at).min(now)),
            origin,
        };
        let mut by_key: HashMap<(&'static str, String), usize> = HashMap::new();
        let mut issues = Vec::new();
        for entry in entries {
            match Draft::of(app, entry, &by_url, now) {
                Ok(draft) => drafts.take(app, draft, &mut by_key),
                Err(fault) if fault.kind.row().status < 500 => issues.extend(fault.issues),
                Err(fault) => return Err(fault),
            }
        }
        match issues.is_empty() {
            true => Ok(drafts),
            false => Err(Fault::of_issues(Kind::Unprocessable, issues)),
        }
    }

    /// Who speaks of the same resource is heard as one.
    fn take(
        &mut self,
        app: &App,
        draft: Draft,
        by_key: &mut HashMap<(&'static str, String), usize>,
    ) {
        let place = self.all.len();
        let Some(key) = draft.key() else {
            self.all.push(draft);
            return;
        };
        let earlier = *by_key
            .entry((draft.resource_type, key.query.clone()))
            .or_insert(place);
        let Some(first) = self.all.get_mut(earlier) else {
            self.all.push(draft);
            return;
        };
        self.aliases.push((draft.full_url, earlier));
        let said = Said {
            resource: &draft.resource,
            deletes: &[],
        };
        first.resource = merged(&first.resource, said, app.definitions().types());
        first.deletes.extend(draft.deletes);
        if let Ask::Update(_) = draft.ask {
            first.ask = draft.ask;
        }
    }

    /// Of the draft with that full url.
    pub(super) fn place(&self, full_url: &str) -> Option<usize> {
        let own = self.all.iter().position(|draft| draft.full_url == full_url);
        own.or_else(|| {
            let mut aliases = self.aliases.iter();
            aliases
                .find(|(url, _)| url == full_url)
                .map(|(_, place)| *place)
        })
    }

    /// What the sender must be allowed to do.
    pub(super) fn actions(&self, app: &App) -> Vec<Action> {
        let mut actions = vec![Action::Create(PROVENANCE)];
        if self.all.iter().any(patients::is_merge) {
            actions.extend(patients::actions(app));
        }
        for draft in &self.all {
            for action in draft.actions() {
                if !actions.contains(&action) {
                    actions.push(action);
                }
            }
        }
        actions
    }
}

impl Draft {
    fn of(
        app: &App,
        entry: Entry,
        full_urls: &HashMap<&str, usize>,
        now: Instant,
    ) -> Result<Self, Fault> {
        let named = entry
            .resource
            .get("resourceType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let Some(resource_type) = resource_type(named) else {
            let told = format!("`{named}` is no resource type of FHIR R4");
            return Err(Fault::new(Kind::Unprocessable, told));
        };
        let key = |query| Key::of(app, resource_type, query, full_urls, now);
        let ask = match entry.request {
            Request::Post => Ask::New,
            Request::PostUnless(query) => Ask::Once(key(query)?),
            Request::Put(url) => match url.split_once('?') {
                Some((_, query)) => Ask::Update(key(query.to_owned())?),
                None => Ask::Place(id_of(&url)?),
            },
        };
        let resource = Value::from(stripped(entry.resource));
        let mut referred = Vec::new();
        find_referred(&resource, &mut referred);
        Ok(Self {
            resource_type,
            full_url: entry.full_url,
            resource,
            referred,
            deletes: entry.deletes,
            ask,
        })
    }

    pub(super) fn key(&self) -> Option<&Key> {
        match &self.ask {
            Ask::Once(key) | Ask::Update(key) => Some(key),
            Ask::New | Ask::Place(_) => None,
        }
    }

    fn actions(&self) -> Vec<Action> {
        let named = self.resource_type;
        let look = [Action::Search(named), Action::Read(named)];
        let mut actions = vec![Action::Create(named)];
        match self.ask {
            Ask::New => {}
            Ask::Once(_) => actions.extend(look),
            Ask::Update(_) | Ask::Place(_) => {
                actions.extend(look);
                actions.push(Action::Update(named));
            }
        }
        // What a reference by criteria finds.
        actions.extend(
            self.referred
                .iter()
                .flat_map(|name| [Action::Search(name), Action::Read(name)]),
        );
        actions
    }
}

/// `Patient/1`
fn id_of(url: &str) -> Result<String, Fault> {
    let id = url.rsplit('/').next().unwrap_or_default();
    match fhir_spec::reference::is_id(id) {
        true => Ok(id.to_owned()),
        false => {
            let told = format!("`{url}` names no resource");
            let issue = Issue::error(IssueCode::Value, told);
            Err(Fault::of_issues(Kind::Unprocessable, vec![issue]))
        }
    }
}

/// What a map cannot know: under which id a resource is stored.
fn stripped(mut resource: Object) -> Object {
    resource.remove("id");
    resource
}

/// `Patient?identifier=1`
fn find_referred(value: &Value, found: &mut Vec<&'static str>) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| find_referred(item, found)),
        Data::Object(object) => {
            for (name, value) in object.iter() {
                match value.as_str() {
                    Some(text) if name == "reference" => {
                        let named = text.split_once('?');
                        found.extend(named.and_then(|(name, _)| resource_type(name)));
                    }
                    Some(_) => {}
                    None => find_referred(value, found),
                }
            }
        }
        _ => {}
    }
}
