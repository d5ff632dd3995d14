//! What the shipped maps read and write, taken from their text: which field becomes which element of which type.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use interop::mapping::row::{
    Assigned, Assignment, Block, Call, Direction, Expression, Map, Row, Shared, Table,
};
use interop::mapping::{HL7V2, parse};

use super::tables::GuideRow;

/// One field and one element.
struct Fact {
    /// `PID-3.1`, `CX.1`; the segment or datatype alone for what is written whatever it says.
    field: String,
    kind: String,
    /// The first step of the target; empty when the field as a whole becomes the resource.
    element: String,
    inverts: bool,
}

#[derive(Default)]
pub(super) struct Facts {
    facts: Vec<Fact>,
    /// By map: segments and the types that come of them.
    messages: BTreeMap<String, BTreeSet<(String, String)>>,
    tables: Vec<BTreeMap<String, BTreeSet<String>>>,
    /// By the guide's name of a table: ours.
    chosen: HashMap<String, usize>,
}

/// The types and sources of blocks, by what other blocks call them.
type Labels = HashMap<String, (String, String)>;

impl Facts {
    pub(super) fn of_shipped() -> Self {
        let mut facts = Self::default();
        let mut maps: Vec<Map> = Vec::new();
        let mut shared: Vec<Shared> = Vec::new();
        let mut by_part: HashMap<(String, String), BTreeSet<String>> = HashMap::new();
        for (name, text) in HL7V2 {
            let (file, problems) = parse(name, text);
            assert!(problems.is_empty(), "{name}");
            for part in file.parts {
                let source = family(&part.source.text);
                let begin = facts.facts.len();
                facts.rows(&source, &part.target.text, &part.rows);
                let read = facts
                    .facts
                    .iter()
                    .skip(begin)
                    .map(|fact| segment(&fact.field).to_owned());
                let key = (part.name.text.clone(), part.target.text.clone());
                by_part.entry(key).or_default().extend(read);
            }
            facts.tables.extend(file.tables.iter().map(codes));
            maps.extend(file.maps);
            shared.extend(file.shared);
        }
        let mut labels = Labels::new();
        for map in &maps {
            collect(&map.blocks, &mut labels);
        }
        for one in &shared {
            collect(&one.blocks, &mut labels);
        }
        for one in &shared {
            facts.blocks(&one.blocks, &labels);
        }
        for map in &maps {
            facts.blocks(&map.blocks, &labels);
            let mut made = BTreeSet::new();
            makes(&map.blocks, &shared, &by_part, &mut made);
            let served = map
                .serves
                .iter()
                .filter_map(|kind| kind.text.split('^').nth(2));
            for name in served.chain([map.name.text.as_str()]) {
                facts
                    .messages
                    .entry(name.to_owned())
                    .or_default()
                    .extend(made.iter().cloned());
            }
        }
        facts
    }

    fn add(&mut self, field: &str, kind: &str, element: &str, inverts: bool) {
        self.facts.push(Fact {
            field: plain(field),
            kind: kind.to_owned(),
            element: element.to_owned(),
            inverts,
        });
    }

    fn rows(&mut self, source: &str, kind: &str, rows: &[Row]) {
        for row in rows {
            let element = row.target.steps[0].name.text.clone();
            let mut read = Vec::new();
            paths(&row.source, &mut read);
            row.conversions
                .iter()
                .for_each(|call| called(call, &mut read));
            for assignment in &row.assignments {
                assigned(assignment, &mut read);
            }
            self.add(source, kind, &element, false);
            for path in read {
                self.add(&path, kind, &element, row.direction == Direction::Both);
            }
        }
    }

    fn blocks(&mut self, blocks: &[Block], labels: &Labels) {
        for block in blocks {
            let source = block.source.text.as_str();
            let mut assignments: Vec<&Assignment> = block.assignments.iter().collect();
            let mut here = "";
            if let Some(head) = &block.resource {
                here = &head.type_name.text;
                self.add(source, here, "", false);
                self.rows(source, here, &block.rows);
                assignments.extend(&head.assignments);
            }
            for assignment in assignments {
                self.assignment(source, here, assignment, labels);
            }
            self.blocks(&block.children, labels);
        }
    }

