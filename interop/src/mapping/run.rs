//! Forward: a source becomes resources. First the blocks are laid over the groups of the source, then each resource is filled
//! by its rows; so a reference may lead to what comes later in a message.

mod expression;
mod identity;
mod lay;
mod made;
mod row;
pub(super) mod write;

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;
use fhir_spec::json::{Object, Text, Value};

use super::env::{Env, Zone};
use super::loss::Note;
use super::plan::{Plan, index, number};
use super::source::{Source, Span, Step};
use super::trace::Traced;

/// A plan with what a route fixes: zone and constants.
#[derive(Debug, Clone)]
pub struct Runner {
    plan: Arc<Plan>,
    zone: Zone,
    constants: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error("the map {map} wants a value for the constant {constant}")]
    NoValue { map: String, constant: String },
    #[error("the map {map} has no constant {constant}")]
    NoSuchConstant { map: String, constant: String },
}

/// What is handed in for one source.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'o> {
    /// The time of the run, as FHIR writes an instant.
    pub now: &'o str,
    /// Makes the links between the resources of this source different from those of others: its id, or hash.
    pub seed: &'o str,
    pub trace: bool,
}

/// What became of a source.
#[derive(Debug, Clone, Default)]
pub struct Mapped {
    pub entries: Vec<Entry>,
    pub notes: Vec<Note>,
    /// Empty unless it was asked for.
    pub trace: Vec<Traced>,
}

/// One resource and how it is to be stored.
#[derive(Debug, Clone)]
pub struct Entry {
    pub full_url: Text,
    pub resource: Object,
    pub request: Request,
    /// Elements that the sender says are no more, as FHIR paths: absent keeps, null deletes.
    pub deletes: Vec<Box<str>>,
    /// What of the source it was made of.
    pub place: Span,
    /// Not to be stored by itself: it stands inside of another one.
    contained: bool,
    frame: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Created.
    Post,
    /// Created unless the query finds one: `ifNoneExist`.
    PostUnless(String),
    /// Updates what the query finds, or is created.
    Put(String),
}

impl Entry {
    /// One that no map has made.
    pub fn new(full_url: impl Into<Text>, resource: Object, request: Request) -> Self {
        Self {
            full_url: full_url.into(),
            resource,
            request,
            deletes: Vec::new(),
            place: Span { from: 0, to: 0 },
            contained: false,
            frame: 0,
        }
    }
}

impl Runner {
    /// Constants by name; those of the map that have no value must be among them.
    pub fn new(
        plan: Arc<Plan>,
        zone: Zone,
        constants: &[(&str, &str)],
    ) -> Result<Self, BadSettings> {
        let map = || plan.name.to_string();
        if let Some((name, _)) = constants
            .iter()
            .find(|(name, _)| plan.constants.iter().all(|known| *known.name != **name))
        {
            return Err(BadSettings::NoSuchConstant {
                map: map(),
                constant: (*name).to_owned(),
            });
        }
        let values = plan.constants.iter().map(|constant| {
            let given = constants
                .iter()
                .find(|(name, _)| **name == *constant.name)
                .map(|(_, value)| Text::from(*value));
            let value = given.or_else(|| constant.value.clone());
            value.map(Value::from).ok_or_else(|| BadSettings::NoValue {
                map: map(),
                constant: constant.name.to_string(),
            })
        });
        let constants = values.collect::<Result<_, _>>()?;
        Ok(Self {
            plan,
            zone,
            constants,
        })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same, where times that say no zone are in another one.
    #[must_use]
    pub fn in_zone(&self, zone: Zone) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            zone,
            constants: self.constants.clone(),
        }
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn constants(&self) -> &[Value] {
        &self.constants
    }

    pub fn run<S: Source>(&self, source: &S, occasion: Occasion<'_>) -> Mapped {
        let mut run = Run {
            plan: &self.plan,
            constants: &self.constants,
            source,
            env: Env::new(occasion.now, &self.zone),
            seed: hash(occasion.seed),
            frames: Vec::with_capacity(32),
            is_joined: false,
            entries: Vec::with_capacity(16),
            consumed: Vec::with_capacity(512),
            notes: Vec::new(),
            trace: occasion.trace.then(Vec::new),
            alike: HashMap::new(),
            made: Vec::new(),
            arguments: Vec::with_capacity(8),
            depth: 0,
            row: 0,
            entry: 0,
        };
        run.whole();
        Mapped {
            entries: run.entries,
            notes: run.notes,
            trace: run.trace.unwrap_or_default(),
        }
    }
}

/// A node that a block was laid on.
#[derive(Debug)]
struct Frame<N> {
    parent: u32,
    node: N,
    /// Nodes that were joined to this one.
    more: Vec<N>,
    block: u32,
    entry: Option<u32>,
    /// Resources of the blocks right below: block and entry.
    held: Vec<(u32, u32)>,
    /// Groups right below, by their blocks.
    groups: Vec<(u32, Vec<u32>)>,
}

