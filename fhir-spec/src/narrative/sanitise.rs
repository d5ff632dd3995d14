//! A narrative made safe for a page.
//!
//! Browsers read XHTML as HTML, where comments, CDATA and `<a/>` mean something else than in XML; so these are rewritten
//! too, and what is left means the same to both.

use std::borrow::Cow;

use super::allowed;
use crate::xml::attribute::Attribute;
use crate::xml::escape;
use crate::xml::pull::{Broken, Event, Pull, Space, Tag, XHTML};

/// Shown when nothing may be shown.
const NOTHING_LEFT: &str = "(this narrative has no content that may be shown)";

/// The narrative without what is not allowed. What is well-formed and allowed stays as it is written; a text that is not
/// even XML is shown as text, so that nothing of what it says is lost.
pub fn sanitise(div: &str) -> Cow<'_, str> {
    let cleaned = match clean(div) {
        Ok(cleaned) => cleaned,
        Err(_) => clean(&with_known_entities(div)).unwrap_or_else(|_| Cleaned::of_text(div)),
    };
    let text = cleaned.finish();
    if text == div {
        Cow::Borrowed(div)
    } else {
        Cow::Owned(text)
    }
}

/// What is written so far.
struct Cleaned {
    out: String,
    has_content: bool,
}

impl Cleaned {
    fn of_text(text: &str) -> Self {
        let mut cleaned = Self {
            out: format!("<div xmlns=\"{XHTML}\">"),
            has_content: false,
        };
        cleaned.push_text(text);
        cleaned.out.push_str("</div>");
        cleaned
    }

    fn push_text(&mut self, text: &str) {
        for character in text.chars().filter(|c| escape::is_character(*c)) {
            self.has_content |= !character.is_ascii_whitespace();
            match character {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                _ => self.out.push(character),
            }
        }
    }

    fn finish(self) -> String {
        if self.has_content {
            return self.out;
        }
        format!("<div xmlns=\"{XHTML}\">{NOTHING_LEFT}</div>")
    }
}

/// What becomes of an element that is open.
#[derive(Clone, Copy)]
enum Fate<'s> {
    /// Written, and closed by this name.
    Kept(&'s str),
    /// Written as `<br/>`; should something be in it, it comes after.
    Void,
    /// Its tags go, its content stays.
    Unwrapped,
    /// It goes with all that is in it.
    Dropped,
}

fn clean(div: &str) -> Result<Cleaned, Broken> {
    let mut pull = Pull::new(div)?;
    let mut cleaned = Cleaned {
        out: String::with_capacity(div.len()),
        has_content: false,
    };
    let mut open: Vec<Fate<'_>> = Vec::new();
    loop {
        let event = pull.next()?;
        let is_dropping = matches!(open.last(), Some(Fate::Dropped));
        match event {
            Event::Start(_) if is_dropping => open.push(Fate::Dropped),
            Event::Start(tag) => {
                let fate = fate(tag, open.is_empty());
                if let Fate::Kept(_) | Fate::Void = fate {
                    start(tag, &pull, open.is_empty(), &mut cleaned);
                }
                open.push(fate);
            }
            Event::End => {
                if let Some(Fate::Kept(name)) = open.pop() {
                    cleaned.out.push_str("</");
                    cleaned.out.push_str(name);
                    cleaned.out.push('>');
                }
            }
            Event::Text { raw, .. } if !is_dropping => {
                cleaned.has_content |= !raw.bytes().all(|byte| byte.is_ascii_whitespace());
                cleaned.out.push_str(raw);
            }
            Event::CData { text, .. } if !is_dropping => cleaned.push_text(text),
            Event::Aside | Event::Text { .. } | Event::CData { .. } => {}
            Event::Done => return Ok(cleaned),
        }
    }
}

fn fate<'s>(tag: Tag<'s>, is_root: bool) -> Fate<'s> {
    let is_html = matches!(tag.space, Space::Xhtml | Space::None);
    if is_root {
        // Whatever the root is, a div stands for it.
        return Fate::Kept("div");
    }
    if !is_html || allowed::is_active(tag.local) {
        return Fate::Dropped;
    }
    if allowed::is_void(tag.local) {
        return Fate::Void;
    }
    if allowed::is_element(tag.local) {
        return Fate::Kept(tag.local);
    }
    Fate::Unwrapped
}

/// Writes a start tag: as it is written when all of it may stay, else with the attributes that may.
fn start(tag: Tag<'_>, pull: &Pull<'_>, is_root: bool, cleaned: &mut Cleaned) {
    let name = if is_root { "div" } else { tag.local };
    let may_stay = |attribute: &&Attribute<'_>| allowed::objection(name, attribute).is_none();
    let kept = pull.attributes().iter().filter(may_stay);
    cleaned.has_content |= name == "img" && kept.clone().any(|attribute| attribute.local == "src");
    let is_void = allowed::is_void(name);
    let written = pull.slice(tag.at, pull.position());
    let stands_alone = if is_root {
        tag.space == Space::Xhtml && pull.declarations() == 1
    } else {
        pull.declarations() == 0
    };
    let is_good = tag.name == name
        && stands_alone
        && kept.clone().count() == pull.attributes().len()
        && written.ends_with("/>") == is_void;
    let out = &mut cleaned.out;
    if is_good {
        return out.push_str(written);
    }
    out.push('<');
    out.push_str(name);
    if is_root {
        out.push_str(&format!(" xmlns=\"{XHTML}\""));
    }
    for attribute in kept {
        let is_xml = attribute.space == Space::Xml;
        out.push_str(if is_xml { " xml:" } else { " " });
        out.push_str(attribute.local);
        out.push_str("=\"");
        out.push_str(&attribute.raw.replace('"', "&quot;"));
        out.push('"');
    }
    out.push_str(if is_void { "/>" } else { ">" });
}

/// The text with HTML's own entities written as the characters they mean, and every other `&` as `&amp;`: people put
/// `&nbsp;` into narratives, where XML does not know it.
fn with_known_entities(div: &str) -> String {
    const LONGEST: usize = 10;
    let mut out = String::with_capacity(div.len());
    let mut rest = div;
    while let Some((plain, after)) = rest.split_once('&') {
        out.push_str(plain);
        rest = after;
        // No further than a name may reach: a text of nothing but `&` would be searched to its end for each.
        let near = after.as_bytes().iter().take(LONGEST + 1);
        let end = near.copied().position(|byte| byte == b';');
        let name = end.and_then(|end| after.get(..end)).unwrap_or_default();
        if let Some(character) = html_entity(name) {
            out.push(character);
            rest = after.split_once(';').map_or(after, |(_, rest)| rest);
        } else if escape::reference(name).is_ok() {
            out.push('&');
        } else {
            out.push_str("&amp;");
        }
    }
    out.push_str(rest);
    out.chars().filter(|c| escape::is_character(*c)).collect()
}

/// Those that people type. <https://www.w3.org/TR/html4/sgml/entities.html>
fn html_entity(name: &str) -> Option<char> {
    Some(match name {
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "deg" => '°',
        "plusmn" => '±',
        "micro" => 'µ',
        "middot" => '·',
        "bull" => '•',
        "times" => '×',
        "frac12" => '½',
        "sup2" => '²',
        "sup3" => '³',
        "le" => '≤',
        "ge" => '≥',
        "ne" => '≠',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "rarr" => '→',
        "larr" => '←',
        "euro" => '€',
        "pound" => '£',
        "alpha" => 'α',
        "beta" => 'β',
        "gamma" => 'γ',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        _ => return None,
    })
}
