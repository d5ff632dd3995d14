//! Finding the place of each segment in the structure.

use super::{Groups, What};
use crate::formats::hl7v2::dictionary::{Node, NodeKind, Structure};
use crate::formats::hl7v2::forgiven::Leniency;
use crate::formats::hl7v2::narrow;
use crate::formats::hl7v2::tree::Message;

pub(super) fn all<'m, 't>(message: &'m Message<'t>, structure: &Structure) -> Groups<'m, 't> {
    let names = structure.nodes.iter().map(|node| node.name).collect();
    let mut walk = Walk {
        structure,
        groups: Groups::new(message, names),
        open: vec![Open::new(0, 0)],
        latest: vec![None; structure.nodes.len()],
        closed_off: closed_off(message, structure),
    };
    if let Some(root) = walk.latest.first_mut() {
        *root = Some(0);
    }
    for (index, segment) in message.segments().enumerate() {
        walk.segment(index, segment.name(), segment.at());
    }
    walk.groups
}

/// Optional groups that the message has not got, because a segment that they must have is nowhere in it, though it has that
/// with which they would begin: an OBX is not the beginning of a document where there is no TXA.
fn closed_off(message: &Message<'_>, structure: &Structure) -> Vec<bool> {
    let present = (message.segments()).fold(0, |all, segment| all | structure.bit(segment.name()));
    let is_closed = |node: &Node| {
        let children = || {
            let all = node.children.iter();
            all.filter_map(|child| structure.nodes.get(*child))
        };
        let lacks = children().skip(1).any(|child| {
            child.kind == NodeKind::Segment && child.required && child.any & present == 0
        });
        let elsewhere = structure
            .nodes
            .iter()
            .filter(|other| other.kind == NodeKind::Segment && other.any & node.leading != 0);
        node.kind == NodeKind::Group && !node.required && lacks && elsewhere.count() > 1
    };
    structure.nodes.iter().map(is_closed).collect()
}

/// An occurrence of a group that segments still go to.
struct Open {
    node: usize,
    item: usize,
    /// The place among its children that took a segment last.
    position: Option<usize>,
    /// Places that took one, as bits; groups have fewer than 128 places.
    filled: u128,
}

impl Open {
    fn new(node: usize, item: usize) -> Self {
        Self {
            node,
            item,
            position: None,
            filled: 0,
        }
    }

    fn has_filled(&self, place: usize) -> bool {
        self.filled
            .checked_shr(narrow(place))
            .is_some_and(|bits| bits & 1 == 1)
    }
}

struct Walk<'m, 't, 's> {
    structure: &'s Structure,
    groups: Groups<'m, 't>,
    open: Vec<Open>,
    /// For each group of the structure its last occurrence.
    latest: Vec<Option<usize>>,
    /// Groups that this message cannot have.
    closed_off: Vec<bool>,
}

/// Where a segment goes.
#[derive(Clone, Copy)]
enum Place {
    /// A place in an open group, by the level of the group and the place among its children.
    In { level: usize, child: usize },
    /// The group at this level begins anew.
    Again { level: usize },
}

