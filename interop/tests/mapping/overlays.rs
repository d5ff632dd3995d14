//! Overlays: rows, constants and tables of one sender over the shipped maps.

use fhir_spec::definitions::Definitions;
use interop::mapping::{Pack, shipped};

use crate::harness::{convert, resources, schema};

const FILE: &[u8] =
    b"mrn,last_name,first_name,birth_date,sex,phone\n7,Doe,Jane,31.12.1999,2,0301234567\n";

#[test]
fn rows_constants_and_tables_are_changed() {
    let overlay = "overlay clinic : patients\n  constant mrn_system = \"urn:clinic:mrn\"\n  in Patient\n    \
                   replace birth_date <-> birthDate : date_to_iso(\"dd.MM.yyyy\")\n    remove phone -> telecom[system=phone, use=home].value\n    \
                   add phone -> telecom[].value : normalize_phone(\"49\") { system = \"phone\" }\n\ncodes sex\n  1 = male\n  2 = female\n";
    let base = shipped().unwrap();
    let before = convert(base, "patients", FILE, None);
    assert_eq!(before.bad.len(), 1, "{:?}", before.bad);

    let laid = base.with_overlay("clinic.map", overlay).unwrap();
    assert_eq!(laid.gone, []);
    let after = convert(&laid.pack, "patients", FILE, None);
    assert_eq!(after.bad, []);
    let patient = &resources(&after.bundle)[0];
    assert_eq!(patient.str_of("birthDate"), Some("1999-12-31"));
    assert_eq!(patient.str_of("gender"), Some("female"));
    assert_eq!(
        patient.items_of("telecom")[0].str_of("value"),
        Some("+49301234567")
    );
    assert_eq!(patient.items_of("telecom")[0].str_of("use"), None);
    assert_eq!(
        patient.items_of("identifier")[0].str_of("system"),
        Some("urn:clinic:mrn")
    );
    let url = after.bundle.items_of("entry")[0]
        .get("request")
        .unwrap()
        .str_of("url")
        .unwrap()
        .to_owned();
    assert_eq!(url, "Patient?identifier=urn:clinic:mrn|7");
}

#[test]
fn what_is_gone_is_reported() {
    let overlay = "overlay old : patients\n  in Patient\n    remove fax -> telecom[].value\n    replace @gone sex -> gender\n  in Visit\n    \
                   add mrn -> id\n  in Patient\n    add last_name <-> name[use=official].family\n\noverlay older : no_such_map\n  in Patient\n    add mrn -> id\n";
    let laid = shipped().unwrap().with_overlay("old.map", overlay).unwrap();
    let gone: Vec<String> = laid.gone.iter().map(ToString::to_string).collect();
    assert_eq!(
        gone,
        [
            "old.map:3:5: expected the id of a row that is there, found 'fax -> telecom[].value'",
            "old.map:4:5: expected the id of a row that is there, found '@gone'",
            "old.map:5:6: expected a block or type map of the pack, found 'Visit'",
            "old.map:8:5: expected replace: there is a row of this id, found 'last_name -> name[use=official].family'",
            "old.map:10:17: expected a map of the pack, found 'no_such_map'",
        ]
    );
    let untouched = convert(
        &laid.pack,
        "patients",
        b"mrn,last_name,first_name,birth_date,sex\n7,Doe,Jane,1999,F\n",
        None,
    );
    assert_eq!(untouched.bad, []);
}

#[test]
fn an_overlay_that_does_not_compile_says_where() {
    let overlay =
        "overlay wrong : patients\n  in Patient\n    replace sex <-> gender : code nowhere\n";
    let laid = shipped()
        .unwrap()
        .with_overlay("wrong.map", overlay)
        .unwrap();
    let bad = laid
        .pack
        .check(
            "patients",
            &schema(&laid.pack, "patients"),
            Definitions::r4(),
        )
        .unwrap_err();
    assert_eq!(
        bad.to_string(),
        "wrong.map:3:35: expected a code table of the pack, found 'nowhere'"
    );
    assert!(
        shipped()
            .unwrap()
            .with_overlay("x", "overlay a : patients\n  nonsense\n")
            .is_err()
    );
    assert!(
        shipped()
            .unwrap()
            .with_overlay("x", "map a : csv\n")
            .is_err()
    );
}

#[test]
fn rows_of_type_maps_are_changed_too() {
    let base = "map m : csv\n  columns a\n  row -> Patient\n    a -> identifier[] : CX\n\ntype CX -> Identifier\n  row -> value\n";
    // A table has no types; what counts here is that the row is found.
    let pack = Pack::read([("base", base)]).unwrap();
    let laid = pack
        .with_overlay(
            "o",
            "overlay o : m\n  in CX\n    replace row -> value : trim\n    remove a -> system\n",
        )
        .unwrap();
    assert_eq!(laid.gone.len(), 1);
}
