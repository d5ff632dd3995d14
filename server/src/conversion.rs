//! Files and messages of others to FHIR, without the store: what `kiln convert` and `/api/convert` do.

mod outward;

use fhir_spec::json::Value;
use fhir_spec::{Issue, IssueCode, Severity};
use interop::formats::cda::{BadConverter, NoConverter};
use interop::formats::delimited::{
    Charset, Dialect, HeaderError, NoRows, Outcome, Reading, RowSink, Unready, write_row,
};
use interop::formats::hl7v2::convert::Unmapped;
use interop::formats::hl7v2::{self, Intake, Transmission};
use interop::formats::{Format, cda, hl7v2::convert};
use interop::mapping::{Mapped, Occasion, Plan, bundle};

use crate::instant::Instant;
use crate::maps::{self, Translator};

pub use outward::{Speaking, to_messages, version};

/// What is asked of a conversion. What is not said is found out.
#[derive(Debug, Clone)]
pub struct Asked {
    pub format: Option<Format>,
    pub map: Option<String>,
    /// By its name, as `windows-1252`; messages of HL7 v2 say it themselves.
    pub charset: Option<String>,
    pub delimiter: Option<char>,
    /// Of the file: its ending may say what it is, and it tells its resources from those of others.
    pub name: String,
    pub now: Instant,
    pub trace: bool,
}

/// What a file became.
#[derive(Debug, Default)]
pub struct Converted {
    pub mapped: Vec<Mapped>,
    /// The loss report; errors in it stand for rows or messages that became nothing.
    pub issues: Vec<Issue>,
    /// What made what, a line for each element; empty unless it was asked for.
    pub trace: String,
}

impl Converted {
    pub fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }

    pub fn bundle(self) -> Value {
        bundle(self.mapped)
    }
}

/// Converts a file. `Err`: nothing of it can be read.
pub fn convert(
    translator: &Translator,
    bytes: &[u8],
    asked: &Asked,
) -> Result<Converted, Vec<Issue>> {
    let format = asked.format.or_else(|| Format::of(bytes, &asked.name));
    match format {
        Some(Format::Hl7v2) => messages(translator, bytes, asked),
        Some(Format::Cda) => document(translator, bytes, asked),
        Some(Format::Csv) => rows(translator, bytes, asked),
        None => {
            let told = "this is neither HL7 v2 nor a clinical document nor delimited text, as far as its beginning tells";
            Err(vec![Issue::error(IssueCode::NotSupported, told)])
        }
    }
}

/// The dialect that is asked for, or that the ending of the name says; None: as the first lines look.
pub fn dialect(delimiter: Option<char>, name: &str) -> Option<Dialect> {
    let ending = name.rsplit('.').next().unwrap_or_default();
    match (delimiter, ending.to_ascii_lowercase().as_str()) {
        (Some(delimiter), _) => Some(Dialect::delimited(delimiter)),
        (None, "tsv") => Some(Dialect::tsv()),
        (None, "psv") => Some(Dialect::psv()),
        (None, _) => None,
    }
}

/// What stands between values: one character, or `tab`. The error says what was expected.
pub fn delimiter(text: &str) -> Result<char, &'static str> {
    let mut letters = text.chars();
    match (text, letters.next(), letters.next()) {
        ("tab" | "\\t", _, _) => Ok('\t'),
        (_, Some(letter), None) if !letter.is_alphanumeric() && !"\"\r\n".contains(letter) => {
            Ok(letter)
        }
        _ => Err("one character that is no letter, digit or quote, or `tab`"),
    }
}

/// Why a file of rows cannot be read.
pub fn refused(error: &NoRows) -> Vec<Issue> {
    match error {
        NoRows::Unready(_, Unready::Map(bad)) => maps::issues(bad),
        NoRows::Header(HeaderError::Io(_)) => {
            vec![Issue::error(IssueCode::Exception, error.to_string())]
        }
        NoRows::Header(_) => {
            vec![Issue::error(IssueCode::Structure, error.to_string()).placed((1, 1))]
        }
        _ => vec![Issue::error(IssueCode::NotSupported, error.to_string())],
    }
}

