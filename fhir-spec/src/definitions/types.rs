//! The type graph: every resource, datatype and backbone element of R4, with the facts of each element.
//! <https://hl7.org/fhir/R4/elementdefinition.html>
//!
//! Built once from the specification's own StructureDefinitions. A backbone element such as `Patient.contact` is a type
//! of its own, named by its path, so that walking a document is always: type, property, type, property ...

use std::collections::HashMap;
use std::sync::Arc;

use crate::json::Value;

/// A type of the graph: an index, cheap to copy and compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(u16);

impl TypeId {
    /// The place of the type in [`Types::iter`], for tables beside the graph.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Primitive,
    Complex,
    Resource,
    Backbone,
}

#[derive(Debug)]
pub struct TypeDef {
    pub id: TypeId,
    pub name: Box<str>,
    pub kind: Kind,
    pub base: Option<TypeId>,
    pub is_abstract: bool,
    /// In the order of the specification, inherited ones included. Primitives: `id` and `extension`.
    pub elements: Vec<Element>,
    /// Rules that hold for every value of this type (inherited ones included, except `ele-1`).
    pub constraints: Vec<Constraint>,
    /// What the text of a primitive must match, as a regular expression over the whole value.
    pub regex: Option<Box<str>>,
    /// JSON property name -> element and which of its types.
    properties: HashMap<Box<str>, (u16, u16)>,
}

#[derive(Debug)]
pub struct Element {
    /// As FHIRPath says it: `value` for `value[x]`.
    pub name: Box<str>,
    pub path: Box<str>,
    pub min: u32,
    /// None: no bound (`*`).
    pub max: Option<u32>,
    pub is_choice: bool,
    pub types: Vec<TypeRef>,
    pub binding: Option<Binding>,
    pub constraints: Vec<Constraint>,
    pub is_summary: bool,
    pub is_modifier: bool,
    /// XML writes it as an attribute (`id`, `Extension.url`).
    pub is_xml_attribute: bool,
    pub max_length: Option<u32>,
}

impl Element {
    pub fn is_list(&self) -> bool {
        self.max != Some(1)
    }
}

/// One of the types that an element may have.
#[derive(Debug)]
pub struct TypeRef {
    pub id: TypeId,
    /// The name of the JSON property when the element has this type: `valueQuantity`.
    pub json_name: Box<str>,
    pub profiles: Vec<Box<str>>,
    /// For references and canonicals: the profiles that the target may have.
    pub target_profiles: Vec<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Example,
    Preferred,
    Extensible,
    Required,
}

#[derive(Debug, Clone)]
pub struct Binding {
    pub strength: Strength,
    pub value_set: Box<str>,
    /// Extension `maxValueSet`: codes outside of it are never allowed, however weak the binding.
    pub max_value_set: Option<Box<str>>,
    /// Further value sets, each with a strength of its own: R5's additional bindings, as profiles of R4 have them.
    pub additional: Vec<(Strength, Box<str>)>,
}

/// An invariant: a FHIRPath expression that must be true.
#[derive(Debug, Clone)]
pub struct Constraint {
    pub key: Box<str>,
    pub is_error: bool,
    /// A best practice: told as a warning, never as an error.
    pub is_best_practice: bool,
    pub human: Box<str>,
    pub expression: Box<str>,
    /// The StructureDefinition that states it first.
    pub source: Box<str>,
}

/// Every type of the specification.
#[derive(Debug)]
pub struct Types {
    types: Vec<TypeDef>,
    by_name: HashMap<Box<str>, TypeId>,
    /// For an id that this graph does not know (one of another graph).
    unknown: TypeDef,
}

impl Types {
    /// Builds the graph from the StructureDefinitions of base types (not of profiles).
    pub fn build(structures: &[Arc<Value>]) -> Self {
        let mut graph = Self {
            types: Vec::new(),
            by_name: HashMap::new(),
            unknown: TypeDef::new(TypeId(u16::MAX), "", Kind::Complex),
        };
        for structure in structures {
            graph.name_types(structure);
        }
        for structure in structures {
            graph.fill(structure);
        }
        graph
    }

