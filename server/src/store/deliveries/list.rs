//! Deliveries as operators ask for them, and old ones that go.

use crate::auth::Action;
use crate::instant::Instant;
use crate::store::deliveries::{Event, Fate, State, Target};
use crate::store::error::Error;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

/// What became of an event, or will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    Skipped,
    Waiting,
    /// It was tried as often as it may be, or stands behind one that was.
    Dead,
    /// Its subscription is off.
    Left,
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub subscription: Option<String>,
    pub status: Option<Delivery>,
    /// Behind this event of that subscription.
    pub after: Option<(String, i64)>,
}

/// Events that go in one transaction.
const PRUNED: i64 = 1_000;
const PRUNE: &str = "DELETE FROM events WHERE target = ? AND number <= (SELECT max(number) FROM (SELECT number FROM events \
     WHERE target = ? AND number <= ? AND settled_at < ? AND at < ? ORDER BY number LIMIT ? + 0) e)";

impl Delivery {
    pub const ALL: &[Self] = &[
        Self::Delivered,
        Self::Skipped,
        Self::Waiting,
        Self::Dead,
        Self::Left,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }

    pub fn of(target: &Target, event: &Event) -> Self {
        match (event.fate, target.state) {
            (Fate::Skipped, _) => Self::Skipped,
            (Fate::Delivered, _) => Self::Delivered,
            _ if event.number <= target.done => Self::Delivered,
            (_, State::Error) => Self::Dead,
            (_, State::Off) => Self::Left,
            (_, State::Handshake | State::Active | State::Listening) => Self::Waiting,
        }
    }

    /// Whether a target can have one.
    fn may_be_of(self, target: &Target) -> bool {
        let waits = target.born > target.done;
        match self {
            Self::Delivered | Self::Skipped => target.done > 0,
            Self::Waiting => waits && matches!(target.state, State::Handshake | State::Active),
            Self::Dead => waits && target.state == State::Error,
            Self::Left => waits && target.state == State::Off,
        }
    }

    /// The numbers of events that may be so: from, and before.
    fn range(self, target: &Target) -> (i64, i64) {
        match self {
            Self::Delivered | Self::Skipped => (0, target.done + 1),
            Self::Waiting | Self::Dead | Self::Left => (target.done, i64::MAX),
        }
    }
}

impl View<'_> {
    /// Target after target by their ids, of each the newest event first.
    pub fn deliveries(
        &mut self,
        wanted: &Listing,
        most: usize,
    ) -> Result<Vec<(Target, Event)>, Error> {
        let mut targets = self.targets()?;
        if let Some(id) = &wanted.subscription {
            targets.retain(|target| target.id == *id);
        }
        if let Some(status) = wanted.status {
            targets.retain(|target| status.may_be_of(target));
        }
        let mut found = Vec::new();
        for target in targets {
            let mut before = match &wanted.after {
                Some((id, _)) if target.id < *id => continue,
                Some((id, number)) if target.id == *id => *number,
                _ => i64::MAX,
            };
            let (from, end) = wanted
                .status
                .map_or((0, i64::MAX), |status| status.range(&target));
            before = before.min(end);
            while found.len() < most {
                let events = self.events_before(target.rid, before, most)?;
                let Some(last) = events.last() else { break };
                before = last.number;
                let events = events.into_iter().take_while(|event| event.number > from);
                let fitting = events.filter(|event| {
                    wanted
                        .status
                        .is_none_or(|status| Delivery::of(&target, event) == status)
                });
                found.extend(fitting.map(|event| (target.clone(), event)));
                if before <= from {
                    break;
                }
            }
            if found.len() >= most {
                break;
            }
        }
        found.truncate(most);
        Ok(found)
    }
}

impl Tx<'_> {
    /// Takes out some of the oldest events of a target that were settled before. Whether there may be more.
    pub fn prune_events(&mut self, target: &Target, before: Instant) -> Result<bool, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let up_to = match target.state {
            State::Off | State::Listening => i64::MAX,
            _ => target.done,
        };
        let (rid, before) = (Bind::Int(target.rid), Bind::Int(before.micros()));
        let binds = [
            rid,
            rid,
            Bind::Int(up_to),
            before,
            before,
            Bind::Int(PRUNED),
        ];
        let done = self.connection.execute(Statement::new(PRUNE, &binds));
        let gone = self.noted(done.map_err(Error::from))?;
        Ok(i64::try_from(gone).unwrap_or_default() >= PRUNED)
    }
}
