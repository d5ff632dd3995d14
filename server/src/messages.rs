//! The desk: what is done with a message or document that came in, whichever way it came. It is read, its place among the others is
//! taken, it is looked up whether it was here before, mapped, applied and kept in one transaction, and answered.

mod arrival;
mod diff;
mod document;
mod downstream;
mod embedded;
pub mod imported;
mod order;
mod outcome;
mod reprocess;
mod routes;
mod take;
mod translate;
mod transmission;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

pub use arrival::Arrival;
pub use diff::{Change, Difference};
pub use order::{Order, Ticket};
pub use reprocess::Rehearsal;
pub use routes::{Mode, Routes, Running};
pub use take::{Answered, guarded};
pub use translate::{Translated, Trial};
pub use transmission::Heard;
pub use work::run;

use interop::route::Facts;

use crate::app::App;
use crate::arranged::InUse;
use crate::audit;
use crate::auth::{Action, Forbidden, Permit, may};
use crate::config::Config;
use crate::cx::Cx;
use crate::metrics::{Counter, Gauge};

/// Where messages are taken in.
#[derive(Debug)]
pub struct Desk {
    pub app: Arc<App>,
    pub routes: Routes,
    /// What of them was arranged while the server runs.
    pub arranged: InUse,
    /// By which what was imported is worked on again.
    imports: Routes,
    order: Arc<Order>,
    /// Something was acknowledged that is still to be applied.
    work: Notify,
    counts: Counts,
}

/// Messages by route and answer.
#[derive(Debug, Default)]
pub struct Counts {
    answers: Mutex<BTreeMap<(String, String), Arc<Counter>>>,
    pub duplicates: Counter,
    /// Connections of MLLP that are open.
    pub connections: Gauge,
    /// Connections of MLLP for which there was no place.
    pub refused: Counter,
    /// Bytes between messages.
    pub junk_bytes: Counter,
}

impl Counts {
    fn answered(&self, route: &str, code: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (route.to_owned(), code.to_owned());
        answers.entry(key).or_default().add(1);
    }

    pub fn answers(&self) -> Vec<(String, String, u64)> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |((route, code), count): (&(String, String), &Arc<Counter>)| {
            (route.clone(), code.clone(), count.get())
        };
        answers.iter().map(told).collect()
    }
}

impl Desk {
    pub fn new(app: Arc<App>, config: &Config) -> Result<Arc<Self>, crate::config::BadRoute> {
        Ok(Arc::new(Self {
            routes: Routes::of(&config.routes)?,
            imports: Routes::of(&imported::routes())?,
            app,
            arranged: InUse::default(),
            order: Arc::default(),
            work: Notify::new(),
            counts: Counts::default(),
        }))
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// In the name of the server itself.
    pub fn cx(&self) -> Cx {
        Cx {
            app: Arc::clone(&self.app),
            caller: crate::auth::Caller::Kiln,
            now: (self.app.clock)(),
        }
    }

    /// The same, in the name of whoever has sent a message.
    pub(crate) fn cx_of(&self, running: &Running, facts: &Facts, id: &str) -> Cx {
        let who = format!(
            "sender:{}|{}",
            facts.sender_application, facts.sender_facility
        );
        Cx {
            caller: audit::noted(&self.app, running.settings.transport.word(), who, id),
            ..self.cx()
        }
    }

    fn permit() -> Result<Permit, Forbidden> {
        may(&crate::auth::Caller::Kiln, Action::Messages)
    }
}
