//! `_text`, `_content` and `:text`: what the text index has to answer.
//! <https://hl7.org/fhir/R4/search.html#text>

use super::escape::unescaped;
use super::{Reader, shown};
use crate::condition::{Condition, Probe, Reach, Test};
use crate::registry::{Only, Parameter, Source};
use crate::table::TableKind;
use crate::text::{Place, Sought, Wanted};
use crate::types::token;

/// The narrative, and the whole content.
pub(super) const NARRATIVE: &str = "_text";
pub(super) const CONTENT: &str = "_content";

impl Reader<'_> {
    /// `_text` and `_content`.
    pub(super) fn text(
        &self,
        code: &str,
        modifier: Option<&str>,
        values: &[&str],
    ) -> Result<Condition, String> {
        if let Some(modifier) = modifier {
            return Err(format!("there is no modifier `:{}` here", shown(modifier)));
        }
        if self.known.parameter(code).is_none() {
            let name = &self.known.name;
            return Err(format!("a {name} has no narrative"));
        }
        let place = match code {
            NARRATIVE => Place::Narrative,
            _ => Place::Content,
        };
        let values = values.iter().map(|value| Wanted::parse(&unescaped(value)));
        let wanted = Wanted::any(values.collect::<Result<_, _>>()?);
        Ok(sought(place, wanted))
    }
}

/// `:text`: what stands beside codes and references, searched as strings are, by the beginnings of words.
pub(super) fn beside(parameter: &Parameter, values: &[&str]) -> Result<Condition, String> {
    let sources = parameter.sources.iter();
    let sources: Vec<&Source> = sources.filter(|source| source.element.has_text).collect();
    if sources.is_empty() {
        let code = &parameter.code;
        return Err(format!("nothing of `{code}` has a text beside it"));
    }
    let values = values.iter().map(|value| Wanted::parse(&unescaped(value)));
    let wanted = Wanted::any(values.collect::<Result<_, _>>()?).by_beginnings();
    // What refers to one type only is asked for that, too.
    let (open, narrowed): (Vec<&Source>, Vec<&Source>) = sources
        .into_iter()
        .partition(|source| source.only == Only::Any);
    let mut any = Vec::new();
    if !open.is_empty() {
        let paths = open.iter().map(|source| source.path).collect();
        any.push(sought(Place::Beside(paths), wanted.clone()));
    }
    for source in narrowed {
        let Only::Target(kind) = source.only else {
            continue;
        };
        let text = sought(Place::Beside(vec![source.path]), wanted.clone());
        let refers = vec![Test::equal("type", kind)];
        // A reference may say nothing but its type and its text.
        let bare = vec![Test::equal("system", i64::from(kind))];
        let probes = vec![
            Probe::new(TableKind::Reference, source.path, Reach::All, refers),
            Probe::new(TableKind::Token, token::bare(source.path), Reach::All, bare),
        ];
        any.push(Condition::All(vec![text, Condition::Rows(probes)]));
    }
    Ok(Condition::any(any))
}

/// What is sought as a whole not to be there is a matter of the whole store, not of the text index.
fn sought(place: Place, wanted: Wanted) -> Condition {
    match wanted {
        Wanted::Not(inner) => sought(place, *inner).negated(),
        wanted => Condition::Text(Box::new(Sought { place, wanted })),
    }
}
