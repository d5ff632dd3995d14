//! Messages made of resources.

use fhir_spec::json::parse;
use interop::formats::hl7v2::emit::{Destination, Header, Speaker, Spoken};
use interop::formats::hl7v2::{Dictionary, Path, Text, Version};
use interop::mapping::{HL7V2, Library, Pack, Zone};

const NOW: &str = "2024-03-05T06:07:08.123Z";

fn speaker() -> Speaker {
    Speaker::shipped(Zone::utc(), &[]).unwrap_or_else(|bad| panic!("{bad}"))
}

fn header() -> Header<'static> {
    Header {
        control_id: "MSG1",
        now: NOW,
        sequence: None,
    }
}

#[test]
fn every_definition_compiles() {
    if let Err(bad) = speaker().check() {
        panic!("{bad}");
    }
}

/// A report of one patient, with everything that it refers to.
const REPORT: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
 {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"p","identifier":[
   {"system":"urn:oid:1.2.3","value":"4711","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}},
   {"system":"urn:kiln:hl7v2:visit","value":"own"}],
   "name":[{"use":"official","family":"M|ller","given":["Jörg","A&B"]}],"gender":"male","birthDate":"1974-03-15",
   "telecom":[{"system":"phone","use":"home","value":"+49 1"},{"system":"email","value":"j@example.org"},{"system":"phone","use":"work","value":"+49 2"}],
   "address":[{"line":["Weg 1"],"city":"Ulm","postalCode":"89073","country":"DE"}]}},
 {"fullUrl":"urn:uuid:2","resource":{"resourceType":"Practitioner","id":"d","identifier":[{"system":"urn:id:DOCS","value":"77"}],"name":[{"family":"House","given":["Greg"]}]}},
 {"fullUrl":"urn:uuid:3","resource":{"resourceType":"ServiceRequest","id":"s","identifier":[
   {"system":"urn:id:WARD","value":"P1","type":{"coding":[{"code":"PLAC"}]}},{"system":"urn:id:LAB","value":"F1","type":{"coding":[{"code":"FILL"}]}}],
   "status":"active","intent":"order","code":{"coding":[{"system":"http://loinc.org","code":"57021-8","display":"CBC"}]},
   "subject":{"reference":"urn:uuid:1"},"requester":{"reference":"urn:uuid:2"}}},
 {"fullUrl":"urn:uuid:4","resource":{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin"}]},
   "subject":{"reference":"urn:uuid:1"},"effectiveDateTime":"2024-03-05T07:00:00+01:00",
   "valueQuantity":{"value":13.20,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"},"referenceRange":[{"text":"12-16"}],
   "interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N"}]}],
   "note":[{"text":"first\nsecond"}]}},
 {"fullUrl":"urn:uuid:5","resource":{"resourceType":"Observation","id":"o2","status":"corrected","code":{"text":"Blood pressure"},
   "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":5,"comparator":"<","unit":"mmHg"}},
    {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"1","display":"a^b"}]}}]}},
 {"fullUrl":"urn:uuid:6","resource":{"resourceType":"DiagnosticReport","id":"r","status":"final","basedOn":[{"reference":"urn:uuid:3"}],
   "identifier":[{"value":"R1","system":"urn:oid:1.9","type":{"coding":[{"code":"FILL"}]}}],
   "code":{"coding":[{"system":"http://loinc.org","code":"57021-8","display":"CBC"}]},"subject":{"reference":"urn:uuid:1"},
   "issued":"2024-03-05T08:00:00Z","result":[{"reference":"Observation/o1"},{"reference":"Observation/o2"}],
   "presentedForm":[{"contentType":"application/pdf","data":"JVBERg==","title":"CBC"}]}}]}"#;

fn spoken(version: Version) -> Spoken {
    let library = Library::of(parse(REPORT.as_bytes()).unwrap());
    let speaker = speaker();
    let kind = speaker.usual_kind(&library).unwrap();
    let starts = speaker.starts(&kind, &library).unwrap();
    assert_eq!((kind.as_str(), starts.len()), ("ORU^R01", 1));
    let to = Destination {
        version,
        receiving_application: "LIS^1.2.3^ISO".to_owned(),
        ..Destination::default()
    };
    speaker
        .speak(&kind, &library, &starts[0], header(), &to)
        .unwrap()
}

