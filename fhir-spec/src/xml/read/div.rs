//! The narrative's `div`, which JSON keeps as text. <https://hl7.org/fhir/R4/narrative.html>

use super::super::attribute::Attribute;
use super::super::pull::{Event, Space, Tag, XHTML};
use super::member::Read;
use super::{Reader, Stop, shortened};
use crate::json::{Data, Text, Value};
use crate::outcome::IssueCode;

impl<'s> Reader<'s, '_> {
    /// Kept as it is written when it stands on its own; when it leans on declarations around it, the namespace is
    /// written into it and the prefixes go.
    pub(super) fn div(&mut self, tag: Tag<'s>) -> Result<Read, Stop> {
        let stands_alone = tag.prefix.is_empty() && self.pull.declares_default_space();
        let mut rewritten = String::new();
        let mut open = vec![tag];
        self.check_narrative_tag(tag, stands_alone)?;
        if !stands_alone {
            write_start(tag, self.pull.attributes(), true, &mut rewritten);
        }
        while let Some(inner) = open.last() {
            let from = self.pull.position();
            match self.pull.next()? {
                Event::Start(tag) => {
                    open.push(tag);
                    self.check_narrative_tag(tag, stands_alone)?;
                    if !stands_alone {
                        write_start(tag, self.pull.attributes(), false, &mut rewritten);
                    }
                }
                Event::End => {
                    if !stands_alone {
                        rewritten.push_str("</");
                        rewritten.push_str(inner.local);
                        rewritten.push('>');
                    }
                    open.pop();
                }
                Event::Done => break,
                _ if stands_alone => {}
                _ => rewritten.push_str(self.pull.slice(from, self.pull.position())),
            }
        }
        let text = if stands_alone {
            self.pull.slice(tag.at, self.pull.position())
        } else {
            &rewritten
        };
        let value = Value {
            at: tag.at,
            data: Data::String(Text::new(text)),
        };
        Ok(Read {
            value: Some(value),
            beside: None,
        })
    }

    fn check_narrative_tag(&mut self, tag: Tag<'s>, stands_alone: bool) -> Result<(), Stop> {
        if tag.space != Space::Xhtml || (stands_alone && !tag.prefix.is_empty()) {
            let name = shortened(tag.name);
            let problem =
                format!("`{name}` in the narrative: expected elements of {XHTML} without a prefix");
            self.issue(IssueCode::Structure, tag.at, problem)?;
        }
        let foreign = self
            .pull
            .attributes()
            .iter()
            .find(|attribute| !matches!(attribute.space, Space::None | Space::Xml))
            .copied();
        let Some(attribute) = foreign else {
            return Ok(());
        };
        let name = shortened(attribute.local);
        let problem = format!("unknown attribute `{name}` in the narrative");
        self.issue(IssueCode::Structure, attribute.at, problem)
    }
}

fn write_start(tag: Tag<'_>, attributes: &[Attribute<'_>], is_root: bool, out: &mut String) {
    out.push('<');
    out.push_str(tag.local);
    if is_root {
        out.push_str(" xmlns=\"");
        out.push_str(XHTML);
        out.push('"');
    }
    for attribute in attributes {
        out.push_str(if attribute.space == Space::Xml {
            " xml:"
        } else {
            " "
        });
        out.push_str(attribute.local);
        out.push_str("=\"");
        out.push_str(&attribute.raw.replace('"', "&quot;"));
        out.push('"');
    }
    out.push('>');
}
