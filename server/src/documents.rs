//! Clinical documents on their way into the store: read, mapped, with what tells one version from the next.

use fhir_spec::Issue;
use interop::formats::Format;
use interop::formats::cda::{Converted, Converter, Document, Header, Unreadable, decode};
use interop::host::{Origin, Submission};
use interop::mapping::{Occasion, Zone};
use interop::route::Facts;

/// Who says what about whom, and what becomes of it.
pub fn read(
    converter: &Converter,
    bytes: &[u8],
    zone: &Zone,
    occasion: Occasion<'_>,
) -> Result<(Facts, Converted), Unreadable> {
    Ok((facts(bytes, zone)?, converter.convert(bytes, occasion)?))
}

/// What is known of a document before it is mapped.
pub fn facts(bytes: &[u8], zone: &Zone) -> Result<Facts, Unreadable> {
    let text = decode(bytes)?;
    let document = Document::read_header(&text)?;
    Ok(Facts::of_document(&Header::of(&document), zone))
}

/// As the store takes it.
pub fn submission(facts: &Facts, done: Converted, pack: String) -> Submission {
    let issues: Vec<Issue> = done.issues;
    Submission {
        entries: done.mapped.entries,
        issues,
        origin: Origin {
            format: Format::Cda.name().to_owned(),
            kind: facts.kind_text(),
            sender_application: facts.sender_application.clone(),
            sender_facility: facts.sender_facility.clone(),
            control_id: facts.control_id.clone(),
            event_time_us: facts.event_time_us,
            pack,
            ..Origin::default()
        },
    }
}
