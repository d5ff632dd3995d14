//! How far a long command is, on stderr: a bar that is redrawn on a terminal, else a line now and then.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::say;

const REDRAWN_EVERY: Duration = Duration::from_millis(100);
const TOLD_EVERY: Duration = Duration::from_secs(10);
const BAR_CELLS: u64 = 24;

#[derive(Debug)]
pub(super) struct Progress {
    doing: &'static str,
    /// What is counted.
    noun: &'static str,
    is_terminal: bool,
    begun: Instant,
    told: Instant,
    count: u64,
}

impl Progress {
    pub(super) fn new(doing: &'static str, noun: &'static str) -> Self {
        let now = Instant::now();
        Self {
            doing,
            noun,
            is_terminal: std::io::stderr().is_terminal(),
            begun: now,
            told: now,
            count: 0,
        }
    }

    /// Counts some more. `part` is what is done of how much, when that is known.
    pub(super) fn add(&mut self, count: u64, part: Option<(u64, u64)>) {
        self.count += count;
        let every = if self.is_terminal {
            REDRAWN_EVERY
        } else {
            TOLD_EVERY
        };
        if self.told.elapsed() >= every {
            self.told = Instant::now();
            self.tell(part);
        }
    }

    fn tell(&self, part: Option<(u64, u64)>) {
        let line = line(self.count, self.noun, self.begun.elapsed(), part);
        if self.is_terminal {
            let bar = part.map(|(done, all)| bar(done, all)).unwrap_or_default();
            draw(&format!("\r\x1b[K{} {bar}{line}", self.doing));
        } else {
            say(&format!("{}: {line}", self.doing));
        }
    }

    /// Wipes the bar away; answers how many there were, and how fast: `1,234 resources in 2.0 s (617/s)`.
    pub(super) fn finish(self) -> String {
        if self.is_terminal {
            draw("\r\x1b[K");
        }
        let took = self.begun.elapsed();
        format!(
            "{} {} in {:.1} s ({}/s)",
            grouped(self.count),
            self.noun,
            took.as_secs_f64(),
            grouped(rate(self.count, took))
        )
    }
}

fn draw(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush())
        .is_err()
    {
        // Nobody is looking.
    }
}

fn line(count: u64, noun: &str, took: Duration, part: Option<(u64, u64)>) -> String {
    let rate = grouped(rate(count, took));
    let mut line = format!("{} {noun}, {rate}/s", grouped(count));
    if let Some((done, all)) = part.filter(|(_, all)| *all > 0) {
        let done = done.min(all);
        line.push_str(&format!(", {} %", done.saturating_mul(100) / all));
        if let Some(left) = left(took, done, all) {
            line.push_str(&format!(", {} left", clock(left)));
        }
    }
    line
}

fn bar(done: u64, all: u64) -> String {
    let full = (done.min(all) * BAR_CELLS)
        .checked_div(all)
        .unwrap_or_default();
    let cells = (0..BAR_CELLS).map(|cell| if cell < full { '#' } else { '.' });
    format!("[{}] ", cells.collect::<String>())
}

fn rate(count: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

/// The time that the rest takes when it goes on like this.
fn left(took: Duration, done: u64, all: u64) -> Option<Duration> {
    let millis = u64::try_from(took.as_millis()).ok()?;
    let rest = u128::from(millis) * u128::from(all - done);
    let rest = rest.checked_div(u128::from(done))?;
    Some(Duration::from_millis(u64::try_from(rest).ok()?))
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Thousands apart: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_many_how_fast_and_how_long() {
        let took = Duration::from_secs(10);
        assert_eq!(
            line(12_000, "resources", took, Some((1, 4))),
            "12,000 resources, 1,200/s, 25 %, 0:30 left"
        );
        assert_eq!(
            line(0, "resources", took, Some((0, 4))),
            "0 resources, 0/s, 0 %"
        );
        assert_eq!(
            line(7, "versions", Duration::ZERO, None),
            "7 versions, 7,000/s"
        );
        assert_eq!(
            line(1, "versions", took, Some((9, 4))),
            "1 versions, 0/s, 100 %, 0:00 left"
        );
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(clock(Duration::from_secs(3_725)), "1:02:05");
        assert_eq!(bar(1, 2), "[############............] ");
        assert_eq!(bar(0, 0), "[........................] ");
    }
}
