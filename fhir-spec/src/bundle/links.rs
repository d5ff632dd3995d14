//! The links between the entries of a bundle: from full urls to what the entries become.
//! <https://hl7.org/fhir/R4/bundle.html#references> <https://hl7.org/fhir/R4/http.html#trules>
//!
//! A link stands in a reference, in an element of type uri, url, oid or uuid, or in `a href` and `img src` of a narrative.
//! A canonical is none: it names what stays the same wherever it is stored.

mod narrative;
mod place;
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::entry::Kind;
use crate::definitions::{TypeId, Types};
use crate::json::{Text, Value};
use crate::outcome::Issue;
use crate::reference::Literal;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `Type/id`
    text: Box<str>,
    version: Option<u64>,
    /// The url names the resource wherever it is stored, because it is also its canonical url: then only references
    /// are links.
    is_canonical: bool,
}

impl Target {
    /// `version` is what a version-specific link will say; without one it keeps what it says.
    pub fn new(resource_type: &str, id: &str, version: Option<u64>) -> Self {
        Self {
            text: format!("{resource_type}/{id}").into(),
            version,
            is_canonical: false,
        }
    }

    /// The target of the full url of this resource.
    #[must_use]
    pub fn of(mut self, full_url: &str, resource: &Value) -> Self {
        self.is_canonical = resource.str_of("url") == Some(full_url);
        self
    }
}

/// Where the links of a bundle lead. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Links {
    kind: Kind,
    /// By full url.
    targets: Arc<HashMap<Box<str>, Target>>,
    /// By the text of the reference: `Patient?identifier=1`.
    criteria: HashMap<Box<str>, Target>,
    /// Some full urls begin with http: then many more texts may be links.
    has_http: bool,
    /// Some entries are known by type and id alone.
    has_relative: bool,
    types: LinkTypes,
}

/// The types whose values may be links.
#[derive(Debug, Clone, Copy)]
struct LinkTypes {
    reference: Option<TypeId>,
    narrative: Option<TypeId>,
    uris: [Option<TypeId>; 2],
    /// What a link becomes does not fit these: the element becomes a uri.
    narrow: [Option<TypeId>; 2],
}

/// What a walk through a resource found.
#[derive(Debug, Default)]
pub struct Found {
    /// Links that lead nowhere, as many as are worth telling.
    pub issues: Vec<Issue>,
    /// References such as `Patient?identifier=1` that [`Links::add_criteria`] has no target for.
    pub criteria: Vec<Text>,
    /// Whether something was changed.
    pub changed: bool,
}

impl Links {
    pub fn new(kind: Kind, types: &Types) -> Self {
        let named = |name| types.by_name(name);
        Self {
            kind,
            targets: Arc::default(),
            criteria: HashMap::new(),
            has_http: false,
            has_relative: false,
            types: LinkTypes {
                reference: named("Reference"),
                narrative: named("Narrative"),
                uris: [named("uri"), named("url")],
                narrow: [named("oid"), named("uuid")],
            },
        }
    }

    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The entry of that full url becomes this.
    pub fn add(&mut self, full_url: &str, target: Target) {
        self.has_http |= !is_urn(full_url);
        Arc::make_mut(&mut self.targets).insert(normalised(full_url).into(), target);
    }

    /// An entry without a full url, whose resource has an id: who refers to `Type/id` in the same bundle means it, although
    /// it will get another id.
    pub fn add_relative(&mut self, resource_type: &str, id: &str, target: Target) {
        self.has_relative = true;
        let key = format!("{resource_type}/{id}");
        Arc::make_mut(&mut self.targets).insert(key.into(), target);
    }

    /// The same for what was stored before: there `Type/id` means what it says.
    #[must_use]
    pub fn of_stored(&self) -> Self {
        Self {
            has_relative: false,
            ..self.clone()
        }
    }

    /// A reference such as `Patient?identifier=1` leads to this.
    pub fn add_criteria(&mut self, reference: &str, target: Target) {
        self.criteria.insert(reference.into(), target);
    }

    /// Rewrites the links of a resource. `full_url` is that of its entry, `place` where it stands: `Bundle.entry[3].resource`.
    /// Nothing is copied or allocated unless something is changed.
    pub fn rewrite(
        &self,
        resource: &mut Value,
        full_url: Option<&str>,
        place: impl Fn() -> String,
        types: &Types,
    ) -> Found {
        walk::rewrite(self, resource, full_url, &place, types)
    }

    fn find(&self, url: &str) -> Option<&Target> {
        self.targets.get(&*normalised(url))
    }
}

/// The base of a full url that says one: relative links are meant from there.
fn base(full_url: &str) -> Option<&str> {
    match Literal::parse(full_url)? {
        Literal::Absolute { base, .. } => Some(base),
        _ => None,
    }
}

/// `urn:` in any letter case.
pub(super) fn is_urn(url: &str) -> bool {
    url.as_bytes()
        .get(..4)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"urn:"))
}

/// Urns are the same in any letter case: <https://www.rfc-editor.org/rfc/rfc4122#section-3>
pub fn normalised(url: &str) -> Cow<'_, str> {
    if is_urn(url) && url.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(url.to_ascii_lowercase())
    } else {
        Cow::Borrowed(url)
    }
}
