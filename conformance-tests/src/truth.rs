//! A second evaluator of search, written from the specification and nothing else: slow, and meant to be obviously right.
//! <https://hl7.org/fhir/R4/search.html>
//!
//! It shares no line with the crate `search`. A [`World`] is the documents that are there; each is asked, one by one,
//! whether a parameter holds for it. Only the official expressions of the parameters are evaluated by our FHIRPath
//! engine; what their values mean, and how they compare, is told here anew.
//!
//! Where the specification leaves a choice, this is the one that Kiln has made and tells: what names no zone is in UTC; a
//! resource without a value is sorted last; `ap` is a tenth; a date is sorted by its beginning.

mod amount;
mod composite;
mod contained;
mod criterion;
mod date;
pub mod documents;
mod folding;
mod include;
pub mod load;
mod near;
mod order;
pub mod queries;
pub mod random;
mod reference;
mod string;
mod terminology;
mod token;
pub mod trial;
mod uri;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fhir_spec::definitions::{Definitions, SearchParameter};
use fhir_spec::fhirpath::{Context, Expression, Item};
use fhir_spec::json::Value;

pub use order::SortKey;

/// Why a query means nothing.
pub type Wrong = String;

/// A resource, by type and id.
pub type Name<'a> = (&'a str, &'a str);

/// What a parameter has in a document.
type Values<'a> = Rc<Vec<Found<'a>>>;

/// All that is there, with the rules to ask about it.
pub struct World<'a> {
    definitions: &'a Definitions,
    /// The url of the server: references that begin with it are local ones.
    base: &'a str,
    /// Microseconds since 1970 UTC, for `ap`.
    now: i64,
    documents: HashMap<&'a str, Vec<&'a Value>>,
    /// Values by document (its address) and parameter (its url): expressions take their time.
    known: RefCell<HashMap<(usize, &'a str), Values<'a>>>,
    expressions: RefCell<HashMap<(String, String), Rc<Expression>>>,
}

/// A value that a parameter has in a document.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The FHIR type of it.
    pub kind: &'a str,
    pub value: Cow<'a, Value>,
    item: Item<'a>,
}

/// What a parameter is asked with.
#[derive(Clone, Copy)]
struct Ask<'w, 'a> {
    world: &'w World<'a>,
    parameter: &'a SearchParameter,
    /// The type that is searched.
    resource_type: &'a str,
    modifier: Option<&'w str>,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count: usize = self.documents.values().map(Vec::len).sum();
        f.debug_struct("World")
            .field("documents", &count)
            .finish_non_exhaustive()
    }
}

impl<'a> World<'a> {
    pub fn new(
        definitions: &'a Definitions,
        base: &'a str,
        now: i64,
        documents: impl IntoIterator<Item = &'a Value>,
    ) -> Self {
        let mut by_type: HashMap<&str, Vec<&Value>> = HashMap::new();
        for document in documents {
            by_type.entry(type_of(document)).or_default().push(document);
        }
        Self {
            definitions,
            base,
            now,
            documents: by_type,
            known: RefCell::default(),
            expressions: RefCell::default(),
        }
    }

    pub fn of_type(&self, resource_type: &str) -> &[&'a Value] {
        self.documents
            .get(resource_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// The types of which something is there.
    pub fn types(&self) -> Vec<&'a str> {
        let mut types: Vec<&str> = self.documents.keys().copied().collect();
        types.sort_unstable();
        types
    }

    fn find(&self, resource_type: &str, id: &str) -> Option<&'a Value> {
        let all = self.of_type(resource_type).iter();
        all.copied().find(|document| id_of(document) == id)
    }

