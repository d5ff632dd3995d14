//! Rows to a plan: every path of the source against its schema, every path of the target against FHIR's types, every
//! table, type map and function by its name. All that is wrong is told at once.

mod fhir;
mod needs;
mod outward;
mod rows;
mod source;
mod tables;

use std::collections::{HashMap, HashSet};

use fhir_spec::definitions::{Definitions, Kind, TypeId};
use fhir_spec::json::Text;

use super::error::{BadMap, Problem};
use super::pack::Pack;
use super::plan::{
    AssignmentPlan, BlockPlan, ConstantPlan, IdentityPlan, JoinPlan, Plan, ResourcePlan, RowSet,
    number,
};
use super::row::{Block, Join, Map, ResourceHead, Word};
use super::source::{NodeKind, Schema};
use source::Scope;

/// Type maps in type maps.
const TYPE_DEPTH_MAX: usize = 8;

impl Pack {
    /// Compiles a map: at run time, where the pack is known to be good.
    pub fn compile(
        &self,
        map: &str,
        schema: &dyn Schema,
        definitions: &Definitions,
    ) -> Result<Plan, BadMap> {
        self.compiled(map, schema, definitions, false)
            .map(|(plan, _)| plan)
    }

    /// The same, and holds codes against the value sets that FHIR fixes: for what somebody wrote just now.
    pub fn check(
        &self,
        map: &str,
        schema: &dyn Schema,
        definitions: &Definitions,
    ) -> Result<Plan, BadMap> {
        self.compiled(map, schema, definitions, true)
            .map(|(plan, _)| plan)
    }

    /// Checks all maps, and that every table and every type and segment map is used by one of them.
    pub fn check_all<'s>(
        &self,
        schema_of: impl Fn(&str) -> Option<&'s dyn Schema>,
        definitions: &Definitions,
    ) -> Result<Vec<Plan>, BadMap> {
        let mut problems = Vec::new();
        let mut plans = Vec::new();
        let mut used = Used::default();
        for map in &self.maps {
            let Some(schema) = schema_of(&map.name.text) else {
                problems.push(
                    Problem::new(map.format.at.clone(), "a format that is known")
                        .found(&map.format.text),
                );
                continue;
            };
            match self.compiled(&map.name.text, schema, definitions, true) {
                Ok((plan, by_this)) => {
                    plans.push(plan);
                    used.tables.extend(by_this.tables);
                    used.parts.extend(by_this.parts);
                }
                Err(bad) => problems.extend(bad.0),
            }
        }
        if problems.is_empty() {
            for (place, table) in self.tables.iter().enumerate() {
                if !used.tables.contains(&place) {
                    problems.push(
                        Problem::new(table.name.at.clone(), "a row that uses this code table")
                            .found(&table.name.text),
                    );
                }
            }
            for name in &self.never_included {
                let expected = "a map that includes these blocks";
                problems.push(Problem::new(name.at.clone(), expected).found(&name.text));
            }
            for (place, part) in self.parts.iter().enumerate() {
                if !used.parts.contains(&place) {
                    problems.push(
                        Problem::new(part.name.at.clone(), "a row or block that uses this map")
                            .found(&part.name.text),
                    );
                }
            }
        }
        if problems.is_empty() {
            Ok(plans)
        } else {
            Err(BadMap(problems))
        }
    }

    fn compiled(
        &self,
        name: &str,
        schema: &dyn Schema,
        definitions: &Definitions,
        is_thorough: bool,
    ) -> Result<(Plan, Used), BadMap> {
        let Some(map) = self.map(name) else {
            let at = super::row::At {
                file: name.into(),
                line: 1,
                column: 1,
            };
            return Err(BadMap(vec![
                Problem::new(at, "a map of the pack").found(name),
            ]));
        };
        let mut compiler = Compiler::new(self, map, schema, definitions, is_thorough);
        compiler.map(map);
        compiler.problems.dedup();
        if compiler.problems.is_empty() {
            Ok((compiler.plan, compiler.used))
        } else {
            Err(BadMap(compiler.problems))
        }
    }
}

/// Tables and parts of the pack that a map made use of.
#[derive(Default)]
struct Used {
    tables: HashSet<usize>,
    parts: HashSet<usize>,
}