    fn assignment(&mut self, source: &str, here: &str, assignment: &Assignment, labels: &Labels) {
        let element = assignment.target.steps[0].name.text.as_str();
        let kind = match &assignment.elsewhere {
            Some(word) => labels.get(&word.text).map_or("", |(kind, _)| kind.as_str()),
            None => here,
        };
        let mut read = Vec::new();
        assigned(assignment, &mut read);
        if read.is_empty() {
            self.add(source, kind, element, false);
        }
        for path in read {
            let path = labels
                .get(&path)
                .map_or(path.as_str(), |(_, source)| source.as_str());
            self.add(path, kind, element, false);
        }
    }

    /// Whether a row is carried; if so, whether backwards as well.
    pub(super) fn carries(&self, row: &GuideRow) -> Option<bool> {
        match row.kind {
            "messages" => self.carries_message(row),
            "codesystems" => self.carries_code(row),
            _ => self.carries_field(row),
        }
    }

    fn carries_field(&self, row: &GuideRow) -> Option<bool> {
        let (source, kind) = named(&row.table);
        let field = match row.field.is_empty() {
            true => source,
            false => family(&row.field),
        };
        let whole = matches!(row.target.as_str(), "$value" | "$this");
        // A plain value, and the first of a composite, need no row: the engine makes it what the element wants.
        if whole && field.ends_with(".1") {
            return Some(true);
        }
        let element = row.target.split(['.', '[', '(']).next().unwrap_or_default();
        let inner: Vec<&str> = types_within(&row.target);
        let found = self.facts.iter().filter(|fact| {
            let here = fact.kind == kind && fact.element == element || whole;
            let within = inner.contains(&fact.kind.as_str());
            (here || within) && covers(&fact.field, &field)
        });
        found
            .map(|fact| fact.inverts)
            .reduce(|one, other| one || other)
    }

    fn carries_message(&self, row: &GuideRow) -> Option<bool> {
        let made = self.messages.get(&row.table)?;
        let name = row.field.rsplit('.').next().unwrap_or_default();
        let kinds = types_within(&row.target);
        let first = row.target.split(['.', '[', '(']).next().unwrap_or_default();
        let is_made = made.iter().any(|(segment, kind)| {
            segment == name && (kind == first || kinds.contains(&kind.as_str()))
        });
        is_made.then_some(false)
    }

    fn carries_code(&self, row: &GuideRow) -> Option<bool> {
        // The code as it is, in the system of its own table: every coded field has that, both ways.
        let own = row.systems.0.trim_start_matches("HL7");
        if row.systems.1.ends_with(&format!("v2-{own}")) && row.field == row.target {
            return Some(true);
        }
        let table = self.tables.get(*self.chosen.get(&row.table)?)?;
        has(table, row).then_some(false)
    }

    /// For each code table of the guide the one of ours that says most of the same.
    pub(super) fn choose_tables(&mut self, rows: &[GuideRow]) {
        let mut same: HashMap<(&str, usize), usize> = HashMap::new();
        for row in rows.iter().filter(|row| row.kind == "codesystems") {
            for (place, table) in self.tables.iter().enumerate() {
                if has(table, row) {
                    *same.entry((&row.table, place)).or_default() += 1;
                }
            }
        }
        let mut same: Vec<_> = same.into_iter().collect();
        same.sort_by_key(|((_, place), count)| (usize::MAX - count, *place));
        for ((name, place), _) in same {
            self.chosen.entry(name.to_owned()).or_insert(place);
        }
    }
}

fn has(table: &BTreeMap<String, BTreeSet<String>>, row: &GuideRow) -> bool {
    table
        .get(&row.field)
        .is_some_and(|codes| codes.contains(&row.target))
}

/// `PID[Patient]` as source and type, without the word for its use.
fn named(table: &str) -> (String, &str) {
    let (source, kind) = table.split_once('[').unwrap_or((table, ""));
    let kind = kind
        .trim_end_matches(']')
        .split(['-', '.'])
        .next()
        .unwrap_or_default();
    (family(source), kind)
}

