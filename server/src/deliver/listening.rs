//! The channel `websocket`: who listens comes here, says for what, and is told what has happened since anybody was told
//! last, in the order of the events. Nobody is waited for: what nobody listens to stays, to be told to who comes.
//! <https://hl7.org/fhir/R4/subscription.html#websocket>

use std::sync::Arc;

use super::channel::{Delivery, What};
use super::told::{Batch, Told, acting, batch, left_the_house, told};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::limits;
use crate::store::{Error, Fate, State, Target};
use crate::subscriptions::binding::{self, Binding};

/// Somebody who has come, and for what.
#[derive(Debug)]
pub struct Listener {
    app: Arc<App>,
    /// None: they have not shown who they are. Tokens speak for them.
    caller: Option<Caller>,
    bound: Vec<Bound>,
}

/// A subscription that somebody listens to.
struct Bound {
    rid: i64,
    id: String,
    version: u64,
    told: Told,
    /// By what the rights of who listens are found.
    standing: String,
    /// Up to which event they were told,
    done: i64,
    /// and when.
    told_at: Instant,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bound({})", self.rid)
    }
}

/// What is to be sent, and what is told by it.
#[derive(Debug)]
pub struct Said {
    pub text: String,
    /// Of which subscription, behind which event and up to which one.
    told: Option<(i64, i64, i64)>,
}

impl Said {
    fn plain(text: String) -> Self {
        Self { text, told: None }
    }
}

impl Listener {
    pub fn new(app: Arc<App>, caller: Option<Caller>) -> Self {
        Self {
            app,
            caller,
            bound: Vec::new(),
        }
    }

