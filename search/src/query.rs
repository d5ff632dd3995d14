//! From the parameters of a request to what must hold. <https://hl7.org/fhir/R4/search.html>
//!
//! Strict: whatever is not understood is an error that names what would be; nothing is ignored unless the client says so.

mod canonical;
mod chain;
mod compartment;
mod contained;
mod effort;
pub(crate) mod escape;
pub(crate) mod filter;
mod include;
mod rules;
mod sort;
pub(crate) mod spelling;
mod text;
mod unready;

use fhir_spec::outcome::{Issue, IssueCode, Severity};
use fhir_spec::reference::is_id;

use crate::condition::{Condition, Link, Probe, Reach, Test};
use crate::registry::{Only, Parameter, Registry, ResourceType, Source, Tuple};
use crate::table::TableKind;
use crate::terminology::Terminology;
use crate::types::{Ask, SearchType, date, token};
pub use canonical::Canonical;
use chain::Step;
pub use chain::{CHAIN_STEPS_MAX, CHAIN_TYPES_MAX, CHAIN_WAYS_MAX};
pub use compartment::compartment;
pub use contained::{ANSWERED, Answered, Taken, WHICH, Which, parse_contained, take_contained};
pub use effort::BINDS_MAX;
use escape::{split, unescaped};
pub use include::{Direction, INCLUDES_MAX, Include, Target};
pub use sort::{KeyKind, SORT_KEYS_MAX, SortBy, SortKey, SortRows};

/// Values of one parameter, joined by commas.
pub const VALUES_MAX: usize = 1_000;
/// Parameters of one search.
pub const CRITERIA_MAX: usize = 100;
/// Bytes of one parameter with its values.
pub const CRITERION_BYTES_MAX: usize = 64 * 1024;

/// What to do with what is not understood. <https://hl7.org/fhir/R4/search.html#errors>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    #[default]
    Strict,
    /// `Prefer: handling=lenient`
    Lenient,
}

/// What a query is read with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub handling: Handling,
    /// For `ap`: microseconds since 1970 UTC.
    pub now: i64,
}

/// A search of one resource type.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub resource_type: Box<str>,
    /// All of them hold for what is found.
    pub criteria: Vec<Criterion>,
    pub sort: Vec<SortKey>,
    pub includes: Vec<Include>,
    /// `_count`: how many hits a page has.
    pub count: Option<u32>,
    pub total: Option<Total>,
    /// What was passed over, for the client to be told.
    pub ignored: Vec<Issue>,
}

/// Whether the hits are counted. <https://hl7.org/fhir/R4/search.html#total>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    None,
    Estimate,
    Accurate,
}

/// Parameters that are no matter of rows.
pub const BY_NAME: &[&str] = &["_id", "_lastUpdated", "_list"];

/// Parameters that the text index answers.
pub const BY_TEXT: &[&str] = &[text::NARRATIVE, text::CONTENT];

/// Parameters about the answer and not about what is searched: others look after them.
pub const ABOUT_THE_ANSWER: &[&str] = &["_format", "_pretty", "_summary", "_elements"];

/// Names that mean the same in every search.
pub(crate) const RESERVED: &[&str] = &[
    "_contained",
    "_containedType",
    "_count",
    "_elements",
    "_explain",
    "_filter",
    "_format",
    "_has",
    "_include",
    "_list",
    "_pretty",
    "_query",
    "_revinclude",
    "_score",
    "_sort",
    "_summary",
    "_total",
    "_type",
];

#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    /// As it was written: `family:exact`.
    pub name: Box<str>,
    pub condition: Condition,
}

impl Query {
    /// The types of the resources that an answer depends on, each once.
    pub fn types(&self) -> Vec<&str> {
        let mut types = vec![&*self.resource_type];
        for criterion in &self.criteria {
            criterion.condition.types(&mut types);
        }
        types
    }
}

