//! FHIRPath Patch: changes told in a Parameters resource, places told in FHIRPath.
//! <https://hl7.org/fhir/R4/fhirpatch.html>
//!
//! Parameters read from XML and from JSON are the same tree, so both bodies work alike. An element that loses its last
//! content goes too: FHIR has no empty elements.

mod change;
mod request;
mod spot;
mod value;

use self::request::{Kind, Operation};
use self::spot::Spot;
use super::{OPERATIONS_MAX, Problem, Refused, depth};
use crate::definitions::Types;
use crate::fhirpath::{Context, ErrorKind, Expression, Item, Limits, Node};
use crate::json::{DEPTH_MAX, Value};

/// What one path may cost: a patch has many of them.
const PATH_STEPS_MAX: usize = 200_000;

/// The resource with the patch applied. All or nothing.
pub fn apply(resource: &Value, parameters: &Value, types: &Types) -> Result<Value, Refused> {
    let operations = request::operations(parameters, types)?;
    if operations.len() > OPERATIONS_MAX {
        let problem = format!("more than {OPERATIONS_MAX} operations");
        return Err(Problem::TooCostly(problem).into());
    }
    let mut document = resource.clone();
    for (index, operation) in operations.iter().enumerate() {
        let done = operate(&mut document, operation, types).and_then(|()| check_depth(&document));
        done.map_err(|problem| problem.in_operation(index, operation.path))?;
    }
    Ok(document)
}

fn check_depth(document: &Value) -> Result<(), Problem> {
    if depth(document) <= DEPTH_MAX {
        return Ok(());
    }
    let problem = format!("the document would nest deeper than {DEPTH_MAX} levels");
    Err(Problem::TooCostly(problem))
}

fn operate(document: &mut Value, operation: &Operation<'_>, types: &Types) -> Result<(), Problem> {
    match operation.kind {
        Kind::Add => {
            let name = operation.name()?;
            let owner = match select(document, operation.path, types)? {
                Selected::Root => Spot::root(document, types),
                Selected::One(spot) => Some(spot),
                other => return Err(other.not_one()),
            };
            let owner = owner.ok_or_else(|| Problem::target("the resource has no type of R4"))?;
            let object = owner.object_mut(document, types)?;
            value::add(types, object, owner.type_id, name, operation.value()?)
        }
        Kind::Insert => {
            let spot = list(document, operation.path, types)?;
            let (element, owner) = spot.element(types)?;
            let (name, new) = value::of(types, element, None, operation.value()?)?;
            if name != spot.property {
                let problem = format!("expected a value for `{}`", spot.property);
                return Err(Problem::Target(problem));
            }
            let object = spot.owner_mut(document)?;
            change::insert(object, owner, &name, operation.index()?, new)
        }
        Kind::Delete => match select(document, operation.path, types)? {
            Selected::None => Ok(()),
            Selected::One(spot) => change::delete(document, &spot),
            other => Err(other.not_one()),
        },
        Kind::Replace => match select(document, operation.path, types)? {
            Selected::One(spot) => replace(document, &spot, operation, types),
            other => Err(other.not_one()),
        },
        Kind::Move => {
            let spot = list(document, operation.path, types)?;
            let object = spot.owner_mut(document)?;
            let (from, to) = (operation.source()?, operation.destination()?);
            change::shift(object, &spot.property, from, to)
        }
    }
}

fn replace(
    document: &mut Value,
    spot: &Spot,
    operation: &Operation<'_>,
    types: &Types,
) -> Result<(), Problem> {
    let (element, owner) = spot.element(types)?;
    let (name, new) = value::of(types, element, None, operation.value()?)?;
    let object = spot.owner_mut(document)?;
    match spot.index {
        Some(index) => change::replace_item(object, &name, index, new),
        None => {
            change::remove_single(object, &spot.property);
            change::set_single(object, owner, &name, new);
        }
    }
    Ok(())
}

/// What a path found, as places that outlive the borrow of the document.
enum Selected {
    Root,
    One(Spot),
    None,
    Many(usize),
    /// A value that the expression made, or something outside of this document.
    Elsewhere,
}

impl Selected {
    fn not_one(&self) -> Problem {
        Problem::target(match self {
            Self::None => "the path finds nothing".to_owned(),
            Self::Many(count) => format!("the path finds {count} elements, expected one"),
            Self::Root => "the whole resource cannot be changed by a patch".to_owned(),
            Self::One(_) | Self::Elsewhere => {
                "the path leads to no element of this resource".to_owned()
            }
        })
    }
}

fn nodes<'v>(document: &'v Value, path: &str, types: &'v Types) -> Result<Vec<Item<'v>>, Problem> {
    let limits = Limits {
        steps_max: PATH_STEPS_MAX,
        ..Limits::DEFAULT
    };
    let context = Context::new(types, document).with_limits(limits);
    Expression::parse(path)
        .and_then(|expression| expression.evaluate(&context))
        .map_err(|error| match error.kind {
            ErrorKind::Syntax | ErrorKind::Semantic => Problem::Malformed(error.to_string()),
            ErrorKind::Execution => Problem::Target(error.to_string()),
            ErrorKind::Budget => Problem::TooCostly(error.to_string()),
        })
}

fn select(document: &Value, path: &str, types: &Types) -> Result<Selected, Problem> {
    let found = nodes(document, path, types)?;
    Ok(match found.as_slice() {
        [] => Selected::None,
        [Item::Node(node)] if is_whole(document, node) => Selected::Root,
        [Item::Node(node)] => {
            Spot::find(document, types, node).map_or(Selected::Elsewhere, Selected::One)
        }
        [_] => Selected::Elsewhere,
        many => Selected::Many(many.len()),
    })
}

fn is_whole(document: &Value, node: &Node<'_>) -> bool {
    node.value()
        .is_some_and(|value| std::ptr::eq(value, document))
}

/// The list that a path names as a whole. One that is still empty is named by its parent and its name.
fn list(document: &Value, path: &str, types: &Types) -> Result<Spot, Problem> {
    let found = nodes(document, path, types)?;
    let spot = match found.first() {
        Some(Item::Node(first)) => Spot::find(document, types, first),
        Some(_) => None,
        None => return empty_list(document, path, types),
    };
    let spot = spot.ok_or_else(|| Selected::Elsewhere.not_one())?;
    if !spot.element(types)?.0.is_list() {
        let problem = format!("`{}` is no list", spot.property);
        return Err(Problem::Target(problem));
    }
    if !spot.is_list_of(document, &found) {
        return Err(Problem::target("the path must name a whole list"));
    }
    Ok(spot)
}

fn empty_list(document: &Value, path: &str, types: &Types) -> Result<Spot, Problem> {
    let nothing = || Selected::None.not_one();
    let (parent, name) = path.rsplit_once('.').unwrap_or(("%resource", path));
    let owner = match select(document, parent, types)? {
        Selected::Root => Spot::root(document, types).ok_or_else(nothing)?,
        Selected::One(spot) => spot,
        other => return Err(other.not_one()),
    };
    match types.get(owner.type_id).property(name.trim()) {
        Some((element, kind)) if element.is_list() => Ok(Spot {
            owner: owner.steps(),
            owner_type: owner.type_id,
            property: kind.json_name.to_string(),
            type_id: kind.id,
            index: None,
        }),
        _ => Err(nothing()),
    }
}

#[cfg(test)]
mod tests;
