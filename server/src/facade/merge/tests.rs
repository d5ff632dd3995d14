//! Stored, said, deleted: what comes out of it.

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Value, parse};

use super::{Said, merged};

fn document(text: &str) -> Value {
    parse(text.replace('\'', "\"").as_bytes()).unwrap()
}

/// Members of a resource of the type, in single quotes.
fn check(kind: &str, stored: &str, said: &str, deletes: &[&str], expected: &str) {
    let whole = |members: &str| {
        let comma = if members.is_empty() { "" } else { "," };
        document(&format!("{{'resourceType':'{kind}'{comma}{members}}}"))
    };
    let deletes: Vec<Box<str>> = deletes.iter().map(|path| (*path).into()).collect();
    let resource = whole(said);
    let said = Said {
        resource: &resource,
        deletes: &deletes,
    };
    let types = Definitions::r4().types();
    let found = merged(&whole(stored), said, types);
    assert_eq!(found.to_string(), whole(expected).to_string());
    let again = merged(&found, said, types);
    assert_eq!(again.to_string(), found.to_string(), "twice is once");
}

#[test]
fn absent_keeps_and_a_value_sets() {
    check(
        "Patient",
        "'gender':'male','birthDate':'1970-01-01'",
        "'gender':'female'",
        &[],
        "'gender':'female','birthDate':'1970-01-01'",
    );
    check(
        "Patient",
        "'_birthDate':{'extension':[{'url':'u','valueCode':'unknown'}]}",
        "'birthDate':'1970'",
        &[],
        "'birthDate':'1970'",
    );
}

#[test]
fn null_deletes() {
    let stored = "'gender':'male','birthDate':'1970','name':[{'use':'official','family':'A','given':['B']}],\
        'telecom':[{'system':'phone','value':'1','use':'home'},{'system':'phone','value':'2','use':'work'}]";
    let name = "'name':[{'use':'official','family':'A','given':['B']}]";
    let home = "{'system':'phone','value':'1','use':'home'}";
    let work = "{'system':'phone','value':'2','use':'work'}";
    for (path, left) in [
        (
            "birthDate",
            format!("'gender':'male',{name},'telecom':[{home},{work}]"),
        ),
        (
            "telecom[system=phone, use=home].value",
            format!(
                "'gender':'male','birthDate':'1970',{name},'telecom':[{{'system':'phone','use':'home'}},{work}]"
            ),
        ),
        (
            "telecom[use=home]",
            format!("'gender':'male','birthDate':'1970',{name},'telecom':[{work}]"),
        ),
        (
            "telecom[]",
            format!("'gender':'male','birthDate':'1970',{name}"),
        ),
        (
            "name.given[]",
            format!(
                "'gender':'male','birthDate':'1970','name':[{{'use':'official','family':'A'}}],'telecom':[{home},{work}]"
            ),
        ),
        ("maritalStatus.coding[].code", stored.to_owned()),
    ] {
        check("Patient", stored, "", &[path], &left);
    }
}

#[test]
fn a_narrative_that_was_made_of_the_data_goes_with_them() {
    let text = |status: &str| format!("'text':{{'status':'{status}','div':'<div>old</div>'}}");
    let stored = |status: &str| format!("{},'gender':'male'", text(status));
    check(
        "Patient",
        &stored("generated"),
        "'gender':'male'",
        &[],
        &stored("generated"),
    );
    check(
        "Patient",
        &stored("generated"),
        "'gender':'female'",
        &[],
        "'gender':'female'",
    );
    let kept = format!("{},'gender':'female'", text("additional"));
    check(
        "Patient",
        &stored("additional"),
        "'gender':'female'",
        &[],
        &kept,
    );
}

#[test]
fn of_a_choice_there_is_one() {
    check(
        "Observation",
        "'valueString':'high'",
        "'valueQuantity':{'value':7.10,'unit':'mg'}",
        &[],
        "'valueQuantity':{'value':7.10,'unit':'mg'}",
    );
    check(
        "Patient",
        "'deceasedDateTime':'2020-02-02'",
        "'deceasedBoolean':true",
        &[],
        "'deceasedDateTime':'2020-02-02'",
    );
    check(
        "Patient",
        "'deceasedDateTime':'2020-02-02'",
        "'deceasedBoolean':false",
        &[],
        "'deceasedBoolean':false",
    );
}

#[test]
fn identifiers_are_gathered() {
    check(
        "Patient",
        "'identifier':[{'system':'a','value':'1'},{'system':'b','value':'2'}]",
        "'identifier':[{'system':'b','value':'2','use':'usual'},{'system':'c','value':'3'}]",
        &[],
        "'identifier':[{'system':'a','value':'1'},{'system':'b','value':'2','use':'usual'},{'system':'c','value':'3'}]",
    );
}

