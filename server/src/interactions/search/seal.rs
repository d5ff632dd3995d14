//! What makes a link of a page unreadable and unchangeable: sealed with a secret that only the nodes know.
//! <https://hl7.org/fhir/R4/search.html#security>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Generate, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::fault::Fault;
use crate::store::Secret;

/// A text of at least so many bytes is packed.
const PACKED_BYTES_MIN: usize = 200;
/// No ticket is longer: what a link may unpack to.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const NONCE_BYTES: usize = 24;
const PLAIN: u8 = 0;
const PACKED: u8 = 1;

/// As it stands in a link. Chance makes each seal another one: two links are never the same.
pub(super) fn seal(secret: &Secret, text: &str) -> Result<String, Fault> {
    let mut content = match text.len() >= PACKED_BYTES_MIN {
        true => zstd::bulk::compress(text.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL)
            .map_err(Fault::internal)?,
        false => text.as_bytes().to_vec(),
    };
    content.push(match text.len() >= PACKED_BYTES_MIN {
        true => PACKED,
        false => PLAIN,
    });
    let nonce = XNonce::try_generate().map_err(|error| Fault::internal(error.to_string()))?;
    let cipher = XChaCha20Poly1305::new(secret.bytes().into());
    let sealed = cipher
        .encrypt(&nonce, content.as_slice())
        .map_err(|error| Fault::internal(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

/// The text, when nobody has changed it.
pub(super) fn open(secret: &Secret, sealed: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let cipher = XChaCha20Poly1305::new(secret.bytes().into());
    let mut content = cipher.decrypt(&nonce, sealed).ok()?;
    let text = match content.pop()? {
        PLAIN => content,
        PACKED => zstd::bulk::decompress(&content, TEXT_BYTES_MAX).ok()?,
        _ => return None,
    };
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_that_was_changed() {
        let secret = Secret::example(1);
        for text in ["short", &"long ".repeat(1000)] {
            let sealed = seal(&secret, text).unwrap();
            assert_eq!(open(&secret, &sealed).as_deref(), Some(text));
            assert_eq!(open(&Secret::example(2), &sealed), None);
            assert_ne!(seal(&secret, text).unwrap(), sealed);
            for place in 0..sealed.len() {
                let mut changed = sealed.clone().into_bytes();
                changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                // The last character may hold bits that say nothing: then it is refused for them.
                assert_eq!(open(&secret, &changed), None, "{place}");
            }
            assert_eq!(open(&secret, sealed.split_at(1).1), None);
        }
        assert_eq!(open(&secret, ""), None);
        assert_eq!(open(&secret, "%%%"), None);
    }
}
