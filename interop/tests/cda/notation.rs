//! The notation of paths: what is wrong is told with its place and what was expected.

use fhir_spec::definitions::Definitions;
use interop::formats::cda::CdaSchema;
use interop::mapping::source::{NodeKind, Schema};
use interop::mapping::{CDA, Pack, shipped_cda};

const PAGE: &str = include_str!("../../maps/README.md");

#[test]
fn the_shipped_maps_are_good_and_all_of_them_are_used() {
    let pack = shipped_cda().unwrap();
    assert!(CDA.len() >= 8);
    let schema = CdaSchema::new();
    let plans = pack
        .check_all(|_| Some(&schema), Definitions::r4())
        .unwrap_or_else(|bad| panic!("{bad}"));
    assert!(
        plans
            .iter()
            .map(interop::mapping::Plan::row_count)
            .sum::<usize>()
            > 1000
    );
}

#[test]
fn every_example_of_the_page_compiles() {
    let examples: Vec<&str> = PAGE
        .split("```cda\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let pack =
            Pack::read([("README.md", example)]).unwrap_or_else(|bad| panic!("{bad}\n{example}"));
        let schema = CdaSchema::new();
        pack.check_all(|_| Some(&schema), Definitions::r4())
            .unwrap_or_else(|bad| panic!("{bad}\n{example}"));
    }
}

#[test]
fn paths() {
    let schema = CdaSchema::new();
    let told = |path: &str| {
        schema
            .path(schema.root(), path)
            .map(|found| found.kind)
            .err()
            .unwrap_or_default()
    };
    for path in [
        ".",
        "recordTarget/patientRole/patient/name",
        "component/structuredBody/component/section[AllergiesSection]/entry",
        "//observation[ResultObservation]/value[PQ]/unit",
        "//act/../..",
        "//act/.[ProblemConcernAct]/statusCode",
        "participant[typeCode=IND|HLD][associatedEntity/classCode!=PRS]",
        "componentOf/encompassingEncounter/effectiveTime[low]",
    ] {
        assert_eq!(told(path), "", "{path}");
    }
    for (path, expected) in [
        (
            "recordTarget/patientRol",
            "something that RecordTarget has, such as patientRole, not patientRol",
        ),
        (
            "//observations",
            "something that ClinicalDocument has, not observations",
        ),
        (
            "//observation[NoSuchTemplate]",
            "a template or a data type that is known, not NoSuchTemplate",
        ),
        (
            "//observation[valu=1]",
            "something that Observation has, such as value, not valu",
        ),
        ("title[", "a ] at the end of this step"),
        ("title/", "a name after /"),
        ("///title", "a name after /"),
        ("title/family", "something that ED has, not family"),
    ] {
        assert_eq!(told(path), expected, "{path}");
    }
    assert_eq!(schema.kind("IVL_TS"), schema.kind("TS"));
    assert_eq!(schema.kind("ANY"), Some(NodeKind::ANY));
    assert_eq!(schema.kind("Nothing"), None);
}
