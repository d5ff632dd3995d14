//! What CDA and C-CDA fix: classes with their attributes and elements, and templates by name. Read once from tables.

use std::collections::HashMap;
use std::sync::LazyLock;

const CLASSES: &str = include_str!("../../../data/cda/classes.txt");
const TEMPLATES: &str = include_str!("../../../data/cda/templates.txt");

/// A name that CDA does not have.
pub(super) const UNKNOWN: u16 = 0;
/// The attribute `type` of another namespace: `xsi:type`.
pub(super) const XSI_TYPE: u16 = 1;

/// What every class has.
const COMMON: &[(&str, &str)] = &[
    ("nullFlavor", ""),
    ("classCode", ""),
    ("moodCode", ""),
    ("typeCode", ""),
    ("determinerCode", ""),
    ("contextControlCode", ""),
    ("contextConductionInd", ""),
    ("ID", ""),
    ("realmCode", "CD"),
    ("typeId", "II"),
    ("templateId", "II"),
];

/// Data types that differ from one of the table only in what they leave out.
const ALIASES: &[(&str, &str)] = &[
    ("CE", "CD"),
    ("CV", "CD"),
    ("CS", "CD"),
    ("CO", "CD"),
    ("IVL_TS", "TS"),
    ("PIVL_TS", "TS"),
    ("EIVL_TS", "TS"),
    ("SXPR_TS", "TS"),
    ("IVL_PQ", "PQ"),
    ("INT", "PQ"),
    ("IVL_INT", "PQ"),
    ("REAL", "PQ"),
    ("IVL_REAL", "PQ"),
    ("MO", "PQ"),
    ("RTO", "PQ"),
    ("RTO_PQ_PQ", "PQ"),
    ("SLIST_PQ", "PQ"),
    ("ST", "ED"),
    ("PN", "EN"),
    ("ON", "EN"),
    ("TN", "EN"),
    ("ANY", ""),
];

/// A class by its number; this one has no name and may be anything.
pub(super) const ANY: u32 = 0;
/// A plain value: an attribute.
pub(super) const PLAIN: u32 = 1;
/// The text of a section.
pub(super) const NARRATIVE: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Class {
    pub(super) name: &'static str,
    members: HashMap<u16, Member>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) class: u32,
    pub(super) repeats: bool,
    /// Its place among its siblings.
    pub(super) rank: u16,
}

/// A template of C-CDA: any of its ids says it, for a section also its code.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) roots: Vec<&'static str>,
    pub(super) codes: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct Model {
    names: HashMap<&'static str, u16>,
    texts: Vec<&'static str>,
    classes: Vec<Class>,
    by_name: HashMap<&'static str, u32>,
    templates: HashMap<&'static str, Template>,
    id_attribute: u16,
}

