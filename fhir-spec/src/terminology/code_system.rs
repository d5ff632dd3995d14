//! A code system: its concepts by code, their hierarchy and properties.
//! <https://hl7.org/fhir/R4/codesystem.html>

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::standard;
use crate::json::Value;

/// How much of the system the resource carries. <https://hl7.org/fhir/R4/valueset-codesystem-content-mode.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Complete,
    Fragment,
    Example,
    NotPresent,
    Supplement,
}

#[derive(Debug)]
pub struct CodeSystem {
    pub url: Box<str>,
    pub version: Box<str>,
    pub name: Box<str>,
    pub content: Content,
    pub is_case_sensitive: bool,
    /// Whether below means "is a kind of" (and not "is part of" or just "is listed under").
    pub is_hierarchy_of_kinds: bool,
    concepts: Vec<Concept>,
    /// Code (in lower case where case does not matter) -> concept.
    index: HashMap<Box<str>, u32>,
}

#[derive(Debug)]
pub struct Concept {
    pub code: Box<str>,
    pub display: Option<Box<str>>,
    /// Not to be used itself: it groups others.
    pub is_abstract: bool,
    pub is_inactive: bool,
    /// The concepts right above, by index into [`CodeSystem::concepts`].
    pub parents: Vec<u32>,
    pub properties: Vec<Property>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    pub code: Box<str>,
    /// The name of its value in FHIR: `valueCode`, `valueString` ...
    pub value_name: Box<str>,
    pub value: Value,
}

impl CodeSystem {
    pub fn read(resource: &Value) -> Self {
        let text = |name: &str| Box::<str>::from(resource.str_of(name).unwrap_or_default());
        let mut system = Self {
            url: text("url"),
            version: text("version"),
            name: text("name"),
            content: match resource.str_of("content") {
                Some("complete") => Content::Complete,
                Some("fragment") => Content::Fragment,
                Some("example") => Content::Example,
                Some("supplement") => Content::Supplement,
                _ => Content::NotPresent,
            },
            // "If this value is missing, then it is not specified": case matters is the safe reading.
            is_case_sensitive: resource.get("caseSensitive").and_then(Value::as_bool)
                != Some(false),
            is_hierarchy_of_kinds: matches!(
                resource.str_of("hierarchyMeaning"),
                None | Some("is-a")
            ),
            concepts: Vec::new(),
            index: HashMap::new(),
        };
        for concept in resource.items_of("concept") {
            system.add(concept, None);
        }
        system.link_by_property();
        system
    }

    /// A code system of another standard that is held as a list of its codes.
    pub fn of_standard(url: &str) -> Option<Self> {
        let codes = standard::codes(url)?;
        let mut system = Self {
            url: url.into(),
            version: Box::default(),
            name: Box::default(),
            content: Content::Complete,
            is_case_sensitive: true,
            is_hierarchy_of_kinds: true,
            concepts: Vec::new(),
            index: HashMap::new(),
        };
        for code in codes {
            system.push(Concept::read(&Value::from(false), code, None));
        }
        Some(system)
    }

    /// Adds a concept and, below it, its children. The depth is that of the document, which reading has capped.
    fn add(&mut self, facts: &Value, parent: Option<u32>) {
        let Some(code) = facts.str_of("code") else {
            return;
        };
        let number = self.push(Concept::read(facts, code, parent));
        for child in facts.items_of("concept") {
            self.add(child, number);
        }
    }

    fn push(&mut self, concept: Concept) -> Option<u32> {
        let number = u32::try_from(self.concepts.len()).ok()?;
        let key = self.key(&concept.code).into();
        // Of two concepts with one code the first counts.
        self.index.entry(key).or_insert(number);
        self.concepts.push(concept);
        Some(number)
    }

    /// A concept with several parents stands under one of them; properties name the others.
    fn link_by_property(&mut self) {
        let mut links: Vec<(u32, u32)> = Vec::new();
        for (number, concept) in (0u32..).zip(&self.concepts) {
            for property in &concept.properties {
                let Some(other) = property.value.as_str().and_then(|code| self.number(code)) else {
                    continue;
                };
                match &*property.code {
                    "parent" | "subsumedBy" => links.push((number, other)),
                    "child" => links.push((other, number)),
                    _ => {}
                }
            }
        }
        for (child, parent) in links {
            if let Some(concept) = self.at_mut(child)
                && child != parent
            {
                concept.parents.push(parent);
            }
        }
        for concept in &mut self.concepts {
            concept.parents.sort_unstable();
            concept.parents.dedup();
        }
    }

