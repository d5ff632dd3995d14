//! The one road from mapped resources into the store: what a message says becomes writes in one transaction.
//!
//! Like a bundle it is planned outside of the door and verified inside. Outside: identifiers are looked up, what the message
//! says is laid over what is stored, the result is validated and written out. Inside: the same is asked again, and when the
//! world has changed meanwhile, the plan is made anew in there.

mod documents;
mod draft;
mod links;
mod merge;
mod order;
mod orders;
mod patients;
mod plan;
mod planner;
mod provenance;
mod step;
mod visits;
mod world;

use std::sync::Arc;

use fhir_spec::Issue;
use interop::host::{Applied, Submission};

use crate::auth::{Action, may_all};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::store::Tx;
use draft::Drafts;
pub use plan::Difference;
use plan::Plan;
use planner::Planner;

/// Writes a submission, whole or not at all. `also` runs in the same transaction, with what it needs beside, and may run
/// more than once. A fault says that nothing was written: one below 500 is the sender's, and its issues name what is wrong.
pub async fn apply<T, F>(
    cx: &Cx,
    submission: Submission,
    beside: &[Action],
    also: F,
) -> Result<(Applied, T), Fault>
where
    T: Send + 'static,
    F: Fn(&mut Tx<'_>, &Applied) -> Result<T, Fault> + Send + 'static,
{
    let drafts = Arc::new(Drafts::of(&cx.app, submission, cx.now)?);
    let actions = drafts.actions(&cx.app);
    let permit = may_all(&cx.caller, actions.iter().chain(beside).copied())?;
    let guess = match cx.app.store.has_one_writer() {
        true => Some(Arc::new(guess(cx, &drafts, &actions).await?)),
        // A second look costs more there than others would wait for the first.
        false => None,
    };
    let (app, now) = (cx.app.clone(), cx.now);
    // What was planned is taken apart here, not by the one who writes.
    let kept = (Arc::clone(&drafts), guess.clone());
    let done = cx
        .app
        .store
        .write(permit, move |tx| {
            let anew;
            let plan = match &guess {
                Some(guess) if guess.holds(tx)? => guess,
                _ => {
                    anew = Planner::new(tx, &app, &drafts, now).plan()?;
                    &anew
                }
            };
            let applied = plan.write(tx, &app, now)?;
            let value = also(tx, &applied)?;
            Ok((applied, value))
        })
        .await;
    drop(kept);
    done
}

/// The plan as things are now.
async fn guess(cx: &Cx, drafts: &Arc<Drafts>, actions: &[Action]) -> Result<Plan, Fault> {
    let look = may_all(&cx.caller, actions.iter().copied())?;
    let (app, now, drafts) = (cx.app.clone(), cx.now, Arc::clone(drafts));
    // Asked before the look begins.
    let tide = cx.app.store.tide();
    cx.app
        .store
        .scout(look, move |view| {
            let mut planner = Planner::new(view, &app, &drafts, now);
            planner.seen.tide = tide;
            planner.plan()
        })
        .await
}

/// What a submission would change, resource by resource, as things are now. Nothing is written.
pub async fn diff(cx: &Cx, submission: Submission) -> Result<(Vec<Difference>, Vec<Issue>), Fault> {
    let drafts = Drafts::of(&cx.app, submission, cx.now)?;
    let look = may_all(&cx.caller, drafts.actions(&cx.app))?;
    let (app, now) = (cx.app.clone(), cx.now);
    cx.app
        .store
        .read(look, move |view| {
            let plan = Planner::new(view, &app, &drafts, now).plan()?;
            Ok((plan.differences(now)?, plan.issues))
        })
        .await
}
