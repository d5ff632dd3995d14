//! What the shipped maps read and write, taken from their text: which field becomes which element of which type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use interop::mapping::row::{
    Assigned, Assignment, Block, Call, Condition, Direction, Expression, Map, Part, Row, Shared,
    Table, Target,
};
use interop::mapping::{HL7V2, parse};

use super::paths::{aliases, covers, elements, family, named, plain, segment, types_within};
use super::tables::GuideRow;

/// One field and one element.
struct Fact {
    /// `PID-3.1`, `CX.1`; the segment or datatype alone for what is written whatever it says.
    field: String,
    /// What datatypes call the same: `CX.1`.
    aliases: Vec<String>,
    kind: String,
    /// The steps of the target; none when the field as a whole becomes the resource.
    steps: Vec<String>,
    inverts: bool,
    /// What the condition of its row asks for by name.
    asked: Vec<String>,
}

#[derive(Default)]
pub(super) struct Facts {
    facts: Vec<Fact>,
    /// By segment map and type: what its rows write, for blocks that use it elsewhere.
    written: HashMap<(String, String), BTreeSet<Vec<String>>>,
    /// What the condition of the row at hand asks for by name.
    asked: Vec<String>,
    labels: Labels,
    /// By map: segments and the types that come of them.
    messages: BTreeMap<String, BTreeSet<(String, String)>>,
    tables: Vec<Codes>,
    /// By the guide's name of a table and the system of its targets: ours.
    chosen: HashMap<(String, String), usize>,
}

/// A code table, or what rows make of codes: which codes become which.
struct Codes {
    /// The system of the codes that it gives, where it says one.
    system: Option<String>,
    rows: BTreeMap<String, BTreeSet<String>>,
}

/// The types and sources of blocks, by what other blocks call them.
type Labels = HashMap<String, (String, String)>;

/// By segment map: the segments that its rows read.
type Parts = HashMap<(String, String), BTreeSet<String>>;

