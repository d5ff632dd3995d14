//! What a map says, as it was read: rows and the blocks they stand in. Nothing is checked against FHIR or a format yet.

pub mod outward;

use std::sync::Arc;

/// A place in a map file; both from 1.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct At {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub at: At,
}

/// All that a file says.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub maps: Vec<Map>,
    pub shared: Vec<Shared>,
    pub parts: Vec<Part>,
    pub tables: Vec<Table>,
    pub overlays: Vec<Overlay>,
    pub messages: Vec<outward::Message>,
    pub shared_lines: Vec<outward::SharedLines>,
    pub out_parts: Vec<outward::OutPart>,
    pub out_overlays: Vec<outward::OutOverlay>,
}

/// `map patients : csv`
#[derive(Debug, Clone)]
pub struct Map {
    pub name: Word,
    pub format: Word,
    /// What it is for: `ADT^A01`, by the words of the format.
    pub serves: Vec<Word>,
    /// The columns that a source without a schema of its own must have.
    pub columns: Vec<Word>,
    pub constants: Vec<Constant>,
    pub ignored: Vec<Ignored>,
    pub blocks: Vec<Block>,
}

/// `blocks VISIT`: blocks that several maps include.
#[derive(Debug, Clone)]
pub struct Shared {
    pub name: Word,
    pub ignored: Vec<Ignored>,
    pub blocks: Vec<Block>,
}

/// `include VISIT as Prior without Specimen`: the blocks stand here, each label with the word before it.
#[derive(Debug, Clone)]
pub struct Include {
    pub name: Word,
    pub prefix: String,
    /// Blocks that what is included shall not speak of.
    pub without: Vec<Word>,
}

/// `join OBX-3 + OBX-4 if ...`: nodes in a row that say the same there are laid on as one.
#[derive(Debug, Clone)]
pub struct Join {
    pub paths: Vec<Word>,
    pub condition: Option<Condition>,
}

/// `constant name = "value"`; without a value it must be handed in.
#[derive(Debug, Clone)]
pub struct Constant {
    pub name: Word,
    pub value: Option<String>,
}

/// `ignore a, b : "reason"`
#[derive(Debug, Clone)]
pub struct Ignored {
    pub path: Word,
    pub reason: String,
}

/// `segment PID -> Patient`, `type CX -> Identifier`: rows that several maps share.
#[derive(Debug, Clone)]
pub struct Part {
    pub is_type: bool,
    /// What it is called by: the source's name, or another after `as`.
    pub name: Word,
    pub source: Word,
    pub target: Word,
    /// Shared by all that include them.
    pub rows: Vec<Arc<Row>>,
    pub ignored: Vec<Ignored>,
}

/// A group, or a resource made from each node of a path.
#[derive(Debug, Clone)]
pub struct Block {
    pub source: Word,
    pub condition: Option<Condition>,
    pub join: Option<Join>,
    pub resource: Option<ResourceHead>,
    /// What a block without a resource writes into those of others.
    pub assignments: Vec<Assignment>,
    /// Nothing but a place for shared blocks: gone when the pack has been read.
    pub include: Option<Include>,
    pub rows: Vec<Arc<Row>>,
    pub ignored: Vec<Ignored>,
    pub children: Vec<Block>,
}

#[derive(Debug, Clone)]
pub struct ResourceHead {
    pub type_name: Word,
    /// What other blocks call it: `as`, else the type.
    pub label: String,
    /// The segment map to take the rows from, when it is not called by the block's source.
    pub uses: Option<Word>,
    pub identity: Option<Identity>,
    pub contained_in: Option<Word>,
    pub assignments: Vec<Assignment>,
}

/// Which elements find the resource that is there already.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `key`: it is updated. `once`: it stays as it is.
    pub updates: bool,
    pub elements: Vec<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
    Both,
}

impl Block {
    /// A block that says nothing yet but where it is.
    pub(super) fn new(source: Word) -> Self {
        Self {
            source,
            condition: None,
            join: None,
            resource: None,
            assignments: Vec::new(),
            include: None,
            rows: Vec::new(),
            ignored: Vec::new(),
            children: Vec::new(),
        }
    }
}

