use super::*;

fn r4() -> &'static Definitions {
    Definitions::r4()
}

#[test]
fn every_resource_type_is_there() {
    let names: Vec<&str> = r4().resource_types().collect();
    assert_eq!(names.len(), 146);
    assert!(names.is_sorted());
    assert!(r4().is_resource_type("Patient"));
    assert!(!r4().is_resource_type("DomainResource"));
    assert!(!r4().is_resource_type("HumanName"));
}

#[test]
fn the_graph_knows_elements_choices_and_backbones() {
    let types = r4().types();
    let observation = types.named("Observation").unwrap();
    let value = observation.element("value").unwrap();
    assert!(value.is_choice);
    assert_eq!(value.types.len(), 11);
    let (_, kind) = observation.property("valueQuantity").unwrap();
    assert_eq!(&*types.get(kind.id).name, "Quantity");
    assert!(observation.property("value").is_none());
    let contact = types.named("Patient.contact").unwrap();
    assert_eq!(contact.kind, Kind::Backbone);
    assert_eq!(&*types.get(contact.base.unwrap()).name, "BackboneElement");
    assert!(contact.element("gender").unwrap().binding.is_some());
    // A content reference leads to the backbone that it names.
    let (_, kind) = types
        .named("Observation.component")
        .unwrap()
        .property("referenceRange")
        .unwrap();
    assert_eq!(&*types.get(kind.id).name, "Observation.referenceRange");
    let status = observation.element("status").unwrap();
    assert_eq!(
        (
            status.min,
            status.max,
            status.is_summary,
            status.is_modifier
        ),
        (1, Some(1), true, true)
    );
}

#[test]
fn derivation_is_followed() {
    let types = r4().types();
    let is_a = |name: &str, ancestor: &str| {
        types.is_a(
            types.by_name(name).unwrap(),
            types.by_name(ancestor).unwrap(),
        )
    };
    assert!(is_a("Age", "Quantity") && is_a("Age", "Element") && is_a("Patient", "Resource"));
    assert!(is_a("code", "string") && is_a("id", "string") && is_a("url", "uri"));
    assert!(!is_a("string", "code") && !is_a("Bundle", "DomainResource"));
}

#[test]
fn primitives_have_their_formats() {
    let types = r4().types();
    for name in [
        "date",
        "dateTime",
        "id",
        "oid",
        "uuid",
        "instant",
        "time",
        "positiveInt",
        "base64Binary",
        "code",
    ] {
        assert!(types.named(name).unwrap().regex.is_some(), "{name}");
    }
    assert!(types.named("date").unwrap().element("value").is_none());
    let type_of = |name: &str, property: &str| {
        let (_, kind) = types.named(name).unwrap().property(property).unwrap();
        types.get(kind.id).name.to_string()
    };
    assert_eq!(type_of("Patient", "id"), "id");
    assert_eq!(type_of("HumanName", "id"), "string");
    assert_eq!(type_of("Extension", "url"), "uri");
}

#[test]
fn artifacts_are_found_by_url_version_and_id() {
    let url = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(
        r4().artifact(url).unwrap().str_of("name"),
        Some("AdministrativeGender")
    );
    assert!(r4().artifact(&format!("{url}|4.0.1")).is_some());
    assert!(r4().artifact(&format!("{url}|9")).is_none());
    assert!(
        r4().artifact_by_id("StructureDefinition", "vitalsigns")
            .is_some()
    );
}

#[test]
fn parameters_compartments_and_operations_are_there() {
    assert_eq!(r4().search_parameters().len(), 1397);
    let patient = r4()
        .compartments()
        .iter()
        .find(|compartment| &*compartment.code == "Patient")
        .unwrap();
    assert_eq!(patient.parameters("Observation").len(), 2);
    assert!(patient.parameters("Medication").is_empty());
    assert_eq!(r4().compartments().len(), 5);
    let everything = r4()
        .operations()
        .iter()
        .find(|operation| {
            &*operation.code == "everything"
                && operation.resource.iter().any(|name| &**name == "Patient")
        })
        .unwrap();
    assert!(everything.on_instance && everything.on_type && !everything.on_system);
}

#[test]
fn a_later_shelf_hides_an_earlier_one() {
    let url = "http://hl7.org/fhir/ValueSet/administrative-gender";
    let mine = crate::json::parse(
        format!("{{\"resourceType\":\"ValueSet\",\"id\":\"g\",\"url\":\"{url}\",\"version\":\"5\",\"name\":\"Mine\"}}").as_bytes(),
    )
    .unwrap();
    let laid = r4().with_resources([mine]);
    assert_eq!(laid.artifact(url).unwrap().str_of("name"), Some("Mine"));
    assert_eq!(
        laid.artifact(&format!("{url}|4.0.1"))
            .unwrap()
            .str_of("name"),
        Some("AdministrativeGender")
    );
}

