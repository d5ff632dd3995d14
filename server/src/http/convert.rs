//! `/api/convert` and `/api/maps`: files of others as FHIR and back, without the store.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use fhir_spec::format::Format as Notation;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;
use interop::formats::Format;
use interop::mapping::Zone;

use super::body::{self, Cap};
use super::reply::NO_SNIFF;
use super::routes::{Answer, method_not_allowed};
use crate::conversion::{self, Asked};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters::decoded;
use crate::maps::Translator;

const FHIR_JSON: &str = "application/fhir+json";
const JSON: &str = "application/json";
const CDA: &str = "application/cda+xml; charset=utf-8";
const CSV: &str = "text/csv; charset=utf-8";

/// What the address asks for.
struct Wanted {
    asked: Asked,
    is_from_fhir: bool,
    /// None: FHIR.
    to: Option<Format>,
    loss: bool,
    zone: Zone,
    constants: Vec<(String, String)>,
    sender: Option<String>,
}

const NAMES: &str = "from, to, map, sender, loss, trace, zone, charset, delimiter, name, const";

/// Converts the body.
pub(super) async fn convert(cx: &Cx, request: &HttpRequest, payload: &mut Payload) -> Answer {
    if request.method() != Method::POST {
        return Err(method_not_allowed("POST"));
    }
    let wanted = Wanted::of(cx, request.query_string())?;
    let cap = Cap::of_bundle(&cx.app.limits);
    let bytes = body::read_within(cx, request, payload, cap).await?;
    let app = cx.app.clone();
    let (content_type, text) = cx
        .compute(bytes.len().saturating_mul(2), move || {
            let translator =
                app.shelf
                    .translator(&wanted.zone, &wanted.constants, wanted.sender.as_deref())?;
            match wanted.is_from_fhir {
                true => backwards(&translator, &wanted, &bytes, app.definitions()),
                false => forwards(&translator, &wanted, &bytes),
            }
        })
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .body(text))
}

fn forwards(
    translator: &Translator,
    wanted: &Wanted,
    bytes: &Bytes,
) -> Result<(&'static str, String), Fault> {
    let wrong = |issues| Fault::of_issues(Kind::Unprocessable, issues);
    let converted = conversion::convert(translator, bytes, &wanted.asked).map_err(wrong)?;
    // Who does not read the loss report must not take a part for the whole.
    if !wanted.loss && converted.has_errors() {
        let errors = converted
            .issues
            .into_iter()
            .filter(fhir_spec::Issue::is_error);
        return Err(wrong(errors.collect()));
    }
    let (loss, trace) = (
        operation_outcome(&converted.issues),
        converted.trace.clone(),
    );
    let bundle = converted.bundle();
    if !wanted.loss && !wanted.asked.trace {
        return Ok((FHIR_JSON, bundle.to_string()));
    }
    let mut answer = Object::from_iter([("bundle", bundle)]);
    if wanted.loss {
        answer.set("loss", loss);
    }
    if wanted.asked.trace {
        let lines: Vec<Value> = trace.lines().map(Value::from).collect();
        answer.set("trace", lines);
    }
    Ok((JSON, Value::from(answer).to_string()))
}

fn backwards(
    translator: &Translator,
    wanted: &Wanted,
    bytes: &Bytes,
    definitions: &fhir_spec::definitions::Definitions,
) -> Result<(&'static str, String), Fault> {
    let malformed = |issues| Fault::of_issues(Kind::Malformed, issues);
    let document = Notation::of(bytes)
        .read(bytes, definitions)
        .map_err(malformed)?;
    if wanted.to == Some(Format::Cda) {
        return clinical(&document, wanted);
    }
    let map = wanted
        .asked
        .map
        .as_deref()
        .ok_or_else(|| wrong_parameter("map", "the name of a map: `to=csv` needs one"))?;
    let resources = conversion::resources(document);
    let delimiter = wanted.asked.delimiter.unwrap_or(',');
    let (text, issues) =
        conversion::to_rows(translator, map, &resources, delimiter, wanted.asked.now)
            .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    if !wanted.loss {
        return Ok((CSV, text));
    }
    let answer = Object::from_iter([
        ("csv", Value::from(text)),
        ("loss", operation_outcome(&issues)),
    ]);
    Ok((JSON, Value::from(answer).to_string()))
}