impl Direction {
    pub fn arrow(self) -> &'static str {
        match self {
            Self::Forward => "->",
            Self::Backward => "<-",
            Self::Both => "<->",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    /// `@name`, else made of source and target: `mrn -> identifier[].value`.
    pub id: String,
    pub at: At,
    pub source: Expression,
    pub direction: Direction,
    pub target: Target,
    pub conversions: Vec<Call>,
    pub condition: Option<Condition>,
    pub assignments: Vec<Assignment>,
}

#[derive(Debug, Clone)]
pub enum Expression {
    Path(Word),
    Text(String),
    Constant(Word),
    Call(Call),
    /// `all(NTE-3, "\n")`: whatever the path leads to, as one text.
    All(Word, String),
    /// `null`: the element is to be deleted.
    Null,
    /// `nth(OBX-3, OBX-4)`: nothing for the first that says so, then `#2`, `#3` ...
    Nth(Vec<Expression>),
    Concatenation(Vec<Expression>),
}

/// `trim`, `substring(1, 3)`, `code sex`, `CX`
#[derive(Debug, Clone)]
pub struct Call {
    pub name: Word,
    pub arguments: Vec<Expression>,
    /// `code sex`: the table.
    pub table: Option<Word>,
}

/// `name[use=official].given[]`
#[derive(Debug, Clone)]
pub struct Target {
    pub text: String,
    pub at: At,
    pub steps: Vec<TargetStep>,
}

#[derive(Debug, Clone)]
pub struct TargetStep {
    pub name: Word,
    pub which: Which,
}

#[derive(Debug, Clone)]
pub enum Which {
    /// No brackets: the only one, or the first of a list.
    First,
    /// `[]`: one more.
    New,
    /// `[2]`: counted from one, in rows for the way out.
    Nth(u16),
    /// `[last]`: the one that was made last, or the first one.
    Last,
    /// `[use=home, system=phone]`: the one that says so.
    Where(Vec<(Target, Expression)>),
}

/// Inside braces: `use = "home"`, `subject = Patient`, `^DiagnosticReport.result += self`
#[derive(Debug, Clone)]
pub struct Assignment {
    pub at: At,
    pub target: Target,
    pub value: Assigned,
    /// `^DiagnosticReport`: written there instead.
    pub elsewhere: Option<Word>,
}

#[derive(Debug, Clone)]
pub enum Assigned {
    /// A name alone may also be a block's: then it is a reference to the resource made there.
    Value(Expression, Vec<Call>),
    Itself,
    /// `link.other -= Other`: the item that refers to the resource of that block is no more.
    Without(Word),
}

#[derive(Debug, Clone)]
pub enum Condition {
    Valued(Word),
    Null(Word),
    Compare {
        left: Expression,
        is_equal: bool,
        right: Vec<Expression>,
    },
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// `codes sex to http://... keep`
#[derive(Debug, Clone)]
pub struct Table {
    pub name: Word,
    pub from_system: Option<String>,
    pub to_system: Option<String>,
    /// A code without a row is carried as it is.
    pub keeps: bool,
    pub rows: Vec<TableRow>,
}

#[derive(Debug, Clone)]
pub struct TableRow {
    pub at: At,
    /// Empty: `*`, whatever has no row.
    pub sources: Vec<String>,
    pub code: String,
    pub display: Option<String>,
}

/// `overlay clinic7 : patients`
#[derive(Debug, Clone)]
pub struct Overlay {
    pub name: Word,
    pub base: Word,
    pub changes: Vec<Change>,
    pub constants: Vec<Constant>,
}

#[derive(Debug, Clone)]
pub struct Change {
    /// The block (its label) or part (`type CX`) whose row it is.
    pub block: Word,
    pub at: At,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone)]
pub enum ChangeKind {
    Add(Row),
    Replace(Row),
    Remove(String),
}
