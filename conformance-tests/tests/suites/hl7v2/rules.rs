//! Differences that have a reason: rules about types and places, read from `explained.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::core::Core;
use crate::material::beside;

static EXPLAINED: LazyLock<String> = LazyLock::new(|| beside("hl7v2/explained.tsv"));

/// What our resources say.
pub(super) struct Held<'c> {
    kinds: BTreeSet<&'c str>,
    /// The places of each value, in each way of writing it.
    places: BTreeMap<&'c str, BTreeSet<(&'c str, &'c str)>>,
}

impl<'c> Held<'c> {
    pub(super) fn of(cores: &'c [Core]) -> Self {
        let mut places: BTreeMap<&str, BTreeSet<_>> = BTreeMap::new();
        for core in cores {
            for key in core.keys() {
                let at = places.entry(key).or_default();
                at.insert((&*core.kind, &*core.place));
            }
        }
        let kinds = cores.iter().map(|core| &*core.kind).collect();
        Self { kinds, places }
    }

    pub(super) fn has_kind(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    pub(super) fn has(&self, core: &Core) -> bool {
        let here = (&*core.kind, &*core.place);
        core.keys()
            .filter_map(|key| self.places.get(key))
            .any(|places| places.contains(&here))
    }

    /// Whether a text at such a place has the value in it.
    fn says(&self, core: &Core, place: &str) -> bool {
        let value = core.value.text();
        let mut said = self.places.iter().filter(|(text, _)| text.contains(value));
        said.any(|(_, places)| {
            let mut places = places.iter();
            places.any(|(kind, at)| fits(place, &format!("{kind}.{at}")))
        })
    }

    /// Where the value stands, `Type.place`.
    pub(super) fn places(&self, core: &Core) -> Vec<String> {
        let places = core.keys().filter_map(|key| self.places.get(key));
        let places: BTreeSet<_> = places.flatten().collect();
        places
            .into_iter()
            .map(|(kind, place)| format!("{kind}.{place}"))
            .collect()
    }
}

/// One line of the file: `origin<TAB>segments<TAB>type<TAB>place<TAB>kept<TAB>reason`. `*` stands for all, and at the end of a
/// word for what begins so, at its begin for what ends so.
struct Rule {
    /// Where the value stands first in the message: one of these, `-` for nowhere; empty where it does not matter.
    segments: Vec<&'static str>,
    kind: &'static str,
    place: &'static str,
    /// `place = code | code`: the rule is about these values alone, codes and constants of the other converter.
    values: Vec<&'static str>,
    /// Where we keep the value: the rule holds when it does stand in one of these places. `-`, nothing here: it is kept nowhere.
    /// `none`: the rule holds when we have no resource of the type at all. `~` before a place: a text there has it in it.
    kept: Vec<&'static str>,
    reason: &'static str,
}

pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn read(origin: &str) -> Self {
        let lines = EXPLAINED.lines();
        let rows = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let rules = rows.filter_map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let [of, segments, kind, place, kept, reason] = cells[..] else {
                panic!("explained.tsv: six columns wanted: {line}");
            };
            assert!(
                !reason.trim().is_empty(),
                "explained.tsv: no reason: {line}"
            );
            let (place, values) = match place.split_once(" = ") {
                Some((place, values)) => (place, values.split(" | ").collect()),
                None => (place, Vec::new()),
            };
            let kept = kept.split(", ").filter(|kept| *kept != "-").collect();
            let segments = match segments {
                "*" => Vec::new(),
                segments => segments.split(", ").collect(),
            };
            fits(of, origin).then_some(Rule {
                segments,
                kind,
                place,
                values,
                kept,
                reason,
            })
        });
        Self(rules.collect())
    }

    /// Why there is no resource of a type: a rule about the place `-` says so.
    pub(super) fn reason_of_type(&self, kind: &str) -> Option<&'static str> {
        let mut rules = self.0.iter();
        rules
            .find(|rule| rule.place == "-" && fits(rule.kind, kind))
            .map(|rule| rule.reason)
    }

    /// Why a value is not where it was expected.
    pub(super) fn reason(
        &self,
        core: &Core,
        segment: Option<&str>,
        held: &Held<'_>,
    ) -> Option<&'static str> {
        let about = |rule: &&Rule| {
            fits(rule.kind, &core.kind)
                && fits(rule.place, &core.place)
                && (rule.values.is_empty() || rule.values.contains(&core.value.text()))
                && rule.is_of(segment)
        };
        let holds = |rule: &&Rule| {
            rule.kept.is_empty()
                || rule.kept == ["none"] && !held.has_kind(&core.kind)
                || held
                    .places(core)
                    .iter()
                    .any(|place| rule.kept.iter().any(|kept| fits(kept, place)))
                || (rule.kept.iter())
                    .filter_map(|kept| kept.strip_prefix('~'))
                    .any(|kept| held.says(core, kept))
        };
        let mut rules = self.0.iter().filter(about);
        rules.find(holds).map(|rule| rule.reason)
    }
}

impl Rule {
    fn is_of(&self, segment: Option<&str>) -> bool {
        self.segments.is_empty() || self.segments.contains(&segment.unwrap_or("-"))
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(begin), _) => text.starts_with(begin),
        (None, Some(end)) => text.ends_with(end),
        (None, None) => pattern == text,
    }
}
