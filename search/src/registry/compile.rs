//! From the expressions of parameters to paths: each branch is followed through the types to the elements it means.

use std::collections::{BTreeMap, HashMap};

use fhir_spec::definitions::{Binding, Definitions, Kind, SearchParameter, TypeId, Types};
use fhir_spec::fhirpath::Expression;

use super::own::OwnParameter;
use super::path::{self, Step};
use super::take::parts_of;
use super::{ElementFacts, Only, Parameter, Problem, ResourceType, Rules, Source};
use crate::contained;
use crate::hash;
use crate::plan::{Edge, Guard, Leaf, Node, Take};
use crate::table::TableKind;
use crate::text;
use crate::types::{SearchType, token};

/// A parameter that is more than a path: FHIRPath answers it, and its values are taken by their types.
#[derive(Debug)]
pub struct Computed {
    pub(crate) expression: Expression,
    pub(crate) takes: Vec<(TypeId, Node)>,
}

pub(super) type Told = String;

/// What the definitions say of a type, with what users have posted laid over it: under the url of a parameter of the
/// definitions it takes the place of that one.
pub(super) fn resource_type(
    definitions: &Definitions,
    name: &str,
    own: &[OwnParameter],
    contained: i64,
) -> ResourceType {
    let types = definitions.types();
    let mut compiler = Compiler {
        definitions,
        types,
        name,
        own: types.by_name(name),
        posted: own,
        is_posted: false,
        root: Node::default(),
        computed: Vec::new(),
        paths: HashMap::new(),
    };
    let mut parameters: BTreeMap<Box<str>, Parameter> = BTreeMap::new();
    let mut problems = Vec::new();
    let is_replaced = |url: &str| own.iter().any(|own| *own.definition.url == *url);
    let given = definitions.search_parameters_for(name);
    let given = given.filter(|definition| !is_replaced(&definition.url));
    let posted = own.iter().map(|own| &own.definition);
    let posted = posted.filter(|definition| definitions.is_for(definition, name));
    let all = given.map(|given| (given, false));
    for (definition, is_posted) in all.chain(posted.map(|posted| (posted, true))) {
        compiler.is_posted = is_posted;
        let added = compiler.parameter(definition).and_then(|parameter| {
            if is_posted {
                fit(&parameters, &parameter, definition)?;
            }
            join(&mut parameters, parameter)
        });
        if let Err(told) = added {
            problems.push(Problem {
                code: definition.code.clone(),
                url: definition.url.clone(),
                told,
            });
        }
    }
    let contained = compiler.contained(contained);
    ResourceType {
        name: name.into(),
        contained,
        parameters: parameters.into_values().collect(),
        root: compiler.root,
        computed: compiler.computed,
        paths: compiler.paths,
        problems,
    }
}

/// Whether a parameter that somebody posted may stand beside what is known by its code: it must say nothing else, or
/// derive from it.
fn fit(
    known: &BTreeMap<Box<str>, Parameter>,
    new: &Parameter,
    definition: &SearchParameter,
) -> Result<(), Told> {
    let Some(old) = known.get(&new.code) else {
        return Ok(());
    };
    let says_the_same = old.kind == new.kind
        && new
            .sources
            .iter()
            .all(|source| old.sources.contains(source))
        && new.tuples.iter().all(|tuple| old.tuples.contains(tuple));
    let derives = old.kind == new.kind && definition.derived_from.as_ref() == Some(&old.url);
    if says_the_same || derives {
        return Ok(());
    }
    Err(format!(
        "`{}` is the code of {} already: choose another code, or the url of that one to take its place",
        new.code, old.url
    ))
}

/// A package may say a code again: what either finds is found, as long as both are of one type.
fn join(known: &mut BTreeMap<Box<str>, Parameter>, new: Parameter) -> Result<(), Told> {
    let Some(old) = known.get_mut(&new.code) else {
        known.insert(new.code.clone(), new);
        return Ok(());
    };
    if old.kind != new.kind {
        return Err(format!(
            "`{}` is of type {} already",
            new.code,
            old.kind.code()
        ));
    }
    old.sources.extend(new.sources);
    old.sources.sort_unstable();
    old.sources.dedup();
    for tuple in new.tuples {
        if !old.tuples.contains(&tuple) {
            old.tuples.push(tuple);
        }
    }
    for target in new.targets {
        if !old.targets.is_empty() && !old.targets.contains(&target) {
            old.targets.push(target);
        }
    }
    old.rules = std::mem::take(&mut old.rules).or(&new.rules);
    Ok(())
}

impl Rules {
    pub(super) fn of(definition: &SearchParameter) -> Self {
        Self {
            modifiers: definition.modifier.clone(),
            comparators: definition.comparator.clone(),
            is_of_one_value: definition.multiple_or == Some(false),
            is_given_once: definition.multiple_and == Some(false),
        }
    }

