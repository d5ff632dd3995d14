//! Takes out events of subscriptions that were told long enough ago: until then they can be asked for again.

use std::time::Duration;

use super::{DAY_US, Error};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::instant::Instant;
use crate::store::{Target, View};

/// How often it is looked.
const PAUSE: Duration = Duration::from_secs(600);
/// Between two steps, so that others come in between.
const BREATH: Duration = Duration::from_millis(20);

/// As long as the server runs.
pub async fn run(app: &App) {
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = prune(app).await {
            tracing::warn!(error = %error, "events of subscriptions were not pruned");
        }
    }
}

async fn prune(app: &App) -> Result<(), Error> {
    let kept_us = i64::from(app.deliveries.keep_days).saturating_mul(DAY_US);
    let before = Instant::from_micros((app.clock)().micros().saturating_sub(kept_us));
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let read = app.store.read(permit, |view: &mut View<'_>| view.targets());
    let targets: Vec<Target> = read.await?;
    for target in targets.into_iter().filter(|target| target.born > 0) {
        loop {
            let permit = may(&Caller::Kiln, Action::Deliver)?;
            let of = target.clone();
            let pruned = app
                .store
                .write(permit, move |tx| tx.prune_events(&of, before));
            let is_more: bool = pruned.await?;
            tokio::time::sleep(BREATH).await;
            if !is_more {
                break;
            }
        }
    }
    Ok(())
}
