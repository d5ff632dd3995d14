//! XML Patch: changes to a document's XML, places told in a subset of XPath. <https://www.rfc-editor.org/rfc/rfc5261>
//!
//! It works on XML as such, so it lives apart from FHIR's tree: the resource is written as XML, changed, and read again.

mod select;
mod tree;

use self::select::{End, Selector, Spot};
use self::tree::{Attribute, Element, Node};
use super::{OPERATIONS_MAX, Problem, Refused};
use crate::definitions::Definitions;
use crate::json::Value;
use crate::outcome::Issue;
use crate::xml::pull::ELEMENT_DEPTH_MAX;

/// The resource with the patch applied. All or nothing.
pub fn apply_to_resource(
    resource: &Value,
    patch: &str,
    definitions: &Definitions,
) -> Result<Value, Vec<Issue>> {
    let document = crate::xml::write(resource, definitions).map_err(|issue| vec![issue])?;
    let patched = apply(&document, patch).map_err(|refused| vec![Issue::from(&refused)])?;
    crate::xml::read(patched.as_bytes(), definitions)
}

/// The XML document with the patch applied. All or nothing.
pub fn apply(document: &str, patch: &str) -> Result<String, Refused> {
    let mut document = tree::parse(document)?;
    let patch = tree::parse(patch)?;
    let root = patch.elements().next();
    let root = root.ok_or_else(|| Problem::malformed("expected a patch"))?;
    if root.elements().count() > OPERATIONS_MAX {
        let problem = format!("more than {OPERATIONS_MAX} operations");
        return Err(Problem::TooCostly(problem).into());
    }
    for (index, operation) in root.elements().enumerate() {
        let path = operation.attribute("sel").unwrap_or_default();
        operate(&mut document, operation, root)
            .map_err(|problem| problem.in_operation(index, path))?;
    }
    let roots = document.elements().count();
    if roots != 1 {
        let problem = format!("the document would have {roots} root elements");
        return Err(Problem::Target(problem).into());
    }
    Ok(tree::write(&document))
}

fn operate(document: &mut Element, operation: &Element, root: &Element) -> Result<(), Problem> {
    let text = operation
        .attribute("sel")
        .ok_or_else(|| Problem::malformed("expected an attribute `sel`"))?;
    let uri = |prefix: &str| {
        operation
            .declared(prefix)
            .or_else(|| root.declared(prefix))
            .map(str::to_owned)
    };
    let spot = Selector::parse(text, &uri)?.find(document)?;
    if spot.steps.len() + operation.depth() > ELEMENT_DEPTH_MAX {
        let problem = format!("nested deeper than {ELEMENT_DEPTH_MAX} elements");
        return Err(Problem::TooCostly(problem));
    }
    match &*operation.local {
        "add" => add(document, &spot, operation, &uri),
        "replace" => replace(document, &spot, operation),
        "remove" => remove(
            document,
            &spot,
            operation.attribute("ws").unwrap_or_default(),
        ),
        other => Err(Problem::malformed(format!(
            "`{other}` is no operation: expected add, replace or remove"
        ))),
    }
}

fn add(
    document: &mut Element,
    spot: &Spot,
    operation: &Element,
    uri: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    if let Some(kind) = operation.attribute("type") {
        return add_property(spot.element_mut(document)?, kind, operation, uri);
    }
    let content = operation.children.clone();
    match operation.attribute("pos").unwrap_or_default() {
        "" => spot.element_mut(document)?.children.extend(content),
        "prepend" => {
            let element = spot.element_mut(document)?;
            element.children.splice(0..0, content);
        }
        side @ ("before" | "after") => {
            let (parent, index) = spot.parent_mut(document)?;
            let at = index + usize::from(side == "after");
            parent.children.splice(at..at, content);
        }
        other => {
            return Err(Problem::malformed(format!(
                "`{other}` is no position: expected prepend, before or after"
            )));
        }
    }
    document.join_texts(&spot.steps);
    Ok(())
}

/// Adds an attribute or the declaration of a namespace.
fn add_property(
    element: &mut Element,
    kind: &str,
    operation: &Element,
    uri: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Problem> {
    let value = operation.text();
    if let Some(prefix) = kind.strip_prefix("namespace::") {
        if element.declared(prefix).is_some() {
            let problem = format!("the prefix `{prefix}` is declared already");
            return Err(Problem::Target(problem));
        }
        element.declarations.push((prefix.to_owned(), value));
        return Ok(());
    }
    let Some(name) = kind.strip_prefix('@') else {
        let problem = format!("`{kind}` is no type: expected `@name` or `namespace::prefix`");
        return Err(Problem::Malformed(problem));
    };
    let attribute = Attribute::named(name, value, uri)?;
    let stands = element
        .attributes
        .iter()
        .any(|other| other.is_like(&attribute));
    if stands {
        let problem = format!("the attribute `{name}` is already there");
        return Err(Problem::Target(problem));
    }
    element.attributes.push(attribute);
    Ok(())
}

fn replace(document: &mut Element, spot: &Spot, operation: &Element) -> Result<(), Problem> {
    match &spot.end {
        End::Attribute { uri, local } => {
            let element = spot.element_mut(document)?;
            let attribute = element.attribute_mut(uri, local);
            let attribute = attribute.ok_or_else(select::nothing)?;
            attribute.value = operation.text();
        }
        End::Namespace(prefix) => {
            let element = spot.element_mut(document)?;
            let mut declarations = element.declarations.iter_mut();
            let declaration = declarations.find(|(own, _)| own == prefix);
            declaration.ok_or_else(select::nothing)?.1 = operation.text();
        }
        End::Text(_) => *spot.node_mut(document)? = Node::Text(operation.text()),
        End::Element | End::Comment(_) | End::Instruction(_) => {
            let place = spot.node_mut(document)?;
            let alike =
                |node: &&Node| std::mem::discriminant(*node) == std::mem::discriminant(place);
            let mut content = operation.children.iter().filter(|node| !node.is_space());
            let (Some(new), None) = (content.next().filter(alike), content.next()) else {
                let problem = "expected one node of the same kind as content";
                return Err(Problem::malformed(problem));
            };
            *place = new.clone();
        }
    }
    Ok(())
}

fn remove(document: &mut Element, spot: &Spot, ws: &str) -> Result<(), Problem> {
    match &spot.end {
        End::Attribute { uri, local } => {
            let element = spot.element_mut(document)?;
            element
                .attributes
                .retain(|attribute| attribute.uri != *uri || attribute.local != *local);
        }
        End::Namespace(prefix) => {
            let element = spot.element_mut(document)?;
            element.declarations.retain(|(own, _)| own != prefix);
        }
        _ => {
            let (parent, index) = spot.parent_mut(document)?;
            parent.children.remove(index);
            let mut drop_space = |at: Option<usize>| {
                if let Some(at) = at
                    && parent.children.get(at).is_some_and(Node::is_space)
                {
                    parent.children.remove(at);
                }
            };
            match ws {
                "" => {}
                "after" => drop_space(Some(index)),
                "before" => drop_space(index.checked_sub(1)),
                "both" => {
                    drop_space(Some(index));
                    drop_space(index.checked_sub(1));
                }
                other => {
                    return Err(Problem::malformed(format!(
                        "`{other}` is no white space: expected before, after or both"
                    )));
                }
            }
            document.join_texts(&spot.steps);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
