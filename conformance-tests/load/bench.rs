//! The server under load beside its baselines: every workload runs in rounds, each beside a round of its baseline, so that
//! a machine that is slower for a while is slower for both.

use std::time::Duration;

use fhir_spec::json::Value;

use crate::baselines::{Raw, disk_bytes};
use crate::crowd::{Crowd, Round};
use crate::process::{Kiln, Process, Scratch, bare_server};
use crate::report::{Report, Row, say};
use crate::usage::Memory;
use crate::wire::Connection;
use crate::{Arguments, Fallible, patients, usage};

/// Patients whose resources the raw database is fed with.
const RAW_PATIENTS: u64 = 20;
/// How often the empty server is started to see how long that takes.
const STARTS: usize = 5;

pub(crate) struct Bench {
    pub(crate) arguments: Arguments,
    pub(crate) server: Process,
    pub(crate) pids: Vec<u32>,
    pub(crate) report: Report,
    /// What the server says it can do.
    capabilities: Value,
    raw: Raw,
    /// Answers what reads answer.
    bare: Option<Process>,
    kiln: Kiln,
    scratch: Scratch,
}

/// What the machine itself could do of a workload.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Baseline {
    None,
    /// Bare actix-web on the same connections.
    Bare,
    /// The raw database with so many resources in a commit.
    Raw(u32),
}

/// A workload: what one operation is, and how it is told.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) connections: usize,
    pub(crate) baseline: Baseline,
    /// The part of the baseline that is to be reached.
    pub(crate) ratio_goal: Option<f64>,
    /// CPU time of the server per unit that is not to be passed, in microseconds.
    pub(crate) cpu_us_goal: Option<f64>,
}

impl Bench {
    pub(crate) fn start(arguments: &Arguments) -> Fallible<Self> {
        let place = arguments.place.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = Scratch::within(&place)?;
        let mut report = Report::new(arguments);
        for number in 0..STARTS {
            let kiln = Kiln {
                data: scratch.path(&format!("empty-{number}")),
                database: arguments.database.clone(),
            };
            report.empty_start.push(kiln.start()?.ready_after);
        }
        let kiln = Kiln {
            data: scratch.path("data"),
            database: arguments.database.clone(),
        };
        let server = kiln.start()?;
        let mut pids = server.pids();
        pids.extend(
            arguments
                .database_pid
                .iter()
                .copied()
                .flat_map(usage::family),
        );
        let mut connection = server.connect()?;
        let capabilities = connection.get("/fhir/metadata")?.expect(200)?;
        let capabilities = fhir_spec::json::parse(capabilities.body)?;
        std::thread::sleep(arguments.round());
        report.idle = Memory::of(&pids);
        let entries =
            (0..RAW_PATIENTS).flat_map(|number| patients::entries(arguments.seed, number));
        Ok(Self {
            arguments: arguments.clone(),
            raw: Raw::new(
                entries.collect(),
                &scratch.path("data"),
                arguments.database.as_deref(),
            ),
            server,
            pids,
            report,
            capabilities,
            bare: None,
            kiln,
            scratch,
        })
    }

    pub(crate) fn connect(&self) -> Fallible<Connection> {
        self.server.connect()
    }

    /// Whether the server says that it does this: with a type an interaction of the type, without one of the system.
    pub(crate) fn offers(&self, resource_type: Option<&str>, interaction: &str) -> bool {
        let rest = self.capabilities.items_of("rest").first();
        let place = rest.and_then(|rest| match resource_type {
            None => Some(rest),
            Some(name) => {
                let mut resources = rest.items_of("resource").iter();
                resources.find(|resource| resource.str_of("type") == Some(name))
            }
        });
        let codes = place
            .map(|place| place.items_of("interaction"))
            .unwrap_or_default();
        codes
            .iter()
            .any(|each| each.str_of("code") == Some(interaction))
            || place.and_then(|place| place.get(interaction)?.as_bool()) == Some(true)
    }

    /// Goes on with a server of its own, on a database of its own where that is a file: what it stores is no part of the
    /// report's figures of the store. What comes back is to be handed to `leave`.
    pub(crate) fn enter(&mut self, name: &str) -> Fallible<(Process, Vec<u32>)> {
        let kiln = Kiln {
            data: self.scratch.path(name),
            database: self.arguments.database.clone(),
        };
        let server = kiln.start()?;
        let of_database = self.pids.get(self.server.pids().len()..);
        let mut pids = server.pids();
        pids.extend(of_database.unwrap_or_default());
        let server = std::mem::replace(&mut self.server, server);
        Ok((server, std::mem::replace(&mut self.pids, pids)))
    }

