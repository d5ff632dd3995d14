//! The parts that the server is made of, put together once. Time and ids come from here and nowhere else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::validate::Validator;
use search::Registry;
use uuid::{NoContext, Timestamp, Uuid};

use crate::accept::{Accepted, Sealed};
use crate::audit::Audit;
use crate::callers::Callers;
use crate::config::{Auth, Config, Deliveries, Outside};
use crate::consents::Consents;
use crate::destinations::Destinations;
use crate::instant::Instant;
use crate::kept::Kept;
use crate::limits::Limits;
use crate::policies::Policies;
use crate::shelf::Shelf;
use crate::store::Store;
use crate::subscriptions::dispatch::Dispatch;
use crate::subscriptions::{self, FOLLOWER};
use crate::texts::Texts;

#[derive(Debug)]
pub struct App {
    pub validator: Arc<Validator>,
    pub store: Store,
    pub clock: fn() -> Instant,
    /// An id for a new resource, made at that moment.
    pub ids: fn(Instant) -> String,
    pub started_at: Instant,
    pub auth: Auth,
    /// Who keeps what is done here.
    pub audit: Audit,
    /// What the house denies, whoever grants it,
    pub policies: Policies,
    /// and what patients do.
    pub consents: Consents,
    /// Those who came in lately.
    pub callers: Callers,
    pub outside: Outside,
    pub limits: Limits,
    /// The index of texts; None: the settings want none.
    pub texts: Option<Arc<Texts>>,
    /// The maps of foreign formats.
    pub shelf: Arc<Shelf>,
    /// Whether it is kept for every message who sent it and what it changed.
    pub provenance: bool,
    /// How others are told of what has changed.
    pub deliveries: Deliveries,
    pub dispatch: Arc<Dispatch>,
    /// To whom messages of HL7 v2 go.
    pub destinations: Arc<Destinations>,
    /// The name of this node among those that share the database.
    pub node: String,
    /// Where it is reached on this machine, once that is known.
    pub served_at: OnceLock<String>,
    /// The CapabilityStatement.
    pub capabilities: Kept,
    requests: AtomicU64,
}

impl App {
    pub fn new(store: Store, definitions: impl Into<Arc<Definitions>>, config: &Config) -> Self {
        // One process works on a file: what it was at when it was killed is its own again at once.
        let node = match store.has_one_writer() {
            true => "this".to_owned(),
            false => ordered_id(system_clock()),
        };
        Self {
            validator: Arc::new(Validator::new(definitions.into())),
            store,
            clock: system_clock,
            ids: ordered_id,
            started_at: system_clock(),
            auth: config.auth,
            audit: Audit::new(config.audit),
            policies: Policies::of(&config.policies).unwrap_or_else(|_| Policies::closed()),
            consents: Consents::default(),
            callers: Callers::default(),
            outside: config.outside.clone(),
            limits: config.limits,
            texts: config.text_index.clone().map(Texts::at).map(Arc::new),
            shelf: Arc::new(Shelf::new(config.maps.clone())),
            provenance: config.provenance,
            deliveries: config.deliveries.clone(),
            dispatch: Arc::new(Dispatch::new(FOLLOWER)),
            destinations: Arc::default(),
            node,
            served_at: OnceLock::new(),
            capabilities: Kept::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// The same parts around another view of the store.
    #[must_use]
    pub fn with_store(&self, store: Store) -> Self {
        Self {
            validator: Arc::clone(&self.validator),
            store,
            clock: self.clock,
            ids: self.ids,
            started_at: self.started_at,
            auth: self.auth,
            audit: Audit::new(self.audit.settings()),
            policies: self.policies.clone(),
            consents: Consents::default(),
            callers: Callers::default(),
            outside: self.outside.clone(),
            limits: self.limits,
            texts: self.texts.clone(),
            shelf: Arc::clone(&self.shelf),
            provenance: self.provenance,
            deliveries: self.deliveries.clone(),
            dispatch: Arc::clone(&self.dispatch),
            destinations: Arc::clone(&self.destinations),
            node: self.node.clone(),
            served_at: self.served_at.clone(),
            capabilities: Kept::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// What FHIR says here: R4 and the packages laid over it.
    pub fn definitions(&self) -> &Definitions {
        self.validator.definitions()
    }

    /// What resources are found by, as it is now: search parameters may come and go.
    pub fn search(&self) -> Arc<Registry> {
        self.store.registry()
    }

    /// The FHIR base, for those who did not ask: nobody knows the address that they use.
    pub fn base(&self) -> String {
        match (&self.outside.public_url, self.served_at.get()) {
            (Some(url), _) => format!("{url}/fhir"),
            (None, Some(served_at)) => format!("{served_at}/fhir"),
            (None, None) => "/fhir".to_owned(),
        }
    }

    /// Written out under its id, or all that keeps it from being served.
    pub fn seal(&self, accepted: Accepted, id: String) -> Result<Sealed, Vec<Issue>> {
        subscriptions::ready(self, accepted)?.seal(id, &self.search())
    }

    /// A name for a request, to find it in the log by: unique on this node.
    pub fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number:x}", self.started_at.micros())
    }
}

fn system_clock() -> Instant {
    SystemTime::now().into()
}

/// A UUID that begins with the time (version 7): ids made one after another lie side by side in the database.
fn ordered_id(now: Instant) -> String {
    let since = now.since_epoch();
    let timestamp = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
    Uuid::new_v7(timestamp).to_string()
}
