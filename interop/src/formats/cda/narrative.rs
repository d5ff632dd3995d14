//! The narrative of sections: as XHTML that FHIR takes, and as the plain text that entries refer to.
//! <https://hl7.org/fhir/R4/narrative.html>

use std::borrow::Cow;

use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// The content of a section's text as a `div`; nothing when it says nothing.
pub(super) fn xhtml(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len() + 64);
    out.push_str("<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    let mut open: Vec<&'static str> = Vec::new();
    let mut says_something = false;
    let mut reader = Reader::from_str(inner);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let tag = tag(&start, &open);
                says_something |= tag == "img";
                begin(&mut out, &start, tag);
                out.push('>');
                open.push(tag);
            }
            Ok(Event::Empty(start)) => {
                let tag = tag(&start, &open);
                begin(&mut out, &start, tag);
                if tag == "br" {
                    out.push_str("/>");
                } else {
                    out.push_str("></");
                    out.push_str(tag);
                    out.push('>');
                }
            }
            Ok(Event::End(_)) => {
                if let Some(tag) = open.pop() {
                    out.push_str("</");
                    out.push_str(tag);
                    out.push('>');
                }
            }
            Ok(Event::Text(text)) => {
                says_something |= !text.trim().is_empty();
                out.push_str(&text);
            }
            Ok(Event::CData(text)) => {
                says_something |= !text.trim().is_empty();
                out.push_str(&escape(&*text));
            }
            Ok(Event::GeneralRef(name)) => {
                says_something = true;
                if let Some(letter) = letter(&name) {
                    out.push_str(&escape(&*letter.to_string()));
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    out.push_str("</div>");
    says_something.then_some(out)
}

/// What the document calls it, and what HTML does.
fn tag(start: &BytesStart<'_>, open: &[&'static str]) -> &'static str {
    match start.local_name().as_ref() {
        "paragraph" | "p" => "p",
        "list" if is_ordered(start) => "ol",
        "list" | "ul" => "ul",
        "ol" => "ol",
        "item" | "li" => "li",
        "caption" if open.last() == Some(&"table") => "caption",
        "caption" if matches!(open.last(), Some(&"ul" | &"ol")) => "li",
        "caption" => "b",
        "table" => "table",
        "thead" => "thead",
        "tbody" => "tbody",
        "tfoot" => "tfoot",
        "tr" => "tr",
        "th" => "th",
        "td" => "td",
        "col" => "col",
        "colgroup" => "colgroup",
        "br" => "br",
        "sub" => "sub",
        "sup" => "sup",
        "linkHtml" | "a" => "a",
        "text" | "div" => "div",
        _ => "span",
    }
}

fn is_ordered(start: &BytesStart<'_>) -> bool {
    let mut all = start.attributes().flatten();
    all.any(|attribute| attribute.key.as_ref() == "listType" && &*attribute.value == "ordered")
}

fn begin(out: &mut String, start: &BytesStart<'_>, tag: &str) {
    out.push('<');
    out.push_str(tag);
    for attribute in start.attributes().flatten() {
        let raw: &str = &attribute.value;
        let name = match attribute.key.as_ref() {
            "ID" | "id" if tag != "br" => "id",
            "styleCode" if tag != "br" && !raw.trim().is_empty() => "class",
            "colspan" if matches!(tag, "td" | "th") => "colspan",
            "rowspan" if matches!(tag, "td" | "th") => "rowspan",
            "href" if tag == "a" && is_harmless(raw) => "href",
            "name" if tag == "a" => "name",
            _ => continue,
        };
        if raw.is_empty() || raw.contains('<') {
            continue;
        }
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        out.push_str(&raw.replace('"', "&quot;"));
        out.push('"');
    }
}

/// A link that leads somewhere and runs nothing.
fn is_harmless(link: &str) -> bool {
    let link = link.trim();
    ["http://", "https://", "mailto:", "tel:", "#"]
        .iter()
        .any(|start| {
            link.get(..start.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        })
}

pub(super) fn letter(name: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(letter)) = name.resolve_char_ref() {
        return Some(letter);
    }
    Some(match &**name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The plain text of a piece of narrative: cells and items apart, spaces drawn together.
pub(super) fn plain(inner: &str) -> Cow<'_, str> {
    let trimmed = inner.trim();
    if !trimmed.contains(['<', '&', '\n', '\r', '\t']) && !trimmed.contains("  ") {
        return Cow::Borrowed(trimmed);
    }
    let mut text = String::with_capacity(trimmed.len());
    let mut reader = Reader::from_str(trimmed);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                if breaks(start.local_name().as_ref()) {
                    text.push(' ');
                }
            }
            Ok(Event::End(end)) => {
                if breaks(end.local_name().as_ref()) {
                    text.push(' ');
                }
            }
            Ok(Event::Text(part)) => text.push_str(&part),
            Ok(Event::CData(part)) => text.push_str(&part),
            Ok(Event::GeneralRef(name)) => text.extend(letter(&name)),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let mut made = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !made.is_empty() {
            made.push(' ');
        }
        made.push_str(word);
    }
    Cow::Owned(made)
}

fn breaks(name: &str) -> bool {
    !matches!(name, "content" | "sub" | "sup" | "linkHtml" | "footnoteRef")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrative_becomes_xhtml() {
        let made = xhtml(
            "<table border=\"1\"><caption>C</caption><tr ID=\"a\"><td styleCode=\"Bold\">1 &lt; 2</td></tr></table>\
             <list listType=\"ordered\"><caption>L</caption><item>x<br/>y</item></list>\
             <paragraph><linkHtml href=\"javascript:alert(1)\">no</linkHtml><linkHtml href=\"https://a.example\">yes</linkHtml></paragraph>\
             <renderMultiMedia referencedObject=\"M\"/><script>x</script>",
        );
        assert_eq!(
            made.unwrap(),
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><table><caption>C</caption><tr id=\"a\"><td class=\"Bold\">1 &lt; 2</td></tr></table>\
             <ol><li>L</li><li>x<br/>y</li></ol>\
             <p><a>no</a><a href=\"https://a.example\">yes</a></p>\
             <span></span><span>x</span></div>"
        );
        assert_eq!(xhtml(" <br/> <paragraph/>\n"), None);
    }

    #[test]
    fn narrative_becomes_text() {
        assert_eq!(
            plain("<td>a</td><td>b <content>c</content>d</td>"),
            "a b cd"
        );
        assert_eq!(plain("  5 &lt; 6\n  7"), "5 < 6 7");
    }
}