fn rows(translator: &Translator, bytes: &[u8], asked: &Asked) -> Result<Converted, Vec<Issue>> {
    let charset = match &asked.charset {
        None => None,
        Some(name) => Some(Charset::named(name).ok_or_else(|| {
            let told = format!("`{name}` is no character set");
            vec![Issue::error(IssueCode::Value, told)]
        })?),
    };
    let reading = Reading {
        map: asked.map.as_deref(),
        charset,
        dialect: dialect(asked.delimiter, &asked.name),
    };
    let rows = translator.tables.open(bytes, reading);
    let mut rows = rows.map_err(|error| refused(&error))?.traced(asked.trace);
    let plan = rows.runner().plan();
    let (now, mut converted) = (asked.now.to_string(), Converted::default());
    let unread =
        |error: std::io::Error| vec![Issue::error(IssueCode::Exception, error.to_string())];
    while let Some(outcome) = rows.next_row(&now, &asked.name).map_err(unread)? {
        match outcome {
            Outcome::Good { line, mapped } => {
                let source = rows.source();
                converted.issues.extend(mapped.issues(plan, &source));
                if asked.trace {
                    let trace = mapped.trace_text(plan, &source);
                    converted
                        .trace
                        .push_str(&headed(&format!("line {line}"), &trace));
                }
                converted.mapped.push(mapped);
            }
            Outcome::Bad(row) => converted.issues.extend(row.issues),
        }
    }
    Ok(converted)
}

fn messages(translator: &Translator, bytes: &[u8], asked: &Asked) -> Result<Converted, Vec<Issue>> {
    let unreadable =
        |error: hl7v2::Unreadable| Issue::error(IssueCode::Structure, error.to_string());
    let intake = intake(asked.charset.as_deref()).map_err(|issue| vec![issue])?;
    let transmission =
        Transmission::open(bytes, intake).map_err(|error| vec![unreadable(error)])?;
    if transmission.message_count() == 0 {
        let told = "there is no message in this: expected a segment MSH";
        return Err(vec![
            Issue::error(IssueCode::Structure, told).placed((1, 1)),
        ]);
    }
    let (now, mut converted) = (asked.now.to_string(), Converted::default());
    for place in 0..transmission.message_count() {
        let Some(text) = transmission.text(place) else {
            continue;
        };
        let line = line_of(bytes, text.at());
        let below = |issue: Issue| match issue.place {
            Some((own, column)) => issue.placed((line + own - 1, column)),
            None => issue.placed((line, 1)),
        };
        let message = match text.message() {
            Ok(message) => message,
            Err(error) => {
                converted.issues.push(below(unreadable(error)));
                continue;
            }
        };
        let seed = format!("{}#{place}", asked.name);
        let occasion = Occasion {
            now: &now,
            seed: &seed,
            trace: asked.trace,
        };
        match translator
            .messages
            .convert(&message, asked.map.as_deref(), occasion)
        {
            Ok(done) => {
                let mut issues = done.issues();
                let is_whole = !done.has_errors();
                converted.issues.extend(issues.drain(..).map(below));
                if asked.trace {
                    let trace = done.mapped.trace_text(done.plan(), &done.source());
                    let name = format!("message {} at line {line}", place + 1);
                    converted.trace.push_str(&headed(&name, &trace));
                }
                if is_whole {
                    converted.mapped.push(done.mapped);
                }
            }
            Err(error) => converted
                .issues
                .extend(unmapped(&error).into_iter().map(below)),
        }
    }
    Ok(converted)
}

fn document(translator: &Translator, bytes: &[u8], asked: &Asked) -> Result<Converted, Vec<Issue>> {
    let converter = translator.documents.get(asked.map.as_deref());
    let converter = converter.map_err(|error| no_converter(&error))?;
    let now = asked.now.to_string();
    let occasion = Occasion {
        now: &now,
        seed: &asked.name,
        trace: asked.trace,
    };
    let done = converter.convert(bytes, occasion);
    let done = done.map_err(|error| vec![undocumented(&error)])?;
    Ok(Converted {
        mapped: vec![done.mapped],
        issues: done.issues,
        trace: done.trace,
    })
}

/// Why a clinical document cannot be read, with its place.
pub fn undocumented(error: &cda::Unreadable) -> Issue {
    let issue = Issue::error(IssueCode::Structure, error.to_string());
    match error {
        cda::Unreadable::Xml { line, column, .. } => issue.placed((*line, *column)),
        _ => issue,
    }
}

/// Why there is no map for clinical documents.
pub fn no_converter(error: &NoConverter) -> Vec<Issue> {
    match error {
        NoConverter::Unready(_, BadConverter::Map(bad)) => maps::issues(bad),
        _ => vec![Issue::error(IssueCode::NotSupported, error.to_string())],
    }
}