#[test]
fn a_report_becomes_a_message_that_reads_as_meant() {
    let spoken = spoken(Version::V2_5_1);
    let expected = "\
MSH|^~\\&|KILN||LIS^1.2.3^ISO||20240305060708+0000||ORU^R01^ORU_R01|MSG1|P|2.5.1||||||UNICODE UTF-8
PID|1||4711^^^&1.2.3&ISO^MR||M\\F\\ller^Jörg^A\\T\\B^^^^L||19740315|M|||Weg 1^^Ulm^^89073^DE||+49 1^PRN^PH^^^^^^^^^+49 1~^NET^Internet^j@example.org|+49 2^WPN^PH^^^^^^^^^+49 2
ORC|RE|P1^WARD|F1^LAB||A|||||||77^House^Greg^^^^^^DOCS
OBR|1|P1^WARD|R1^^1.9^ISO|57021-8^CBC^LN||||||||||||77^House^Greg^^^^^^DOCS||||||20240305080000+0000|||F
OBX|1|NM|718-7^Hemoglobin^LN||13.20|g/dL^^UCUM|12-16|N|||F|||20240305070000+0100
NTE|1||first
NTE|2||second
OBX|2|SN|8480-6^^LN||<^5|mmHg|||||C
OBX|3|CWE|8462-4^^LN||1^a\\S\\b^SCT||||||C
OBX|4|ED|PDF^CBC||^application^pdf^Base64^JVBERg==||||||F
";
    assert_eq!(spoken.text.replace('\r', "\n"), expected);
    assert_eq!(spoken.bytes, spoken.text.as_bytes());
    let read = Text::decoded(&spoken.text);
    let message = read.message().unwrap();
    assert_eq!(message.forgiven().len(), 0);
    let path = |text: &str| text.parse::<Path>().unwrap();
    assert_eq!(message.value(&path("PID-5.1")).unwrap(), "M|ller");
    assert_eq!(message.value(&path("OBX[3]-5.2")).unwrap(), "a^b");
    let told: Vec<&str> = spoken.told.iter().map(String::as_str).collect();
    for resource in ["Patient/p", "Practitioner/d", "Observation/o2"] {
        assert!(told.contains(&resource), "{told:?}");
    }
}

#[test]
fn every_version_gets_what_it_has() {
    for version in Version::ALL
        .iter()
        .filter(|version| **version >= Version::V2_3)
    {
        let spoken = spoken(*version);
        let read = Text::decoded(&spoken.text);
        let message = read.message().unwrap();
        let dictionary = Dictionary::shipped().unwrap();
        let groups = interop::formats::hl7v2::grammar::group(&message, dictionary);
        assert_eq!(
            groups.forgiven().len(),
            0,
            "{}\n{}",
            version.name(),
            spoken.text
        );
        for segment in message.segments() {
            let count = dictionary.field_count(*version, segment.name());
            assert!(
                segment.fields().count() <= count,
                "{}: {}",
                version.name(),
                segment.name()
            );
        }
        let value = |path: &str| message.value(&path.parse().unwrap()).unwrap_or_default();
        assert_eq!(value("MSH-12"), version.name());
        assert_eq!(value("OBX-5"), "13.20");
        let phone = if *version < Version::V2_6 {
            "PID-13.1"
        } else {
            "PID-13.12"
        };
        assert_eq!(value(phone), "+49 1", "{}", version.name());
        let coded = if *version < Version::V2_6 {
            "CE"
        } else {
            "CWE"
        };
        let kinds: Vec<_> = message
            .segments_named("OBX")
            .map(|obx| obx.field(2).unwrap().raw().to_owned())
            .collect();
        assert!(
            kinds.iter().any(|kind| kind == coded || kind == "CWE"),
            "{}: {kinds:?}",
            version.name()
        );
    }
}

