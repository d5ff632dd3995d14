//! Groups: which segment belongs to which, by the structure of the message.
//!
//! The structure is walked along with the segments, each of which goes to the nearest place that takes it: the same place
//! again, one further on in its group, a repetition of the group, the same one group out. What stands where the structure
//! does not have it finds the nearest group that can hold it, and is told. No segment is lost, none is looked at twice: the
//! work for each is bounded by the size of the structure.

mod place;

use super::dictionary::{Dictionary, Structure};
use super::forgiven::{Forgiven, Told};
use super::schema::{group_number, segment_number};
use super::tree::{Message, Segment};
use super::{narrow, wide};

/// A message as a tree of groups; flat where its structure is not known.
#[derive(Debug)]
pub struct Groups<'m, 't> {
    message: &'m Message<'t>,
    names: Vec<&'static str>,
    items: Vec<Item>,
    /// Numbers of the segments that the structure does not have.
    strays: Vec<u16>,
    told: Told,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    what: What,
    /// What a step of a map calls it.
    number: Option<u16>,
    parent: u32,
    first: Option<u32>,
    last: Option<u32>,
    next: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Segment(u32),
    /// By the node of the structure.
    Group(u32),
}

/// Groups a message by the structure that its header names.
pub fn group<'m, 't>(message: &'m Message<'t>, dictionary: &Dictionary) -> Groups<'m, 't> {
    match dictionary.structure_of(message) {
        Some(structure) => place::all(message, structure),
        None => flat(message),
    }
}

/// Groups a message by a structure.
pub fn group_by<'m, 't>(message: &'m Message<'t>, structure: &Structure) -> Groups<'m, 't> {
    place::all(message, structure)
}

fn flat<'m, 't>(message: &'m Message<'t>) -> Groups<'m, 't> {
    let mut groups = Groups::new(message, vec![""]);
    for index in 0..message.segment_count() {
        groups.add(0, What::Segment(narrow(index)));
    }
    groups
}

impl<'m, 't> Groups<'m, 't> {
    fn new(message: &'m Message<'t>, names: Vec<&'static str>) -> Self {
        let root = Item {
            what: What::Group(0),
            number: group_number(0),
            parent: 0,
            first: None,
            last: None,
            next: None,
        };
        let mut items = Vec::with_capacity(message.segment_count() * 2 + 1);
        items.push(root);
        Self {
            message,
            names,
            items,
            strays: Vec::new(),
            told: Told::default(),
        }
    }

    fn add_stray(&mut self, parent: usize, index: usize) {
        let segment = self.message.segment(index);
        if let Some(number) = segment.and_then(|segment| segment_number(segment.name()))
            && !self.strays.contains(&number)
        {
            self.strays.push(number);
        }
        self.add(parent, What::Segment(narrow(index)));
    }

    fn add(&mut self, parent: usize, what: What) -> usize {
        let index = self.items.len();
        let number = match what {
            What::Segment(index) => (self.message.segment(wide(index)))
                .and_then(|segment| segment_number(segment.name())),
            What::Group(node) => group_number(node),
        };
        self.items.push(Item {
            what,
            number,
            parent: narrow(parent),
            first: None,
            last: None,
            next: None,
        });
        let before = self.items.get(parent).and_then(|parent| parent.last);
        if let Some(before) = before.and_then(|before| self.items.get_mut(wide(before))) {
            before.next = Some(narrow(index));
        }
        if let Some(parent) = self.items.get_mut(parent) {
            parent.first = parent.first.or(Some(narrow(index)));
            parent.last = Some(narrow(index));
        }
        index
    }

