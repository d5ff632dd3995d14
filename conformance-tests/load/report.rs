//! What is printed, and written to `RESULTS.md` and `results.json`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fhir_spec::json::{Object, Value, write_pretty};
use server::instant::Instant;

use crate::bench::{Baseline, Workload};
use crate::crowd::{Round, real};
use crate::usage::Memory;
use crate::{Arguments, Fallible, usage};

/// What is to be kept, in the units of the table.
const IDLE_MIB_MAX: f64 = 60.0;
const BUSY_MIB_MAX: f64 = 300.0;
const EMPTY_START_MS_MAX: f64 = 300.0;
const DISK_RATIO_MAX: f64 = 2.5;

/// What the figures do not say by themselves; ends the page.
const NOTES: &str = include_str!("notes.md");

/// A workload with its rounds.
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) rounds: Vec<Round>,
    /// One for each round, where the workload has a baseline.
    pub(crate) baselines: Vec<Round>,
}

/// What the rounds say together.
struct Figures {
    rate: f64,
    baseline: Option<f64>,
    ratio: Option<f64>,
    server_cpu_us: f64,
    baseline_cpu_us: f64,
    client_cpu_us: f64,
    half_ms: f64,
    most_ms: f64,
}

pub(crate) struct Report {
    arguments: Arguments,
    at: Instant,
    pub(crate) rows: Vec<Row>,
    pub(crate) skipped: Vec<&'static str>,
    /// Answers that were compared with what they had to be.
    pub(crate) checked: u64,
    pub(crate) empty_start: Vec<Duration>,
    pub(crate) full_start: Duration,
    pub(crate) idle: Memory,
    pub(crate) busy: Memory,
    pub(crate) disk_bytes: u64,
    /// Versions of resources that were stored, and the bytes of their JSON as it was sent.
    pub(crate) stored: u64,
    pub(crate) stored_bytes: u64,
}

/// One line of progress.
pub(crate) fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        // Nobody is listening: the exit status says it too.
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The wait that this part of the requests (in hundredths) did not pass.
fn percentile(sorted: &[Duration], hundredths: usize) -> f64 {
    let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(index)
        .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0)
}

impl Row {
    pub(crate) fn new(workload: Workload) -> Self {
        Self {
            workload,
            rounds: Vec::new(),
            baselines: Vec::new(),
        }
    }

    fn figures(&self) -> Figures {
        let rates: Vec<f64> = self.rounds.iter().map(Round::rate).collect();
        let baselines: Vec<f64> = self.baselines.iter().map(Round::rate).collect();
        let pairs = rates.iter().zip(&baselines);
        let ratios: Vec<f64> = pairs.map(|(rate, baseline)| rate / baseline).collect();
        let has_baseline = !ratios.is_empty();
        let units = real(self.rounds.iter().map(|round| round.units).sum()).max(1.0);
        let per_unit = |time: fn(&Round) -> Duration| {
            let sum: Duration = self.rounds.iter().map(time).sum();
            sum.as_secs_f64() * 1e6 / units
        };
        let mut waits: Vec<Duration> = self
            .rounds
            .iter()
            .flat_map(|round| round.waits.iter().copied())
            .collect();
        waits.sort_unstable();
        Figures {
            rate: median(rates),
            baseline: has_baseline.then(|| median(baselines)),
            ratio: has_baseline.then(|| median(ratios)),
            server_cpu_us: per_unit(|round| round.server_cpu),
            baseline_cpu_us: median(self.baselines.iter().map(Round::server_cpu_us).collect()),
            client_cpu_us: per_unit(|round| round.client_cpu),
            half_ms: percentile(&waits, 50),
            most_ms: percentile(&waits, 99),
        }
    }

