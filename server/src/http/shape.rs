//! What an answer should look like: its format, its indentation, and how much of a resource it shows.
//! <https://hl7.org/fhir/R4/http.html#parameters>

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header;
use bytes::Bytes;
use fhir_spec::definitions::{Definitions, TypeDef};
use fhir_spec::format::Format;
use fhir_spec::json::{self, Value, write_pretty};
use fhir_spec::summary::View;
use fhir_spec::xml;

use super::request::{query, weighted};
use crate::fault::{Fault, Kind};

/// The parameters that say how an answer should look, and nothing of what it is about.
pub(super) const PARAMETERS: &[&str] = &["_format", "_pretty", "_summary", "_elements"];

/// How the caller wants resources to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) format: Format,
    pub(super) is_pretty: bool,
    /// None: the whole resource.
    pub(super) view: Option<View>,
}

impl Shape {
    /// What the request asks for; `resource_type` says which elements there are to choose from, where one is known.
    pub(super) fn of(request: &HttpRequest, resource_type: Option<&str>) -> Result<Self, Fault> {
        if request.query_string().is_empty() && is_json_all_that_is_accepted(request) {
            return Ok(Self::as_stored());
        }
        Self::asked(request, &query(request)?, resource_type)
    }

    /// What these parameters ask for, which need not stand in the address.
    pub(super) fn asked(
        request: &HttpRequest,
        query: &[(String, String)],
        resource_type: Option<&str>,
    ) -> Result<Self, Fault> {
        let format = match value_of(query, "_format") {
            // `+` in a media type arrives as it is or decoded to a space.
            Some(asked) => Format::named(&asked.replace(' ', "+")).ok_or_else(not_acceptable)?,
            None => accepted(request)?,
        };
        Ok(Self {
            format,
            is_pretty: is_pretty(query)?,
            view: view(query, resource_type)?,
        })
    }

    /// What the parameters of an entry of a bundle ask for: the bundle around it decides about the format.
    pub(super) fn within_bundle(
        query: &[(String, String)],
        resource_type: Option<&str>,
    ) -> Result<Self, Fault> {
        Ok(Self {
            view: view(query, resource_type)?,
            ..Self::as_stored()
        })
    }

    /// What is stored, as it is.
    pub(super) fn as_stored() -> Self {
        Self {
            format: Format::Json,
            is_pretty: false,
            view: None,
        }
    }

    /// How to tell of a failure: as `of` says, and in plain JSON when that is what failed.
    pub(super) fn of_trouble(request: &HttpRequest) -> Self {
        let asked = Self::of(request, None).ok();
        asked.map_or(Self::as_stored(), |asked| Self {
            view: None,
            ..asked
        })
    }

    /// Whether stored bytes answer as they are.
    pub(super) fn is_as_stored(&self) -> bool {
        self.format == Format::Json && !self.is_pretty && self.view.is_none()
    }

    /// The text of a resource that is stored as JSON; it is read only when it cannot be answered as it is.
    pub(super) fn stored(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        if self.is_as_stored() {
            return Ok(bytes);
        }
        let resource = json::parse(&bytes).map_err(Fault::internal)?;
        self.shown(&resource).map(Bytes::from)
    }

    /// A stored resource as it stands in a Bundle: JSON, and of that what is asked for.
    pub(super) fn entry<'t>(&self, stored: &'t str) -> Result<Cow<'t, str>, Fault> {
        let Some(view) = &self.view else {
            return Ok(stored.into());
        };
        let resource = json::parse(stored.as_bytes()).map_err(Fault::internal)?;
        let shown = view.of(&resource, Definitions::r4().types());
        Ok(shown.to_string().into())
    }

    /// The text of a resource, or of the part of it that is asked for.
    pub(super) fn shown(&self, resource: &Value) -> Result<String, Fault> {
        match &self.view {
            Some(view) => self.whole(&view.of(resource, Definitions::r4().types())),
            None => self.whole(resource),
        }
    }

    /// The text of a document that says little without any of its parts, such as an OperationOutcome.
    pub(super) fn whole(&self, document: &Value) -> Result<String, Fault> {
        match (self.format, self.is_pretty) {
            (Format::Json, false) => Ok(document.to_string()),
            (Format::Json, true) => Ok(write_pretty(document)),
            (Format::Xml, false) => xml::write(document, Definitions::r4()).map_err(unwritable),
            (Format::Xml, true) => {
                xml::write_pretty(document, Definitions::r4()).map_err(unwritable)
            }
        }
    }
}

fn unwritable(issue: fhir_spec::Issue) -> Fault {
    Fault::of_issues(Kind::NotAcceptable, vec![issue])
}

/// What most clients send, known at a glance.
fn is_json_all_that_is_accepted(request: &HttpRequest) -> bool {
    const AT_A_GLANCE: &[&[u8]] = &[b"*/*", b"application/fhir+json", b"application/json"];
    let mut accepted = request.headers().get_all(header::ACCEPT);
    let first = accepted.next();
    first.is_none_or(|first| AT_A_GLANCE.contains(&first.as_bytes())) && accepted.next().is_none()
}

