//! Templates over resources: what each line says of a resource, as elements of CDA.

use std::collections::{HashMap, HashSet};

use fhir_spec::definitions::Types;
use fhir_spec::fhirpath::{Collection, Context, Expression, Host, Item, Node};
use fhir_spec::json::Value;
use fhir_spec::reference::{Literal, Target};
use fhir_spec::{Issue, IssueCode, Severity};

use crate::mapping::functions::is_uuid;

use super::notation::{Line, Templates, What};
use super::values::{self, Conversion};
use super::words::words;
use super::xml::Element;

/// Templates within templates, and resources that lead to each other.
const DEPTH_MAX: usize = 24;
/// What is told at most.
const TOLD_MAX: usize = 1_000;

/// The resources of a bundle by what references call them.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    by_url: HashMap<&'a str, &'a Value>,
    by_name: HashMap<(&'a str, &'a str), &'a Value>,
    all: Vec<&'a Value>,
    /// And back: by where a resource is in memory.
    addresses: HashMap<*const Value, String>,
}

impl<'a> Index<'a> {
    pub(super) fn of(bundle: &'a Value) -> Self {
        let mut index = Self::default();
        for entry in bundle.items_of("entry") {
            let Some(resource) = entry.get("resource") else {
                continue;
            };
            index.all.push(resource);
            let url = entry.str_of("fullUrl");
            if let Some(url) = url {
                index.by_url.entry(url).or_insert(resource);
            }
            let name = || {
                let kind = resource.str_of("resourceType").unwrap_or_default();
                format!("{kind}/{}", resource.str_of("id").unwrap_or_default())
            };
            let address = url.filter(|url| url.starts_with("urn:"));
            let address = address.map_or_else(name, str::to_owned);
            index
                .addresses
                .insert(std::ptr::from_ref(resource), address);
            let named = url
                .and_then(Literal::parse)
                .and_then(|literal| literal.target());
            let own = resource.str_of("resourceType").zip(resource.str_of("id"));
            let named = named.map(
                |Target {
                     resource_type, id, ..
                 }| (resource_type, id),
            );
            if let Some(name) = named.or(own) {
                index.by_name.entry(name).or_insert(resource);
            }
        }
        index
    }

    /// The resources of a type.
    fn of_type(&self, types: &'a Types, name: &str) -> Collection<'a> {
        let all = self.all.iter().copied();
        all.filter(|resource| resource.str_of("resourceType") == Some(name))
            .map(|resource| Item::Node(Node::of_resource(Some(types), resource)))
            .collect()
    }

    pub(super) fn find(&self, reference: &str) -> Option<&'a Value> {
        if let Some(found) = self.by_url.get(reference) {
            return Some(found);
        }
        let target = Literal::parse(reference)?.target()?;
        self.by_name
            .get(&(target.resource_type, target.id))
            .copied()
    }
}

impl Index<'_> {
    /// How a resource is called that has no identifier.
    fn address(&self, resource: &Value) -> Option<&str> {
        self.addresses
            .get(&std::ptr::from_ref(resource))
            .map(String::as_str)
    }
}

impl<'a> Host<'a> for Index<'a> {
    fn resolve(&self, reference: &str) -> Option<&'a Value> {
        self.find(reference)
    }
}

/// One document on its way.
pub(super) struct Run<'r, 'a> {
    pub(super) templates: &'r Templates,
    pub(super) types: &'a Types,
    pub(super) index: &'a Index<'a>,
    pub(super) bundle: &'a Value,
    pub(super) composition: &'a Value,
    /// The kind of document.
    pub(super) kind: &'r str,
    pub(super) issues: Vec<Issue>,
    /// Names of elements that are taken.
    pub(super) ids: HashSet<String>,
    /// The rows that tell people of resources, by where these are in memory.
    pub(super) rows: HashMap<*const Value, String>,
    /// What people read in the section at hand, as it was given.
    pub(super) given: String,
    /// And what they read below it: names and words.
    pub(super) below: Vec<(String, String)>,
    depth: usize,
    /// So many elements were made. When there are too many, no more are.
    pub(super) elements: usize,
    pub(super) elements_max: usize,
    dispenses: Collection<'a>,
}

