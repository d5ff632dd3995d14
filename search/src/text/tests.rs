//! The index asked as clients ask it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use fhir_spec::definitions::Definitions;

use super::*;
use crate::Registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let definitions = Definitions::r4().with_packages(Vec::new()).0;
    Registry::new(Arc::new(definitions))
});

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn directory(name: &str) -> Scratch {
    let path = std::env::temp_dir().join(format!("kiln-text-{name}-{}", std::process::id()));
    let _gone = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    Scratch(path)
}

fn condition(language: &str, narrative: &str, code: &str) -> Document {
    let text = format!(
        r#"{{"resourceType": "Condition", {language} "text": {{"div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">{narrative}</div>"}}, "code": {{"text": "{code}"}}}}"#
    );
    let resource = fhir_spec::json::parse(text.as_bytes()).unwrap();
    Document::of(&REGISTRY, &resource).unwrap()
}

fn sought(place: Place, text: &str) -> Sought {
    let wanted = Wanted::parse(text).unwrap();
    Sought { place, wanted }
}

fn rids(index: &TextIndex, sought: &Sought) -> Vec<i64> {
    let found = index.snapshot().find("Condition", sought, None, None, 100);
    let mut rids: Vec<i64> = found.unwrap().hits.iter().map(|hit| hit.rid).collect();
    rids.sort_unstable();
    rids
}

#[test]
fn text_is_found_as_it_is_asked_for() {
    let place = directory("asked");
    let index = TextIndex::open(&place.0).unwrap();
    let mut writer = index.writer().unwrap();
    let documents = [
        condition("", "bone metastases", "Cancer"),
        condition("", "liver metastases and pain", "Cholesterol raised"),
        condition(
            r#""language": "de","#,
            "Entzündungen der Leber",
            "Leberentzündung",
        ),
        condition(
            r#""language": "fr-CA","#,
            "opérations de l'hôpital",
            "Opéré",
        ),
        condition("", "pain in the liver", "COVID-19 pneumonia"),
    ];
    for (rid, document) in (1..).zip(documents) {
        writer.put(rid, Some(document)).unwrap();
    }
    writer.commit("one").unwrap();
    index.reload().unwrap();
    assert_eq!(index.mark().unwrap().as_deref(), Some("one"));
    for (text, wanted) in [
        ("(bone OR liver) and metastases", &[1, 2][..]),
        ("bones OR pains", &[1, 2, 5]),
        ("liver pain", &[2, 5]),
        ("\"liver pain\"", &[]),
        ("\"pain in the liver\"", &[5]),
        ("liver NOT metastases", &[5]),
        ("entzundung", &[3]),
        ("ENTZÜNDUNG", &[3]),
        ("operation", &[4]),
        ("opération hopital", &[4]),
        ("\"operation\"", &[]),
        ("metas* OR leb*", &[1, 2, 3]),
        ("cancer", &[]),
        ("bone OR NOT liver", &[1, 3, 4]),
    ] {
        assert_eq!(
            rids(&index, &sought(Place::Narrative, text)),
            wanted,
            "{text}"
        );
    }
    for (text, wanted) in [
        ("cancer", &[1][..]),
        ("cholesterol pain", &[2]),
        ("covid-19", &[5]),
    ] {
        assert_eq!(
            rids(&index, &sought(Place::Content, text)),
            wanted,
            "{text}"
        );
    }
    let path = REGISTRY
        .of("Condition")
        .unwrap()
        .parameter("code")
        .unwrap()
        .sources[0]
        .path;
    for (text, wanted) in [
        ("cholesterol", &[2][..]),
        ("chol", &[2]),
        ("metastases", &[]),
    ] {
        let mut sought = sought(Place::Beside(vec![path]), text);
        sought.wanted = sought.wanted.by_beginnings();
        assert_eq!(rids(&index, &sought), wanted, "{text}");
        sought.place = Place::Beside(vec![path + 1]);
        assert_eq!(rids(&index, &sought), Vec::<i64>::new());
    }
    let other = index.snapshot();
    let other = other.find("Patient", &sought(Place::Content, "pain"), None, None, 9);
    assert_eq!(other.unwrap().hits, []);
}

