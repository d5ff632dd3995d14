//! Where events go: to stderr, a line each, as text or as JSON.

use std::any::Any;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Ours, and of the libraries only what is wrong. actix calls every malformed request of a stranger an error, and the
/// answer tells the stranger.
const FILTER_DEFAULT: &str = "warn,actix_http=off,server=info";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// For programs: one object a line
    Json,
}

/// How much is told, and how.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// Directives such as `debug` or `warn,server=info`; None: Kiln's own `info` and the libraries' warnings.
    pub filter: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("`log = {filter}` is wrong")]
pub struct Error {
    filter: String,
    #[source]
    source: ParseError,
}

/// To be called once, by the program and not by the library.
pub fn start(log: &Log) -> Result<(), Error> {
    let filter = log.filter.as_deref().unwrap_or(FILTER_DEFAULT);
    let filter = EnvFilter::try_new(filter).map_err(|source| Error {
        filter: filter.to_owned(),
        source,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match log.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let said = repeatable(panic.payload());
        tracing::error!(place, said, "panicked");
    }));
    Ok(())
}

/// What a panic said, when it stands in the program's text; what was put together as it ran may hold data of a patient.
fn repeatable(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(may hold data: not repeated)")
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn what_a_panic_says_is_repeated_only_when_it_stands_in_the_program() {
        let name = String::from("Curie");
        let fixed = catch_unwind(|| panic!("a rule was broken")).unwrap_err();
        let made = catch_unwind(|| panic!("a rule was broken by {name}")).unwrap_err();
        assert_eq!(repeatable(&*fixed), "a rule was broken");
        assert!(!repeatable(&*made).contains("Curie"));
    }
}
