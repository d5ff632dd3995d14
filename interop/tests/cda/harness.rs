//! Documents of fragments, converted and validated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fhir_spec::Severity;
use fhir_spec::json::Value;
use fhir_spec::validate::{Request, Validator};
use interop::formats::cda::{Converter, Unreadable};
use interop::mapping::{Occasion, Zone, bundle};

pub(crate) struct Output {
    pub(crate) bundle: Value,
    pub(crate) issues: Vec<fhir_spec::Issue>,
}

impl Output {
    pub(crate) fn resources(&self) -> Vec<&Value> {
        let entries = self.bundle.items_of("entry").iter();
        entries.filter_map(|entry| entry.get("resource")).collect()
    }

    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        let all = self.resources().into_iter();
        all.filter(|resource| resource.str_of("resourceType") == Some(kind))
            .collect()
    }

    pub(crate) fn tells(&self, text: &str) -> bool {
        self.issues
            .iter()
            .any(|issue| issue.diagnostics.contains(text))
    }
}

pub(crate) fn converter() -> &'static Converter {
    static CONVERTER: LazyLock<Converter> =
        LazyLock::new(
            || match Converter::shipped(Zone::parse("America/New_York").unwrap()) {
                Ok(converter) => converter,
                Err(error) => panic!(
                    "{:?}",
                    std::error::Error::source(&error).map(ToString::to_string)
                ),
            },
        );
    &CONVERTER
}

pub(crate) fn convert(bytes: &[u8]) -> Result<Output, Unreadable> {
    let occasion = Occasion {
        now: "2026-01-01T00:00:00Z",
        seed: "test",
        trace: false,
    };
    let converted = converter().convert(bytes, occasion)?;
    Ok(Output {
        bundle: bundle([converted.mapped]),
        issues: converted.issues,
    })
}

/// Errors of the validator, a line each.
pub(crate) fn errors(bundle: &Value) -> Vec<String> {
    let issues = Validator::r4().validate(bundle, &Request::default());
    let errors = issues
        .into_iter()
        .filter(|issue| matches!(issue.severity, Severity::Error | Severity::Fatal));
    errors
        .map(|issue| {
            format!(
                "{}: {}",
                issue.expression.unwrap_or_default(),
                issue.diagnostics
            )
        })
        .collect()
}

/// A document around a section, an entry, a statement or a part of the header.
pub(crate) fn document(fragment: &str) -> String {
    let fragment = fragment.trim_start_matches('\u{feff}');
    let body = match fragment.split_once("?>") {
        Some((declaration, rest)) if declaration.starts_with("<?xml ") => rest.trim(),
        _ => fragment.trim(),
    };
    let mut root = body;
    while root.starts_with("<!--") || root.starts_with("<?") {
        let end = if root.starts_with("<?") { "?>" } else { "-->" };
        root = root.split_once(end).unwrap().1.trim_start();
    }
    let name: String = root
        .trim_start_matches('<')
        .chars()
        .take_while(|letter| letter.is_alphanumeric())
        .collect();
    let section = |inner: &str| {
        format!(
            "<component><structuredBody><component><section><title>Section</title><text>Text</text>{inner}</section></component></structuredBody></component>"
        )
    };
    let (before, after) = match &*name {
        "ClinicalDocument" => return body.to_owned(),
        "recordTarget" => (body.to_owned(), section("")),
        "documentationOf" | "componentOf" | "participant" | "author" | "relatedDocument"
        | "custodian" | "legalAuthenticator" | "authenticator" | "informant"
        | "inFulfillmentOf" => (PATIENT.to_owned() + body, section("")),
        "component" if body.contains("structuredBody") => (PATIENT.to_owned(), body.to_owned()),
        "component" => (
            PATIENT.to_owned(),
            format!("<component><structuredBody>{body}</structuredBody></component>"),
        ),
        "section" => (
            PATIENT.to_owned(),
            format!(
                "<component><structuredBody><component>{body}</component></structuredBody></component>"
            ),
        ),
        "entry" => (PATIENT.to_owned(), section(body)),
        _ => (
            PATIENT.to_owned(),
            section(&format!("<entry>{body}</entry>")),
        ),
    };
    format!(
        "<ClinicalDocument xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:sdtc=\"urn:hl7-org:sdtc\">\
         <id root=\"1.2.3.4\" extension=\"doc\"/><code code=\"34133-9\" codeSystem=\"2.16.840.1.113883.6.1\" displayName=\"Summary\"/>\
         <title>Summary</title><effectiveTime value=\"20240102030405+0000\"/><confidentialityCode code=\"N\"/>{before}{after}</ClinicalDocument>"
    )
}

const PATIENT: &str = "<recordTarget><patientRole><id root=\"1.2.3\" extension=\"p1\"/><patient><name><given>Ann</given><family>Example</family></name></patient></patientRole></recordTarget>";

/// Files under a folder of the material; none, with a line that says so, where it is not there.
pub(crate) fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let root = shared.join("testdata").join(folder);
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
