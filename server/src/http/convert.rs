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
use crate::conversion::{self, Asked, Speaking};
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
    speaking: Speaking,
}

const ER7: &str = "x-application/hl7-v2+er7";
const NAMES: &str = "from, to, map, sender, loss, trace, zone, charset, delimiter, name, const, type, event, version, datatypes, control-id";

/// Converts the body.
pub(super) async fn convert(cx: &Cx, request: &HttpRequest, payload: &mut Payload) -> Answer {
    if request.method() != Method::POST {
        return Err(method_not_allowed("POST"));
    }
    let wanted = Wanted::of(cx, request.query_string())?;
    let cap = Cap::of_bundle(&cx.app.limits);
    let bytes = body::read_within(cx, request, payload, cap).await?;
    let app = cx.app.clone();
    let (content_type, bytes) = cx
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
        .body(bytes))
}

fn forwards(
    translator: &Translator,
    wanted: &Wanted,
    bytes: &Bytes,
) -> Result<(&'static str, Vec<u8>), Fault> {
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
        return Ok((FHIR_JSON, bundle.to_string().into_bytes()));
    }
    let mut answer = Object::from_iter([("bundle", bundle)]);
    if wanted.loss {
        answer.set("loss", loss);
    }
    if wanted.asked.trace {
        let lines: Vec<Value> = trace.lines().map(Value::from).collect();
        answer.set("trace", lines);
    }
    Ok((JSON, Value::from(answer).to_string().into_bytes()))
}

/// Messages of HL7 v2: one that lacks what it must have is no answer, unless the loss report goes with it.
fn spoken(
    translator: &Translator,
    wanted: &Wanted,
    document: Value,
) -> Result<(&'static str, Vec<u8>), Fault> {
    let wrong = |issues| Fault::of_issues(Kind::Unprocessable, issues);
    let speaking = Speaking {
        charset: wanted.asked.charset.clone(),
        ..wanted.speaking.clone()
    };
    let messages = conversion::to_messages(translator, document, &speaking, wanted.asked.now)
        .map_err(wrong)?;
    let issues = messages.iter().flat_map(|message| message.issues.clone());
    let issues: Vec<fhir_spec::Issue> = issues.collect();
    if wanted.loss {
        let texts: Vec<Value> = messages
            .iter()
            .map(|message| Value::from(message.text.as_str()))
            .collect();
        let answer = Object::from_iter([
            ("messages", Value::from(texts)),
            ("loss", operation_outcome(&issues)),
        ]);
        return Ok((JSON, Value::from(answer).to_string().into_bytes()));
    }
    if issues.iter().any(fhir_spec::Issue::is_error) {
        let errors = issues.into_iter().filter(fhir_spec::Issue::is_error);
        return Err(wrong(errors.collect()));
    }
    let bytes = messages.into_iter().flat_map(|message| message.bytes);
    Ok((ER7, bytes.collect()))
}

fn backwards(
    translator: &Translator,
    wanted: &Wanted,
    bytes: &Bytes,
    definitions: &fhir_spec::definitions::Definitions,
) -> Result<(&'static str, Vec<u8>), Fault> {
    let malformed = |issues| Fault::of_issues(Kind::Malformed, issues);
    let document = Notation::of(bytes)
        .read(bytes, definitions)
        .map_err(malformed)?;
    if wanted.to == Some(Format::Cda) {
        return clinical(&document, wanted);
    }
    if wanted.to == Some(Format::Hl7v2) {
        return spoken(translator, wanted, document);
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
        return Ok((CSV, text.into_bytes()));
    }
    let answer = Object::from_iter([
        ("csv", Value::from(text)),
        ("loss", operation_outcome(&issues)),
    ]);
    Ok((JSON, Value::from(answer).to_string().into_bytes()))
}

/// A bundle as a clinical document.
fn clinical(bundle: &Value, wanted: &Wanted) -> Result<(&'static str, Vec<u8>), Fault> {
    let (text, issues) = conversion::to_document(bundle, wanted.asked.now)
        .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    if !wanted.loss {
        return Ok((CDA, text.into_bytes()));
    }
    let answer = Object::from_iter([
        ("cda", Value::from(text)),
        ("loss", operation_outcome(&issues)),
    ]);
    Ok((JSON, Value::from(answer).to_string().into_bytes()))
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
            speaking: Speaking::default(),
        };
        for (name, value) in decoded(query)? {
            wanted.take(&name, value)?;
        }
        match (wanted.is_from_fhir, wanted.to) {
            (true, None) => Err(wrong_parameter(
                "to",
                "csv, cda or hl7v2, as `from` is fhir",
            )),
            (false, Some(_)) => Err(wrong_parameter(
                "to",
                "fhir; from fhir it may be csv, cda or hl7v2",
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
            "type" => self.speaking.message_type = Some(value),
            "event" => self.speaking.event = Some(value),
            "control-id" => self.speaking.control_id = Some(value),
            "version" | "datatypes" => {
                let version = conversion::version(&value);
                let version = Some(version.map_err(|expected| wrong_parameter(name, expected))?);
                match name {
                    "version" => self.speaking.version = version,
                    _ => self.speaking.datatypes = version,
                }
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
