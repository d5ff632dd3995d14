//! `_explain=true`: what the database did for a search, step by step, told beside the hits.
//! <https://hl7.org/fhir/R4/search.html#errors>
//!
//! SQL is shown with `?` for values and with the names of paths for their numbers.

use std::time::Duration;

use fhir_spec::{Issue, IssueCode, Severity};
use search::{Registry, contained};

use super::{Asked, Page};
use crate::fault::{Fault, Kind};
use crate::store::Watched;

pub(super) const PARAMETER: &str = "_explain";

/// Whether that is asked for.
pub(super) fn is_asked_for(parameters: &[(String, String)]) -> Result<bool, Fault> {
    let asked = parameters.iter().find(|(name, _)| name == PARAMETER);
    match asked.map(|(_, value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => {
            let diagnostics = format!("`{PARAMETER}` is `true` or `false`");
            Err(Fault::new(Kind::WrongParameter, diagnostics))
        }
    }
}

impl Page {
    /// A line for each statement.
    pub(super) fn explain(&mut self, registry: &Registry, watched: &[Watched]) {
        let steps = watched.iter().enumerate().map(|(number, watched)| {
            let told = format!("{}. {}", number + 1, told(registry, watched));
            Issue::new(Severity::Information, IssueCode::Informational, told)
        });
        self.issues.extend(steps);
    }
}

fn told(registry: &Registry, watched: &Watched) -> String {
    let Watched {
        step,
        rows,
        time_us,
        ..
    } = watched;
    let visited = watched.visited.map_or(String::new(), |visited| {
        format!(", {visited} resources visited")
    });
    let sql = named(registry, &watched.sql);
    let plan = watched.plan.join("\n");
    format!("{step}: {rows} rows in {time_us} us{visited}\n{sql}\n{plan}")
}

/// Paths by their names: `d.path = [Patient.birthDate]`.
fn named(registry: &Registry, sql: &str) -> String {
    let name_of = |number: &str| {
        let number: i32 = number.parse().ok()?;
        let mut types = registry.definitions().resource_types();
        types.find_map(|name| {
            let known = registry.of(name)?;
            let name = known.path_name(number).map(str::to_owned);
            name.or_else(|| contained::path_name(known, number))
        })
    };
    let mut out = String::with_capacity(sql.len());
    for (index, part) in sql.split("path ").enumerate() {
        if index == 0 {
            out.push_str(part);
            continue;
        }
        out.push_str("path ");
        // `= 1` or `IN (1, 2)`
        let is_of_list = part.starts_with("IN (");
        let end = match is_of_list {
            true => part.find(')').unwrap_or(part.len()),
            false => part
                .match_indices(' ')
                .nth(1)
                .map_or(part.len(), |(at, _)| at),
        };
        let (numbers, rest) = part.split_at(end);
        for (index, word) in numbers.split(' ').enumerate() {
            out.push_str(if index > 0 { " " } else { "" });
            let number = word.trim_matches(['(', ')', ',']);
            match name_of(number) {
                Some(name) => out.push_str(&word.replace(number, &format!("[{name}]"))),
                None => out.push_str(word),
            }
        }
        out.push_str(rest);
    }
    out
}

impl Asked {
    /// What is asked, without what is looked for: `Observation?code&date&_sort`. Logs may hold this.
    pub fn kind(&self) -> String {
        let mut names: Vec<&str> = self.parameters.iter().map(|(name, _)| &**name).collect();
        names.dedup();
        let place = match &self.scope.compartment {
            Some((owner, _)) => format!("{owner}/*/{}", self.scope.resource_type.unwrap_or("*")),
            None => self.scope.resource_type.unwrap_or_default().to_owned(),
        };
        format!("{place}?{}", names.join("&"))
    }

    /// Tells the log of a search that took long.
    pub(super) fn took(&self, time: Duration) {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if time_ms >= self.limits.search_slow_ms {
            tracing::warn!(
                search.kind = self.kind(),
                search.time_ms = time_ms,
                "a slow search"
            );
        }
    }
}
