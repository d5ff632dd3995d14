//! The elements, attributes, links and styles that a narrative may have.
//!
//! The lists are those of the invariant `txt-1` (its XPath form names them one by one), and what the chapters of HTML 4.0
//! that its prose names add to it: address, bdo, kbd, client-side image maps, `xml:lang`.

use crate::xml::attribute::Attribute;
use crate::xml::pull::Space;

/// Whether an element stands in the middle of a line, even of a word.
pub(super) fn is_within_a_line(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "acronym"
            | "b"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "dfn"
            | "em"
            | "i"
            | "kbd"
            | "q"
            | "samp"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "tt"
            | "var"
    )
}

pub(super) fn is_element(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "acronym"
            | "address"
            | "area"
            | "b"
            | "bdo"
            | "big"
            | "blockquote"
            | "br"
            | "caption"
            | "cite"
            | "code"
            | "col"
            | "colgroup"
            | "dd"
            | "dfn"
            | "div"
            | "dl"
            | "dt"
            | "em"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "i"
            | "img"
            | "kbd"
            | "li"
            | "map"
            | "ol"
            | "p"
            | "pre"
            | "q"
            | "samp"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "tt"
            | "ul"
            | "var"
    )
}

/// Elements that never have content: HTML writes no end tag for them.
pub(super) fn is_void(name: &str) -> bool {
    matches!(name, "area" | "br" | "col" | "hr" | "img")
}

/// Elements whose content is not for reading: it goes with them.
pub(super) fn is_active(name: &str) -> bool {
    [
        "applet",
        "audio",
        "canvas",
        "embed",
        "frame",
        "frameset",
        "head",
        "iframe",
        "math",
        "meta",
        "link",
        "base",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "plaintext",
        "script",
        "select",
        "style",
        "svg",
        "template",
        "textarea",
        "title",
        "video",
        "xmp",
    ]
    .iter()
    .any(|active| name.eq_ignore_ascii_case(active))
}

fn is_attribute(name: &str) -> bool {
    matches!(
        name,
        "abbr"
            | "accesskey"
            | "align"
            | "alt"
            | "axis"
            | "bgcolor"
            | "border"
            | "cellhalign"
            | "cellpadding"
            | "cellspacing"
            | "cellvalign"
            | "char"
            | "charoff"
            | "charset"
            | "cite"
            | "class"
            | "colspan"
            | "compact"
            | "coords"
            | "dir"
            | "frame"
            | "headers"
            | "height"
            | "href"
            | "hreflang"
            | "hspace"
            | "id"
            | "ismap"
            | "lang"
            | "longdesc"
            | "name"
            | "nohref"
            | "nowrap"
            | "rel"
            | "rev"
            | "rowspan"
            | "rules"
            | "scope"
            | "shape"
            | "span"
            | "src"
            | "start"
            | "style"
            | "summary"
            | "tabindex"
            | "title"
            | "type"
            | "usemap"
            | "valign"
            | "value"
            | "vspace"
            | "width"
    )
}

/// Why an attribute of an element is not allowed.
pub(super) fn objection(element: &str, attribute: &Attribute<'_>) -> Option<String> {
    let name = attribute.local;
    let is_known = match attribute.space {
        Space::None => is_attribute(name),
        // XHTML itself declares `xml:space` on `pre`.
        Space::Xml => name == "lang" || (name == "space" && element == "pre"),
        _ => false,
    };
    if !is_known {
        let name = shortened(name);
        return Some(format!(
            "the attribute `{name}` is not allowed in a narrative"
        ));
    }
    let is_link = matches!(name, "href" | "src" | "cite" | "longdesc" | "usemap");
    if !is_link && name != "style" {
        return None;
    }
    let value = attribute.value().unwrap_or_default();
    if is_link && !is_safe_link(&value, element == "img" && name == "src") {
        return Some(format!("the link in `{name}` would run as a program"));
    }
    if name == "style" && !is_safe_style(&value) {
        return Some("the style leads out of the narrative or would run as a program".to_owned());
    }
    None
}

/// Whether a link opens something, instead of running it. Browsers overlook white space and control characters in a
/// scheme, so this does too.
fn is_safe_link(link: &str, is_image: bool) -> bool {
    let plain: String = link
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let Some((scheme, rest)) = plain.split_once(':') else {
        return true;
    };
    match scheme {
        "data" => {
            let is_picture = ["png", "gif", "jpeg", "jpg", "bmp", "webp"]
                .iter()
                .any(|kind| {
                    rest.strip_prefix("image/")
                        .and_then(|rest| rest.strip_prefix(kind))
                        .is_some_and(|rest| rest.starts_with([';', ',']))
                });
            is_image && is_picture
        }
        "javascript" | "vbscript" | "livescript" | "mocha" | "blob" | "filesystem" => false,
        _ => true,
    }
}

/// Whether a style is only about looks: pictures come with the narrative or stand beside it. Comments and escapes would
/// hide what the rest says.
fn is_safe_style(style: &str) -> bool {
    const SUSPICIOUS: [&str; 7] = [
        "\\",
        "/*",
        "expression(",
        "javascript:",
        "@import",
        "behavior:",
        "-moz-binding",
    ];
    let plain: String = style
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let mut links = plain.split("url(").skip(1);
    !SUSPICIOUS.iter().any(|part| plain.contains(part)) && links.all(is_picture_at_hand)
}

/// The inside of a `url(...)`, and what follows it.
fn is_picture_at_hand(text: &str) -> bool {
    let link = text.split(')').next().unwrap_or_default();
    let link = link.trim_matches(['"', '\'']);
    let is_remote = link.contains(':') && !link.starts_with("data:");
    !is_remote && !link.starts_with("//") && is_safe_link(link, true)
}

/// Foreign text in a message: not more than a few words of it.
pub(super) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    text.chars().take(CHARACTERS_MAX).collect()
}
