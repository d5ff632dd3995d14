//! Takes out events of the audit that were kept long enough. Where each chain was cut is noted with it and told by the audit
//! itself, so that the rest can be verified as before.

use std::time::Duration;

use super::{DAY_US, Error};
use crate::app::App;
use crate::auth::{Action, Caller, Did, Record, Step, Visit, may};
use crate::instant::Instant;
use crate::limits::AUDIT_EVENTS_CUT_AT_ONCE;
use crate::store::{self, ChainEnd, View};

/// How often it is looked.
const PAUSE: Duration = Duration::from_secs(3_600);
/// Between two steps, so that others come in between.
const BREATH: Duration = Duration::from_millis(20);

/// As long as the server runs.
pub async fn run(app: &App) {
    let Some(days) = app.audit.settings().retain_days else {
        return;
    };
    loop {
        let now = (app.clock)().micros();
        let before = now.saturating_sub(i64::from(days).saturating_mul(DAY_US));
        if let Err(error) = prune(app, Instant::from_micros(before)).await {
            tracing::warn!(error = %error, "the audit was not pruned");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn prune(app: &App, before: Instant) -> Result<(), Error> {
    let permit = may(&Caller::Kiln, Action::Note)?;
    let read = app
        .store
        .read(permit, |view: &mut View<'_>| view.chain_ends());
    let ends: Vec<ChainEnd> = read.await.map_err(|error: store::Error| error)?;
    for mut end in ends {
        loop {
            let permit = may(&Caller::Kiln, Action::Note)?;
            let (of, now) = (end.clone(), (app.clock)());
            let cut = app.store.write(permit, move |tx| {
                let cut = tx.cut_audit(&of, before, AUDIT_EVENTS_CUT_AT_ONCE)?;
                if let Some(seq) = cut {
                    tx.keep_audit(&told(&of, seq, now))?;
                }
                Ok::<_, store::Error>(cut)
            });
            let Some(seq) = cut.await? else {
                break;
            };
            end.cut_seq = seq;
            tokio::time::sleep(BREATH).await;
        }
    }
    Ok(())
}

/// That a chain was cut.
fn told(end: &ChainEnd, seq: i64, now: Instant) -> Vec<Record> {
    let visit = Visit::new(Caller::Kiln, "retention", now);
    visit.note(Step {
        code: "cut",
        action: Did::Delete,
        told: Some(format!(
            "chain {}: events {} to {seq} were kept long enough",
            end.chain,
            end.cut_seq + 1
        )),
        ..Step::default()
    });
    visit.records()
}