impl Condition {
    fn types<'c>(&'c self, types: &mut Vec<&'c str>) {
        match self {
            Self::All(all) | Self::Any(all) => all.iter().for_each(|inner| inner.types(types)),
            Self::Not(inner) => inner.types(types),
            Self::Refers(link) | Self::IsReferred(link) => {
                if !types.contains(&&*link.other_type) {
                    types.push(&link.other_type);
                }
                link.condition.types(types);
            }
            Self::Rows(_)
            | Self::Id(_)
            | Self::Updated(_)
            | Self::Text(_)
            | Self::Among(_)
            | Self::Never => {}
        }
    }
}

impl Query {
    /// All resources of a type.
    pub fn of(resource_type: &str) -> Self {
        Self {
            resource_type: resource_type.into(),
            criteria: Vec::new(),
            sort: Vec::new(),
            includes: Vec::new(),
            count: None,
            total: None,
            ignored: Vec::new(),
        }
    }

    /// Nothing but the resource of that id, when it meets the criteria.
    pub fn only(&mut self, id: &str) {
        self.criteria.push(Criterion {
            name: "_id".into(),
            condition: Condition::Id(vec![id.to_owned()]),
        });
    }

    /// Whether anything was asked for: conditional interactions refuse to mean everything.
    pub fn is_empty(&self) -> bool {
        self.criteria.is_empty()
    }

    /// The name of a criterion that only the text index can answer.
    pub fn asks_for_text(&self) -> Option<&str> {
        let mut asking = self.criteria.iter().filter(|c| c.condition.asks_for_text());
        asking.next().map(|criterion| &*criterion.name)
    }
}

/// Reads the parameters of a search for resources of a type. All that is wrong is told at once. Terminology is what the
/// definitions know.
pub fn parse(
    registry: &Registry,
    resource_type: &str,
    parameters: &[(String, String)],
    settings: Settings,
) -> Result<Query, Vec<Issue>> {
    parse_with(
        registry,
        resource_type,
        parameters,
        settings,
        registry.definitions(),
    )
}

/// The same, with somebody else to ask for terminology.
pub fn parse_with(
    registry: &Registry,
    resource_type: &str,
    parameters: &[(String, String)],
    settings: Settings,
    terminology: &dyn Terminology,
) -> Result<Query, Vec<Issue>> {
    let known = registry.of(resource_type).ok_or_else(|| {
        let text = format!("`{resource_type}` is no resource type");
        vec![Issue::error(IssueCode::NotSupported, text)]
    })?;
    checked_count(parameters)?;
    let reader = Reader::of(registry, known, settings, terminology);
    let mut query = Query::of(&known.name);
    let mut wrong = reader.read(parameters, settings.handling, &mut query);
    // Nobody is lenient about this: what is not there yet would be passed over in silence.
    wrong.extend(registry.unready_in(&query));
    wrong.extend(query.too_much());
    if wrong.is_empty() {
        Ok(query)
    } else {
        Err(wrong)
    }
}

impl Query {
    fn push(&mut self, name: &str, condition: Condition) {
        let known = self.criteria.iter_mut();
        for criterion in known {
            if let Some(fused) = criterion.condition.fused(&condition) {
                criterion.condition = fused;
                return;
            }
        }
        self.criteria.push(Criterion {
            name: name.into(),
            condition,
        });
    }
}

#[derive(Clone, Copy)]
struct Reader<'r> {
    registry: &'r Registry,
    known: &'r ResourceType,
    /// By which chains of types that nobody named this one was come to.
    ways: usize,
    now: i64,
    terminology: &'r dyn Terminology,
    /// From the resource that is searched to the one that is asked about now.
    steps: usize,
    /// A `_filter` is read: it has a modifier of its own.
    is_filter: bool,
}

fn checked_count(parameters: &[(String, String)]) -> Result<(), Vec<Issue>> {
    if parameters.len() <= CRITERIA_MAX {
        return Ok(());
    }
    let text = format!("a search has at most {CRITERIA_MAX} parameters");
    Err(vec![Issue::error(IssueCode::TooCostly, text)])
}

