//! Code systems: what HL7 v2 calls them in table 0396 and what FHIR calls them.

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;

use super::codes::system_of;
use super::{Answer, Env, Function, nothing, text_at};

const FAMILY: &str = "systems";

/// The name that is written comes first among those of one system.
const SYSTEMS: &[(&str, &str)] = &[
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("SCT", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("SCT2", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
    (
        "2.16.840.1.113883.6.90",
        "http://hl7.org/fhir/sid/icd-10-cm",
    ),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD-10", "http://hl7.org/fhir/sid/icd-10"),
    ("I10P", "http://www.cms.gov/Medicare/Coding/ICD10"),
    ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CDX", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9CP", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("I9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("ICD9", "http://hl7.org/fhir/sid/icd-9-cm"),
    ("C4", "http://www.ama-assn.org/go/cpt"),
    ("CPT", "http://www.ama-assn.org/go/cpt"),
    ("CPT4", "http://www.ama-assn.org/go/cpt"),
    ("CPT-4", "http://www.ama-assn.org/go/cpt"),
    (
        "HCPCS",
        "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes",
    ),
    ("CVX", "http://hl7.org/fhir/sid/cvx"),
    ("MVX", "http://hl7.org/fhir/sid/mvx"),
    ("NDC", "http://hl7.org/fhir/sid/ndc"),
    ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("RXN", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("ATC", "http://www.whocc.no/atc"),
    ("NDFRT", "http://hl7.org/fhir/ndfrt"),
    ("UNII", "http://fdasis.nlm.nih.gov"),
    ("FDAUNII", "http://fdasis.nlm.nih.gov"),
    ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ("PHINVS", "urn:oid:2.16.840.1.114222.4.5.232"),
    ("CDCPHINVS", "urn:oid:2.16.840.1.114222.4.5.232"),
    ("NCIT", "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"),
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("MDC", "urn:iso:std:iso:11073:10101"),
    ("RADLEX", "http://www.radlex.org"),
    ("NUCC", "http://nucc.org/provider-taxonomy"),
    (
        "NULLFL",
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    ),
    ("ISO3166_1", "urn:iso:std:iso:3166"),
    ("ISO4217", "urn:iso:std:iso:4217"),
    ("ISO639", "urn:ietf:bcp:47"),
];

/// Of the tables of HL7 v2, before their number.
const TABLES: &str = "2.16.840.1.113883.12.";
const TABLE: &str = "http://terminology.hl7.org/CodeSystem/v2-";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "code_system",
        &["name", "id?", "code?"],
        code_system,
        "FHIR's name of a code system that HL7 v2 names (table 0396), by its OID where there is one; a name of its own for what is not known, and for codes that a table of HL7 does not have.",
        &[
            (&["LN"], "http://loinc.org"),
            (&["sct"], "http://snomed.info/sct"),
            (&["HL70078"], "http://terminology.hl7.org/CodeSystem/v2-0078"),
            (&["99LAB"], "urn:id:99LAB"),
            (&["99LAB", "1.2.3.4"], "urn:oid:1.2.3.4"),
            (&["", "2.16.840.1.113883.6.1"], "http://loinc.org"),
            (&["2.16.840.1.113883.6.96"], "http://snomed.info/sct"),
            (&["urn:oid:1.2"], "urn:oid:1.2"),
            (&["", "2.16.840.1.113883.12.78"], "http://terminology.hl7.org/CodeSystem/v2-0078"),
            (&["HL70078", "", "H"], "http://terminology.hl7.org/CodeSystem/v2-0078"),
            (&["HL70078", "", "H9"], "urn:id:HL70078"),
            (&["", ""], ""),
        ],
    )
    .taking_nothing()
    .undone_by("code_system_name"),
    Function::new(
        FAMILY,
        "code_system_name",
        &["system"],
        code_system_name,
        "What HL7 v2 calls a code system of FHIR.",
        &[
            (&["http://loinc.org"], "LN"),
            (&["http://terminology.hl7.org/CodeSystem/v2-0078"], "HL70078"),
            (&["http://terminology.hl7.org/ValueSet/v2-0136"], "HL70136"),
            (&["http://hl7.org/fhir/v2/0189"], "HL70189"),
            (&["urn:oid:2.16.840.1.113883.12.78"], "HL70078"),
            (&["urn:id:99LAB"], "99LAB"),
            (&["urn:oid:1.2.3.4"], "1.2.3.4"),
            (&["http://a.example/codes"], "http://a.example/codes"),
        ],
    )
    .undone_by("code_system"),
    Function::new(
        FAMILY,
        "namespace",
        &["system"],
        |arguments, _| Ok(assigner(text_at(arguments, 0)?).0.into()),
        "The name of who assigns, out of the system of an identifier: what `system_uri` made one of.",
        &[(&["urn:id:St.%20Mary%27s"], "St. Mary's"), (&["urn:oid:1.2.3"], ""), (&["http://a.example"], ""), (&["MAIN"], "MAIN")],
    ),
    Function::new(
        FAMILY,
        "universal_id",
        &["system"],
        |arguments, _| Ok(assigner(text_at(arguments, 0)?).1.into()),
        "The OID, UUID or address of who assigns, out of the system of an identifier.",
        &[
            (&["urn:oid:1.2.3"], "1.2.3"), (&["urn:id:MAIN"], ""), (&["http://a.example"], "http://a.example"),
            (&["http://hl7.org/fhir/sid/us-npi"], "2.16.840.1.113883.4.6"),
        ],
    ),
    Function::new(
        FAMILY,
        "universal_id_type",
        &["system"],
        |arguments, _| Ok(assigner(text_at(arguments, 0)?).2.into()),
        "Of what kind that is, by table 0301.",
        &[(&["urn:oid:1.2.3"], "ISO"), (&["urn:uuid:9f0c5a9e"], "UUID"), (&["http://a.example"], "URI"), (&["urn:id:MAIN"], "")],
    ),
];

/// Systems that FHIR has a name for, by their OIDs.
const KNOWN_ASSIGNERS: &[(&str, &str)] = &[
    ("http://hl7.org/fhir/sid/us-ssn", "2.16.840.1.113883.4.1"),
    ("http://hl7.org/fhir/sid/us-npi", "2.16.840.1.113883.4.6"),
];

/// Name, id and the id's type of who assigns.
fn assigner(system: &str) -> (String, &str, &'static str) {
    let known = KNOWN_ASSIGNERS.iter().find(|(known, _)| *known == system);
    if let Some((_, id)) = known {
        return (String::new(), id, "ISO");
    }
    if let Some(name) = system.strip_prefix("urn:id:") {
        return (decoded(name), "", "");
    }
    let id = |id, kind| (String::new(), id, kind);
    match (
        system.strip_prefix("urn:oid:"),
        system.strip_prefix("urn:uuid:"),
    ) {
        (Some(oid), _) => id(oid, "ISO"),
        (_, Some(uuid)) => id(uuid, "UUID"),
        // Many write a name where FHIR wants an address.
        _ if !system.contains(':') => (system.to_owned(), "", ""),
        _ => id(system, "URI"),
    }
}

/// A name without its `%20`; as it is where it is not escaped as it should be.
fn decoded(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let value = digit(rest.next()).zip(digit(rest.next()));
        match value.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(value) => bytes.push(value),
            None => return name.to_owned(),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

fn code_system(arguments: &[Value], _: &Env<'_>) -> Answer {
    let (name, id) = (text_at(arguments, 0)?.trim(), text_at(arguments, 1)?.trim());
    let known = |text: &str| {
        let bare = text.strip_prefix("urn:oid:").unwrap_or(text);
        let found = SYSTEMS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(bare));
        found.map(|(_, system)| Value::from(*system))
    };
    let code = text_at(arguments, 2)?.trim();
    // A system that is held as a whole has no other codes.
    let has_code = |system: &str| {
        let known = Definitions::r4().code_system(system);
        code.is_empty()
            || known.is_none_or(|known| !known.is_complete() || known.concept(code).is_some())
    };
    if let Some(system) = known(name).or_else(|| known(id))
        && system.as_str().is_some_and(has_code)
    {
        return Ok(system);
    }
    let table = name
        .get(..3)
        .filter(|start| start.eq_ignore_ascii_case("HL7"));
    let number = table.and_then(|_| name.get(3..)).map(str::to_owned);
    let number = number.filter(|number| is_table(number));
    let by_id = || table_of(id).or_else(|| table_of(name));
    if let Some(number) = number.or_else(by_id) {
        let system = format!("{TABLE}{number}");
        return Ok(if has_code(&system) {
            system.into()
        } else {
            format!("urn:id:HL7{number}").into()
        });
    }
    let system = system_of(name, id, "ISO");
    Ok(system.map_or_else(nothing, Value::from))
}

fn is_table(number: &str) -> bool {
    number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number of the table of HL7 v2 that a system means: by its OID, by its address of today or of before R4, or by that of
/// the value set, which many write for it.
fn table_of(system: &str) -> Option<String> {
    let bare = system.strip_prefix("urn:oid:").unwrap_or(system);
    if let Some(number) = bare.strip_prefix(TABLES) {
        let number: u16 = number.parse().ok()?;
        return Some(format!("{number:04}"));
    }
    let address = system
        .strip_prefix("http")?
        .trim_start_matches(['s', ':', '/']);
    let path = address
        .strip_prefix("terminology.hl7.org/CodeSystem/v2-")
        .or_else(|| address.strip_prefix("terminology.hl7.org/ValueSet/v2-"))
        .or_else(|| {
            let address = address.trim_start_matches("www.");
            address.strip_prefix("hl7.org/fhir/v2/")
        })?;
    let number = path.trim_end_matches('/');
    is_table(number).then(|| number.to_owned())
}

fn code_system_name(arguments: &[Value], _: &Env<'_>) -> Answer {
    let system = text_at(arguments, 0)?.trim();
    if let Some((name, _)) = SYSTEMS.iter().find(|(_, known)| *known == system) {
        return Ok((*name).into());
    }
    if let Some(number) = table_of(system) {
        return Ok(format!("HL7{number}").into());
    }
    let bare = system
        .strip_prefix("urn:id:")
        .or_else(|| system.strip_prefix("urn:oid:"));
    Ok(bare.unwrap_or(system).into())
}
