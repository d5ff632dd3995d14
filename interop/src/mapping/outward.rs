//! From resources to messages. A message definition says which segments are made of which resources; what a segment says is
//! told by rows: those of the maps that go both ways, and rows for the way out alone (`<-`), which come first.
//!
//! [`OutPlan`] is a definition made ready, [`Library`] the resources that may be looked at, [`Outgoing::emit`] the run.

mod condition;
mod library;
mod run;

use std::collections::HashMap;

use fhir_spec::json::Text;
use fhir_spec::primitive::Primitive;

use super::plan::{CallPlan, Plan, RowSet, SourcePath, TargetPlan};
use super::run::Runner;
use super::source::{Sink, Step};

pub use condition::Change;
pub use library::{Library, Wanted};
pub use run::{Asked, Emitted, Left};

/// Steps to a reference, those from what it refers to, and so on.
pub(super) type Hops = Vec<Vec<TargetPlan>>;

/// A message definition, compiled.
#[derive(Debug)]
pub struct OutPlan {
    /// Tables, constants and the rows by their numbers.
    pub(super) plan: std::sync::Arc<Plan>,
    pub(super) start: Option<StartPlan>,
    pub(super) occasions: Vec<OccasionPlan>,
    /// Rows below no line.
    pub(super) own: Option<u32>,
    pub(super) lines: Vec<LinePlan>,
    pub(super) sets: Vec<OutSet>,
    pub(super) label_count: usize,
    /// Which elements give a field its value: `Patient.identifier` for PID-3.
    pub(super) given_by: HashMap<(Box<str>, u16), Vec<String>>,
}

#[derive(Debug)]
pub(super) struct StartPlan {
    pub(super) type_name: Text,
    pub(super) label: usize,
    pub(super) together: bool,
}

#[derive(Debug)]
pub(super) struct OccasionPlan {
    pub(super) event: Box<str>,
    pub(super) condition: Option<AskedPlan>,
}

#[derive(Debug)]
pub(super) struct LinePlan {
    /// The segment or group, and what it is made of: for people.
    pub(super) name: Box<str>,
    pub(super) told: Box<str>,
    pub(super) steps: Vec<Step>,
    pub(super) from: FromPlan,
    pub(super) label: Option<usize>,
    pub(super) condition: Option<AskedPlan>,
    /// Rows of segment maps, by the type of what the line is made of.
    pub(super) sets: Vec<(Text, u32)>,
    /// Rows that stand below the line itself; they come first.
    pub(super) own: Option<u32>,
    pub(super) lines: Vec<LinePlan>,
    /// A group gets its segments from the lines within.
    pub(super) is_segment: bool,
}

#[derive(Debug)]
pub(super) enum FromPlan {
    Nothing,
    Path(PathPlan),
    Referring {
        type_name: Text,
        element: Vec<TargetPlan>,
        to: usize,
    },
}

/// A path in FHIR: from what carries a label, or from what the line around is made of.
#[derive(Debug)]
pub(super) struct PathPlan {
    pub(super) label: Option<usize>,
    pub(super) hops: Hops,
}

/// Rows of one map: for the way out alone, then both ways.
#[derive(Debug, Default)]
pub(super) struct OutSet {
    pub(super) rows: Vec<OutRowPlan>,
    pub(super) both: RowSet,
}

#[derive(Debug)]
pub(super) struct OutRowPlan {
    pub(super) info: u32,
    pub(super) place: SourcePath,
    pub(super) repeats: bool,
    pub(super) value: ToldPlan,
    pub(super) calls: Vec<CallPlan>,
    pub(super) end: OutEnd,
    pub(super) condition: Option<AskedPlan>,
}

#[derive(Debug)]
pub(super) enum ToldPlan {
    Path(PathPlan),
    Text(Text),
    Constant(u32),
    Now,
    Event,
    Parts(PathPlan, Text),
}

