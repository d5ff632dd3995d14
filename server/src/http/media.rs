//! Which of its media types a clinical document is asked for by, where FHIR is another way to say it.

use actix_web::HttpRequest;
use actix_web::http::header;
use fhir_spec::format::Format;

use super::request::{query, weighted};
use crate::fault::{Fault, Kind};

pub(super) const CDA: &str = "application/cda+xml; charset=utf-8";
const TEXT: &str = "text/xml; charset=utf-8";

/// What stands in `Accept` or `_format`, and what is answered.
const CLINICAL: &[(&str, &str)] = &[
    ("application/cda+xml", CDA),
    (
        "application/hl7-v3+xml",
        "application/hl7-v3+xml; charset=utf-8",
    ),
    ("text/xml", TEXT),
    ("application/xml", "application/xml; charset=utf-8"),
    ("*/*", CDA),
    ("application/*", CDA),
    ("text/*", TEXT),
    ("cda", CDA),
];

/// None: FHIR is asked for.
pub(super) fn clinical(request: &HttpRequest) -> Result<Option<&'static str>, Fault> {
    let asked = query(request)?;
    let format = asked
        .iter()
        .find(|(name, value)| name == "_format" && !value.is_empty());
    if let Some((_, named)) = format {
        // `+` in a media type arrives as it is or decoded to a space.
        return choice(&named.replace(' ', "+")).ok_or_else(not_acceptable);
    }
    let mut best: Option<(u16, Option<&'static str>)> = None;
    let mut is_asked = false;
    for (range, quality) in weighted(request.headers(), &header::ACCEPT) {
        is_asked = true;
        if let Some(choice) = choice(range)
            && quality > best.map_or(0, |(quality, _)| quality)
        {
            best = Some((quality, choice));
        }
    }
    match best {
        Some((_, choice)) => Ok(choice),
        None if is_asked => Err(not_acceptable()),
        None => Ok(Some(CDA)),
    }
}

/// What a media type asks for: a clinical document of that type, or FHIR; nothing of others.
fn choice(range: &str) -> Option<Option<&'static str>> {
    let media = range.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    let known = CLINICAL.iter().find(|(name, _)| *name == media);
    match known {
        Some((_, answered)) => Some(Some(answered)),
        None => Format::named(range).map(|_| None),
    }
}

fn not_acceptable() -> Fault {
    Fault::new(
        Kind::NotAcceptable,
        "a clinical document is answered in application/cda+xml, text/xml or application/xml, as FHIR in application/fhir+json or application/fhir+xml",
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn accept_chooses_between_cda_and_fhir() {
        let chosen = |accept: &str| {
            let request = TestRequest::get().insert_header((header::ACCEPT, accept));
            clinical(&request.to_http_request())
        };
        for (accept, media) in [
            ("", Some(CDA)),
            ("*/*", Some(CDA)),
            ("application/cda+xml", Some(CDA)),
            ("text/xml", Some(TEXT)),
            (
                "text/html, application/xml;q=0.9, */*;q=0.8",
                Some("application/xml; charset=utf-8"),
            ),
            ("application/fhir+json", None),
            ("application/fhir+json;q=0.5, text/xml;q=0.9", Some(TEXT)),
        ] {
            assert_eq!(chosen(accept).unwrap(), media, "{accept}");
        }
        assert_eq!(chosen("image/png").unwrap_err().kind, Kind::NotAcceptable);
        let request = TestRequest::with_uri("/x?_format=application/fhir%2Bjson");
        assert_eq!(clinical(&request.to_http_request()).unwrap(), None);
    }
}
