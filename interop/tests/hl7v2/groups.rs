//! Which segment belongs to which: the traps that others fall into.

use interop::formats::hl7v2::{Dictionary, Text, grammar};

/// The outline of a message of these segments, and what was forgiven.
fn outline(version: &str, kind: &str, segments: &str) -> (String, Vec<String>) {
    let mut text = format!("MSH|^~\\&|||||||{kind}|1|P|{version}\r");
    for segment in segments.split_whitespace() {
        text.push_str(segment);
        text.push_str("|\r");
    }
    let text = Text::decoded(&text);
    let message = text.message().unwrap();
    let groups = grammar::group(&message, Dictionary::shipped().unwrap());
    // On one line: a group's name, then what is in it in brackets.
    let mut flat = String::new();
    let mut depth = 0;
    for line in groups.outline().lines() {
        let indented = (line.len() - line.trim_start().len()) / 2;
        for _ in indented..depth {
            flat.push_str(") ");
        }
        depth = indented;
        flat.push_str(line.trim());
        if line.trim().len() > 3 {
            flat.push('(');
            depth += 1;
        } else {
            flat.push(' ');
        }
    }
    for _ in 0..depth {
        flat.push_str(") ");
    }
    let flat = flat.replace(" )", ")").trim().to_owned();
    let told = groups
        .forgiven()
        .iter()
        .map(|forgiven| forgiven.what.to_string())
        .collect();
    (flat, told)
}

#[track_caller]
fn good(version: &str, kind: &str, segments: &str, wanted: &str) {
    assert_eq!(
        outline(version, kind, segments),
        (wanted.to_owned(), vec![])
    );
}

#[track_caller]
fn forgiven(version: &str, kind: &str, segments: &str, wanted: &str, told: &[&str]) {
    let told = told.iter().map(|&told| told.to_owned()).collect();
    assert_eq!(outline(version, kind, segments), (wanted.to_owned(), told));
}

#[test]
fn results_stay_with_their_order_and_their_specimen() {
    good(
        "2.5.1",
        "ORU^R01^ORU_R01",
        "PID NTE PV1 ORC OBR NTE OBX NTE OBX SPM OBX ORC OBR OBX",
        "MSH PATIENT_RESULT(PATIENT(PID NTE VISIT(PV1)) ORDER_OBSERVATION(ORC OBR NTE OBSERVATION(OBX NTE) OBSERVATION(OBX) SPECIMEN(SPM OBX)) ORDER_OBSERVATION(ORC OBR OBSERVATION(OBX)))",
    );
    good(
        "2.3.1",
        "ORU^R01",
        "PID OBR OBX OBX OBR OBX NTE PID OBR",
        "MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX) OBSERVATION(OBX)) ORDER_OBSERVATION(OBR OBSERVATION(OBX NTE))) PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR))",
    );
    good(
        "2.1",
        "ORU^R01",
        "OBR OBX",
        "MSH PATIENT_RESULT(ORDER_OBSERVATION(OBR OBSERVATION(OBX)))",
    );
}

#[test]
fn the_next_order_is_not_a_prior_result_of_this_one() {
    good(
        "2.5.1",
        "OML^O21^OML_O21",
        "PID ORC OBR OBX SPM ORC OBR OBX",
        "MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX) SPECIMEN(SPM))) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX)))",
    );
    good(
        "2.5.1",
        "OML^O21^OML_O21",
        "PID ORC OBR PID ORC OBR OBX",
        "MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR PRIOR_RESULT(PATIENT_PRIOR(PID) ORDER_PRIOR(ORC OBR OBSERVATION_PRIOR(OBX)))))",
    );
    forgiven(
        "2.5.1",
        "OML^O21^OML_O21",
        "PID ORC OBR OBX OBR OBX",
        "MSH PATIENT(PID) ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX))) ORDER(OBSERVATION_REQUEST(OBR OBSERVATION(OBX)))",
        &["ORC is missing before this segment"],
    );
}