/// How a value is written.
#[derive(Debug)]
pub(super) enum OutEnd {
    Text(Option<Primitive>),
    /// By the rows of a type map.
    Type(u32),
    /// By the rows for the type of the resource that is referred to; those of `Reference` where it is not to be had.
    Referred(Vec<(Text, u32)>),
}

/// A condition on what is in FHIR.
#[derive(Debug)]
pub(super) enum AskedPlan {
    Valued(SidePlan),
    Compare {
        left: SidePlan,
        is_equal: bool,
        right: Vec<SidePlan>,
    },
    Not(Box<AskedPlan>),
    All(Vec<AskedPlan>),
    Any(Vec<AskedPlan>),
}

#[derive(Debug)]
pub(super) enum SidePlan {
    Path(PathPlan),
    /// `before.status`: of the version before the change.
    Before(Hops),
    /// Of the repetition at hand.
    Item(Vec<TargetPlan>),
    Text(Text),
    Event,
    Version,
}

/// What is written to, beside what every [`Sink`] can do.
pub trait Page: Sink {
    /// How many repetitions there are.
    fn count(&self, from: Self::Node, number: u16) -> u16;

    /// Whether something stands there, or within.
    fn is_set(&self, node: Self::Node) -> bool;
}

/// A definition with what a destination fixes: zone and constants.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) plan: OutPlan,
    pub(super) runner: Runner,
}

impl OutPlan {
    pub fn name(&self) -> &str {
        self.plan.name()
    }

    /// The events that it is for: `R01`, of `ORU^R01`.
    pub fn serves(&self) -> impl Iterator<Item = &str> {
        self.plan.serves()
    }

    /// The type of the resources that it starts with.
    pub fn start_type(&self) -> Option<&str> {
        self.start.as_ref().map(|start| &*start.type_name)
    }

    /// Whether it has a constant of that name.
    pub fn takes(&self, constant: &str) -> bool {
        self.plan.constants().any(|known| known == constant)
    }

    /// Whether all of one patient go into one message.
    pub fn starts_together(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.together)
    }

    /// What a segment is made of, as the definition says it.
    pub fn made_of(&self, segment: &str) -> &str {
        fn find<'l>(lines: &'l [LinePlan], segment: &str) -> Option<&'l str> {
            lines.iter().find_map(|line| match *line.name == *segment {
                true => Some(&*line.told),
                false => find(&line.lines, segment),
            })
        }
        find(&self.lines, segment).unwrap_or_default()
    }

    /// The elements that give a field its value.
    pub fn given_by(&self, segment: &str, field: u16) -> &[String] {
        let key = (Box::from(segment), field);
        self.given_by.get(&key).map_or(&[], Vec::as_slice)
    }
}

impl Outgoing {
    /// Constants by name: those of the message that have no value must be among them.
    pub fn new(
        plan: OutPlan,
        zone: super::env::Zone,
        constants: &[(&str, &str)],
    ) -> Result<Self, super::run::BadSettings> {
        let runner = Runner::new(std::sync::Arc::clone(&plan.plan), zone, constants)?;
        Ok(Self { plan, runner })
    }

    pub fn plan(&self) -> &OutPlan {
        &self.plan
    }

    /// The event that a change of a resource is: the first whose condition holds.
    pub fn event_of(&self, change: &Change<'_>, library: &Library) -> Option<&str> {
        let start = self.plan.start_type()?;
        if change.after.str_of("resourceType") != Some(start) {
            return None;
        }
        let asked = condition::Asking {
            labels: &[],
            library,
            constants: self.runner.constants(),
            event: "",
            version: "",
            before: change.before,
        };
        let occasion = self.plan.occasions.iter().find(|occasion| {
            occasion.condition.as_ref().is_none_or(|condition| {
                asked.holds(condition, library::Item::of(change.after), None)
            })
        })?;
        Some(&occasion.event)
    }
}