    pub fn by_name(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    pub fn get(&self, id: TypeId) -> &TypeDef {
        self.types.get(usize::from(id.0)).unwrap_or(&self.unknown)
    }

    pub fn named(&self, name: &str) -> Option<&TypeDef> {
        self.by_name(name).map(|id| self.get(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &TypeDef> {
        self.types.iter()
    }

    /// Whether `id` is `ancestor` or derived from it.
    pub fn is_a(&self, id: TypeId, ancestor: TypeId) -> bool {
        std::iter::successors(Some(id), |id| self.get(*id).base).any(|id| id == ancestor)
    }

    fn add(&mut self, name: &str, kind: Kind) -> TypeId {
        let id = TypeId(u16::try_from(self.types.len()).unwrap_or(u16::MAX));
        self.types.push(TypeDef::new(id, name, kind));
        self.by_name.insert(name.into(), id);
        id
    }

    /// First round: a name for every type and backbone, so that the second can refer to all of them.
    fn name_types(&mut self, structure: &Value) {
        let name = structure.str_of("type").unwrap_or_default();
        let kind = match structure.str_of("kind") {
            Some("primitive-type") => Kind::Primitive,
            Some("resource") => Kind::Resource,
            _ => Kind::Complex,
        };
        let id = self.add(name, kind);
        if let Some(definition) = self.types.get_mut(usize::from(id.0)) {
            definition.is_abstract =
                structure.get("abstract").and_then(Value::as_bool) == Some(true);
        }
        for element in snapshot(structure) {
            if is_backbone(element) {
                self.add(element.str_of("path").unwrap_or_default(), Kind::Backbone);
            }
        }
    }

    fn fill(&mut self, structure: &Value) {
        let root = structure.str_of("type").unwrap_or_default();
        let base = structure
            .str_of("baseDefinition")
            .and_then(|url| url.rsplit('/').next())
            .and_then(|name| self.by_name(name));
        for element in snapshot(structure) {
            let path = element.str_of("path").unwrap_or_default();
            let Some((parent, name)) = path.rsplit_once('.') else {
                let regex = primitive_regex(structure);
                let constraints = constraints(element);
                self.change(path, |definition| {
                    definition.base = base;
                    definition.regex = regex;
                    definition.constraints = constraints;
                });
                continue;
            };
            if is_backbone(element) {
                let base = element
                    .items_of("type")
                    .first()
                    .and_then(|kind| kind.str_of("code"))
                    .and_then(|code| self.by_name(code));
                self.change(path, |definition| definition.base = base);
            }
            let is_value_of_primitive = name == "value"
                && self
                    .named(root)
                    .is_some_and(|def| def.kind == Kind::Primitive);
            if !is_value_of_primitive {
                let element = self.element(element, path, name);
                self.change(parent, |definition| definition.push(element));
            }
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut TypeDef)) {
        if let Some(definition) = self
            .by_name(name)
            .and_then(|id| self.types.get_mut(usize::from(id.0)))
        {
            change(definition);
        }
    }

    fn element(&self, facts: &Value, path: &str, name: &str) -> Element {
        let plain = name.trim_end_matches("[x]");
        let is_choice = plain.len() != name.len();
        let flag = |name: &str| facts.get(name).and_then(Value::as_bool) == Some(true);
        Element {
            name: plain.into(),
            path: path.into(),
            min: facts
                .get("min")
                .and_then(Value::as_number)
                .and_then(|min| min.parse().ok())
                .unwrap_or(0),
            max: facts.str_of("max").and_then(|max| max.parse().ok()),
            is_choice,
            types: self.type_refs(facts, path, plain, is_choice),
            binding: facts.get("binding").and_then(binding),
            constraints: constraints(facts),
            is_summary: flag("isSummary"),
            is_modifier: flag("isModifier"),
            is_xml_attribute: facts
                .items_of("representation")
                .iter()
                .any(|item| item.as_str() == Some("xmlAttr")),
            max_length: facts
                .get("maxLength")
                .and_then(Value::as_number)
                .and_then(|max| max.parse().ok()),
        }
    }

    fn type_refs(&self, facts: &Value, path: &str, plain: &str, is_choice: bool) -> Vec<TypeRef> {
        let single = |id| {
            vec![TypeRef {
                id,
                json_name: plain.into(),
                profiles: Vec::new(),
                target_profiles: Vec::new(),
            }]
        };
        if is_backbone(facts) {
            return self.by_name(path).map(single).unwrap_or_default();
        }
        if let Some(target) = facts.str_of("contentReference") {
            let target = target.rsplit('#').next().unwrap_or_default();
            return self.by_name(target).map(single).unwrap_or_default();
        }
        let is_resource = path
            .split('.')
            .next()
            .and_then(|root| self.named(root))
            .is_some_and(|root| root.kind == Kind::Resource);
        facts
            .items_of("type")
            .iter()
            .filter_map(|kind| {
                let code = type_code(kind, path, is_resource);
                let json_name = if is_choice {
                    choice_name(plain, code)
                } else {
                    plain.to_owned()
                };
                Some(TypeRef {
                    id: self.by_name(code)?,
                    json_name: json_name.into(),
                    profiles: texts(kind, "profile"),
                    target_profiles: texts(kind, "targetProfile"),
                })
            })
            .collect()
    }
}

impl TypeDef {
    fn new(id: TypeId, name: &str, kind: Kind) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            base: None,
            is_abstract: false,
            elements: Vec::new(),
            constraints: Vec::new(),
            regex: None,
            properties: HashMap::new(),
        }
    }

    fn push(&mut self, element: Element) {
        let index = u16::try_from(self.elements.len()).unwrap_or(u16::MAX);
        for (choice, kind) in (0u16..).zip(&element.types) {
            self.properties
                .insert(kind.json_name.clone(), (index, choice));
        }
        self.elements.push(element);
    }

    /// By the name FHIRPath uses: `value` for `value[x]`.
    pub fn element(&self, name: &str) -> Option<&Element> {
        match self.property(name) {
            Some((element, _)) if !element.is_choice => Some(element),
            _ => self
                .elements
                .iter()
                .find(|element| element.is_choice && *element.name == *name),
        }
    }

    /// By the name JSON uses: `birthDate`, `valueQuantity` (without the underscore of `_birthDate`).
    pub fn property(&self, json_name: &str) -> Option<(&Element, &TypeRef)> {
        self.ordered_property(json_name)
            .map(|(_, element, kind)| (element, kind))
    }

    /// The property of that name, and where its element stands in the order of the specification.
    pub fn ordered_property(&self, json_name: &str) -> Option<(usize, &Element, &TypeRef)> {
        let (element, choice) = self.properties.get(json_name)?;
        let index = usize::from(*element);
        let element = self.elements.get(index)?;
        Some((index, element, element.types.get(usize::from(*choice))?))
    }
}

/// The JSON name of a choice: `value` and `dateTime` make `valueDateTime`.
pub fn choice_name(plain: &str, type_code: &str) -> String {
    let mut letters = type_code.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    plain.chars().chain(first).chain(letters).collect()
}

pub(super) fn snapshot(structure: &Value) -> &[Value] {
    structure
        .get("snapshot")
        .map(|snapshot| snapshot.items_of("element"))
        .unwrap_or_default()
}

/// An element whose children are defined right here, below its own path.
fn is_backbone(element: &Value) -> bool {
    let [kind] = element.items_of("type") else {
        return false;
    };
    let is_inner = element
        .str_of("path")
        .is_some_and(|path| path.contains('.'));
    is_inner && matches!(kind.str_of("code"), Some("BackboneElement" | "Element"))
}

/// Ids and urls are typed `http://hl7.org/fhirpath/System.String` with the FHIR type in an extension. That extension
/// says `string` for ids of resources, where the specification's text says `id`.
pub(super) fn type_code<'a>(kind: &'a Value, path: &str, is_resource: bool) -> &'a str {
    let code = kind.str_of("code").unwrap_or_default();
    if !code.starts_with("http://hl7.org/fhirpath/System.") {
        return code;
    }
    if is_resource && path.ends_with(".id") && path.matches('.').count() == 1 {
        return "id";
    }
    kind.items_of("extension")
        .iter()
        .find(|extension| {
            extension
                .str_of("url")
                .is_some_and(|url| url.ends_with("/structuredefinition-fhir-type"))
        })
        .and_then(|extension| extension.str_of("valueUrl"))
        .unwrap_or("string")
}

