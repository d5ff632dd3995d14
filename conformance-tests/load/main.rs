//! The load kit: what the machine can do, what Kiln does on it, and whether the answers were right, in one run.
//!
//! `cargo bench -p server --bench load` measures for some minutes and rewrites `RESULTS.md`; `-- --help` tells the rest.
//! `-- --smoke` takes seconds, checks the same things and writes nothing; `cargo test` runs that too, so that the kit does
//! not rot. A wrong answer fails the run.

mod baselines;
mod bench;
mod crowd;
mod patients;
mod process;
mod report;
mod usage;
mod wire;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use bench::Bench;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Load and check a Kiln on this machine, beside the machine's own limits
#[derive(Debug, Clone, Parser)]
#[command(name = "load")]
struct Arguments {
    /// Small sizes, for a run of seconds that only checks; writes no files
    #[arg(long)]
    smoke: bool,
    /// Patients that are imported, of about a hundred resources each
    #[arg(long, value_name = "N")]
    patients: Option<u64>,
    /// How long one round of a workload lasts
    #[arg(long, value_name = "MS")]
    round_ms: Option<u64>,
    /// Rounds of each workload, each beside a round of its baseline; the median counts
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Fill the store up to so many resources, and compare reads and creates there with those at ten thousand
    #[arg(long, value_name = "N")]
    scale: Option<u64>,
    /// Only the messages of HL7 v2; writes no files
    #[arg(long)]
    messages: bool,
    /// postgres://... instead of SQLite
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A process of the database, whose CPU time and memory count as the server's
    #[arg(long, value_name = "PID")]
    database_pid: Vec<u32>,
    /// Tells the patients
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the databases of the run are made, and removed after it
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Where RESULTS.md and results.json go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the bare server
    #[arg(long, hide = true)]
    answer_stdin: bool,
}

impl Arguments {
    fn patients(&self) -> u64 {
        self.patients.unwrap_or(if self.smoke { 8 } else { 1000 })
    }

    fn round(&self) -> Duration {
        Duration::from_millis(self.round_ms.unwrap_or(if self.smoke { 100 } else { 2000 }))
    }

    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.smoke { 1 } else { 3 })
    }
}

fn main() -> ExitCode {
    let done = match arguments() {
        None => Ok(()),
        Some(arguments) if arguments.answer_stdin => baselines::answer_stdin(),
        Some(arguments) => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("FAILED: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// None: `cargo test` asks for other tests. It hands its own arguments to every program of tests, `cargo bench` says so.
fn arguments() -> Option<Arguments> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given
        .iter()
        .any(|word| matches!(&**word, "--bench" | "--answer-stdin"))
    {
        return Some(Arguments::parse());
    }
    let mut filters = given
        .iter()
        .filter(|word| !word.starts_with('-'))
        .peekable();
    let wanted = filters.peek().is_none() || filters.any(|filter| "load".contains(&**filter));
    wanted.then(|| Arguments::parse_from(["load", "--smoke"]))
}

fn run(arguments: &Arguments) -> Fallible<()> {
    let mut bench = Bench::start(arguments)?;
    work::all(&mut bench)?;
    let report = bench.finish()?;
    report::say(&report.table());
    if !arguments.smoke && !arguments.messages {
        report.write(arguments.out.as_deref())?;
    }
    Ok(())
}
