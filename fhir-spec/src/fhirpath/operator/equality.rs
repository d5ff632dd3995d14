//! `=`, `~` and their negations. <http://hl7.org/fhirpath/N1/#equality>

use std::cmp::Ordering;

use crate::decimal;
use crate::fhirpath::ast::Operator;
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::node::Node;
use crate::fhirpath::quantity::{Quantity, Unit, are_equivalent};
use crate::json::{Data, Object, Value};
use crate::time::DateTime;

pub(in crate::fhirpath) fn compare<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    operator: Operator,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<Collection<'a>> {
    let answer = match operator {
        Operator::Equal => collections_equal(run, at, left, right)?,
        Operator::NotEqual => collections_equal(run, at, left, right)?.map(|equal| !equal),
        Operator::Equivalent => Some(collections_equivalent(run, at, left, right)?),
        _ => Some(!collections_equivalent(run, at, left, right)?),
    };
    Ok(answer.map(Item::Boolean).into_iter().collect())
}

/// Item by item, in order. Nothing when one side is empty or a pair cannot be decided.
fn collections_equal<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<Option<bool>> {
    if left.is_empty() || right.is_empty() {
        return Ok(None);
    }
    if left.len() != right.len() {
        return Ok(Some(false));
    }
    let mut is_known = true;
    for (left, right) in left.iter().zip(right) {
        match items_equal(run, at, left, right)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => is_known = false,
        }
    }
    Ok(is_known.then_some(true))
}

/// In any order.
fn collections_equivalent<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<bool> {
    if left.len() != right.len() {
        return Ok(false);
    }
    pair_up(left, right, |item, other| {
        items_equivalent(run, at, item, other)
    })
}

/// Whether each of the left has one of the right to itself that is the same, in whatever order.
fn pair_up<T>(
    left: &[T],
    right: &[T],
    mut is_same: impl FnMut(&T, &T) -> Result<bool>,
) -> Result<bool> {
    let mut unmatched: Vec<&T> = right.iter().collect();
    for item in left {
        let mut found = None;
        for (index, other) in unmatched.iter().enumerate() {
            if is_same(item, other)? {
                found = Some(index);
                break;
            }
        }
        match found {
            Some(index) => unmatched.swap_remove(index),
            None => return Ok(false),
        };
    }
    Ok(true)
}

/// Nothing when it cannot be known: dates of different precision, units of different kinds.
pub(in crate::fhirpath) fn items_equal<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: &Item<'a>,
    right: &Item<'a>,
) -> Result<Option<bool>> {
    run.spend(at, 1)?;
    let (left, right) = (run.system(left), run.system(right));
    if let (Item::Node(left), Item::Node(right)) = (&left, &right) {
        return nodes_equal(run, at, left, right).map(Some);
    }
    if let (Item::String(left), Item::String(right)) = (&left, &right) {
        run.spend_reading(at, left.len().min(right.len()))?;
    }
    Ok(values_equal(&left, &right))
}

fn values_equal(left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
    let is_equal = |ordering: Option<Ordering>| ordering.map(Ordering::is_eq);
    match (left, right) {
        (Item::Boolean(left), Item::Boolean(right)) => Some(left == right),
        (Item::String(left), Item::String(right)) => Some(**left == **right),
        (Item::Time(left), Item::Time(right)) => is_equal(left.compare(*right)),
        (Item::Type(left), Item::Type(right)) => Some(left == right),
        (Item::Quantity(left), Item::Quantity(right)) => is_equal(left.compare(right)),
        (Item::Quantity(quantity), number) | (number, Item::Quantity(quantity)) => {
            match number.number() {
                Some(value) => is_equal(quantity.compare(&Quantity {
                    value,
                    unit: Unit::one(),
                })),
                None => Some(false),
            }
        }
        _ => match (moment(left), moment(right), left.number(), right.number()) {
            (Some(left), Some(right), ..) => is_equal(left.compare(right)),
            (.., Some(left), Some(right)) => Some(left == right),
            _ => Some(false),
        },
    }
}

/// A date as the dateTime it begins.
pub(in crate::fhirpath) fn moment(item: &Item<'_>) -> Option<DateTime> {
    match item {
        Item::Date(date) => Some((*date).into()),
        Item::DateTime(date_time) => Some(*date_time),
        _ => None,
    }
}

