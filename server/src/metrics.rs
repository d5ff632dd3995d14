//! What is counted and timed, and the text it is told in.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that happens again and again.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are at the moment.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more until the answer is dropped.
    pub fn one(&self) -> One<'_> {
        self.up();
        One(self)
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// See [`Gauge::one`].
#[derive(Debug)]
pub struct One<'a>(&'a Gauge);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.down();
    }
}

/// Upper bounds of buckets, in the unit that is counted in, and how many of those make the unit that is told.
#[derive(Debug)]
pub struct Scale {
    bounds: [u64; BOUNDS],
    per_unit: u32,
}

const BOUNDS: usize = 15;

/// Times, counted in microseconds and told in seconds.
pub static TIMES: Scale = Scale {
    bounds: [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 10_000_000,
    ],
    per_unit: 1_000_000,
};

/// Sizes of groups.
pub static SIZES: Scale = Scale {
    bounds: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256],
    per_unit: 1,
};

/// How often something was how large.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// Of each bound those up to it and above the one before; the rest is in `above`.
    buckets: [AtomicU64; BOUNDS],
    above: AtomicU64,
    sum: AtomicU64,
}

impl Histogram {
    pub fn new(scale: &'static Scale) -> Self {
        Self {
            scale,
            buckets: Default::default(),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, value: u64) {
        let bucket = self
            .scale
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .and_then(|index| self.buckets.get(index))
            .unwrap_or(&self.above);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        let mut buckets = self.buckets.iter().chain([&self.above]);
        buckets.all(|bucket| bucket.load(Ordering::Relaxed) == 0)
    }
}

/// Times by a name of a fixed list and the class of an answer's status.
#[derive(Debug)]
pub struct Timings {
    names: Vec<&'static str>,
    times: Vec<[Histogram; CLASSES.len()]>,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// For a name that is not on the list.
const OTHER: &str = "other";

impl Timings {
    pub fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        let mut names: Vec<&'static str> = names.into_iter().chain([OTHER]).collect();
        names.sort_unstable();
        names.dedup();
        let times = names
            .iter()
            .map(|_| std::array::from_fn(|_| Histogram::new(&TIMES)))
            .collect();
        Self { names, times }
    }

    pub fn observe(&self, name: &str, status: u16, time_us: u64) {
        let named = |name| self.names.binary_search(&name).ok();
        let class = usize::from(status / 100).saturating_sub(1);
        let histogram = named(name)
            .or_else(|| named(OTHER))
            .and_then(|index| self.times.get(index)?.get(class));
        if let Some(histogram) = histogram {
            histogram.observe(time_us);
        }
    }
}

/// What is counted of requests and connections.
#[derive(Debug)]
pub struct Traffic {
    pub requests: Timings,
    pub under_way: Gauge,
    pub panics: Counter,
    pub connections: Gauge,
    pub refused: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
}

impl Traffic {
    /// `names`: what requests can be for.
    pub fn of(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            requests: Timings::of(names),
            under_way: Gauge::default(),
            panics: Counter::default(),
            connections: Gauge::default(),
            refused: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
        }
    }
}