impl<'r> Reader<'r> {
    fn of(
        registry: &'r Registry,
        known: &'r ResourceType,
        settings: Settings,
        terminology: &'r dyn Terminology,
    ) -> Self {
        Self {
            registry,
            known,
            ways: 1,
            now: settings.now,
            terminology,
            steps: 0,
            is_filter: false,
        }
    }

    /// Reads parameters into the query; what is wrong is told.
    fn read(
        &self,
        parameters: &[(String, String)],
        handling: Handling,
        query: &mut Query,
    ) -> Vec<Issue> {
        let mut wrong = self.repeated(parameters);
        for (name, value) in parameters {
            match self.parameter_of(name, value, query) {
                Ok(()) => {}
                Err(issue) if handling == Handling::Lenient => query.ignored.push(Issue {
                    severity: Severity::Warning,
                    ..issue
                }),
                Err(issue) => wrong.push(issue),
            }
        }
        wrong
    }

    /// Reads one parameter into the query.
    fn parameter_of(&self, name: &str, value: &str, query: &mut Query) -> Result<(), Issue> {
        let wrong = |text: String| Issue::error(IssueCode::Value, format!("`{name}`: {text}"));
        match name.split(':').next().unwrap_or_default() {
            "_sort" => query.sort = self.sort(value)?,
            "_include" | "_revinclude" if query.includes.len() >= INCLUDES_MAX => {
                let text = format!("a search has at most {INCLUDES_MAX} of them");
                return Err(wrong(text));
            }
            "_include" | "_revinclude" => query.includes.push(self.include(name, value)?),
            "_count" => {
                let count = value.parse();
                let text = || wrong(format!("`{}` is no whole number from 0 on", shown(value)));
                query.count = Some(count.map_err(|_| text())?);
            }
            "_total" => {
                query.total = Some(match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(wrong("is `none`, `estimate` or `accurate`".into())),
                });
            }
            filter::NAME if name == filter::NAME => query.push(name, self.filter(value)?),
            WHICH | ANSWERED | "_query" => default_only(name, value)?,
            _ if ABOUT_THE_ANSWER.contains(&name) => {}
            _ => {
                let condition = self.criterion(name, value)?;
                query.push(name, condition);
            }
        }
        Ok(())
    }

    fn criterion(&self, name: &str, value: &str) -> Result<Condition, Issue> {
        let wrong = |code, text: String| Issue::error(code, format!("`{}`: {text}", shown(name)));
        if value.len() + name.len() > CRITERION_BYTES_MAX {
            let text = format!("longer than {CRITERION_BYTES_MAX} bytes");
            return Err(wrong(IssueCode::TooCostly, text));
        }
        if value.contains('\0') || name.contains('\0') {
            let text = "a character of code 0 is in no text".into();
            return Err(wrong(IssueCode::Value, text));
        }
        let values = split(value, ',');
        if values.len() > VALUES_MAX {
            let text = format!("{} values, {VALUES_MAX} are allowed", values.len());
            return Err(wrong(IssueCode::TooCostly, text));
        }
        if values.iter().any(|value| value.is_empty()) {
            return Err(wrong(IssueCode::Value, "a value is missing".into()));
        }
        self.condition(name, &values)
    }

    /// What a parameter of that name asks for.
    fn condition(&self, name: &str, values: &[&str]) -> Result<Condition, Issue> {
        let wrong = |code, text: String| Issue::error(code, format!("`{}`: {text}", shown(name)));
        if let Some(step) = Step::cut(name) {
            let step = step.map_err(|text| wrong(IssueCode::Value, text))?;
            return self.chained(&step, name, values);
        }
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        let unsupported = |text| wrong(IssueCode::NotSupported, text);
        let condition = match code {
            // Every resource has them.
            "_id" | "_lastUpdated" if modifier == Some("missing") => match values {
                ["true"] => Ok(Condition::Never),
                ["false"] => Ok(Condition::Never.negated()),
                _ => Err("`:missing` is `true` or `false`".into()),
            },
            "_id" => self.ids(modifier, values),
            "_lastUpdated" => self.updated(modifier, values),
            "_list" => self.listed(modifier, values),
            code if BY_TEXT.contains(&code) => self.text(code, modifier, values),
            _ => {
                let parameter = self.parameter(code).map_err(unsupported)?;
                self.check_modifier(parameter, modifier)
                    .map_err(unsupported)?;
                let rules = &parameter.rules;
                rules
                    .check(parameter, modifier, values)
                    .map_err(unsupported)?;
                self.asked(parameter, modifier, values)
            }
        };
        condition.map_err(|text| wrong(IssueCode::Value, text))
    }

    /// The parameter of that code; otherwise the name that was probably meant.
    fn parameter(&self, code: &str) -> Result<&'r Parameter, String> {
        let type_name = &self.known.name;
        if let Some(parameter) = self.known.parameter(code) {
            let has_rows = !parameter.sources.is_empty() || !parameter.tuples.is_empty();
            return has_rows
                .then_some(parameter)
                .ok_or_else(|| "this parameter is not supported yet".into());
        }
        let codes = self.known.parameters().iter().map(|known| &*known.code);
        Err(match spelling::nearest(code, codes) {
            Some(nearest) => {
                format!(
                    "{type_name} has no search parameter `{}`; `{nearest}` may be meant",
                    shown(code)
                )
            }
            None => format!("{type_name} has no search parameter `{}`", shown(code)),
        })
    }

    fn check_modifier(&self, parameter: &Parameter, modifier: Option<&str>) -> Result<(), String> {
        let Some(modifier) = modifier else {
            return Ok(());
        };
        let own = parameter.kind.modifiers();
        if modifier == "missing" || own.contains(&modifier) {
            return Ok(());
        }
        if self.is_filter && parameter.kind == SearchType::String && modifier == filter::WHOLE {
            return Ok(());
        }
        let is_reference = parameter.kind == SearchType::Reference;
        let targets = parameter.targets.iter().map(|target| &**target);
        if is_reference && self.registry.of(modifier).is_some() {
            let is_target = targets.clone().any(|target| target == modifier);
            let is_open = parameter.targets.is_empty();
            return (is_target || is_open).then_some(()).ok_or_else(|| {
                let all: Vec<&str> = targets.collect();
                format!("no {modifier} is referred to here, only {}", all.join(", "))
            });
        }
        let valid: Vec<&str> = own.iter().copied().chain(["missing"]).collect();
        let all = valid
            .iter()
            .copied()
            .chain(targets.filter(|_| is_reference));
        let nearest = spelling::nearest(modifier, all);
        let meant = nearest.map_or(String::new(), |name| format!("; `:{name}` may be meant"));
        let kind = parameter.kind.code();
        let valid = valid.join(", :");
        Err(format!(
            "a {kind} has no modifier `:{}`, only :{valid}{meant}",
            shown(modifier)
        ))
    }

    fn asked(
        &self,
        parameter: &Parameter,
        modifier: Option<&str>,
        values: &[&str],
    ) -> Result<Condition, String> {
        if modifier == Some("missing") {
            return missing(parameter, values);
        }
        if modifier == Some("text") {
            return text::beside(parameter, values);
        }
        let ask = Ask {
            registry: self.registry,
            known: self.known,
            parameter,
            modifier,
            terminology: self.terminology,
            now: self.now,
        };
        ask.condition(values)
    }

    fn ids(&self, modifier: Option<&str>, values: &[&str]) -> Result<Condition, String> {
        let ids: Vec<String> = values.iter().map(|value| unescaped(value)).collect();
        if let Some(wrong) = ids.iter().find(|id| !is_id(id)) {
            return Err(format!("`{}` is no id", shown(wrong)));
        }
        match modifier {
            None => Ok(Condition::Id(ids)),
            Some("not") => Ok(Condition::Id(ids).negated()),
            Some(other) => Err(format!(
                "ids have no modifier `:{}`, only :not",
                shown(other)
            )),
        }
    }

    /// What a List has as its items. <https://hl7.org/fhir/R4/search.html#list>
    fn listed(&self, modifier: Option<&str>, values: &[&str]) -> Result<Condition, String> {
        if let Some(modifier) = modifier {
            return Err(format!("there is no modifier `:{}` here", shown(modifier)));
        }
        let lists = self.registry.of("List");
        let item = lists.and_then(|lists| lists.parameter("item"));
        let sources = item.map(|item| item.sources.as_slice()).unwrap_or_default();
        Ok(Condition::IsReferred(Box::new(Link {
            paths: sources.iter().map(|source| source.path).collect(),
            other_type: "List".into(),
            condition: self.ids(None, values)?,
        })))
    }

    fn updated(&self, modifier: Option<&str>, values: &[&str]) -> Result<Condition, String> {
        if let Some(modifier) = modifier {
            return Err(format!("there is no modifier `:{}` here", shown(modifier)));
        }
        let any = values.iter().map(|value| {
            let wanted = date::Wanted::read(value, self.now)?;
            Ok(Condition::Updated(wanted.moment_tests()))
        });
        Ok(Condition::any(any.collect::<Result<_, String>>()?))
    }
}

