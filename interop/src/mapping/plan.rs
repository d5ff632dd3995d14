//! A compiled map: numbers and slots. Nothing of it is text that a run would have to read.

use std::collections::HashMap;

use fhir_spec::json::{Text, Value};
use fhir_spec::primitive::Primitive;

use super::functions::Function;
use super::row::{At, Direction};
use super::source::Step;

/// A map made ready: shared by all threads, run by [`super::Runner`].
#[derive(Debug)]
pub struct Plan {
    pub(super) name: Box<str>,
    pub(super) format: Box<str>,
    pub(super) serves: Vec<Box<str>>,
    pub(super) columns: Vec<Box<str>>,
    /// The first is the map itself: its node is the whole source.
    pub(super) blocks: Vec<BlockPlan>,
    pub(super) types: Vec<RowSet>,
    /// What `made` and `within` look for.
    pub(super) made: Vec<MadePlan>,
    pub(super) tables: Vec<TablePlan>,
    pub(super) constants: Vec<ConstantPlan>,
    pub(super) rows: Vec<RowInfo>,
}

impl Plan {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The format its sources have.
    pub fn format(&self) -> &str {
        &self.format
    }

    /// What it is for, by the words of its format.
    pub fn serves(&self) -> impl Iterator<Item = &str> {
        self.serves.iter().map(|name| &**name)
    }

    /// The columns it names; an optional one ends with `?` in the map and stands here without it.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|name| &**name)
    }

    /// The constants that it takes.
    pub fn constants(&self) -> impl Iterator<Item = &str> {
        self.constants.iter().map(|constant| &*constant.name)
    }

    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// What a row is called and where it stands.
    pub fn row(&self, number: u32) -> Option<&RowInfo> {
        self.rows.get(index(number))
    }

    pub fn rows(&self) -> impl Iterator<Item = &RowInfo> {
        self.rows.iter()
    }
}

/// What a person needs to find a row.
#[derive(Debug, Clone)]
pub struct RowInfo {
    /// The block or part it belongs to.
    pub block: Box<str>,
    pub id: Box<str>,
    pub at: At,
    pub direction: Direction,
}

#[derive(Debug)]
pub(super) struct ConstantPlan {
    pub(super) name: Box<str>,
    pub(super) value: Option<Text>,
}

#[derive(Debug, Default)]
pub(super) struct BlockPlan {
    pub(super) source: SourcePath,
    pub(super) condition: Option<ConditionPlan>,
    pub(super) join: Option<JoinPlan>,
    pub(super) resource: Option<ResourcePlan>,
    /// Of a block without a resource: what it writes into those of others.
    pub(super) assignments: Vec<AssignmentPlan>,
    pub(super) children: Vec<u32>,
    /// The blocks below it are those between its own number and this one.
    pub(super) end: u32,
    pub(super) ignored: Vec<IgnoredPlan>,
}

/// When a node is laid on as one with the node before it.
#[derive(Debug)]
pub(super) struct JoinPlan {
    pub(super) paths: Vec<SourcePath>,
    pub(super) condition: Option<ConditionPlan>,
}

#[derive(Debug)]
pub(super) struct ResourcePlan {
    pub(super) type_name: Text,
    pub(super) rows: RowSet,
    pub(super) assignments: Vec<AssignmentPlan>,
    pub(super) identity: Option<IdentityPlan>,
    pub(super) contained_in: Option<u32>,
    /// The elements that must be there, each with all its names.
    pub(super) required: Vec<Vec<Text>>,
}

#[derive(Debug)]
pub(super) struct IdentityPlan {
    pub(super) updates: bool,
    /// Search parameters and where their values are.
    pub(super) elements: Vec<(Text, Vec<TargetPlan>)>,
}

#[derive(Debug, Default)]
pub(super) struct RowSet {
    /// The node whose children its rows need.
    pub(super) own: Base,
    pub(super) rows: Vec<RowPlan>,
    pub(super) ignored: Vec<IgnoredPlan>,
}

/// What is left out on purpose.
#[derive(Debug)]
pub(super) struct IgnoredPlan {
    pub(super) needs: u64,
    pub(super) path: SourcePath,
}