#[test]
fn names_and_phones_of_a_use_are_told_whole() {
    check(
        "Patient",
        "'name':[{'use':'official','family':'Old'},{'use':'maiden','family':'Born'}],\
         'telecom':[{'system':'phone','use':'home','value':'1'},{'system':'email','use':'home','value':'a@b'},{'system':'phone','use':'home','value':'2','rank':2}]",
        "'name':[{'use':'official','family':'New'}],\
         'telecom':[{'system':'phone','use':'home','value':'3'},{'system':'phone','use':'home','value':'2'}]",
        &[],
        "'name':[{'use':'official','family':'New'},{'use':'maiden','family':'Born'}],\
         'telecom':[{'system':'phone','use':'home','value':'3'},{'system':'phone','use':'home','value':'2','rank':2},{'system':'email','use':'home','value':'a@b'}]",
    );
}

#[test]
fn a_code_that_changes_takes_its_translations_along() {
    let status = |codes: &str| format!("'maritalStatus':{{'coding':[{codes}]}}");
    let both = "{'system':'local','code':'1'},{'system':'hl7','code':'M'}";
    let display = "{'system':'local','code':'1','display':'one'},{'system':'hl7','code':'M'}";
    for (said, expected) in [
        ("{'system':'local','code':'1'}", both),
        ("{'system':'local','code':'1','display':'one'}", display),
        (
            "{'system':'local','code':'2'}",
            "{'system':'local','code':'2'}",
        ),
        (
            "{'system':'other','code':'2'}",
            "{'system':'other','code':'2'}",
        ),
    ] {
        check(
            "Patient",
            &status(both),
            &status(said),
            &[],
            &status(expected),
        );
    }
}

#[test]
fn a_quantity_is_one_thing_and_a_period_is_two() {
    check(
        "Observation",
        "'valueQuantity':{'value':5,'unit':'mg'}",
        "'valueQuantity':{'value':6}",
        &[],
        "'valueQuantity':{'value':6}",
    );
    check(
        "Encounter",
        "'period':{'start':'2024-01-01'},'hospitalization':{'admitSource':{'text':'x'}}",
        "'period':{'end':'2024-01-02'},'hospitalization':{'dischargeDisposition':{'text':'home'}}",
        &[],
        "'period':{'start':'2024-01-01','end':'2024-01-02'},'hospitalization':{'admitSource':{'text':'x'},'dischargeDisposition':{'text':'home'}}",
    );
}

#[test]
fn results_are_gathered_and_contacts_are_told_whole() {
    check(
        "DiagnosticReport",
        "'result':[{'reference':'Observation/1','display':'Na'}]",
        "'result':[{'reference':'Observation/2'},{'reference':'Observation/1'}]",
        &[],
        "'result':[{'reference':'Observation/1','display':'Na'},{'reference':'Observation/2'}]",
    );
    check(
        "Patient",
        "'contact':[{'name':{'family':'A'},'gender':'male'},{'name':{'family':'B'}}]",
        "'contact':[{'name':{'family':'A'}},{'name':{'family':'C'}}]",
        &[],
        "'contact':[{'name':{'family':'A'},'gender':'male'},{'name':{'family':'C'}}]",
    );
}

#[test]
fn who_moves_has_left_where_they_were() {
    check(
        "Encounter",
        "'location':[{'location':{'display':'A'},'status':'active'}]",
        "'location':[{'location':{'display':'B'},'status':'active'}]",
        &[],
        "'location':[{'location':{'display':'A'},'status':'completed'},{'location':{'display':'B'},'status':'active'}]",
    );
}

#[test]
fn doctors_of_a_kind_make_place_for_their_successor() {
    let doctor = |code: &str, name: &str| {
        format!(
            "{{'type':[{{'coding':[{{'code':'{code}'}}]}}],'individual':{{'display':'{name}'}}}}"
        )
    };
    let all = |doctors: &[String]| format!("'participant':[{}]", doctors.join(","));
    check(
        "Encounter",
        &all(&[doctor("ATND", "A"), doctor("REF", "R"), doctor("ATND", "B")]),
        &all(&[doctor("ATND", "C")]),
        &[],
        &all(&[doctor("ATND", "C"), doctor("REF", "R")]),
    );
}

#[test]
fn contained_resources_do_not_meet() {
    let report = |contained: &str, performer: &str| {
        format!("'contained':[{contained}],'performer':[{{'reference':'{performer}'}}]")
    };
    let lab = |id: &str, name: &str| {
        format!("{{'resourceType':'Organization','id':'{id}','name':'{name}'}}")
    };
    let stored = report(&lab("1", "A"), "#1");
    check(
        "DiagnosticReport",
        &stored,
        &report(&lab("4", "A"), "#4"),
        &[],
        &stored,
    );
    check(
        "DiagnosticReport",
        &stored,
        &report(&lab("1", "B"), "#1"),
        &[],
        &report(&lab("2", "B"), "#2"),
    );
    check(
        "DiagnosticReport",
        &stored,
        "'conclusion':'c'",
        &[],
        &format!("{stored},'conclusion':'c'"),
    );
}
