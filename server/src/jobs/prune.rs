//! Takes out messages that were kept long enough, by what became of them, and gives the room back.

use std::time::Duration;

use crate::app::App;
use crate::auth::{Action, Caller, Forbidden, may};
use crate::config::Messages;
use crate::instant::Instant;
use crate::store::{self, Status};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// How often it is looked.
const PAUSE: Duration = Duration::from_secs(60);
/// Between two steps, so that others come in between.
const BREATH: Duration = Duration::from_millis(20);
/// Messages that are taken out together.
const BATCH: u32 = 200;
const DAY_US: i64 = 86_400_000_000;

/// As long as the server runs.
pub async fn run(app: &App, kept: Messages) {
    loop {
        if let Err(error) = prune(app, kept).await {
            tracing::warn!(error = %error, "messages were not pruned");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How many days, by status. What waits to be applied or sent stays for as long as that takes.
fn days(kept: Messages) -> [(Status, Option<u32>); 7] {
    [
        (Status::Applied, kept.keep_applied_days),
        (Status::Filtered, kept.keep_filtered_days),
        (Status::Error, kept.keep_error_days),
        (Status::Held, kept.keep_held_days),
        (Status::Dead, kept.keep_dead_days),
        (Status::Sent, kept.keep_sent_days),
        (Status::Skipped, kept.keep_sent_days),
    ]
}

async fn prune(app: &App, kept: Messages) -> Result<(), Error> {
    let mut count = 0;
    for (status, days) in days(kept) {
        let Some(days) = days else { continue };
        let now = (app.clock)().micros();
        let before = Instant::from_micros(now.saturating_sub(i64::from(days) * DAY_US));
        loop {
            let permit = may(&Caller::Kiln, Action::Messages)?;
            let work = move |tx: &mut store::Tx<'_>| tx.prune_messages(status, before, BATCH);
            let pruned = app.store.write(permit, work).await?;
            count += pruned.messages;
            if !pruned.is_more {
                break;
            }
            tokio::time::sleep(BREATH).await;
        }
    }
    if count == 0 {
        return Ok(());
    }
    tracing::info!(count, "messages were pruned");
    loop {
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let more = app.store.write(permit, |tx| tx.give_room_back()).await?;
        if !more {
            return Ok(());
        }
        tokio::time::sleep(BREATH).await;
    }
}
