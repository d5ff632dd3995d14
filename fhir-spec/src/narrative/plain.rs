//! The words of a narrative, without what only says how they look.

use super::allowed;
use crate::xml::escape;
use crate::xml::pull::{Event, Pull};

/// What a reader would read: elements within a line (`b`, `span`) do not part words, all others do.
pub fn plain(div: &str) -> String {
    let mut words = Words {
        text: String::with_capacity(div.len() / 2),
        open: Vec::new(),
    };
    let walked = Pull::new(div).and_then(|mut pull| {
        loop {
            match pull.next()? {
                Event::Done => return Ok(()),
                event => words.event(&event),
            }
        }
    });
    match walked {
        Ok(()) => words.text,
        // Nothing that is stored should come here; what is readable in it is found all the same.
        Err(_) => without_tags(div),
    }
}

struct Words {
    text: String,
    /// Of each element that is open, whether it parts words.
    open: Vec<bool>,
}

impl Words {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(tag) => {
                let parts = !allowed::is_within_a_line(tag.local);
                self.open.push(parts);
                self.part(parts);
            }
            Event::End => {
                let parts = self.open.pop().unwrap_or(true);
                self.part(parts);
            }
            Event::Text { raw, .. } => match escape::text(raw) {
                Ok(text) => self.text.push_str(&text),
                Err(_) => self.text.push_str(raw),
            },
            Event::CData { text, .. } => self.text.push_str(text),
            Event::Aside | Event::Done => {}
        }
    }

    fn part(&mut self, parts: bool) {
        if parts && !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }
}

fn without_tags(div: &str) -> String {
    let mut text = String::with_capacity(div.len());
    let mut is_tag = false;
    for c in div.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrative_is_read_as_people_read_it() {
        let div =
            |inner: &str| format!(r#"<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>"#);
        for (inner, wanted) in [
            ("a <b>Chol</b>esterol", "a Cholesterol "),
            ("<p>one</p><p>two<br/>three</p>", "one two three "),
            ("<table><tr><td>a</td><td>b</td></tr></table>", "a b "),
            ("x &amp; y &lt;z&gt; &#233;", "x & y <z> é "),
            ("<![CDATA[a <b>]]>", "a <b> "),
            ("a<!-- not this -->b", "ab "),
            ("", ""),
        ] {
            assert_eq!(plain(&div(inner)), wanted, "{inner}");
        }
        assert_eq!(plain("<div><p>broken</b> text"), "  broken  text");
    }
}
