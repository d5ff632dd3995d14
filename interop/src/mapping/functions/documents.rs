//! Texts and files inside of documents.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::{Object, Value};

use super::{Answer, Env, Function, nothing, text_at};

const FAMILY: &str = "documents";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "to_base64",
        &["text"],
        |arguments, _| Ok(STANDARD.encode(text_at(arguments, 0)?).into()),
        "The text in base64.",
        &[(&["é\n"], "w6kK"), (&["a"], "YQ==")],
    )
    .undone_by("from_base64"),
    Function::new(
        FAMILY,
        "from_base64",
        &["base64"],
        |arguments, _| {
            let bytes = STANDARD.decode(text_at(arguments, 0)?);
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            text.map(Value::from)
                .ok_or_else(|| "a text in base64".to_owned())
        },
        "The text that stands there in base64.",
        &[(&["w6kK"], "é\n"), (&["?"], "!"), (&["/w=="], "!")],
    )
    .undone_by("to_base64"),
    Function::new(
        FAMILY,
        "attachment",
        &["text", "title?", "content_type?"],
        attachment,
        "The text as an attachment, plain text in UTF-8 when nothing else is said.",
        &[
            (
                &["a"],
                "{\"contentType\":\"text/plain; charset=utf-8\",\"data\":\"YQ==\"}",
            ),
            (
                &["a", "Letter", "text/html"],
                "{\"contentType\":\"text/html\",\"data\":\"YQ==\",\"title\":\"Letter\"}",
            ),
        ],
    )
    .giving("Attachment"),
    Function::new(
        FAMILY,
        "mime_type",
        &["type", "subtype?"],
        mime_type,
        "What HL7 v2 calls type and subtype of data as a MIME type; nothing when it cannot be told.",
        &[
            (&["application", "pdf"], "application/pdf"),
            (&["AP", "PDF"], "application/pdf"),
            (&["TEXT", "HTML"], "text/html"),
            (&["", "PDF"], "application/pdf"),
            (&["IM", "JPEG"], "image/jpeg"),
            (&["multipart", "x-hl7-cda-level-three"], "multipart/x-hl7-cda-level-three"),
            (&["application/pdf"], "application/pdf"),
            (&["PDF"], "application/pdf"),
            (&["text"], "text/plain"),
            (&["", "xml"], "application/xml"),
            (&["Application", "Octet-stream"], "application/octet-stream"),
            (&["???"], ""),
        ],
    )
    .taking_nothing(),
];

fn attachment(arguments: &[Value], _: &Env<'_>) -> Answer {
    let mut made = Object::new();
    let kind = Some(text_at(arguments, 2)?).filter(|kind| !kind.is_empty());
    made.set("contentType", kind.unwrap_or("text/plain; charset=utf-8"));
    made.set("data", STANDARD.encode(text_at(arguments, 0)?));
    let title = text_at(arguments, 1)?;
    if !title.is_empty() {
        made.set("title", title);
    }
    Ok(made.into())
}

fn mime_type(arguments: &[Value], _: &Env<'_>) -> Answer {
    let (kind, subtype) = (text_at(arguments, 0)?, text_at(arguments, 1)?);
    let (kind, subtype) = (kind.trim().to_lowercase(), subtype.trim().to_lowercase());
    let (kind, subtype) = match kind.split_once('/') {
        Some((kind, subtype)) => (kind.to_owned(), subtype.to_owned()),
        None => (kind, subtype),
    };
    let known = |subtype: &str| {
        Some(match subtype {
            "pdf" => "application/pdf",
            "rtf" => "application/rtf",
            "xml" => "application/xml",
            "html" | "htm" => "text/html",
            "txt" | "text" | "plain" => "text/plain",
            "jpeg" | "jpg" => "image/jpeg",
            "gif" => "image/gif",
            "png" => "image/png",
            "tif" | "tiff" => "image/tiff",
            "dicom" | "dcm" => "application/dicom",
            "msword" | "doc" => "application/msword",
            _ => return None,
        })
    };
    let kind = match kind.as_str() {
        "ap" => "application",
        "im" | "ns" | "si" => "image",
        "tx" | "ft" => "text",
        "au" => "audio",
        "mp" => "multipart",
        other => other,
    };
    let is_token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+' | b'_')
            })
    };
    let is_kind = matches!(
        kind,
        "application" | "image" | "text" | "audio" | "video" | "multipart" | "message" | "model"
    );
    if is_kind && subtype == "html" {
        return Ok("text/html".into());
    }
    if is_kind && is_token(&subtype) {
        let alone = known(&subtype).filter(|known| known.starts_with(kind));
        return Ok(alone
            .map_or_else(|| format!("{kind}/{subtype}"), str::to_owned)
            .into());
    }
    let found = match (kind, subtype.as_str()) {
        ("text", _) => Some("text/plain"),
        ("", subtype) => known(subtype),
        (kind, "") => known(kind),
        (_, subtype) => known(subtype),
    };
    Ok(found.map_or_else(nothing, Value::from))
}
