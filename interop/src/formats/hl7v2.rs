//! HL7 v2, 2.1 to 2.9, in delimiters and in XML: bytes to messages and back.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=185>
//!
//! **Reading.** [`Transmission::open`] finds the messages in what came: one, many, or files of batches. [`Transmission::text`]
//! decodes one of them by its own MSH-18, borrowing where it can; [`Text::message`] makes the tree, which is offsets into
//! that text: nothing is copied, escapes are undone when a value is asked for ([`Part::text`]).
//! Reading is lenient and says so: whatever was not as the standard has it is in `forgiven`, with its place. What cannot be
//! read at all is an [`Unreadable`].
//!
//! **Asking.** By hand ([`Message::segments`], [`Field::repetitions`] ...), by [`Path`] (`PID-3[2].1`), or by the groups of
//! the message's structure: [`Dictionary::structure`] and [`grammar::group`].
//!
//! **Mapping.** [`MessageSchema`] and [`MessageSource`] are HL7 v2 for the mapping engine; [`convert`] runs the map of a message.
//!
//! **Writing.** [`Draft`] is a message that can be changed; [`Draft::write`] of what was read gives back the text that was
//! read, but for what was forgiven. [`charset::encode`] says what a character set cannot hold.
//!
//! **Speaking.** [`emit`] makes messages of resources, by message definitions and the rows of maps turned round.
//!
//! **Talking.** [`mllp`] frames, [`acknowledgement`] answers and understands answers.

pub mod acknowledgement;
pub mod charset;
pub mod continuation;
pub mod convert;
mod delimiters;
pub mod dictionary;
mod draft;
pub mod emit;
pub mod escape;
mod forgiven;
pub mod grammar;
pub mod mllp;
mod page;
mod path;
mod schema;
mod source;
mod stamp;
mod tokens;
mod transmission;
mod tree;
mod xml;

pub use charset::Charset;
pub use delimiters::Delimiters;
pub use dictionary::{Dictionary, Version};
pub use draft::{Draft, Misplaced};
pub use forgiven::{Forgiven, Leniency, Unreadable};
pub use path::{BadPath, Path};
pub use schema::MessageSchema;
pub use source::MessageSource;
pub use stamp::{BadStamp, Stamp};
pub use transmission::{Envelope, Intake, Text, Transmission};
pub use tree::{Component, Field, Message, Part, Presence, Repetition, Segment, Subcomponent};

/// Bytes of a transmission, unless the route says otherwise.
pub const TRANSMISSION_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Messages of a transmission.
pub const MESSAGES_MAX: usize = 1_000_000;
/// Segments of a message.
pub const SEGMENTS_MAX: usize = 100_000;
/// Fields of a segment; the longest of the standard has fewer than a hundred.
pub const FIELDS_MAX: usize = 10_000;
/// Things forgiven that are told one by one; of the others only the number is.
pub const FORGIVEN_MAX: usize = 100;

/// Offsets are kept in four bytes: a transmission is never larger than that allows.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn wide(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Where the first of two bytes stands, eight looked at in one step: this is asked of every value. Zero stands for none.
fn find_byte(text: &[u8], one: u8, other: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let zeros = |eight: u64| eight.wrapping_sub(ONES) & !eight & (ONES << 7);
    let (eights, rest) = text.as_chunks::<8>();
    if one == 0 && other == 0 {
        return None;
    }
    let is_wanted = |byte: &u8| (*byte == one || *byte == other) && *byte != 0;
    for (place, eight) in eights.iter().enumerate() {
        let bits = u64::from_le_bytes(*eight);
        let found = zeros(bits ^ (ONES * u64::from(one))) | zeros(bits ^ (ONES * u64::from(other)));
        if found != 0
            && let Some(within) = eight.iter().position(is_wanted)
        {
            return Some(place * 8 + within);
        }
    }
    let within = rest.iter().position(is_wanted)?;
    Some(text.len() - rest.len() + within)
}

/// A piece of a text; nothing where the bounds do not fit, which they do.
fn slice(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::find_byte;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        let plain = b"ab\x80\xff\x01~d{efghij\x7fklmnopq";
        for length in 0..=plain.len() {
            for place in 0..=length {
                let mut text = plain[..length].to_vec();
                assert_eq!(find_byte(&text, b'^', b'&'), None);
                assert_eq!(find_byte(&text, 0, 0), None);
                text.insert(place, b'^');
                text.push(b'&');
                assert_eq!(find_byte(&text, b'^', 0), Some(place));
                assert_eq!(find_byte(&text, b'&', b'^'), Some(place));
                assert_eq!(find_byte(&text, b'&', 0), Some(length + 1));
            }
        }
        assert_eq!(find_byte(b"a\0b", b'|', 0), None);
    }
}
