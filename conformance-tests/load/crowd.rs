//! Many connections at once, each asking again as soon as it is answered.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::wire::Connection;
use crate::{Fallible, usage};

/// Who asks whom for how long.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// The processes whose CPU time is the server's.
    pub(crate) pids: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// What was done, in the unit of the work.
    pub(crate) units: u64,
    pub(crate) time: Duration,
    /// How long each request took.
    pub(crate) waits: Vec<Duration>,
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
    /// CPU time that other programs of the machine took meanwhile.
    pub(crate) others_cpu: Duration,
}

/// A count as a real number.
pub(crate) fn real(count: u64) -> f64 {
    Duration::from_secs(count).as_secs_f64()
}

impl Round {
    pub(crate) fn rate(&self) -> f64 {
        real(self.units) / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Microseconds of CPU time of the server per unit.
    pub(crate) fn server_cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / real(self.units.max(1))
    }
}

impl Crowd {
    /// Each worker does one request at a time, and answers how many units that was; None when it has nothing left to do.
    pub(crate) fn work<W>(&self, worker: impl Fn(usize) -> W + Sync) -> Fallible<Round>
    where
        W: FnMut(&mut Connection) -> Fallible<Option<u64>>,
    {
        let (start, own) = (Barrier::new(self.connections + 1), [std::process::id()]);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections)
                .map(|number| {
                    let (start, worker) = (&start, &worker);
                    scope.spawn(move || {
                        let connection = Connection::open(self.address);
                        let work = worker(number);
                        start.wait();
                        ask(connection?, work, self.time)
                    })
                })
                .collect();
            start.wait();
            let (server_before, client_before) = (usage::cpu(&self.pids), usage::cpu(&own));
            let machine_before = usage::machine_cpu();
            let started = Instant::now();
            let mut round = Round::default();
            for thread in threads {
                let (units, waits) = thread.join().map_err(|_| "a worker panicked")??;
                round.units += units;
                round.waits.extend(waits);
            }
            round.time = started.elapsed();
            round.server_cpu = usage::cpu(&self.pids).saturating_sub(server_before);
            round.client_cpu = usage::cpu(&own).saturating_sub(client_before);
            let machine = usage::machine_cpu().saturating_sub(machine_before);
            round.others_cpu = machine.saturating_sub(round.server_cpu + round.client_cpu);
            Ok(round)
        })
    }
}

fn ask(
    mut connection: Connection,
    mut work: impl FnMut(&mut Connection) -> Fallible<Option<u64>>,
    time: Duration,
) -> Fallible<(u64, Vec<Duration>)> {
    let (mut units, mut waits) = (0, Vec::new());
    let (started, mut before) = (Instant::now(), Duration::ZERO);
    while before < time {
        let Some(done) = work(&mut connection)? else {
            break;
        };
        units += done;
        let now = started.elapsed();
        waits.push(now - before);
        before = now;
    }
    Ok((units, waits))
}
