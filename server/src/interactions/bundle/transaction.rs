//! Transaction: all entries happen, or none.
//! <https://hl7.org/fhir/R4/http.html#trules>

use bytes::Bytes;
use fhir_spec::bundle::{Bundle, Kind as BundleKind, Links};

use super::answer::answer;
use super::plan::Plan;
use super::planner::Planner;
use super::trouble::{Stop, Told, as_one, told};
use super::{Sent, Wishes, read};
use crate::auth::may_all;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits::PLANS_MAX;

pub(super) async fn run(
    cx: &Cx,
    sent: Sent,
    bundle: Bundle,
    wishes: Wishes,
) -> Result<Bytes, Fault> {
    let mut plan = plan(cx, &sent, bundle, &wishes).await?;
    // Only a plan that may have to be made anew needs the text again.
    let sent = plan.depends_on_world().then_some(sent);
    for _ in 0..PLANS_MAX {
        let permit = may_all(&cx.caller, plan.actions.iter().copied())?;
        let carried_out = match plan.only_looks() {
            true => cx.app.store.read(permit, move |view| plan.look(view)).await,
            false => cx.app.store.write(permit, move |tx| plan.apply(tx)).await,
        };
        match carried_out {
            Ok(done) => {
                let done = done.into_iter().map(|(place, done)| (place, Ok(done)));
                return answer(cx, BundleKind::Transaction, done.collect(), &wishes);
            }
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(Stop::Changed) => {}
        }
        let Some(sent) = &sent else { break };
        let (app, again, base) = (cx.app.clone(), sent.clone(), wishes.base.clone());
        let bundle = cx
            .compute(sent.text.len(), move || read(&app, &again, &base))
            .await?;
        plan = self::plan(cx, sent, bundle, &wishes).await?;
    }
    Err(Fault::new(
        Kind::Unavailable,
        "others kept changing what this transaction depends on: nothing was written",
    ))
}

async fn plan(cx: &Cx, sent: &Sent, bundle: Bundle, wishes: &Wishes) -> Result<Plan, Fault> {
    let entries = bundle
        .all()
        .map_err(|issues| Fault::of_issues(Kind::Malformed, issues))?;
    let planner = Planner {
        cx: cx.clone(),
        sent: sent.clone(),
        wishes: wishes.clone(),
        kind: BundleKind::Transaction,
        links: Links::new(BundleKind::Transaction, cx.app.definitions().types()),
        bytes: sent.text.len(),
        told: Told::default(),
    };
    let plan = planner
        .plan(entries.into_iter().enumerate().collect())
        .await;
    plan.map_err(|failures| as_one(told(failures, sent)))
}