    /// What either allows.
    fn or(mut self, other: &Self) -> Self {
        let either = |own: &mut Vec<Box<str>>, other: &[Box<str>]| {
            if other.is_empty() {
                own.clear();
            }
            if !own.is_empty() {
                let more = other.iter().filter(|name| !own.contains(name));
                let more: Vec<Box<str>> = more.cloned().collect();
                own.extend(more);
            }
        };
        either(&mut self.modifiers, &other.modifiers);
        either(&mut self.comparators, &other.comparators);
        self.is_of_one_value &= other.is_of_one_value;
        self.is_given_once &= other.is_given_once;
        self
    }
}

pub(super) struct Compiler<'d> {
    pub(super) definitions: &'d Definitions,
    pub(super) types: &'d Types,
    name: &'d str,
    own: Option<TypeId>,
    /// What users have posted, whatever it is for.
    pub(super) posted: &'d [OwnParameter],
    /// The parameter at hand is one of those: it is looked at more closely.
    is_posted: bool,
    pub(super) root: Node,
    computed: Vec<Computed>,
    paths: HashMap<i32, Box<str>>,
}

/// Where the steps of a path have led so far.
#[derive(Clone)]
pub(super) struct Walk<'d> {
    /// The name of the path, the same for all that means the same.
    pub(super) text: String,
    pub(super) places: Vec<Place<'d>>,
    only: Only,
    /// Whether an element on the way may repeat.
    pub(super) repeats: bool,
}

#[derive(Clone)]
pub(super) struct Place<'d> {
    pub(super) edges: Vec<Edge>,
    pub(super) type_id: TypeId,
    pub(super) binding: Option<&'d Binding>,
}

/// A leaf to be, and the table it fills.
pub(super) struct Found {
    pub(super) edges: Vec<Edge>,
    table: TableKind,
    text: String,
    element: ElementFacts,
    pub(super) take: Take,
}

impl<'d> Compiler<'d> {
    fn parameter(&mut self, definition: &SearchParameter) -> Result<Parameter, Told> {
        let kind = SearchType::from_code(&definition.kind)
            .ok_or_else(|| format!("no type of search is called `{}`", definition.kind))?;
        let mut parameter = Parameter {
            code: definition.code.clone(),
            url: definition.url.clone(),
            kind,
            sources: Vec::new(),
            tuples: Vec::new(),
            targets: definition.target.clone(),
            // What others say is what they ask of a server at least.
            rules: match self.is_posted {
                true => Rules::of(definition),
                false => Rules::default(),
            },
        };
        // Columns of the store's own tables, or answered by other means.
        let has_rows = !matches!(&*definition.code, "_id" | "_lastUpdated");
        if has_rows && kind == SearchType::Composite {
            parameter.tuples = self.composite(definition)?;
        } else if has_rows {
            parameter.sources = self.sources(kind, &definition.expression)?;
        }
        let is_empty = parameter.sources.is_empty() && parameter.tuples.is_empty();
        if self.is_posted && has_rows && is_empty {
            let (expression, name) = (&definition.expression, self.name);
            return Err(format!("`{expression}` leads to nothing in a {name}"));
        }
        Ok(parameter)
    }

    fn sources(&mut self, kind: SearchType, expression: &str) -> Result<Vec<Source>, Told> {
        let mut sources = Vec::new();
        for branch in path::branches(expression) {
            let Some(steps) = path::steps(branch) else {
                if self.is_of_another(branch) {
                    continue;
                }
                sources.extend(self.computed(kind, branch, self.is_posted)?);
                continue;
            };
            if let Some(steps) = self.own_steps(&steps) {
                sources.extend(match self.follow(self.start(), steps, kind) {
                    Ok(walk) => self.keep(kind, &walk)?,
                    // Within other resources, whose types are only known when they are seen, FHIRPath finds its way.
                    Err(told) => self.computed(kind, branch, true).map_err(|_| told)?,
                });
            }
        }
        sources.sort_unstable();
        sources.dedup();
        Ok(sources)
    }

    /// Whether an expression begins with the name of another resource type.
    fn is_of_another(&self, branch: &str) -> bool {
        let name: String = branch
            .chars()
            .skip_while(|c| *c == '(' || c.is_whitespace())
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let named = self.types.by_name(&name);
        named.is_some_and(|named| self.own.is_some_and(|own| !self.types.is_a(own, named)))
    }

