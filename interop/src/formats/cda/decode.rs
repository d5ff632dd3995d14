//! Bytes to text, by the byte order mark or the encoding that the XML declaration names.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::DOCUMENT_BYTES_MAX;
use super::reader::Unreadable;

/// How far the declaration reaches at most.
const DECLARATION_BYTES_MAX: usize = 256;

/// The text of a document; borrowed when it is UTF-8, which nearly all are.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Unreadable::TooLong);
    }
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => declared(bytes)?,
    };
    // Bytes that are no text of the encoding are refused: a letter in place of another can be a wrong name or dose.
    let (text, malformed) = encoding.decode_with_bom_removal(bytes);
    if malformed {
        return Err(Unreadable::Encoding(encoding.name().to_owned()));
    }
    Ok(text)
}

fn declared(bytes: &[u8]) -> Result<&'static Encoding, Unreadable> {
    let start = bytes
        .get(..bytes.len().min(DECLARATION_BYTES_MAX))
        .unwrap_or_default();
    let start = String::from_utf8_lossy(start);
    if !start.starts_with("<?xml") {
        return Ok(UTF_8);
    }
    let declaration = start.split("?>").next().unwrap_or_default();
    let label = declaration.split("encoding").nth(1).and_then(|rest| {
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest
            .chars()
            .next()
            .filter(|sign| matches!(sign, '"' | '\''))?;
        rest.strip_prefix(quote)?.split(quote).next()
    });
    let Some(label) = label else {
        return Ok(UTF_8);
    };
    let encoding = Encoding::for_label(label.as_bytes());
    // A declaration that can be read byte for byte is not of two bytes a letter, whatever it says.
    match encoding {
        Some(encoding) if encoding.is_ascii_compatible() => Ok(encoding),
        Some(_) => Ok(UTF_8),
        None => Err(Unreadable::Encoding(label.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let latin = b"<?xml version='1.0' encoding = 'iso-8859-1'?><a>M\xfcller</a>";
        assert!(decode(latin).unwrap().ends_with("<a>Müller</a>"));
        assert!(matches!(
            decode("<a>ü</a>".as_bytes()).unwrap(),
            Cow::Borrowed(_)
        ));
        let wide: Vec<u8> = "\u{feff}<a>ü</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&wide).unwrap(), "<a>ü</a>");
        assert!(decode(b"<a>M\xfcller</a>").is_err());
        assert!(decode(b"<?xml version='1.0' encoding='x-nothing'?><a/>").is_err());
    }
}
