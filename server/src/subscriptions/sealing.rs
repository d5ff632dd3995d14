//! Secrets of Subscriptions, sealed where they are stored and shown. What was sealed can be sent back as it is shown, and
//! counts only for the place that it was given for.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use fhir_spec::json::Value;
use fhir_spec::{Issue, IssueCode};
use sha2::{Digest, Sha256};

use super::Subscription;
use super::channel::{Channel, SECRET};
use crate::store::{Ring, Secret};

/// How a sealed text begins; the version of its key and a colon follow.
const MARK: &str = "sealed:";
const NONCE_BYTES: usize = 24;

/// What secrets are sealed with.
#[derive(Clone)]
pub struct Seal {
    ring: Arc<OnceLock<Ring>>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(...)")
    }
}

impl Seal {
    pub fn of(secret: &Secret) -> Self {
        Self {
            ring: Arc::clone(secret.ring()),
        }
    }

    /// The same text for the same place is sealed alike, so that what is put again changes nothing.
    pub(super) fn close(&self, place: &str, text: &str) -> Option<String> {
        let (version, key) = self.ring.get()?.newest().ok()?;
        let key = derived(key);
        let mut digest = Sha256::new();
        for part in [&key, place.as_bytes(), b"\0", text.as_bytes()] {
            digest.update(part);
        }
        let digest = digest.finalize();
        let nonce = digest.get(..NONCE_BYTES)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: place.as_bytes(),
        };
        let nonce = XNonce::try_from(nonce).ok()?;
        let cipher = XChaCha20Poly1305::new(&key.into());
        let sealed = cipher.encrypt(&nonce, payload).ok()?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Some(format!("{MARK}{version}:{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// None: it was sealed by somebody else, or for another place.
    pub fn open(&self, place: &str, text: &str) -> Option<String> {
        let (version, sealed) = text.strip_prefix(MARK)?.split_once(':')?;
        let key = derived(self.ring.get()?.key(version.parse().ok()?)?);
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: sealed,
            aad: place.as_bytes(),
        };
        let nonce = XNonce::try_from(nonce).ok()?;
        let cipher = XChaCha20Poly1305::new(&key.into());
        let opened = cipher.decrypt(&nonce, payload).ok()?;
        String::from_utf8(opened).ok()
    }

    fn closed(&self, place: &str, text: &str) -> Result<String, String> {
        if text.starts_with(MARK) {
            // By the key of now, whichever it was sealed by.
            let opened = self.open(place, text);
            return opened
                .and_then(|opened| self.close(place, &opened))
                .ok_or_else(|| {
                    "this was sealed for another endpoint: send the secret itself".to_owned()
                });
        }
        self.close(place, text)
            .ok_or_else(|| "this cannot be sealed".to_owned())
    }
}

fn derived(key: [u8; 32]) -> [u8; 32] {
    Sha256::digest([b"subscriptions".as_slice(), &key].concat()).into()
}

/// Something in a Subscription was sealed by a key that is not there, or for another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unopened;

/// The text of a stored Subscription with all that is sealed in it sealed by the newest key. None: it is so already.
pub fn anew(seal: &Seal, body: &[u8]) -> Result<Option<String>, Unopened> {
    let text = std::str::from_utf8(body).map_err(|_| Unopened)?;
    if !text.contains(MARK) {
        return Ok(None);
    }
    let document = fhir_spec::json::parse(body).map_err(|_| Unopened)?;
    let subscription = Subscription::read(&document).map_err(|_| Unopened)?;
    let channel = &subscription.channel;
    let place = channel.endpoint.origin();
    let values = channel.headers.iter().map(|(_, value)| value);
    let mut anew = text.to_owned();
    for value in values.chain(&channel.secrets) {
        if value.starts_with(MARK) {
            let sealed = seal.closed(&place, value).map_err(|_| Unopened)?;
            anew = anew.replace(value.as_str(), &sealed);
        }
    }
    Ok((anew != text).then_some(anew))
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
