//! What searches ask of terminology: which codes a value set has, and which stand above or below another.
//! <https://hl7.org/fhir/R4/search.html#token>

use fhir_spec::definitions::Definitions;
use fhir_spec::terminology::Page;

/// Codes that `:in`, `:above` and `:below` may stand for. More would be a search that no index helps.
pub const CODES_MAX: usize = 5_000;

/// System and code.
pub type Coded = (Box<str>, Box<str>);

/// Whoever knows code systems and value sets. What cannot be told is an error, for the client to read.
pub trait Terminology: std::fmt::Debug {
    fn codes_in(&self, value_set: &str) -> Result<Vec<Coded>, String>;

    /// The code itself and what it subsumes.
    fn codes_below(&self, system: &str, code: &str) -> Result<Vec<Coded>, String>;

    /// The code itself and what subsumes it.
    fn codes_above(&self, system: &str, code: &str) -> Result<Vec<Coded>, String>;
}

/// What the specification and packages define.
impl Terminology for Definitions {
    fn codes_in(&self, value_set: &str) -> Result<Vec<Coded>, String> {
        let known = self.value_set(value_set);
        let known =
            known.ok_or_else(|| format!("the value set `{value_set}` is not known here"))?;
        let expansion = known.expand(Page::default());
        let expansion = expansion.map_err(|error| format!("`{value_set}`: {error}"))?;
        let codes = expansion.contains.into_iter();
        Ok(codes
            .map(|contained| (contained.system, contained.code))
            .collect())
    }

    fn codes_below(&self, system: &str, code: &str) -> Result<Vec<Coded>, String> {
        related(self, system, code, |known, other| {
            known.subsumes(code, other)
        })
    }

    fn codes_above(&self, system: &str, code: &str) -> Result<Vec<Coded>, String> {
        related(self, system, code, |known, other| {
            known.subsumes(other, code)
        })
    }
}

fn related(
    definitions: &Definitions,
    system: &str,
    code: &str,
    is_related: impl Fn(&fhir_spec::terminology::CodeSystem, &str) -> Option<bool>,
) -> Result<Vec<Coded>, String> {
    let known = definitions.code_system(system);
    let known = known.ok_or_else(|| format!("the code system `{system}` is not known here"))?;
    if known.concept(code).is_none() {
        return Err(format!(
            "`{system}` has no code `{code}`, as far as is known here"
        ));
    }
    let codes = known.concepts().iter().map(|concept| &*concept.code);
    let related = codes.filter(|other| is_related(&known, other) == Some(true));
    Ok(related.map(|code| (system.into(), code.into())).collect())
}