/// The text of all metrics. Labels hold what the program knows, never what a client sent.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, "", value);
    }

    /// A counter that is told by one label.
    pub fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.family(name, "counter", help);
        for (of, value) in values {
            self.sample(name, &format!("{label}=\"{of}\""), value);
        }
    }

    /// A counter with two labels.
    pub fn labelled(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        values: &[(String, String, u64)],
    ) {
        self.family(name, "counter", help);
        let [one, two] = labels;
        for (first, second, value) in values {
            self.sample(
                name,
                &format!("{one}=\"{first}\",{two}=\"{second}\""),
                value,
            );
        }
    }

    /// A gauge that is told by one label.
    pub fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.family(name, "gauge", help);
        for (of, value) in values {
            self.sample(name, &format!("{label}=\"{of}\""), value);
        }
    }

    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// Facts about the program, as labels of a gauge that is always 1.
    pub fn facts(&mut self, name: &str, help: &str, facts: &[(&str, &str)]) {
        self.family(name, "gauge", help);
        let labels: Vec<String> = facts
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        self.sample(name, &labels.join(","), 1);
    }

    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        self.buckets(name, "", histogram);
    }

    pub fn timings(&mut self, name: &str, help: &str, label: &str, timings: &Timings) {
        self.family(name, "histogram", help);
        for (of, times) in timings.names.iter().zip(&timings.times) {
            for (class, histogram) in CLASSES.iter().zip(times) {
                if !histogram.is_empty() {
                    let labels = format!("{label}=\"{of}\",status=\"{class}\"");
                    self.buckets(name, &labels, histogram);
                }
            }
        }
    }

    pub fn finish(self) -> String {
        self.0
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{labels}}} {value}"));
        }
    }

    fn buckets(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let Histogram {
            scale,
            buckets,
            above,
            sum,
        } = histogram;
        let mut count = 0;
        let and = if labels.is_empty() { "" } else { "," };
        let bucket = format!("{name}_bucket");
        for (bound, in_bucket) in scale.bounds.iter().zip(buckets) {
            count += in_bucket.load(Ordering::Relaxed);
            let bound = scale.told(*bound);
            self.sample(&bucket, &format!("{labels}{and}le=\"{bound}\""), count);
        }
        count += above.load(Ordering::Relaxed);
        self.sample(&bucket, &format!("{labels}{and}le=\"+Inf\""), count);
        let sum = scale.told(sum.load(Ordering::Relaxed));
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _written = writeln!(self.0, "{line}");
    }
}

impl Scale {
    /// In the unit that is told, without a detour through floating point.
    fn told(&self, value: u64) -> String {
        let per_unit = u64::from(self.per_unit);
        let (whole, part) = (value / per_unit, value % per_unit);
        if part == 0 {
            return whole.to_string();
        }
        let digits = per_unit.to_string().len() - 1;
        let fraction = format!("{part:0digits$}");
        format!("{whole}.{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_tells_how_many_are_up_to_each_bound() {
        let histogram = Histogram::new(&TIMES);
        for time_us in [0, 100, 101, 1_500, 3_000_000, 60_000_000] {
            histogram.observe(time_us);
        }
        let mut page = Page::default();
        page.histogram("x_seconds", "X.", &histogram);
        let text = page.finish();
        for line in [
            "# HELP x_seconds X.",
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{le=\"0.0001\"} 2",
            "x_seconds_bucket{le=\"0.00025\"} 3",
            "x_seconds_bucket{le=\"0.0025\"} 4",
            "x_seconds_bucket{le=\"2.5\"} 4",
            "x_seconds_bucket{le=\"10\"} 5",
            "x_seconds_bucket{le=\"+Inf\"} 6",
            "x_seconds_sum 63.001701",
            "x_seconds_count 6",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }

    #[test]
    fn timings_are_told_by_name_and_class_when_there_are_any() {
        let timings = Timings::of(["read", "create"]);
        timings.observe("read", 200, 1);
        timings.observe("read", 204, 1);
        timings.observe("read", 404, 1);
        timings.observe("nobody knows", 500, 1);
        let mut page = Page::default();
        page.timings("x", "X.", "interaction", &timings);
        let text = page.finish();
        for line in [
            "x_count{interaction=\"read\",status=\"2xx\"} 2",
            "x_count{interaction=\"read\",status=\"4xx\"} 1",
            "x_count{interaction=\"other\",status=\"5xx\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("create"));
    }

    #[test]
    fn a_gauge_goes_down_again() {
        let gauge = Gauge::default();
        let one = gauge.one();
        assert_eq!(gauge.get(), 1);
        drop(one);
        assert_eq!(gauge.get(), 0);
    }
}