/// The node at hand, and those further out.
struct It<'i, N> {
    node: N,
    outer: Option<&'i It<'i, N>>,
}

/// From where the paths of a row are seen.
struct Local<'l, N> {
    frame: u32,
    it: Option<&'l It<'l, N>>,
}

impl<N> Clone for Local<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Local<'_, N> {}

struct Run<'r, S: Source> {
    plan: &'r Plan,
    constants: &'r [Value],
    source: &'r S,
    env: Env<'r>,
    seed: u64,
    frames: Vec<Frame<S::Node>>,
    /// Some frame has more than one node.
    is_joined: bool,
    entries: Vec<Entry>,
    consumed: Vec<Span>,
    notes: Vec<Note>,
    trace: Option<Vec<Traced>>,
    /// Entries of a block that say the same, for `nth`.
    alike: HashMap<(u32, String), Vec<u32>>,
    /// Where resources were made, in the order of the source, when a row asks for that.
    made: Vec<made::Made>,
    /// Of the functions that are being asked, one within another.
    arguments: Vec<Value>,
    /// Type maps within type maps.
    depth: usize,
    /// The row at hand, for what there is to say about it.
    row: u32,
    entry: u32,
}

impl<'r, S: Source> Run<'r, S> {
    fn whole(&mut self) {
        let plan = self.plan;
        self.frames.push(Frame {
            parent: 0,
            node: self.source.root(),
            more: Vec::new(),
            block: 0,
            entry: None,
            held: Vec::new(),
            groups: Vec::new(),
        });
        if let Some(root) = plan.blocks.first() {
            for child in &root.children {
                self.lay(0, *child);
            }
            let local = Local { frame: 0, it: None };
            self.ignore(&root.ignored, u64::MAX, local);
        }
        self.index_made();
        for entry in 0..number(self.entries.len()) {
            self.fill(entry);
        }
        for frame in 0..number(self.frames.len()) {
            self.write_elsewhere(frame);
        }
        self.finish();
        if self.env.zone_assumed.get() {
            self.notes.push(Note::Zone(self.env.zone.name().into()));
        }
        self.find_losses();
    }

    fn fill(&mut self, entry: u32) {
        let Some(frame) = self.entries.get(index(entry)).map(|entry| entry.frame) else {
            return;
        };
        let block = self
            .frames
            .get(index(frame))
            .and_then(|frame| self.block(frame.block));
        let Some(plan) = block.and_then(|block| block.resource.as_ref()) else {
            return;
        };
        let Some(mut object) = self
            .entries
            .get_mut(index(entry))
            .map(|entry| std::mem::take(&mut entry.resource))
        else {
            return;
        };
        self.entry = entry;
        let local = Local { frame, it: None };
        self.rows(&plan.rows, local, &mut object);
        for assignment in &plan.assignments {
            self.assign(assignment, local, &mut object);
        }
        if let Some(entry) = self.entries.get_mut(index(entry)) {
            entry.resource = object;
        }
    }
}

/// Every node that steps lead to, all repetitions of each.
pub(super) fn each_node<S: Source>(
    source: &S,
    from: S::Node,
    steps: &[Step],
    visit: &mut dyn FnMut(S::Node),
) {
    let Some((step, deeper)) = steps.split_first() else {
        visit(from);
        return;
    };
    let mut node = source.first(from, step.number);
    let mut repetition = 0u16;
    while let Some(found) = node {
        match step.repetition {
            Some(wanted) if wanted != repetition => {}
            _ => each_node(source, found, deeper, visit),
        }
        if step.repetition == Some(repetition) {
            return;
        }
        repetition = repetition.saturating_add(1);
        node = source.next(found);
    }
}

/// FNV-1a: no secret hangs on it.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A link between the resources of one source, the same whenever it is mapped again (RFC 9562, version 8).
fn uuid(seed: u64, ordinal: u32) -> CompactString {
    let high = mixed(seed ^ u64::from(ordinal));
    let low = mixed(high ^ seed.rotate_left(17));
    let high = high & !0xf000 | 0x8000;
    let low = low & !(3 << 62) | 1 << 63;
    let mut made = *b"urn:uuid:00000000-0000-0000-0000-000000000000";
    let places = made.iter_mut().filter(|letter| **letter == b'0');
    let mut rest = (u128::from(high) << 64) | u128::from(low);
    for place in places {
        rest = rest.rotate_left(4);
        let digit = b"0123456789abcdef".get(usize::from(rest.to_le_bytes()[0] & 0xf));
        *place = digit.copied().unwrap_or(b'0');
    }
    CompactString::from_utf8(made).unwrap_or_default()
}

impl<S: Source> Run<'_, S> {
    fn find_losses(&mut self) {
        super::loss::losses(self.source, &mut self.consumed, &mut self.notes);
    }
}