/// How messages are read whose MSH-18 says nothing.
pub fn intake(charset: Option<&str>) -> Result<Intake, Issue> {
    let Some(name) = charset else {
        return Ok(Intake::default());
    };
    let mut all = hl7v2::Charset::ALL.iter().copied();
    let charset = all.find(|charset| charset.name().eq_ignore_ascii_case(name));
    let charset = charset.ok_or_else(|| {
        let told = format!("`{name}` is no character set of table 0211");
        Issue::error(IssueCode::Value, told)
    })?;
    Ok(Intake {
        charset,
        ..Intake::default()
    })
}

/// Why a message was not mapped.
pub fn unmapped(error: &Unmapped) -> Vec<Issue> {
    match error {
        Unmapped::Unready(_, convert::Unready::Map(bad)) => maps::issues(bad),
        _ => vec![Issue::error(IssueCode::NotSupported, error.to_string())],
    }
}

/// The line of a byte, from 1; lines end as segments do.
pub fn line_of(bytes: &[u8], at: usize) -> u32 {
    let before = bytes.get(..at).unwrap_or(bytes);
    let ends = before
        .iter()
        .enumerate()
        .filter(|(place, byte)| match byte {
            b'\r' => before.get(place + 1) != Some(&b'\n'),
            byte => **byte == b'\n',
        });
    u32::try_from(ends.count())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

fn headed(name: &str, trace: &str) -> String {
    trace
        .lines()
        .map(|line| format!("{name}: {line}\n"))
        .collect()
}

/// The resources of a document: those of a bundle, or itself.
pub fn resources(mut document: Value) -> Vec<Value> {
    if document.str_of("resourceType") != Some("Bundle") {
        return vec![document];
    }
    let entries = document.get_mut("entry").and_then(Value::as_array_mut);
    let entries = entries.map(std::mem::take).unwrap_or_default();
    let resource = |mut entry: Value| entry.as_object_mut()?.remove("resource");
    entries.into_iter().filter_map(resource).collect()
}

/// A document Bundle, or what is known of one patient, as C-CDA, with what it could not say.
pub fn to_document(bundle: &Value, now: Instant) -> Result<(String, Vec<Issue>), Vec<Issue>> {
    let writer = cda::Writer::shipped().map_err(|bad| {
        let told = bad.iter().map(ToString::to_string);
        let told = told.map(|told| Issue::error(IssueCode::Exception, told));
        told.collect::<Vec<_>>()
    })?;
    let written = writer.write(bundle, &now.to_string());
    let written = written.map_err(|issue| vec![issue])?;
    Ok((written.xml, written.issues))
}

/// Resources to rows, by the rows of a map that invert: a header, then each resource of the map's type in a row of its own.
pub fn to_rows(
    translator: &Translator,
    map: &str,
    resources: &[Value],
    delimiter: char,
    now: Instant,
) -> Result<(String, Vec<Issue>), Vec<Issue>> {
    let runner = translator
        .tables
        .named(map)
        .map_err(|error| refused(&error))?;
    let (plan, dialect) = (runner.plan(), Dialect::delimited(delimiter));
    let mut out = Vec::new();
    let mut issues = Vec::new();
    let mut write = |values: Vec<&str>| {
        write_row(&mut out, &dialect, values)
            .map_err(|error| vec![Issue::error(IssueCode::Exception, error.to_string())])
    };
    write(plan.columns().collect())?;
    let count = plan.columns().count();
    let now = now.to_string();
    for (place, resource) in resources.iter().enumerate() {
        let mut sink = RowSink::default();
        let not_carried = runner.reverse(std::slice::from_ref(resource), &mut sink, &now);
        let at = format!("entry[{place}].resource");
        issues.extend(not_carried.iter().map(|not| {
            let told = format!("{}: expected {}", row_name(plan, not.row), not.expected);
            Issue::new(Severity::Warning, IssueCode::Incomplete, told).at(at.clone())
        }));
        if sink.values.iter().all(String::is_empty) {
            let told = format!("no row of the map {map} takes anything of this resource");
            issues.push(Issue::new(Severity::Warning, IssueCode::Incomplete, told).at(at));
            continue;
        }
        sink.values.resize(count, String::new());
        write(sink.values.iter().map(String::as_str).collect())?;
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), issues))
}

fn row_name(plan: &Plan, row: u32) -> String {
    plan.row(row).map_or_else(String::new, |row| {
        format!("{} ({}:{})", row.id, row.at.file, row.at.line)
    })
}
