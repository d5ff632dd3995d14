//! JSON Patch. <https://www.rfc-editor.org/rfc/rfc6902>

use super::pointer::{self, Pointer, get, get_mut, missing};
use super::{OPERATIONS_MAX, Problem, Refused, depth};
use crate::json::{DEPTH_MAX, Data, Value};

/// How much the `copy` operations of a patch may add: repeated copies double a document.
pub const COPIED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The document with the patch applied. All or nothing.
pub fn apply(document: &Value, patch: &Value) -> Result<Value, Refused> {
    let operations = patch.as_array().ok_or_else(|| {
        Problem::malformed(format!(
            "a JSON Patch is an array of operations, this is {}",
            patch.kind()
        ))
    })?;
    if operations.len() > OPERATIONS_MAX {
        let problem = format!("more than {OPERATIONS_MAX} operations");
        return Err(Problem::TooCostly(problem).into());
    }
    let mut work = Work {
        document: document.clone(),
        copied_bytes: 0,
    };
    for (index, operation) in operations.iter().enumerate() {
        work.operation(operation).map_err(|problem| {
            problem.in_operation(index, operation.str_of("path").unwrap_or_default())
        })?;
    }
    Ok(work.document)
}

struct Work {
    document: Value,
    copied_bytes: usize,
}

impl Work {
    fn operation(&mut self, operation: &Value) -> Result<(), Problem> {
        if operation.as_object().is_none() {
            return Err(Problem::malformed(format!(
                "expected an operation, found {}",
                operation.kind()
            )));
        }
        let path = pointer_of(operation, "path")?;
        match text_of(operation, "op")? {
            "add" => self.add(&path, value_of(operation)?.clone()),
            "remove" => self.remove(&path).map(drop),
            "replace" => self.replace(&path, value_of(operation)?.clone()),
            "move" => {
                let from = pointer_of(operation, "from")?;
                if from.holds(&path) {
                    let problem = "a value cannot be moved into itself";
                    return Err(Problem::target(problem));
                }
                let value = self.remove(&from)?;
                self.add(&path, value)
            }
            "copy" => {
                let from = pointer_of(operation, "from")?;
                let value = get(&self.document, &from.tokens)?.clone();
                self.copied_bytes += weight(&value);
                if self.copied_bytes > COPIED_BYTES_MAX {
                    let problem = format!("more than {COPIED_BYTES_MAX} bytes copied");
                    return Err(Problem::TooCostly(problem));
                }
                self.add(&path, value)
            }
            "test" => self.test(&path, value_of(operation)?),
            other => Err(Problem::malformed(format!(
                "`{other}` is no operation: expected add, remove, replace, move, copy or test"
            ))),
        }
    }

    fn add(&mut self, path: &Pointer, value: Value) -> Result<(), Problem> {
        check_depth(path, &value)?;
        let Some((last, parents)) = path.split_last() else {
            self.document = value;
            return Ok(());
        };
        let parent = get_mut(&mut self.document, parents)?;
        let problem = missing(last, parent);
        match &mut parent.data {
            Data::Object(object) => object.set(last, value),
            Data::Array(items) => {
                let index = match last {
                    "-" => Some(items.len()),
                    _ => pointer::index(last).filter(|index| *index <= items.len()),
                };
                items.insert(index.ok_or(problem)?, value);
            }
            _ => return Err(problem),
        }
        Ok(())
    }

    fn remove(&mut self, path: &Pointer) -> Result<Value, Problem> {
        let Some((last, parents)) = path.split_last() else {
            return Err(Problem::target("the whole document cannot be removed"));
        };
        let parent = get_mut(&mut self.document, parents)?;
        let problem = missing(last, parent);
        let removed = match &mut parent.data {
            Data::Object(object) => object.remove(last),
            Data::Array(items) => pointer::index(last)
                .filter(|index| *index < items.len())
                .map(|index| items.remove(index)),
            _ => None,
        };
        removed.ok_or(problem)
    }

    fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), Problem> {
        check_depth(path, &value)?;
        *get_mut(&mut self.document, &path.tokens)? = value;
        Ok(())
    }

    fn test(&self, path: &Pointer, expected: &Value) -> Result<(), Problem> {
        let found = get(&self.document, &path.tokens)?;
        if is_equal(found, expected) {
            return Ok(());
        }
        Err(Problem::Test(match (&found.data, &expected.data) {
            (Data::Object(_), Data::Object(_)) | (Data::Array(_), Data::Array(_)) => {
                "the value there differs".to_owned()
            }
            _ => format!("expected {}, found {}", expected.kind(), found.kind()),
        }))
    }
}

fn text_of<'v>(operation: &'v Value, name: &str) -> Result<&'v str, Problem> {
    operation
        .str_of(name)
        .ok_or_else(|| Problem::malformed(format!("expected a member `{name}` with a string")))
}

fn pointer_of(operation: &Value, name: &str) -> Result<Pointer, Problem> {
    Pointer::parse(text_of(operation, name)?)
}

/// The member `value`, which may be null but not absent.
fn value_of(operation: &Value) -> Result<&Value, Problem> {
    operation
        .get("value")
        .ok_or_else(|| Problem::malformed("expected a member `value`"))
}

fn check_depth(path: &Pointer, value: &Value) -> Result<(), Problem> {
    if path.tokens.len() + depth(value) <= DEPTH_MAX {
        return Ok(());
    }
    let problem = format!("the document would nest deeper than {DEPTH_MAX} levels");
    Err(Problem::TooCostly(problem))
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match &value.data {
            Data::Number(text) | Data::String(text) => text.len(),
            Data::Array(items) => items.iter().map(weight).sum(),
            Data::Object(object) => object
                .iter()
                .map(|(name, value)| name.len() + weight(value))
                .sum(),
            Data::Null | Data::Bool(_) => 0,
        }
}

/// Equality as section 4.6 has it: the order of members says nothing, and 1 is 1.0.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (&left.data, &right.data) {
        (Data::Number(left), Data::Number(right)) => {
            left == right || magnitude(left).is_some_and(|left| magnitude(right) == Some(left))
        }
        (Data::Array(left), Data::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| is_equal(l, r))
        }
        (Data::Object(left), Data::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, l)| right.get(name).is_some_and(|r| is_equal(l, r)))
        }
        (left, right) => left == right,
    }
}

/// A number as its sign, its digits without zeros at the ends, and its power of ten: equal for equal numbers. None when
/// the power is beyond all sense.
fn magnitude(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let power = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(zeros)?;
    Some((is_negative, significant.to_owned(), power))
}

#[cfg(test)]
mod tests;
