//! Slicing by every kind of discriminator, and what slices may do.

use super::profiles::{PROFILE, errors_under, profile_of};
use super::{observation, patient};

fn assert_slices<const N: usize>(elements: &str, document: &str, expected: [&str; N]) {
    let type_name = if document.contains("\"Patient\"") {
        "Patient"
    } else {
        "Observation"
    };
    let profile = profile_of(type_name, PROFILE, elements);
    assert_eq!(
        errors_under(vec![profile], document),
        expected,
        "{document}"
    );
}

fn telecom(slicing: &str, slices: &str) -> String {
    format!(r#"{{"id":"Patient.telecom","path":"Patient.telecom","slicing":{slicing}}},{slices}"#)
}

/// A slice of `Patient.telecom` with the system fixed.
fn slice(system: &str, bounds: &str) -> String {
    format!(
        r#"{{"id":"Patient.telecom:{system}","path":"Patient.telecom","sliceName":"{system}"{bounds}}},
        {{"id":"Patient.telecom:{system}.system","path":"Patient.telecom.system","min":1,"fixedCode":"{system}"}}"#
    )
}

fn points(systems: &[&str]) -> String {
    let points: Vec<String> = systems
        .iter()
        .map(|system| format!(r#"{{"system":"{system}","value":"1"}}"#))
        .collect();
    patient(&format!(r#","telecom":[{}]"#, points.join(",")))
}

const BY_SYSTEM: &str = r#"{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}"#;

#[test]
fn by_value() {
    let elements = telecom(BY_SYSTEM, &slice("phone", r#","min":1,"max":"1""#));
    assert_slices(&elements, &points(&["phone", "email"]), []);
    assert_slices(&elements, &points(&["email"]), ["required Patient"]);
    assert_slices(&elements, &patient(""), ["required Patient"]);
    assert_slices(
        &elements,
        &points(&["phone", "phone"]),
        ["structure Patient"],
    );
}

#[test]
fn closed_ordered_and_open_at_end() {
    let both = format!("{},{}", slice("phone", ""), slice("email", ""));
    let closed = telecom(&BY_SYSTEM.replace("open", "closed"), &both);
    assert_slices(&closed, &points(&["email", "phone"]), []);
    assert_slices(
        &closed,
        &points(&["email", "fax"]),
        ["structure Patient.telecom[1]"],
    );
    let ordered = telecom(
        &BY_SYSTEM.replace("\"rules\"", "\"ordered\":true,\"rules\""),
        &both,
    );
    assert_slices(&ordered, &points(&["phone", "phone", "email"]), []);
    assert_slices(
        &ordered,
        &points(&["email", "phone"]),
        ["structure Patient.telecom[1]"],
    );
    let at_end = telecom(&BY_SYSTEM.replace("\"open\"", "\"openAtEnd\""), &both);
    assert_slices(&at_end, &points(&["phone", "fax"]), []);
    assert_slices(
        &at_end,
        &points(&["fax", "phone"]),
        ["structure Patient.telecom[1]"],
    );
}

#[test]
fn by_absence_of_a_value() {
    let elements = telecom(
        &BY_SYSTEM.replace("open", "closed").replace("system", "use"),
        r#"{"id":"Patient.telecom:bare","path":"Patient.telecom","sliceName":"bare"},
        {"id":"Patient.telecom:bare.use","path":"Patient.telecom.use","max":"0"}"#,
    );
    assert_slices(&elements, &points(&["phone"]), []);
    let used = patient(r#","telecom":[{"system":"phone","value":"1","use":"home"}]"#);
    assert_slices(&elements, &used, ["structure Patient.telecom[0]"]);
}

#[test]
fn by_pattern_below() {
    let elements = r#"{"id":"Observation.category","path":"Observation.category","slicing":{"discriminator":[{"type":"pattern","path":"$this"}],"rules":"open"}},
        {"id":"Observation.category:lab","path":"Observation.category","sliceName":"lab","min":1,"max":"1","patternCodeableConcept":{"coding":[{"code":"laboratory"}]}}"#;
    let with = |code: &str| {
        observation(&format!(
            r#","category":[{{"coding":[{{"code":"x"}},{{"code":"{code}"}}]}}]"#
        ))
    };
    assert_slices(elements, &with("laboratory"), []);
    assert_slices(elements, &with("survey"), ["required Observation"]);
}

#[test]
fn by_exists() {
    let elements = telecom(
        r#"{"discriminator":[{"type":"exists","path":"period"}],"rules":"closed"}"#,
        r#"{"id":"Patient.telecom:dated","path":"Patient.telecom","sliceName":"dated","max":"1"},
        {"id":"Patient.telecom:dated.period","path":"Patient.telecom.period","min":1},
        {"id":"Patient.telecom:undated","path":"Patient.telecom","sliceName":"undated","max":"1"},
        {"id":"Patient.telecom:undated.period","path":"Patient.telecom.period","max":"0"}"#,
    );
    let dated = r#"{"system":"phone","value":"1","period":{"start":"2020"}}"#;
    let undated = r#"{"system":"phone","value":"2"}"#;
    let with = |points: &[&str]| patient(&format!(r#","telecom":[{}]"#, points.join(",")));
    assert_slices(&elements, &with(&[dated, undated]), []);
    assert_slices(&elements, &with(&[dated, dated]), ["structure Patient"]);
    assert_slices(&elements, &with(&[undated, undated]), ["structure Patient"]);
}

#[test]
fn by_type_of_a_choice() {
    let elements = r#"{"id":"Observation.value[x]","path":"Observation.value[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"}},
        {"id":"Observation.value[x]:valueQuantity","path":"Observation.value[x]","sliceName":"valueQuantity","min":1,"type":[{"code":"Quantity"}]},
        {"id":"Observation.value[x]:valueQuantity.code","path":"Observation.value[x].code","min":1}"#;
    let coded = r#","valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"g"}"#;
    assert_slices(elements, &observation(coded), []);
    assert_slices(
        elements,
        &observation(r#","valueQuantity":{"value":1}"#),
        ["required Observation.value"],
    );
}

#[test]
fn by_type_of_a_target() {
    let elements = r#"{"id":"Observation.performer","path":"Observation.performer","slicing":{"discriminator":[{"type":"type","path":"resolve()"}],"rules":"open"}},
        {"id":"Observation.performer:organization","path":"Observation.performer","sliceName":"organization","min":1,"type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Organization"]}]}"#;
    let with =
        |reference: &str| observation(&format!(r#","performer":[{{"reference":"{reference}"}}]"#));
    assert_slices(elements, &with("Organization/1"), []);
    assert_slices(elements, &with("Practitioner/1"), ["required Observation"]);
}

#[test]
fn by_profile() {
    let dated = "http://a.org/StructureDefinition/dated";
    let inner = profile_of(
        "Patient",
        dated,
        r#"{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}"#,
    );
    let outer = format!(
        r#"{{"id":"Bundle.entry","path":"Bundle.entry","slicing":{{"discriminator":[{{"type":"profile","path":"resource"}}],"rules":"open"}}}},
        {{"id":"Bundle.entry:dated","path":"Bundle.entry","sliceName":"dated","min":1}},
        {{"id":"Bundle.entry:dated.resource","path":"Bundle.entry.resource","min":1,"type":[{{"code":"Patient","profile":["{dated}"]}}]}}"#
    );
    let bundle = |patient: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{patient}}}]}}"#
        )
    };
    let errors = |document: &str| {
        let profiles = vec![profile_of("Bundle", PROFILE, &outer), inner.clone()];
        errors_under(profiles, document)
    };
    assert_eq!(errors(&bundle(&patient(r#","birthDate":"2020""#))), [""; 0]);
    assert_eq!(errors(&bundle(&patient(""))), ["required Bundle"]);
}

#[test]
fn slices_of_slices() {
    let elements = telecom(
        BY_SYSTEM,
        &format!(
            r#"{},{{"id":"Patient.telecom:phone/home","path":"Patient.telecom","sliceName":"phone/home","min":1,"max":"1"}},
            {{"id":"Patient.telecom:phone/home.use","path":"Patient.telecom.use","min":1,"fixedCode":"home"}}"#,
            slice(
                "phone",
                r#","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}"#
            )
        ),
    );
    let with = |uses: &str| {
        patient(&format!(
            r#","telecom":[{{"system":"phone","value":"1","use":"{uses}"}}]"#
        ))
    };
    assert_slices(&elements, &with("home"), []);
    assert_slices(&elements, &with("work"), ["required Patient"]);
}

#[test]
fn extensions_are_slices_by_url() {
    let elements = r#"{"id":"Patient.extension:birthPlace","path":"Patient.extension","sliceName":"birthPlace","min":1,"type":[{"code":"Extension","profile":["http://hl7.org/fhir/StructureDefinition/patient-birthPlace"]}]}"#;
    let place = r#","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Bern"}}]"#;
    assert_slices(elements, &patient(place), []);
    assert_slices(elements, &patient(""), ["required Patient"]);
}

/// R4's own blood pressure profile tells its components by codes that slices of `coding` fix.
#[test]
fn a_value_may_be_fixed_in_a_slice_of_what_the_discriminator_names() {
    let pressure = |systolic: &str| {
        let component = |code: &str| {
            format!(
                r#"{{"code":{{"coding":[{{"system":"http://a.org","code":"x"}},{{"system":"http://loinc.org","code":"{code}"}}]}},
                "valueQuantity":{{"value":1,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}}}"#
            )
        };
        format!(
            r#"{{"resourceType":"Observation","meta":{{"profile":["http://hl7.org/fhir/StructureDefinition/bp"]}},"status":"final",
            "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],
            "code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9"}}]}},"subject":{{"reference":"Patient/1"}},
            "effectiveDateTime":"2020-01-01","component":[{},{}]}}"#,
            component(systolic),
            component("8462-4")
        )
    };
    super::assert_errors(&pressure("8480-6"), []);
    super::assert_errors(&pressure("8867-4"), ["required Observation"]);
    let wrong_unit = pressure("8480-6").replacen("\"code\":\"mm[Hg]\"", "\"code\":\"kPa\"", 1);
    super::assert_errors(
        &wrong_unit,
        [
            "code-invalid Observation.component[0].value",
            "value Observation.component[0].value.code",
        ],
    );
}
