//! The row of one destination: what waits is sent in order, one at a time. What is set aside or put off keeps back only what
//! comes behind it about the same patients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use interop::formats::hl7v2::acknowledgement::Mode;
use interop::formats::hl7v2::{Intake, Text};
use interop::transports::conversation::Verdict;
use interop::transports::row::Row;
use tokio::time::{Instant as Clock, sleep_until};

use super::files::Files;
use super::forward;
use crate::app::App;
use crate::auth::{Action, Caller, may, may_all};
use crate::config::{Then, Transport};
use crate::deliver::backoff::pause;
use crate::destinations::Destination;
use crate::fault::Fault;
use crate::limits;
use crate::mllp::sender::{Receiver, Sender, Trouble};
use crate::store::{Error, Lease, Queued, Sent, Status};

/// The pause when the database has no time.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether another node has left something.
const POLL: Duration = Duration::from_millis(limits::DELIVERY_POLL_MS);
/// Between attempts to reach who cannot be reached: from, to.
const OUTAGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Messages that are looked at together.
const WINDOW: i64 = 256;

/// How one message went.
enum Attempt {
    /// It does not wait any more.
    Gone,
    /// It waits, and what comes behind it about the same patients.
    Waits,
    /// Nothing can be sent at the moment.
    Outage,
}

/// By what messages go.
enum Way {
    Mllp(Box<Sender>),
    Files(Files),
}

/// What was said to a message.
enum Said {
    /// Nobody answers there, and nobody is asked to.
    Left,
    Verdict(Verdict),
    /// It may have arrived.
    Silence(String),
    Unreachable(String),
}

struct Line {
    app: Arc<App>,
    destination: Arc<Destination>,
    way: Option<Way>,
    /// The next pause when it cannot be reached.
    outage: Duration,
    leased_until: Option<Clock>,
}

/// Until the destination is taken out.
pub(super) async fn run(app: Arc<App>, destination: Arc<Destination>) {
    let mut line = Line {
        app,
        destination: Arc::clone(&destination),
        way: None,
        outage: OUTAGE.0,
        leased_until: None,
    };
    while !destination.is_over() {
        let wait = match line.pass().await {
            Ok(wait) => wait,
            Err(fault) => {
                let kind = fault.kind;
                tracing::warn!(
                    destination = destination.name(),
                    ?kind,
                    "its messages were not sent"
                );
                PAUSE
            }
        };
        let until = Clock::now() + wait;
        while !wait.is_zero() && !destination.is_over() {
            tokio::select! {
                () = sleep_until(until) => break,
                // Who cannot be reached is not tried more often because more is to be sent.
                () = destination.woken() => if destination.outage().is_none() { break },
            }
        }
    }
    if let Some(Way::Files(files)) = line.way {
        files.close().await;
    }
}

impl Line {
    /// Sends what can be sent now. After what time there may be more.
    async fn pass(&mut self) -> Result<Duration, Fault> {
        let (mut row, mut after, mut wait, mut has_worked) = (Row::new(), 0, POLL, false);
        loop {
            let queued = self.queued(after).await?;
            let is_last = i64::try_from(queued.len()).unwrap_or(WINDOW) < WINDOW;
            if !queued.is_empty() && !self.lease().await? {
                return Ok(POLL);
            }
            for one in queued {
                after = one.place;
                let now = (self.app.clock)();
                let early = u64::try_from(one.due_at.micros() - now.micros()).unwrap_or_default();
                if one.is_parked || early > 0 {
                    if !one.is_parked {
                        wait = wait.min(Duration::from_micros(early));
                    }
                    row.set_aside(&one.subjects);
                    continue;
                }
                if row.must_wait(&one.subjects) {
                    continue;
                }
                if self.destination.is_over() {
                    return Ok(Duration::ZERO);
                }
                match self.attempt(&one).await? {
                    Attempt::Gone => has_worked = true,
                    Attempt::Waits => row.set_aside(&one.subjects),
                    Attempt::Outage => return Ok(self.lengthen()),
                }
                if !self.lease().await? {
                    return Ok(POLL);
                }
            }
            if is_last {
                return Ok(if has_worked { Duration::ZERO } else { wait });
            }
        }
    }

