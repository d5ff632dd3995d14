//! Formats: bytes to a tree and back, nothing else. What a tree means is the business of maps.

pub mod cda;
pub mod delimited;
pub mod hl7v2;

/// A format that maps are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Hl7v2,
    /// Clinical documents: CDA R2 and C-CDA.
    Cda,
    /// Delimited text of any dialect.
    Csv,
}

/// Bytes in which it shows what a file is.
const HEAD_BYTES: usize = 4 * 1024;

impl Format {
    pub const ALL: &[Self] = &[Self::Hl7v2, Self::Cda, Self::Csv];

    /// As the maps name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hl7v2 => "hl7v2",
            Self::Cda => "cda",
            Self::Csv => "csv",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        // Most call all clinical documents by the name of their commonest kind.
        if name == "ccda" {
            return Some(Self::Cda);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == name)
    }

    /// What a text is by how it begins, and else by the ending of its name. None: nothing that maps are written for.
    pub fn of(bytes: &[u8], name: &str) -> Option<Self> {
        let most = match bytes.iter().take(PREFIX_BYTES).any(|byte| *byte == b'<') {
            true => PROLOG_BYTES,
            false => HEAD_BYTES,
        };
        let head = bytes.get(..most).unwrap_or(bytes);
        // Byte order marks, the zeros of UTF-16, the frame of MLLP.
        let head: Vec<u8> = head
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, 0 | 0x0b | 0xef | 0xbb | 0xbf | 0xfe | 0xff))
            .collect();
        let head = head.trim_ascii_start();
        let is_header = |name: &[u8]| {
            let after = head.strip_prefix(name).and_then(<[u8]>::first);
            after.is_some_and(|byte| byte.is_ascii_punctuation())
        };
        if [b"MSH", b"FHS", b"BHS"].iter().any(|name| is_header(*name)) {
            // A table could have such a column first: it would say so in its name.
            return match is_table(name) && head.starts_with(b"MSH,") {
                true => Some(Self::Csv),
                false => Some(Self::Hl7v2),
            };
        }
        match head.first() {
            Some(b'<') => {
                let says = head.windows(V2_XML.len()).any(|part| part == V2_XML);
                match (root(head), says) {
                    (b"ClinicalDocument", _) => Some(Self::Cda),
                    (_, true) => Some(Self::Hl7v2),
                    _ => None,
                }
            }
            Some(b'{' | b'[') | None => None,
            Some(_) => {
                let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let has_delimiter = line.iter().any(|byte| b",;|\t".contains(byte));
                (has_delimiter || is_table(name)).then_some(Self::Csv)
            }
        }
    }
}

/// What may stand before an XML declaration: a byte order mark, blanks.
const PREFIX_BYTES: usize = 64;
/// How far the comments and instructions before a root may reach.
const PROLOG_BYTES: usize = 64 * 1024;

/// The name of the root element without its prefix; nothing when there is none.
fn root(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        let Some(start) = rest.iter().position(|byte| *byte == b'<') else {
            return b"";
        };
        rest = rest.get(start..).unwrap_or_default();
        let end: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            // Who reads the document refuses it; until then it is what its root says.
            [b'<', b'!', ..] => b">",
            _ => break,
        };
        let length = rest.windows(end.len()).position(|part| part == end);
        let Some(length) = length else {
            return b"";
        };
        rest = rest.get(length + end.len()..).unwrap_or_default();
    }
    let name = rest.get(1..).unwrap_or_default();
    let is_over = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    let name = name.split(is_over).next().unwrap_or_default();
    name.rsplit(|byte| *byte == b':').next().unwrap_or_default()
}

/// Where HL7 v2 in XML has its names from.
const V2_XML: &[u8] = b"urn:hl7-org:v2xml";

fn is_table(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or_default();
    ["csv", "tsv", "psv"]
        .iter()
        .any(|table| ending.eq_ignore_ascii_case(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        for (text, name, format) in [
            ("MSH|^~\\&|A", "a.txt", Some(Format::Hl7v2)),
            ("\u{feff}\r\nFHS|^~\\&|A", "", Some(Format::Hl7v2)),
            ("\u{b}MSH|^~\\&|A", "", Some(Format::Hl7v2)),
            (
                "<?xml version='1.0'?><ADT_A01 xmlns='urn:hl7-org:v2xml'>",
                "a.xml",
                Some(Format::Hl7v2),
            ),
            (
                "\u{feff}<?xml version='1.0'?>\n<!-- <a> --><?xml-stylesheet href='CDA.xsl'?>\n<ClinicalDocument xmlns='urn:hl7-org:v3'>",
                "",
                Some(Format::Cda),
            ),
            (
                "<!DOCTYPE x SYSTEM 'a.dtd'><cda:ClinicalDocument\n",
                "",
                Some(Format::Cda),
            ),
            ("<Bundle><!-- <ClinicalDocument> -->", "", None),
            ("<!-- ClinicalDocument", "a.xml", None),
            ("mrn,name\n1,A\n", "", Some(Format::Csv)),
            ("mrn\n1\n", "a.CSV", Some(Format::Csv)),
            ("MSH,EVN\n1,2\n", "a.csv", Some(Format::Csv)),
            ("MSHAPE|a\n", "a.psv", Some(Format::Csv)),
            ("{\"resourceType\":\"Patient\"}", "a.csv", None),
            ("<Patient xmlns='http://hl7.org/fhir'/>", "", None),
            ("no table at all\n", "a.txt", None),
            ("", "a.csv", None),
        ] {
            assert_eq!(Format::of(text.as_bytes(), name), format, "{text:?} {name}");
        }
        let wide: Vec<u8> = "MSH|^".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Format::of(&wide, ""), Some(Format::Hl7v2));
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(*format));
        }
    }
}
