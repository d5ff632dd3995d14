//! Patients who turn out to be one, and some who do not, on both databases.

use fhir_spec::json::Value;
use interop::host::{Applied, Effect};
use interop::mapping::{Entry, Request};

use crate::databases::Database;
use crate::facade::{World, at, effects, entry, patient, put, submission};

on_both_databases!(
    who_speaks_of_the_old_number_means_the_survivor,
    a_merge_is_done_once_however_often_it_is_told,
    a_merge_holds_however_late_it_comes,
    replacements_are_followed_to_the_end,
    nobody_is_replaced_by_themselves,
    two_who_were_taken_for_one_are_parted_again,
    no_merge_moves_more_than_fits,
    the_order_of_numbers_does_not_matter,
);

/// `old` is replaced by `new`, as maps say it.
fn merge(old: &str, new: &str) -> Vec<Entry> {
    let link = |kind: &str, other: &str| {
        format!(",'link':[{{'type':'{kind}','other':{{'reference':'urn:uuid:{other}'}}}}]")
    };
    let gone = format!(",'active':false{}", link("replaced-by", new));
    vec![patient(new, &link("replaces", old)), patient(old, &gone)]
}

fn note(number: &str, patient: &str) -> Entry {
    let resource = format!(
        "{{'resourceType':'Basic','identifier':[{{'system':'urn:note','value':'{number}'}}],
          'code':{{'text':'x'}},'subject':{{'reference':'urn:uuid:{patient}'}}}}"
    );
    entry(
        &format!("urn:uuid:note{number}"),
        &resource,
        put(&format!("Basic?identifier=urn:note|{number}")),
    )
}

/// The id of the first resource of an answer.
fn first(applied: &Applied) -> String {
    applied.touched[0].id.clone()
}

fn apply(world: &World, entries: Vec<Entry>) -> Applied {
    world.apply(submission(entries)).unwrap()
}

fn person(world: &World, number: &str) -> String {
    first(&apply(world, vec![patient(number, "")]))
}

fn links(patient: &Value) -> Vec<(String, String)> {
    let links = patient.items_of("link").iter().map(|link| {
        let other = link.get("other").unwrap().str_of("reference").unwrap();
        (link.str_of("type").unwrap().to_owned(), other.to_owned())
    });
    links.collect()
}

fn link(kind: &str, id: &str) -> Vec<(String, String)> {
    vec![(kind.to_owned(), format!("Patient/{id}"))]
}

fn subject(world: &World, note: &str) -> String {
    let stored = world.read("Basic", note);
    let subject = stored.get("subject").unwrap();
    subject.str_of("reference").unwrap().to_owned()
}

fn who_speaks_of_the_old_number_means_the_survivor(database: &Database) {
    let world = World::open(database);
    let (old, new) = (person(&world, "1"), person(&world, "2"));
    let kept = first(&apply(&world, vec![note("a", "1"), patient("1", "")]));
    let merged = apply(&world, merge("1", "2"));
    assert_eq!(
        effects(&merged),
        [
            ("Patient", Effect::Updated, 2),
            ("Patient", Effect::Updated, 2),
            ("Basic", Effect::Updated, 2)
        ]
    );
    let (gone, survivor) = (world.read("Patient", &old), world.read("Patient", &new));
    assert_eq!(gone.get("active"), Some(&Value::from(false)));
    assert_eq!(links(&gone), link("replaced-by", &new));
    assert_eq!(links(&survivor), link("replaces", &old));
    let numbers = survivor.items_of("identifier");
    assert_eq!(numbers[1].str_of("value"), Some("1"));
    assert_eq!(numbers[1].str_of("use"), Some("old"));
    assert_eq!(subject(&world, &kept), format!("Patient/{new}"));
    // From now on.
    let later = apply(
        &world,
        vec![note("b", "1"), patient("1", ",'gender':'other'")],
    );
    let both = [
        ("Basic", Effect::Created, 1),
        ("Patient", Effect::Updated, 3),
    ];
    assert_eq!(effects(&later), both);
    assert_eq!(later.touched[1].id, new);
    assert_eq!(subject(&world, &first(&later)), format!("Patient/{new}"));
    let named = entry(
        "urn:uuid:c",
        "{'resourceType':'Basic','code':{'text':'x'},'subject':{'reference':'Patient?identifier=urn:mrn|1'}}",
        Request::Post,
    );
    let named = first(&apply(&world, vec![named]));
    assert_eq!(subject(&world, &named), format!("Patient/{new}"));
}

fn a_merge_is_done_once_however_often_it_is_told(database: &Database) {
    let world = World::open(database);
    // Of people who are not known yet.
    let merged = apply(&world, merge("1", "2"));
    let created = [
        ("Patient", Effect::Created, 1),
        ("Patient", Effect::Created, 1),
    ];
    assert_eq!(effects(&merged), created);
    let versions = world.count(database);
    let again = apply(&world, merge("1", "2"));
    let unchanged = [
        ("Patient", Effect::Unchanged, 1),
        ("Patient", Effect::Unchanged, 1),
    ];
    assert_eq!(effects(&again), unchanged);
    assert_eq!(world.count(database), versions);
}