impl Facts {
    pub(super) fn of_shipped() -> Self {
        let files: Vec<_> = HL7V2
            .iter()
            .map(|(name, text)| {
                let (file, problems) = parse(name, text);
                assert!(problems.is_empty(), "{name}");
                file
            })
            .collect();
        let mut facts = Self::default();
        let maps: Vec<&Map> = files.iter().flat_map(|file| &file.maps).collect();
        let shared: Vec<&Shared> = files.iter().flat_map(|file| &file.shared).collect();
        for map in &maps {
            collect("", &map.blocks, &mut facts.labels);
        }
        for one in &shared {
            collect("", &one.blocks, &mut facts.labels);
        }
        let mut parts = Parts::new();
        for file in &files {
            for part in &file.parts {
                let source = family(&part.source.text);
                let begin = facts.facts.len();
                facts.rows(&source, &part.target.text, &part.rows);
                let key = (part.name.text.clone(), part.target.text.clone());
                let steps = facts
                    .facts
                    .iter()
                    .skip(begin)
                    .map(|fact| fact.steps.clone());
                let steps: BTreeSet<Vec<String>> = steps.collect();
                facts.written.entry(key).or_default().extend(steps);
                let read = facts.facts.iter().skip(begin);
                let read = read.map(|fact| segment(&fact.field).to_owned());
                let key = (part.name.text.clone(), part.target.text.clone());
                parts.entry(key).or_default().extend(read);
            }
            facts.tables.extend(file.tables.iter().map(codes));
            facts.tables.extend(file.parts.iter().flat_map(chosen_by));
        }
        for one in &shared {
            facts.blocks("", &one.blocks);
        }
        for map in &maps {
            facts.blocks("", &map.blocks);
            let mut made = BTreeSet::new();
            makes(&map.blocks, &shared, &parts, &facts.labels, &mut made);
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
        for fact in &mut facts.facts {
            fact.aliases = aliases(&fact.field);
            // OBX-2 says of which type OBX-5 is: rows that do not ask are for files.
            if let Some(rest) = fact.field.strip_prefix("OBX-5") {
                let said = match fact.asked.is_empty() {
                    true => vec!["ED".to_owned(), "RP".to_owned()],
                    false => fact.asked.clone(),
                };
                let named = said.iter().map(|kind| family(&format!("{kind}{rest}")));
                fact.aliases.extend(named);
            }
        }
        facts
    }

    fn add(&mut self, field: &str, kind: &str, steps: Vec<String>, inverts: bool) {
        // A type map writes into a part of a resource: `Encounter.participant`.
        let (kind, before) = kind.split_once('.').unwrap_or((kind, ""));
        let before = before.split('.').filter(|step| !step.is_empty());
        self.facts.push(Fact {
            field: plain(field),
            aliases: Vec::new(),
            kind: kind.to_owned(),
            steps: before.map(str::to_owned).chain(steps).collect(),
            inverts,
            asked: self.asked.clone(),
        });
    }

    fn rows(&mut self, source: &str, kind: &str, rows: &[Arc<Row>]) {
        for row in rows {
            self.asked.clear();
            if let Some(condition) = &row.condition {
                words(condition, &mut self.asked);
            }
            let steps = steps(&row.target);
            let inverts = row.direction == Direction::Both;
            let mut read = Vec::new();
            paths(&row.source, &mut read);
            row.conversions
                .iter()
                .for_each(|call| called(call, &mut read));
            // Which word is written, the condition says.
            if let (Expression::Text(_), Some(condition)) = (&row.source, &row.condition) {
                conditions(condition, &mut read);
            }
            self.add(source, kind, steps.clone(), false);
            // What stands beside says more of what was read.
            for assignment in &row.assignments {
                let mut beside = steps.clone();
                if !row.conversions.iter().any(is_type_map) {
                    beside.pop();
                }
                beside.extend(self::steps(&assignment.target));
                let mut said = Vec::new();
                assigned(assignment, &mut said);
                for path in read.iter().chain(&said) {
                    self.add(&self.source_of(path), kind, beside.clone(), false);
                }
            }
            for path in read {
                self.add(&self.source_of(&path), kind, steps.clone(), inverts);
            }
        }
        self.asked.clear();
    }

    /// The name of a block stands for where it is made.
    fn source_of(&self, path: &str) -> String {
        let made = self.labels.get(path);
        made.map_or(path, |(_, source)| source).to_owned()
    }

    fn blocks(&mut self, around: &str, blocks: &[Block]) {
        for block in blocks {
            let source = within(around, &block.source.text);
            let mut assignments: Vec<&Assignment> = block.assignments.iter().collect();
            let mut here = "";
            if let Some(head) = &block.resource {
                here = &head.type_name.text;
                self.add(source, here, Vec::new(), false);
                self.rows(source, here, &block.rows);
                if let Some(used) = &head.uses {
                    let key = (used.text.clone(), here.to_owned());
                    for steps in self.written.get(&key).cloned().unwrap_or_default() {
                        self.add(source, here, steps, false);
                    }
                }
                assignments.extend(&head.assignments);
            }
            for assignment in assignments {
                self.assignment(source, here, assignment);
            }
            self.blocks(source, &block.children);
        }
    }

    fn assignment(&mut self, source: &str, here: &str, assignment: &Assignment) {
        let steps = steps(&assignment.target);
        let kind = match &assignment.elsewhere {
            Some(word) => match self.labels.get(&word.text) {
                Some((kind, _)) => kind.clone(),
                None => return,
            },
            None => here.to_owned(),
        };
        let mut read = Vec::new();
        assigned(assignment, &mut read);
        self.add(source, &kind, steps.clone(), false);
        for path in read {
            let path = self.source_of(&path);
            self.add(within(source, &path), &kind, steps.clone(), false);
        }
    }

    /// Whether a row is carried; if so, whether backwards as well.
    pub(super) fn carries(&self, row: &GuideRow) -> Option<bool> {
        match row.kind {
            "messages" => self.carries_message(row),
            "codesystems" => self.carries_code(row),
            kind => self.carries_field(row, kind == "datatypes"),
        }
    }

    fn carries_field(&self, row: &GuideRow, is_datatype: bool) -> Option<bool> {
        let (source, kind) = named(&row.table);
        let field = match row.field.is_empty() {
            true => source.clone(),
            // Some datatypes are written with a dash.
            false if is_datatype => family(&row.field.replace('-', ".")),
            false => family(&row.field),
        };
        let whole = matches!(row.target.as_str(), "$value" | "$this");
        // A plain value, and the first of a composite, need no row: the engine makes it what the element wants.
        if whole && field.ends_with(".1") {
            return Some(true);
        }
        let named = elements(&row.target);
        let element = named.first().copied().unwrap_or_default();
        let last = named.last().copied().unwrap_or_default();
        let inner = types_within(&row.target);
        let found = self.facts.iter().filter(|fact| {
            let is_here = fact.kind == kind
                && fact.steps.first().map_or("", String::as_str) == element
                || whole;
            let is_within = inner.contains(&fact.kind.as_str());
            let reads = |path: &String| covers(path, &field);
            // The elements of a datatype, wherever it stands, and what is made of it as a whole.
            let is_part = is_datatype
                && (fact
                    .steps
                    .iter()
                    .any(|step| step == element || step == last)
                    || whole)
                && fact.aliases.iter().any(|alias| {
                    reads(alias)
                        || *alias == source && (element != "extension" || field.ends_with(".1"))
                });
            (is_here || is_within) && reads(&fact.field) || is_part
        });
        found
            .map(|fact| fact.inverts)
            .reduce(|one, other| one || other)
    }

    fn carries_message(&self, row: &GuideRow) -> Option<bool> {
        // What the guide calls by its event has the structure of another one.
        let table = match row.table.as_str() {
            "ADT_A11" => "ADT_A09",
            table => table,
        };
        let made = self.messages.get(table)?;
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
        let key = (row.table.clone(), row.systems.1.clone());
        let table = self.tables.get(*self.chosen.get(&key)?)?;
        has(table, row).then_some(false)
    }

    /// For each code table of the guide the one of ours that says most of the same.
    pub(super) fn choose_tables(&mut self, rows: &[GuideRow]) {
        let mut same: HashMap<(&str, &str, usize), usize> = HashMap::new();
        for row in rows.iter().filter(|row| row.kind == "codesystems") {
            for (place, table) in self.tables.iter().enumerate() {
                if has(table, row) {
                    *same.entry((&row.table, &row.systems.1, place)).or_default() += 1;
                }
            }
        }
        let mut same: Vec<_> = same.into_iter().collect();
        same.sort_by_key(|((_, _, place), count)| (usize::MAX - count, *place));
        for ((name, system, place), _) in same {
            let key = (name.to_owned(), system.to_owned());
            self.chosen.entry(key).or_insert(place);
        }
    }
}

fn has(table: &Codes, row: &GuideRow) -> bool {
    let says = |system: &String| row.systems.1.is_empty() || *system == row.systems.1;
    let codes = table.rows.get(&row.field);
    table.system.as_ref().is_none_or(says) && codes.is_some_and(|codes| codes.contains(&row.target))
}

/// Rows that write a word for what a field says are a code table too: `"mobile" -> use  if XTN.3 = "CP"`.
fn chosen_by(part: &Part) -> Vec<Codes> {
    let mut made: BTreeMap<&str, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for row in &part.rows {
        let (Expression::Text(word), Some(condition)) = (&row.source, &row.condition) else {
            continue;
        };
        let mut said = Vec::new();
        words(condition, &mut said);
        let codes = made.entry(&row.target.text).or_default();
        for code in said {
            codes.entry(code).or_default().insert(word.clone());
        }
    }
    made.into_values()
        .map(|rows| Codes { system: None, rows })
        .collect()
}

/// What a condition asks for by name.
fn words(condition: &Condition, said: &mut Vec<String>) {
    match condition {
        Condition::Compare {
            is_equal: true,
            right,
            ..
        } => {
            let texts = right.iter().filter_map(|right| match right {
                Expression::Text(text) => Some(text.clone()),
                _ => None,
            });
            said.extend(texts);
        }
        Condition::All(all) | Condition::Any(all) => {
            all.iter().for_each(|condition| words(condition, said));
        }
        _ => {}
    }
}

fn steps(target: &Target) -> Vec<String> {
    let steps = target.steps.iter();
    steps.map(|step| step.name.text.clone()).collect()
}

/// `: CX` makes the element itself, anything else a value within it.
fn is_type_map(call: &Call) -> bool {
    call.name
        .text
        .starts_with(|letter: char| letter.is_ascii_uppercase())
}

/// A path that begins with a datatype is one of the field around it.
fn within<'p>(around: &'p str, path: &'p str) -> &'p str {
    match around.contains('-') && !path.contains('-') {
        true => around,
        false => path,
    }
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

fn conditions(condition: &Condition, read: &mut Vec<String>) {
    match condition {
        Condition::Valued(word) | Condition::Null(word) => read.push(word.text.clone()),
        Condition::Compare { left, .. } => paths(left, read),
        Condition::Not(condition) => conditions(condition, read),
        Condition::All(all) | Condition::Any(all) => {
            all.iter().for_each(|condition| conditions(condition, read));
        }
    }
}

fn assigned(assignment: &Assignment, read: &mut Vec<String>) {
    if let Assigned::Value(expression, calls) = &assignment.value {
        paths(expression, read);
        calls.iter().for_each(|call| called(call, read));
    }
}

fn collect(around: &str, blocks: &[Block], labels: &mut Labels) {
    for block in blocks {
        let source = within(around, &block.source.text);
        if let Some(head) = &block.resource {
            let made = (head.type_name.text.clone(), source.to_owned());
            labels.entry(head.label.clone()).or_insert(made);
        }
        collect(source, &block.children, labels);
    }
}

/// Which types a map makes, or writes to, of which segments: those of shared blocks and of segment maps included.
fn makes(
    blocks: &[Block],
    shared: &[&Shared],
    parts: &Parts,
    labels: &Labels,
    made: &mut BTreeSet<(String, String)>,
) {
    for block in blocks {
        if let Some(include) = &block.include
            && let Some(found) = shared.iter().find(|one| one.name.text == include.name.text)
        {
            makes(&found.blocks, shared, parts, labels, made);
        }
        let source = plain(&block.source.text);
        let heads = block
            .resource
            .iter()
            .flat_map(|resource| &resource.assignments);
        for assignment in block.assignments.iter().chain(heads) {
            if let Some((kind, _)) = assignment
                .elsewhere
                .as_ref()
                .and_then(|word| labels.get(&word.text))
            {
                made.insert((segment(&source).to_owned(), kind.clone()));
            }
        }
        if let Some(head) = &block.resource {
            let kind = &head.type_name.text;
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
        makes(&block.children, shared, parts, labels, made);
    }
}

fn codes(table: &Table) -> Codes {
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &table.rows {
        for source in &row.sources {
            rows.entry(source.clone())
                .or_default()
                .insert(row.code.clone());
        }
    }
    Codes {
        system: table.to_system.clone(),
        rows,
    }
}