/// The format that `Accept` likes best: <https://www.rfc-editor.org/rfc/rfc9110#name-accept>
fn accepted(request: &HttpRequest) -> Result<Format, Fault> {
    // An empty one asks for nothing.
    let ranges: Vec<Range> = weighted(request.headers(), &header::ACCEPT)
        .map(|(range, quality)| Range::of(range, quality))
        .collect();
    if ranges.is_empty() {
        return Ok(Format::Json);
    }
    let mut best: Option<(&Range, Format)> = None;
    for format in Format::ALL.iter().copied() {
        // What names a format more closely decides about it: `application/fhir+json;q=0, */*` refuses JSON.
        let about = ranges
            .iter()
            .filter(|range| range.closeness(format) > 0)
            .max_by_key(|range| range.closeness(format));
        if let Some(range) = about
            && range.quality > best.map_or(0, |(range, _)| range.quality)
        {
            best = Some((range, format));
        }
    }
    let Some((range, format)) = best else {
        return Err(not_acceptable());
    };
    // Among equals the first one named: clients list what they like best first.
    let first = ranges
        .iter()
        .filter(|other| other.quality == range.quality)
        .find_map(|range| range.format);
    Ok(first.unwrap_or(format))
}

/// One part of `Accept`.
struct Range {
    /// In thousandths; 0 is a refusal.
    quality: u16,
    /// None: every format, or one that is not spoken here.
    format: Option<Format>,
    is_any: bool,
}

impl Range {
    fn of(range: &str, quality: u16) -> Self {
        let media = range.split(';').next().unwrap_or_default().trim();
        Self {
            quality,
            format: Format::named(range),
            is_any: matches!(media, "*/*" | "application/*" | "*"),
        }
    }

    fn closeness(&self, format: Format) -> u8 {
        match self.format {
            Some(named) if named == format => 2,
            None if self.is_any => 1,
            _ => 0,
        }
    }
}

fn not_acceptable() -> Fault {
    Fault::new(
        Kind::NotAcceptable,
        "this server answers in application/fhir+json or application/fhir+xml",
    )
}

fn is_pretty(query: &[(String, String)]) -> Result<bool, Fault> {
    match value_of(query, "_pretty") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong("_pretty", "`true` or `false`")),
    }
}

fn view(query: &[(String, String)], resource_type: Option<&str>) -> Result<Option<View>, Fault> {
    let elements = elements(query, resource_type)?;
    let summary = match value_of(query, "_summary") {
        None | Some("false") => None,
        Some("true") => Some(View::Summary),
        Some("text") => Some(View::Text),
        Some("data") => Some(View::Data),
        Some("count") => {
            let diagnostics =
                "`_summary=count` counts what a search finds: there is no search here";
            return Err(Fault::new(Kind::WrongParameter, diagnostics));
        }
        Some(_) => {
            return Err(wrong(
                "_summary",
                "`true`, `text`, `data`, `count` or `false`",
            ));
        }
    };
    if summary.is_some() && !elements.is_empty() {
        let diagnostics = "`_summary` and `_elements` both choose what is shown: give one of them";
        return Err(Fault::new(Kind::WrongParameter, diagnostics));
    }
    Ok(summary.or_else(|| (!elements.is_empty()).then_some(View::Elements(elements))))
}

fn elements(query: &[(String, String)], resource_type: Option<&str>) -> Result<Vec<String>, Fault> {
    let types = Definitions::r4().types();
    let mut elements = Vec::new();
    let asked = query.iter().filter(|(name, _)| name == "_elements");
    for name in asked.flat_map(|(_, names)| names.split(',')).map(str::trim) {
        if name.is_empty() {
            continue;
        }
        if let Some(definition) = resource_type.and_then(|name| types.named(name))
            && definition.element(name).is_none()
            && definition.property(name).is_none()
        {
            return Err(wrong("_elements", &names_of(definition)));
        }
        elements.push(name.to_owned());
    }
    Ok(elements)
}

fn names_of(definition: &TypeDef) -> String {
    let names: Vec<&str> = definition
        .elements
        .iter()
        .map(|element| &*element.name)
        .collect();
    format!(
        "elements of {}, separated by commas: {}",
        definition.name,
        names.join(", ")
    )
}

fn wrong(parameter: &str, valid: &str) -> Fault {
    Fault::new(Kind::WrongParameter, format!("`{parameter}` takes {valid}"))
}

