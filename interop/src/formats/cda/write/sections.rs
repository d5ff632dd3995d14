//! The sections of a document: what the Composition says belongs there, as entries for programs and a table for people.

use std::collections::HashSet;

use fhir_spec::fhirpath::{Expression, Item, Node};
use fhir_spec::json::Value;
use fhir_spec::{IssueCode, Severity};

use super::notation::Section;
use super::run::{Run, Scope, mark};
use super::text::narrative;
use super::values::{self, Conversion};
use super::xml::{Content, Element};

const LOINC: &str = "2.16.840.1.113883.6.1";

/// Sections within sections.
const DEPTH_MAX: usize = 16;

impl<'r, 'a> Run<'r, 'a> {
    pub(super) fn sections(&mut self, parent: &mut Element) {
        let mut written = Vec::new();
        for section in self.composition.items_of("section") {
            self.component(section, 0, &mut written, parent);
        }
        let kind = self.kind;
        let templates = self.templates;
        let document = templates
            .documents
            .iter()
            .find(|document| document.name == kind);
        for (name, is_required) in document.into_iter().flat_map(|document| &document.sections) {
            let known = templates
                .sections
                .iter()
                .find(|section| section.name == *name);
            if let Some(known) = known.filter(|_| *is_required && !written.contains(name)) {
                let mut section = Element::new("section");
                self.section_of(known, known.title, &mut section);
                section.set("nullFlavor", "NI");
                section.push(Element::new("title").containing(known.title));
                section.push(Element::new("text").containing("No information"));
                wrap(section, parent);
            }
        }
        if parent.content.is_empty() {
            let mut section = Element::new("section").with("nullFlavor", "NI");
            section.push(Element::new("title").containing("No information"));
            section.push(Element::new("text").containing("No information"));
            wrap(section, parent);
        }
    }

    fn section_of(&self, known: &Section, display: &str, section: &mut Element) {
        mark(&known.ids, section);
        let code = Element::new("code")
            .with("code", known.code)
            .with("codeSystem", LOINC)
            .with("codeSystemName", "LOINC");
        let mut code = code.with("displayName", display);
        if let Some((also, name)) = known.also {
            let translation = Element::new("translation").with("code", also);
            code.push(
                translation
                    .with("codeSystem", LOINC)
                    .with("displayName", name),
            );
        }
        section.push(code);
    }

    fn component(
        &mut self,
        said: &'a Value,
        depth: usize,
        written: &mut Vec<&'static str>,
        parent: &mut Element,
    ) {
        let templates = self.templates;
        let code = said.get("code");
        let codings = code.map(|code| code.items_of("coding")).unwrap_or_default();
        let known = codings.iter().find_map(|coding| {
            let code = coding.str_of("code")?;
            templates
                .sections
                .iter()
                .find(|section| section.code == code)
        });
        let mut section = Element::new("section");
        match known {
            Some(known) => {
                written.push(known.name);
                let coding = codings
                    .iter()
                    .find(|coding| coding.str_of("code") == Some(known.code));
                let display = coding.and_then(|coding| coding.str_of("display"));
                let display = display.or(code.and_then(|code| code.str_of("text")));
                self.section_of(known, display.unwrap_or(known.title), &mut section);
            }
            None => {
                let mut element = Element::new("code");
                let node = code.map(|code| self.concept(code));
                let is_coded = node.is_some_and(|item| {
                    values::write(
                        Conversion::Cd(None),
                        (&item, self.types),
                        &mut element,
                        false,
                    )
                });
                if is_coded {
                    section.push(element);
                }
            }
        }
        let title = said.str_of("title").or(known.map(|known| known.title));
        section.push(Element::new("title").containing(title.unwrap_or("Section")));
        let entries = self.entries(said, known);
        self.fill(said, known, &entries, &mut section);
        if depth < DEPTH_MAX {
            for deeper in said.items_of("section") {
                self.component(deeper, depth + 1, written, &mut section);
            }
        }
        wrap(section, parent);
    }

    fn concept(&self, value: &'a Value) -> Item<'a> {
        let kind = self.types.by_name("CodeableConcept");
        match kind {
            Some(kind) => Item::Node(Node::typed(Some(value), None, kind)),
            None => Item::Node(Node::of_resource(None, value)),
        }
    }

    /// The resources of a section, without those that are told inside of others.
    fn entries(&mut self, said: &'a Value, known: Option<&'r Section>) -> Vec<&'a Value> {
        let mut entries: Vec<&'a Value> = Vec::new();
        for reference in said.items_of("entry") {
            let text = reference.str_of("reference").unwrap_or_default();
            let contained = text.strip_prefix('#').and_then(|id| {
                let all = self.composition.items_of("contained").iter();
                all.into_iter().find(|one| one.str_of("id") == Some(id))
            });
            match contained.or_else(|| self.index.find(text)) {
                Some(resource) => entries.push(resource),
                None => {
                    let told = format!("the entry `{text}` of a section is not in the bundle");
                    self.tell(Severity::Warning, IssueCode::NotFound, told);
                }
            }
        }
        let mut inside: HashSet<*const Value> = HashSet::new();
        if let Some(expression) = known.and_then(|known| known.inside.as_ref()) {
            for resource in &entries {
                // Of two that hold each other one is told.
                let own = std::ptr::from_ref::<Value>(resource);
                if inside.contains(&own) {
                    continue;
                }
                let context = self.context(resource);
                let scope = Scope {
                    item: Item::Node(context.resource()),
                    context: &context,
                };
                let found = self.ask(expression, &scope);
                let nodes = found.iter().filter_map(|item| item.as_node()?.value());
                let others = nodes.map(std::ptr::from_ref).filter(|other| *other != own);
                inside.extend(others);
            }
        }
        entries.retain(|resource| !inside.contains(&std::ptr::from_ref(*resource)));
        entries
    }