#[test]
fn structures_compile_with_their_slices() {
    let bp = r4()
        .structure("http://hl7.org/fhir/StructureDefinition/bp")
        .unwrap();
    let component = bp.by_id("Observation.component").unwrap();
    let names: Vec<&str> = bp
        .slices(component)
        .filter_map(|slice| slice.slice_name.as_deref())
        .collect();
    assert_eq!(names, ["SystolicBP", "DiastolicBP"]);
    let systolic = bp.slices(component).next().unwrap();
    let value = bp.child(systolic, "value").unwrap();
    assert!(value.is_choice);
    assert_eq!(
        bp.child(value, "code").unwrap().path.as_ref(),
        "Observation.component.value[x].code"
    );
    assert!(bp.child(value, "code").unwrap().fixed.is_some());
    assert!(!bp.child(value, "code").unwrap().is_choice);
}

fn search_parameter(url: &str, version: &str, code: &str) -> Value {
    let text = format!(
        r#"{{"resourceType":"SearchParameter","url":"{url}","version":"{version}","code":"{code}","base":["Patient"],"type":"token","expression":"Patient.active"}}"#
    );
    crate::json::parse(text.as_bytes()).unwrap()
}

#[test]
fn of_several_artifacts_with_one_url_the_newest_is_listed() {
    let standard = "http://hl7.org/fhir/SearchParameter/Patient-active";
    let codes = |laid: &Definitions, url: &str| -> Vec<String> {
        laid.search_parameters()
            .iter()
            .filter(|parameter| &*parameter.url == url)
            .map(|parameter| parameter.code.to_string())
            .collect()
    };
    assert_eq!(codes(r4(), standard), ["active"]);
    let laid = r4().with_resources([
        search_parameter(standard, "4.0.1", "mine"),
        search_parameter("http://x/a", "1", "older"),
        search_parameter("http://x/a", "2", "newer"),
        search_parameter("http://x/b", "1", "b"),
    ]);
    assert_eq!(codes(&laid, standard), ["mine"]);
    assert_eq!(codes(&laid, "http://x/a"), ["newer"]);
    assert_eq!(
        laid.search_parameters().len(),
        r4().search_parameters().len() + 2
    );
    let again = laid.with_resources([search_parameter("http://x/a", "1", "again")]);
    assert_eq!(codes(&again, "http://x/a"), ["again"]);
    let last = laid.search_parameters_for("Patient").last().unwrap();
    assert_eq!(&*last.code, "b");
}

#[test]
fn parameters_and_operations_are_found_by_type() {
    let codes: Vec<&str> = r4()
        .search_parameters_for("Patient")
        .map(|parameter| &*parameter.code)
        .collect();
    for code in ["_id", "_lastUpdated", "birthdate", "general-practitioner"] {
        assert!(codes.contains(&code), "{code}");
    }
    assert!(!codes.contains(&"component-code"));
    assert!(r4().compartment("Patient").is_some());
    assert!(r4().compartment("Group").is_none());
    assert!(r4().operation("everything", Some("Patient")).is_some());
    assert!(r4().operation("everything", None).is_none());
    // Defined for Resource: of every type.
    assert!(r4().operation("validate", Some("Observation")).is_some());
    assert!(r4().operation("convert", None).is_some());
}

#[test]
fn code_systems_and_value_sets_may_share_a_url() {
    let made = |resource_type: &str| {
        let text = format!(
            r#"{{"resourceType":"{resource_type}","url":"http://x/both","content":"complete","concept":[{{"code":"a"}}],
            "compose":{{"include":[{{"system":"http://x/both"}}]}}}}"#
        );
        crate::json::parse(text.as_bytes()).unwrap()
    };
    for types in [["CodeSystem", "ValueSet"], ["ValueSet", "CodeSystem"]] {
        let laid = r4().with_resources(types.map(made));
        let value_set = laid.value_set("http://x/both").unwrap();
        assert!(value_set.contains(Some("http://x/both"), "a", None).is_in());
        assert!(
            laid.code_system("http://x/both")
                .unwrap()
                .concept("a")
                .is_some()
        );
    }
    assert!(r4().artifact("").is_none());
}
