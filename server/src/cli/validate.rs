//! `kiln validate`: whether files say what FHIR and their profiles allow.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::validate::{Request, Validator};
use fhir_spec::{Issue, IssueCode, Severity};

use super::{FAILED, chain, document, packages, print, say};

/// Names the file that an outcome is about.
const FILE_EXTENSION: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-file";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Prints an OperationOutcome a line, one for each file; exit status 1 when one of them has errors.\n\nExample:\n  kiln validate --package us-core.tgz patient.json bundle.xml"
)]
pub(super) struct Flags {
    /// Resources in JSON or XML; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A FHIR package (.tgz) whose profiles count; may be given more than once, dependencies too
    #[arg(long = "package", value_name = "FILE")]
    packages: Vec<PathBuf>,
    /// The canonical url of a profile that every file must conform to; may be given more than once
    #[arg(long = "profile", value_name = "URL")]
    profiles: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Packages(#[from] crate::packages::Error),
    #[error("the outcomes cannot be printed")]
    Print(#[from] std::io::Error),
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let validator = Validator::new(packages::definitions(&flags.packages)?);
    let profiles: Vec<&str> = flags.profiles.iter().map(String::as_str).collect();
    let mut has_errors = false;
    for file in &flags.files {
        let issues = match document::text(file) {
            Ok(text) => check(&validator, &text, &profiles),
            Err(error) => vec![Issue::error(IssueCode::NotFound, chain(&error))],
        };
        has_errors |= issues.iter().any(Issue::is_error);
        say(&format!("{}: {}", file.display(), summary(&issues)));
        print(&format!("{}\n", outcome(file, &issues)))?;
    }
    Ok(if has_errors {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn check(validator: &Validator, text: &[u8], profiles: &[&str]) -> Vec<Issue> {
    match document::parse(text, validator.definitions()) {
        Ok(resource) => validator.validate(
            &resource,
            &Request {
                source: std::str::from_utf8(text).ok(),
                profiles,
                ..Request::default()
            },
        ),
        Err(issues) => issues,
    }
}

fn outcome(file: &Path, issues: &[Issue]) -> Value {
    let mut outcome = operation_outcome(issues);
    if let Some(object) = outcome.as_object_mut() {
        let extension = Object::from_iter([
            ("url", FILE_EXTENSION.to_owned()),
            ("valueString", file.display().to_string()),
        ]);
        object.insert_at(1, "extension", vec![extension.into()]);
    }
    outcome
}

fn summary(issues: &[Issue]) -> String {
    let count = |severity| {
        issues
            .iter()
            .filter(|issue| issue.severity == severity)
            .count()
    };
    let (errors, warnings) = (
        issues.iter().filter(|issue| issue.is_error()).count(),
        count(Severity::Warning),
    );
    format!(
        "{errors} errors, {warnings} warnings, {} notes",
        count(Severity::Information)
    )
}
