//! Conditional read: whether the client holds what it asks for already.
//! <https://hl7.org/fhir/R4/http.html#cread>, <https://www.rfc-editor.org/rfc/rfc9110#name-conditional-requests>

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HttpDate};

use super::request::values;
use crate::instant::Instant;
use crate::interactions::precondition::Versions;

/// Whether this version need not be sent. `If-None-Match` decides when it is there: versions are exact, while two of
/// them can fall into the one second that `If-Modified-Since` can tell.
pub(super) fn is_held(request: &HttpRequest, version: u64, at: Instant) -> bool {
    let headers = request.headers();
    if headers.contains_key(header::IF_NONE_MATCH) {
        return values(headers, &header::IF_NONE_MATCH).any(|tag| is_version(tag, version));
    }
    let since = headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok()?.parse::<HttpDate>().ok())
        .map(SystemTime::from);
    // A date that cannot be read is no condition.
    since.is_some_and(|since| {
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        at.since_epoch().as_secs() <= since.as_secs()
    })
}

fn is_version(tag: &str, version: u64) -> bool {
    Versions::parse(tag).is_some_and(|versions| versions.include(version))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;
    use actix_web::test::TestRequest;

    use super::*;

    /// Half a second after the last second of 1994-11-06T08:49.
    const AT: Instant = Instant::from_micros(784_111_799_500_000);

    fn holds(headers: &[(HeaderName, &str)]) -> bool {
        let mut request = TestRequest::get();
        for header in headers {
            request = request.append_header((header.0.clone(), header.1));
        }
        is_held(&request.to_http_request(), 2, AT)
    }

    #[test]
    fn a_version_that_the_client_holds_is_recognised() {
        let tags = |tags| holds(&[(header::IF_NONE_MATCH, tags)]);
        assert!(tags("W/\"2\"") && tags("\"2\"") && tags("*") && tags("W/\"1\", W/\"2\""));
        assert!(!tags("W/\"1\"") && !tags("W/\"22\"") && !tags("nonsense") && !tags(""));
    }

    #[test]
    fn a_time_since_which_nothing_changed_is_recognised() {
        let since = |date| holds(&[(header::IF_MODIFIED_SINCE, date)]);
        assert!(since("Sun, 06 Nov 1994 08:49:59 GMT") && since("Mon, 07 Nov 1994 00:00:00 GMT"));
        assert!(!since("Sun, 06 Nov 1994 08:49:58 GMT"));
        assert!(!since("nonsense") && !since("") && !since("1994-11-07"));
    }

    #[test]
    fn the_version_decides_before_the_time() {
        let unchanged = (header::IF_MODIFIED_SINCE, "Mon, 07 Nov 1994 00:00:00 GMT");
        assert!(!holds(&[
            unchanged.clone(),
            (header::IF_NONE_MATCH, "W/\"1\"")
        ]));
        let changed = (header::IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 00:00:00 GMT");
        assert!(holds(&[changed, (header::IF_NONE_MATCH, "W/\"2\"")]));
    }
}
