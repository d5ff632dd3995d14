//! The notation of outgoing templates: what stands left is CDA, what stands right of `<-` is FHIRPath. Every name is held
//! against the schema of CDA, every expression read; all mistakes are told at once, with file and line.

use std::collections::HashMap;
use std::fmt;

use fhir_spec::fhirpath::Expression;

use super::super::model::{ANY, Model};
use super::values::Conversion;

/// A mistake in a file of templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTemplate {
    pub file: &'static str,
    pub line: usize,
    pub told: String,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.told)
    }
}

/// All that files of templates say.
#[derive(Debug, Default)]
pub(super) struct Templates {
    pub(super) documents: Vec<Document>,
    pub(super) sections: Vec<Section>,
    pub(super) templates: HashMap<&'static str, Template>,
    pub(super) tables: HashMap<&'static str, Table>,
}

/// A kind of document: `document ccd 34133-9 "Continuity of Care Document"`.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    /// Names of sections, and whether the document must have them.
    pub(super) sections: Vec<(&'static str, bool)>,
}

/// A kind of section: `section allergies 48765-2 "Allergies"`.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) ids: Vec<Id>,
    /// Another code of LOINC for it, and its name.
    pub(super) also: Option<(&'static str, &'static str)>,
    /// What is gathered into it where no Composition says what belongs there: a type, and what must hold.
    pub(super) takes: Vec<(&'static str, Option<Expression>)>,
    /// Its entries: the first template that is for the type and whose condition holds.
    pub(super) entries: Vec<(&'static str, Option<Expression>)>,
    /// What of an entry is told inside of it, and so not by itself.
    pub(super) inside: Option<Expression>,
    /// What of an entry is told in rows of the table: itself, where nothing is said.
    pub(super) rows: Option<Expression>,
    /// When an entry was.
    pub(super) dated: Option<Expression>,
    /// The table for people.
    pub(super) columns: Vec<(&'static str, Expression)>,
}

/// What becomes of a resource, or of an element: `template AllergyConcern of AllergyIntolerance`.
#[derive(Debug)]
pub(super) struct Template {
    /// The resource it is for; nothing for parts.
    pub(super) of: Option<&'static str>,
    pub(super) lines: Vec<Line>,
}

/// Codes of FHIR and what CDA says for them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) oid: &'static str,
    pub(super) rows: HashMap<&'static str, (&'static str, &'static str)>,
}

/// The id of a template, with its version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Id {
    pub(super) root: &'static str,
    pub(super) version: &'static str,
}

#[derive(Debug)]
pub(super) struct Line {
    pub(super) what: What,
    /// Nothing: the line is there once.
    pub(super) source: Option<Expression>,
    pub(super) conversion: Option<Conversion>,
    /// The nullFlavor where the source says nothing.
    pub(super) otherwise: Option<&'static str>,
    pub(super) condition: Option<Expression>,
    pub(super) children: Vec<Line>,
}

#[derive(Debug)]
pub(super) enum What {
    Element {
        name: &'static str,
        ids: Vec<Id>,
        attributes: Vec<(&'static str, &'static str)>,
        text: Option<&'static str>,
        repeats: bool,
        /// Its type has to be said.
        is_any: bool,
    },
    /// `@name <- ...`
    Attribute(&'static str),
    /// `use Template`
    Use(&'static str),
    /// The sections of the document.
    Sections,
}

/// A line of a file, before anything is known of it.
struct Raw {
    number: usize,
    depth: usize,
    text: &'static str,
}

pub(super) fn read(files: &[(&'static str, &'static str)]) -> Result<Templates, Vec<BadTemplate>> {
    let mut all = Templates::default();
    let mut bad = Vec::new();
    let begins: HashMap<&str, &str> = files.iter().flat_map(|(_, text)| begins(text)).collect();
    for (file, text) in files {
        let raw = raw_lines(text);
        let mut reader = Reader {
            file,
            begins: &begins,
            bad: &mut bad,
        };
        let mut rest = raw.as_slice();
        while let Some((head, after)) = rest.split_first() {
            let length = after.iter().take_while(|line| line.depth > 0).count();
            let (body, others) = after.split_at(length);
            reader.block(head, body, &mut all);
            rest = others;
        }
    }
    super::check::check(&mut all, &mut bad);
    match bad.is_empty() {
        true => Ok(all),
        false => Err(bad),
    }
}

/// Lines that say something; what goes on in deeper lines than brackets allow is one.
fn raw_lines(text: &'static str) -> Vec<Raw> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let said = line.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        lines.push(Raw {
            number: number + 1,
            depth: line.len() - line.trim_start().len(),
            text: said,
        });
    }
    lines
}