    pub(crate) fn line(&self) -> String {
        let (workload, figures) = (&self.workload, self.figures());
        let (baseline, ratio) = match (figures.baseline, figures.ratio) {
            (Some(rate), Some(ratio)) => (
                format!("{rate:.0} ({})", workload.baseline.name()),
                format!("{:.0} %", ratio * 100.0),
            ),
            _ => (String::new(), String::new()),
        };
        let ratio_goal = workload.ratio_goal.map(|goal| {
            let reached = figures.ratio.is_some_and(|ratio| ratio >= goal);
            (format!(">= {:.0} %", goal * 100.0), reached)
        });
        let cpu_goal = workload
            .cpu_us_goal
            .map(|goal| (format!("<= {goal:.0}"), figures.server_cpu_us <= goal));
        let beside = match figures.baseline_cpu_us {
            cpu if cpu.is_finite() => format!(" ({cpu:.0})"),
            _ => String::new(),
        };
        format!(
            "| {} | {} | {:.0} {}/s | {baseline} | {ratio} | {} | {:.0}{beside} | {} | {:.0} | {:.2} | {:.2} |",
            workload.name,
            workload.connections,
            figures.rate,
            workload.unit,
            goal(ratio_goal),
            figures.server_cpu_us,
            goal(cpu_goal),
            figures.client_cpu_us,
            figures.half_ms,
            figures.most_ms
        )
    }

    fn json(&self) -> Value {
        let figures = self.figures();
        let mut row = Object::new();
        row.set("workload", &*self.workload.name);
        row.set("unit", self.workload.unit);
        row.set("connections", Value::number(self.workload.connections));
        row.set("baseline", self.workload.baseline.name());
        let mut number = |name: &str, value: f64| {
            if value.is_finite() {
                row.set(name, Value::number(format!("{value:.3}")));
            }
        };
        number("rate", figures.rate);
        number("baseline_rate", figures.baseline.unwrap_or(f64::NAN));
        number("ratio", figures.ratio.unwrap_or(f64::NAN));
        number("ratio_goal", self.workload.ratio_goal.unwrap_or(f64::NAN));
        number("server_cpu_us", figures.server_cpu_us);
        number("baseline_cpu_us", figures.baseline_cpu_us);
        number("client_cpu_us", figures.client_cpu_us);
        number("p50_ms", figures.half_ms);
        number("p99_ms", figures.most_ms);
        row.into()
    }
}

fn goal(goal: Option<(String, bool)>) -> String {
    match goal {
        Some((text, true)) => format!("{text} yes"),
        Some((text, false)) => format!("{text} **no**"),
        None => String::new(),
    }
}

impl Baseline {
    fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bare => "bare actix-web",
            Self::Raw(1) => "raw database, 1 per commit",
            Self::Raw(_) => "raw database, 100 per commit",
        }
    }
}

