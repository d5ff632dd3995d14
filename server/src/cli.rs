//! The command line: one file per command, and what they share: how they end.

mod backup;
mod change;
mod client;
mod convert;
mod document;
mod draft;
mod export;
mod fhirpath;
mod import;
mod key;
mod mapped;
mod migrate;
mod ordered;
mod packages;
mod place;
mod progress;
mod refill;
mod reindex;
mod rotate;
mod send;
mod serve;
mod user;
mod validate;
mod verify;

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// A FHIR R4 server
#[derive(Debug, Parser)]
#[command(name = "kiln", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Without a command, `kiln` serves.\n\nExample:\n  kiln serve --data ./kiln-data --listen 127.0.0.1:8080"
)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server (the default)
    Serve(serve::Flags),
    /// Store resources, bundles and NDJSON
    Import(import::Flags),
    /// Print what files of HL7 v2 and CSV say as FHIR
    Convert(convert::Flags),
    /// Send messages of HL7 v2 to a receiver by MLLP
    Send(send::Flags),
    /// Write what is stored as NDJSON
    Export(export::Flags),
    /// Copy one moment of the store into a file
    Backup(backup::BackupFlags),
    /// Fill an empty store from a backup
    Restore(backup::RestoreFlags),
    /// Move the store into another database
    Migrate(migrate::Flags),
    /// Make the search index of what is stored, or look at it again
    Reindex(reindex::Flags),
    /// Check whether everything that is stored agrees
    Verify(verify::Flags),
    /// Register, list and remove clients of SMART
    Client(client::Flags),
    /// Add, list and disable people who sign in
    User(user::Flags),
    /// Make, list and revoke keys by which programs come in; give the secrets in the store new ones
    Key(key::Flags),
    /// Check resources against FHIR R4, their profiles and packages
    Validate(validate::Flags),
    /// Evaluate a FHIRPath expression on a resource
    Fhirpath(fhirpath::Flags),
}

/// Every command says on one line why it failed.
type Failure = Box<dyn Error>;

/// Exit status 0: done. 1: it failed and said why on stderr in one line. 2: wrong usage.
pub fn main() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => return usage(&error),
    };
    match run(line) {
        Ok(status) => status,
        Err(error) => {
            say(&format!("kiln: {}", chain(&*error)));
            ExitCode::from(FAILED)
        }
    }
}

fn run(line: Line) -> Result<ExitCode, Failure> {
    let serve = |flags| serve::run(flags).map(|()| ExitCode::SUCCESS);
    Ok(match line.command {
        None => serve(line.serve)?,
        Some(Command::Serve(flags)) => serve(flags)?,
        Some(Command::Import(flags)) => import::run(&flags)?,
        Some(Command::Convert(flags)) => convert::run(&flags)?,
        Some(Command::Send(flags)) => send::run(&flags)?,
        Some(Command::Export(flags)) => export::run(&flags)?,
        Some(Command::Backup(flags)) => backup::backup(&flags)?,
        Some(Command::Restore(flags)) => backup::restore(&flags)?,
        Some(Command::Migrate(flags)) => migrate::run(&flags)?,
        Some(Command::Reindex(flags)) => reindex::run(&flags)?,
        Some(Command::Verify(flags)) => verify::run(&flags)?,
        Some(Command::Client(flags)) => client::run(&flags)?,
        Some(Command::User(flags)) => user::run(&flags)?,
        Some(Command::Key(flags)) => key::run(&flags)?,
        Some(Command::Validate(flags)) => validate::run(&flags)?,
        Some(Command::Fhirpath(flags)) => fhirpath::run(&flags)?,
    })
}

/// Help and version are asked for and go to stdout; everything else is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    match error.print() {
        Ok(()) if !error.use_stderr() => ExitCode::SUCCESS,
        _ => ExitCode::from(WRONG_USAGE),
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn say(line: &str) {
    if writeln!(std::io::stderr(), "{line}").is_err() {
        // Nobody is listening: the exit status says it too.
    }
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Who read has read enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
