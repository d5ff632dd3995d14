//! Searches of every kind, each checked against what the generator knows.

mod truth;

use std::collections::BTreeSet;

use fhir_spec::json::{Value, parse};

use super::Known;
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::Dice;
use crate::report::say;
use crate::wire::Connection;
use truth::{Ask, Truth};

const CONNECTIONS: usize = 8;
/// Questions of each kind, and how many of them are walked to the end and compared.
const QUESTIONS: usize = 200;
const COMPARED: usize = 12;
const PAGE: usize = 100;
const PAGES: usize = 10;

/// A question with what must come back.
struct Question {
    path: String,
    /// `Type/id` of all matches and all that they bring along.
    wanted: BTreeSet<String>,
    /// None: nothing is said about it.
    total: Option<u64>,
}

/// A kind of search: name, what it may cost in microseconds of CPU, how a question of it comes about.
type Kind = (&'static str, Option<f64>, Ask);

const KINDS: &[Kind] = &[
    ("search by identifier", Some(50.0), |truth, dice| {
        truth.identifier(dice)
    }),
    ("search by family name", None, |truth, dice| {
        truth.family(dice)
    }),
    (
        "search by patient, code and dates, sorted",
        Some(150.0),
        |truth, dice| truth.dates(dice),
    ),
    (
        "search by a patient's name (chain)",
        Some(400.0),
        |truth, dice| truth.chain(dice),
    ),
    ("search by a rare code (_has)", None, |truth, dice| {
        truth.has(dice)
    }),
    ("search with _include", None, |truth, dice| {
        truth.include(dice)
    }),
    ("search with _revinclude", None, |truth, dice| {
        truth.revinclude(dice)
    }),
    ("search for a count", Some(50.0), |truth, dice| {
        truth.count(dice)
    }),
];

pub(super) fn run(bench: &mut Bench, known: &Known) -> Fallible<()> {
    if !bench.offers(Some("Observation"), "search-type") || known.begins.is_empty() {
        bench.skip("searches");
        return Ok(());
    }
    let truth = Truth::new(bench.arguments.seed, known);
    for (name, cpu_us_goal, ask) in KINDS {
        let mut dice = Dice::new(bench.arguments.seed);
        let questions = (0..QUESTIONS).map(|_| ask(&truth, &mut dice));
        let questions = questions.collect::<Fallible<Vec<Question>>>()?;
        for question in questions.iter().take(COMPARED) {
            let mut connection = bench.connect()?;
            check(&mut connection, question)
                .map_err(|problem| format!("{name}: {}: {problem}", question.path))?;
            bench.report.checked += 1;
        }
        say(&format!(
            "{name}: {COMPARED} answers are complete and hold nothing else"
        ));
        bench.measure(workload(name, "requests", *cpu_us_goal), |round, index| {
            let seed = (u64::from(round) << 32) | u64::try_from(index).unwrap_or(0);
            let (questions, mut dice) = (&questions, Dice::new(seed));
            move |connection: &mut Connection| {
                let question = dice.pick(questions).ok_or("no questions")?;
                let answer = connection.get(&question.path)?.expect(200)?;
                if answer.text().contains(r#""type":"searchset""#) {
                    Ok(Some(1))
                } else {
                    Err(format!("{} was answered by {}", question.path, answer.text()).into())
                }
            }
        })?;
    }
    pages(bench, &truth)
}

fn workload(name: &str, unit: &'static str, cpu_us_goal: Option<f64>) -> Workload {
    Workload {
        name: name.to_owned(),
        unit,
        connections: CONNECTIONS,
        baseline: Baseline::Bare,
        ratio_goal: None,
        cpu_us_goal,
    }
}

fn check(connection: &mut Connection, question: &Question) -> Fallible<()> {
    let Found {
        matches,
        brought,
        total,
    } = walk(connection, &question.path, usize::MAX)?;
    if let (Some(wanted), Some(total)) = (question.total, total)
        && wanted != total
    {
        return Err(format!("{total} are counted, not {wanted}").into());
    }
    let mut set: BTreeSet<String> = matches.iter().cloned().collect();
    if set.len() != matches.len() {
        return Err("something matches twice".into());
    }
    set.extend(brought);
    if set == question.wanted {
        return Ok(());
    }
    let lost: Vec<_> = question.wanted.difference(&set).take(3).collect();
    let strange: Vec<_> = set.difference(&question.wanted).take(3).collect();
    Err(format!("lost {lost:?}, strange {strange:?}").into())
}

/// `Type/id` of what is on the pages, and the total of the first.
#[derive(Default)]
struct Found {
    matches: Vec<String>,
    brought: Vec<String>,
    total: Option<u64>,
}

/// Goes from page to page.
fn walk(connection: &mut Connection, path: &str, pages_max: usize) -> Fallible<Found> {
    let mut found = Found::default();
    let mut next = Some(path.to_owned());
    for page in 0..pages_max {
        let Some(path) = next.take() else {
            break;
        };
        let bundle = parse(connection.get(&path)?.expect(200)?.body)?;
        if page == 0 {
            found.total = bundle.get("total").and_then(Value::as_u64);
        }
        for entry in bundle.items_of("entry") {
            let resource = entry.get("resource").ok_or("an entry without a resource")?;
            let kind = resource.str_of("resourceType").unwrap_or_default();
            let path = format!("{kind}/{}", resource.str_of("id").unwrap_or_default());
            match entry.get("search").and_then(|search| search.str_of("mode")) {
                Some("match") => found.matches.push(path),
                _ => found.brought.push(path),
            }
        }
        let mut links = bundle.items_of("link").iter();
        let link = links.find(|link| link.str_of("relation") == Some("next"));
        let url = link.and_then(|link| link.str_of("url"));
        next = url.and_then(|url| Some(format!("/fhir{}", url.split_once("/fhir")?.1)));
    }
    Ok(found)
}

/// Ten pages of a hundred, one after the other.
fn pages(bench: &mut Bench, truth: &Truth<'_>) -> Fallible<()> {
    let path = Truth::many(PAGE);
    let there = usize::try_from(truth.heart_rates()).unwrap_or(usize::MAX);
    let full = PAGES.min(there / PAGE);
    bench.measure(
        workload("walk through pages of 100", "pages", None),
        |_, _| {
            let path = &path;
            move |connection: &mut Connection| {
                let found = walk(connection, path, full)?;
                let set: BTreeSet<&String> = found.matches.iter().collect();
                if set.len() == full * PAGE {
                    Ok(Some(u64::try_from(full).unwrap_or(0)))
                } else {
                    Err(format!("{path}: {} resources on {full} pages", set.len()).into())
                }
            }
        },
    )
}