/// The first value of a parameter; an empty one says nothing.
fn value_of<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn accepting(accept: &str) -> Result<Format, Fault> {
        let request = TestRequest::get().insert_header((header::ACCEPT, accept));
        Shape::of(&request.to_http_request(), None).map(|shape| shape.format)
    }

    fn asking(query: &str) -> Result<Shape, Fault> {
        let request = TestRequest::with_uri(&format!("/x?{query}"));
        Shape::of(&request.to_http_request(), Some("Patient"))
    }

    #[test]
    fn accept_chooses_the_format() {
        for (accepted, format) in [
            ("*/*", Format::Json),
            ("", Format::Json),
            (
                "application/fhir+xml;Q=0.5, application/json;Q=0.4",
                Format::Xml,
            ),
            ("application/fhir+json", Format::Json),
            ("application/json;charset=utf-8", Format::Json),
            ("text/html, application/*;q=0.1", Format::Json),
            ("application/fhir+xml", Format::Xml),
            ("application/fhir+xml;fhirVersion=4.0", Format::Xml),
            ("application/fhir+json;q=0.5, text/xml;q=0.9", Format::Xml),
            (
                "application/fhir+json;q=0.501, text/xml;q=0.51",
                Format::Xml,
            ),
            ("application/fhir+xml, application/fhir+json", Format::Xml),
            ("application/fhir+json, application/fhir+xml", Format::Json),
            ("application/fhir+xml;q=0.5, */*;q=0.5", Format::Xml),
            ("application/fhir+xml;q=0, */*;q=0.1", Format::Json),
            ("*/*, application/fhir+json;q=0", Format::Xml),
        ] {
            assert_eq!(accepting(accepted).unwrap(), format, "{accepted}");
        }
        for refused in [
            "text/html",
            "application/json;q=0",
            "application/json;q=2",
            "application/json;q=x",
            "*/*;q=0",
            "application/fhir+json;fhirVersion=5.0",
        ] {
            let fault = accepting(refused).unwrap_err();
            assert_eq!(fault.kind, Kind::NotAcceptable, "{refused}");
        }
    }

    #[test]
    fn the_parameter_wins_over_accept() {
        let format = |query| asking(query).map(|shape| shape.format);
        assert_eq!(format("_format=json").unwrap(), Format::Json);
        assert_eq!(
            format("a=b&_format=application/fhir%2Bxml").unwrap(),
            Format::Xml
        );
        assert_eq!(format("_format=application/fhir+xml").unwrap(), Format::Xml);
        assert_eq!(format("_format=").unwrap(), Format::Json);
        assert_eq!(
            format("_format=turtle").unwrap_err().kind,
            Kind::NotAcceptable
        );
        let request = TestRequest::with_uri("/x?_format=xml")
            .insert_header((header::ACCEPT, "application/fhir+json"));
        let shape = Shape::of(&request.to_http_request(), None).unwrap();
        assert_eq!(shape.format, Format::Xml);
    }

    #[test]
    fn a_request_that_asks_for_nothing_gets_the_stored_bytes() {
        for query in [
            "",
            "_pretty=false&_summary=false",
            "_elements=,&_summary=",
            "other=1",
        ] {
            assert!(asking(query).unwrap().is_as_stored(), "{query}");
        }
        for query in [
            "_pretty=true",
            "_summary=text",
            "_elements=name",
            "_format=xml",
        ] {
            assert!(!asking(query).unwrap().is_as_stored(), "{query}");
        }
    }

    #[test]
    fn parts_of_a_resource_are_asked_for() {
        let view = |query| asking(query).unwrap().view;
        assert_eq!(view("_summary=true"), Some(View::Summary));
        assert_eq!(view("_summary=text"), Some(View::Text));
        assert_eq!(view("_summary=data&_elements="), Some(View::Data));
        let names = ["name", "deceased", "deceasedBoolean"].map(str::to_owned);
        assert_eq!(
            view("_elements=name,%20deceased&_elements=deceasedBoolean&_summary=false"),
            Some(View::Elements(names.to_vec()))
        );
    }

    #[test]
    fn values_that_mean_nothing_are_refused_and_those_that_do_are_named() {
        for (query, named) in [
            ("_pretty=yes", "`true` or `false`"),
            ("_summary=short", "`true`, `text`, `data`"),
            ("_summary=count", "no search here"),
            ("_elements=name,nmae", "birthDate"),
            ("_elements=name.family", "birthDate"),
            ("_elements=name&_summary=true", "give one of them"),
        ] {
            let fault = asking(query).unwrap_err();
            assert_eq!(fault.kind, Kind::WrongParameter, "{query}");
            let diagnostics = &fault.issues.first().unwrap().diagnostics;
            assert!(diagnostics.contains(named), "{query}: {diagnostics}");
        }
    }

    #[test]
    fn trouble_is_told_whole_and_in_the_format_that_was_asked_for() {
        let trouble = |query: &str| {
            let request = TestRequest::with_uri(&format!("/x?{query}"));
            Shape::of_trouble(&request.to_http_request())
        };
        let shape = trouble("_format=xml&_pretty=true&_summary=true");
        assert_eq!(
            (shape.format, shape.is_pretty, shape.view),
            (Format::Xml, true, None)
        );
        assert!(trouble("_format=turtle").is_as_stored());
    }
}
