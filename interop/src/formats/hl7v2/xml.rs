//! The XML encoding of HL7 v2, turned into delimited text: from there on there is one tree.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=275>
//!
//! Elements of three letters are segments, `PID.5` in them fields, `XPN.1` components, `FN.1` subcomponents: the number
//! counts. Groups only nest. Interface engines write `PID.5.1`, which says the same. No document types, so no entities but
//! those of XML itself; what nests too deep or counts too high is refused.

use encoding_rs::Encoding;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use super::forgiven::{Leniency, Told, Unreadable};
use super::{Delimiters, FIELDS_MAX, SEGMENTS_MAX, escape};

/// Elements within elements: groups nest less than ten deep.
const DEPTH_MAX: usize = 64;
/// The delimited text is not longer than the XML, but for numbers that leave many fields empty.
const GROWTH_MAX: usize = 64 * 1024;
/// The highest number of a component.
const COMPONENTS_MAX: usize = 1000;

pub(crate) fn to_delimited(bytes: &[u8], told: &mut Told) -> Result<String, Unreadable> {
    let text = decoded(bytes);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let mut writer = Writer {
        open: Vec::new(),
        within: Within::Group,
        verbatim: false,
        delimiters: Delimiters::default(),
        separator: None,
        text: String::new(),
        leaf: false,
        fields: Vec::new(),
        value: Vec::new(),
        numbers: [0; 3],
        segments: 0,
        out: String::with_capacity(text.len() / 2),
    };
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let fault = |problem: String| Unreadable::Xml { at, problem };
        let event = reader
            .read_event()
            .map_err(|error| fault(error.to_string()))?;
        match event {
            Event::Start(start) => writer.start(&start, told, at).map_err(fault)?,
            Event::End(_) => {
                writer.end().map_err(fault)?;
                if writer.out.len() > text.len() + GROWTH_MAX {
                    return Err(fault(
                        "it names more empty fields than it has bytes".to_owned(),
                    ));
                }
            }
            Event::Text(part) => writer.push(&part).map_err(fault)?,
            Event::CData(part) => writer.push(&part).map_err(fault)?,
            Event::GeneralRef(name) => {
                let character = referenced(&name)
                    .ok_or_else(|| fault("an entity that XML does not have".to_owned()))?;
                writer
                    .push(character.encode_utf8(&mut [0; 4]))
                    .map_err(fault)?;
            }
            Event::DocType(_) => {
                return Err(fault("a document type (DOCTYPE) is not allowed".to_owned()));
            }
            Event::Eof if !writer.open.is_empty() => {
                return Err(fault("it ends while an element is open".to_owned()));
            }
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if writer.out.is_empty() {
        return Err(Unreadable::Xml {
            at: 0,
            problem: "there is no segment in it".to_owned(),
        });
    }
    Ok(writer.out)
}

/// By the encoding that the declaration names, UTF-8 otherwise.
fn decoded(bytes: &[u8]) -> String {
    let start = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    let start = String::from_utf8_lossy(start);
    let declaration = start.split("?>").next().unwrap_or_default();
    let label = declaration
        .split("encoding=")
        .nth(1)
        .map(|rest| rest.trim_start_matches(['"', '\'']));
    let label = label
        .and_then(|rest| rest.split(['"', '\'']).next())
        .unwrap_or("UTF-8");
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding.decode(bytes).0.into_owned(),
    }
}

fn referenced(name: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return Some(character);
    }
    Some(match &**name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Group,
    /// In a segment, at its fields (0), components (1), subcomponents (2).
    Segment(usize),
}

struct Writer {
    /// For each open element, what it was in.
    open: Vec<Within>,
    within: Within,
    /// Values are written as between delimiters, escapes and all: so do interface engines.
    verbatim: bool,
    delimiters: Delimiters,
    separator: Option<String>,
    text: String,
    /// The innermost open element has no elements in it so far.
    leaf: bool,
    fields: Vec<Option<String>>,
    /// The value being read: components of subcomponents.
    value: Vec<Vec<String>>,
    /// Field, component, subcomponent.
    numbers: [usize; 3],
    segments: usize,
    out: String,
}