/// With which element each template begins.
fn begins(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = raw_lines(text);
    let pairs = lines.windows(2).filter_map(|pair| match pair {
        [head, first] => {
            let name = head.text.strip_prefix("template ")?.split(' ').next()?;
            let element = first.text.split([' ', '[']).next()?;
            Some((name, element))
        }
        _ => None,
    });
    pairs.collect()
}

struct Reader<'r> {
    file: &'static str,
    begins: &'r HashMap<&'static str, &'static str>,
    bad: &'r mut Vec<BadTemplate>,
}

impl Reader<'_> {
    fn tell(&mut self, line: usize, told: impl Into<String>) {
        self.bad.push(BadTemplate {
            file: self.file,
            line,
            told: told.into(),
        });
    }

    fn block(&mut self, head: &Raw, body: &[Raw], all: &mut Templates) {
        let (words, title) = quoted(head.text);
        let words: Vec<&'static str> = words.split_whitespace().collect();
        match words.as_slice() {
            ["document", name, code] => {
                let document = self.document((name, code, title), body);
                all.documents.push(document);
            }
            ["section", name, code] => {
                let section = self.section((name, code, title), body);
                all.sections.push(section);
            }
            ["template", name] => self.template(head, name, None, body, all),
            ["template", name, "of", kind] => self.template(head, name, Some(kind), body, all),
            ["codes", name, oid] => {
                let table = self.table(oid, body);
                all.tables.insert(name, table);
            }
            _ => self.tell(
                head.number,
                "expected document, section, template or codes with a name",
            ),
        }
    }

    fn template(
        &mut self,
        head: &Raw,
        name: &'static str,
        of: Option<&'static str>,
        body: &[Raw],
        all: &mut Templates,
    ) {
        let lines = self.lines(body, None);
        if all.templates.insert(name, Template { of, lines }).is_some() {
            self.tell(head.number, format!("there are two templates {name}"));
        }
    }

    fn document(
        &mut self,
        (name, code, title): (&'static str, &'static str, &'static str),
        body: &[Raw],
    ) -> Document {
        let mut document = Document {
            name,
            code,
            title,
            sections: Vec::new(),
        };
        for line in body {
            match line.text.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["section", name] => document.sections.push((name, false)),
                ["section", name, "required"] => document.sections.push((name, true)),
                _ => self.tell(line.number, "expected `section name`, `required` or not"),
            }
        }
        document
    }

    fn section(
        &mut self,
        (name, code, title): (&'static str, &'static str, &'static str),
        body: &[Raw],
    ) -> Section {
        let mut section = Section {
            name,
            code,
            title,
            ids: Vec::new(),
            also: None,
            takes: Vec::new(),
            entries: Vec::new(),
            inside: None,
            rows: None,
            dated: None,
            columns: Vec::new(),
        };
        for line in body {
            let (word, rest) = line.text.split_once(' ').unwrap_or((line.text, ""));
            match word {
                "also" => section.also = Some(quoted(rest)),
                "is" => section.ids = self.ids(line.number, rest),
                "takes" | "entry" => {
                    let (named, condition) = match cut(rest, " if ") {
                        Some((named, condition)) => {
                            (named.trim(), self.expression(line.number, condition))
                        }
                        None => (rest.trim(), None),
                    };
                    match word {
                        "takes" => section.takes.push((named, condition)),
                        _ => section.entries.push((named, condition)),
                    }
                }
                "rows" => section.rows = self.expression(line.number, rest),
                "dated" => section.dated = self.expression(line.number, rest),
                "inside" => section.inside = self.expression(line.number, rest),
                "column" => match rest.split_once(" = ") {
                    Some((title, expression)) => {
                        if let Some(expression) = self.expression(line.number, expression) {
                            section
                                .columns
                                .push((title.trim().trim_matches('"'), expression));
                        }
                    }
                    None => self.tell(line.number, "expected `column \"Title\" = expression`"),
                },
                _ => self.tell(
                    line.number,
                    "expected is, also, takes, entry, dated, rows, inside or column",
                ),
            }
        }
        section
    }

    fn table(&mut self, oid: &'static str, body: &[Raw]) -> Table {
        let mut rows = HashMap::new();
        for line in body {
            let Some((left, right)) = line.text.split_once('=') else {
                self.tell(line.number, "expected `code = code \"Name\"`");
                continue;
            };
            let (code, name) = quoted(right);
            for from in left.split(',') {
                rows.insert(from.trim(), (code.trim(), name));
            }
        }
        Table {
            oid: if oid == "-" { "" } else { oid },
            rows,
        }
    }

    fn ids(&mut self, line: usize, text: &'static str) -> Vec<Id> {
        let names = text
            .split('[')
            .skip(1)
            .filter_map(|part| part.split(']').next());
        let mut ids = Vec::new();
        for name in names {
            let (name, version) = name.split_once('@').unwrap_or((name, ""));
            let known = Model::get().template(name);
            // Of a section with two ids the second one is that with its entries required.
            let root = known.and_then(|known| known.roots.last().copied());
            match root {
                Some(root) => ids.push(Id { root, version }),
                None if name.contains('.') => ids.push(Id {
                    root: name,
                    version,
                }),
                None => self.tell(line, format!("there is no template {name}")),
            }
        }
        ids
    }

    fn expression(&mut self, line: usize, text: &'static str) -> Option<Expression> {
        match Expression::parse(text.trim()) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.tell(line, format!("`{}`: {error}", text.trim()));
                None
            }
        }
    }

    /// Lines of one depth with what stands deeper below them.
    fn lines(&mut self, body: &[Raw], class: Option<u32>) -> Vec<Line> {
        let mut lines: Vec<(u16, Line)> = Vec::new();
        let mut rest = body;
        while let Some((head, after)) = rest.split_first() {
            let length = after
                .iter()
                .take_while(|line| line.depth > head.depth)
                .count();
            let (below, others) = after.split_at(length);
            lines.extend(self.line(head, below, class));
            rest = others;
        }
        // As the schema has them, whatever order they are written in.
        lines.sort_by_key(|(rank, _)| *rank);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn line(&mut self, head: &Raw, below: &[Raw], class: Option<u32>) -> Option<(u16, Line)> {
        let (left, source, conversion, otherwise, condition) = parts(head.text);
        let source = source.map(|text| self.expression(head.number, text));
        let condition = condition.map(|text| self.expression(head.number, text));
        if matches!(source, Some(None)) || matches!(condition, Some(None)) {
            return None;
        }
        let conversion = match conversion.map(Conversion::named) {
            Some(None) => {
                self.tell(head.number, "there is no such conversion");
                None
            }
            conversion => conversion.flatten(),
        };
        let (what, rank, inner) = self.what(head, left, class)?;
        let line = Line {
            what,
            source: source.flatten(),
            conversion,
            otherwise,
            condition: condition.flatten(),
            children: self.lines(below, inner),
        };
        Some((rank, line))
    }

    /// What a line writes, its place among its siblings, and the class of what stands in it.
    fn what(
        &mut self,
        head: &Raw,
        left: &'static str,
        class: Option<u32>,
    ) -> Option<(What, u16, Option<u32>)> {
        let model = Model::get();
        if left == "sections" {
            return Some((What::Sections, 0, None));
        }
        if let Some(name) = left.strip_prefix('@') {
            return Some((What::Attribute(name), 0, None));
        }
        if let Some(name) = left.strip_prefix("use ") {
            let name = name.trim();
            let begin = self.begins.get(name).map(|begin| model.name(begin));
            let member = class
                .zip(begin)
                .and_then(|(class, begin)| model.find(class, begin));
            if class.is_some() && member.is_none() {
                let of = class.map_or("", |class| model.class_name(class));
                self.tell(head.number, format!("{of} cannot hold the template {name}"));
            }
            return Some((
                What::Use(name),
                member.map_or(0, |member| member.rank),
                None,
            ));
        }
        let (said, text) = match left.contains('"') {
            true => {
                let (said, text) = quoted(left);
                (said, Some(text))
            }
            false => (left, None),
        };
        let end = said.find(['[', ' ']).unwrap_or(said.len());
        let (name, rest) = said.split_at(end);
        let ids_end = rest
            .rfind("] ")
            .map_or(if rest.ends_with(']') { rest.len() } else { 0 }, |end| {
                end + 1
            });
        let (ids, attributes) = rest.split_at(ids_end);
        let ids = self.ids(head.number, ids);
        let attributes = attributes.split_whitespace().filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name, value))
        });
        let bare = name.trim_start_matches("sdtc:");
        let number = model.name(bare);
        let member = match class {
            Some(class) => model.find(class, number),
            None => Some(super::super::model::Member {
                class: model.class_of_name(number),
                repeats: true,
                rank: 0,
            }),
        };
        let Some(member) = member.filter(|_| number != 0 || class.is_none()) else {
            let of = class.map_or("", |class| model.class_name(class));
            self.tell(head.number, format!("{of} has no {name}"));
            return None;
        };
        let what = What::Element {
            name,
            ids,
            attributes: attributes.collect(),
            text,
            repeats: member.repeats,
            is_any: member.class == ANY && class.is_some(),
        };
        let root = (name == "ClinicalDocument")
            .then(|| model.class_named(name))
            .flatten();
        Some((what, member.rank, Some(root.unwrap_or(member.class))))
    }
}

