//! Clinical documents inside of messages: OBX-5 of the type ED, as MDM and ORU bring them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::formats::Format;
use crate::formats::hl7v2::{Message, Segment};

/// Characters of a file in which it shows what it is; a multiple of four, so that they can be decoded by themselves.
const GLANCE: usize = 64 * 1024;

/// A clinical document, and where it stands in its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// `OBX[2]-5`: of all segments of its name, from 1.
    pub place: String,
    pub bytes: Vec<u8>,
}

/// All of them; files of other kinds are left alone.
pub fn embedded(message: &Message<'_>) -> Vec<Embedded> {
    let segments = message.segments_named("OBX").zip(1..);
    segments
        .filter_map(|(segment, number)| {
            Some(Embedded {
                bytes: file(&segment)?,
                place: format!("OBX[{number}]-5"),
            })
        })
        .collect()
}

fn file(segment: &Segment<'_, '_>) -> Option<Vec<u8>> {
    let kind = segment.field(2)?.value()?;
    if kind.trim() != "ED" {
        return None;
    }
    let value = segment.field(5)?.repetitions().next()?;
    let component = |number| value.component(number).and_then(|part| part.value());
    let (encoding, data) = (component(4)?, component(5)?);
    let is_document = |bytes: &[u8]| Format::of(bytes, "") == Some(Format::Cda);
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => {
            let decoded = |text: &str| STANDARD.decode(text).ok();
            let data: String = data.split_ascii_whitespace().collect();
            let glance = data.get(..GLANCE).unwrap_or(&data);
            is_document(&decoded(glance)?).then(|| decoded(&data))?
        }
        "a" | "" => is_document(data.as_bytes()).then(|| data.into_owned().into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::Text;

    const DOCUMENT: &str = "<?xml version='1.0'?>\n<ClinicalDocument xmlns='urn:hl7-org:v3'/>";

    #[test]
    fn documents_are_told_from_other_files() {
        let packed = STANDARD.encode(DOCUMENT);
        let (one, two) = packed.split_at(20);
        let message = format!(
            "MSH|^~\\&|A|B|||20260101||MDM^T02|1|P|2.5\rOBX|1|TX|1||{packed}\rOBX|2|ED|1||A^application^xml^Base64^{one}\\.br\\{two}\r\
             OBX|3|ED|1||A^application^pdf^Base64^JVBERi0=\rOBX|4|ED|1||A^application^xml^Base64^{packed}\r\
             OBX|5|ED|1||A^text^xml^A^{}\rOBX|6|ED|1||A^application^xml^Base64^!!!\rOBX|7|ED\r",
            DOCUMENT.replace('&', "\\T\\")
        );
        let text = Text::decoded(&message);
        let found = embedded(&text.message().unwrap());
        let places: Vec<&str> = found.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(places, ["OBX[2]-5", "OBX[4]-5", "OBX[5]-5"]);
        assert!(found.iter().all(|one| one.bytes == DOCUMENT.as_bytes()));
    }
}
