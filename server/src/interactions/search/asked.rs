//! From the parameters of a request to a search that is understood. All that is wrong is told at once.
//! <https://hl7.org/fhir/R4/search.html#errors>

use std::sync::OnceLock;

use fhir_spec::{Issue, IssueCode, Severity};
use search::Registry;
use search::condition::Condition;
use search::query::{self, Answered, Criterion, Handling, Query, Settings, Which};

use super::place::Place;
use super::{Asked, OF_EACH_PAGE, PLACE, Part, Scope, explain, link};
use crate::accept::resource_type;
use crate::auth::AUDITED;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;

/// The parameter that names the types, where more than one is searched.
const TYPES: &str = "_type";

/// What a search is understood with.
#[derive(Debug, Clone, Copy)]
struct Reader<'a> {
    registry: &'a Registry,
    scope: &'a Scope,
    /// For times close to now.
    asked_at: Instant,
    /// There is an index of texts.
    has_text: bool,
}

/// Reads the parameters; those of a link to a page say all that is asked, and where the page begins.
pub async fn ask(
    cx: &Cx,
    scope: Scope,
    mut parameters: Vec<(String, String)>,
    handling: Handling,
) -> Result<Asked, Fault> {
    let token = token(&parameters)?;
    let mut place = Place::first(cx.now);
    let mut handling = handling;
    if let Some(token) = &token {
        let of_each_page = std::mem::take(&mut parameters);
        (parameters, place) = link::follow(cx, &scope, token).await?;
        parameters.extend(of_each_page.into_iter().filter(|(name, _)| name != PLACE));
        handling = Handling::Strict;
    }
    let asked = understood(cx, scope, parameters, handling, place)?;
    Ok(Asked { token, ..asked })
}

/// The same for an entry of a bundle, where links of pages are not followed.
pub fn ask_within_bundle(
    cx: &Cx,
    scope: Scope,
    parameters: Vec<(String, String)>,
) -> Result<Asked, Fault> {
    if parameters.iter().any(|(name, _)| name == PLACE) {
        let diagnostics = format!("`{PLACE}`: the links of a page are followed by themselves");
        return Err(Fault::new(Kind::WrongParameter, diagnostics));
    }
    let place = Place::first(cx.now);
    understood(cx, scope, parameters, Handling::Strict, place)
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
                OF_EACH_PAGE.join(", ")
            );
            Err(Fault::new(Kind::WrongParameter, diagnostics))
        }
    }
}

fn understood(
    cx: &Cx,
    scope: Scope,
    parameters: Vec<(String, String)>,
    handling: Handling,
    place: Place,
) -> Result<Asked, Fault> {
    // Taken once: what is known may be exchanged while this is under way.
    let registry = cx.app.search();
    let limits = cx.app.limits;
    let (of_each_page, mut parameters): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|(name, _)| OF_EACH_PAGE.contains(&name.as_str()));
    let reader = Reader {
        registry: &registry,
        scope: &scope,
        asked_at: place.asked_at,
        has_text: cx.app.texts.is_some(),
    };
    let mut ignored = Vec::new();
    let parts = match (reader.parts(&parameters), handling) {
        (Err(_), Handling::Lenient) => {
            parameters.retain(|parameter| reader.counts(parameter, &mut ignored));
            reader.parts(&parameters)
        }
        (parts, _) => parts,
    };
    let parts = parts.map_err(Fault::of_query)?;
    let first = parts.first().map(|part| &part.query);
    let count = first.and_then(|query| query.count);
    let total = first.and_then(|query| query.total);
    let asks_for_text = |part: &Part| part.query.asks_for_text().is_some();
    let texts = cx
        .app
        .texts
        .clone()
        .filter(|_| parts.iter().any(asks_for_text));
    let page_size = count.unwrap_or(limits.page_size_default);
    let is_count = |(name, value): &(String, String)| name == "_summary" && value == "count";
    let counts_only = page_size == 0 || parameters.iter().any(is_count);
    let is_of_audit =
        cx.app.audit.is_on() && matches!(parts.as_slice(), [part] if part.resource_type == AUDITED);
    Ok(Asked {
        page_size: page_size.min(limits.page_size_max),
        total,
        counts_only,
        explains: explain::is_asked_for(&of_each_page)?,
        scope,
        parameters,
        of_each_page,
        token: None,
        ignored,
        parts,
        place,
        limits,
        registry,
        texts,
        text: OnceLock::new(),
        is_of_audit,
    })
}