    /// The documents of a type for which all parameters hold; those about the answer say nothing about them.
    pub fn matches(
        &self,
        resource_type: &str,
        parameters: &[(String, String)],
    ) -> Result<Vec<&'a Value>, Wrong> {
        let known = self
            .definitions
            .resource_types()
            .find(|name| *name == resource_type);
        let resource_type = known.ok_or("no such type")?;
        let mut matches = Vec::new();
        for document in self.of_type(resource_type) {
            let mut holds = true;
            for (name, value) in parameters {
                holds &= self.holds(resource_type, document, name, value)?;
            }
            if holds {
                matches.push(*document);
            }
        }
        Ok(matches)
    }

    /// Those of a type that are in a compartment.
    pub fn is_in_compartment(&self, compartment: &str, id: &str, document: &'a Value) -> bool {
        let definition = self.definitions.compartment(compartment);
        let codes = definition.map(|known| known.parameters(type_of(document)));
        let is_itself = type_of(document) == compartment && id_of(document) == id;
        let mut parameters = codes.into_iter().flatten().filter_map(|code| {
            let known = self.definitions.search_parameters_for(type_of(document));
            known.into_iter().find(|known| *known.code == **code)
        });
        is_itself
            || parameters.any(|parameter| {
                let found = self.values(document, parameter);
                let mut targets = found
                    .iter()
                    .filter_map(|found| reference::local(self, found));
                targets.any(|(kind, target)| kind == compartment && target == id)
            })
    }

    /// The parameters that a code means for a type; a package may say it again.
    fn parameters(&self, resource_type: &str, code: &str) -> Vec<&'a SearchParameter> {
        let definitions = self.definitions;
        let all = definitions.search_parameters_for(resource_type);
        all.filter(|parameter| *parameter.code == *code).collect()
    }

    /// What a parameter finds in a document.
    pub fn values(&self, document: &'a Value, parameter: &'a SearchParameter) -> Values<'a> {
        let key = (std::ptr::from_ref(document).addr(), &*parameter.url);
        if let Some(known) = self.known.borrow().get(&key) {
            return Rc::clone(known);
        }
        let context = Context::new(self.definitions.types(), document);
        let root = Item::Node(context.resource());
        let found = Rc::new(self.evaluate(&context, &root, &parameter.expression));
        self.known.borrow_mut().insert(key, Rc::clone(&found));
        found
    }

    /// What an expression says of an item of a document; what cannot be evaluated says nothing.
    fn evaluate(&self, context: &Context<'a>, item: &Item<'a>, expression: &str) -> Vec<Found<'a>> {
        let types = self.definitions.types();
        let Some(type_id) = item.as_node().and_then(|node| node.type_id()) else {
            return Vec::new();
        };
        // R4 writes it so once, where no such type is.
        let expression = &expression.replace("as(DateTime)", "as(dateTime)");
        let key = (expression.clone(), types.get(type_id).name.to_string());
        let known = self.expressions.borrow().get(&key).cloned();
        let expression = match known {
            Some(expression) => expression,
            None => match Expression::for_search(expression, types, type_id) {
                Ok(parsed) => Rc::new(parsed),
                Err(_) => return Vec::new(),
            },
        };
        self.expressions
            .borrow_mut()
            .insert(key, Rc::clone(&expression));
        let items = expression.evaluate_on(context, item).unwrap_or_default();
        items
            .into_iter()
            .filter_map(|item| self.found(item))
            .collect()
    }

    fn found(&self, item: Item<'a>) -> Option<Found<'a>> {
        let (kind, value) = match &item {
            Item::Node(node) => {
                let types = self.definitions.types();
                let kind = &*types.get(node.type_id()?).name;
                (kind, Cow::Borrowed(node.value()?))
            }
            Item::Boolean(_) => ("boolean", Cow::Owned(item.to_json())),
            Item::Integer(_) | Item::Long(_) => ("integer", Cow::Owned(item.to_json())),
            Item::Decimal(_) => ("decimal", Cow::Owned(item.to_json())),
            Item::Date(_) => ("date", Cow::Owned(item.to_json())),
            Item::DateTime(_) => ("dateTime", Cow::Owned(item.to_json())),
            Item::String(_) => ("string", Cow::Owned(item.to_json())),
            _ => return None,
        };
        let (kind, value) = unwrapped(kind, value);
        Some(Found { kind, value, item })
    }
}

/// An extension that a parameter leads to is searched by its value.
fn unwrapped<'a>(kind: &'a str, value: Cow<'a, Value>) -> (&'a str, Cow<'a, Value>) {
    const KINDS: [(&str, &str); 9] = [
        ("valueCodeableConcept", "CodeableConcept"),
        ("valueCoding", "Coding"),
        ("valueCode", "code"),
        ("valueString", "string"),
        ("valueBoolean", "boolean"),
        ("valueReference", "Reference"),
        ("valueDateTime", "dateTime"),
        ("valueQuantity", "Quantity"),
        ("valueIdentifier", "Identifier"),
    ];
    if kind != "Extension" {
        return (kind, value);
    }
    let inner = KINDS
        .iter()
        .find_map(|(member, kind)| Some((*kind, value.get(member)?.clone())));
    inner.map_or((kind, value), |(kind, value)| (kind, Cow::Owned(value)))
}

pub fn type_of(document: &Value) -> &str {
    document.str_of("resourceType").unwrap_or_default()
}

pub fn id_of(document: &Value) -> &str {
    document.str_of("id").unwrap_or_default()
}

/// The text as it stands in a query: cut at what separates, where no `\` stands before it.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == separator {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
            if c == '\\' {
                last.extend(chars.next());
            }
        }
    }
    parts
}

/// The text that is meant: `\,` is a comma.
fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = chars.next_if(|next| c == '\\' && ",$|\\".contains(*next));
        plain.push(meant.unwrap_or(c));
    }
    plain
}

/// A text that is to be meant as it is.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars() {
        if ",$|\\".contains(c) {
            written.push('\\');
        }
        written.push(c);
    }
    written
}
