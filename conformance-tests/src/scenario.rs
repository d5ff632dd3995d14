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
//! `${repeat N TEXT}` in a request stands for N times TEXT (one million brackets should not be committed).

mod parse;
mod run;

pub use parse::{ScenarioError, parse};
pub use run::{Report, run, run_folder};

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
    Header { name: String, pattern: String },
    Where(String),
    Contains(String),
    Lacks(String),
    Let { name: String, expression: String },
    LetHeader { name: String, header: String },
}
