//! The document itself, kept as it came: a Binary that the DocumentReference leads to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::{Object, Value};
use sha2::{Digest, Sha256};

use crate::mapping::{Entry, Mapped, Request};

const MEDIA_TYPE: &str = "application/hl7-v3+xml";

/// Puts the bytes into a Binary whose id is their hash: the same document is stored once.
pub(super) fn keep(mapped: &mut Mapped, bytes: &[u8]) {
    let hash = Sha256::digest(bytes);
    let id: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut binary = Object::new();
    binary.set("resourceType", "Binary");
    binary.set("id", id.as_str());
    binary.set("contentType", MEDIA_TYPE);
    binary.set("data", STANDARD.encode(bytes));
    let url = format!("Binary/{id}");
    let full_url = super::settle::uuid(&id);
    let Some(reference) = mapped.entries.iter_mut().find(|entry| {
        entry.resource.get("resourceType").and_then(Value::as_str) == Some("DocumentReference")
    }) else {
        return;
    };
    let contents = reference
        .resource
        .get_mut("content")
        .and_then(Value::as_array_mut);
    let attachments = contents
        .into_iter()
        .flatten()
        .filter_map(|content| content.get_mut("attachment"));
    for attachment in attachments.filter_map(Value::as_object_mut) {
        if attachment.get("contentType").and_then(Value::as_str) == Some(MEDIA_TYPE) {
            attachment.set("url", url.as_str());
            attachment.set(
                "size",
                Value::from(i64::try_from(bytes.len()).unwrap_or(i64::MAX)),
            );
        }
    }
    mapped
        .entries
        .push(Entry::new(full_url, binary, Request::Put(url)));
}