/// What lines are about.
#[derive(Clone)]
pub(super) struct Scope<'s, 'a> {
    pub(super) context: &'s Context<'a>,
    pub(super) item: Item<'a>,
}

impl<'r, 'a> Run<'r, 'a> {
    pub(super) fn new(
        templates: &'r Templates,
        types: &'a Types,
        (index, bundle, composition): (&'a Index<'a>, &'a Value, &'a Value),
        kind: &'r str,
    ) -> Self {
        Self {
            templates,
            types,
            index,
            bundle,
            composition,
            kind,
            issues: Vec::new(),
            ids: HashSet::new(),
            rows: HashMap::new(),
            given: String::new(),
            below: Vec::new(),
            depth: 0,
            elements: 0,
            elements_max: usize::MAX,
            dispenses: index.of_type(types, "MedicationDispense"),
        }
    }

    /// In which expressions about a resource are asked.
    pub(super) fn context(&self, resource: &'a Value) -> Context<'a> {
        let node = |value| Item::Node(Node::of_resource(Some(self.types), value));
        Context::new(self.types, resource)
            .with_host(self.index)
            .with_variable("bundle", vec![node(self.bundle)])
            .with_variable("composition", vec![node(self.composition)])
            .with_variable("dispenses", self.dispenses.clone())
            .with_variable("document", vec![Item::from(self.kind.to_owned())])
    }

    pub(super) fn tell(&mut self, severity: Severity, code: IssueCode, told: String) {
        if self.issues.len() < TOLD_MAX {
            self.issues.push(Issue::new(severity, code, told));
        }
    }

    pub(super) fn ask(&mut self, expression: &Expression, scope: &Scope<'_, 'a>) -> Collection<'a> {
        match expression.evaluate_on(scope.context, &scope.item) {
            Ok(found) => found,
            Err(error) => {
                let told = format!("`{}` cannot be asked: {error}", expression.text());
                self.tell(Severity::Warning, IssueCode::Exception, told);
                Vec::new()
            }
        }
    }

    pub(super) fn holds(&mut self, expression: Option<&Expression>, scope: &Scope<'_, 'a>) -> bool {
        let Some(expression) = expression else {
            return true;
        };
        // As conditions of maps: nothing and `false` do not hold, whatever else is there does.
        let found = self.ask(expression, scope);
        match found.as_slice() {
            [] => false,
            [one] => values::plain(one).as_deref() != Some("false"),
            _ => true,
        }
    }

    pub(super) fn lines(&mut self, lines: &'r [Line], scope: &Scope<'_, 'a>, parent: &mut Element) {
        for line in lines {
            if self.elements > self.elements_max {
                return;
            }
            if self.holds(line.condition.as_ref(), scope) {
                self.line(line, scope, parent);
            }
        }
    }

    fn line(&mut self, line: &'r Line, scope: &Scope<'_, 'a>, parent: &mut Element) {
        let mut items = match &line.source {
            Some(source) => self.ask(source, scope),
            None => vec![scope.item.clone()],
        };
        if !line.repeats() {
            items.truncate(1);
        }
        let mut has_said = false;
        for item in items {
            if self.elements > self.elements_max {
                return;
            }
            has_said |= match self.own_context(&item, scope) {
                Some(context) => {
                    let context = &context;
                    self.item(line, &Scope { context, item }, parent)
                }
                None => {
                    let context = scope.context;
                    self.item(line, &Scope { context, item }, parent)
                }
            };
        }
        if !has_said
            && let Some(flavor) = line.otherwise
            && let What::Element {
                name, ids, is_any, ..
            } = &line.what
        {
            let mut element = Element::new(*name);
            if *is_any {
                element.set("xsi:type", "CD");
            }
            element.set("nullFlavor", flavor);
            mark(ids, &mut element);
            self.elements += 1;
            parent.push(element);
        }
    }