    fn at_mut(&mut self, number: u32) -> Option<&mut Concept> {
        self.concepts.get_mut(usize::try_from(number).ok()?)
    }

    /// Whether a code that is not here does not exist.
    pub fn is_complete(&self) -> bool {
        self.content == Content::Complete
    }

    pub fn concept(&self, code: &str) -> Option<&Concept> {
        self.at(self.number(code)?)
    }

    /// All concepts in the order of the resource: every concept before those below it.
    pub fn concepts(&self) -> &[Concept] {
        &self.concepts
    }

    pub(super) fn at(&self, number: u32) -> Option<&Concept> {
        self.concepts.get(usize::try_from(number).ok()?)
    }

    pub(super) fn number(&self, code: &str) -> Option<u32> {
        self.index.get(&*self.key(code)).copied()
    }

    /// The form in which codes are compared.
    pub(super) fn key<'a>(&self, code: &'a str) -> Cow<'a, str> {
        if self.is_case_sensitive {
            Cow::Borrowed(code)
        } else {
            Cow::Owned(code.to_lowercase())
        }
    }

    /// Whether `b` is `a` or a kind of it. None when one of them is not here or the hierarchy is not one of kinds.
    pub fn subsumes(&self, a: &str, b: &str) -> Option<bool> {
        let (a, b) = (self.number(a)?, self.number(b)?);
        if a != b && !self.is_hierarchy_of_kinds {
            return None;
        }
        Some(self.ancestors(b).contains(&a))
    }

    /// A concept and everything above it.
    pub(super) fn ancestors(&self, number: u32) -> Vec<u32> {
        let mut found = vec![number];
        let mut seen = HashSet::from([number]);
        let mut next = 0;
        while let Some(number) = found.get(next).copied() {
            next += 1;
            for parent in self
                .at(number)
                .map(|concept| &*concept.parents)
                .unwrap_or_default()
            {
                if seen.insert(*parent) {
                    found.push(*parent);
                }
            }
        }
        found
    }
}

impl Concept {
    fn read(facts: &Value, code: &str, parent: Option<u32>) -> Self {
        let properties: Vec<Property> = facts
            .items_of("property")
            .iter()
            .filter_map(Property::read)
            .collect();
        let flag = |name: &str| {
            properties
                .iter()
                .any(|property| &*property.code == name && property.value.as_bool() == Some(true))
        };
        let is_retired = properties.iter().any(|property| {
            &*property.code == "status"
                && matches!(property.value.as_str(), Some("retired" | "inactive"))
        });
        Self {
            code: code.into(),
            display: facts.str_of("display").map(Into::into),
            is_abstract: flag("notSelectable") || flag("abstract"),
            is_inactive: flag("inactive") || is_retired,
            parents: parent.into_iter().collect(),
            properties,
        }
    }

    pub fn property(&self, code: &str) -> Option<&Property> {
        self.properties
            .iter()
            .find(|property| *property.code == *code)
    }
}

impl Property {
    fn read(facts: &Value) -> Option<Self> {
        let (value_name, value) = facts
            .as_object()?
            .iter()
            .find(|(name, _)| name.starts_with("value"))?;
        Some(Self {
            code: facts.str_of("code")?.into(),
            value_name: value_name.into(),
            value: value.clone(),
        })
    }

    /// The value as filters compare it: text, number or boolean as written, the code of a Coding.
    pub fn as_text(&self) -> &str {
        let value = match self.value.as_object() {
            Some(coding) => coding.get("code").unwrap_or(&self.value),
            None => &self.value,
        };
        match value.as_bool() {
            Some(true) => "true",
            Some(false) => "false",
            None => value
                .as_str()
                .or_else(|| value.as_number())
                .unwrap_or_default(),
        }
    }
}
