//! Messages and documents of files that `kiln import` brings. They are mapped where the files are read, and kept, known
//! again and answered as those that come by a route: its name is `import`, of documents `import-documents`.

use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::Issue;
use interop::host::{Applied, Submission};
use interop::route::Verdict;

use super::outcome::Fate;
use super::take::{ATTEMPTS_MAX, Place, Row, is_taken, refusal, write};
use super::{Arrival, Desk, Running};
use crate::auth::Action;
use crate::config::{Format, RouteSettings, Transport};
use crate::cx::Cx;
use crate::facade;
use crate::fault::Fault;
use crate::store::{Earlier, Stage, Status};

/// The names of the routes by which files are imported.
pub const MESSAGES: &str = "import";
pub const DOCUMENTS: &str = "import-documents";

/// Routes that are there for what was imported, when none of those names was configured.
pub fn routes() -> [RouteSettings; 2] {
    [(MESSAGES, Format::Hl7v2), (DOCUMENTS, Format::Cda)].map(|(name, format)| RouteSettings {
        format,
        ..RouteSettings::usual(name, Transport::Http, None)
    })
}

impl Desk {
    /// The route of a message that is kept.
    pub(super) fn route_of(&self, name: &str) -> Option<Arc<Running>> {
        self.routes.get(name).or_else(|| self.imports.get(name))
    }

    /// One that a file brought.
    pub fn arrive_of_file(&self, running: &Arc<Running>, bytes: Bytes, file: &Arc<str>) -> Arrival {
        Arrival {
            file: Some(Arc::clone(file)),
            ..self.arrive(running, bytes, None)
        }
    }

    /// Stores what it says together with the message. None: it was here before, and nothing is done. Of a fault below 500
    /// nothing was written, and the message is at fault.
    pub async fn apply_imported(
        &self,
        cx: &Cx,
        arrival: &Arrival,
        submission: &Submission,
    ) -> Result<Option<Applied>, Fault> {
        let mut attempts = 1;
        loop {
            match self.try_imported(cx, arrival, submission).await {
                // It has just been kept by somebody else: what became of it is known now.
                Err(fault) if is_taken(&fault) && attempts < ATTEMPTS_MAX => attempts += 1,
                done => return done,
            }
        }
    }

    async fn try_imported(
        &self,
        cx: &Cx,
        arrival: &Arrival,
        submission: &Submission,
    ) -> Result<Option<Applied>, Fault> {
        let Some(place) = place(cx, arrival).await? else {
            return nothing(cx).await.map(|()| None);
        };
        let mut submission = submission.clone();
        submission.origin.route = arrival.running.name().to_owned();
        submission.origin.message_id.clone_from(&place.id);
        let fate = Fate {
            stage: Stage::Applied,
            status: Status::Applied,
            verdict: Verdict::Accepted,
            issues: &submission.issues,
        };
        let reply = self.replied(arrival, fate.verdict);
        let outcome = fate.outcome(Some(reply), cx.now);
        let row = arrival.kept(&place);
        let also = move |tx: &mut crate::store::Tx<'_>, applied: &Applied| {
            let mut outcome = outcome.clone();
            outcome.touched.clone_from(&applied.touched);
            write(tx, &row, &outcome).map_err(Fault::from)
        };
        let (applied, ()) = facade::apply(cx, submission, &[Action::Messages], also).await?;
        Ok(Some(applied))
    }

    /// Keeps what could not be applied, with its reason.
    pub async fn refuse_imported(
        &self,
        cx: &Cx,
        arrival: &Arrival,
        stage: Stage,
        issues: &[Issue],
    ) -> Result<(), Fault> {
        let Some(place) = place(cx, arrival).await? else {
            return nothing(cx).await;
        };
        let fate = refusal(stage, issues);
        let reply = match &arrival.unreadable {
            Some(fault) => arrival.rejection(fault, cx.now),
            None => self.replied(arrival, fate.verdict),
        };
        let outcome = fate.outcome(Some(reply), cx.now);
        let row = arrival.kept(&place);
        let written = cx.app.store.write(Self::permit()?, move |tx| {
            write(tx, &row, &outcome).map_err(Fault::from)
        });
        written.await
    }
}

/// Where it is kept; None: it is there, and was not refused.
async fn place(cx: &Cx, arrival: &Arrival) -> Result<Option<Place>, Fault> {
    let permit = Desk::permit()?;
    let earlier = { &cx.app.store }.earlier_message(&permit, &arrival.facts, arrival.hash);
    let (id, row) = match earlier.await? {
        Earlier::None => (arrival.id.clone(), Row::New { reused: false }),
        Earlier::Other => (arrival.id.clone(), Row::New { reused: true }),
        Earlier::Same {
            number,
            id,
            status: Status::Error | Status::Dead,
            ..
        } => (id, Row::Known(number)),
        Earlier::Same { .. } => return Ok(None),
    };
    Ok(Some(Place { id, row }))
}

/// A transaction of nothing but the note of how far the import has come.
async fn nothing(cx: &Cx) -> Result<(), Fault> {
    let written = cx.app.store.write(Desk::permit()?, |_| Ok::<(), Fault>(()));
    written.await
}
