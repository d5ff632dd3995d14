//! Answers as text: MSH turned round, MSA, and ERR in the form of the version.

use super::Code;
use crate::formats::hl7v2::escape::escape;
use crate::formats::hl7v2::forgiven::Unreadable;
use crate::formats::hl7v2::tree::Message;
use crate::formats::hl7v2::{Delimiters, Stamp};

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    pub code: Code,
    /// For people, in MSA-3; 2.7 has no place for it any more.
    pub text: String,
    pub complaints: Vec<Complaint<'a>>,
}

impl Answer<'_> {
    /// With nothing to say beside the code.
    pub fn of(code: Code) -> Self {
        Self {
            code,
            text: String::new(),
            complaints: Vec::new(),
        }
    }
}

/// One ERR segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint<'a> {
    pub location: Option<Location<'a>>,
    /// A code of table 0357.
    pub code: u16,
    pub text: std::borrow::Cow<'a, str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location<'a> {
    pub segment: std::borrow::Cow<'a, str>,
    /// Which of the segments of that name, counted from one.
    pub number: usize,
    pub field: Option<usize>,
    pub repetition: Option<usize>,
    pub component: Option<usize>,
    pub subcomponent: Option<usize>,
}

/// Table 0357.
fn display(code: u16) -> &'static str {
    match code {
        0 => "Message accepted",
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        104 => "Value too long",
        198 => "Non-Conformant Cardinality",
        199 => "Other HL7 Error",
        200 => "Unsupported message type",
        201 => "Unsupported event code",
        202 => "Unsupported processing id",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        206 => "Application record locked",
        _ => "Application internal error",
    }
}

/// What is taken over from the header of the message that is answered, as it stands there.
struct Echo {
    delimiters: Delimiters,
    fields: Vec<String>,
}

impl Echo {
    fn field(&self, number: usize) -> &str {
        self.fields.get(number).map_or("", String::as_str)
    }

    fn part(&self, number: usize, component: usize) -> &str {
        let field = self.field(number);
        if self.delimiters.component == 0 {
            return if component == 1 { field } else { "" };
        }
        let mut parts = field.split(char::from(self.delimiters.component));
        parts.nth(component - 1).unwrap_or_default()
    }

    /// Major and minor version, such as (2, 5) for 2.5.1.
    fn version(&self) -> (u32, u32) {
        let mut numbers = self
            .part(12, 1)
            .split('.')
            .map(|number| number.trim().parse().unwrap_or_default());
        (
            numbers.next().unwrap_or_default(),
            numbers.next().unwrap_or_default(),
        )
    }
}

/// The text of an acknowledgement to a message, with a control id of its own.
pub fn acknowledge(
    message: &Message<'_>,
    answer: &Answer<'_>,
    control_id: &str,
    now: &Stamp,
) -> String {
    let header = message.header();
    let field = |number| {
        header
            .and_then(|header| header.field(number))
            .map_or("", |field| field.raw())
    };
    let fields = (0..=18).map(|number| field(number).to_owned()).collect();
    write(
        &Echo {
            delimiters: message.delimiters(),
            fields,
        },
        answer,
        control_id,
        now,
    )
}

/// The answer to what cannot be read: rejected, with as much of its header as can be made out.
pub fn reject(bytes: &[u8], fault: &Unreadable, control_id: &str, now: &Stamp) -> String {
    let start = bytes.windows(3).position(|name| name == b"MSH");
    let line = start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    let end = line
        .iter()
        .take(2000)
        .position(|byte| matches!(byte, b'\r' | b'\n' | 0x1c));
    let line = line
        .get(..end.unwrap_or(line.len().min(2000)))
        .unwrap_or_default();
    let line: String = String::from_utf8_lossy(line)
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    let separator = line
        .chars()
        .nth(3)
        .filter(|letter| letter.is_ascii_punctuation())
        .unwrap_or('|');
    let delimiters =
        Delimiters::read(line.as_bytes()).map_or_else(|_| Delimiters::default(), |(read, _)| read);
    let readable = separator == char::from(delimiters.field) && !line.is_empty();
    // The separator itself is the first field.
    let mut fields = vec![String::new()];
    if readable {
        fields.extend(line.split(separator).map(str::to_owned));
    }
    let location = fault.location().map(|(segment, number, field)| Location {
        segment: segment.to_owned().into(),
        number,
        field,
        repetition: None,
        component: None,
        subcomponent: None,
    });
    let text = fault.to_string();
    let code = if matches!(
        fault,
        Unreadable::Delimiters { .. } | Unreadable::NoHeader { .. }
    ) {
        100
    } else {
        207
    };
    let complaint = Complaint {
        location,
        code,
        text: text.clone().into(),
    };
    let answer = Answer {
        code: Code::AR,
        text,
        complaints: vec![complaint],
    };
    write(&Echo { delimiters, fields }, &answer, control_id, now)
}

