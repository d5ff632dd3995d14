//! Questions for the text index: how they are read, and what becomes of its answers.

use std::sync::Arc;

use search::condition::Condition;
use search::query::{Query, parse};
use search::sql::{Dialect, Page, count, select};
use search::text::{Place, Wanted};

use super::database::{Database, R4, STRICT, pairs};
use super::documents::{OBSERVATIONS, PATIENTS};

fn read(resource_type: &str, query: &str) -> Query {
    parse(&R4, resource_type, &pairs(query), STRICT).unwrap()
}

/// The resources that are found when the text index answers so.
fn found(resource_type: &str, query: &str, answer: &[i64]) -> Vec<i64> {
    let database = Database::of(&[PATIENTS, OBSERVATIONS].concat());
    let mut query = read(resource_type, query);
    for criterion in &mut query.criteria {
        let answered = criterion
            .condition
            .answer_text(resource_type, &mut |_, _| Ok::<_, ()>(Arc::from(answer)));
        answered.unwrap();
    }
    assert_eq!(query.asks_for_text(), None);
    let page = Page {
        after: None,
        limit: 100,
    };
    let found = database.run(&select(&query, Dialect::Sqlite, page));
    let length = i64::try_from(found.len()).unwrap();
    assert_eq!(database.run(&count(&query, Dialect::Sqlite)), [length]);
    found
}

#[test]
fn what_the_index_has_found_is_held_against_all_else() {
    let patients: Vec<i64> = (1..).take(PATIENTS.len()).collect();
    let others: Vec<i64> = found("Patient", "_text=NOT x", &[1, 2]);
    for (query, answer, wanted) in [
        ("_text=x", &[2, 3][..], &[2, 3][..]),
        ("_text=x", &[], &[]),
        (
            "_content=x&gender=male",
            &patients,
            &found("Patient", "gender=male", &[]),
        ),
        // Numbers that nobody has, and of another type.
        ("_text=x", &[1, 999], &[1]),
        ("_content=x", &[1, 7], &[1]),
        ("_text=NOT x", &[1, 2], &others),
        ("_id=anna&_text=x", &[2], &[]),
        ("_id=anna&_text=x", &[1, 2], &[1]),
    ] {
        assert_eq!(
            found("Patient", query, answer),
            wanted,
            "{query} {answer:?}"
        );
    }
    assert!(!others.contains(&1) && others.contains(&3));
    let of_anna = found("Observation", "subject=Patient/anna", &[]);
    assert!(!of_anna.is_empty());
    assert_eq!(
        found("Observation", "subject:Patient._text=x", &[1]),
        of_anna
    );
    let anna = found("Patient", "_has:Observation:subject:_content=x", &of_anna);
    assert_eq!(anna, [1]);
    let many: Vec<i64> = (1..=5_000).collect();
    assert_eq!(found("Patient", "_text=x", &many), patients);
}

#[test]
fn questions_are_read() {
    let text = |resource_type: &str, query: &str| {
        let query = read(resource_type, query);
        match &query.criteria[0].condition {
            Condition::Text(sought) => (**sought).clone(),
            other => panic!("{other:?}"),
        }
    };
    let word = |word: &str| Wanted::Word(word.into());
    assert_eq!(text("Patient", "_text=Bone").place, Place::Narrative);
    let two = text("Bundle", r"_content=bone,liver\, pain");
    assert_eq!(two.place, Place::Content);
    let liver = Wanted::All(vec![word("liver"), word("pain")]);
    assert_eq!(two.wanted, Wanted::Any(vec![word("bone"), liver]));
    let beside = text("Condition", "code:text=head").wanted;
    let beginning = Wanted::Beginning("head".into());
    assert_eq!(beside, Wanted::Any(vec![word("head"), beginning]));
    let narrowed = read("Observation", "patient:text=anna");
    assert!(matches!(&narrowed.criteria[0].condition, Condition::All(all) if all.len() == 2));
    assert_eq!(read("Patient", "gender=male").asks_for_text(), None);
    let chained = read("Observation", "subject:Patient.general-practitioner:text=x");
    assert_eq!(
        chained.asks_for_text(),
        Some("subject:Patient.general-practitioner:text")
    );
}

#[test]
fn what_is_not_understood_is_told() {
    let much = format!("_text={}", "a ".repeat(10_000));
    for (resource_type, query, told) in [
        (
            "Patient",
            "_text:exact=a",
            "`_text:exact`: there is no modifier `:exact` here",
        ),
        (
            "Patient",
            "_text=(a",
            "`_text`: the `(` at character 1 is not closed",
        ),
        (
            "Patient",
            "_text=\"a,b\"",
            "has no end (a comma within it is written `\\,`)",
        ),
        ("Patient", "_content=*", "stands behind no word"),
        ("Patient", "_content=a\0", "character of code 0"),
        ("Patient", "_content=\u{FFFD}", "no letter or digit"),
        ("Patient", "_content=", "a value is missing"),
        ("Patient", "_text=a,,b", "a value is missing"),
        ("Bundle", "_text=a", "`_text`: a Bundle has no narrative"),
        (
            "Patient",
            "gender:text=a",
            "`gender:text`: nothing of `gender` has a text beside it",
        ),
        (
            "Patient",
            "phone:text=a",
            "nothing of `phone` has a text beside it",
        ),
        ("Patient", "name:text=a", "a string has no modifier `:text`"),
        (
            "Patient",
            &much,
            "10000 words, 64 can be searched for at once",
        ),
    ] {
        let issues = parse(&R4, resource_type, &pairs(query), STRICT).unwrap_err();
        let diagnostics = issues[0].diagnostics.as_str();
        assert!(diagnostics.contains(told), "{query}: {diagnostics}");
    }
}