    fn lengthen(&mut self) -> Duration {
        let now = self.outage;
        self.outage = (now * 2).min(OUTAGE.1);
        now
    }

    async fn queued(&self, after: i64) -> Result<Vec<Queued>, Fault> {
        let name = self.destination.name().to_owned();
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let read = self
            .app
            .store
            .read(permit, move |view| view.queued(&name, after, WINDOW));
        read.await.map_err(|error: Error| Fault::from(error))
    }

    /// Whether the row is this node's. Asked anew when half of the lease is over.
    async fn lease(&mut self) -> Result<bool, Fault> {
        let half = Duration::from_millis(self.app.limits.delivery_lease_ms / 2);
        if self
            .leased_until
            .is_some_and(|until| Clock::now() + half < until)
        {
            return Ok(true);
        }
        let begun = Clock::now();
        let is_own = lease(&self.app, self.destination.name()).await?;
        self.leased_until = is_own.then(|| begun + half * 2);
        Ok(is_own)
    }

    async fn attempt(&mut self, one: &Queued) -> Result<Attempt, Fault> {
        let number = one.number;
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let read = self
            .app
            .store
            .read(permit, move |view| view.message_bytes(number));
        let bytes: Option<Vec<u8>> = read.await.map_err(|error: Error| Fault::from(error))?;
        let said = match bytes {
            Some(bytes) => self.say(one, Bytes::from(bytes)).await,
            None => Said::Left,
        };
        let now = (self.app.clock)();
        if let Said::Unreachable(why) = said {
            self.way = None;
            self.destination.failed.add(1);
            if self.destination.tell_outage(Some(&why), now) {
                tracing::error!(
                    destination = self.destination.name(),
                    "it cannot be reached: {why}"
                );
            }
            return Ok(Attempt::Outage);
        }
        self.outage = OUTAGE.0;
        if self.destination.tell_outage(None, now) {
            tracing::info!(
                destination = self.destination.name(),
                "it can be reached again"
            );
        }
        let sent = self.judged(one, said);
        let status = sent.status;
        match status {
            Status::Sent => self.destination.sent.add(1),
            _ => self.destination.failed.add(1),
        }
        if status == Status::Dead {
            self.destination.given_up.add(1);
            let reason = sent.reason.as_str();
            let (name, id) = (self.destination.name(), one.control_id.as_str());
            tracing::error!(
                destination = name,
                control_id = id,
                "a message is given up: {reason}"
            );
        }
        let passed_on = forward::incoming(&one.key).map(str::to_owned);
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let written = self.app.store.write(permit, move |tx| {
            if let (Status::Sent, Some(id)) = (sent.status, &passed_on) {
                tx.settle_passed_on(id, sent.at)?;
            }
            tx.settle_outgoing(number, &sent)
        });
        written.await.map_err(|error: Error| Fault::from(error))?;
        self.app.destinations.settled();
        Ok(match status {
            Status::Waiting | Status::Parked => Attempt::Waits,
            _ => Attempt::Gone,
        })
    }

    /// Says it, and keeps the lease while it is waited for the answer.
    async fn say(&mut self, one: &Queued, bytes: Bytes) -> Said {
        let way = match self.way.take() {
            Some(way) => Ok(way),
            None => Way::open(&self.app, &self.destination).await,
        };
        let mut way = match way {
            Ok(way) => way,
            Err(why) => return Said::Unreachable(why),
        };
        let third = Duration::from_millis(self.app.limits.delivery_lease_ms / 3);
        let said = {
            let saying = way.say(one, &bytes);
            tokio::pin!(saying);
            loop {
                tokio::select! {
                    said = &mut saying => break said,
                    () = tokio::time::sleep(third) => {
                        let begun = Clock::now();
                        match lease(&self.app, self.destination.name()).await {
                            Ok(true) => self.leased_until = Some(begun + third * 3),
                            // What is under way cannot be taken back.
                            _ => self.leased_until = None,
                        }
                    }
                }
            }
        };
        if let Way::Mllp(sender) = &mut way {
            self.destination.late.add(std::mem::take(&mut sender.late));
        }
        self.way = Some(way);
        said
    }