fn write(echo: &Echo, answer: &Answer<'_>, control_id: &str, now: &Stamp) -> String {
    let delimiters = echo.delimiters;
    let version = echo.version();
    let component = if delimiters.component == 0 {
        String::new()
    } else {
        char::from(delimiters.component).to_string()
    };
    // Without an escape character what needs one is left out.
    let plain = |text: &str| {
        let spaced = text.replace(|letter: char| letter.is_control(), " ");
        match escape(&spaced, &delimiters, false) {
            Ok(text) => text.into_owned(),
            Err(_) => spaced
                .chars()
                .filter(|letter| letter.is_alphanumeric() || *letter == ' ')
                .collect(),
        }
    };
    let event = echo.part(9, 2);
    let kind = match (
        component.is_empty() || event.is_empty(),
        version >= (2, 4) || echo.part(12, 1) == "2.3.1",
    ) {
        (true, _) => "ACK".to_owned(),
        (false, false) => format!("ACK{component}{event}"),
        (false, true) => format!("ACK{component}{event}{component}ACK"),
    };
    let or = |text: &str, otherwise: &str| {
        if text.is_empty() {
            otherwise.to_owned()
        } else {
            text.to_owned()
        }
    };
    let mut header = vec![
        delimiters.encoding_characters(),
        echo.field(5).to_owned(),
        echo.field(6).to_owned(),
        echo.field(3).to_owned(),
        echo.field(4).to_owned(),
        now.to_string(),
        String::new(),
        kind,
        plain(control_id),
        or(echo.field(11), "P"),
        or(echo.field(12), "2.5.1"),
    ];
    if !echo.field(18).is_empty() {
        header.resize(16, String::new());
        header.push(echo.field(18).to_owned());
    }
    let mut acknowledgement = vec![answer.code.name().to_owned(), or(echo.field(10), "\"\"")];
    if !answer.text.is_empty() && version < (2, 7) {
        acknowledgement.push(plain(&answer.text));
    }
    let separator = char::from(delimiters.field).to_string();
    let mut text = format!(
        "MSH{separator}{}\rMSA{separator}{}\r",
        header.join(&separator),
        acknowledgement.join(&separator)
    );
    for complaint in &answer.complaints {
        text.push_str(&error(
            complaint,
            delimiters,
            version >= (2, 5) || version == (0, 0),
            &plain,
        ));
    }
    text
}

fn error(
    complaint: &Complaint<'_>,
    delimiters: Delimiters,
    new: bool,
    plain: &dyn Fn(&str) -> String,
) -> String {
    let component = char::from(delimiters.component).to_string();
    let code = complaint.code.to_string();
    let location = complaint
        .location
        .as_ref()
        .map_or_else(Vec::new, |location| {
            let numbers = [
                Some(location.number),
                location.field,
                location.repetition,
                location.component,
                location.subcomponent,
            ];
            let known = numbers
                .iter()
                .rposition(Option::is_some)
                .map_or(0, |last| last + 1);
            let numbers = numbers
                .iter()
                .take(known)
                .map(|number| number.map_or_else(String::new, |number| number.to_string()));
            std::iter::once(plain(&location.segment))
                .chain(numbers)
                .collect()
        });
    let separator = char::from(delimiters.field);
    let said = plain(&complaint.text);
    if new {
        let code = [&code, display(complaint.code), "HL70357"].join(&component);
        let fields = [
            "ERR",
            "",
            &location.join(&component),
            &code,
            "E",
            "",
            "",
            "",
            &said,
        ];
        return fields.join(&separator.to_string()) + "\r";
    }
    // Until 2.4: segment, its number, field, and the code with its text as subcomponents.
    let code = match delimiters.subcomponent {
        0 => code,
        byte => [&code, display(complaint.code), "HL70357", "", &said]
            .join(&char::from(byte).to_string()),
    };
    let mut place: Vec<String> = location.into_iter().take(3).collect();
    place.resize(3, String::new());
    place.push(code);
    format!("ERR{separator}{}\r", place.join(&component))
}