    /// Back to the server that it was.
    pub(crate) fn leave(&mut self, (server, pids): (Process, Vec<u32>)) -> Fallible<()> {
        self.pids = pids;
        std::mem::replace(&mut self.server, server).stop()
    }

    /// A workload that cannot be run yet, and why.
    pub(crate) fn skip(&mut self, name: &'static str) {
        say(&format!(
            "{name}: SKIPPED, the CapabilityStatement does not offer it"
        ));
        self.report.skipped.push(name);
    }

    /// From now on the bare server answers what this path answers.
    pub(crate) fn imitate(&mut self, path: &str) -> Fallible<()> {
        let mut connection = self.connect()?;
        let answer = connection.get(path)?.expect(200)?;
        self.bare = Some(bare_server(answer.body)?);
        Ok(())
    }

    /// Runs a workload in rounds; `worker` makes the work of one connection in one round.
    pub(crate) fn measure<W>(
        &mut self,
        workload: Workload,
        worker: impl Fn(u32, usize) -> W + Sync,
    ) -> Fallible<()>
    where
        W: FnMut(&mut Connection) -> Fallible<Option<u64>>,
    {
        self.measure_for(self.arguments.round(), workload, worker)
    }

    /// The same, with rounds that last until all the work is done.
    pub(crate) fn measure_all<W>(
        &mut self,
        workload: Workload,
        worker: impl Fn(u32, usize) -> W + Sync,
    ) -> Fallible<()>
    where
        W: FnMut(&mut Connection) -> Fallible<Option<u64>>,
    {
        self.measure_for(Duration::MAX, workload, worker)
    }

    fn measure_for<W>(
        &mut self,
        time: Duration,
        workload: Workload,
        worker: impl Fn(u32, usize) -> W + Sync,
    ) -> Fallible<()>
    where
        W: FnMut(&mut Connection) -> Fallible<Option<u64>>,
    {
        let mut row = Row::new(workload);
        for number in 0..self.arguments.rounds() {
            row.baselines.extend(self.baseline(&row.workload)?);
            let mut crowd = self.crowd(row.workload.connections);
            crowd.time = time;
            row.rounds.push(crowd.work(|index| worker(number, index))?);
            self.report.busy = self.report.busy.most(Memory::of(&self.pids));
        }
        say(&row.line());
        self.report.rows.push(row);
        Ok(())
    }

    pub(crate) fn crowd(&self, connections: usize) -> Crowd {
        Crowd {
            address: self.server.address,
            connections,
            time: self.arguments.round(),
            pids: self.pids.clone(),
        }
    }

    fn baseline(&self, workload: &Workload) -> Fallible<Option<Round>> {
        Ok(match (workload.baseline, &self.bare) {
            (Baseline::Raw(per_commit), _) => {
                Some(self.raw.round(per_commit, self.arguments.round())?)
            }
            (Baseline::Bare, Some(bare)) => Some(self.bare_round(bare, workload.connections)?),
            _ => None,
        })
    }

    fn bare_round(&self, bare: &Process, connections: usize) -> Fallible<Round> {
        let mut crowd = self.crowd(connections);
        crowd.address = bare.address;
        crowd.pids = bare.pids();
        let request = crate::wire::request("GET", "/fhir/Observation/any", "", "");
        let worker = |_| {
            let request = &request;
            move |connection: &mut Connection| {
                connection.send(request)?.expect(200)?;
                Ok(Some(1))
            }
        };
        let warm_up = Crowd {
            time: self.arguments.round() / 10,
            ..crowd.clone()
        };
        warm_up.work(worker)?;
        crowd.work(worker)
    }

    /// Stops the server, starts it once more on what it holds, and closes the report.
    pub(crate) fn finish(self) -> Fallible<Report> {
        let Self {
            server,
            mut report,
            kiln,
            scratch: _scratch,
            ..
        } = self;
        server.stop()?;
        report.disk_bytes = match &kiln.database {
            None => usage::disk_bytes(&kiln.data.join("kiln.sqlite")),
            Some(url) => disk_bytes(url)?,
        };
        let again = kiln.start()?;
        report.full_start = again.ready_after;
        std::thread::sleep(Duration::from_millis(100));
        again.stop()?;
        Ok(report)
    }
}