    fn fill(
        &mut self,
        said: &'a Value,
        known: Option<&'r Section>,
        entries: &[&'a Value],
        section: &mut Element,
    ) {
        let given = said.get("text");
        let is_generated = given.and_then(|text| text.str_of("status")) == Some("generated");
        let div = given.and_then(|text| text.str_of("div"));
        let mut text = Element::new("text");
        let kept = div
            .filter(|_| !is_generated || entries.is_empty())
            .and_then(|div| narrative(div, &mut self.ids));
        let has_text = kept.is_some();
        self.given = kept.clone().unwrap_or_default();
        match kept {
            Some(kept) => text.content.push(Content::Written(kept)),
            None if entries.is_empty() => text.say("No information"),
            None => self.table(known, entries, &mut text),
        }
        let mut made = Vec::new();
        for resource in entries {
            made.extend(self.entry(resource, known));
        }
        for (id, words) in std::mem::take(&mut self.below) {
            text.push(Element::new("paragraph").with("ID", id).containing(words));
        }
        let expects_entries = known.is_some_and(|known| !known.entries.is_empty());
        let is_empty = expects_entries || !has_text || said.get("emptyReason").is_some();
        if made.is_empty() && is_empty {
            section.set("nullFlavor", reason(said));
        }
        section.push(text);
        section
            .content
            .extend(made.into_iter().map(Content::Element));
    }

    /// A row for each entry, or for each of what it is made of.
    fn table(&mut self, known: Option<&'r Section>, entries: &[&'a Value], text: &mut Element) {
        let columns = known
            .map(|known| known.columns.as_slice())
            .unwrap_or_default();
        let name = known.map_or("section", |known| known.name);
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        for resource in entries {
            let context = self.context(resource);
            let whole = Item::Node(context.resource());
            let scope = Scope {
                item: whole.clone(),
                context: &context,
            };
            let told = known.and_then(|known| known.rows.as_ref());
            let told = told.map_or_else(|| vec![whole], |rows| self.ask(rows, &scope));
            for item in told {
                let id = self.name(name, rows.len() + 1);
                for value in [
                    item.as_node().and_then(|node| node.value()),
                    Some(*resource),
                ] {
                    let place = value.map(std::ptr::from_ref);
                    place.map(|place| self.rows.entry(place).or_insert_with(|| id.clone()));
                }
                let scope = Scope {
                    item,
                    context: &context,
                };
                let mut cells: Vec<String> = Vec::new();
                for (_, expression) in columns {
                    cells.push(self.told(expression, &scope));
                }
                if columns.is_empty() {
                    cells.push(
                        resource
                            .str_of("resourceType")
                            .unwrap_or_default()
                            .to_owned(),
                    );
                }
                rows.push((id, cells));
            }
        }
        text.push(drawn(columns, &rows));
    }

    /// The entry of a resource: by the templates of its section, else by those of any.
    fn entry(&mut self, resource: &'a Value, known: Option<&'r Section>) -> Option<Element> {
        let templates = self.templates;
        let kind = resource.str_of("resourceType").unwrap_or_default();
        let context = self.context(resource);
        let scope = Scope {
            item: Item::Node(context.resource()),
            context: &context,
        };
        let sections = known.into_iter().chain(&templates.sections);
        for (name, condition) in sections.flat_map(|section| &section.entries) {
            let template = templates.templates.get(name);
            let is_for = template.is_some_and(|template| template.of == Some(kind));
            if is_for && self.holds(condition.as_ref(), &scope) {
                let mut entry = Element::new("entry");
                return self.within(name, &scope, &mut entry).then_some(entry);
            }
        }
        let id = resource.str_of("id").unwrap_or_default();
        let told = format!(
            "{kind}/{id} has no place among the entries of C-CDA: it is told in words only"
        );
        self.tell(Severity::Warning, IssueCode::Incomplete, told);
        None
    }
}

/// The table: a column where nobody has anything to say is none.
fn drawn(columns: &[(&'static str, Expression)], rows: &[(String, Vec<String>)]) -> Element {
    let says = |column: usize, (_, cells): &(String, Vec<String>)| {
        cells.get(column).is_some_and(|cell| !cell.is_empty())
    };
    let is_used = |column: &usize| *column == 0 || rows.iter().any(|row| says(*column, row));
    let used: Vec<usize> = (0..columns.len().max(1)).filter(is_used).collect();
    let mut head = Element::new("tr");
    for column in &used {
        let title = columns.get(*column).map_or("Entry", |(title, _)| title);
        head.push(Element::new("th").containing(title));
    }
    let mut body = Element::new("tbody");
    for (id, cells) in rows {
        let mut line = Element::new("tr").with("ID", id);
        for column in &used {
            let cell = cells.get(*column).cloned().unwrap_or_default();
            line.push(Element::new("td").containing(cell));
        }
        body.push(line);
    }
    let mut thead = Element::new("thead");
    thead.push(head);
    let mut table = Element::new("table");
    table.push(thead);
    table.push(body);
    table
}

fn wrap(section: Element, parent: &mut Element) {
    let mut component = Element::new("component");
    component.push(section);
    parent.push(component);
}

/// Why a section says nothing.
fn reason(said: &Value) -> &'static str {
    let reason = said
        .get("emptyReason")
        .map(|reason| reason.items_of("coding"));
    let code = reason.and_then(|codings| codings.first()?.str_of("code"));
    match code {
        Some("notasked") => "NASK",
        Some("withheld") => "MSK",
        _ => "NI",
    }
}