    /// The message as the outermost group.
    pub fn root(&self) -> Group<'_, 'm, 't> {
        Group {
            groups: self,
            at: 0,
        }
    }

    /// The segment at a place in the tree; none where a group is.
    pub(super) fn segment_at(&self, at: u32) -> Option<Segment<'m, 't>> {
        match self.items.get(wide(at))?.what {
            What::Segment(index) => self.message.segment(wide(index)),
            What::Group(_) => None,
        }
    }

    fn alike_from(&self, mut at: Option<u32>, number: u16) -> Option<u32> {
        while let Some(place) = at {
            let item = self.items.get(wide(place))?;
            if item.number == Some(number) {
                return Some(place);
            }
            at = item.next;
        }
        None
    }

    /// The first segment or group of that number right in a group. A segment that the structure does not have went to
    /// whatever group was open: it is looked for further down as well.
    pub(super) fn first_of(&self, at: u32, number: u16) -> Option<u32> {
        let first = self.items.get(wide(at))?.first;
        if let Some(found) = self.alike_from(first, number) {
            return Some(found);
        }
        if !self.strays.contains(&number) {
            return None;
        }
        let mut child = first;
        while let Some(place) = child {
            if let Some(found) = self.first_of(place, number) {
                return Some(found);
            }
            child = self.items.get(wide(place))?.next;
        }
        None
    }

    /// The next one beside it that is called the same.
    pub(super) fn next_alike(&self, at: u32) -> Option<u32> {
        let item = self.items.get(wide(at))?;
        self.alike_from(item.next, item.number?)
    }

    /// What the structure would have had otherwise.
    pub fn forgiven(&self) -> &[Forgiven] {
        &self.told.list
    }

    /// One line a segment, groups indented: for people and for tests.
    pub fn outline(&self) -> String {
        let mut text = String::new();
        outline(self.root(), 0, &mut text);
        text
    }
}

fn outline(group: Group<'_, '_, '_>, depth: usize, text: &mut String) {
    for child in group.children() {
        text.extend(std::iter::repeat_n("  ", depth));
        match child {
            Child::Segment(segment) => {
                text.push_str(segment.name());
                text.push('\n');
            }
            Child::Group(group) => {
                text.push_str(group.name());
                text.push('\n');
                outline(group, depth + 1, text);
            }
        }
    }
}

/// One occurrence of a group.
#[derive(Debug, Clone, Copy)]
pub struct Group<'g, 'm, 't> {
    groups: &'g Groups<'m, 't>,
    at: usize,
}

#[derive(Debug, Clone, Copy)]
pub enum Child<'g, 'm, 't> {
    Segment(Segment<'m, 't>),
    Group(Group<'g, 'm, 't>),
}

impl<'g, 'm, 't> Group<'g, 'm, 't> {
    /// Empty for the message itself.
    pub fn name(&self) -> &'static str {
        let node = match self.groups.items.get(self.at).map(|item| item.what) {
            Some(What::Group(node)) => wide(node),
            _ => 0,
        };
        self.groups.names.get(node).copied().unwrap_or_default()
    }

    /// The group it is in.
    pub fn parent(&self) -> Option<Self> {
        let item = self.groups.items.get(self.at).filter(|_| self.at > 0)?;
        Some(Self {
            at: wide(item.parent),
            ..*self
        })
    }

    /// Segments and groups in the order of the message.
    pub fn children(&self) -> impl Iterator<Item = Child<'g, 'm, 't>> + use<'g, 'm, 't> {
        let groups = self.groups;
        let mut next = groups.items.get(self.at).and_then(|item| item.first);
        std::iter::from_fn(move || {
            loop {
                let at = wide(next?);
                let item = groups.items.get(at)?;
                next = item.next;
                match item.what {
                    What::Group(_) => return Some(Child::Group(Group { groups, at })),
                    What::Segment(index) => {
                        if let Some(segment) = groups.message.segment(wide(index)) {
                            return Some(Child::Segment(segment));
                        }
                    }
                }
            }
        })
    }

    /// Its own segments of a name, not those of groups in it.
    pub fn segments_named<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = Segment<'m, 't>> + use<'g, 'm, 't, 'n> {
        self.children().filter_map(move |child| match child {
            Child::Segment(segment) if segment.name() == name => Some(segment),
            _ => None,
        })
    }

    /// The groups of a name right in it.
    pub fn groups_named<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = Self> + use<'g, 'm, 't, 'n> {
        self.children().filter_map(move |child| match child {
            Child::Group(group) if group.name() == name => Some(group),
            _ => None,
        })
    }
}