pub(in crate::fhirpath) fn items_equivalent<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: &Item<'a>,
    right: &Item<'a>,
) -> Result<bool> {
    run.spend(at, 1)?;
    let (left, right) = (run.system(left), run.system(right));
    Ok(match (&left, &right) {
        (Item::Node(left), Item::Node(right)) => match (left.value(), right.value()) {
            (Some(left), Some(right)) => is_alike(run, at, left, right)?,
            (left, right) => left.is_none() && right.is_none(),
        },
        (Item::String(left), Item::String(right)) => {
            run.spend_reading(at, left.len().min(right.len()))?;
            texts_equivalent(left, right)
        }
        (Item::Quantity(left), Item::Quantity(right)) => left.is_equivalent(right),
        (Item::Quantity(quantity), number) | (number, Item::Quantity(quantity)) => {
            number.number().is_some_and(|value| {
                quantity.is_equivalent(&Quantity {
                    value,
                    unit: Unit::one(),
                })
            })
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => are_equivalent(left, right),
            _ => values_equal(&left, &right) == Some(true),
        },
    })
}

/// Case does not matter, and all white space counts as a blank.
fn texts_equivalent(left: &str, right: &str) -> bool {
    fn folded(text: &str) -> impl Iterator<Item = char> {
        let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
        text.chars().map(blank).flat_map(char::to_lowercase)
    }
    left == right || folded(left).eq(folded(right))
}

/// Elements with children are equal when all their children are; ids and extensions are children too.
fn nodes_equal(
    run: &mut Evaluator<'_, '_>,
    at: u32,
    left: &Node<'_>,
    right: &Node<'_>,
) -> Result<bool> {
    if left.is_same(right) {
        return Ok(true);
    }
    let sides_equal =
        |run: &mut Evaluator<'_, '_>, left: Option<&Value>, right: Option<&Value>| match (
            left, right,
        ) {
            (Some(left), Some(right)) => is_same(run, at, left, right),
            (left, right) => Ok(left.is_none() && right.is_none()),
        };
    Ok(sides_equal(run, left.value(), right.value())?
        && sides_equal(run, left.sibling(), right.sibling())?)
}

/// The same content: numbers by value, members in any order, lists in theirs. JSON nests to a bounded depth.
fn is_same(run: &mut Evaluator<'_, '_>, at: u32, left: &Value, right: &Value) -> Result<bool> {
    run.spend(at, 1)?;
    match (&left.data, &right.data) {
        (Data::Number(left), Data::Number(right)) => {
            Ok(left == right || numbers_equal(left, right))
        }
        (Data::Array(left), Data::Array(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right) {
                if !is_same(run, at, left, right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Data::Object(left), Data::Object(right)) => members_match(run, at, left, right, is_same),
        (Data::String(left), Data::String(right)) => {
            run.spend_reading(at, left.len().min(right.len()))?;
            Ok(left == right)
        }
        (left, right) => Ok(left == right),
    }
}

/// Equivalent content: texts without case, numbers to the lesser precision, lists in any order.
fn is_alike(run: &mut Evaluator<'_, '_>, at: u32, left: &Value, right: &Value) -> Result<bool> {
    run.spend(at, 1)?;
    match (&left.data, &right.data) {
        (Data::String(left), Data::String(right)) => {
            run.spend_reading(at, left.len().min(right.len()))?;
            Ok(texts_equivalent(left, right))
        }
        (Data::Number(left), Data::Number(right)) => Ok(left == right
            || decimal::parse(left)
                .zip(decimal::parse(right))
                .is_some_and(|(left, right)| are_equivalent(left, right))),
        (Data::Array(left), Data::Array(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            pair_up(left, right, |item, other| is_alike(run, at, item, other))
        }
        (Data::Object(left), Data::Object(right)) => members_match(run, at, left, right, is_alike),
        (left, right) => Ok(left == right),
    }
}

type Test = fn(&mut Evaluator<'_, '_>, u32, &Value, &Value) -> Result<bool>;

fn members_match(
    run: &mut Evaluator<'_, '_>,
    at: u32,
    left: &Object,
    right: &Object,
    test: Test,
) -> Result<bool> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (name, value) in left.iter() {
        match right.get(name) {
            Some(other) if test(run, at, value, other)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn numbers_equal(left: &str, right: &str) -> bool {
    decimal::parse(left)
        .zip(decimal::parse(right))
        .is_some_and(|(left, right)| left == right)
}