#[derive(Debug)]
pub(super) struct RowPlan {
    pub(super) info: u32,
    pub(super) direction: Direction,
    /// Children without which it says nothing, as [`super::source::Source::present`] has them.
    pub(super) needs: u64,
    pub(super) source: ExpressionPlan,
    /// Once for every repetition of its source, which then is `It(0)`.
    pub(super) each: Option<SourcePath>,
    pub(super) condition: Option<ConditionPlan>,
    pub(super) calls: Vec<CallPlan>,
    pub(super) finish: Finish,
    pub(super) target: Vec<TargetPlan>,
    pub(super) target_text: Box<str>,
    pub(super) assignments: Vec<AssignmentPlan>,
    /// Braces say what stands beside the end of the path, not within: it is a plain value or a reference.
    pub(super) is_plain: bool,
    /// A constant for what earlier rows did not find.
    pub(super) is_default: bool,
    /// Other rows give items to the same list: what is null here does not empty it.
    pub(super) shares_list: bool,
}

/// What the value must be in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Primitive(Primitive),
    /// Made by the rows of a type map.
    Type(u32),
    /// References to what blocks made, by the number of a [`MadePlan`].
    Made(u32),
    /// Complex, and made by a function or code table.
    Whole,
    /// A reference to the resource of a block.
    Reference(u32),
}

/// `made(A, B)`: what one of these blocks made of the node; `within(A, B)`: all that they made of what is in it.
#[derive(Debug)]
pub(super) struct MadePlan {
    pub(super) blocks: Vec<u32>,
    pub(super) is_within: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The node of the repetition or type map that is run, or one further out.
    It(u8),
    /// The node of the block, or of one around it.
    Block(u8),
}

impl Default for Base {
    fn default() -> Self {
        Self::Block(0)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourcePath {
    pub(super) base: Base,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum ExpressionPlan {
    Path(SourcePath),
    Literal(Value),
    Constant(u32),
    /// What is said to be no more.
    Null,
    Call(&'static Function, Vec<ExpressionPlan>),
    /// Whatever a path leads to, with a text between.
    All(SourcePath, Text),
    /// The place among those of its block that say the same.
    Nth(Vec<ExpressionPlan>),
    Concatenation(Vec<ExpressionPlan>),
}

impl ExpressionPlan {
    /// It says the same whatever the source.
    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Path(_) | Self::All(..) | Self::Nth(_) => false,
            Self::Literal(_) | Self::Constant(_) | Self::Null => true,
            Self::Call(_, arguments) => arguments.iter().all(Self::is_constant),
            Self::Concatenation(terms) => terms.iter().all(Self::is_constant),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum CallPlan {
    Function(&'static Function, Vec<ExpressionPlan>),
    Code(u32, Shape),
}

/// What a code table makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Code,
    Coding,
    Concept,
}

#[derive(Debug, Clone)]
pub(super) enum ConditionPlan {
    Valued(SourcePath),
    Null(SourcePath),
    Compare {
        left: ExpressionPlan,
        is_equal: bool,
        right: Vec<ExpressionPlan>,
    },
    Not(Box<ConditionPlan>),
    All(Vec<ConditionPlan>),
    Any(Vec<ConditionPlan>),
}

/// One step down in a resource.
#[derive(Debug, Clone)]
pub(super) struct TargetPlan {
    pub(super) name: Text,
    pub(super) is_list: bool,
    pub(super) which: WhichPlan,
    /// The other types of the same choice: one of them there, and this may not be.
    pub(super) rivals: Vec<Text>,
}

#[derive(Debug, Clone)]
pub(super) enum WhichPlan {
    First,
    New,
    Last,
    /// From one on; on the way out alone.
    Nth(u16),
    Where(Vec<(Vec<TargetPlan>, ExpressionPlan, Primitive)>),
}

#[derive(Debug)]
pub(super) struct AssignmentPlan {
    pub(super) info: u32,
    pub(super) target: Vec<TargetPlan>,
    pub(super) value: AssignedPlan,
    /// The block whose resource it is written to, when that is another one.
    pub(super) elsewhere: Option<u32>,
}

#[derive(Debug)]
pub(super) enum AssignedPlan {
    Value(ExpressionPlan, Vec<CallPlan>, Finish),
    /// The resource of another block.
    Reference(u32),
    /// This resource, for an element of another one.
    Itself,
    /// The item that refers to the resource of a block is to be deleted.
    Without(u32),
}

#[derive(Debug)]
pub(super) struct TablePlan {
    pub(super) name: Box<str>,
    pub(super) rows: Vec<(Text, Option<Text>)>,
    pub(super) by_source: HashMap<Box<str>, u32>,
    /// The first source of each code.
    pub(super) by_code: HashMap<Box<str>, Text>,
    pub(super) otherwise: Option<u32>,
    pub(super) keeps: bool,
    pub(super) from_system: Option<Text>,
    pub(super) to_system: Option<Text>,
}

pub(super) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
