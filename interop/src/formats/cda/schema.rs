//! The paths of maps, checked against the classes of CDA and the templates of C-CDA, and made into tests by number.

use std::sync::{Arc, Mutex, PoisonError};

use crate::mapping::source::{Found, NodeKind, Schema, Step};

use super::model::{self, Model, Template};

/// One step of a path: where to look, and what must hold of what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) axis: Axis,
    pub(super) name: u16,
    pub(super) filters: Vec<Filter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// The elements of that name right below, else the attribute.
    Child,
    /// Those anywhere below.
    Descendant,
    Parent,
    Itself,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    /// By its name in the table.
    Template(&'static Template),
    /// `xsi:type` says one of these.
    Type(Vec<String>),
    /// Something is at the end of these names that says something, other than a nullFlavor.
    Has(Vec<u16>),
    /// What is at the end of these names says one of the values; or does not.
    Says {
        names: Vec<u16>,
        values: Vec<String>,
        is_equal: bool,
    },
}

/// The schema of one set of maps: it remembers the tests that their paths were made into.
#[derive(Debug, Default)]
pub struct CdaSchema {
    tests: Mutex<Vec<Test>>,
}

impl CdaSchema {
    pub fn new() -> Self {
        Self::default()
    }

    /// The tests of all paths so far, for a source to run.
    pub(super) fn tests(&self) -> Arc<[Test]> {
        let tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        tests.as_slice().into()
    }

    fn number(&self, test: Test) -> Result<u16, String> {
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match tests.iter().position(|known| *known == test) {
            Some(place) => place,
            None => {
                tests.push(test);
                tests.len() - 1
            }
        };
        u16::try_from(place).map_err(|_| "fewer different steps in one map".to_owned())
    }
}

impl Schema for CdaSchema {
    fn recurs(&self) -> bool {
        true
    }

    fn root(&self) -> NodeKind {
        Model::get()
            .class_named("ClinicalDocument")
            .map_or(NodeKind::ANY, NodeKind)
    }

    fn kind(&self, name: &str) -> Option<NodeKind> {
        Model::get().class_named(name).map(kind)
    }

    fn path(&self, from: NodeKind, text: &str) -> Result<Found, String> {
        let model = Model::get();
        let mut class = if from == NodeKind::ANY {
            model::ANY
        } else {
            from.0
        };
        let mut steps = Vec::new();
        let mut repeats = false;
        let mut anywhere = false;
        let mut parts = Parts(text).peekable();
        if text.starts_with("//") {
            parts.next();
            parts.next();
            anywhere = true;
        }
        while let Some(part) = parts.next() {
            if part.is_empty() {
                if anywhere || parts.peek().is_none() {
                    return Err("a name after /".to_owned());
                }
                anywhere = true;
                continue;
            }
            let (name, brackets) = split(part)?;
            let mut test = Test {
                axis: if anywhere {
                    Axis::Descendant
                } else {
                    Axis::Child
                },
                name: model::UNKNOWN,
                filters: Vec::new(),
            };
            match name {
                "." | ".." if !anywhere => {
                    test.axis = if name == "." {
                        Axis::Itself
                    } else {
                        Axis::Parent
                    };
                    if name == ".." {
                        class = model::ANY;
                    }
                }
                name => {
                    test.name = model.name(name);
                    let member = if anywhere {
                        (test.name != model::UNKNOWN).then(|| model::Member {
                            rank: 0,
                            class: model.class_of_name(test.name),
                            repeats: true,
                        })
                    } else {
                        model.find(class, test.name)
                    };
                    let member = member.ok_or_else(|| expected(model, class, name))?;
                    class = member.class;
                    repeats |= member.repeats;
                }
            }
            anywhere = false;
            for bracket in brackets {
                let filter = filter(model, &mut class, bracket)?;
                test.filters.push(filter);
            }
            if test.axis == Axis::Itself && test.filters.is_empty() {
                continue;
            }
            steps.push(Step {
                number: self.number(test)?,
                repetition: None,
            });
        }
        Ok(Found {
            steps,
            kind: kind(class),
            repeats,
        })
    }
}

fn kind(class: u32) -> NodeKind {
    if class == model::ANY {
        NodeKind::ANY
    } else {
        NodeKind(class)
    }
}

/// The parts between slashes, those in brackets left alone.
struct Parts<'p>(&'p str);

impl<'p> Iterator for Parts<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        if self.0 == "\0" {
            return None;
        }
        let mut depth = 0u32;
        for (place, sign) in self.0.char_indices() {
            match sign {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                '/' if depth == 0 => {
                    let part = self.0.get(..place)?;
                    self.0 = self.0.get(place + 1..)?;
                    return Some(part);
                }
                _ => {}
            }
        }
        Some(std::mem::replace(&mut self.0, "\0"))
    }
}

/// `name[a][b]` as the name and what stands in the brackets.
fn split(part: &str) -> Result<(&str, Vec<&str>), String> {
    let Some((name, rest)) = part.split_once('[') else {
        return Ok((part, Vec::new()));
    };
    let inside = rest
        .strip_suffix(']')
        .ok_or_else(|| "a ] at the end of this step".to_owned())?;
    Ok((name, inside.split("][").collect()))
}

fn expected(model: &Model, class: u32, name: &str) -> String {
    let alike = |other: &str| {
        let same = name.chars().zip(other.chars());
        same.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let near = model
        .members(class)
        .max_by_key(|other| (alike(other), std::cmp::Reverse(*other)));
    let class = match class {
        model::ANY => "CDA",
        class => model.class_name(class),
    };
    match near.filter(|near| alike(near) > 1) {
        Some(near) => format!("something that {class} has, such as {near}, not {name}"),
        None => format!("something that {class} has, not {name}"),
    }
}

fn filter(model: &Model, class: &mut u32, text: &str) -> Result<Filter, String> {
    let (path, test) = match (text.split_once("!="), text.split_once('=')) {
        (Some((path, values)), _) => (path, Some((values, false))),
        (None, Some((path, values))) => (path, Some((values, true))),
        (None, None) => (text, None),
    };
    if test.is_none() {
        if let Some(template) = Model::get_template(path) {
            return Ok(Filter::Template(template));
        }
        if path.split('|').all(|name| model.is_data_type(name)) {
            let mut classes = path.split('|').filter_map(|name| model.class_named(name));
            if let Some(first) = classes.next() {
                *class = if classes.all(|other| other == first) {
                    first
                } else {
                    model::ANY
                };
            }
            return Ok(Filter::Type(path.split('|').map(str::to_owned).collect()));
        }
        if path.starts_with(|first: char| first.is_ascii_uppercase()) {
            return Err(format!(
                "a template or a data type that is known, not {path}"
            ));
        }
    }
    let mut names = Vec::new();
    let mut here = *class;
    for part in path.split('/').filter(|part| *part != ".") {
        let name = model.name(part);
        let member = model
            .find(here, name)
            .ok_or_else(|| expected(model, here, part))?;
        here = member.class;
        names.push(name);
    }
    Ok(match test {
        None => Filter::Has(names),
        Some((values, is_equal)) => Filter::Says {
            names,
            values: values.split('|').map(str::to_owned).collect(),
            is_equal,
        },
    })
}

impl Model {
    fn get_template(name: &str) -> Option<&'static Template> {
        Self::get().template(name)
    }
}