    pub(super) fn start(&self) -> Walk<'d> {
        let places = self.own.map(|type_id| Place {
            edges: Vec::new(),
            type_id,
            binding: None,
        });
        Walk {
            text: self.name.into(),
            places: places.into_iter().collect(),
            only: Only::Any,
            repeats: false,
        }
    }

    /// The steps after the name of the type; nothing when they begin with another resource type.
    pub(super) fn own_steps<'s>(&self, steps: &'s [Step]) -> Option<&'s [Step]> {
        let Some((Step::Member(first), rest)) = steps.split_first() else {
            return Some(steps);
        };
        let Some(named) = self.types.by_name(first) else {
            return Some(steps);
        };
        let is_own = self.own.is_some_and(|own| self.types.is_a(own, named));
        is_own.then_some(rest)
    }

    pub(super) fn follow(
        &self,
        mut walk: Walk<'d>,
        steps: &[Step],
        kind: SearchType,
    ) -> Result<Walk<'d>, Told> {
        for (index, step) in steps.iter().enumerate() {
            let is_last = index + 1 == steps.len();
            match step {
                Step::Member(name) => self.member(&mut walk, name)?,
                Step::OfType(name) => self.of_type(&mut walk, name)?,
                Step::Where(name, text) if is_last && self.is_telecom(&walk, name, kind) => {
                    walk.only = Only::System(hash::long(text));
                }
                Step::Where(name, text) => {
                    walk.text.push_str(&format!("[{name}={text}]"));
                    walk.guard(&Guard::Has(name.clone(), text.clone()));
                }
                Step::Targets(name) => walk.only = Only::Target(hash::short(name)),
                Step::Index(index) => {
                    walk.text.push_str(&format!("[{index}]"));
                    walk.guard(&Guard::Nth(*index));
                }
            }
        }
        Ok(walk)
    }

    fn member(&self, walk: &mut Walk<'d>, name: &str) -> Result<(), Told> {
        let mut places = Vec::new();
        let mut step = name.to_owned();
        for place in &walk.places {
            let definition = self.types.get(place.type_id);
            // `valueDateTime` is no FHIRPath, and written by many all the same: US Core 6.1 is one.
            let (element, types) = match (definition.element(name), definition.property(name)) {
                (Some(element), _) => (element, element.types.as_slice()),
                (None, Some((element, type_ref))) => {
                    let own = &self.types.get(type_ref.id).name;
                    step = format!("{}.ofType({own})", element.name);
                    (element, std::slice::from_ref(type_ref))
                }
                (None, None) => continue,
            };
            walk.repeats |= element.is_list();
            for type_ref in types {
                let mut edges = place.edges.clone();
                edges.push(Edge::Member(type_ref.json_name.clone()));
                places.push(Place {
                    edges,
                    type_id: type_ref.id,
                    binding: element.binding.as_ref(),
                });
            }
        }
        if places.is_empty() {
            return Err(format!("`{}` has no element `{name}`", walk.text));
        }
        walk.text.push_str(&format!(".{step}"));
        walk.places = places;
        Ok(())
    }

    /// R4 writes `as(DateTime)` once, where no such type is.
    fn of_type(&self, walk: &mut Walk<'d>, name: &str) -> Result<(), Told> {
        let is_wanted = |place: &Place<'d>| {
            let own = &self.types.get(place.type_id).name;
            own.eq_ignore_ascii_case(name)
                || self
                    .types
                    .by_name(name)
                    .is_some_and(|wanted| self.types.is_a(place.type_id, wanted))
        };
        let before = walk.places.len();
        walk.places.retain(is_wanted);
        let Some(first) = walk.places.first() else {
            return Err(format!("`{}` is never a {name}", walk.text));
        };
        if before > 1 {
            let own = &self.types.get(first.type_id).name;
            walk.text.push_str(&format!(".ofType({own})"));
        }
        Ok(())
    }

    /// Contacts are kept with their system: a parameter for phones needs no rows of its own.
    fn is_telecom(&self, walk: &Walk<'d>, name: &str, kind: SearchType) -> bool {
        let is_contact = |place: &Place<'d>| &*self.types.get(place.type_id).name == "ContactPoint";
        kind == SearchType::Token && name == "system" && walk.places.iter().all(is_contact)
    }

    /// Gives a path its leaves in the tree of this type.
    pub(super) fn keep(&mut self, kind: SearchType, walk: &Walk<'d>) -> Result<Vec<Source>, Told> {
        let found = self.leaves(kind, walk)?;
        let mut sources = Vec::new();
        for found in found {
            let path = self.claim(found.table, &found.text)?;
            self.claim_beside(path, &found)?;
            let leaf = Leaf {
                path,
                take: found.take,
            };
            self.root.add(&found.edges, leaf);
            let (table, only, element) = (found.table, walk.only, found.element);
            sources.push(Source {
                table,
                path,
                only,
                element,
            });
        }
        Ok(sources)
    }

    /// The path that stands for the rows of what resources of this type contain.
    fn contained(&mut self, kind_of_rows: i64) -> Option<i32> {
        let definition = self.types.get(self.own?);
        definition.element("contained")?;
        let text = contained::marker(self.name, kind_of_rows);
        self.claim(TableKind::Token, &text).ok()
    }

    /// The number of a path. Two paths of one number are refused: one would find the other's rows.
    pub(super) fn claim(&mut self, table: TableKind, text: &str) -> Result<i32, Told> {
        self.claim_number(path_number(table, text), text)
    }

    /// The paths that are filled along with one.
    fn claim_beside(&mut self, path: i32, found: &Found) -> Result<(), Told> {
        for beside in found.take.beside() {
            self.claim(TableKind::Token, &format!("{}:{beside}", found.text))?;
        }
        if matches!(found.table, TableKind::Token | TableKind::Reference) {
            self.claim_number(token::bare(path), &format!("{}:bare", found.text))?;
        }
        Ok(())
    }

    fn claim_number(&mut self, path: i32, text: &str) -> Result<i32, Told> {
        let known = self.paths.entry(path).or_insert_with(|| text.into());
        if **known == *text {
            return Ok(path);
        }
        Err(format!("`{text}` has the number of `{known}`"))
    }

    /// The elements of a path that this type of search can take.
    pub(super) fn leaves(&self, kind: SearchType, walk: &Walk<'d>) -> Result<Vec<Found>, Told> {
        let mut found = Vec::new();
        for place in &walk.places {
            self.leaf(kind, place, walk, &mut found);
        }
        if found.is_empty() {
            let names = walk.places.iter();
            let names: Vec<&str> = names
                .map(|place| &*self.types.get(place.type_id).name)
                .collect();
            let (text, kind) = (&walk.text, kind.code());
            return Err(format!(
                "`{text}` is a {}, which no {kind} search can take",
                names.join(" or ")
            ));
        }
        Ok(found)
    }

    fn leaf(&self, kind: SearchType, place: &Place<'d>, walk: &Walk<'d>, found: &mut Vec<Found>) {
        let definition = self.types.get(place.type_id);
        for part in parts_of(kind, &definition.name) {
            let mut inner = Walk {
                places: vec![place.clone()],
                ..walk.clone()
            };
            if self.member(&mut inner, part).is_ok() {
                for place in &inner.places {
                    self.leaf(kind, place, &inner, found);
                }
            }
        }
        if let Some((table, take)) = self.take(kind, place, &walk.text) {
            let is_token = table == TableKind::Token;
            found.push(Found {
                edges: place.edges.clone(),
                table,
                text: walk.text.clone(),
                element: ElementFacts {
                    repeats: walk.repeats,
                    is_primitive: is_token && definition.kind == Kind::Primitive,
                    is_identifying: matches!(&*definition.name, "Identifier" | "ContactPoint"),
                    is_canonical: &*definition.name == "canonical",
                    has_text: text::has_text(&take),
                },
                take,
            });
        }
    }

    /// What FHIRPath has to answer: each type that can be searched so gets a leaf.
    fn computed(
        &mut self,
        kind: SearchType,
        branch: &str,
        is_checked: bool,
    ) -> Result<Vec<Source>, Told> {
        let own = self.own.ok_or("there is no such type")?;
        let expression =
            Expression::for_search(branch, self.types, own).map_err(|error| error.to_string())?;
        if is_checked {
            let parsed = Expression::parse(branch);
            let checked = parsed.and_then(|parsed| parsed.check(self.types, own, false));
            checked.map_err(|error| error.to_string())?;
        }
        let mut sources = Vec::new();
        let mut takes = Vec::new();
        let types = self.types;
        for definition in types.iter().filter(|d| d.kind != Kind::Backbone) {
            let walk = Walk {
                text: format!("{}:{branch}", self.name),
                places: vec![Place {
                    edges: Vec::new(),
                    type_id: definition.id,
                    binding: None,
                }],
                only: Only::Any,
                repeats: true,
            };
            let Ok(found) = self.leaves(kind, &walk) else {
                continue;
            };
            let mut node = Node::default();
            for found in found {
                let path = self.claim(found.table, &found.text)?;
                self.claim_beside(path, &found)?;
                sources.push(Source {
                    table: found.table,
                    path,
                    only: Only::Any,
                    element: found.element,
                });
                let take = found.take;
                node.add(&found.edges, Leaf { path, take });
            }
            takes.push((definition.id, node));
        }
        self.computed.push(Computed { expression, takes });
        Ok(sources)
    }
}

impl Walk<'_> {
    fn guard(&mut self, guard: &Guard) {
        for place in &mut self.places {
            place.edges.push(Edge::Guard(guard.clone()));
        }
    }
}

pub(super) fn path_number(table: TableKind, text: &str) -> i32 {
    hash::short(&format!("{table:?} {text}"))
}