fn a_merge_holds_however_late_it_comes(database: &Database) {
    let world = World::open(database);
    let say = |second, entries| world.apply(at(second, entries)).unwrap();
    let named = |number, name| patient(number, &format!(",'name':[{{'family':'{name}'}}]"));
    let old = first(&say(100, vec![named("1", "A")]));
    let new = first(&say(100, vec![named("2", "B")]));
    let mut late = merge("1", "2");
    for entry in &mut late {
        let name = named("3", "Late").resource.get("name").unwrap().clone();
        entry.resource.set("name", name);
    }
    say(50, late);
    let (gone, survivor) = (world.read("Patient", &old), world.read("Patient", &new));
    assert_eq!(links(&gone), link("replaced-by", &new));
    assert_eq!(gone.get("active"), Some(&Value::from(false)));
    assert_eq!(survivor.items_of("identifier").len(), 2);
    for (patient, name) in [(gone, "A"), (survivor, "B")] {
        assert_eq!(patient.items_of("name")[0].str_of("family"), Some(name));
    }
}

fn replacements_are_followed_to_the_end(database: &Database) {
    let world = World::open(database);
    let (_, _, last) = (
        person(&world, "1"),
        person(&world, "2"),
        person(&world, "3"),
    );
    apply(&world, merge("1", "2"));
    apply(&world, merge("2", "3"));
    let found = apply(&world, vec![patient("1", ",'gender':'male'")]);
    assert_eq!(effects(&found), [("Patient", Effect::Updated, 3)]);
    assert_eq!(first(&found), last);
}

fn nobody_is_replaced_by_themselves(database: &Database) {
    let world = World::open(database);
    let mut both = patient("1", "");
    let number = patient("2", "").resource.get("identifier").unwrap().clone();
    let numbers = both.resource.get_mut("identifier").unwrap();
    numbers
        .as_array_mut()
        .unwrap()
        .extend(number.as_array().unwrap().to_vec());
    let id = first(&apply(&world, vec![both]));
    let merged = apply(&world, merge("2", "1"));
    assert!(merged.issues[0].diagnostics.contains(&id));
    let stored = world.read("Patient", &id);
    assert_eq!(stored.get("active"), None);
}

fn two_who_were_taken_for_one_are_parted_again(database: &Database) {
    let world = World::open(database);
    let (old, new) = (person(&world, "1"), person(&world, "2"));
    apply(&world, merge("1", "2"));
    let part = |number: &str, other: &str| {
        let mut entry = patient(number, "");
        entry
            .deletes
            .push(format!("link[other.reference=urn:uuid:{other}]").into());
        entry
    };
    // However late.
    world
        .apply(at(200, vec![patient("1", ""), patient("2", "")]))
        .unwrap();
    world
        .apply(at(100, vec![part("1", "2"), part("2", "1")]))
        .unwrap();
    let (one, other) = (world.read("Patient", &old), world.read("Patient", &new));
    assert_eq!((links(&one), links(&other)), (vec![], vec![]));
    assert_eq!(one.get("active"), Some(&Value::from(true)));
    assert_eq!(other.items_of("identifier").len(), 1);
    for (number, id) in [("1", &old), ("2", &new)] {
        let found = apply(&world, vec![patient(number, ",'gender':'other'")]);
        assert_eq!(&first(&found), id);
    }
}

fn no_merge_moves_more_than_fits(database: &Database) {
    const NOTES: usize = 1_003;
    let world = World::open(database);
    let (_, new) = (person(&world, "1"), person(&world, "2"));
    let mut notes = vec![patient("1", "")];
    notes.extend((0..NOTES).map(|number| note(&number.to_string(), "1")));
    apply(&world, notes);
    let merged = apply(&world, merge("1", "2"));
    assert_eq!(merged.touched.len(), 2 + 1_000);
    assert!(
        merged.issues[0].diagnostics.starts_with("3 more"),
        "{merged:?}"
    );
    let rest = apply(&world, merge("1", "2"));
    assert_eq!(rest.touched.len(), 2 + 3);
    assert_eq!(
        database.number(&format!(
            "SELECT count(*) FROM search_reference WHERE target = '{new}' AND rid IN
             (SELECT rid FROM resources WHERE type = 'Basic')"
        )),
        1_003
    );
}

fn the_order_of_numbers_does_not_matter(database: &Database) {
    let world = World::open(database);
    let numbered = |numbers: &[(&str, &str)]| {
        let identifiers: Vec<String> = numbers
            .iter()
            .map(|(kind, value)| {
                format!("{{'type':{{'coding':[{{'code':'{kind}'}}]}},'system':'urn:mrn','value':'{value}'}}")
            })
            .collect();
        let resource = format!(
            "{{'resourceType':'Patient','identifier':[{}]}}",
            identifiers.join(",")
        );
        let asked = format!(
            "Patient?identifier=urn:mrn|{}",
            numbers[0].1.replace(',', "%5C%2C")
        );
        first(&apply(
            &world,
            vec![entry("urn:uuid:p", &resource, put(&asked))],
        ))
    };
    let one = numbered(&[("MR", "1"), ("PI", "a,b")]);
    assert_eq!(numbered(&[("PI", "9"), ("PI", "a,b")]), one);
    assert_eq!(numbered(&[("PI", "9"), ("MR", "x")]), one);
    // What is no record number tells nobody apart.
    let other = numbered(&[("SS", "5"), ("MR", "2")]);
    assert_ne!(numbered(&[("MR", "3"), ("SS", "5")]), other);
}
