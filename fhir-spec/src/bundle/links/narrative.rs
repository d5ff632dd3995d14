//! Links in a narrative: `a href` and `img src`. All else stays as it is written, to the byte.

use crate::xml::escape;
use crate::xml::pull::{Event, Pull};

/// Whether there is any link at all.
pub(super) fn may_link(div: &str) -> bool {
    div.contains("href") || div.contains("src")
}

/// None: nothing is to be changed, or it is not XML (validation says why).
pub(super) fn rewrite<T: AsRef<str>>(
    div: &str,
    mut resolve: impl FnMut(&str) -> Option<T>,
) -> Option<String> {
    let mut pull = Pull::new(div).ok()?;
    let mut out = String::new();
    let mut copied = 0;
    loop {
        let tag = match pull.next().ok()? {
            Event::Start(tag) => tag,
            Event::Done => break,
            _ => continue,
        };
        let wanted = match tag.local {
            "a" => "href",
            "img" => "src",
            _ => continue,
        };
        for attribute in pull.attributes() {
            if attribute.local != wanted || !attribute.prefix.is_empty() {
                continue;
            }
            let Some(new) = attribute.value().ok().and_then(|link| resolve(&link)) else {
                continue;
            };
            // Its name has no quote: the first one opens the value.
            let at = usize::try_from(attribute.at).ok()?;
            let quote = div.get(at..)?.find(['"', '\''])?;
            let start = at + quote + 1;
            out.push_str(div.get(copied..start)?);
            let mut escaped = String::new();
            escape::push_attribute(new.as_ref(), &mut escaped);
            out.push_str(&escaped.replace('\'', "&#39;"));
            copied = start + attribute.raw.len();
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(div.get(copied..)?);
    Some(out)
}
