//! Secrets of Subscriptions, sealed where they are stored and shown. What was sealed can be sent back as it is shown, and
//! counts only for the place that it was given for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use fhir_spec::json::Value;
use fhir_spec::{Issue, IssueCode};
use sha2::{Digest, Sha256};

use super::channel::{Channel, SECRET};
use crate::store::Secret;

/// How a sealed text begins.
const MARK: &str = "sealed:1:";
const NONCE_BYTES: usize = 24;

/// What secrets are sealed with.
#[derive(Clone)]
pub struct Seal {
    key: [u8; 32],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(...)")
    }
}

impl Seal {
    pub fn of(secret: &Secret) -> Self {
        let digest = Sha256::digest([b"subscriptions".as_slice(), secret.bytes()].concat());
        Self { key: digest.into() }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.key.into())
    }

    /// The same text for the same place is sealed alike, so that what is put again changes nothing.
    fn close(&self, place: &str, text: &str) -> Option<String> {
        let mut digest = Sha256::new();
        for part in [&self.key, place.as_bytes(), b"\0", text.as_bytes()] {
            digest.update(part);
        }
        let digest = digest.finalize();
        let nonce = digest.get(..NONCE_BYTES)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: place.as_bytes(),
        };
        let nonce = XNonce::try_from(nonce).ok()?;
        let sealed = self.cipher().encrypt(&nonce, payload).ok()?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Some(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// None: it was sealed by somebody else, or for another place.
    pub fn open(&self, place: &str, text: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        let nonce = XNonce::try_from(nonce).ok()?;
        let opened = self.cipher().decrypt(&nonce, payload).ok()?;
        String::from_utf8(opened).ok()
    }

    fn closed(&self, place: &str, text: &str) -> Result<String, String> {
        if text.starts_with(MARK) {
            return match self.open(place, text) {
                Some(_) => Ok(text.to_owned()),
                None => {
                    Err("this was sealed for another endpoint: send the secret itself".to_owned())
                }
            };
        }
        self.close(place, text)
            .ok_or_else(|| "this cannot be sealed".to_owned())
    }
}

/// Seals what is secret in a `Subscription.channel`.
pub(super) fn seal(seal: &Seal, channel: &Channel, element: &mut Value) -> Result<(), Vec<Issue>> {
    let place = channel.endpoint.origin();
    let mut wrong = Vec::new();
    let mut note = |at: String, told| wrong.push(Issue::error(IssueCode::Value, told).at(at));
    let lines = element.get_mut("header").and_then(Value::as_array_mut);
    for (index, line) in lines.into_iter().flatten().enumerate() {
        if let Some((name, value)) = channel.headers.get(index) {
            match seal.closed(&place, value) {
                Ok(sealed) => *line = format!("{name}: {sealed}").into(),
                Err(told) => note(format!("Subscription.channel.header[{index}]"), told),
            }
        }
    }
    let extensions = element.get_mut("extension").and_then(Value::as_array_mut);
    for (index, extension) in extensions.into_iter().flatten().enumerate() {
        if extension.str_of("url") != Some(SECRET) {
            continue;
        }
        let secret = extension.str_of("valueString").unwrap_or_default();
        match seal.closed(&place, secret) {
            Ok(sealed) => {
                if let Some(object) = extension.as_object_mut() {
                    object.set("valueString", sealed);
                }
            }
            Err(told) => note(format!("Subscription.channel.extension[{index}]"), told),
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_place_only() {
        let seal = Seal::of(&Secret::example(1));
        let sealed = seal.closed("https://h:443", "Bearer x").unwrap();
        assert!(!sealed.contains("Bearer"));
        assert_eq!(seal.closed("https://h:443", "Bearer x").unwrap(), sealed);
        assert_eq!(seal.closed("https://h:443", &sealed).unwrap(), sealed);
        assert!(seal.closed("https://evil:443", &sealed).is_err());
        assert_eq!(seal.open("https://h:443", &sealed).unwrap(), "Bearer x");
        assert_eq!(seal.open("https://h:444", &sealed), None);
        assert_eq!(
            Seal::of(&Secret::example(2)).open("https://h:443", &sealed),
            None
        );
        for broken in ["", "sealed:1:", "sealed:1:!", "sealed:1:AAAA", "Bearer x"] {
            assert_eq!(seal.open("https://h:443", broken), None, "{broken}");
        }
    }
}