impl Walk<'_, '_, '_> {
    fn segment(&mut self, index: usize, name: &str, at: usize) {
        let bit = self.structure.bit(name);
        let number = index + 1;
        if bit == 0 {
            if !self.structure.takes_any() {
                self.groups
                    .told
                    .tell(Leniency::NotInStructure(name.to_owned()), number, at);
            }
            let item = self.open.last().map_or(0, |open| open.item);
            self.groups.add_stray(item, index);
            return;
        }
        if let Some(place) = self.in_order(bit) {
            self.take(place, bit, index, at);
        } else if let Some((level, child)) = self.slot(bit, |open, child, node| {
            !open.has_filled(child) || node.repeats
        }) {
            self.take(Place::In { level, child }, bit, index, at);
        } else if let Some(level) = self.level(|node| node.repeats && node.any & bit != 0) {
            self.take(Place::Again { level }, bit, index, at);
        } else if let Some((level, child)) = self.slot(bit, |_, _, _| true) {
            self.groups
                .told
                .tell(Leniency::TooOften(name.to_owned()), number, at);
            self.take(Place::In { level, child }, bit, index, at);
        } else {
            self.groups
                .told
                .tell(Leniency::OutOfOrder(name.to_owned()), number, at);
            let item = self.closed(bit);
            self.groups.add(item, What::Segment(narrow(index)));
        }
    }

    fn node(&self, index: usize) -> Option<&Node> {
        self.structure.nodes.get(index)
    }

    fn group(&self, level: usize) -> Option<(&Open, &Node)> {
        let open = self.open.get(level)?;
        Some((open, self.node(open.node)?))
    }

    fn children(&self, node: &Node) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = node.children.iter().filter_map(|child| self.node(*child));
        nodes.enumerate()
    }

    /// The place that the structure has for a segment that comes next; from the innermost group outwards.
    fn in_order(&self, bit: u128) -> Option<Place> {
        for level in (0..self.open.len()).rev() {
            let (open, group) = self.group(level)?;
            if let Some(child) = self.further_on(level, bit) {
                return Some(Place::In { level, child });
            }
            if group.repeats && group.first & bit != 0 {
                return Some(Place::Again { level });
            }
            // What is due and was passed over: better late in this group than another group.
            let late = self.children(group).find(|(child, node)| {
                node.kind == NodeKind::Segment
                    && node.required
                    && node.any & bit != 0
                    && !open.has_filled(*child)
            });
            if let Some((child, _)) = late {
                return Some(Place::In { level, child });
            }
        }
        None
    }

    /// The same place again if it repeats, or one further on in the group.
    fn further_on(&self, level: usize, bit: u128) -> Option<usize> {
        let (open, group) = self.group(level)?;
        let mut lenient = None;
        for (child, node) in self.children(group) {
            let same = open.position == Some(child);
            let takes = match node.kind {
                NodeKind::Segment if same => node.repeats && node.any & bit != 0,
                NodeKind::Segment => node.any & bit != 0,
                NodeKind::Group => {
                    let place = group.children.get(child).copied().unwrap_or_default();
                    !same
                        && node.any & bit != 0
                        && !self.closed_off.get(place).copied().unwrap_or_default()
                        && !self.belongs_outside(level, node, bit)
                }
            };
            if open.position.is_some_and(|position| child < position) || !takes {
                continue;
            }
            if node.first & bit != 0 {
                return Some(child);
            }
            lenient = lenient.or(Some(child));
        }
        lenient
    }

    /// A group further on could take the segment, but not as its beginning; one that is open already holds such a segment
    /// or begins with it. So `ORC` after a result begins the next order, and not the prior results of this one.
    fn belongs_outside(&self, level: usize, ahead: &Node, bit: u128) -> bool {
        if ahead.leading & bit != 0 {
            return false;
        }
        (0..=level)
            .filter_map(|outer| self.group(outer))
            .any(|(open, group)| {
                let begins = group.repeats && group.leading & bit != 0;
                let holds = self.children(group).any(|(child, node)| {
                    node.kind == NodeKind::Segment && node.any & bit != 0 && open.has_filled(child)
                });
                begins || (holds && ahead.first & bit != 0)
            })
    }

    /// A place for segments in an open group, before or after where the group stands.
    fn slot(
        &self,
        bit: u128,
        fits: impl Fn(&Open, usize, &Node) -> bool,
    ) -> Option<(usize, usize)> {
        (0..self.open.len()).rev().find_map(|level| {
            let (open, group) = self.group(level)?;
            let mut places = self.children(group);
            let takes = |(child, node): &(usize, &Node)| {
                node.kind == NodeKind::Segment && node.any & bit != 0 && fits(open, *child, node)
            };
            places.find(takes).map(|(child, _)| (level, child))
        })
    }

    fn level(&self, fits: impl Fn(&Node) -> bool) -> Option<usize> {
        (0..self.open.len())
            .rev()
            .find(|level| self.group(*level).is_some_and(|(_, group)| fits(group)))
    }

    /// The item of a group that has a place for the segment, in the last occurrence of what is closed: it may have to begin.
    fn closed(&mut self, bit: u128) -> usize {
        let structure = self.structure;
        let held = structure
            .nodes
            .iter()
            .enumerate()
            .rev()
            .find_map(|(index, node)| {
                let holds = node.kind == NodeKind::Group && node.any & bit != 0;
                let latest = self.latest.get(index).copied().flatten();
                latest.filter(|_| holds).map(|item| (node, item))
            });
        let Some((mut group, mut item)) = held else {
            return 0;
        };
        loop {
            let children = group.children.iter();
            let mut takers =
                children.filter_map(|child| Some((*child, structure.nodes.get(*child)?)));
            let taker = takers.find(|(_, node)| node.any & bit != 0);
            let Some((index, node)) = taker.filter(|(_, node)| node.kind == NodeKind::Group) else {
                return item;
            };
            item = self.groups.add(item, What::Group(narrow(index)));
            if let Some(latest) = self.latest.get_mut(index) {
                *latest = Some(item);
            }
            group = node;
        }
    }

    fn take(&mut self, place: Place, bit: u128, index: usize, at: usize) {
        match place {
            Place::In { level, child } => {
                self.open.truncate(level + 1);
                let back = self
                    .open
                    .last()
                    .and_then(|open| open.position)
                    .is_some_and(|position| child < position);
                if back {
                    let name = self
                        .groups
                        .message
                        .segment(index)
                        .map_or("", |segment| segment.name());
                    self.groups
                        .told
                        .tell(Leniency::OutOfOrder(name.to_owned()), index + 1, at);
                }
                self.go_to(child, index, at);
            }
            Place::Again { level } => {
                let node = self.open.get(level).map_or(0, |open| open.node);
                self.open.truncate(level.max(1));
                self.begin(node);
            }
        }
        self.descend(bit, index, at);
    }

    /// Moves the innermost group on to a child; what is due in between is missing.
    fn go_to(&mut self, child: usize, index: usize, at: usize) {
        let Some((open, group)) = self
            .open
            .len()
            .checked_sub(1)
            .and_then(|level| self.group(level))
        else {
            return;
        };
        let from = open.position.map_or(0, |position| position + 1);
        let missing = self
            .children(group)
            .take(child)
            .skip(from)
            .find(|(place, node)| node.required && !open.has_filled(*place))
            .map(|(_, node)| node.name.to_owned());
        let node = group.children.get(child).copied().unwrap_or_default();
        if let Some(name) = missing {
            self.groups
                .told
                .tell(Leniency::Missing(name), index + 1, at);
        }
        if let Some(open) = self.open.last_mut() {
            open.position = Some(child);
            open.filled |= 1u128.checked_shl(narrow(child)).unwrap_or_default();
        }
        if self
            .node(node)
            .is_some_and(|node| node.kind == NodeKind::Group)
        {
            self.begin(node);
        }
    }

    /// Opens an occurrence of a group in the innermost one.
    fn begin(&mut self, node: usize) {
        let parent = self.open.last().map_or(0, |open| open.item);
        let item = self.groups.add(parent, What::Group(narrow(node)));
        if let Some(latest) = self.latest.get_mut(node) {
            *latest = Some(item);
        }
        self.open.push(Open::new(node, item));
    }

    /// Goes down from a group that was just entered, to the place of the segment itself.
    fn descend(&mut self, bit: u128, index: usize, at: usize) {
        while let Some((open, group)) = self
            .open
            .len()
            .checked_sub(1)
            .and_then(|level| self.group(level))
        {
            let here = open
                .position
                .and_then(|position| group.children.get(position))
                .and_then(|child| self.node(*child));
            if here.is_some_and(|node| node.kind == NodeKind::Segment && node.any & bit != 0) {
                break;
            }
            let takes = |wanted: fn(&Node) -> u128| {
                self.children(group)
                    .find(|(_, node)| wanted(node) & bit != 0)
                    .map(|(child, _)| child)
            };
            let strict = takes(|node| node.first);
            let Some(child) = strict.or_else(|| takes(|node| node.any)) else {
                break;
            };
            self.go_to(child, index, at);
        }
        let item = self.open.last().map_or(0, |open| open.item);
        self.groups.add(item, What::Segment(narrow(index)));
    }
}
