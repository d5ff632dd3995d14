//! What is said of the way out: messages, the lines of their segments, and rows that give a place of a message its value.

use super::{At, Call, Condition, Constant, Target, Word};

/// `message ORU_R01`: a message that is made of resources.
#[derive(Debug, Clone)]
pub struct Message {
    pub name: Word,
    /// Types and events: `ORU^R01`.
    pub serves: Vec<Word>,
    pub start: Option<Start>,
    /// `on R01 if status = "final"`: which event a change of such a resource is.
    pub occasions: Vec<Occasion>,
    pub constants: Vec<Constant>,
    /// Rows of segments that stand by themselves.
    pub rows: Vec<OutRow>,
    pub lines: Vec<OutLine>,
}

/// `start DiagnosticReport+ as Report`: the resources that a message is asked for.
#[derive(Debug, Clone)]
pub struct Start {
    pub type_name: Word,
    pub label: String,
    /// `+`: those of one patient go into one message.
    pub together: bool,
}

/// `on A03 if status = "finished"`
#[derive(Debug, Clone)]
pub struct Occasion {
    pub event: Word,
    pub condition: Option<Condition>,
}

/// `lines VISIT`: lines that several messages include.
#[derive(Debug, Clone)]
pub struct SharedLines {
    pub name: Word,
    pub lines: Vec<OutLine>,
}

/// `OBSERVATION* <- Report.result as Result`: a group or segment, once for each of what stands behind the arrow.
#[derive(Debug, Clone)]
pub struct OutLine {
    pub source: Word,
    pub from: From,
    pub label: Option<String>,
    /// The map to take the rows from, when it is not called by the segment.
    pub uses: Option<Word>,
    pub condition: Option<Condition>,
    pub rows: Vec<OutRow>,
    pub lines: Vec<OutLine>,
    /// Nothing but a place for shared lines.
    pub include: bool,
}

/// What a line is made of.
#[derive(Debug, Clone)]
pub enum From {
    /// Nothing: it is there once.
    Nothing,
    /// `Report.result`, or `component` of what the line around is made of.
    Path(Target),
    /// `AllergyIntolerance(patient = Patient)`: those that refer to it.
    Referring {
        type_name: Word,
        element: Target,
        to: Word,
    },
}

/// `segment PID <- Patient`, `type CX <- Identifier`: rows for the way out, beside those that go both ways.
#[derive(Debug, Clone)]
pub struct OutPart {
    pub is_type: bool,
    pub name: Word,
    pub source: Word,
    pub target: Word,
    pub rows: Vec<OutRow>,
}

/// `PID-7 <- birthDate`
#[derive(Debug, Clone)]
pub struct OutRow {
    pub id: String,
    pub at: At,
    pub place: Word,
    pub value: Told,
    pub conversions: Vec<Call>,
    pub condition: Option<Condition>,
}

/// What a place gets.
#[derive(Debug, Clone)]
pub enum Told {
    /// An element, or what elements it refers to have.
    Path(Target),
    Text(String),
    /// `$now`, `$event`, or one that the message declares.
    Constant(Word),
    /// `all(NTE-3, "\n") <- note[].text`: the parts of a text, each in a repetition of its own.
    Parts(Target, String),
}

/// `overlay lab7 to ORU_R01`: what one receiver wants otherwise.
#[derive(Debug, Clone)]
pub struct OutOverlay {
    pub name: Word,
    pub base: Word,
    pub constants: Vec<Constant>,
    /// Segments and groups that it does not want.
    pub without: Vec<Word>,
    pub changes: Vec<OutChange>,
}

/// A change in the rows of a map: `in PID`, `in OBX <- Observation`.
#[derive(Debug, Clone)]
pub struct OutChange {
    pub part: Word,
    pub target: Option<Word>,
    pub at: At,
    pub kind: OutChangeKind,
}

#[derive(Debug, Clone)]
pub enum OutChangeKind {
    Add(OutRow),
    Replace(OutRow),
    Remove(String),
}