struct Compiler<'c> {
    pack: &'c Pack,
    schema: &'c dyn Schema,
    definitions: &'c Definitions,
    is_thorough: bool,
    plan: Plan,
    problems: Vec<Problem>,
    /// Kinds of the blocks around, the map first.
    blocks_around: Vec<NodeKind>,
    /// What resources are called, the number of their block, and their type.
    labels: Vec<(String, u32, TypeId)>,
    /// Type maps that are compiled: by part and the kind they are seen from.
    types: HashMap<(usize, NodeKind), u32>,
    types_open: usize,
    tables: HashMap<usize, u32>,
    used: Used,
    used_constants: HashSet<usize>,
    next_label: u32,
    /// What is compiled is a message that is made of resources.
    outward: Option<outward::Outward>,
}

impl<'c> Compiler<'c> {
    fn new(
        pack: &'c Pack,
        map: &Map,
        schema: &'c dyn Schema,
        definitions: &'c Definitions,
        is_thorough: bool,
    ) -> Self {
        let texts = |words: &[Word]| {
            words
                .iter()
                .map(|word| word.text.trim_end_matches('?').into())
                .collect()
        };
        let constants = map.constants.iter().map(|constant| ConstantPlan {
            name: constant.name.text.as_str().into(),
            value: constant.value.as_deref().map(Text::from),
        });
        Self {
            pack,
            schema,
            definitions,
            is_thorough,
            plan: Plan {
                name: map.name.text.as_str().into(),
                format: map.format.text.as_str().into(),
                serves: texts(&map.serves),
                columns: texts(&map.columns),
                blocks: vec![BlockPlan::default()],
                types: Vec::new(),
                made: Vec::new(),
                tables: Vec::new(),
                constants: constants.collect(),
                rows: Vec::new(),
            },
            problems: Vec::new(),
            blocks_around: vec![schema.root()],
            labels: Vec::new(),
            types: HashMap::new(),
            types_open: 0,
            tables: HashMap::new(),
            used: Used::default(),
            used_constants: HashSet::new(),
            next_label: 1,
            outward: None,
        }
    }

    fn map(&mut self, map: &Map) {
        let mut next = 1;
        self.collect_labels(&map.blocks, &mut next);
        let children: Vec<u32> = map
            .blocks
            .iter()
            .filter_map(|block| self.block(block))
            .collect();
        let ignored = self.ignored(
            &Scope {
                of_type: None,
                each: None,
            },
            &map.ignored,
        );
        if let Some(root) = self.plan.blocks.first_mut() {
            root.children = children;
            root.ignored = ignored;
        }
        if map.blocks.is_empty() {
            self.problems.push(
                Problem::new(map.name.at.clone(), "at least one resource in this map")
                    .found(&map.name.text),
            );
        }
        for (place, constant) in map.constants.iter().enumerate() {
            if !self.used_constants.contains(&place) {
                self.problems.push(
                    Problem::new(constant.name.at.clone(), "a row that uses this constant")
                        .found(&constant.name.text),
                );
            }
        }
    }

    /// Numbers are given in the order in which [`Compiler::block`] will compile.
    fn collect_labels(&mut self, blocks: &[Block], next: &mut u32) {
        for block in blocks {
            let here = *next;
            *next += 1;
            if let Some(head) = &block.resource
                && let Some(type_id) = self.definitions.types().by_name(&head.type_name.text)
            {
                if self.labels.iter().any(|(label, ..)| *label == head.label) {
                    let expected = "another name for this block (as): there is one of this name";
                    self.problems
                        .push(Problem::new(head.type_name.at.clone(), expected).found(&head.label));
                }
                self.labels.push((head.label.clone(), here, type_id));
            }
            self.collect_labels(&block.children, next);
        }
    }

    fn block(&mut self, block: &Block) -> Option<u32> {
        let here = self.next_label;
        self.next_label += 1;
        self.plan.blocks.push(BlockPlan::default());
        let scope = Scope {
            of_type: None,
            each: None,
        };
        let (source, kind) = match self.source(&scope, &block.source) {
            Ok(resolved) => (resolved.path, resolved.kind),
            Err(problem) => {
                self.problems.push(problem);
                // What stands inside would only be told as wrong because of it; its numbers must be passed over.
                self.next_label += count_of(&block.children);
                self.plan
                    .blocks
                    .resize_with(super::plan::index(self.next_label), BlockPlan::default);
                return None;
            }
        };
        self.blocks_around.push(self.kind_of_use(kind, block));
        let join = block.join.as_ref().and_then(|join| self.join(&scope, join));
        let condition = block.condition.as_ref().and_then(|condition| {
            self.condition(&scope, condition)
                .map_err(|problem| self.problems.push(problem))
                .ok()
        });
        let resource = block
            .resource
            .as_ref()
            .and_then(|head| self.resource(block, head, &scope));
        let (ignored, assignments) = match block.resource {
            None => (
                self.ignored(&scope, &block.ignored),
                self.elsewhere(&scope, block),
            ),
            Some(_) => (Vec::new(), Vec::new()),
        };
        let children = block
            .children
            .iter()
            .filter_map(|child| self.block(child))
            .collect();
        self.blocks_around.pop();
        if let Some(plan) = self.plan.blocks.get_mut(super::plan::index(here)) {
            *plan = BlockPlan {
                source,
                condition,
                join,
                resource,
                assignments,
                children,
                end: self.next_label,
                ignored,
            };
        }
        Some(here)
    }