/// `:missing=true` and `:missing=false`
fn missing(parameter: &Parameter, values: &[&str]) -> Result<Condition, String> {
    let is_missing = match values {
        ["true"] => true,
        ["false"] => false,
        _ => return Err("`:missing` is `true` or `false`".into()),
    };
    let present = if parameter.tuples.is_empty() {
        present(&parameter.sources)
    } else {
        let tuples = parameter.tuples.iter().map(|tuple| match tuple {
            Tuple::Each(parts) => {
                let parts = parts.iter().map(|part| present(&part.sources));
                Condition::All(parts.collect())
            }
            Tuple::Rows { path, .. } => {
                let any = Probe::new(TableKind::Composite, *path, Reach::All, Vec::new());
                Condition::Rows(vec![any])
            }
        });
        Condition::any(tuples.collect())
    };
    Ok(if is_missing {
        present.negated()
    } else {
        present
    })
}

/// There is any row at all.
fn present(sources: &[Source]) -> Condition {
    let mut probes = Vec::new();
    for source in sources {
        let only = match source.only {
            Only::Any => None,
            Only::Target(kind) => Some(Test::equal("type", kind)),
            Only::System(system) => Some(Test::equal("system", system)),
        };
        let tests = only.into_iter().collect();
        probes.push(Probe::new(source.table, source.path, Reach::All, tests));
        if matches!(source.table, TableKind::Token | TableKind::Reference)
            && !source.element.is_primitive
        {
            let path = token::bare(source.path);
            let only = match source.only {
                Only::Any => None,
                Only::Target(kind) => Some(i64::from(kind)),
                Only::System(system) => Some(system),
            };
            let tests = only.map(|key| Test::equal("system", key));
            let tests = tests.into_iter().collect();
            probes.push(Probe::new(TableKind::Token, path, Reach::One, tests));
        }
    }
    Condition::rows(probes)
}

/// What R4 names and this server does not do: only what asks for nothing special is taken.
fn default_only(name: &str, value: &str) -> Result<(), Issue> {
    let told = match (name, value) {
        (WHICH, "false") | (ANSWERED, "container") => return Ok(()),
        // Who asks for it in a search never comes here.
        (WHICH | ANSWERED, _) => "only searches find what is contained: it decides about nothing",
        ("_query", _) => "no named queries are defined here",
        _ => "there is no such parameter",
    };
    let text = format!("`{}`: {told}", shown(name));
    Err(Issue::error(IssueCode::NotSupported, text))
}

/// What a client wrote, cut to what a message can hold.
fn shown(written: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 100;
    crate::folding::beginning(written, SHOWN_BYTES_MAX)
}