#[test]
fn what_is_required_and_missing_is_named_with_the_element() {
    let report = r#"{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}"#;
    let patient = r#"{"resourceType":"Patient","id":"p"}"#;
    let mut library = Library::of(parse(report.as_bytes()).unwrap());
    library.add("", parse(patient.as_bytes()).unwrap());
    let speaker = speaker();
    let starts = speaker.starts("ORU^R01", &library).unwrap();
    let spoken = speaker
        .speak(
            "ORU^R01",
            &library,
            &starts[0],
            header(),
            &Destination::default(),
        )
        .unwrap();
    let errors: Vec<&str> = spoken
        .issues
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| &*issue.diagnostics)
        .collect();
    assert!(
        errors
            .iter()
            .any(|told| told.starts_with("PID-3 ") && told.contains("Patient.identifier")),
        "{errors:?}"
    );
    assert!(
        errors
            .iter()
            .any(|told| told.starts_with("PID-5 ") && told.contains("Patient.name")),
        "{errors:?}"
    );
    assert!(speaker.starts("ORU^R01", &Library::new()).is_err());
    assert!(speaker.start_of("ZZZ^Z99").is_err());
}

/// The maps of messages that come in, and definitions given as text.
fn with(text: &str) -> Result<Speaker, String> {
    let files = HL7V2.iter().copied().chain([("m", text)]);
    let pack = Pack::read(files).map_err(|bad| bad.to_string())?;
    let speaker = Speaker::new(pack, Zone::utc(), &[]).map_err(|no| no.to_string())?;
    speaker.check().map_err(|bad| bad.to_string())?;
    Ok(speaker)
}

#[test]
fn the_example_of_the_page_compiles() {
    let page = include_str!("../../maps/README.md");
    let example = page.split("```message\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let speaker = with(example).unwrap_or_else(|bad| panic!("{bad}"));
    assert_eq!(speaker.kinds().collect::<Vec<_>>(), ["ORU^R01"]);
}

/// What stands in a message, and what is wrong with it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "  PIX <- Visit.subject",
        "m:4:3: expected a segment or group of ADT_A01",
    ),
    (
        "  PV1 <- Visit.subjekt",
        "an element of Encounter, such as subject",
    ),
    ("  PV1 <- Nobody", "an element of Encounter, found 'Nobody'"),
    (
        "  PID <- Visit.period",
        "a segment map PID for Period, or rows below",
    ),
    (
        "  PV1 <- Visit use NOPE",
        "a segment map PV1 for Encounter, or rows below",
    ),
    (
        "  NK1 <- RelatedPerson(patient = Someone)",
        "the label of a line before, found 'Someone'",
    ),
    (
        "  NK1 <- RelatedPerson(name = Visit)",
        "an element of type Reference, found 'name'",
    ),
    (
        "  PV1 <- Visit\n    PV1-99 <- status",
        "a field of PV1, which has",
    ),
    (
        "  PV1 <- Visit\n    PV1-2 <- class : nope",
        "a function of the library",
    ),
    (
        "  PV1 <- Visit\n    PV1-2 <- class",
        "a type map that makes what stands here of a Coding",
    ),
    (
        "  PV1 <- Visit\n    PV1-2 <- class.code if claas",
        "an element of Encounter, such as class",
    ),
    (
        "  PV1 <- Visit\n    PV1-2 <- $nothing",
        "a constant that the map declares, found 'nothing'",
    ),
    (
        "  PV1 <- Visit\n    PV1-2 <- class.code : code nope",
        "a code table of the pack, found 'nope'",
    ),
    (
        "  include NOPE",
        "the name of lines that the pack shares, found 'NOPE'",
    ),
    (
        "  PV1 Visit",
        "<-, as, use, if, unless or the end of the line",
    ),
    ("  on A01 if status == 1\n  PV1 <- Visit", "expected"),
];

#[test]
fn mistakes_are_told_with_their_place() {
    for (line, expected) in MISTAKES {
        let text =
            format!("message ADT_A01\n  for \"ADT^A01\"\n  start Encounter as Visit\n{line}\n");
        let told = with(&text).err().unwrap_or_default();
        assert!(told.contains(expected), "{line}\n{told}");
        assert!(told.contains("m:"), "{line}\n{told}");
    }
}
