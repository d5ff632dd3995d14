//! The narrative of FHIR as that of CDA.
//! <https://hl7.org/fhir/R4/narrative.html>

use std::collections::HashSet;

use quick_xml::escape::{escape, partial_escape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// What a `div` holds; nothing when it says nothing. Names that the document has already are left out.
pub(super) fn narrative(div: &str, ids: &mut HashSet<String>) -> Option<String> {
    let mut out = String::with_capacity(div.len());
    let mut open: Vec<&'static [&'static str]> = Vec::new();
    let mut says_something = false;
    let mut reader = Reader::from_str(div);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let tags = begin(&start, &open, ids, &mut out);
                open.push(tags);
            }
            Ok(Event::Empty(start)) => {
                let tags = begin(&start, &open, ids, &mut out);
                end(tags, &mut out);
            }
            Ok(Event::End(_)) => {
                if let Some(tags) = open.pop() {
                    end(tags, &mut out);
                }
            }
            Ok(Event::Text(text)) => {
                says_something |= !text.trim().is_empty();
                // Between the rows of a table there is nothing to say.
                let is_between = matches!(
                    open.iter().rev().find(|tags| !tags.is_empty()),
                    Some(&["table" | "thead" | "tbody" | "tr" | "list" | "table_body"])
                );
                if !(is_between && text.trim().is_empty()) {
                    out.push_str(&text);
                }
            }
            Ok(Event::CData(text)) => {
                says_something |= !text.trim().is_empty();
                out.push_str(&partial_escape(&*text));
            }
            Ok(Event::GeneralRef(name)) => {
                says_something = true;
                if let Some(letter) = super::super::narrative::letter(&name) {
                    out.push_str(&partial_escape(&*letter.to_string()));
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    while let Some(tags) = open.pop() {
        end(tags, &mut out);
    }
    says_something.then_some(out)
}

/// What the element of a narrative is called that says these words and no others.
pub(super) fn name_of(narrative: &str, words: &str) -> Option<String> {
    let said = format!(">{}<", partial_escape(words));
    let (before, _) = narrative.split_once(&*said)?;
    let tag = before.get(before.rfind('<')?..)?;
    let (_, id) = tag.split_once(" ID=\"")?;
    id.split('"').next().map(str::to_owned)
}

/// Opens what CDA has for an element of HTML, and says how it is closed.
fn begin(
    start: &BytesStart<'_>,
    open: &[&'static [&'static str]],
    ids: &mut HashSet<String>,
    out: &mut String,
) -> &'static [&'static str] {
    let name = start.local_name();
    let name = name.as_ref();
    let (tags, style): (&'static [&'static str], &str) = match name {
        "p" | "blockquote" | "pre" | "dt" | "dd" | "address" => (&["paragraph"], ""),
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => (&["paragraph"], "Bold"),
        "b" | "strong" => (&["content"], "Bold"),
        "i" | "em" | "cite" => (&["content"], "Italics"),
        "u" => (&["content"], "Underline"),
        "span" | "code" | "tt" | "small" | "big" | "q" => (&["content"], ""),
        "ul" | "ol" => (&["list"], ""),
        "li" => (&["item"], ""),
        "table" => (&["table"], ""),
        "thead" => (&["thead"], ""),
        "tbody" | "tfoot" => (&["tbody"], ""),
        "tr" if open.last() == Some(&["table"].as_slice()) => (&["tbody", "tr"], ""),
        "tr" => (&["tr"], ""),
        "th" => (&["th"], ""),
        "td" => (&["td"], ""),
        "caption" => (&["caption"], ""),
        "sub" => (&["sub"], ""),
        "sup" => (&["sup"], ""),
        "a" if start
            .attributes()
            .flatten()
            .any(|one| one.key.as_ref() == "href") =>
        {
            (&["linkHtml"], "")
        }
        "br" => (&["br"], ""),
        // What groups others has no home: its content has.
        _ => (&[], ""),
    };
    for (place, tag) in tags.iter().enumerate() {
        out.push('<');
        out.push_str(tag);
        if place + 1 == tags.len() {
            attributes(start, tag, style, ids, out);
            if name == "ol" {
                out.push_str(" listType=\"ordered\"");
            }
        }
        out.push('>');
    }
    tags
}

fn end(tags: &[&str], out: &mut String) {
    for tag in tags.iter().rev() {
        out.push_str("</");
        out.push_str(tag);
        out.push('>');
    }
}

fn attributes(
    start: &BytesStart<'_>,
    tag: &str,
    style: &str,
    ids: &mut HashSet<String>,
    out: &mut String,
) {
    let mut styles: Vec<String> = vec![style.to_owned()];
    for attribute in start.attributes().flatten() {
        let raw: &str = &attribute.value;
        let name = match attribute.key.as_ref() {
            "id" if tag != "br" && is_name(raw) && ids.insert(raw.to_owned()) => "ID",
            "class"
                if matches!(
                    tag,
                    "content" | "paragraph" | "list" | "item" | "table" | "tr" | "td" | "th"
                ) =>
            {
                styles.push(raw.to_owned());
                continue;
            }
            "colspan" if matches!(tag, "td" | "th") => "colspan",
            "rowspan" if matches!(tag, "td" | "th") => "rowspan",
            "href" if tag == "linkHtml" => "href",
            _ => continue,
        };
        out.push_str(&format!(" {name}=\"{}\"", raw.replace('"', "&quot;")));
    }
    styles.retain(|style| !style.is_empty());
    if !styles.is_empty() {
        out.push_str(&format!(" styleCode=\"{}\"", escape(&*styles.join(" "))));
    }
}

/// Whether XML takes it as the name of an element.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_narrative() {
        let mut ids = HashSet::from(["taken".to_owned()]);
        let made = narrative(
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><h2>T</h2><p id=\"taken\">a &lt; b<br/>c</p>\
             <table><tr id=\"r\"><td class=\"Bold\">1</td></tr></table><ol><li>x</li></ol><img src=\"y\"/></div>",
            &mut ids,
        );
        assert_eq!(
            made.unwrap(),
            "<paragraph styleCode=\"Bold\">T</paragraph><paragraph>a &lt; b<br></br>c</paragraph>\
             <table><tbody><tr ID=\"r\"><td styleCode=\"Bold\">1</td></tr></tbody></table><list listType=\"ordered\"><item>x</item></list>"
        );
        assert_eq!(narrative("<div><p> </p></div>", &mut ids), None);
    }
}