    /// Where the format cannot say what stands at a block, the segment map that it uses does.
    fn kind_of_use(&self, kind: NodeKind, block: &Block) -> NodeKind {
        let of = |block: &Block| block.resource.as_ref().and_then(|head| head.uses.clone());
        // Of a group, the blocks in it say so.
        let uses = of(block).or_else(|| block.children.iter().find_map(of));
        let Some(uses) = uses.filter(|_| kind == NodeKind::ANY) else {
            return kind;
        };
        let part = self
            .pack
            .parts
            .iter()
            .find(|part| !part.is_type && part.name.text == uses.text);
        part.and_then(|part| self.schema.kind(&part.source.text))
            .unwrap_or(kind)
    }

    fn join(&mut self, scope: &Scope, join: &Join) -> Option<JoinPlan> {
        let paths: Result<Vec<_>, _> = join
            .paths
            .iter()
            .map(|path| Ok(self.source(scope, path)?.path))
            .collect();
        let condition = join.condition.as_ref();
        let condition = condition
            .map(|condition| self.condition(scope, condition))
            .transpose();
        match (paths, condition) {
            (Ok(paths), Ok(condition)) => Some(JoinPlan { paths, condition }),
            (paths, condition) => {
                self.problems.extend(paths.err());
                self.problems.extend(condition.err());
                None
            }
        }
    }

    /// What a block without a resource writes into those of others.
    fn elsewhere(&mut self, scope: &Scope, block: &Block) -> Vec<AssignmentPlan> {
        if let Some(own) = block.assignments.iter().find(|own| own.elsewhere.is_none()) {
            let expected =
                "another block to write to: ^Block.element += ..., for this one makes no resource";
            self.problems
                .push(Problem::new(own.at.clone(), expected).found(&own.target.text));
            return Vec::new();
        }
        let Some(first) = block.assignments.first() else {
            return Vec::new();
        };
        let info = number(self.plan.rows.len());
        self.plan.rows.push(super::plan::RowInfo {
            block: block.source.text.as_str().into(),
            id: format!("{} -> {}", block.source.text, first.target.text).into(),
            at: block.source.at.clone(),
            direction: super::row::Direction::Forward,
        });
        // Nothing is written here, so it does not matter of what type here is.
        let nowhere = self.labels.first().map(|(.., type_id)| *type_id);
        let assignments = nowhere
            .ok_or_else(|| {
                Problem::new(
                    first.at.clone(),
                    "a block of this map that makes a resource",
                )
            })
            .and_then(|nowhere| self.assignments(scope, nowhere, &block.assignments, info));
        assignments
            .map_err(|problem| self.problems.push(problem))
            .unwrap_or_default()
    }

    fn resource(
        &mut self,
        block: &Block,
        head: &ResourceHead,
        scope: &Scope,
    ) -> Option<ResourcePlan> {
        let types = self.definitions.types();
        let type_name = &head.type_name;
        let definition = types
            .named(&type_name.text)
            .filter(|found| found.kind == Kind::Resource && !found.is_abstract);
        let Some(definition) = definition else {
            self.problems.push(
                Problem::new(type_name.at.clone(), "a resource type of R4").found(&type_name.text),
            );
            return None;
        };
        let mut rows = self.shared_rows(block, head, definition.id)?;
        let mut own = self.row_set(
            &head.label,
            None,
            definition.id,
            &block.rows,
            &block.ignored,
        );
        rows.rows.append(&mut own.rows);
        rows.ignored.append(&mut own.ignored);
        let info = number(self.plan.rows.len());
        self.plan.rows.push(super::plan::RowInfo {
            block: head.label.as_str().into(),
            id: format!("{} -> {}", block.source.text, type_name.text).into(),
            at: block.source.at.clone(),
            direction: super::row::Direction::Forward,
        });
        let assignments = self.assignments(scope, definition.id, &head.assignments, info);
        let assignments = assignments
            .map_err(|problem| self.problems.push(problem))
            .unwrap_or_default();
        let contained_in = head.contained_in.as_ref().and_then(|word| {
            let found = self
                .labels
                .iter()
                .find(|(label, ..)| *label == word.text)
                .map(|(_, block, _)| *block);
            if found.is_none() {
                self.problems
                    .push(Problem::new(word.at.clone(), "a block of this map").found(&word.text));
            }
            found
        });
        let required = definition.elements.iter().filter(|element| element.min > 0);
        Some(ResourcePlan {
            type_name: type_name.text.as_str().into(),
            rows,
            assignments,
            identity: self.identity(head, definition.id),
            contained_in,
            required: required
                .map(|element| {
                    element
                        .types
                        .iter()
                        .map(|kind| Text::from(&*kind.json_name))
                        .collect()
                })
                .collect(),
        })
    }

