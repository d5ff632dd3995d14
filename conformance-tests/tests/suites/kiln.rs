//! Kiln itself in a thread, on a free port and an empty SQLite, for the suites that speak HTTP.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use conformance_tests::http::{Answer, Client};
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use server::config::Settings;
use tokio::sync::oneshot;

/// What the server answers when it knows what is asked and cannot do it yet.
pub(crate) const NOT_SUPPORTED: u16 = 501;

pub(crate) struct Kiln {
    /// Speaks to the FHIR base.
    pub(crate) client: Client,
    capabilities: Value,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
}

impl Kiln {
    pub(crate) fn start() -> Self {
        Self::with_packages(Vec::new())
    }

    pub(crate) fn with_packages(packages: Vec<PathBuf>) -> Self {
        Self::known_as(None, packages)
    }

    /// The server that clients know by this url: references that begin with it are its own.
    pub(crate) fn known_as(url: Option<&str>, packages: Vec<PathBuf>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("kiln-suite-{}-{number}", std::process::id()));
        let settings = Settings {
            data: Some(directory.clone()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            mllp: Some(server::config::Mllp::Off),
            packages: Some(packages),
            public_url: url.map(|url| url.parse().unwrap()),
            ..Settings::default()
        };
        let config = settings.resolve().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let tell = |address, _mllp: &[std::net::SocketAddr]| {
                ready.send(address).unwrap();
                Ok(())
            };
            let stopped = async { stopped.await.unwrap_or_default() };
            runtime
                .block_on(server::run(&config, tell, stopped))
                .unwrap();
        });
        let address = address.recv().unwrap();
        let client = Client::new(&format!("http://{address}/fhir"));
        let answer = client.send("GET", "/metadata", &[], b"").unwrap();
        Self {
            client,
            capabilities: json::parse(&answer.body).unwrap(),
            stop: Some(stop),
            thread: Some(thread),
            directory,
        }
    }

    /// What a request needs that the CapabilityStatement does not offer. A request for what FHIR does not know needs
    /// nothing: it has its answer.
    pub(crate) fn lacks(&self, method: &str, target: &str, body: &[u8]) -> Option<String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if let Some(operation) = segments.iter().find_map(|part| part.strip_prefix('$')) {
            let is_offered = self.offers_operation(operation);
            return (!is_offered).then(|| format!("${operation}"));
        }
        if segments.first() == Some(&".well-known") {
            let is_offered = self
                .rest()
                .get("security")
                .is_some_and(|security| !security.items_of("service").is_empty());
            return (!is_offered).then(|| "SMART on FHIR".to_owned());
        }
        let is_type = segments
            .first()
            .is_some_and(|name| Definitions::r4().is_resource_type(name));
        let interaction = match (method, segments.as_slice()) {
            ("POST", []) => {
                let text = String::from_utf8_lossy(body);
                if text.contains("\"transaction\"") {
                    "transaction"
                } else {
                    "batch"
                }
            }
            ("GET" | "HEAD", []) => "search-system",
            ("GET" | "HEAD", ["metadata"]) => return None,
            ("GET", ["_history"]) => "history-system",
            _ if !is_type => return None,
            ("GET" | "HEAD", [_]) | ("POST", [.., "_search"]) => "search-type",
            ("GET", [_, "_history"]) => "history-type",
            ("GET", [_, _, "_history"]) => "history-instance",
            ("GET" | "HEAD", [_, _, "_history", _]) => "vread",
            ("GET" | "HEAD", [_, _]) => "read",
            ("GET", _) => "search-type",
            ("POST", [_]) => "create",
            ("PUT", [_]) if !query.is_empty() => "conditionalUpdate",
            ("PUT", _) => "update",
            ("DELETE", [_]) if !query.is_empty() => "conditionalDelete",
            ("DELETE", _) => "delete",
            ("PATCH", _) => "patch",
            _ => return None,
        };
        let resource_type = segments.first().copied();
        (!self.offers(resource_type, interaction)).then(|| interaction.to_owned())
    }

    fn rest(&self) -> &Value {
        &self.capabilities.items_of("rest")[0]
    }

    fn offers(&self, resource_type: Option<&str>, interaction: &str) -> bool {
        let mut resources = self.rest().items_of("resource").iter();
        let place = match resource_type {
            Some(name) => resources.find(|resource| resource.str_of("type") == Some(name)),
            None => Some(self.rest()),
        };
        place.is_some_and(|place| {
            let mut codes = place.items_of("interaction").iter();
            // The conditional ones are elements of their own: a boolean, or a code that may be `not-supported`.
            let is_set = match place
                .get(interaction)
                .map(|value| (value.as_bool(), value.as_str()))
            {
                Some((Some(is_set), _)) => is_set,
                Some((_, Some(code))) => code != "not-supported",
                _ => false,
            };
            is_set || codes.any(|each| each.str_of("code") == Some(interaction))
        })
    }

    fn offers_operation(&self, name: &str) -> bool {
        let of_types = self.rest().items_of("resource").iter();
        let of_types = of_types.flat_map(|each| each.items_of("operation"));
        let mut operations = self.rest().items_of("operation").iter().chain(of_types);
        operations.any(|operation| operation.str_of("name") == Some(name))
    }
}

impl Drop for Kiln {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _told = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

/// The status of an answer and what it says is wrong, short enough for a line.
pub(crate) fn told(answer: &Answer) -> String {
    const CHARS_MAX: usize = 600;
    let outcome = json::parse(&answer.body).unwrap_or_else(|_| Value::from(""));
    // A batch tells it entry by entry.
    let of_entries = outcome.items_of("entry").iter();
    let of_entries = of_entries.filter_map(|entry| entry.get("response")?.get("outcome"));
    let mut outcomes = std::iter::once(&outcome).chain(of_entries);
    let issues = outcomes
        .by_ref()
        .flat_map(|outcome| outcome.items_of("issue"));
    let errors = issues.filter(|issue| matches!(issue.str_of("severity"), Some("error" | "fatal")));
    let errors: Vec<String> = errors
        .map(|issue| {
            let place = issue.items_of("expression").first().and_then(Value::as_str);
            let diagnostics = issue.str_of("diagnostics").unwrap_or_default();
            format!("{} {diagnostics}", place.unwrap_or_default())
        })
        .collect();
    let text = if errors.is_empty() {
        answer.text().into_owned()
    } else {
        errors.join("; ")
    };
    let text: String = text.chars().take(CHARS_MAX).collect();
    format!("{} {text}", answer.status)
}
