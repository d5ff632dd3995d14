//! A message that is kept is worked on once more, because maps or the world have changed; or it is shown what would
//! become of it.

use std::sync::Arc;

use fhir_spec::Issue;

use super::diff::{Difference, difference};
use super::take::is_senders;
use super::work::Attempt;
use super::{Desk, Trial};
use crate::facade;
use crate::fault::{Fault, Kind};
use crate::store::{Direction, Filter, Status, Whole};

/// What would become of a message.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    pub changes: Vec<Difference>,
    /// The loss report; with errors nothing would be changed.
    pub issues: Vec<Issue>,
}

impl Desk {
    /// Works on it again; what is known of it afterwards. None: there is no such message.
    pub async fn reprocess(self: &Arc<Self>, id: &str) -> Result<Option<Whole>, Fault> {
        let Some(whole) = self.incoming(id).await? else {
            return Ok(None);
        };
        let arrival = self.arrive_again(&whole);
        match self.again(&whole, arrival).await {
            Attempt::Settled(_) => self.whole(id).await,
            Attempt::Later => Err(Fault::new(
                Kind::Unavailable,
                "the store could not take it: the message is as it was",
            )),
        }
    }

    /// What would become of it. Nothing is changed.
    pub async fn rehearse(self: &Arc<Self>, id: &str) -> Result<Option<Rehearsal>, Fault> {
        self.rehearse_by(id, None).await
    }

    /// What would become of it by other maps.
    pub async fn rehearse_with(
        self: &Arc<Self>,
        id: &str,
        trial: &Trial,
    ) -> Result<Option<Rehearsal>, Fault> {
        self.rehearse_by(id, Some(trial)).await
    }

    async fn rehearse_by(
        self: &Arc<Self>,
        id: &str,
        trial: Option<&Trial>,
    ) -> Result<Option<Rehearsal>, Fault> {
        let Some(whole) = self.incoming(id).await? else {
            return Ok(None);
        };
        let Some(mut arrival) = self.arrive_again(&whole) else {
            let route = &whole.listed.route;
            return Err(Fault::new(
                Kind::Conflict,
                format!("there is no route {route} any more"),
            ));
        };
        arrival.trial = trial.cloned();
        let arrival = Arc::new(arrival);
        let submission = match self.mapped(&arrival, id).await? {
            Ok(submission) => submission,
            Err((_, issues)) => {
                return Ok(Some(Rehearsal {
                    changes: Vec::new(),
                    issues,
                }));
            }
        };
        let mut issues = submission.issues.clone();
        match facade::diff(&self.cx(), submission).await {
            Ok((would, told)) => {
                issues.extend(told);
                Ok(Some(Rehearsal {
                    changes: would.iter().map(difference).collect(),
                    issues,
                }))
            }
            // What the store does not take is what would become of it.
            Err(fault) if is_senders(&fault) => {
                issues.splice(0..0, fault.issues);
                Ok(Some(Rehearsal {
                    changes: Vec::new(),
                    issues,
                }))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Has many worked on again, in the order in which they were kept. How many.
    pub async fn reprocess_many(&self, filter: Filter) -> Result<usize, Fault> {
        const TRIED_AGAIN: &[Status] = &[Status::Error, Status::Held, Status::Dead];
        let chosen = |statuses: &[Status]| {
            let all = TRIED_AGAIN.iter().copied();
            all.filter(|status| statuses.is_empty() || statuses.contains(status))
                .collect()
        };
        let filter = Filter {
            statuses: chosen(&filter.statuses),
            direction: Some(Direction::In),
            ..filter
        };
        if filter.statuses.is_empty() {
            return Err(Fault::new(
                Kind::WrongParameter,
                "status: expected error, held or dead: others are not worked on again together",
            ));
        }
        let permit = Self::permit()?;
        let store = &self.app.store;
        let count = store
            .write(permit, move |tx| tx.requeue_messages(&filter))
            .await?;
        self.work_comes();
        Ok(count)
    }

    async fn incoming(&self, id: &str) -> Result<Option<Whole>, Fault> {
        let whole = self.whole(id).await?;
        Ok(whole.filter(|whole| whole.listed.direction == Direction::In))
    }
}