    /// The rows of the segment map that a block names, or that is called as its source is.
    fn shared_rows(
        &mut self,
        block: &Block,
        head: &ResourceHead,
        target: TypeId,
    ) -> Option<RowSet> {
        let name = head.uses.as_ref().unwrap_or(&block.source);
        let pack = self.pack;
        let place = pack.parts.iter().position(|part| {
            !part.is_type && part.name.text == name.text && part.target.text == head.type_name.text
        });
        let Some((place, part)) = place.and_then(|place| Some((place, pack.part(place)?))) else {
            if let Some(uses) = &head.uses {
                let expected = format!("a segment map that gives a {}", head.type_name.text);
                self.problems
                    .push(Problem::new(uses.at.clone(), expected).found(&uses.text));
                return None;
            }
            return Some(RowSet::default());
        };
        self.used.parts.insert(place);
        Some(self.row_set(&part.name.text, None, target, &part.rows, &part.ignored))
    }

    fn identity(&mut self, head: &ResourceHead, type_id: TypeId) -> Option<IdentityPlan> {
        let identity = head.identity.as_ref()?;
        let mut elements = Vec::new();
        for element in &identity.elements {
            match self.target(type_id, element) {
                Ok((steps, _)) => {
                    let names: Vec<&str> = element
                        .steps
                        .iter()
                        .map(|step| step.name.text.as_str())
                        .collect();
                    elements.push((parameter(&names.join("-")), steps));
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        Some(IdentityPlan {
            updates: identity.updates,
            elements,
        })
    }

    fn part_named(&self, name: &str, is_type: bool) -> Option<usize> {
        self.pack
            .parts
            .iter()
            .position(|part| part.is_type == is_type && part.name.text == name)
    }

    /// The rows of a type map seen from nodes of a kind; compiled once for each kind.
    fn compiled_type(&mut self, place: usize, kind: NodeKind) -> Result<u32, Problem> {
        self.used.parts.insert(place);
        if let Some(found) = self.types.get(&(place, kind)) {
            return Ok(*found);
        }
        let pack = self.pack;
        let Some(part) = pack.part(place) else {
            return Err(Problem::new(super::row::At::default(), "a type map"));
        };
        if self.outward.is_some() {
            return self.out_set(&part.name.text, &part.target.text, Some(kind));
        }
        let Some(target) = self.definitions.types().by_name(&part.target.text) else {
            return Err(
                Problem::new(part.target.at.clone(), "a type of R4").found(&part.target.text)
            );
        };
        if self.types_open >= TYPE_DEPTH_MAX {
            return Err(Problem::new(
                part.name.at.clone(),
                "no type map that leads back to itself",
            )
            .found(&part.name.text));
        }
        let here = number(self.plan.types.len());
        self.plan.types.push(RowSet::default());
        if self.schema.recurs() {
            self.types.insert((place, kind), here);
        }
        self.types_open += 1;
        let rows = self.row_set(
            &part.name.text,
            Some(kind),
            target,
            &part.rows,
            &part.ignored,
        );
        self.types_open -= 1;
        if let Some(reserved) = self.plan.types.get_mut(super::plan::index(here)) {
            *reserved = rows;
        }
        self.types.insert((place, kind), here);
        Ok(here)
    }
}

/// The search parameter of an element: the same word in small letters with dashes.
fn parameter(name: &str) -> Text {
    // Documents have two elements for one parameter.
    if name == "masterIdentifier" {
        return "identifier".into();
    }
    let mut made = Text::default();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            made.push('-');
        }
        made.push(letter.to_ascii_lowercase());
    }
    made
}

fn count_of(blocks: &[Block]) -> u32 {
    blocks
        .iter()
        .map(|block| 1 + count_of(&block.children))
        .sum()
}
