//! What a sender says is no more: paths as maps write their targets, `telecom[system=phone, use=home].value`.

use fhir_spec::json::{Data, Object, Value};

/// Takes out what the path leads to; what is left empty goes with it.
pub(super) fn delete(object: &mut Object, path: &str) {
    let Some((step, deeper)) = first(path) else {
        return;
    };
    let Some(value) = object.get_mut(step.name) else {
        return;
    };
    let is_gone = match (&mut value.data, deeper) {
        (Data::Array(items), _) => {
            step.delete(items, deeper);
            items.is_empty()
        }
        (_, "") => true,
        (Data::Object(inner), _) => {
            delete(inner, deeper);
            inner.is_empty()
        }
        _ => false,
    };
    if is_gone {
        object.remove(step.name);
    }
    if deeper.is_empty() {
        object.remove(&format!("_{}", step.name));
    }
}

struct Step<'p> {
    name: &'p str,
    which: Which<'p>,
}

enum Which<'p> {
    /// Without brackets: of a list the first item.
    First,
    /// `[]`
    All,
    /// `[use=home]`
    Where(&'p str),
}

/// The first step, and what is behind it.
fn first(path: &str) -> Option<(Step<'_>, &str)> {
    let mut depth = 0usize;
    let end = path.char_indices().find(|(_, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        *c == '.' && depth == 0
    });
    let (step, deeper) = match end {
        Some((at, _)) => (path.get(..at)?, path.get(at + 1..)?),
        None => (path, ""),
    };
    let (name, which) = match step.split_once('[') {
        None => (step, Which::First),
        Some((name, inside)) => match inside.trim_end_matches(']').trim() {
            "" => (name, Which::All),
            wanted => (name, Which::Where(wanted)),
        },
    };
    (!name.is_empty()).then_some((Step { name, which }, deeper))
}

impl Step<'_> {
    fn delete(&self, items: &mut Vec<Value>, deeper: &str) {
        let mut place = 0;
        items.retain_mut(|item| {
            let is_meant = match self.which {
                Which::First => place == 0,
                Which::All => true,
                Which::Where(wanted) => wanted.split(',').all(|one| says(item, one)),
            };
            place += 1;
            if !is_meant {
                return true;
            }
            match (deeper, &mut item.data) {
                ("", _) => false,
                (_, Data::Object(inner)) => {
                    delete(inner, deeper);
                    !inner.is_empty()
                }
                _ => true,
            }
        });
    }
}

/// `use=home`, `type.coding.code="MR"`
fn says(item: &Value, wanted: &str) -> bool {
    let Some((path, wanted)) = wanted.split_once('=') else {
        return false;
    };
    let wanted = wanted.trim().trim_matches('"');
    let mut found = vec![item];
    for name in path.trim().split('.') {
        let name = name.split('[').next().unwrap_or_default();
        let next = found.iter().filter_map(|value| value.get(name));
        found = next
            .flat_map(|value| match value.as_array() {
                Some(items) => items.iter().collect(),
                None => vec![value],
            })
            .collect();
    }
    found.iter().any(|value| {
        let is_it = |text: &str| text == wanted;
        value.as_str().is_some_and(is_it) || value.as_number().is_some_and(is_it)
    })
}