/// A bundle as a clinical document.
fn clinical(bundle: &Value, wanted: &Wanted) -> Result<(&'static str, String), Fault> {
    let (text, issues) = conversion::to_document(bundle, wanted.asked.now)
        .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    if !wanted.loss {
        return Ok((CDA, text));
    }
    let answer = Object::from_iter([
        ("cda", Value::from(text)),
        ("loss", operation_outcome(&issues)),
    ]);
    Ok((JSON, Value::from(answer).to_string()))
}

fn wrong_parameter(name: &str, expected: &str) -> Fault {
    let told = format!("`{name}`: expected {expected}");
    Fault::new(Kind::WrongParameter, told)
}

impl Wanted {
    fn of(cx: &Cx, query: &str) -> Result<Self, Fault> {
        let mut wanted = Self {
            asked: Asked {
                format: None,
                map: None,
                charset: None,
                delimiter: None,
                name: "body".to_owned(),
                now: cx.now,
                trace: false,
            },
            is_from_fhir: false,
            to: None,
            loss: false,
            zone: Zone::utc(),
            constants: Vec::new(),
            sender: None,
        };
        for (name, value) in decoded(query)? {
            wanted.take(&name, value)?;
        }
        match (wanted.is_from_fhir, wanted.to) {
            (true, None) => Err(wrong_parameter("to", "csv or cda, as `from` is fhir")),
            (false, Some(_)) => Err(wrong_parameter(
                "to",
                "fhir; from fhir it may be csv or cda",
            )),
            (true, Some(Format::Hl7v2)) => Err(Fault::new(
                Kind::NotImplemented,
                "resources are not written as HL7 v2 yet",
            )),
            _ => Ok(wanted),
        }
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), Fault> {
        let asked = &mut self.asked;
        match name {
            "from" if value == "fhir" => self.is_from_fhir = true,
            "from" => {
                let format = Format::named(&value);
                let known = || wrong_parameter(name, "hl7v2, ccda, csv or fhir");
                asked.format = Some(format.ok_or_else(known)?);
            }
            "to" if value == "fhir" => self.to = None,
            "to" => {
                let format = Format::named(&value);
                self.to = Some(format.ok_or_else(|| wrong_parameter(name, "fhir, csv or cda"))?);
            }
            "map" => asked.map = Some(value),
            "name" => asked.name = value,
            "sender" => self.sender = Some(value),
            "loss" => self.loss = flag(name, &value)?,
            "trace" => asked.trace = flag(name, &value)?,
            "charset" => asked.charset = Some(value),
            "zone" => {
                self.zone = Zone::parse(&value)
                    .map_err(|bad| Fault::new(Kind::WrongParameter, format!("`zone`: {bad}")))?;
            }
            "delimiter" => {
                let letter = conversion::delimiter(&value);
                asked.delimiter = Some(letter.map_err(|expected| wrong_parameter(name, expected))?);
            }
            "const" => {
                let constant = value.split_once('=');
                let (key, value) = constant.ok_or_else(|| wrong_parameter(name, "name=value"))?;
                self.constants.push((key.to_owned(), value.to_owned()));
            }
            _ => {
                let shown: String = name.chars().take(40).collect();
                let told = format!("`{shown}` is no parameter here; these are: {NAMES}");
                return Err(Fault::new(Kind::WrongParameter, told));
            }
        }
        Ok(())
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Fault> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong_parameter(name, "true or false")),
    }
}

/// The maps that there are.
pub(super) fn maps(cx: &Cx, request: &HttpRequest) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(method_not_allowed("GET, HEAD"));
    }
    let maps = cx.app.shelf.maps()?;
    let listed = maps.list().into_iter().map(|map| {
        let words: Vec<Value> = map
            .serves
            .iter()
            .map(|word| Value::from(word.as_str()))
            .collect();
        let what = match map.format {
            format if format == Format::Csv.name() => "columns",
            _ => "serves",
        };
        let constants = map.constants.iter().map(|(name, value)| {
            let mut constant = Object::from_iter([("name", Value::from(name.as_str()))]);
            if let Some(value) = value {
                constant.set("value", value.as_str());
            }
            Value::from(constant)
        });
        Value::from(Object::from_iter([
            ("name", Value::from(map.name.as_str())),
            ("format", Value::from(map.format)),
            (what, Value::from(words)),
            ("constants", Value::from(constants.collect::<Vec<_>>())),
        ]))
    });
    let answer = Object::from_iter([("maps", Value::from(listed.collect::<Vec<_>>()))]);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON))
        .insert_header((X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .body(Value::from(answer).to_string()))
}