impl Report {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            arguments: arguments.clone(),
            at: SystemTime::now().into(),
            rows: Vec::new(),
            skipped: Vec::new(),
            checked: 0,
            empty_start: Vec::new(),
            full_start: Duration::ZERO,
            idle: Memory::default(),
            busy: Memory::default(),
            disk_bytes: 0,
            stored: 0,
            stored_bytes: 0,
        }
    }

    /// One more version is stored.
    pub(crate) fn stored(&mut self, json: &str) {
        self.stored += 1;
        self.stored_bytes += u64::try_from(json.len()).unwrap_or(0);
    }

    /// What is measured once: name, figure, unit, the most it may be.
    fn facts(&self) -> Vec<(String, f64, &'static str, Option<f64>)> {
        let mib = |kib: u64| real(kib) / 1024.0;
        let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
        let empty_start = median(self.empty_start.iter().map(ms).collect());
        let (stored, disk) = (self.stored.max(1), real(self.disk_bytes));
        let mut facts = vec![
            (
                "start to ready, empty".to_owned(),
                empty_start,
                "ms",
                Some(EMPTY_START_MS_MAX),
            ),
            (
                format!("start to ready, {stored} versions stored"),
                ms(&self.full_start),
                "ms",
                Some(1000.0),
            ),
            (
                "memory idle (PSS)".to_owned(),
                mib(self.idle.pss),
                "MiB",
                Some(IDLE_MIB_MAX),
            ),
            (
                "memory under load (PSS, the most)".to_owned(),
                mib(self.busy.pss),
                "MiB",
                Some(BUSY_MIB_MAX),
            ),
            (
                "of it not copies of files".to_owned(),
                mib(self.busy.own),
                "MiB",
                None,
            ),
            (
                "memory under load (RSS, the most)".to_owned(),
                mib(self.busy.rss),
                "MiB",
                None,
            ),
        ];
        if self.disk_bytes > 0 {
            let bytes_ratio = disk / real(self.stored_bytes.max(1));
            facts.push((
                "disk per version stored".to_owned(),
                disk / real(stored),
                "bytes",
                None,
            ));
            facts.push((
                "disk to JSON as sent".to_owned(),
                bytes_ratio,
                "times",
                Some(DISK_RATIO_MAX),
            ));
        }
        facts.push((
            "answers compared with what they must be, none wrong".to_owned(),
            real(self.checked),
            "",
            None,
        ));
        facts
    }

    /// The part of the machine that was not for server and client.
    fn others(&self) -> f64 {
        let rounds = || self.rows.iter().flat_map(|row| &row.rounds);
        let others: Duration = rounds().map(|round| round.others_cpu).sum();
        let all: Duration = rounds().map(|round| round.time * usage::cores()).sum();
        others.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub(crate) fn table(&self) -> String {
        let database = if self.arguments.database.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        };
        let (at, others) = (self.at.to_string(), self.others() * 100.0);
        let mut text = format!(
            "# Load\n\nWritten by `cargo bench -p server --bench load`; see `main.rs` beside this page for what it does.\n\n\
             {}, {}, {database}, {} patients, {others:.0} % of the machine busy with other programs meanwhile.\n\
             Client and server share the machine; each round of a workload ran beside a round of its baseline, and the medians\n\
             of {} rounds stand here. CPU is that of the server (in brackets: of the baseline) and of the client, in microseconds per unit.\n\n\
             | workload | connections | rate | baseline | ratio | goal | server CPU | goal | client CPU | p50 ms | p99 ms |\n\
             |---|---:|---:|---:|---:|---|---:|---|---:|---:|---:|\n",
            at.get(..10).unwrap_or_default(),
            usage::machine(),
            self.arguments.patients(),
            self.arguments.rounds()
        );
        for row in &self.rows {
            text.push_str(&row.line());
            text.push('\n');
        }
        text.push_str("\n| once | | goal |\n|---|---:|---|\n");
        for (name, figure, unit, most) in self.facts() {
            let goal = goal(most.map(|most| (format!("< {most}"), figure < most)));
            let figure = if unit == "times" {
                format!("{figure:.2}")
            } else {
                format!("{figure:.0}")
            };
            text.push_str(&format!("| {name} | {figure} {unit} | {goal} |\n"));
        }
        text.push_str(NOTES);
        if !self.skipped.is_empty() {
            let skipped = self.skipped.join(", ");
            text.push_str(&format!(
                "\nNot offered by the server yet, and so not measured: {skipped}.\n"
            ));
        }
        text
    }

    pub(crate) fn write(&self, out: Option<&Path>) -> Fallible<()> {
        let here = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/load");
        let out = out.map_or_else(here, Path::to_owned);
        std::fs::write(out.join("RESULTS.md"), self.table())?;
        let mut json = Object::new();
        json.set("at", self.at.to_string());
        json.set("machine", usage::machine());
        json.set("seed", Value::number(self.arguments.seed));
        json.set("patients", Value::number(self.arguments.patients()));
        let facts = self.facts().into_iter().map(|(name, figure, unit, _)| {
            let named = Object::from_iter([
                ("name", Value::from(name)),
                ("unit", unit.into()),
                ("figure", Value::number(format!("{figure:.3}"))),
            ]);
            Value::from(named)
        });
        json.set("facts", facts.collect::<Vec<_>>());
        json.set("rows", self.rows.iter().map(Row::json).collect::<Vec<_>>());
        Ok(std::fs::write(
            out.join("results.json"),
            write_pretty(&json.into()),
        )?)
    }
}
