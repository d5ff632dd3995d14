//! What clinical documents write their own way: object identifiers, telecommunication addresses, text in XML.

use fhir_spec::json::Value;

use crate::mapping::stamp::Stamp;

use super::{Answer, Env, Function, text_at};

const FAMILY: &str = "clinical documents";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "named_system",
        &["id", "name?"],
        named_system,
        "The same as oid_to_uri, but of a UUID that stands for an address, with the address as its name, the address.",
        &[
            (&["2.16.840.1.113883.6.1", "LOINC"], "http://loinc.org"),
            (
                &[
                    "67265ed2-35bb-43f8-b9de-91c5935625e0",
                    "http://a.example/codes",
                ],
                "http://a.example/codes",
            ),
            (&["1.2.3", "http://a.example/codes"], "urn:oid:1.2.3"),
            (
                &["67265ed2-35bb-43f8-b9de-91c5935625e0", "Ours"],
                "urn:uuid:67265ed2-35bb-43f8-b9de-91c5935625e0",
            ),
        ],
    ),
    Function::new(
        FAMILY,
        "oid_to_uri",
        &["oid"],
        oid_to_uri,
        "The address that FHIR uses for a code system or a kind of identifier, by its OID or UUID; those without one stay as urn:oid and urn:uuid.",
        &[
            (&["2.16.840.1.113883.6.1"], "http://loinc.org"),
            (&["2.16.840.1.113883.4.6"], "http://hl7.org/fhir/sid/us-npi"),
            (&["1.2.3"], "urn:oid:1.2.3"),
            (
                &["67265ED2-35BB-43F8-B9DE-91C5935625E0"],
                "urn:uuid:67265ed2-35bb-43f8-b9de-91c5935625e0",
            ),
            (&["http://example.org/x"], "http://example.org/x"),
            (&["what is this"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "urn",
        &["oid"],
        urn,
        "An OID or UUID as a URN.",
        &[
            (&["2.16.840.1.113883.6.1"], "urn:oid:2.16.840.1.113883.6.1"),
            (
                &["67265ED2-35BB-43F8-B9DE-91C5935625E0"],
                "urn:uuid:67265ed2-35bb-43f8-b9de-91c5935625e0",
            ),
            (&["local id"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "telecom_system",
        &["address"],
        telecom_system,
        "Which kind of contact a telecommunication address is.",
        &[
            (&["tel:+1(555)555-1003"], "phone"),
            (&["mailto:a@example.org"], "email"),
            (&["fax:555"], "fax"),
            (&["https://example.org"], "url"),
            (&["a@example.org"], "email"),
            (&["555-1003"], "phone"),
            (&["x:y"], "other"),
        ],
    ),
    Function::new(
        FAMILY,
        "telecom_value",
        &["address"],
        telecom_value,
        "A telecommunication address without its scheme; those of the web keep it.",
        &[
            (&["tel:+1(555)555-1003"], "+1(555)555-1003"),
            (&["mailto:a@example.org"], "a@example.org"),
            (&["https://example.org"], "https://example.org"),
            (&["555-1003"], "555-1003"),
            (&["tel:"], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "with_time",
        &["date"],
        with_time,
        "A date that says the time of day; nothing of one that does not.",
        &[
            (&["20240131"], ""),
            (&["202401311205+0100"], "202401311205+0100"),
            (&["2024-01-31T12:05:00Z"], "2024-01-31T12:05:00Z"),
        ],
    ),
    Function::new(
        FAMILY,
        "to_div",
        &["text"],
        to_div,
        "A text as the div of a narrative.",
        &[(
            &["a < b"],
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">a &lt; b</div>",
        )],
    ),
];

/// Code systems, then kinds of identifiers, by what the registry of HL7 and the terminology of FHIR call them.
const KNOWN: &[(&str, &str)] = &[
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    (
        "2.16.840.1.113883.6.88",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
    ),
    ("2.16.840.1.113883.6.69", "http://hl7.org/fhir/sid/ndc"),
    ("2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
    ("2.16.840.1.113883.12.292", "http://hl7.org/fhir/sid/cvx"),
    ("2.16.840.1.113883.6.59", "http://hl7.org/fhir/sid/cvx"),
    ("2.16.840.1.113883.12.227", "http://hl7.org/fhir/sid/mvx"),
    (
        "2.16.840.1.113883.6.103",
        "http://hl7.org/fhir/sid/icd-9-cm",
    ),
    (
        "2.16.840.1.113883.6.104",
        "http://hl7.org/fhir/sid/icd-9-cm",
    ),
    ("2.16.840.1.113883.6.2", "http://hl7.org/fhir/sid/icd-9-cm"),
    (
        "2.16.840.1.113883.6.90",
        "http://hl7.org/fhir/sid/icd-10-cm",
    ),
    ("2.16.840.1.113883.6.3", "http://hl7.org/fhir/sid/icd-10"),
    (
        "2.16.840.1.113883.6.4",
        "http://www.cms.gov/Medicare/Coding/ICD10",
    ),
    ("2.16.840.1.113883.6.12", "http://www.ama-assn.org/go/cpt"),
    (
        "2.16.840.1.113883.6.285",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    (
        "2.16.840.1.113883.6.14",
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    ("2.16.840.1.113883.6.13", "http://www.ada.org/cdt"),
    (
        "2.16.840.1.113883.6.101",
        "http://nucc.org/provider-taxonomy",
    ),
    ("2.16.840.1.113883.6.238", "urn:oid:2.16.840.1.113883.6.238"),
    ("2.16.840.1.113883.4.9", "http://fdasis.nlm.nih.gov"),
    (
        "2.16.840.1.113883.3.26.1.1",
        "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    ),
    ("2.16.840.1.113883.3.26.1.5", "http://hl7.org/fhir/ndfrt"),
    ("2.16.840.1.113883.6.209", "http://hl7.org/fhir/ndfrt"),
    (
        "2.16.840.1.113883.6.259",
        "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html",
    ),
    (
        "2.16.840.1.113883.6.86",
        "http://terminology.hl7.org/CodeSystem/umls",
    ),
    ("2.16.840.1.113883.6.24", "urn:iso:std:iso:11073:10101"),
    ("2.16.840.1.113883.6.121", "urn:ietf:bcp:47"),
    (
        "2.16.840.1.113883.6.301.3",
        "https://www.nubc.org/CodeSystem/RevenueCodes",
    ),
    (
        "2.16.840.1.113883.6.92",
        "https://www.census.gov/geo/reference/",
    ),
    (
        "2.16.840.1.113883.3.88.12.80.32",
        "http://www.cms.gov/Medicare/Coding/place-of-service-codes",
    ),
    (
        "2.16.840.1.113883.6.50",
        "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",
    ),
    ("2.16.840.1.113883.3.221.5", "https://nahdo.org/sopt"),
    (
        "2.16.840.1.113883.6.255.1336",
        "https://codesystem.x12.org/005010/1336",
    ),
    (
        "2.16.840.1.113883.5.1",
        "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
    ),
    (
        "2.16.840.1.113883.5.2",
        "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
    ),
    (
        "2.16.840.1.113883.5.4",
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    ),
    (
        "2.16.840.1.113883.5.6",
        "http://terminology.hl7.org/CodeSystem/v3-ActClass",
    ),
    (
        "2.16.840.1.113883.5.7",
        "http://terminology.hl7.org/CodeSystem/v3-ActPriority",
    ),
    (
        "2.16.840.1.113883.5.8",
        "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    ),
    (
        "2.16.840.1.113883.5.14",
        "http://terminology.hl7.org/CodeSystem/v3-ActStatus",
    ),
    (
        "2.16.840.1.113883.5.25",
        "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    ),
    (
        "2.16.840.1.113883.5.60",
        "http://terminology.hl7.org/CodeSystem/v3-LanguageAbilityMode",
    ),
    (
        "2.16.840.1.113883.5.61",
        "http://terminology.hl7.org/CodeSystem/v3-LanguageAbilityProficiency",
    ),
    (
        "2.16.840.1.113883.5.83",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    ),
    (
        "2.16.840.1.113883.5.84",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationMethod",
    ),
    (
        "2.16.840.1.113883.5.88",
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction",
    ),
    (
        "2.16.840.1.113883.5.90",
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    ),
    (
        "2.16.840.1.113883.5.110",
        "http://terminology.hl7.org/CodeSystem/v3-RoleClass",
    ),
    (
        "2.16.840.1.113883.5.111",
        "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
    ),
    (
        "2.16.840.1.113883.5.112",
        "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration",
    ),
    (
        "2.16.840.1.113883.5.129",
        "http://terminology.hl7.org/CodeSystem/v3-SpecimenType",
    ),
    (
        "2.16.840.1.113883.5.1008",
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    ),
    (
        "2.16.840.1.113883.5.1052",
        "http://terminology.hl7.org/CodeSystem/v3-ActSite",
    ),
    (
        "2.16.840.1.113883.5.1063",
        "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    ),
    (
        "2.16.840.1.113883.5.1070",
        "http://terminology.hl7.org/CodeSystem/v3-SubstanceAdminSubstitution",
    ),
    (
        "2.16.840.1.113883.5.1076",
        "http://terminology.hl7.org/CodeSystem/v3-ReligiousAffiliation",
    ),
    (
        "2.16.840.1.113883.5.1077",
        "http://terminology.hl7.org/CodeSystem/v3-EducationLevel",
    ),
    (
        "2.16.840.1.113883.5.1119",
        "http://terminology.hl7.org/CodeSystem/v3-AddressUse",
    ),
    (
        "2.16.840.1.113883.12.1",
        "http://terminology.hl7.org/CodeSystem/v2-0001",
    ),
    (
        "2.16.840.1.113883.12.112",
        "http://terminology.hl7.org/CodeSystem/v2-0112",
    ),
    (
        "2.16.840.1.113883.12.163",
        "http://terminology.hl7.org/CodeSystem/v2-0163",
    ),
    (
        "2.16.840.1.113883.18.108",
        "http://terminology.hl7.org/CodeSystem/v2-0203",
    ),
    (
        "2.16.840.1.113883.12.203",
        "http://terminology.hl7.org/CodeSystem/v2-0203",
    ),
    (
        "2.16.840.1.113883.18.2",
        "http://terminology.hl7.org/CodeSystem/v2-0001",
    ),
    (
        "2.16.840.1.113883.4.642.4.1",
        "http://hl7.org/fhir/administrative-gender",
    ),
    (
        "2.16.840.1.113883.4.642.1.1125",
        "http://terminology.hl7.org/CodeSystem/observation-category",
    ),
    ("2.16.840.1.113883.4.1", "http://hl7.org/fhir/sid/us-ssn"),
    ("2.16.840.1.113883.4.6", "http://hl7.org/fhir/sid/us-npi"),
    (
        "2.16.840.1.113883.4.572",
        "http://hl7.org/fhir/sid/us-medicare",
    ),
    ("2.16.840.1.113883.4.927", "http://hl7.org/fhir/sid/us-mbi"),
    (
        "1.2.840.10008.2.16.4",
        "http://dicom.nema.org/resources/ontology/DCM",
    ),
];

pub(crate) fn is_oid(text: &str) -> bool {
    text.contains('.')
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn as_urn(text: &str) -> Option<String> {
    if is_oid(text) {
        Some(format!("urn:oid:{text}"))
    } else if is_uuid(text) {
        Some(format!("urn:uuid:{}", text.to_ascii_lowercase()))
    } else {
        None
    }
}

fn bad(text: &str) -> String {
    format!("an OID or UUID instead of '{}'", super::shortened(text))
}

fn urn(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    as_urn(text).map(Value::from).ok_or_else(|| bad(text))
}

/// The OID of a code system or a kind of identifier, by the address that FHIR uses for it.
pub(crate) fn uri_to_oid(uri: &str) -> Option<&str> {
    let bare = uri.strip_prefix("urn:oid:").filter(|oid| is_oid(oid));
    let known = || KNOWN.iter().find(|(_, known)| *known == uri);
    bare.or_else(|| known().map(|(oid, _)| *oid))
}

fn oid_to_uri(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    if let Some((_, uri)) = KNOWN.iter().find(|(oid, _)| *oid == text) {
        return Ok((*uri).into());
    }
    let is_uri = ["http://", "https://", "urn:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    if is_uri && !text.contains(char::is_whitespace) {
        return Ok(text.into());
    }
    as_urn(text).map(Value::from).ok_or_else(|| bad(text))
}

fn named_system(arguments: &[Value], env: &Env<'_>) -> Answer {
    let (id, name) = (text_at(arguments, 0)?.trim(), text_at(arguments, 1)?.trim());
    let is_address = name.contains("://") && !name.contains(char::is_whitespace);
    match is_uuid(id) && is_address {
        true => Ok(name.into()),
        false => oid_to_uri(arguments, env),
    }
}

/// The scheme of an address and what stands behind it; a number with a colon in it has none.
fn scheme(address: &str) -> (Option<String>, &str) {
    match address.split_once(':') {
        Some((scheme, rest)) if scheme.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            (Some(scheme.to_ascii_lowercase()), rest)
        }
        _ => (None, address),
    }
}

fn telecom_system(arguments: &[Value], _: &Env<'_>) -> Answer {
    let address = text_at(arguments, 0)?.trim();
    let code = match scheme(address).0.as_deref() {
        Some("tel") => "phone",
        Some("mailto") => "email",
        Some("fax" | "x-text-fax") => "fax",
        Some("http" | "https" | "ftp" | "file") => "url",
        Some("sms") => "sms",
        Some(_) => "other",
        None if address.contains('@') => "email",
        None => "phone",
    };
    Ok(code.into())
}

fn telecom_value(arguments: &[Value], _: &Env<'_>) -> Answer {
    let address = text_at(arguments, 0)?.trim();
    let value = match scheme(address) {
        (Some(scheme), rest)
            if matches!(&*scheme, "tel" | "mailto" | "fax" | "x-text-fax" | "sms") =>
        {
            rest.trim()
        }
        _ => address,
    };
    if value.is_empty() {
        return Ok(super::nothing());
    }
    Ok(value.into())
}

fn with_time(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    let has_time = Stamp::parse(text).is_some_and(|stamp| stamp.hour.is_some());
    Ok(if has_time {
        text.into()
    } else {
        super::nothing()
    })
}

fn to_div(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = quick_xml::escape::escape(text_at(arguments, 0)?);
    Ok(format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>").into())
}
