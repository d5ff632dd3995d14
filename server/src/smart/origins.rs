//! From where the pages of apps come: a browser lets them ask here when we say so (CORS).
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support>

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use super::{Registration, redirect};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::config::Auth;
use crate::fault::Fault;
use crate::store::Error;

/// How long what was looked up is believed.
const KEPT: Duration = Duration::from_secs(2);

/// Those of the apps that are registered.
#[derive(Debug, Default)]
pub struct Origins(Mutex<Option<(Moment, Arc<HashSet<String>>)>>);

impl Origins {
    /// Whether an app that is registered has its pages there.
    pub async fn has(&self, app: &App, origin: &str) -> Result<bool, Fault> {
        if app.auth != Auth::Smart {
            return Ok(false);
        }
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((since, all)) = known
            && since.elapsed() < KEPT
        {
            return Ok(all.contains(origin));
        }
        let permit = may(&Caller::Kiln, Action::Admit)?;
        let found = app.store.read(permit, |view| view.clients());
        let found = found.await.map_err(|error: Error| error)?;
        let mut all = HashSet::new();
        for client in &found {
            let Ok(known) = Registration::kept(&client.body) else {
                continue;
            };
            let origins = known
                .redirects
                .iter()
                .map(|uri| redirect::origin(uri).to_owned());
            all.extend(origins.filter(|origin| origin.starts_with("http")));
        }
        let has = all.contains(origin);
        let known = Some((Moment::now(), Arc::new(all)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(has)
    }
}
