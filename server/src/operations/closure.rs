//! Resources with all that they refer to, and all that this refers to: what a document holds.
//! <https://hl7.org/fhir/R4/documents.html#content>

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fhir_spec::json::{Data, Value, parse};
use fhir_spec::reference::Literal;

use crate::accept::resource_type;
use crate::auth::Action;
use crate::fault::{Fault, Kind};
use crate::limits::Limits;
use crate::store::View;

/// A stored resource.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) resource_type: &'static str,
    pub(super) id: String,
    pub(super) text: String,
    pub(super) document: Value,
}

/// Of what is found these are not asked further: they lead to others who have nothing to do with it.
const ENDS: &[&str] = &["Group", "List", "Bundle"];

impl Held {
    pub(super) fn new(
        resource_type: &'static str,
        id: String,
        text: Vec<u8>,
    ) -> Result<Self, Fault> {
        let document = parse(&text).map_err(Fault::internal)?;
        let text = String::from_utf8(text).map_err(Fault::internal)?;
        Ok(Self {
            resource_type,
            id,
            text,
            document,
        })
    }
}

/// What a walk has found.
#[derive(Debug)]
pub(super) struct Closure<'b> {
    /// The base of this server: references may begin with it.
    base: &'b str,
    limits: Limits,
    known: HashSet<(&'static str, String)>,
    bytes: usize,
    pub(super) found: Vec<Held>,
}

impl<'b> Closure<'b> {
    pub(super) fn new(base: &'b str, limits: Limits) -> Self {
        Self {
            base,
            limits,
            known: HashSet::new(),
            bytes: 0,
            found: Vec::new(),
        }
    }

    /// Takes a resource, unless it was taken before.
    pub(super) fn take(&mut self, held: Held) -> Result<(), Fault> {
        if !self.known.insert((held.resource_type, held.id.clone())) {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(held.text.len());
        self.found.push(held);
        let (count, bytes) = (self.found.len(), self.bytes);
        let (count_max, bytes_max) = (
            self.limits.document_resources_max,
            self.limits.document_bytes_max,
        );
        let told = if count > count_max {
            format!("it would hold more than {count_max} resources (document_resources_max)")
        } else if bytes > bytes_max {
            format!("it would be larger than {bytes_max} bytes (document_bytes_max)")
        } else {
            return Ok(());
        };
        Err(Fault::new(
            Kind::TooCostly,
            format!("the document is not made: {told}"),
        ))
    }

    /// Takes whatever is referred to, step by step, until nothing new comes.
    pub(super) fn complete(&mut self, view: &mut View<'_>) -> Result<(), Fault> {
        let mut from = 0;
        while from < self.found.len() {
            let fresh = self.found.get(from..).unwrap_or_default();
            let mut wanted: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
            for held in fresh.iter().filter(|held| leads_on(held)) {
                for (kind, id) in self.references(&held.document) {
                    wanted.entry(kind).or_default().insert(id);
                }
            }
            from = self.found.len();
            for (kind, ids) in wanted {
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                for held in read(view, Action::Include, kind, &ids)? {
                    self.take(held)?;
                }
            }
        }
        Ok(())
    }

    /// What a resource refers to on this server and is not here yet.
    pub(super) fn references(&self, document: &Value) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        walk(document, &mut |text| {
            let target = match Literal::parse(text) {
                Some(Literal::Relative(target)) => target,
                Some(Literal::Absolute { base, target }) if base == self.base => target,
                _ => return,
            };
            if let Some(kind) = resource_type(target.resource_type) {
                let named = (kind, target.id.to_owned());
                if !self.known.contains(&named) {
                    all.push(named);
                }
            }
        });
        all
    }
}

fn leads_on(held: &Held) -> bool {
    !ENDS.contains(&held.resource_type)
}

fn walk(value: &Value, each: &mut impl FnMut(&str)) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| walk(item, each)),
        Data::Object(members) => {
            for (name, member) in members.iter() {
                match member.as_str() {
                    Some(text) if name == "reference" => each(text),
                    Some(_) => {}
                    None => walk(member, each),
                }
            }
        }
        _ => {}
    }
}

/// Current versions by id; what is not there is left out.
pub(super) fn read(
    view: &mut View<'_>,
    action: Action,
    kind: &'static str,
    ids: &[&str],
) -> Result<Vec<Held>, Fault> {
    let mut bodies = view.bodies_by_id(action, kind, ids)?;
    bodies.sort_unstable_by_key(|body| body.rid);
    let mut all = Vec::with_capacity(bodies.len());
    for body in bodies {
        let text = match body.text {
            Some(text) => text,
            None => view.large_body(action, kind, body.rid)?,
        };
        all.push(Held::new(kind, body.id, text)?);
    }
    Ok(all)
}