    /// What is asked of another resource is asked about it: `%resource`, and what it contains.
    fn own_context(&self, item: &Item<'a>, scope: &Scope<'_, 'a>) -> Option<Context<'a>> {
        let node = item.as_node().filter(|node| node.is_resource())?;
        let is_other = !node.is_same(&scope.context.resource());
        // What is contained finds its neighbours in the resource around it.
        let is_own = node
            .value()
            .is_some_and(|value| self.index.address(value).is_some());
        let resource = node.value().filter(|_| is_other && is_own)?;
        Some(self.context(resource))
    }

    /// Whether it says something.
    fn item(&mut self, line: &'r Line, scope: &Scope<'_, 'a>, parent: &mut Element) -> bool {
        match &line.what {
            What::Attribute(name) => {
                let text = match line.conversion {
                    Some(Conversion::Code(table)) => {
                        self.coded(table, &scope.item).map(|(code, ..)| code)
                    }
                    _ => values::plain(&scope.item),
                };
                let Some(text) = text else { return false };
                parent.set(*name, text);
                true
            }
            What::Use(name) => self.within(name, scope, parent),
            What::Sections => {
                self.sections(parent);
                true
            }
            What::Element { .. } => self.element(line, scope, parent),
        }
    }

    /// The lines of another template.
    pub(super) fn within(
        &mut self,
        name: &str,
        scope: &Scope<'_, 'a>,
        parent: &mut Element,
    ) -> bool {
        let templates: &'r Templates = self.templates;
        let Some(template) = templates.templates.get(name) else {
            return false;
        };
        if self.depth == DEPTH_MAX {
            let told = "resources lead to each other without an end: what lies deeper is left out";
            self.tell(Severity::Warning, IssueCode::TooLong, told.to_owned());
            return false;
        }
        let before = parent.content.len();
        self.depth += 1;
        self.lines(&template.lines, scope, parent);
        self.depth -= 1;
        parent.content.len() > before
    }

    fn element(&mut self, line: &'r Line, scope: &Scope<'_, 'a>, parent: &mut Element) -> bool {
        let What::Element {
            name,
            ids,
            attributes,
            text,
            is_any,
            ..
        } = &line.what
        else {
            return false;
        };
        let mut element = Element::new(*name);
        for (name, value) in attributes {
            element.set(*name, *value);
        }
        if let Some(text) = text {
            element.say(*text);
        }
        mark(ids, &mut element);
        let said = match line.conversion {
            None => true,
            Some(Conversion::Row) => self.row(&scope.item, &mut element),
            Some(Conversion::Told) => self.say_below(&scope.item, &mut element),
            Some(Conversion::Own(word)) => self.own(&scope.item, word, &mut element),
            Some(Conversion::Code(table)) => {
                self.translated(table, &scope.item, *is_any, &mut element)
            }
            Some(conversion) => {
                values::write(conversion, (&scope.item, self.types), &mut element, *is_any)
            }
        };
        if !said {
            return false;
        }
        self.lines(&line.children, scope, &mut element);
        if element.is_empty() {
            return false;
        }
        self.elements += 1;
        parent.push(element);
        true
    }

    /// A reference to the row that tells people of a resource; in a reference itself, its value.
    fn row(&mut self, item: &Item<'a>, element: &mut Element) -> bool {
        let value = item.as_node().and_then(|node| node.value());
        let row = value.and_then(|value| self.rows.get(&std::ptr::from_ref(value)).cloned());
        let is_reference = element.name == "reference";
        // A reference that has to be there leads to a word at least.
        let row = row.or_else(|| {
            is_reference
                .then(|| words(item, self.types))
                .flatten()
                .map(|words| self.below(&words))
        });
        let Some(row) = row else {
            return false;
        };
        let target = format!("#{row}");
        match is_reference {
            true => element.set("value", target),
            false => element.push(Element::new("reference").with("value", target)),
        }
        true
    }

    /// Refers to words where people read them: where they stand already, or below.
    fn say_below(&mut self, item: &Item<'a>, element: &mut Element) -> bool {
        let Some(words) = values::plain(item).filter(|words| !words.trim().is_empty()) else {
            return false;
        };
        let id = self.below(&words);
        element.push(Element::new("reference").with("value", format!("#{id}")));
        true
    }

    /// The name of the element that says these words to people: the one that is there, or one below.
    fn below(&mut self, words: &str) -> String {
        super::text::name_of(&self.given, words).unwrap_or_else(|| {
            let id = self.name("comment", self.below.len() + 1);
            self.below.push((id.clone(), words.to_owned()));
            id
        })
    }

    /// A name that the document does not have yet.
    pub(super) fn name(&mut self, word: &str, mut number: usize) -> String {
        loop {
            let id = format!("{word}-{number}");
            if self.ids.insert(id.clone()) {
                return id;
            }
            number += 1;
        }
    }

    fn own(&self, item: &Item<'a>, word: &str, element: &mut Element) -> bool {
        let value = item.as_node().and_then(|node| node.value());
        let address = value
            .and_then(|value| self.index.address(value))
            .unwrap_or("none");
        let root = match (word, address.strip_prefix("urn:uuid:")) {
            ("", Some(uuid)) if is_uuid(uuid) => uuid.to_owned(),
            _ => values::uuid(&format!("{address}#{word}")),
        };
        element.set("root", root);
        true
    }

    fn translated(
        &self,
        table: &str,
        item: &Item<'a>,
        is_any: bool,
        element: &mut Element,
    ) -> bool {
        let Some((code, oid, display)) = self.coded(table, item) else {
            return false;
        };
        if is_any && !element.has("xsi:type") {
            element.set("xsi:type", "CD");
        }
        element.set("code", code);
        for (name, text) in [("codeSystem", oid), ("displayName", display)] {
            if !text.is_empty() {
                element.set(name, text);
            }
        }
        true
    }

    /// What a table says for a code, or for a concept with a coding that it has.
    fn coded(&self, table: &str, item: &Item<'a>) -> Option<(String, &'r str, &'r str)> {
        let table = self.templates.tables.get(table)?;
        let row = |code: &str| table.rows.get(code).copied();
        let found = match values::plain(item) {
            Some(code) => row(&code),
            None => {
                let value = item.as_node()?.value()?;
                let own = value.str_of("code").and_then(row);
                own.or_else(|| {
                    let codings = value.items_of("coding").iter();
                    codings
                        .filter_map(|coding| coding.str_of("code"))
                        .find_map(row)
                })
            }
        };
        let (code, display) = found.or_else(|| row("*"))?;
        Some((code.to_owned(), table.oid, display))
    }

    /// What people read of an expression.
    pub(super) fn told(&mut self, expression: &Expression, scope: &Scope<'_, 'a>) -> String {
        let found = self.ask(expression, scope);
        let mut parts: Vec<String> = Vec::new();
        for part in found.iter().filter_map(|item| words(item, self.types)) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts.join(", ")
    }
}

/// The templates that an element follows stand first in it.
pub(super) fn mark(ids: &[super::notation::Id], element: &mut Element) {
    for id in ids {
        let mut template = Element::new("templateId").with("root", id.root);
        if !id.version.is_empty() {
            template.set("extension", id.version);
        }
        element.push(template);
    }
}

impl Line {
    fn repeats(&self) -> bool {
        match &self.what {
            What::Element { repeats, .. } => *repeats,
            What::Attribute(_) => false,
            What::Use(_) | What::Sections => true,
        }
    }
}
