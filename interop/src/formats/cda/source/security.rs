//! What a document says of its confidentiality: as a whole, by section, by entry (DS4P).
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=354>

use crate::mapping::source::Span;

use super::super::model::Model;
use super::DocumentSource;

/// The code of an observation that says how confidential something is.
const CLASSIFICATION: &str = "SECCLASSOBS";

/// Codes of observations that say what may be done with something: its category, how it is to be handled, how far it is to be
/// believed.
const HANDLING: &[&str] = &["SECCATOBS", "SECCONOBS", "SECINTOBS"];

/// What is said of how something is to be handled, and how far that reaches.
#[derive(Debug)]
pub(in super::super) struct Handling {
    pub(in super::super) extent: Span,
    /// The OID of the code system.
    pub(in super::super) system: String,
    pub(in super::super) code: String,
}

impl DocumentSource<'_> {
    /// The codes, and how far each reaches.
    pub(in super::super) fn confidentiality(&self) -> Vec<(Span, String)> {
        let said = self
            .all_named("confidentialityCode")
            .filter_map(|at| self.label(at, self.document.element(at)?.parent));
        let observed = self.all_named("code").filter_map(|at| {
            if self.document.value_of(at, self.names.code)? != CLASSIFICATION {
                return None;
            }
            let observation = self.document.element(at)?.parent;
            let value = self.document.child(observation, self.names.value)?;
            self.label(value, self.annotated(observation)?)
        });
        said.chain(observed).collect()
    }

    /// What else is said of security.
    pub(in super::super) fn handling(&self) -> Vec<Handling> {
        let document = self.document;
        let system = Model::get().name("codeSystem");
        let said = self.all_named("code").filter_map(|at| {
            let kind = document.value_of(at, self.names.code)?;
            if !HANDLING.iter().any(|known| **known == *kind) {
                return None;
            }
            let observation = document.element(at)?.parent;
            let value = document.child(observation, self.names.value)?;
            let (extent, code) = self.label(value, self.annotated(observation)?)?;
            Some(Handling {
                extent,
                system: document.value_of(value, system)?.into_owned(),
                code,
            })
        });
        said.collect()
    }

    fn all_named(&self, name: &str) -> impl Iterator<Item = u32> + '_ {
        let all = self
            .document
            .by_name
            .get(usize::from(Model::get().name(name)));
        all.into_iter().flatten().copied()
    }

    fn label(&self, of: u32, within: u32) -> Option<(Span, String)> {
        let code = self.document.value_of(of, self.names.code)?;
        let around = self.document.element(within)?;
        let extent = Span {
            from: around.from,
            to: around.to,
        };
        Some((extent, code.into_owned()))
    }

    /// What a security observation is about: the entry that it stands in; when its organizer is the entry, the section.
    fn annotated(&self, observation: u32) -> Option<u32> {
        let mut around = observation;
        let mut levels = 0;
        while around > 0 && self.name_of(around) != self.names.entry {
            around = self.document.element(around)?.parent;
            levels += 1;
        }
        let is_alone = levels == ORGANIZED;
        if is_alone {
            Some(self.document.element(around)?.parent)
        } else {
            Some(around)
        }
    }
}

/// From an observation through its component and organizer to the entry.
const ORGANIZED: u32 = 3;