#[test]
fn what_changes_is_found_by_what_it_is_now() {
    let place = directory("changes");
    let index = TextIndex::open(&place.0).unwrap();
    let mut writer = index.writer().unwrap();
    let of = |text| sought(Place::Narrative, text);
    writer.put(7, Some(condition("", "first", ""))).unwrap();
    writer.commit("1").unwrap();
    index.reload().unwrap();
    assert_eq!(rids(&index, &of("first")), [7]);
    writer.put(7, Some(condition("", "second", ""))).unwrap();
    assert_eq!(rids(&index, &of("first")), [7], "not yet committed");
    writer.commit("2").unwrap();
    index.reload().unwrap();
    assert_eq!(rids(&index, &of("first")), Vec::<i64>::new());
    assert_eq!(rids(&index, &of("second")), [7]);
    assert!(matches!(index.writer(), Err(Error::Busy)));
    writer.put(7, None).unwrap();
    writer.commit("3").unwrap();
    writer.finish().unwrap();
    let again = TextIndex::open(&place.0).unwrap();
    assert_eq!(again.mark().unwrap().as_deref(), Some("3"));
    assert_eq!(again.snapshot().documents(), 0);
    again.check().unwrap();
}

/// A document that comes between two pages changes no rank on the second one.
#[test]
fn ranks_stay_what_they_are_when_statistics_are_carried() {
    let place = directory("ranks");
    let index = TextIndex::open(&place.0).unwrap();
    let mut writer = index.writer().unwrap();
    let put = |writer: &Writer, rids: std::ops::Range<i64>, text: &str| {
        for rid in rids {
            let more = "and ".repeat(usize::try_from(rid % 7).unwrap());
            let text = format!("{text} {more}");
            writer.put(rid, Some(condition("", &text, ""))).unwrap();
        }
    };
    put(&writer, 1..40, "liver pain");
    put(&writer, 40..50, "liver bone");
    writer.commit("1").unwrap();
    index.reload().unwrap();
    let sought = sought(Place::Narrative, "pain OR bone OR liver");
    let snapshot = index.snapshot();
    let statistics = snapshot.statistics(&sought).unwrap().to_text();
    let first = snapshot.find("Condition", &sought, Some(&statistics), None, 100);
    let first = first.unwrap().hits;
    assert!(
        first.iter().take(10).all(|hit| hit.rid >= 40),
        "what is rare counts more"
    );
    put(&writer, 50..200, "bone bone");
    writer.commit("2").unwrap();
    index.reload().unwrap();
    let snapshot = index.snapshot();
    let with = |statistics| {
        let found = snapshot
            .find("Condition", &sought, statistics, None, 1000)
            .unwrap();
        let old = found.hits.into_iter().filter(|hit| hit.rid < 50);
        old.collect::<Vec<_>>()
    };
    assert_eq!(with(Some(&statistics)), first);
    assert_ne!(with(None), first);
    let some = snapshot.find("Condition", &sought, None, None, 20).unwrap();
    assert!(some.is_cut && some.hits.len() == 20);
}

#[test]
fn too_many_beginnings_are_an_error() {
    let place = directory("beginnings");
    let index = TextIndex::open(&place.0).unwrap();
    let mut writer = index.writer().unwrap();
    let words: Vec<String> = (0..1_200).map(|n| format!("a{n:04}")).collect();
    let document = condition("", &words.join(" "), "");
    writer.put(1, Some(document)).unwrap();
    writer.commit("1").unwrap();
    index.reload().unwrap();
    let find = |text| {
        let sought = sought(Place::Narrative, text);
        index.snapshot().find("Condition", &sought, None, None, 9)
    };
    assert!(matches!(find("a*"), Err(Error::TooManyBeginnings(_))));
    assert_eq!(find("a00*").unwrap().hits.len(), 1);
}

/// Neither a flipped bit nor a file cut short goes unnoticed.
#[test]
fn damage_is_noticed() {
    let place = directory("damage");
    let index = TextIndex::open(&place.0).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .put(1, Some(condition("", "some words", "")))
        .unwrap();
    writer.commit("1").unwrap();
    writer.finish().unwrap();
    drop(index);
    let files: Vec<PathBuf> = std::fs::read_dir(&place.0)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e != "json" && e != "lock"))
        .collect();
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[0] ^= 1;
        for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
            std::fs::write(&file, damaged).unwrap();
            let noticed = TextIndex::open(&place.0).and_then(|index| index.check());
            assert!(noticed.is_err(), "{}", file.display());
        }
        std::fs::write(&file, whole).unwrap();
    }
    std::fs::write(place.0.join("meta.json"), "{").unwrap();
    assert!(TextIndex::open(&place.0).is_err());
}
