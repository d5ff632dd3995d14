//! Scenarios: conversations with a server, written so that a FHIR reader can follow them and a machine can hold them.
//!
//! A file under `scenarios/` is Markdown. Each `##` heading opens a scenario; its `http` blocks are requests sent in order,
//! the `expect` block behind each says what must come back:
//!
//! - a status: `201`
//! - a header, where `*` stands for anything: `Location: */Patient/*`
//! - `where EXPRESSION`: a FHIRPath over the answered resource that must be true
//! - `contains TEXT`, `lacks TEXT`: in the body as it came
//! - `let NAME = EXPRESSION` or `let NAME = header NAME`: kept for the requests that follow, as `${NAME}`
//!
//! Two short forms serve searches. A `data` block holds resources, one a line, that are put at their addresses. A `search`
//! block holds searches and what they find, of the resources that the scenario has put; pages are followed to the last:
//!
//! - `Patient?family=a -> p1 p2`: these and no others; `-> nothing`: none
//! - `Patient?_sort=name -> in order: p2 p1`
//! - `Observation?_include=Observation:subject -> o1 +p1`: what comes along
//! - `Patient?famly=a -> 400 family`: refused, with that text in the answer
//!
//! `${repeat N TEXT}` in a request stands for N times TEXT (one million brackets should not be committed).

mod parse;
mod run;
mod search;

pub use parse::{ScenarioError, parse};
pub use run::{Report, run, run_folder};
pub use search::Finds;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub title: String,
    pub exchanges: Vec<Exchange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Line of the file at which the request stands.
    pub line: usize,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub expectations: Vec<Expectation>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    Status(u16),
    Header {
        name: String,
        pattern: String,
    },
    Where(String),
    Contains(String),
    Lacks(String),
    Let {
        name: String,
        expression: String,
    },
    LetHeader {
        name: String,
        header: String,
    },
    /// The resource was stored.
    Stored,
    Finds(Finds),
}
