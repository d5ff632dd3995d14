//! What a client would like: the header `Prefer`.
//! <https://hl7.org/fhir/R4/http.html#ops>, <https://www.rfc-editor.org/rfc/rfc7240>

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use search::query::Handling;

use super::request::values;
use crate::interactions::Return;

/// The preferences of a request that FHIR gives a meaning; others are passed over, as the RFC says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prefer {
    /// What the answer to a write should hold, as the client said.
    pub(super) returned: Option<Return>,
    /// What it holds when the client does not say.
    otherwise: Return,
    /// What becomes of parameters that are not understood.
    pub(super) handling: Handling,
}

impl Prefer {
    pub(super) fn of(request: &HttpRequest) -> Self {
        const PREFER: HeaderName = HeaderName::from_static("prefer");
        let mut prefer = Self::default();
        for wish in values(request.headers(), &PREFER) {
            let (name, value) = wish.split_once('=').unwrap_or((wish, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            // Of a preference that is given twice the first counts.
            if name.eq_ignore_ascii_case("return") && prefer.returned.is_none() {
                prefer.returned = named(value);
            } else if name.eq_ignore_ascii_case("handling") && value == "lenient" {
                prefer.handling = Handling::Lenient;
            }
        }
        prefer
    }

    /// The same, with less in the answer when the client does not say.
    pub(super) fn or_minimal(self) -> Self {
        Self {
            otherwise: Return::Minimal,
            ..self
        }
    }

    pub(super) fn wanted(self) -> Return {
        self.returned.unwrap_or(self.otherwise)
    }
}

fn named(name: &str) -> Option<Return> {
    match name {
        "minimal" => Some(Return::Minimal),
        "representation" => Some(Return::Representation),
        "OperationOutcome" => Some(Return::OperationOutcome),
        _ => None,
    }
}

/// For `Preference-Applied`.
pub(super) fn applied(returned: Return) -> &'static str {
    match returned {
        Return::Minimal => "return=minimal",
        Return::Representation => "return=representation",
        Return::OperationOutcome => "return=OperationOutcome",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_preferences_that_fhir_knows_are_found_among_others() {
        let returned = |wishes: &[&str]| {
            let mut request = TestRequest::post();
            for wish in wishes {
                request = request.append_header(("Prefer", *wish));
            }
            Prefer::of(&request.to_http_request()).returned
        };
        assert_eq!(returned(&[]), None);
        assert_eq!(returned(&["respond-async"]), None);
        assert_eq!(returned(&["return=everything"]), None);
        for wishes in [
            &["return=minimal"][..],
            &["Return = \"minimal\""],
            &["handling=lenient; return=minimal"],
            &["handling=lenient, return=minimal, return=representation"],
            &["handling=lenient", "return=minimal"],
        ] {
            assert_eq!(returned(wishes), Some(Return::Minimal), "{wishes:?}");
        }
        for returned in [
            Return::Minimal,
            Return::Representation,
            Return::OperationOutcome,
        ] {
            let name = applied(returned).strip_prefix("return=").unwrap();
            assert_eq!(named(name), Some(returned));
        }
    }
}