/// What stands before the first quotation mark, and in the quotation marks.
fn quoted(text: &'static str) -> (&'static str, &'static str) {
    match text.split_once('"') {
        Some((before, after)) => (before.trim(), after.split('"').next().unwrap_or_default()),
        None => (text.trim(), ""),
    }
}

type Parts = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);

/// `left <- source : conversion else NF if condition`
fn parts(text: &'static str) -> Parts {
    let (text, condition) = split_last(text, " if ");
    let (text, otherwise) = split_last(text, " else ");
    let (left, right) = match cut(text, " <- ") {
        Some((left, right)) => (left.trim(), Some(right)),
        None => (text.trim(), None),
    };
    let (source, conversion) = match right.map(|right| split_last(right, " : ")) {
        Some((source, conversion)) => (Some(source.trim()), conversion),
        None => (None, None),
    };
    (
        left,
        source,
        conversion.map(str::trim),
        otherwise.map(str::trim),
        condition,
    )
}

fn split_last(text: &'static str, word: &str) -> (&'static str, Option<&'static str>) {
    match cut(text, word) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Cuts at a word that stands outside of quotes and brackets.
fn cut(text: &'static str, word: &str) -> Option<(&'static str, &'static str)> {
    let (mut depth, mut quote) = (0i32, None);
    for (place, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            _ => {}
        }
        if depth == 0 && quote.is_none() && text.get(place..)?.starts_with(word) {
            let after = text.get(place + word.len()..)?;
            return Some((text.get(..place)?, after));
        }
    }
    None
}
