//! The bundle that answers: one entry for each of the request, in its order.
//! <https://hl7.org/fhir/R4/http.html#transaction-response>
//!
//! It is written as text: stored resources go into it as they are, without being read again.

use super::entry::Kind;
use crate::json::{Value, write_string};

/// What became of one entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Response<'r> {
    /// The code of HTTP and its words: `201 Created`.
    pub status: &'r str,
    /// `Type/id/_history/version`
    pub location: Option<&'r str>,
    /// The version that its etag names.
    pub version: Option<u64>,
    /// An instant of FHIR.
    pub last_modified: Option<&'r str>,
    pub outcome: Option<&'r Value>,
    pub full_url: Option<&'r str>,
    /// The text of a resource, as JSON.
    pub resource: Option<&'r str>,
}

/// The text of a bundle, while it is written.
#[derive(Debug)]
pub struct ResponseBundle {
    out: String,
    is_empty: bool,
}

impl ResponseBundle {
    /// `bytes` is about how long it will be.
    pub fn new(kind: Kind, bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes);
        out.push_str("{\"resourceType\":\"Bundle\",\"type\":\"");
        out.push_str(kind.response_code());
        out.push('"');
        Self {
            out,
            is_empty: true,
        }
    }

    pub fn push(&mut self, response: &Response<'_>) {
        let out = &mut self.out;
        out.push_str(if self.is_empty { ",\"entry\":[{" } else { ",{" });
        self.is_empty = false;
        if let Some(url) = response.full_url {
            out.push_str("\"fullUrl\":");
            write_string(url, out);
            out.push(',');
        }
        if let Some(resource) = response.resource {
            out.push_str("\"resource\":");
            out.push_str(resource);
            out.push(',');
        }
        out.push_str("\"response\":{\"status\":");
        write_string(response.status, out);
        if let Some(location) = response.location {
            out.push_str(",\"location\":");
            write_string(location, out);
        }
        if let Some(version) = response.version {
            out.push_str(",\"etag\":");
            write_string(&format!("W/\"{version}\""), out);
        }
        if let Some(instant) = response.last_modified {
            out.push_str(",\"lastModified\":");
            write_string(instant, out);
        }
        if let Some(outcome) = response.outcome {
            out.push_str(",\"outcome\":");
            outcome.write_to(out);
        }
        out.push_str("}}");
    }

    pub fn finish(mut self) -> String {
        self.out.push_str(if self.is_empty { "}" } else { "]}" });
        self.out
    }
}