    /// What follows from what was said.
    fn judged(&self, one: &Queued, said: Said) -> Sent {
        let now = (self.app.clock)();
        let settings = &self.destination.settings;
        let mut sent = Sent {
            status: Status::Sent,
            attempts: one.attempts.saturating_add(1),
            due_at: now,
            code: String::new(),
            answer: String::new(),
            reason: String::new(),
            at: now,
            is_attempt: true,
        };
        let then = match said {
            Said::Left | Said::Unreachable(_) => return sent,
            Said::Silence(why) => {
                sent.reason = why;
                settings.on_timeout
            }
            Said::Verdict(verdict) => {
                sent.code = verdict.code.name().to_owned();
                sent.answer = String::from_utf8_lossy(&verdict.answer).into_owned();
                if verdict.is_accepted() {
                    return sent;
                }
                sent.reason = format!("{} {}", sent.code, verdict.text)
                    .trim_end()
                    .to_owned();
                match verdict.may_pass() {
                    true => settings.on_error,
                    false => settings.on_reject,
                }
            }
        };
        let [chance, ..] = now.micros().to_le_bytes();
        let pause = match then {
            Then::Resend => pause(&self.app.deliveries.attempts_s, sent.attempts, None, chance),
            Then::Park | Then::Fail => None,
        };
        sent.status = match (then, pause) {
            (Then::Park, _) => Status::Parked,
            (_, Some(_)) => Status::Waiting,
            (_, None) => Status::Dead,
        };
        sent.due_at = pause.map_or(now, |pause| now.plus(pause));
        sent
    }
}

async fn lease(app: &App, name: &str) -> Result<bool, Fault> {
    let now = (app.clock)();
    let lease = Lease {
        node: app.node.clone(),
        now,
        until: now.plus(Duration::from_millis(app.limits.delivery_lease_ms)),
    };
    let name = format!("outbound:{name}");
    let permit = may_all(&Caller::Kiln, [Action::Follow, Action::Messages])?;
    let written = app.store.write(permit, move |tx| tx.lease(&name, &lease));
    written.await.map_err(|error: Error| Fault::from(error))
}

impl Way {
    async fn open(app: &App, destination: &Destination) -> Result<Self, String> {
        let settings = &destination.settings;
        if settings.transport != Transport::Mllp {
            let files = Files::open(settings, &app.limits).await;
            return files.map(Self::Files).map_err(|error| error.to_string());
        }
        let (host, port) = settings.place().ok_or("it has no address")?;
        let receiver = Receiver {
            host,
            port,
            tls: settings.tls.clone(),
            connect_ms: settings.connect_ms,
            answer_ms: settings.answer_ms,
            reach: Some(Arc::new(app.deliveries.clone())),
        };
        let sender = Sender::new(receiver).map_err(|error| error.to_string())?;
        Ok(Self::Mllp(Box::new(sender)))
    }

    async fn say(&mut self, one: &Queued, bytes: &Bytes) -> Said {
        let sender = match self {
            Self::Mllp(sender) => sender,
            Self::Files(files) => {
                let name = format!("{:010}-{}", one.place, one.control_id);
                return match files.leave(&name, bytes).await {
                    Ok(()) => Said::Left,
                    Err(error) => Said::Unreachable(error.to_string()),
                };
            }
        };
        let mode = mode(bytes);
        let wants_answer =
            mode.is_none_or(|mode| mode.wants_accept(true) || mode.wants_application(true));
        let wants_application = match mode {
            Some(Mode::Enhanced { .. }) => mode.is_some_and(|mode| mode.wants_application(true)),
            _ => false,
        };
        let said = match wants_answer {
            true => sender
                .send(bytes, &one.control_id, wants_application)
                .await
                .map(Said::Verdict),
            false => sender.tell(bytes).await.map(|()| Said::Left),
        };
        said.unwrap_or_else(|trouble: Trouble| match trouble.is_silence() {
            true => Said::Silence(trouble.to_string()),
            false => Said::Unreachable(trouble.to_string()),
        })
    }
}

/// Which answers a message asks for.
fn mode(bytes: &[u8]) -> Option<Mode> {
    let text = Text::read(bytes, Intake::default()).ok()?;
    let message = text.message().ok()?;
    Some(Mode::of(&message))
}
