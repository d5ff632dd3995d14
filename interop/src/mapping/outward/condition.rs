//! Paths and conditions on what is in FHIR.

use fhir_spec::json::{Data, Value};

use super::super::plan::{ExpressionPlan, TargetPlan, WhichPlan, index};
use super::library::{Item, Library};
use super::{AskedPlan, Hops, PathPlan, SidePlan};

/// A resource as it is now, and as it was.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    pub before: Option<&'c Value>,
    pub after: &'c Value,
}

/// What conditions and paths are asked of.
pub(super) struct Asking<'a, 'l> {
    pub(super) labels: &'a [Vec<Item<'l>>],
    pub(super) library: &'l Library,
    pub(super) constants: &'a [Value],
    pub(super) event: &'a str,
    pub(super) version: &'a str,
    pub(super) before: Option<&'l Value>,
}

/// All that a path leads to.
pub(super) fn reached<'v>(
    value: &'v Value,
    steps: &[TargetPlan],
    constants: &[Value],
) -> Vec<&'v Value> {
    let mut found = Vec::new();
    reach(value, steps, constants, &mut found);
    found
}

fn reach<'v>(
    value: &'v Value,
    steps: &[TargetPlan],
    constants: &[Value],
    found: &mut Vec<&'v Value>,
) {
    let Some((step, deeper)) = steps.split_first() else {
        if !value.is_null() {
            found.push(value);
        }
        return;
    };
    let Some(next) = value.get(&step.name) else {
        return;
    };
    let Some(items) = next.as_array() else {
        return reach(next, deeper, constants, found);
    };
    match &step.which {
        WhichPlan::Nth(number) => {
            let item = usize::from(*number)
                .checked_sub(1)
                .and_then(|place| items.get(place));
            if let Some(item) = item {
                reach(item, deeper, constants, found);
            }
        }
        WhichPlan::Last => {
            if let Some(item) = items.last() {
                reach(item, deeper, constants, found);
            }
        }
        WhichPlan::Where(wanted) => {
            for item in items {
                let is_meant = wanted
                    .iter()
                    .all(|(steps, wanted, _)| says(item, steps, wanted, constants));
                if is_meant {
                    reach(item, deeper, constants, found);
                }
            }
        }
        WhichPlan::First | WhichPlan::New => {
            for item in items {
                reach(item, deeper, constants, found);
            }
        }
    }
}

/// Whether an element says what is wanted, anywhere the path leads; what is not fixed is not asked for.
pub(super) fn says(
    item: &Value,
    steps: &[TargetPlan],
    wanted: &ExpressionPlan,
    constants: &[Value],
) -> bool {
    let wanted = match wanted {
        ExpressionPlan::Literal(value) => Some(value),
        ExpressionPlan::Constant(place) => constants.get(index(*place)),
        _ => return true,
    };
    let wanted = wanted.and_then(text_of);
    reached(item, steps, constants)
        .into_iter()
        .any(|found| text_of(found) == wanted)
}

pub(super) fn text_of(value: &Value) -> Option<&str> {
    match &value.data {
        Data::String(text) | Data::Number(text) => Some(text),
        Data::Bool(true) => Some("true"),
        Data::Bool(false) => Some("false"),
        _ => None,
    }
}

impl<'l> Asking<'_, 'l> {
    /// What a path leads to, through references.
    pub(super) fn items(&self, path: &PathPlan, here: Option<Item<'l>>) -> Vec<Item<'l>> {
        let begin: Vec<Item<'l>> = match path.label {
            Some(label) => self.labels.get(label).cloned().unwrap_or_default(),
            None => here.into_iter().collect(),
        };
        self.through(begin, &path.hops)
    }

    fn through(&self, begin: Vec<Item<'l>>, hops: &Hops) -> Vec<Item<'l>> {
        let mut items = begin;
        for (place, hop) in hops.iter().enumerate() {
            let mut next = Vec::new();
            for item in items {
                let item = match place {
                    0 => Some(item),
                    _ => self.library.resolve(item),
                };
                let Some(item) = item else { continue };
                let found = reached(item.value, hop, self.constants);
                next.extend(found.into_iter().map(|value| item.within(value)));
            }
            items = next;
        }
        items
    }

    pub(super) fn holds(
        &self,
        asked: &AskedPlan,
        here: Item<'l>,
        repetition: Option<Item<'l>>,
    ) -> bool {
        match asked {
            AskedPlan::Valued(side) => !self.side(side, here, repetition).is_empty(),
            AskedPlan::Compare {
                left,
                is_equal,
                right,
            } => {
                let left = self.side(left, here, repetition);
                let is_one_of = right.iter().any(|right| {
                    let right = self.side(right, here, repetition);
                    left.iter().any(|one| right.contains(one))
                        || (left.is_empty() && right.is_empty())
                });
                is_one_of == *is_equal
            }
            AskedPlan::Not(inner) => !self.holds(inner, here, repetition),
            AskedPlan::All(all) => all.iter().all(|one| self.holds(one, here, repetition)),
            AskedPlan::Any(all) => all.iter().any(|one| self.holds(one, here, repetition)),
        }
    }

    fn side(&self, side: &SidePlan, here: Item<'l>, repetition: Option<Item<'l>>) -> Vec<String> {
        let texts = |items: Vec<&Value>| {
            let told = items.into_iter().map(|value| match text_of(value) {
                Some(text) => text.to_owned(),
                None => value.to_string(),
            });
            told.collect()
        };
        let values = |items: Vec<Item<'l>>| items.into_iter().map(|item| item.value).collect();
        match side {
            SidePlan::Path(path) => texts(values(self.items(path, Some(here)))),
            SidePlan::Before(hops) => {
                let begin = self.before.map(Item::of).into_iter().collect();
                texts(values(self.through(begin, hops)))
            }
            SidePlan::Item(steps) => {
                let item = repetition.unwrap_or(here);
                texts(reached(item.value, steps, self.constants))
            }
            SidePlan::Text(text) => vec![text.to_string()],
            SidePlan::Event => vec![self.event.to_owned()],
            SidePlan::Version => vec![self.version.to_owned()],
        }
    }
}
