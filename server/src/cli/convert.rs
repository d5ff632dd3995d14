//! `kiln convert`: what files of others say, as FHIR. Nothing is stored.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format as Notation;
use fhir_spec::json::{Object, Value, write_pretty};
use fhir_spec::outcome::operation_outcome;
use interop::formats::Format;
use interop::formats::hl7v2::Version;

use super::mapped::{self, Mapping};
use super::{FAILED, document, print, say};
use crate::conversion::{self, Asked, Speaking};
use crate::maps;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Takes HL7 v2 (messages and batches, in delimiters or XML), clinical documents (C-CDA, CDA R2) and delimited text (CSV, TSV,\nPSV), told apart by what is in them.\n\
Prints one transaction bundle of all files. A row or message that cannot become FHIR is named on stderr with line and\n\
column, the rest is converted, and the exit status is 1.\n\n\
The other way: with --to csv resources or bundles become rows of the map that --map names, with --to cda a document Bundle\n\
(or what a bundle holds of one patient) becomes C-CDA, with --to hl7v2 resources become messages, of the type and event that\n\
are asked for or that suit them; a required field without a value is an error that names the elements which would give it.\n\n\
Examples:\n  kiln convert adt.hl7 --loss\n  kiln convert referral.xml\n  kiln convert patients.csv --const mrn_system=urn:hospital:mrn --zone Europe/Berlin\n  kiln convert people.json --to csv --map patients\n  kiln convert document.json --to cda\n  kiln convert report.json --to hl7v2 --type ORU --hl7-version 2.5.1"
)]
pub(super) struct Flags {
    /// Files; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the files are, where their beginning does not tell
    #[arg(long, value_name = "hl7v2|ccda|csv", value_parser = mapped::format)]
    from: Option<Format>,
    /// What they become
    #[arg(long, value_name = "fhir|csv|cda|hl7v2", default_value = "fhir", value_parser = ["fhir", "csv", "cda", "hl7v2"])]
    to: String,
    #[command(flatten)]
    speaking: Spoken,
    #[command(flatten)]
    mapping: Mapping,
    /// Add the loss report: `{"bundle": ..., "loss": OperationOutcome}`
    #[arg(long)]
    loss: bool,
    /// Say on stderr which row of which map made each element
    #[arg(long)]
    trace: bool,
}

