//! From the parameters of a request to a search that is understood. All that is wrong is told at once.
//! <https://hl7.org/fhir/R4/search.html#errors>

use std::sync::Arc;

use fhir_spec::{Issue, Severity};
use search::Registry;
use search::query::{self, Handling, Query, Settings};

use super::place::Place;
use super::{Asked, OF_EACH_PAGE, PLACE, Part, Scope, link};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::limits::Limits;

/// What a search is understood with.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    registry: &'a Registry,
    scope: &'a Scope,
    /// For times close to now.
    asked_at: Instant,
}

/// Reads the parameters; those of a link to a page say all that is asked, and where the page begins.
pub async fn ask(
    cx: &Cx,
    scope: Scope,
    mut parameters: Vec<(String, String)>,
    handling: Handling,
) -> Result<Asked, Fault> {
    // Taken once: what is known may be exchanged while this is under way.
    let registry = Arc::clone(&cx.app.search);
    let token = token(&parameters)?;
    let mut place = Place::first(cx.now);
    let mut handling = handling;
    if let Some(token) = &token {
        let of_each_page = std::mem::take(&mut parameters);
        (parameters, place) = link::follow(cx, &scope, token).await?;
        parameters.extend(of_each_page.into_iter().filter(|(name, _)| name != PLACE));
        handling = Handling::Strict;
    }
    understood(registry, scope, parameters, handling, place, cx.app.limits)
        .map(|asked| Asked { token, ..asked })
}

/// The link that is followed. It stands for all else that could be asked.
fn token(parameters: &[(String, String)]) -> Result<Option<String>, Fault> {
    let Some((_, token)) = parameters.iter().find(|(name, _)| name == PLACE) else {
        return Ok(None);
    };
    let beside = |name: &str| name == PLACE || OF_EACH_PAGE.contains(&name);
    match parameters.iter().find(|(name, _)| !beside(name)) {
        None => Ok(Some(token.clone())),
        Some((name, _)) => {
            let shown: String = name.chars().take(40).collect();
            let diagnostics = format!(
                "`{PLACE}` says all that was asked: beside it there may only be {}, not `{shown}`",
                OF_EACH_PAGE.join(" and ")
            );
            Err(Fault::new(Kind::WrongParameter, diagnostics))
        }
    }
}

fn understood(
    registry: Arc<Registry>,
    scope: Scope,
    parameters: Vec<(String, String)>,
    handling: Handling,
    place: Place,
    limits: Limits,
) -> Result<Asked, Fault> {
    let (of_each_page, mut parameters): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|(name, _)| OF_EACH_PAGE.contains(&name.as_str()));
    let reader = Reader {
        registry: &registry,
        scope: &scope,
        asked_at: place.asked_at,
    };
    let mut ignored = Vec::new();
    let parts = match (reader.parts(&parameters), handling) {
        (Err(_), Handling::Lenient) => {
            parameters.retain(|parameter| reader.counts(parameter, &mut ignored));
            reader.parts(&parameters)
        }
        (parts, _) => parts,
    };
    let parts = parts.map_err(|issues| Fault::of_issues(Kind::WrongParameter, issues))?;
    let first = parts.first().map(|part| &part.query);
    let count = first.and_then(|query| query.count);
    let total = first.and_then(|query| query.total);
    let page_size = count.unwrap_or(limits.page_size_default);
    let is_count = |(name, value): &(String, String)| name == "_summary" && value == "count";
    let counts_only = page_size == 0 || parameters.iter().any(is_count);
    Ok(Asked {
        page_size: page_size.min(limits.page_size_max),
        total,
        counts_only,
        scope,
        parameters,
        of_each_page,
        token: None,
        ignored,
        parts,
        place,
        limits,
        registry,
    })
}

impl Reader<'_> {
    /// The query of each type.
    fn parts(&self, parameters: &[(String, String)]) -> Result<Vec<Part>, Vec<Issue>> {
        let types = self.scope.resource_type.into_iter();
        types
            .map(|resource_type| {
                let query = self.query(resource_type, parameters)?;
                Ok(Part {
                    resource_type,
                    query,
                })
            })
            .collect()
    }

    fn query(
        &self,
        resource_type: &str,
        parameters: &[(String, String)],
    ) -> Result<Query, Vec<Issue>> {
        let settings = Settings {
            handling: Handling::Strict,
            now: self.asked_at.micros(),
        };
        query::parse(self.registry, resource_type, parameters, settings)
    }

    /// Whether a parameter is understood by itself; else what is wrong with it is told.
    fn counts(&self, parameter: &(String, String), ignored: &mut Vec<Issue>) -> bool {
        let Err(issues) = self.parts(std::slice::from_ref(parameter)) else {
            return true;
        };
        ignored.extend(issues.into_iter().map(|issue| Issue {
            severity: Severity::Warning,
            ..issue
        }));
        false
    }
}
