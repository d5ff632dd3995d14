//! What a process uses: CPU time, memory, room on disk (Linux).

use std::path::Path;
use std::time::Duration;

/// Linux counts CPU time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// CPU time that the processes have used so far, with the children they have waited for.
pub(crate) fn cpu(pids: &[u32]) -> Duration {
    let ticks: u32 = pids.iter().filter_map(|pid| ticks(*pid)).sum();
    TICK * ticks
}

fn ticks(pid: u32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    Some(times.filter_map(|time| time.parse::<u32>().ok()).sum())
}

/// CPU time that the whole machine has spent working since it started.
pub(crate) fn machine_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let mut fields = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1);
    // user, nice and system; then idle and waiting; then interrupts and what other guests of the host took.
    let numbers: Vec<u32> = fields
        .by_ref()
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let busy = numbers
        .iter()
        .enumerate()
        .filter(|(index, _)| !matches!(index, 3 | 4));
    TICK * busy.map(|(_, ticks)| ticks).sum::<u32>()
}

/// Processors of this machine.
pub(crate) fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(1)
}

/// A process and all that it has started.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut members = vec![pid];
    let mut index = 0;
    while let Some(member) = members.get(index).copied() {
        let tasks = std::fs::read_dir(format!("/proc/{member}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            members.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        index += 1;
    }
    members
}

/// Memory in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Pages that are shared count in part.
    pub(crate) pss: u64,
    pub(crate) rss: u64,
    /// What is not a copy of a file.
    pub(crate) own: u64,
}

impl Memory {
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut sum = Self::default();
        for pid in pids {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            for line in text.unwrap_or_default().lines() {
                let mut words = line.split_whitespace();
                let (name, size) = (words.next(), words.next());
                let size = size.and_then(|size| size.parse::<u64>().ok()).unwrap_or(0);
                match name {
                    Some("Pss:") => sum.pss += size,
                    Some("Rss:") => sum.rss += size,
                    Some("Pss_Anon:") => sum.own += size,
                    _ => {}
                }
            }
        }
        sum
    }

    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            pss: self.pss.max(other.pss),
            rss: self.rss.max(other.rss),
            own: self.own.max(other.own),
        }
    }
}

/// Bytes of all files below a folder.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| disk_bytes(&entry.path())).sum()
}

/// The processor's name and how many of it there are.
pub(crate) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or("unknown processor", |(_, name)| name.trim());
    let cores = cores();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    format!("{cores} x {name}, {} GiB", kib.unwrap_or(0) / (1024 * 1024))
}
