//! The one road from mapped resources into the store: what a message says becomes writes in one transaction.
//!
//! Like a bundle it is planned outside of the door and verified inside. Outside: identifiers are looked up, what the message
//! says is laid over what is stored, the result is validated and written out. Inside: the same is asked again, and when the
//! world has changed meanwhile, the plan is made anew in there.

mod draft;
mod merge;
mod order;
mod plan;
mod provenance;
mod world;

use interop::host::{Applied, Submission};

use crate::auth::{Action, may_all};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::store::Tx;
use draft::Drafts;
use plan::Plan;

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
    let drafts = Drafts::of(&cx.app, submission, cx.now)?;
    let actions = drafts.actions();
    let look = may_all(cx.caller, actions.iter().copied())?;
    let permit = may_all(cx.caller, actions.iter().chain(beside).copied())?;
    let (app, now) = (cx.app.clone(), cx.now);
    let (drafts, guess) = cx
        .app
        .store
        .read(look, {
            let drafts = std::sync::Arc::new(drafts);
            move |view| {
                let plan = Plan::make(view, &app, &drafts, now)?;
                Ok::<_, Fault>((std::sync::Arc::clone(&drafts), plan))
            }
        })
        .await?;
    let app = cx.app.clone();
    cx.app
        .store
        .write(permit, move |tx| {
            let anew;
            let plan = match guess.holds(tx)? {
                true => &guess,
                false => {
                    anew = Plan::make(tx, &app, &drafts, now)?;
                    &anew
                }
            };
            let applied = plan.write(tx, &app, now)?;
            let value = also(tx, &applied)?;
            Ok((applied, value))
        })
        .await
}
