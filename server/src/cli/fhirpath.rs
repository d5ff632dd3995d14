//! `kiln fhirpath`: what an expression says of a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use fhir_spec::Issue;
use fhir_spec::json::{Object, Value, write_pretty};
use fhir_spec::validate::Validator;

use super::{WRONG_USAGE, document, print, say};
use crate::operations::fhirpath;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  kiln fhirpath \"Patient.name.where(use = 'official').given\" patient.json"
)]
pub(super) struct Flags {
    /// A FHIRPath expression
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    /// A resource in JSON or XML; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Add the type of each result
    #[arg(long)]
    types: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Document(#[from] document::Error),
    #[error("{0} is no document: {1}")]
    Malformed(PathBuf, String),
    #[error("the results cannot be printed")]
    Print(#[from] std::io::Error),
}

/// Prints a JSON array of the results; a wrong expression is wrong usage.
pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let validator = Validator::r4();
    let text = document::text(&flags.file)?;
    let resource = document::parse(&text, validator.definitions())
        .map_err(|issues| Error::Malformed(flags.file.clone(), told(&issues)))?;
    let now = SystemTime::now().into();
    match fhirpath::evaluate(validator, &flags.expression, &resource, now) {
        Ok(answers) => {
            let shown = answers.into_iter().map(|answer| shown(answer, flags.types));
            print(&write_pretty(&shown.collect::<Vec<_>>().into()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&format!("kiln: {error}"));
            Ok(ExitCode::from(WRONG_USAGE))
        }
    }
}

fn shown(answer: fhirpath::Answer, with_type: bool) -> Value {
    if !with_type {
        return answer.value;
    }
    Object::from_iter([
        ("type", Value::from(answer.type_name)),
        ("value", answer.value),
    ])
    .into()
}

fn told(issues: &[Issue]) -> String {
    let texts: Vec<&str> = issues
        .iter()
        .map(|issue| issue.diagnostics.as_str())
        .collect();
    texts.join("; ")
}
