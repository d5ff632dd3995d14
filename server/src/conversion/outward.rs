//! Resources to messages of HL7 v2: `to=hl7v2` of `kiln convert` and `/api/convert`.

use fhir_spec::json::Value;
use fhir_spec::{Issue, IssueCode};
use interop::formats::hl7v2::emit::{Destination, Header, Spoken, Unready, Unspoken};
use interop::formats::hl7v2::{Charset, Version};
use interop::mapping::Library;

use crate::instant::Instant;
use crate::maps::{self, Translator};

/// Which messages are wanted, and how.
#[derive(Debug, Clone, Default)]
pub struct Speaking {
    /// MSH-9.1 and MSH-9.2; without them the kind that suits the resources.
    pub message_type: Option<String>,
    pub event: Option<String>,
    pub version: Option<Version>,
    /// A version whose fields and datatypes are used before their time.
    pub datatypes: Option<Version>,
    /// By its name; without one whichever holds the text: ASCII or UTF-8.
    pub charset: Option<String>,
    /// MSH-10 of the first message; those after it get a number behind it.
    pub control_id: Option<String>,
}

/// The version that MSH-12 shall say: 2.3 to 2.8.2.
pub fn version(text: &str) -> Result<Version, &'static str> {
    let mut all = Version::ALL.iter().copied();
    let found = all.find(|version| version.name() == text && *version >= Version::V2_3);
    found.ok_or("a version of HL7 v2 from 2.3 to 2.8.2")
}

/// The messages that a document becomes. Errors among the issues of one name what it must have and has not.
pub fn to_messages(
    translator: &Translator,
    document: Value,
    wanted: &Speaking,
    now: Instant,
) -> Result<Vec<Spoken>, Vec<Issue>> {
    let speaker = &translator.speaker;
    let library = Library::of(document);
    let kind = match (&wanted.message_type, &wanted.event) {
        (None, None) => speaker.usual_kind(&library).map_err(refused)?,
        (message_type, event) => {
            let found = speaker.kind_of(message_type.as_deref(), event.as_deref());
            let told = || {
                let kinds: Vec<&str> = speaker.kinds().collect();
                let told = format!(
                    "no such message is made of resources; these are: {}",
                    kinds.join(", ")
                );
                vec![Issue::error(IssueCode::NotSupported, told)]
            };
            found.ok_or_else(told)?.to_owned()
        }
    };
    let charset = match &wanted.charset {
        None => Charset::Ascii,
        Some(name) => {
            super::intake(Some(name))
                .map_err(|issue| vec![issue])?
                .charset
        }
    };
    let version = wanted.version.unwrap_or(Version::V2_5_1);
    let to = Destination {
        version,
        datatypes: wanted.datatypes,
        charset,
        ..Destination::default()
    };
    let now = now.to_string();
    let first = match &wanted.control_id {
        Some(id) => id.clone(),
        None => now.chars().filter(char::is_ascii_digit).collect(),
    };
    let starts = speaker.starts(&kind, &library).map_err(refused)?;
    let mut all = Vec::new();
    for (place, start) in starts.iter().enumerate() {
        let control_id = match place {
            0 => first.clone(),
            _ => format!("{first}-{}", place + 1),
        };
        let header = Header {
            control_id: &control_id,
            now: &now,
            sequence: None,
        };
        all.push(
            speaker
                .speak(&kind, &library, start, header, &to)
                .map_err(refused)?,
        );
    }
    Ok(all)
}

/// Why there is no message.
fn refused(error: Unspoken) -> Vec<Issue> {
    match error {
        Unspoken::Unready(_, Unready::Map(bad)) => maps::issues(&bad),
        error => vec![Issue::error(IssueCode::NotSupported, error.to_string())],
    }
}