#[test]
fn admissions_with_insurance_and_procedures() {
    good(
        "2.5.1",
        "ADT^A08^ADT_A01",
        "EVN PID PD1 NK1 NK1 PV1 PV2 OBX AL1 DG1 PR1 ROL PR1 GT1 IN1 IN2 IN1",
        "MSH EVN PID PD1 NK1 NK1 PV1 PV2 OBX AL1 DG1 PROCEDURE(PR1 ROL) PROCEDURE(PR1) GT1 INSURANCE(IN1 IN2) INSURANCE(IN1)",
    );
    good(
        "2.3",
        "ADT^A40",
        "EVN PID MRG PID PD1 MRG PV1",
        "MSH EVN PATIENT(PID MRG) PATIENT(PID PD1 MRG PV1)",
    );
    good(
        "2.5.1",
        "VXU^V04^VXU_V04",
        "PID NK1 ORC RXA RXR OBX OBX NTE ORC RXA",
        "MSH PID NK1 ORDER(ORC RXA RXR OBSERVATION(OBX) OBSERVATION(OBX NTE)) ORDER(ORC RXA)",
    );
    good(
        "2.5.1",
        "SIU^S12^SIU_S12",
        "SCH NTE PID PV1 RGS AIS NTE AIG AIL AIP RGS AIL",
        "MSH SCH NTE PATIENT(PID PV1) RESOURCES(RGS SERVICE(AIS NTE) GENERAL_RESOURCE(AIG) LOCATION_RESOURCE(AIL) PERSONNEL_RESOURCE(AIP)) RESOURCES(RGS LOCATION_RESOURCE(AIL))",
    );
}

#[test]
fn what_stands_elsewhere_finds_its_group_and_is_told() {
    forgiven(
        "2.5.1",
        "ADT^A08^ADT_A01",
        "EVN PID PV1 DG1 AL1 DG1 ZPI NK1",
        "MSH EVN PID PV1 DG1 AL1 DG1 ZPI NK1",
        &[
            "AL1 stands where the structure does not have it",
            "ZPI is not part of the structure",
            "NK1 stands where the structure does not have it",
        ],
    );
    forgiven(
        "2.5.1",
        "ORU^R01^ORU_R01",
        "PID OBR OBX SPM OBX NTE ZZZ OBR",
        "MSH PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX) SPECIMEN(SPM OBX) NTE ZZZ) ORDER_OBSERVATION(OBR))",
        &[
            "NTE stands where the structure does not have it",
            "ZZZ is not part of the structure",
        ],
    );
    forgiven(
        "2.5.1",
        "ORU^R01^ORU_R01",
        "PD1 PID OBX",
        "MSH PATIENT_RESULT(PATIENT(PD1 PID) ORDER_OBSERVATION(OBSERVATION(OBX)))",
        &[
            "PID is missing before this segment",
            "PID stands where the structure does not have it",
            "OBR is missing before this segment",
        ],
    );
    forgiven(
        "2.5.1",
        "VXU^V04^VXU_V04",
        "PID RXA OBX RXA",
        "MSH PID ORDER(RXA OBSERVATION(OBX)) ORDER(RXA)",
        &[
            "ORC is missing before this segment",
            "ORC is missing before this segment",
        ],
    );
    forgiven(
        "2.5.1",
        "ADT^A01^ADT_A01",
        "EVN PID PV1 PV1",
        "MSH EVN PID PV1 PV1",
        &["PV1 comes more often than the structure has it"],
    );
    forgiven(
        "2.5.1",
        "ORM^O01^ORM_O01",
        "PID ORC OBR PV1",
        "MSH PATIENT(PID PATIENT_VISIT(PV1)) ORDER(ORC ORDER_DETAIL(OBR))",
        &["PV1 stands where the structure does not have it"],
    );
}

#[test]
fn an_event_may_stand_in_evn_or_nowhere() {
    good(
        "2.1",
        "ADT",
        "EVN PID NK1 PV1 DG1",
        "MSH EVN PID NK1 PV1 DG1",
    );
    forgiven(
        "2.1",
        "ADT",
        "PID NK1 PV1",
        "MSH PID NK1 PV1",
        &["EVN is missing before this segment"],
    );
    let text = "MSH|^~\\&|||||||ADT|1|P|2.3\rEVN|A40\rPID|\rMRG|\rPID|\rMRG|\r";
    let text = Text::decoded(text);
    let message = text.message().unwrap();
    let groups = grammar::group(&message, Dictionary::shipped().unwrap());
    assert_eq!(groups.root().groups_named("PATIENT").count(), 2);
}

#[test]
fn a_structure_that_nobody_knows_is_flat() {
    good("2.5.1", "ZZZ^Z01", "PID OBX ZZZ", "MSH PID OBX ZZZ");
}
