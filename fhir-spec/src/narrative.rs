//! The narrative: a stripped-down XHTML for people to read, and for browsers to show without danger.
//! <https://hl7.org/fhir/R4/narrative.html>
//!
//! [`check`] says what breaks the invariants `txt-1` and `txt-2`. [`sanitise`] makes a text safe to put into a page: what is
//! allowed stays as it is written, what is not goes. Its result always passes [`check`]. [`plain`] gives the words.

mod allowed;
mod plain;
mod sanitise;

use crate::xml::pull::{Event, Pull, Space, Tag};

pub use plain::plain;
pub use sanitise::sanitise;

/// After so many problems [`check`] stops looking for more.
pub const PROBLEMS_MAX: usize = 50;

/// The invariant that is broken. <https://hl7.org/fhir/R4/narrative-definitions.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Only the allowed elements and attributes.
    Txt1,
    /// Some content.
    Txt2,
}

/// What is wrong with a narrative, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub rule: Rule,
    /// Byte offset in the text of the div.
    pub at: u32,
    pub message: String,
}

/// Everything that is wrong with the text of `Narrative.div`.
pub fn check(div: &str) -> Vec<Problem> {
    let mut checker = Checker {
        problems: Vec::new(),
        has_root: false,
        has_content: false,
    };
    let walked = Pull::new(div).and_then(|mut pull| {
        while checker.problems.len() < PROBLEMS_MAX {
            let at = pull.position();
            let event = pull.next()?;
            if matches!(event, Event::Done) {
                break;
            }
            checker.event(event, &pull, at);
        }
        Ok(())
    });
    match walked {
        Err(broken) => checker.tell(Rule::Txt1, broken.at, broken.problem),
        Ok(()) if !checker.has_content && checker.problems.len() < PROBLEMS_MAX => {
            let message = "the narrative is empty: expected some text or an image";
            checker.tell(Rule::Txt2, 0, message.to_owned());
        }
        Ok(()) => {}
    }
    checker.problems
}

struct Checker {
    problems: Vec<Problem>,
    has_root: bool,
    has_content: bool,
}

impl Checker {
    fn tell(&mut self, rule: Rule, at: u32, message: String) {
        self.problems.push(Problem { rule, at, message });
    }

    fn event(&mut self, event: Event<'_>, pull: &Pull<'_>, at: u32) {
        match event {
            Event::Start(tag) => self.start(tag, pull),
            Event::Text { raw: text, .. } | Event::CData { text, .. } => {
                self.has_content |= !text.bytes().all(|byte| byte.is_ascii_whitespace());
            }
            Event::Aside if pull.slice(at, pull.position()).starts_with("<?") => {
                let message = "a processing instruction is not allowed in a narrative";
                self.tell(Rule::Txt1, at, message.to_owned());
            }
            Event::Aside | Event::End | Event::Done => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, pull: &Pull<'_>) {
        let is_root = !std::mem::replace(&mut self.has_root, true);
        if tag.space != Space::Xhtml {
            let message = format!(
                "`{}` is not in the namespace http://www.w3.org/1999/xhtml",
                allowed::shortened(tag.name)
            );
            return self.tell(Rule::Txt1, tag.at, message);
        }
        if is_root && tag.local != "div" {
            let name = allowed::shortened(tag.local);
            self.tell(
                Rule::Txt1,
                tag.at,
                format!("expected a div, found `{name}`"),
            );
        } else if !allowed::is_element(tag.local) {
            let name = allowed::shortened(tag.local);
            let message = format!("the element `{name}` is not allowed in a narrative");
            self.tell(Rule::Txt1, tag.at, message);
        }
        for attribute in pull.attributes() {
            if let Some(message) = allowed::objection(tag.local, attribute) {
                self.tell(Rule::Txt1, attribute.at, message);
            }
            self.has_content |= tag.local == "img" && attribute.local == "src";
        }
    }
}

#[cfg(test)]
mod tests;
