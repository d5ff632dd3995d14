//! Pages of a search: they hold their place while others write, and their links are of one piece.
//! <https://hl7.org/fhir/R4/http.html#paging>

use std::collections::BTreeSet;

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{FORM, found, ids, link, patient, put, refused, target};

on_both_databases!(
    pages_survive_what_happens_meanwhile,
    pages_lead_back,
    the_last_page_is_one_step_away_where_that_is_cheap,
    links_are_of_one_piece,
    links_expire,
    a_long_search_has_short_links,
    a_place_between_long_values_has_a_short_link,
    a_page_ends_before_it_is_too_large,
);

fn pages_survive_what_happens_meanwhile(database: &Database) {
    let kiln = Kiln::start(database);
    let first: BTreeSet<String> = (0..20).map(|number| format!("p{number:02}")).collect();
    for number in 0..20 {
        put(kiln.address, &patient(number));
    }
    let mut come = 20;
    for sort in [
        "",
        "_sort=_id",
        "_sort=-_id",
        "_sort=_lastUpdated",
        "_sort=-_lastUpdated",
        "_sort=family",
        "_sort=-family",
        "_sort=birthdate,-family",
        "_sort=-birthdate",
        "_sort=-family,_lastUpdated&_id:not=none",
        "birthdate=ge1900&_sort=family",
    ] {
        let mut seen: Vec<String> = Vec::new();
        let mut next = Some(format!("/fhir/Patient?_count=3&{sort}"));
        while let Some(path) = next {
            let page = get(kiln.address, &path).json();
            let shown = ids(&page, "match");
            assert!(shown.len() <= 3);
            seen.extend(shown);
            next = link(&page, "next").map(|url| target(&url).to_owned());
            // Before, behind and beside the place, and what is shown already says something else.
            put(kiln.address, &patient(come));
            come += 1;
        }
        let unique: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(unique.len(), seen.len(), "{sort}: {seen:?}");
        let missed: Vec<&String> = first.difference(&unique).collect();
        let is_of_all = !sort.contains("birthdate=");
        assert!(!is_of_all || missed.is_empty(), "{sort}: {missed:?}");
        let with_birthdate = first
            .iter()
            .filter(|id| id.trim_start_matches('p').parse::<usize>().unwrap() % 4 != 3);
        assert!(
            with_birthdate
                .cloned()
                .collect::<BTreeSet<_>>()
                .is_subset(&unique),
            "{sort}"
        );
    }
    // What is changed to lie behind is met again there, and nothing else is lost by it.
    let page = found(kiln.address, "Patient?_count=10&_sort=_lastUpdated");
    let moved = ids(&page, "match")[0].clone();
    put(
        kiln.address,
        &format!(r#"{{"resourceType":"Patient","id":"{moved}","active":true}}"#),
    );
    let mut seen = ids(&page, "match");
    let mut next = link(&page, "next");
    while let Some(url) = next {
        let page = get(kiln.address, target(&url)).json();
        seen.extend(ids(&page, "match"));
        next = link(&page, "next");
    }
    assert_eq!(seen.len(), come + 1);
    assert_eq!(seen.last(), Some(&moved));
}

fn the_last_page_is_one_step_away_where_that_is_cheap(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..20 {
        put(kiln.address, &patient(number));
    }
    let follow = |url: &str| get(kiln.address, target(url)).json();
    for (query, rest) in [
        ("Patient?_count=8", 4),
        ("Patient?_count=10", 10),
        // Every fourth has no date of birth.
        ("Patient?birthdate=ge1900&_count=4&_total=accurate", 3),
        ("Patient?family=fox&_count=4&_total=accurate", 1),
    ] {
        let page = follow(&link(&found(kiln.address, query), "last").unwrap());
        let whole = query.replace("_count=", "_count=5");
        let whole = ids(&found(kiln.address, &whole), "match");
        assert_eq!(ids(&page, "match"), whole[whole.len() - rest..], "{query}");
        // Nothing is behind it; the way back leads to the beginning.
        assert_eq!((link(&page, "next"), link(&page, "previous")), (None, None));
        let first = follow(&link(&page, "first").unwrap());
        assert_eq!(link(&first, "first"), None);
        let whole = found(kiln.address, query);
        assert_eq!(ids(&first, "match"), ids(&whole, "match"));
        assert_eq!(page.get("total"), whole.get("total"));
    }
    for query in [
        "Patient?_count=20",
        "Patient?birthdate=ge1900&_count=4",
        "Patient?_count=8&_sort=family",
        "Patient?family=fox&_count=4&_total=estimate",
        "?_type=Patient,Observation&_count=8",
    ] {
        assert_eq!(link(&found(kiln.address, query), "last"), None, "{query}");
    }
}

fn pages_lead_back(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..10 {
        put(kiln.address, &patient(number));
    }
    let mut pages = vec![found(
        kiln.address,
        "Patient?_count=3&_sort=-birthdate&_total=accurate",
    )];
    assert_eq!(link(&pages[0], "previous"), None);
    while let Some(url) = link(pages.last().unwrap(), "next") {
        pages.push(get(kiln.address, target(&url)).json());
    }
    assert_eq!(pages.len(), 4);
    for page in &pages {
        assert_eq!(page.get("total").unwrap().as_u64(), Some(10));
        let own = get(kiln.address, target(&link(page, "self").unwrap())).json();
        assert_eq!(ids(&own, "match"), ids(page, "match"));
    }
    let shown = |page: &Value| ids(page, "match");
    for index in (1..4).rev() {
        let url = link(&pages[index], "previous").unwrap();
        let back = get(kiln.address, target(&url)).json();
        assert_eq!(shown(&back), shown(&pages[index - 1]));
        assert_eq!(link(&back, "previous").is_some(), index > 1);
        let first = link(&pages[index], "first").unwrap();
        assert_eq!(
            shown(&get(kiln.address, target(&first)).json()),
            shown(&pages[0])
        );
        assert!(link(&back, "next").is_some());
    }
    assert_eq!(link(&pages[3], "next"), None);
}

fn links_are_of_one_piece(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..4 {
        put(kiln.address, &patient(number));
    }
    let page = found(
        kiln.address,
        "Patient?_count=1&family=fox,elan,ant,nobodyofthisname&_sort=family",
    );
    let next = link(&page, "next").unwrap();
    let next = target(&next);
    assert!(
        !next.contains("nobodyofthisname") && !next.contains("family"),
        "{next}"
    );
    assert_eq!(get(kiln.address, next).status, 200);
    let token = next.strip_prefix("/fhir/Patient?_page=").unwrap();
    for place in (0..token.len()).step_by(37) {
        let mut bytes = token.as_bytes().to_vec();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let answer = get(kiln.address, &format!("/fhir/Patient?_page={changed}"));
        refused(&answer, "was changed");
    }
    for changed in [
        "",
        "x",
        "%00",
        token.split_at(1).1,
        &format!("{token}A"),
        &token.repeat(2),
    ] {
        let answer = get(kiln.address, &format!("/fhir/Patient?_page={changed}"));
        refused(&answer, "was changed");
    }
    let elsewhere = get(kiln.address, &format!("/fhir/Observation?_page={token}"));
    refused(
        &elsewhere,
        "is for a search at `Patient`, not at `Observation`",
    );
    let more = get(kiln.address, &format!("{next}&family=fox"));
    refused(&more, "not `family`");
    let xml = get(kiln.address, &format!("{next}&_format=xml"));
    assert_eq!(xml.header("Content-Type"), Some("application/fhir+xml"));
    // The next link asks for the same.
    assert!(xml.text().contains("&amp;_format=xml"), "{}", xml.text());
    // The same from another node, or after a restart.
    drop(kiln);
    let again = Kiln::start(database);
    assert_eq!(get(again.address, next).status, 200);
}

fn links_expire(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\npage_lifetime_s = 1\n");
    for number in 0..2 {
        put(kiln.address, &patient(number));
    }
    let next = link(&found(kiln.address, "Patient?_count=1"), "next").unwrap();
    let expired = loop {
        let answer = get(kiln.address, target(&next));
        if answer.status != 200 {
            break answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    refused(&expired, "has expired (page_lifetime_s)");
}

fn a_long_search_has_short_links(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..6 {
        put(kiln.address, &patient(number));
    }
    let many: Vec<String> = (0..1000).map(|number| format!("p{number:02}")).collect();
    let form = format!("_id={}&_sort=-_id&_count=2", many.join(","));
    let answer = send(
        kiln.address,
        "POST",
        "/fhir/Patient/_search",
        &[FORM],
        form.as_bytes(),
    );
    let mut page = answer.unwrap().json();
    let mut seen = ids(&page, "match");
    while let Some(next) = link(&page, "next") {
        assert!(next.len() < 2000, "{}", next.len());
        page = get(kiln.address, target(&next)).json();
        seen.extend(ids(&page, "match"));
    }
    assert_eq!(seen, ["p05", "p04", "p03", "p02", "p01", "p00"]);
    // The same search again keeps nothing more.
    let kept = || database.number("SELECT count(*) FROM long_searches");
    assert_eq!(kept(), 1);
    send(
        kiln.address,
        "POST",
        "/fhir/Patient/_search",
        &[FORM],
        form.as_bytes(),
    )
    .unwrap();
    assert_eq!(kept(), 1);
    // What is not kept any more is said to be so.
    let previous = link(&page, "previous").unwrap();
    database.execute("DELETE FROM long_searches");
    refused(
        &get(kiln.address, target(&previous)),
        "is not kept any more",
    );
}

fn a_page_ends_before_it_is_too_large(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\npage_bytes_max = 200000\n");
    // Small ones come many at a time, large ones each by itself; one that is too large alone is shown alone.
    let sizes = [
        1_000, 150_000, 1_000, 1_000, 300_000, 60_000, 60_000, 60_000, 60_000, 80_000,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        let text = "x".repeat(size);
        put(
            kiln.address,
            &format!(
                r#"{{"resourceType":"Basic","id":"b{number}","code":{{"text":"{text}"}},"subject":{{"reference":"Patient/p00"}}}}"#
            ),
        );
    }
    put(kiln.address, &patient(0));
    let walk = |first: &str, relation: &str, mode: &str| {
        let mut pages = Vec::new();
        let mut next = Some(format!("/fhir/{first}"));
        while let Some(path) = next {
            let answer = get(kiln.address, &path);
            assert!(answer.body.len() < 310_000);
            let page = answer.json();
            pages.push(ids(&page, mode).join(" "));
            next = link(&page, relation).map(|url| target(&url).to_owned());
        }
        pages
    };
    let expected = ["b0 b1 b2 b3", "b4", "b5 b6 b7", "b8 b9"];
    assert_eq!(
        walk("Basic?_count=100&_sort=_id", "next", "match"),
        expected
    );
    let along = "Patient?_revinclude=Basic:subject";
    let along = walk(along, "related", "include");
    if database.is_postgres() {
        // Several connections take their numbers in blocks, and that is the order here.
        let mut all: Vec<&str> = along.iter().flat_map(|page| page.split(' ')).collect();
        all.sort_unstable();
        assert_eq!(all, expected.join(" ").split(' ').collect::<Vec<_>>());
    } else {
        assert_eq!(along, expected);
    }
    let total = found(kiln.address, "Basic?_count=100&_sort=_id");
    assert_eq!(total.get("total").and_then(Value::as_u64), Some(10));
}

fn a_place_between_long_values_has_a_short_link(database: &Database) {
    let kiln = Kiln::start(database);
    let long = "long value \u{e9} ".repeat(100);
    for number in 0..6 {
        let text = |name: &str| format!(r#""{name}":"{} {long}{name}""#, number / 3);
        let texts = ["title", "publisher", "description"].map(text).join(",");
        let url = format!("http://example.org/{}", "x".repeat(1000));
        put(
            kiln.address,
            &format!(
                r#"{{"resourceType":"Questionnaire","id":"q{number}","status":"active","url":"{url}",{texts}}}"#
            ),
        );
    }
    let sort = "_sort=url,title,publisher,-description,-_id";
    let mut next = Some(format!("/fhir/Questionnaire?_count=1&{sort}"));
    let mut seen = Vec::new();
    let mut back = None;
    while let Some(path) = next {
        let page = get(kiln.address, &path).json();
        seen.extend(ids(&page, "match"));
        for relation in ["next", "previous", "first"] {
            let length = link(&page, relation).map_or(0, |url| url.len());
            assert!(length < 8 * 1024, "{relation}: {length}");
        }
        back = link(&page, "previous");
        next = link(&page, "next").map(|url| target(&url).to_owned());
    }
    assert_eq!(seen, ["q2", "q1", "q0", "q5", "q4", "q3"]);
    assert!(database.number("SELECT count(*) FROM long_searches") > 0);
    // As far as a link remembers it leads back, and then to the first page.
    let back = back.map(|url| get(kiln.address, target(&url)).json());
    assert!(back.is_none_or(|page| ids(&page, "match") == ["q4"]));
}