    /// What is answered to a message: `bind ID`, `bind-with-token TOKEN`.
    pub async fn hear(&mut self, text: &str) -> Result<Vec<Said>, Fault> {
        let (verb, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        match (verb.trim_end_matches(':'), self.caller.clone()) {
            ("bind", Some(caller)) if !rest.is_empty() => {
                let id = rest.strip_prefix("Subscription/").unwrap_or(rest);
                Ok(vec![self.bind(&caller, id).await?])
            }
            ("bind", None) => {
                let told = "error: show who you are, or bind with a token ($get-ws-binding-token)";
                Ok(vec![Said::plain(told.to_owned())])
            }
            ("bind-with-token", _) if !rest.is_empty() => self.bind_with(rest).await,
            _ => {
                let told = "error: expected `bind ID` or `bind-with-token TOKEN`";
                Ok(vec![Said::plain(told.to_owned())])
            }
        }
    }

    async fn bind_with(&mut self, token: &str) -> Result<Vec<Said>, Fault> {
        let binding = Binding::open(self.app.store.secret()?, token, (self.app.clock)());
        let caller = match &binding {
            Some(binding) => acting(&self.app, &binding.standing).await?,
            None => None,
        };
        let (Some(binding), Some(caller)) = (binding, caller) else {
            let told = "error: this token is unknown here, was changed, or has expired";
            return Ok(vec![Said::plain(told.to_owned())]);
        };
        let mut answers = Vec::with_capacity(binding.ids.len());
        for id in &binding.ids {
            answers.push(self.bind(&caller, id).await?);
        }
        Ok(answers)
    }

    /// Who cannot see it learns no more than of one that is not there.
    async fn bind(&mut self, caller: &Caller, id: &str) -> Result<Said, Fault> {
        let shown: String = id.chars().take(64).collect();
        if self.bound.len() >= limits::SOCKET_BINDINGS_MAX {
            let most = limits::SOCKET_BINDINGS_MAX;
            let told = format!("error: at most {most} subscriptions by one connection");
            return Ok(Said::plain(told));
        }
        let target = binding::listened(&self.app, caller, id).await?;
        let told = match &target {
            Some(target) => told(&self.app, target).await?,
            None => None,
        };
        let (Some(target), Some(told)) = (target, told) else {
            let told = format!("error: there is no active subscription `{shown}` for a websocket");
            return Ok(Said::plain(told));
        };
        let bound = Bound {
            rid: target.rid,
            id: target.id.clone(),
            version: target.version,
            told,
            standing: caller.standing().unwrap_or_default().to_owned(),
            done: target.done,
            told_at: (self.app.clock)(),
        };
        let answer = match bound.told.subscription.topic() {
            None => format!("bound {shown}"),
            Some(_) => self.notification(&bound, &target, What::Handshake),
        };
        self.bound.retain(|other| other.rid != bound.rid);
        self.bound.push(bound);
        Ok(Said::plain(answer))
    }

    /// What is to be said now, to be asked again until there is nothing. `grown`: the subscriptions that events were born
    /// for; None: nobody knows.
    pub async fn say(&mut self, grown: Option<&[i64]>) -> Result<Vec<Said>, Fault> {
        let mut all = Vec::new();
        let mut kept = Vec::with_capacity(self.bound.len());
        for mut bound in std::mem::take(&mut self.bound) {
            if grown.is_some_and(|grown| !grown.contains(&bound.rid)) {
                kept.push(bound);
                continue;
            }
            match self.of_one(&mut bound, &mut all).await? {
                true => kept.push(bound),
                false => {
                    let told = format!("unbound {}", bound.id);
                    all.push(Said::plain(told));
                }
            }
        }
        self.bound = kept;
        Ok(all)
    }

    /// Whether it is still there to be listened to, by who does.
    async fn of_one(&self, bound: &mut Bound, all: &mut Vec<Said>) -> Result<bool, Fault> {
        let rid = bound.rid;
        let permit = may(&Caller::Kiln, Action::Follow)?;
        let store = &self.app.store;
        let target = store.read(permit, move |view| view.target_of(rid));
        let target: Option<Target> = target.await.map_err(|error: Error| Fault::from(error))?;
        let Some(mut target) = target.filter(|target| target.state == State::Listening) else {
            return Ok(false);
        };
        if target.version != bound.version {
            let Some(again) = told(&self.app, &target).await? else {
                return Ok(false);
            };
            (bound.told, bound.version) = (again, target.version);
        }
        let Some(caller) = acting(&self.app, &bound.standing).await? else {
            return Ok(false);
        };
        target.done = bound.done;
        if target.born > bound.done {
            let events = batch(&self.app, &target, &caller).await?;
            self.of_events(bound, &target, events, all).await?;
        } else if bound.told.heartbeat_at(bound.told_at.micros()) <= (self.app.clock)().micros() {
            let text = self.notification(bound, &target, What::Heartbeat);
            all.push(Said::plain(text));
            bound.told_at = (self.app.clock)();
        }
        Ok(true)
    }

    async fn of_events(
        &self,
        bound: &mut Bound,
        target: &Target,
        some: Batch,
        all: &mut Vec<Said>,
    ) -> Result<(), Fault> {
        let Batch { events, last, .. } = some;
        let subscription = &bound.told.subscription;
        let together = match subscription.topic() {
            // One is enough to say that something has happened.
            None => events.len().max(1),
            Some(_) => subscription.channel.count_max,
        };
        let mut done = bound.done;
        for (index, chunk) in events.chunks(together).enumerate() {
            let is_last = (index + 1) * together >= events.len();
            let number = chunk.last().map_or(last, |(event, _)| event.number);
            let up_to = if is_last { last } else { number };
            let text = match subscription.topic() {
                // Nothing of what has happened leaves the house by this.
                None => format!("ping {}", bound.id),
                Some(_) => {
                    let who = bound.standing.split_whitespace().next().unwrap_or_default();
                    left_the_house(&self.app, target, &bound.told, who, (chunk, true)).await?;
                    self.notification(bound, target, What::Events(chunk))
                }
            };
            all.push(Said {
                text,
                told: Some((bound.rid, done, up_to)),
            });
            done = up_to;
        }
        if !events.is_empty() {
            bound.told_at = (self.app.clock)();
        }
        bound.done = last.max(done);
        Ok(())
    }

    fn notification(&self, bound: &Bound, target: &Target, what: What<'_>) -> String {
        let base = self.app.base();
        let delivery = Delivery {
            base: &base,
            definitions: self.app.definitions(),
            target,
            told: &bound.told,
            what,
            now: (self.app.clock)(),
        };
        delivery.bundle()
    }

    /// It was sent: who comes next is told of what follows.
    pub async fn arrived(&self, said: &Said) -> Result<(), Fault> {
        let Some((rid, behind, up_to)) = said.told else {
            return Ok(());
        };
        self.app.dispatch.delivered.add(1);
        let now = (self.app.clock)();
        let permit = may(&Caller::Kiln, Action::Deliver)?;
        let written = self.app.store.write(permit, move |tx| {
            tx.settle_events(rid, (behind, up_to), Fate::Delivered, now)?;
            tx.target_listened(rid, up_to, now)
        });
        written.await.map_err(|error: Error| Fault::from(error))
    }
}