fn primitive_regex(structure: &Value) -> Option<Box<str>> {
    let value = snapshot(structure).iter().find(|element| {
        element
            .str_of("path")
            .is_some_and(|path| path.ends_with(".value"))
    })?;
    let kind = value.items_of("type").first()?;
    let regex = kind.items_of("extension").iter().find(|extension| {
        extension.str_of("url") == Some("http://hl7.org/fhir/StructureDefinition/regex")
    })?;
    regex.str_of("valueString").map(Into::into)
}

pub(super) fn texts(value: &Value, name: &str) -> Vec<Box<str>> {
    value
        .items_of(name)
        .iter()
        .filter_map(Value::as_str)
        .map(Into::into)
        .collect()
}

pub(super) fn binding(facts: &Value) -> Option<Binding> {
    let max_value_set = facts
        .items_of("extension")
        .iter()
        .find(|extension| {
            extension
                .str_of("url")
                .is_some_and(|url| url.ends_with("/elementdefinition-maxValueSet"))
        })
        .and_then(|extension| extension.str_of("valueCanonical"));
    Some(Binding {
        strength: strength(facts.str_of("strength")?),
        value_set: facts.str_of("valueSet").unwrap_or_default().into(),
        max_value_set: max_value_set.map(Into::into),
        additional: additional_bindings(facts),
    })
}

