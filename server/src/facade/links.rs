//! Where links lead: full urls to the other entries of the message, references by criteria to what is stored.

use fhir_spec::bundle::{Kind as BundleKind, Links, Target};
use fhir_spec::json::{Object, Value};
use fhir_spec::{Issue, IssueCode};

use super::draft::{Draft, Drafts};
use super::patients;
use super::planner::{Planner, Subject};
use super::world::World;
use crate::accept::resource_type;
use crate::app::App;
use crate::fault::Fault;
use crate::interactions::conditional::Criteria;
use crate::interactions::parameters::decoded;

/// Where the full urls lead.
pub(super) fn links(app: &App, drafts: &Drafts, subjects: &[Subject]) -> Links {
    let mut links = Links::new(BundleKind::Transaction, app.definitions().types());
    let mut add = |url: &str, place: usize| {
        if let (Some(draft), Some(subject)) = (drafts.all.get(place), subjects.get(place)) {
            links.add(url, Target::new(draft.resource_type, &subject.id, None));
        }
    };
    for (place, draft) in drafts.all.iter().enumerate() {
        add(&draft.full_url, place);
    }
    for (url, place) in &drafts.aliases {
        add(url, *place);
    }
    links
}

impl<W: World> Planner<'_, W> {
    /// Paths may name other entries: what is stored has their addresses.
    pub(super) fn deletes(&self, draft: &Draft, links: &Links) -> Vec<Box<str>> {
        let mut deletes = draft.deletes.clone();
        for path in deletes.iter_mut().filter(|path| path.contains("urn:")) {
            let Some((before, url)) = path.split_once("=urn:") else {
                continue;
            };
            let end = url.find([',', ']']).unwrap_or(url.len());
            let (url, after) = url.split_at(end);
            let mut linked = Value::from(Object::from_iter([(
                "subject",
                Object::from_iter([("reference", format!("urn:{url}"))]),
            )]));
            if let Some(object) = linked.as_object_mut() {
                object.insert_at(0, "resourceType", "Basic");
            }
            let types = self.app.definitions().types();
            links.rewrite(&mut linked, None, String::new, types);
            let address = linked.get("subject").and_then(|to| to.str_of("reference"));
            if let Some(address) = address {
                *path = format!("{before}={address}{after}").into();
            }
        }
        deletes
    }

    /// What the message says, with its links leading to what is stored. None: one leads nowhere.
    pub(super) fn linked(
        &mut self,
        draft: &Draft,
        links: &mut Links,
    ) -> Result<Option<Value>, Fault> {
        let mut document = draft.resource.clone();
        let types = self.app.definitions().types();
        let place = || draft.resource_type.to_owned();
        let found = links.rewrite(&mut document, Some(&draft.full_url), place, types);
        if !found.issues.is_empty() {
            self.issues.extend(found.issues);
            return Ok(None);
        }
        if found.criteria.is_empty() {
            return Ok(Some(document));
        }
        for criteria in &found.criteria {
            let Some((name, id)) = self.referred(criteria)? else {
                return Ok(None);
            };
            links.add_criteria(criteria, Target::new(name, &id, None));
        }
        links.rewrite(&mut document, Some(&draft.full_url), place, types);
        Ok(Some(document))
    }

    /// What a reference by criteria leads to: `Patient?identifier=1`.
    fn referred(&mut self, text: &str) -> Result<Option<(&'static str, String)>, Fault> {
        let known = text
            .split_once('?')
            .and_then(|(named, query)| Some((resource_type(named)?, query)));
        let Some((resource_type, query)) = known else {
            let told = format!("`{text}` names no resource type of FHIR R4");
            self.issues.push(Issue::error(IssueCode::Value, told));
            return Ok(None);
        };
        let criteria = Criteria::new(self.app, resource_type, &decoded(query)?, self.now)?;
        let mut found = self.find(criteria)?;
        if resource_type == patients::PATIENT {
            found = patients::survivors(self, found)?;
        }
        let mut ids = found.into_iter().map(|(head, _)| head.id);
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok(Some((resource_type, id))),
            (None, _) => {
                let told = format!("a reference by `{text}` leads to no resource");
                self.issues.push(Issue::error(IssueCode::NotFound, told));
                Ok(None)
            }
            (Some(first), Some(second)) => {
                let told = format!(
                    "a reference by `{text}` leads to more than one resource, such as {first} and {second}"
                );
                let issue = Issue::error(IssueCode::MultipleMatches, told);
                self.issues.push(issue);
                Ok(None)
            }
        }
    }
}
