//! The structure of a message, compiled: which segments a group may hold, and with which it may begin.

/// Different segments of one structure.
const NAMES_MAX: usize = 128;
/// Brackets within brackets.
const DEPTH_MAX: usize = 64;

/// Segments of a structure as bits, in the order of [`Structure::names`].
pub(crate) type Names = u128;

#[derive(Debug, Clone)]
pub struct Structure {
    names: Vec<&'static str>,
    /// The first one is the message itself.
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// One segment, or one of several.
    Segment,
    Group,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Of a group, or of the (first) segment.
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) repeats: bool,
    pub(crate) children: Vec<usize>,
    /// All segments in it.
    pub(crate) any: Names,
    /// Segments that it can begin with.
    pub(crate) first: Names,
    /// The segments of its very first place.
    pub(crate) leading: Names,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}': {1}")]
pub struct BadStructure(String, &'static str);

impl Structure {
    /// Reads the notation of the standard: `MSH [{NTE}] {ORDER: ORC [OBR]}`.
    pub(crate) fn compile(text: &'static str) -> Result<Self, BadStructure> {
        let root = Node {
            kind: NodeKind::Group,
            name: "",
            required: true,
            repeats: false,
            children: Vec::new(),
            any: 0,
            first: 0,
            leading: 0,
        };
        let structure = Self {
            names: Vec::new(),
            nodes: vec![root],
        };
        let mut compiler = Compiler {
            rest: text,
            structure,
        };
        compiler.items(0, 0)?;
        if !compiler.rest.is_empty() {
            return Err(compiler.bad("expected the end"));
        }
        compiler.structure.sum_up();
        Ok(compiler.structure)
    }

    pub fn segment_names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied()
    }

    /// Whether it leaves a place for any segment at all.
    pub(crate) fn takes_any(&self) -> bool {
        self.names.contains(&"ANY")
    }

    /// The bit of a segment; zero when the structure does not have it.
    pub(crate) fn bit(&self, name: &str) -> Names {
        self.names
            .iter()
            .position(|known| *known == name)
            .map_or(0, |place| 1 << place)
    }

    /// Children come after their parents: from the back every child is known when its group is summed up.
    fn sum_up(&mut self) {
        for index in (0..self.nodes.len()).rev() {
            let Some(node) = self
                .nodes
                .get(index)
                .filter(|node| node.kind == NodeKind::Group)
            else {
                continue;
            };
            let (mut any, mut first, mut leading) = (0, 0, None);
            let mut open = true;
            for child in node
                .children
                .iter()
                .filter_map(|child| self.nodes.get(*child))
            {
                any |= child.any;
                if open {
                    first |= child.first;
                }
                open &= !child.required;
                leading = leading.or(Some(child.leading));
            }
            if let Some(node) = self.nodes.get_mut(index) {
                (node.any, node.first, node.leading) = (any, first, leading.unwrap_or_default());
                // A group of nothing but optional segments may be left out as a whole.
                node.required &= !open;
            }
        }
    }
}

struct Compiler {
    rest: &'static str,
    structure: Structure,
}

impl Compiler {
    fn bad(&self, problem: &'static str) -> BadStructure {
        BadStructure(self.rest.chars().take(30).collect(), problem)
    }

    fn takes(&mut self, mark: char) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn items(&mut self, group: usize, depth: usize) -> Result<(), BadStructure> {
        if depth > DEPTH_MAX {
            return Err(self.bad("groups nest too deep"));
        }
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with([']', '}']) {
                return Ok(());
            }
            self.item(group, true, false, depth)?;
        }
    }

    fn item(
        &mut self,
        group: usize,
        required: bool,
        repeats: bool,
        depth: usize,
    ) -> Result<(), BadStructure> {
        if depth > DEPTH_MAX {
            return Err(self.bad("brackets nest too deep"));
        }
        if self.takes('[') {
            self.item(group, false, repeats, depth + 1)?;
            return self.closed(']');
        }
        if self.takes('{') {
            self.item(group, required, true, depth + 1)?;
            return self.closed('}');
        }
        if self.takes('<') {
            let (inside, after) = self
                .rest
                .split_once('>')
                .ok_or_else(|| self.bad("expected >"))?;
            self.rest = after;
            return self.segment(group, required, repeats, inside);
        }
        let end = self
            .rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let (name, after) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or_default();
        if name.is_empty() {
            return Err(self.bad("expected a name"));
        }
        self.rest = after;
        if self.takes(':') {
            let node = self.add(group, NodeKind::Group, name, required, repeats, 0);
            return self.items(node, depth + 1);
        }
        self.segment(group, required, repeats, name)
    }

    fn closed(&mut self, bracket: char) -> Result<(), BadStructure> {
        if self.takes(bracket) {
            Ok(())
        } else {
            Err(self.bad("a bracket is not closed"))
        }
    }

    fn segment(
        &mut self,
        group: usize,
        required: bool,
        repeats: bool,
        names: &'static str,
    ) -> Result<(), BadStructure> {
        let mut bits = 0;
        for name in names.split('|') {
            let known = self.structure.names.iter().position(|known| *known == name);
            let place = known.unwrap_or_else(|| {
                self.structure.names.push(name);
                self.structure.names.len() - 1
            });
            if place >= NAMES_MAX {
                return Err(self.bad("too many different segments"));
            }
            bits |= 1 << place;
        }
        let name = names.split('|').next().unwrap_or_default();
        self.add(group, NodeKind::Segment, name, required, repeats, bits);
        Ok(())
    }

    fn add(
        &mut self,
        parent: usize,
        kind: NodeKind,
        name: &'static str,
        required: bool,
        repeats: bool,
        bits: Names,
    ) -> usize {
        let node = Node {
            kind,
            name,
            required,
            repeats,
            children: Vec::new(),
            any: bits,
            first: bits,
            leading: bits,
        };
        let index = self.structure.nodes.len();
        self.structure.nodes.push(node);
        if let Some(parent) = self.structure.nodes.get_mut(parent) {
            parent.children.push(index);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_of_the_standard() {
        let structure = Structure::compile(
            "MSH [{NTE}] [PATIENT: PID [PV1]] {ORDER: [ORC] <OBR|RXO> {RESULT: [OBX] [NTE]}}",
        )
        .unwrap();
        let group = |name: &str| {
            structure
                .nodes
                .iter()
                .find(|node| node.name == name)
                .unwrap()
        };
        assert_eq!(
            structure.segment_names().collect::<Vec<_>>(),
            ["MSH", "NTE", "PID", "PV1", "ORC", "OBR", "RXO", "OBX"]
        );
        let order = group("ORDER");
        assert!(
            order.repeats
                && order.required
                && !group("PATIENT").required
                && !group("RESULT").required
        );
        assert_eq!(
            order.first,
            structure.bit("ORC") | structure.bit("OBR") | structure.bit("RXO")
        );
        assert_eq!(
            (order.leading, structure.bit("ZZZ")),
            (structure.bit("ORC"), 0)
        );
    }

    #[test]
    fn what_is_no_structure() {
        for text in ["MSH [NTE", "MSH ]", "{}", "MSH <A|B", "A:"] {
            let found = Structure::compile(text);
            assert!(found.is_err() || text == "A:", "{text}");
        }
    }
}