/// Types in brackets: `participant.individual(Practitioner)`.
fn types_within(target: &str) -> Vec<&str> {
    let words = target.split(['(', ')', '.', '[', ']', '|', ' ']).skip(1);
    words
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .collect()
}

/// Datatypes of one kind under one name: what stood as CE in one version stands as CWE in the next.
fn family(path: &str) -> String {
    let (name, rest) = path.split_at(path.find(['.', '-', '[']).unwrap_or(path.len()));
    let name = match name {
        "CE" | "CNE" | "CF" | "IS" | "ID" => "CWE",
        "CNN" | "PPN" => "XCN",
        "TS" | "DT" => "DTM",
        other => other,
    };
    format!("{name}{rest}")
}

/// A path without groups before the segment, and without the numbers of repetitions.
fn plain(path: &str) -> String {
    let from = path.find('-').map_or(0, |dash| dash.saturating_sub(3));
    let mut text = String::new();
    let mut within = false;
    for letter in path.get(from..).unwrap_or(path).chars() {
        match letter {
            '[' => within = true,
            ']' => within = false,
            letter if !within => text.push(letter),
            _ => {}
        }
    }
    family(&text)
}

/// One is the other, or a part of it.
fn covers(one: &str, other: &str) -> bool {
    let within = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    within(one, other)
        || within(other, one) && other.contains(['-', '.']) && one.contains(['-', '.'])
}

fn segment(path: &str) -> &str {
    path.split(['-', '.']).next().unwrap_or_default()
}

fn paths(expression: &Expression, read: &mut Vec<String>) {
    match expression {
        Expression::Path(word) | Expression::All(word, _) => read.push(word.text.clone()),
        Expression::Call(call) => called(call, read),
        Expression::Concatenation(terms) | Expression::Nth(terms) => {
            terms.iter().for_each(|term| paths(term, read));
        }
        _ => {}
    }
}

fn called(call: &Call, read: &mut Vec<String>) {
    call.arguments
        .iter()
        .for_each(|argument| paths(argument, read));
}

fn assigned(assignment: &Assignment, read: &mut Vec<String>) {
    if let Assigned::Value(expression, calls) = &assignment.value {
        paths(expression, read);
        calls.iter().for_each(|call| called(call, read));
    }
}

fn collect(blocks: &[Block], labels: &mut Labels) {
    for block in blocks {
        if let Some(head) = &block.resource {
            let made = (head.type_name.text.clone(), block.source.text.clone());
            labels.entry(head.label.clone()).or_insert(made);
        }
        collect(&block.children, labels);
    }
}

/// Which types a map makes of which segments, those of shared blocks and of segment maps included.
fn makes(
    blocks: &[Block],
    shared: &[Shared],
    parts: &HashMap<(String, String), BTreeSet<String>>,
    made: &mut BTreeSet<(String, String)>,
) {
    for block in blocks {
        if let Some(include) = &block.include
            && let Some(found) = shared.iter().find(|one| one.name.text == include.name.text)
        {
            makes(&found.blocks, shared, parts, made);
        }
        if let Some(head) = &block.resource {
            let kind = &head.type_name.text;
            let source = plain(&block.source.text);
            let uses = head.uses.as_ref().unwrap_or(&block.source).text.clone();
            let mut read = Facts::default();
            read.rows(&source, kind, &block.rows);
            let own = read
                .facts
                .iter()
                .map(|fact| segment(&fact.field).to_owned());
            let used = parts
                .get(&(uses, kind.clone()))
                .cloned()
                .unwrap_or_default();
            for name in own.chain(used).chain([segment(&source).to_owned()]) {
                made.insert((name, kind.clone()));
            }
        }
        makes(&block.children, shared, parts, made);
    }
}

fn codes(table: &Table) -> BTreeMap<String, BTreeSet<String>> {
    let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &table.rows {
        for source in &row.sources {
            held.entry(source.clone())
                .or_default()
                .insert(row.code.clone());
        }
    }
    held
}
