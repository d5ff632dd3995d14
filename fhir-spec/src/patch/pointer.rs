//! JSON Pointer: the way to a place in a document. <https://www.rfc-editor.org/rfc/rfc6901>

use super::Problem;
use crate::json::{Data, Value};

/// A pointer, taken apart and unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    pub(super) tokens: Vec<String>,
}

impl Pointer {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let Some(rest) = text.strip_prefix('/') else {
            let problem = format!("a JSON Pointer is empty or begins with `/`, this is `{text}`");
            return Err(Problem::Malformed(problem));
        };
        let tokens = rest.split('/').map(unescaped).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// Whether `other` lies in what this points at, and is not just that.
    pub(super) fn holds(&self, other: &Self) -> bool {
        other.tokens.len() > self.tokens.len() && other.tokens.starts_with(&self.tokens)
    }

    pub(super) fn split_last(&self) -> Option<(&str, &[String])> {
        let (last, parents) = self.tokens.split_last()?;
        Some((last, parents))
    }
}

/// `~1` is a slash and `~0` a tilde.
fn unescaped(token: &str) -> Result<String, Problem> {
    let mut parts = token.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match part.split_at_checked(1) {
            Some(("0", rest)) => ('~', rest),
            Some(("1", rest)) => ('/', rest),
            _ => {
                let problem = format!("`~` must be followed by 0 or 1 in `{token}`");
                return Err(Problem::Malformed(problem));
            }
        };
        plain.push(character);
        plain.push_str(rest);
    }
    Ok(plain)
}

/// The place in a list that a token names: digits without a leading zero.
pub(super) fn index(token: &str) -> Option<usize> {
    let is_number = token == "0" || (!token.starts_with('0') && !token.is_empty());
    (is_number && token.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| token.parse().ok())
        .flatten()
}

pub(super) fn get<'v>(value: &'v Value, tokens: &[String]) -> Result<&'v Value, Problem> {
    let mut here = value;
    for token in tokens {
        let next = match &here.data {
            Data::Object(object) => object.get(token),
            Data::Array(items) => index(token).and_then(|index| items.get(index)),
            _ => None,
        };
        here = next.ok_or_else(|| missing(token, here))?;
    }
    Ok(here)
}

pub(super) fn get_mut<'v>(
    value: &'v mut Value,
    tokens: &[String],
) -> Result<&'v mut Value, Problem> {
    let mut here = value;
    for token in tokens {
        let problem = missing(token, here);
        let next = match &mut here.data {
            Data::Object(object) => object.get_mut(token),
            Data::Array(items) => index(token).and_then(|index| items.get_mut(index)),
            _ => None,
        };
        here = next.ok_or(problem)?;
    }
    Ok(here)
}

pub(super) fn missing(token: &str, parent: &Value) -> Problem {
    Problem::Target(match &parent.data {
        Data::Object(_) => format!("there is no member `{token}`"),
        Data::Array(items) => format!("there is no item `{token}` in a list of {}", items.len()),
        _ => format!("`{token}` cannot stand in {}", parent.kind()),
    })
}
