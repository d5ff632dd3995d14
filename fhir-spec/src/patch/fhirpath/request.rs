//! The operations of a patch, read from Parameters.

use crate::definitions::{TypeId, Types};
use crate::json::Value;

use super::super::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Add,
    Insert,
    Delete,
    Replace,
    Move,
}

/// One operation; what it must have depends on its kind, and is asked for when it is needed.
#[derive(Debug)]
pub(super) struct Operation<'v> {
    pub(super) kind: Kind,
    pub(super) path: &'v str,
    name: Option<&'v str>,
    value: Option<Given<'v>>,
    index: Option<usize>,
    source: Option<usize>,
    destination: Option<usize>,
}

/// The value that a part brings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'v> {
    /// `valueQuantity`, and `_valueDate` beside a primitive.
    Typed {
        type_id: TypeId,
        value: Option<&'v Value>,
        beside: Option<&'v Value>,
    },
    /// An element that has no type of its own: its members one by one.
    Parts(&'v [Value]),
    Resource(&'v Value),
}

impl<'v> Operation<'v> {
    pub(super) fn name(&self) -> Result<&'v str, Problem> {
        self.name.ok_or_else(|| needed("name"))
    }

    pub(super) fn value(&self) -> Result<Given<'v>, Problem> {
        self.value.ok_or_else(|| needed("value"))
    }

    pub(super) fn index(&self) -> Result<usize, Problem> {
        self.index.ok_or_else(|| needed("index"))
    }

    pub(super) fn source(&self) -> Result<usize, Problem> {
        self.source.ok_or_else(|| needed("source"))
    }

    pub(super) fn destination(&self) -> Result<usize, Problem> {
        self.destination.ok_or_else(|| needed("destination"))
    }
}

fn needed(part: &str) -> Problem {
    Problem::Malformed(format!("this operation needs a part `{part}`"))
}

/// All operations, in order.
pub(super) fn operations<'v>(
    parameters: &'v Value,
    types: &Types,
) -> Result<Vec<Operation<'v>>, super::Refused> {
    if parameters.str_of("resourceType") != Some("Parameters") {
        let problem = "a FHIRPath Patch is a resource of type Parameters";
        return Err(Problem::malformed(problem).into());
    }
    let items = parameters.items_of("parameter").iter().enumerate();
    items
        .map(|(index, parameter)| {
            operation(parameter, types).map_err(|problem| problem.in_operation(index, ""))
        })
        .collect()
}

fn operation<'v>(parameter: &'v Value, types: &Types) -> Result<Operation<'v>, Problem> {
    if parameter.str_of("name") != Some("operation") {
        return Err(Problem::malformed("expected a parameter named `operation`"));
    }
    let mut kind = None;
    let mut path = None;
    let mut operation = Operation {
        kind: Kind::Add,
        path: "",
        name: None,
        value: None,
        index: None,
        source: None,
        destination: None,
    };
    for part in parameter.items_of("part") {
        let name = part.str_of("name").unwrap_or_default();
        match name {
            "type" => kind = Some(kind_of(text(part, name, types)?)?),
            "path" => path = Some(text(part, name, types)?),
            "name" => operation.name = Some(text(part, name, types)?),
            "value" => operation.value = Some(given(part, types)?),
            "index" => operation.index = Some(number(part, name, types)?),
            "source" => operation.source = Some(number(part, name, types)?),
            "destination" => operation.destination = Some(number(part, name, types)?),
            other => return Err(Problem::malformed(format!("unknown part `{other}`"))),
        }
    }
    operation.kind = kind.ok_or_else(|| needed("type"))?;
    operation.path = path.ok_or_else(|| needed("path"))?;
    Ok(operation)
}

fn kind_of(name: &str) -> Result<Kind, Problem> {
    Ok(match name {
        "add" => Kind::Add,
        "insert" => Kind::Insert,
        "delete" => Kind::Delete,
        "replace" => Kind::Replace,
        "move" => Kind::Move,
        other => {
            return Err(Problem::malformed(format!(
                "`{other}` is no operation: expected add, insert, delete, replace or move"
            )));
        }
    })
}

/// What a part brings: a typed value, parts, or a resource.
pub(super) fn given<'v>(part: &'v Value, types: &Types) -> Result<Given<'v>, Problem> {
    let definition = types.named("Parameters.parameter");
    let members = part.as_object().into_iter().flat_map(|part| part.iter());
    for (name, member) in members {
        let plain = name.strip_prefix('_').unwrap_or(name);
        let property = definition.and_then(|definition| definition.property(plain));
        match property {
            Some((element, kind)) if &*element.name == "value" => {
                let beside = compact_str::format_compact!("_{plain}");
                return Ok(Given::Typed {
                    type_id: kind.id,
                    value: part.get(plain),
                    beside: part.get(&beside),
                });
            }
            Some((element, _)) if &*element.name == "resource" => {
                return Ok(Given::Resource(member));
            }
            Some((element, _)) if &*element.name == "part" => {
                return Ok(Given::Parts(member.as_array().unwrap_or_default()));
            }
            _ => {}
        }
    }
    let name = part.str_of("name").unwrap_or_default();
    Err(Problem::malformed(format!(
        "the part `{name}` has no value"
    )))
}

fn text<'v>(part: &'v Value, name: &str, types: &Types) -> Result<&'v str, Problem> {
    match given(part, types)? {
        Given::Typed {
            value: Some(value), ..
        } => value.as_str(),
        _ => None,
    }
    .ok_or_else(|| Problem::malformed(format!("the part `{name}` must have a string")))
}

fn number(part: &Value, name: &str, types: &Types) -> Result<usize, Problem> {
    match given(part, types)? {
        Given::Typed {
            value: Some(value), ..
        } => value.as_number().and_then(|digits| digits.parse().ok()),
        _ => None,
    }
    .ok_or_else(|| Problem::malformed(format!("the part `{name}` must have a whole number from 0")))
}