/// Told by the first type that does not understand.
fn of_several(mut issues: Vec<Issue>) -> Vec<Issue> {
    let unknown = |issue: &&mut Issue| issue.code == IssueCode::NotSupported;
    for issue in issues.iter_mut().filter(unknown) {
        issue.diagnostics.push_str(
            " (several types are searched: all of them must have it, and `_type` names those that are meant)",
        );
    }
    issues
}

/// Values of different kinds stand in no order.
fn is_in_one_order(parts: &[Part]) -> Result<(), Vec<Issue>> {
    let kinds = |part: &Part| {
        let keys = part.query.sort.iter().map(|key| key.by.kind());
        keys.collect::<Vec<_>>()
    };
    let mut differing = parts.windows(2).filter_map(|pair| match pair {
        [one, other] if kinds(one) != kinds(other) => Some((one, other)),
        _ => None,
    });
    let Some((one, other)) = differing.next() else {
        return Ok(());
    };
    let told = format!(
        "`_sort`: the values of {} and {} are of different kinds",
        one.resource_type, other.resource_type
    );
    Err(vec![Issue::error(IssueCode::NotSupported, told)])
}

impl Reader<'_> {
    /// The query of each type, of what is contained beside that of what is stored.
    fn parts(&self, parameters: &[(String, String)]) -> Result<Vec<Part>, Vec<Issue>> {
        let is_about =
            |(name, _): &(String, String)| name == query::WHICH || name == query::ANSWERED;
        if !parameters.iter().any(is_about) {
            return self.stored(parameters);
        }
        let (which, answered, others) = query::take_contained(parameters)?;
        let mut parts = match which {
            Which::Contained => Vec::new(),
            Which::Stored | Which::Both => self.stored(&others)?,
        };
        if which != Which::Stored {
            parts.extend(self.contained(&others, answered)?);
            parts.sort_by_key(Part::name);
            is_in_one_order(&parts)?;
        }
        Ok(parts)
    }

    fn contained(
        &self,
        parameters: &[(String, String)],
        answered: Answered,
    ) -> Result<Vec<Part>, Vec<Issue>> {
        if self.scope.compartment.is_some() {
            let told = "`_contained`: compartments are of resources, not of what these contain";
            return Err(vec![Issue::error(IssueCode::NotSupported, told)]);
        }
        let is_types = |(name, _): &(String, String)| name == TYPES;
        let (named, others): (Vec<_>, Vec<_>) = parameters.iter().cloned().partition(is_types);
        let types = match self.scope.resource_type {
            Some(only) if named.is_empty() => vec![only],
            Some(only) => {
                let mut types = self.types(&named)?;
                types.retain(|name| *name == only);
                types
            }
            None => self.types(&named)?,
        };
        let parts = types.into_iter().map(|resource_type| {
            let settings = self.settings();
            let query =
                query::parse_contained(self.registry, resource_type, &others, answered, settings)?;
            Ok(Part {
                resource_type,
                contained: Some(answered),
                query,
            })
        });
        let parts = parts.collect::<Result<Vec<Part>, Vec<Issue>>>();
        match self.scope.resource_type {
            Some(_) => parts,
            None => parts.map_err(of_several),
        }
    }

    fn stored(&self, parameters: &[(String, String)]) -> Result<Vec<Part>, Vec<Issue>> {
        let part = |resource_type, parameters| {
            let query = self.query(resource_type, parameters)?;
            Ok(Part {
                resource_type,
                contained: None,
                query,
            })
        };
        let is_types = |(name, _): &(String, String)| name == TYPES;
        if let (Some(resource_type), false) =
            (self.scope.resource_type, parameters.iter().any(is_types))
        {
            return Ok(vec![part(resource_type, parameters)?]);
        }
        let (types, others): (Vec<_>, Vec<_>) = parameters.iter().cloned().partition(is_types);
        let types = self.types(&types)?;
        if let Some(resource_type) = self.scope.resource_type {
            let mut part = part(resource_type, &others)?;
            if !types.contains(&resource_type) {
                part.query.criteria.push(Criterion {
                    name: TYPES.into(),
                    condition: Condition::Never,
                });
            }
            return Ok(vec![part]);
        }
        let parts = types.into_iter();
        let parts = parts.map(|resource_type| part(resource_type, &others));
        let parts = parts.collect::<Result<Vec<Part>, Vec<Issue>>>();
        let parts = parts.map_err(of_several)?;
        is_in_one_order(&parts)?;
        Ok(parts)
    }

    /// Those that `_type` names, else all of them.
    fn types(&self, asked: &[(String, String)]) -> Result<Vec<&'static str>, Vec<Issue>> {
        let mut types: Vec<&'static str> = Vec::new();
        let mut wrong = Vec::new();
        for named in asked.iter().flat_map(|(_, names)| names.split(',')) {
            match resource_type(named) {
                Some(known) => types.push(known),
                None => {
                    let shown: String = named.chars().take(40).collect();
                    let told = format!("`{TYPES}`: `{shown}` is not a resource type of FHIR R4");
                    wrong.push(Issue::error(IssueCode::Value, told));
                }
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        if asked.is_empty() {
            let all = self.registry.definitions().resource_types();
            types.extend(all.filter_map(resource_type));
        }
        if let Some((owner, id)) = &self.scope.compartment {
            let within = |name: &&str| query::compartment(self.registry, owner, id, name).is_some();
            types.retain(within);
        }
        types.sort_unstable();
        types.dedup();
        Ok(types)
    }

    fn query(
        &self,
        resource_type: &str,
        parameters: &[(String, String)],
    ) -> Result<Query, Vec<Issue>> {
        let mut query = self.parsed(resource_type, parameters)?;
        if let Some((owner, id)) = &self.scope.compartment {
            let within = query::compartment(self.registry, owner, id, resource_type);
            query.criteria.push(Criterion {
                name: "compartment".into(),
                condition: within.unwrap_or(Condition::Never),
            });
            if let Some(issue) = self.registry.unready_in(&query) {
                return Err(vec![issue]);
            }
        }
        Ok(query)
    }

    fn settings(&self) -> Settings {
        Settings {
            handling: Handling::Strict,
            now: self.asked_at.micros(),
        }
    }

    fn parsed(
        &self,
        resource_type: &str,
        parameters: &[(String, String)],
    ) -> Result<Query, Vec<Issue>> {
        let settings = self.settings();
        let query = query::parse(self.registry, resource_type, parameters, settings)?;
        match query.asks_for_text() {
            Some(name) if !self.has_text => {
                let told = format!("`{name}`: this server keeps no index of texts (text_index)");
                Err(vec![Issue::error(IssueCode::NotSupported, told)])
            }
            _ => Ok(query),
        }
    }

    /// Whether a parameter is understood by itself; else what is wrong with it is told.
    fn counts(&self, parameter: &(String, String), ignored: &mut Vec<Issue>) -> bool {
        let Err(issues) = self.parts(std::slice::from_ref(parameter)) else {
            return true;
        };
        // It is understood, and cannot be answered yet: that is not passed over.
        if issues
            .iter()
            .any(|issue| issue.code == IssueCode::Incomplete)
        {
            return true;
        }
        ignored.extend(issues.into_iter().map(|issue| Issue {
            severity: Severity::Warning,
            ..issue
        }));
        false
    }
}