/// What messages of HL7 v2 shall be.
#[derive(Debug, clap::Args)]
struct Spoken {
    /// With --to hl7v2: the type of the message, such as ADT [default: what suits the resources]
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// With --to hl7v2: the event, such as A08
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// With --to hl7v2: the version, 2.3 to 2.8.2
    #[arg(long, value_name = "VERSION", default_value = "2.5.1", value_parser = conversion::version)]
    hl7_version: Version,
    /// With --to hl7v2: a later version whose fields and datatypes are used, as profiles do
    #[arg(long, value_name = "VERSION", value_parser = conversion::version)]
    hl7_datatypes: Option<Version>,
    /// With --to hl7v2: the control id of the first message [default: made of the time]
    #[arg(long, value_name = "ID")]
    control_id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Document(#[from] document::Error),
    #[error(transparent)]
    Maps(#[from] maps::Error),
    #[error(transparent)]
    Mapping(#[from] mapped::Error),
    #[error("--to csv needs --map")]
    NoMap,
    #[error("{0} is no document: {1}")]
    Malformed(PathBuf, String),
    #[error("the bundle cannot be printed")]
    Print(#[from] std::io::Error),
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let maps = flags.mapping.maps(&[])?;
    let translator = maps.translator(flags.mapping.zone(), flags.mapping.constants())?;
    if flags.to == Format::Csv.name() {
        return backwards(flags, &translator);
    }
    if flags.to == Format::Cda.name() {
        return clinical(flags);
    }
    if flags.to == Format::Hl7v2.name() {
        return messages(flags, &translator);
    }
    let now = SystemTime::now().into();
    let (mut all, mut losses, mut has_errors) = (Vec::new(), Vec::new(), false);
    for file in &flags.files {
        let bytes = document::text(file)?;
        let asked = Asked {
            format: flags.from,
            map: flags.mapping.map().map(str::to_owned),
            charset: flags.mapping.charset().map(str::to_owned),
            delimiter: flags.mapping.delimiter(),
            name: file.display().to_string(),
            now,
            trace: flags.trace,
        };
        let (mapped, issues, trace) = match conversion::convert(&translator, &bytes, &asked) {
            Ok(converted) => (converted.mapped, converted.issues, converted.trace),
            Err(issues) => (Vec::new(), issues, String::new()),
        };
        for issue in issues.iter().filter(|issue| issue.is_error()) {
            has_errors = true;
            say(&told(file, issue));
        }
        for line in trace.lines() {
            say(&format!("{}: {line}", file.display()));
        }
        all.extend(mapped);
        losses.extend(issues);
    }
    let bundle = interop::mapping::bundle(all);
    let answer = match flags.loss {
        false => bundle,
        true => {
            Object::from_iter([("bundle", bundle), ("loss", operation_outcome(&losses))]).into()
        }
    };
    print(&write_pretty(&answer))?;
    Ok(status(has_errors))
}

fn status(has_errors: bool) -> ExitCode {
    match has_errors {
        true => ExitCode::from(FAILED),
        false => ExitCode::SUCCESS,
    }
}

/// `kiln: patients.csv:3:7: line 3, column sex: expected ...`
pub(super) fn told(file: &Path, issue: &Issue) -> String {
    let place = issue
        .place
        .map_or_else(String::new, |(line, column)| format!("{line}:{column}: "));
    format!("kiln: {}:{place}{}", file.display(), issue.diagnostics)
}

/// Bundles to clinical documents.
fn clinical(flags: &Flags) -> Result<ExitCode, Error> {
    let now = SystemTime::now().into();
    let mut has_errors = false;
    for file in &flags.files {
        let text = document::text(file)?;
        let issues = match conversion::to_document(&fhir(file, &text)?, now) {
            Ok((text, issues)) => {
                print(&text)?;
                issues
            }
            Err(issues) => issues,
        };
        has_errors |= issues.iter().any(Issue::is_error);
        for issue in issues.iter().filter(|issue| flags.loss || issue.is_error()) {
            say(&told(file, issue));
        }
    }
    Ok(status(has_errors))
}

/// A document of FHIR, in whichever notation.
fn fhir(file: &Path, text: &[u8]) -> Result<Value, Error> {
    let document = Notation::of(text).read(text, Definitions::r4());
    document.map_err(|issues| {
        let told: Vec<String> = issues.into_iter().map(|issue| issue.diagnostics).collect();
        Error::Malformed(file.to_owned(), told.join("; "))
    })
}

/// Resources to messages. One that lacks what it must have is printed only together with the loss report.
fn messages(flags: &Flags, translator: &maps::Translator) -> Result<ExitCode, Error> {
    let wanted = Speaking {
        message_type: flags.speaking.message_type.clone(),
        event: flags.speaking.event.clone(),
        version: Some(flags.speaking.hl7_version),
        datatypes: flags.speaking.hl7_datatypes,
        charset: flags.mapping.charset().map(str::to_owned),
        control_id: flags.speaking.control_id.clone(),
    };
    let now = SystemTime::now().into();
    let (mut all, mut losses, mut has_errors) = (Vec::new(), Vec::new(), false);
    for file in &flags.files {
        let spoken = conversion::to_messages(
            translator,
            fhir(file, &document::text(file)?)?,
            &wanted,
            now,
        );
        let (spoken, refused) = match spoken {
            Ok(spoken) => (spoken, Vec::new()),
            Err(issues) => (Vec::new(), issues),
        };
        let issues = spoken.iter().flat_map(|message| message.issues.clone());
        let issues: Vec<Issue> = refused.into_iter().chain(issues).collect();
        for issue in issues.iter().filter(|issue| issue.is_error()) {
            has_errors = true;
            say(&told(file, issue));
        }
        losses.extend(issues);
        all.extend(spoken);
    }
    if !flags.loss {
        for message in all.iter().filter(|message| !message.has_errors()) {
            print_bytes(&message.bytes)?;
        }
        return Ok(status(has_errors));
    }
    let texts: Vec<Value> = all
        .iter()
        .map(|message| Value::from(message.text.as_str()))
        .collect();
    let answer = Object::from_iter([
        ("messages", Value::from(texts)),
        ("loss", operation_outcome(&losses)),
    ]);
    print(&write_pretty(&answer.into()))?;
    Ok(status(has_errors))
}

fn print_bytes(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(bytes)
}

/// Resources to rows.
fn backwards(flags: &Flags, translator: &maps::Translator) -> Result<ExitCode, Error> {
    let map = flags.mapping.map().ok_or(Error::NoMap)?;
    let mut resources = Vec::new();
    for file in &flags.files {
        let text = document::text(file)?;
        resources.extend(conversion::resources(fhir(file, &text)?));
    }
    let delimiter = flags.mapping.delimiter().unwrap_or(',');
    let now = SystemTime::now().into();
    let issues = match conversion::to_rows(translator, map, &resources, delimiter, now) {
        Ok((text, issues)) => {
            print(&text)?;
            issues
        }
        Err(issues) => issues,
    };
    for issue in &issues {
        let at = issue.expression.as_deref().unwrap_or_default();
        say(&format!("kiln: {at}: {}", issue.diagnostics));
    }
    Ok(status(issues.iter().any(Issue::is_error)))
}