fn strength(code: &str) -> Strength {
    match code {
        "required" => Strength::Required,
        "extensible" => Strength::Extensible,
        "preferred" => Strength::Preferred,
        _ => Strength::Example,
    }
}

/// Those for one use of the element only are left out: whether a document is such a use is not for it to say.
fn additional_bindings(facts: &Value) -> Vec<(Strength, Box<str>)> {
    let additional = facts.items_of("extension").iter().filter(|extension| {
        extension.str_of("url").is_some_and(|url| {
            url.ends_with("/additional-binding") || url.ends_with(".binding.additional")
        })
    });
    let part = |extension: &Value, name: &str, value: &str| {
        let parts = extension.items_of("extension").iter();
        let mut named = parts.filter(|part| part.str_of("url") == Some(name));
        named.find_map(|part| part.str_of(value).map(str::to_owned))
    };
    additional
        .filter(|extension| {
            let mut parts = extension.items_of("extension").iter();
            !parts.any(|part| part.str_of("url") == Some("usage"))
        })
        .filter_map(|extension| {
            let purpose = part(extension, "purpose", "valueCode")?;
            let value_set = part(extension, "valueSet", "valueCanonical")?;
            Some((strength(&purpose), value_set.into()))
        })
        .collect()
}

pub(super) fn constraints(facts: &Value) -> Vec<Constraint> {
    facts
        .items_of("constraint")
        .iter()
        .filter_map(|constraint| {
            let is_best_practice = constraint.items_of("extension").iter().any(|extension| {
                extension
                    .str_of("url")
                    .is_some_and(|url| url.ends_with("/elementdefinition-bestpractice"))
                    && extension.get("valueBoolean").and_then(Value::as_bool) == Some(true)
            });
            Some(Constraint {
                key: constraint.str_of("key")?.into(),
                is_error: constraint.str_of("severity") == Some("error"),
                is_best_practice,
                human: constraint.str_of("human").unwrap_or_default().into(),
                expression: constraint.str_of("expression")?.into(),
                source: constraint.str_of("source").unwrap_or_default().into(),
            })
        })
        .collect()
}
