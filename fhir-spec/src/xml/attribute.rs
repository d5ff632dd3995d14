//! The attributes of a start tag. <https://www.w3.org/TR/xml/#NT-Attribute>

use super::escape;
use super::pull::{Broken, Space, offset};

/// How many attributes an element may have: narrative tables use a handful.
pub(crate) const ATTRIBUTES_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'s> {
    pub(crate) prefix: &'s str,
    pub(crate) local: &'s str,
    pub(crate) space: Space,
    /// As it is written between the quotes.
    pub(crate) raw: &'s str,
    pub(crate) at: u32,
}

impl<'s> Attribute<'s> {
    pub(crate) fn is_declaration(&self) -> bool {
        self.declared_prefix().is_some()
    }

    /// The prefix that it binds to a namespace: empty for the default one.
    pub(crate) fn declared_prefix(&self) -> Option<&'s str> {
        match (self.prefix, self.local) {
            ("", "xmlns") => Some(""),
            ("xmlns", prefix) => Some(prefix),
            _ => None,
        }
    }

    /// The value as XML means it.
    pub(crate) fn value(&self) -> Result<std::borrow::Cow<'s, str>, Broken> {
        escape::attribute(self.raw).map_err(|problem| Broken::new(self.at, problem))
    }
}

/// Most prefixes are empty. Comparing two empty texts goes through `memcmp` with addresses of nothing, which costs some
/// processors over 100 ns (masked loads that fault): it took a third of the time of reading XML.
pub(crate) fn is_same_prefix(left: &str, right: &str) -> bool {
    left.is_empty() == right.is_empty() && (left.is_empty() || left == right)
}

/// Splits the inside of a start tag into its name and the rest.
pub(crate) fn split_name(inner: &str) -> (&str, &str) {
    let end = inner.bytes().position(escape::is_space);
    inner
        .split_at_checked(end.unwrap_or(inner.len()))
        .unwrap_or_default()
}

/// Reads the attributes of a tag, `text` being what follows its name.
pub(crate) fn scan<'s>(
    text: &'s str,
    text_at: u32,
    attributes: &mut Vec<Attribute<'s>>,
) -> Result<(), Broken> {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let at = text_at + offset(text.len() - trimmed.len());
        if trimmed.is_empty() {
            return Ok(());
        }
        if trimmed.len() == rest.len() {
            return Err(Broken::new(at, "expected a space between attributes"));
        }
        if attributes.len() >= ATTRIBUTES_MAX {
            return Err(Broken::new(
                at,
                format!("more than {ATTRIBUTES_MAX} attributes in one element"),
            ));
        }
        let Some((name, raw, after)) = one(trimmed) else {
            return Err(Broken::new(at, "expected an attribute as name=\"value\""));
        };
        if raw.contains('<') {
            return Err(Broken::new(at, "`<` in an attribute must be written &lt;"));
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if attributes
            .iter()
            .any(|other| other.local == local && is_same_prefix(other.prefix, prefix))
        {
            return Err(Broken::new(
                at,
                format!("the attribute `{name}` stands twice in the same element"),
            ));
        }
        attributes.push(Attribute {
            prefix,
            local,
            space: Space::None,
            raw,
            at,
        });
        rest = after;
    }
}

/// Name, value and what follows.
fn one(text: &str) -> Option<(&str, &str, &str)> {
    let equals = text.bytes().position(|byte| byte == b'=')?;
    let (name, rest) = text.split_at_checked(equals)?;
    let space = [' ', '\t', '\r', '\n'];
    let name = name.trim_end_matches(space);
    if !escape::is_name(name) {
        return None;
    }
    let rest = rest.strip_prefix('=')?.trim_start_matches(space);
    let quote = rest
        .bytes()
        .next()
        .filter(|byte| matches!(byte, b'"' | b'\''))?;
    let inside = rest.get(1..)?;
    let end = inside.bytes().position(|byte| byte == quote)?;
    Some((name, inside.get(..end)?, inside.get(end + 1..)?))
}