impl Writer {
    fn start(&mut self, start: &BytesStart<'_>, told: &mut Told, at: usize) -> Result<(), String> {
        if self.open.len() == DEPTH_MAX {
            return Err(format!("elements nest more than {DEPTH_MAX} deep"));
        }
        let local = start.local_name();
        let name = local.as_ref().to_owned();
        if self.leaf && name == "escape" {
            let command = start
                .attributes()
                .flatten()
                .find(|attribute| attribute.key.as_ref() == "V");
            let command = command
                .map(|attribute| attribute.value.into_owned())
                .unwrap_or_default();
            let mark = char::from(self.delimiters.escape);
            self.text
                .extend([mark.to_string(), command, mark.to_string()]);
            self.open.push(Within::Segment(usize::MAX));
            return Ok(());
        }
        self.open.push(self.within);
        if self.open.len() == 1 {
            self.verbatim = name == "HL7Message";
        }
        match self.within {
            Within::Group if is_segment(&name) && self.open.len() > 1 => {
                if self.segments == SEGMENTS_MAX {
                    return Err(format!("more than {SEGMENTS_MAX} segments"));
                }
                self.segments += 1;
                self.fields.clear();
                self.out.push_str(&name);
                self.within = Within::Segment(0);
            }
            Within::Group => {}
            Within::Segment(depth) => {
                let number = name
                    .rsplit('.')
                    .next()
                    .and_then(|digits| digits.parse::<usize>().ok());
                let max = if depth == 0 {
                    FIELDS_MAX
                } else {
                    COMPONENTS_MAX
                };
                match (number, self.numbers.get_mut(depth)) {
                    (Some(number), Some(place)) if (1..=max).contains(&number) => *place = number,
                    (Some(_), Some(_)) => {
                        return Err(format!("the number of {name} is out of bounds"));
                    }
                    _ => {
                        told.tell(
                            Leniency::Xml(format!("the element {name}")),
                            self.segments,
                            at,
                        );
                        if let Some(place) = self.numbers.get_mut(depth) {
                            *place = 0;
                        }
                    }
                }
                if depth == 0 {
                    self.value.clear();
                }
                self.within = Within::Segment(depth + 1);
            }
        }
        self.leaf = true;
        self.text.clear();
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if !matches!(self.within, Within::Segment(1..)) {
            return Ok(());
        }
        let is_delimiters =
            self.numbers.first().is_some_and(|field| *field <= 2) && self.out.ends_with("MSH");
        if self.verbatim || is_delimiters || text == "\"\"" {
            self.text.push_str(text);
        } else {
            self.text.push_str(
                &escape::escape(text, &self.delimiters, false)
                    .map_err(|fault| fault.to_string())?,
            );
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let before = self.open.pop().unwrap_or(Within::Group);
        if before == Within::Segment(usize::MAX) {
            return Ok(());
        }
        let leaf = std::mem::take(&mut self.leaf);
        let text = if leaf {
            std::mem::take(&mut self.text)
        } else {
            String::new()
        };
        if let Within::Segment(depth) = self.within {
            match depth {
                0 => self.segment_ends(),
                depth => {
                    if leaf {
                        self.keep(depth, text);
                    }
                    if depth == 1 {
                        self.field_ends()?;
                    }
                }
            }
        }
        self.within = before;
        Ok(())
    }

    /// Puts the text of a leaf where its numbers say.
    fn keep(&mut self, depth: usize, text: String) {
        let [field, component, subcomponent] = self.numbers;
        let (component, subcomponent) = match depth {
            1 => (1, 1),
            2 => (component, 1),
            _ => (component, subcomponent),
        };
        // An element that means nothing has no number: what is in it is told, not taken.
        if field == 0 || component == 0 || subcomponent == 0 || depth > 3 {
            return;
        }
        if self.value.len() < component {
            self.value.resize(component, Vec::new());
        }
        let Some(parts) = self.value.get_mut(component - 1) else {
            return;
        };
        if parts.len() < subcomponent {
            parts.resize(subcomponent, String::new());
        }
        if let Some(place) = parts.get_mut(subcomponent - 1) {
            *place = text;
        }
    }

    fn field_ends(&mut self) -> Result<(), String> {
        let [number, ..] = self.numbers;
        let between = |delimiter: u8| {
            if delimiter == 0 {
                String::new()
            } else {
                char::from(delimiter).to_string()
            }
        };
        let components: Vec<String> = self
            .value
            .iter()
            .map(|parts| parts.join(&between(self.delimiters.subcomponent)))
            .collect();
        let value = components.join(&between(self.delimiters.component));
        if number == 0 {
            return Ok(());
        }
        if self.out.ends_with("MSH") && number == 1 {
            self.separator = Some(value);
            return Ok(());
        }
        if self.out.ends_with("MSH") && number == 2 {
            let separator = self.separator.take().unwrap_or_else(|| "|".to_owned());
            let header = format!("MSH{separator}{value}{separator}");
            (self.delimiters, _) =
                Delimiters::read(header.as_bytes()).map_err(|fault| fault.to_string())?;
            return Ok(());
        }
        if self.fields.len() < number {
            self.fields.resize(number, None);
        }
        if let Some(place) = self.fields.get_mut(number - 1) {
            *place = Some(match place.take() {
                Some(before) => before + &between(self.delimiters.repetition) + &value,
                None => value,
            });
        }
        Ok(())
    }

    fn segment_ends(&mut self) {
        let separator = char::from(self.delimiters.field);
        let header = self.out.ends_with("MSH");
        if header {
            self.out.push(separator);
            self.out.push_str(&self.delimiters.encoding_characters());
        }
        for field in self.fields.iter().skip(if header { 2 } else { 0 }) {
            self.out.push(separator);
            self.out.push_str(field.as_deref().unwrap_or_default());
        }
        self.out.push('\r');
    }
}

fn is_segment(name: &str) -> bool {
    name.len() == 3
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Unreadable> {
        to_delimited(text.as_bytes(), &mut Told::default())
    }

    #[test]
    fn the_encoding_of_the_standard() {
        let text = r#"<?xml version="1.0"?><h:ADT_A01 xmlns:h="urn:hl7-org:v2xml">
          <h:MSH><h:MSH.1>|</h:MSH.1><h:MSH.2>^~\&amp;</h:MSH.2><h:MSH.9><h:MSG.1>ADT</h:MSG.1><h:MSG.2>A01</h:MSG.2></h:MSH.9></h:MSH>
          <h:PID><h:PID.3><h:CX.1>1|2</h:CX.1><h:CX.4><h:HD.1>A</h:HD.1><h:HD.2>1.2&#46;3</h:HD.2></h:CX.4></h:PID.3>
            <h:PID.3><h:CX.1>7</h:CX.1></h:PID.3><h:PID.5><h:XPN.1><h:FN.1>Ää &lt; b</h:FN.1></h:XPN.1></h:PID.5><h:PID.7>""</h:PID.7></h:PID>
          <h:ADT_A01.PROCEDURE><h:PR1><h:PR1.1/><h:PR1.4>one<h:escape V=".br"/>two</h:PR1.4></h:PR1></h:ADT_A01.PROCEDURE></h:ADT_A01>"#;
        let wanted = "MSH|^~\\&|||||||ADT^A01\rPID|||1\\F\\2^^^A&1.2.3~7||Ää < b||\"\"\rPR1||||one\\.br\\two\r";
        assert_eq!(read(text).unwrap(), wanted);
    }

    #[test]
    fn the_encoding_of_interface_engines() {
        let text = r"<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\&amp;</MSH.2><MSH.3><MSH.3.1>A</MSH.3.1></MSH.3></MSH>
          <OBX><OBX.2><OBX.2.1><OBX.2.1.3>foo\T\</OBX.2.1.3></OBX.2.1><OBX.2.3>baz</OBX.2.3></OBX.2><OBX.3/></OBX></HL7Message>";
        assert_eq!(read(text).unwrap(), "MSH|^~\\&|A\rOBX||&&foo\\T\\^^baz|\r");
    }

    #[test]
    fn what_attackers_send_is_refused() {
        let deep = "<A>".repeat(100_000);
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxx">]><A><MSH><MSH.3>&x;</MSH.3></MSH></A>"#;
        for text in [
            bomb,
            r"<A><MSH><MSH.3>&x;</MSH.3></MSH></A>",
            &deep,
            "<A><PID><PID.999999999/></PID></A>",
            "<A><PID><PID.3><CX.5000>x</CX.5000></PID.3></PID></A>",
            "<A><PID>",
            "<A></B>",
            "<A/>",
            "<",
            "<html><body/></html>",
        ] {
            assert!(
                matches!(read(text), Err(Unreadable::Xml { .. })),
                "{}",
                text.get(..40).unwrap_or(text)
            );
        }
    }
}
