//! Why rows of the guide are left out: `reasons.tsv`.

use super::tables::GuideRow;

const REASONS: &str = include_str!("reasons.tsv");

/// `kind<TAB>table<TAB>field<TAB>target<TAB>reason`; a `*` stands for whatever comes there.
pub(super) struct Reasons(Vec<Reason>);

struct Reason {
    line: &'static str,
    pattern: [&'static str; 4],
    is_used: bool,
}

impl Reasons {
    pub(super) fn read() -> Self {
        let lines = REASONS.lines();
        let lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let read = lines.map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let [kind, table, field, target, reason] = cells[..] else {
                panic!("reasons.tsv: five columns wanted: {line}");
            };
            assert!(reason.len() > 10, "a reason: {line}");
            let pattern = [kind, table, field, target];
            Reason {
                line,
                pattern,
                is_used: false,
            }
        });
        Self(read.collect())
    }

    /// The first that fits answers.
    pub(super) fn answer(&mut self, row: &GuideRow) -> bool {
        let cells = [row.kind, &row.table, &row.field, &row.target];
        let fits = |reason: &&mut Reason| {
            let pairs = reason.pattern.iter().zip(cells);
            pairs
                .into_iter()
                .all(|(pattern, text)| matches_pattern(pattern, text))
        };
        let found = self.0.iter_mut().find(fits);
        found.map(|reason| reason.is_used = true).is_some()
    }

    /// Reasons that no row needs.
    pub(super) fn idle(&self) -> Vec<&'static str> {
        let idle = self.0.iter().filter(|reason| !reason.is_used);
        idle.map(|reason| reason.line).collect()
    }
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(left) = text.strip_prefix(begin) else {
        return false;
    };
    let mut ends = (0..=left.len()).filter_map(|at| left.get(at..));
    ends.any(|left| matches_pattern(rest, left))
}