impl Model {
    pub(super) fn get() -> &'static Self {
        static MODEL: LazyLock<Model> = LazyLock::new(Model::read);
        &MODEL
    }

    fn read() -> Self {
        let mut model = Self {
            names: HashMap::new(),
            texts: vec!["?", "xsi:type"],
            classes: ["", "a plain value", "Narrative"]
                .into_iter()
                .map(|name| Class {
                    name,
                    members: HashMap::new(),
                })
                .collect(),
            by_name: HashMap::from([("Narrative", NARRATIVE)]),
            templates: HashMap::new(),
            id_attribute: 0,
        };
        let entries = entries(CLASSES);
        for (name, _) in &entries {
            model.class(name);
        }
        for (alias, of) in ALIASES {
            let class = if of.is_empty() { ANY } else { model.class(of) };
            model.by_name.insert(alias, class);
        }
        for (name, members) in &entries {
            let class = model.class(name);
            for (member, of) in COMMON {
                model.member(class, member, false, of);
            }
            for text in members {
                match text.strip_prefix('@') {
                    Some(attribute) => model.member(class, attribute, false, ""),
                    None => {
                        let (member, of) = text.split_once(':').unwrap_or((text, ""));
                        let bare = member.trim_end_matches('*');
                        model.member(class, bare, bare != member, of);
                    }
                }
            }
        }
        for (name, tokens) in self::entries(TEMPLATES) {
            let (codes, roots): (Vec<_>, Vec<_>) = tokens
                .into_iter()
                .partition(|token| token.starts_with("code:"));
            let codes = codes.iter().filter_map(|token| token.strip_prefix("code:"));
            let template = Template {
                codes: codes.collect(),
                roots,
            };
            model.templates.insert(name, template);
        }
        model.id_attribute = model.name("ID");
        model
    }

    fn class(&mut self, name: &'static str) -> u32 {
        if let Some(found) = self.by_name.get(name) {
            return *found;
        }
        let here = super::narrow(self.classes.len());
        self.classes.push(Class {
            name,
            members: HashMap::new(),
        });
        self.by_name.insert(name, here);
        here
    }

    fn member(&mut self, class: u32, name: &'static str, repeats: bool, of: &'static str) {
        let number = match self.names.get(name) {
            Some(number) => *number,
            None => {
                let number = u16::try_from(self.texts.len()).unwrap_or(UNKNOWN);
                self.texts.push(name);
                self.names.insert(name, number);
                number
            }
        };
        let of = match of {
            "" => PLAIN,
            of => self.class(of),
        };
        let repeats = repeats || name == "templateId" || name == "realmCode";
        if let Some(class) = self.classes.get_mut(super::wide(class)) {
            let rank = u16::try_from(class.members.len()).unwrap_or(u16::MAX);
            class.members.entry(number).or_insert(Member {
                class: of,
                repeats,
                rank,
            });
        }
    }

    /// The number of a name; zero when CDA does not have it.
    pub(super) fn name(&self, text: &str) -> u16 {
        self.names.get(text).copied().unwrap_or(UNKNOWN)
    }

    pub(super) fn text(&self, name: u16) -> &'static str {
        self.texts.get(usize::from(name)).copied().unwrap_or("?")
    }

    pub(super) fn name_count(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn id_attribute(&self) -> u16 {
        self.id_attribute
    }

    pub(super) fn class_named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(super) fn class_name(&self, class: u32) -> &'static str {
        self.classes
            .get(super::wide(class))
            .map_or("", |class| class.name)
    }

    /// What a class has under a name. Of what may be anything, whatever has that name in some class.
    pub(super) fn find(&self, class: u32, name: u16) -> Option<Member> {
        if class == ANY {
            return (name != UNKNOWN).then_some(Member {
                class: ANY,
                repeats: true,
                rank: 0,
            });
        }
        self.classes
            .get(super::wide(class))?
            .members
            .get(&name)
            .copied()
    }

    /// The class that all elements of a name have; anything when they have several.
    pub(super) fn class_of_name(&self, name: u16) -> u32 {
        let mut all = self
            .classes
            .iter()
            .filter_map(|class| class.members.get(&name));
        let first = all.next().map_or(ANY, |member| member.class);
        if all.all(|member| member.class == first) {
            first
        } else {
            ANY
        }
    }

    pub(super) fn members(&self, class: u32) -> impl Iterator<Item = &'static str> + '_ {
        let members = self.classes.get(super::wide(class)).into_iter();
        members.flat_map(|class| class.members.keys().map(|name| self.text(*name)))
    }

    pub(super) fn template(&self, name: &str) -> Option<&Template> {
        self.templates.get(name)
    }

    pub(super) fn is_data_type(&self, name: &str) -> bool {
        const OWN: &[&str] = &["CD", "PQ", "TS", "ED", "BL", "II", "EN", "AD", "TEL"];
        OWN.contains(&name) || ALIASES.iter().any(|(alias, _)| *alias == name)
    }
}

/// `Name = token token`, going on in lines that stand deeper; `#` begins a comment.
fn entries(text: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut entries: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default();
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let tokens = match line.split_once('=') {
            Some((name, tokens)) if !line.starts_with(' ') => {
                entries.push((name.trim(), Vec::new()));
                tokens
            }
            _ => line,
        };
        if let Some((_, all)) = entries.last_mut() {
            all.extend(tokens.split_whitespace());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        let model = Model::get();
        for class in &model.classes {
            for member in class.members.values() {
                let of = super::super::wide(member.class);
                assert!(
                    model.classes.get(of).is_some_and(|of| {
                        !of.members.is_empty() || matches!(member.class, ANY | PLAIN | NARRATIVE)
                    }),
                    "{} leads to {}",
                    class.name,
                    model.class_name(member.class)
                );
            }
        }
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for (name, template) in &model.templates {
            assert!(
                !template.roots.is_empty() || !template.codes.is_empty(),
                "{name}"
            );
            for root in &template.roots {
                assert!(
                    root.split('.').all(|part| part.parse::<u32>().is_ok()),
                    "{root}"
                );
                // In the first CCD these are of all classes; a path names the element beside.
                let is_of_many = [
                    "2.16.840.1.113883.10.20.1.25",
                    "2.16.840.1.113883.10.20.1.29",
                ];
                if is_of_many.contains(root) {
                    continue;
                }
                if let Some(other) = seen.insert(root, name) {
                    panic!("{root} is {name} and {other}");
                }
            }
        }
    }
}
