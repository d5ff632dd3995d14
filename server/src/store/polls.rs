//! Routes that fetch files: when it is looked next, which node does it, and how it went the last time.

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::reindex::Lease;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// What is known of a route that fetches files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    pub schedule: String,
    pub due_at: Instant,
    pub until: Instant,
    /// JSON; empty: it was never looked.
    pub report: String,
}

const SELECT: &str = "SELECT schedule, due_at, until, report FROM polls WHERE route = ?";
const PLAN: &str = "INSERT INTO polls (route, schedule, due_at, node, until, report) VALUES (?, ?, ?, '', 0, '') \
     ON CONFLICT (route) DO UPDATE SET schedule = excluded.schedule, due_at = excluded.due_at";
const CLAIM: &str = "UPDATE polls SET node = ?, until = ? WHERE route = ? AND due_at <= ? AND (node = ? OR until < ?)";
const HOLD: &str = "UPDATE polls SET until = ? WHERE route = ? AND node = ?";
const END: &str = "UPDATE polls SET until = 0, due_at = ?, report = ? WHERE route = ? AND node = ?";
const SOON: &str = "UPDATE polls SET due_at = ? WHERE route = ? AND due_at > ?";

impl View<'_> {
    pub fn poll(&mut self, route: &str) -> Result<Option<Poll>, Error> {
        self.demand(&[Action::Messages, Action::Arrange])?;
        let binds = [Bind::Text(route)];
        let statement = Statement::<(Text, BigInt, BigInt, Text)>::new(SELECT, &binds);
        let done = self.connection.rows(statement).map_err(Error::from);
        let rows: Vec<(String, i64, i64, String)> = self.noted(done)?;
        let row = rows.into_iter().next();
        Ok(row.map(|(schedule, due_at, until, report)| Poll {
            schedule,
            due_at: Instant::from_micros(due_at),
            until: Instant::from_micros(until),
            report,
        }))
    }
}

impl Tx<'_> {
    /// A route is new, or it is looked at other times than before.
    pub fn plan_poll(&mut self, route: &str, schedule: &str, due_at: Instant) -> Result<(), Error> {
        let due_at = Bind::Int(due_at.micros());
        let binds = [Bind::Text(route), Bind::Text(schedule), due_at];
        self.of_poll(PLAN, &binds).map(drop)
    }

    /// Whether it is due and this node is the one that looks.
    pub fn claim_poll(&mut self, route: &str, lease: &Lease) -> Result<bool, Error> {
        let (node, now) = (Bind::Text(&lease.node), Bind::Int(lease.now.micros()));
        let until = Bind::Int(lease.until.micros());
        let binds = [node, until, Bind::Text(route), now, node, now];
        Ok(self.of_poll(CLAIM, &binds)? == 1)
    }

    /// Whether this node still is the one.
    pub fn hold_poll(&mut self, route: &str, lease: &Lease) -> Result<bool, Error> {
        let until = Bind::Int(lease.until.micros());
        let binds = [until, Bind::Text(route), Bind::Text(&lease.node)];
        Ok(self.of_poll(HOLD, &binds)? == 1)
    }

    /// It is done, and when the next time is.
    pub fn end_poll(
        &mut self,
        route: &str,
        node: &str,
        due_at: Instant,
        report: &str,
    ) -> Result<(), Error> {
        let due_at = Bind::Int(due_at.micros());
        let binds = [
            due_at,
            Bind::Text(report),
            Bind::Text(route),
            Bind::Text(node),
        ];
        self.of_poll(END, &binds).map(drop)
    }

    /// Somebody wants it to be looked now.
    pub fn poll_soon(&mut self, route: &str, now: Instant) -> Result<(), Error> {
        let now = Bind::Int(now.micros());
        self.of_poll(SOON, &[now, Bind::Text(route), now]).map(drop)
    }

    fn of_poll(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<usize, Error> {
        self.demand(&[Action::Messages, Action::Arrange])?;
        self.writes();
        let done = self.connection.execute(Statement::new(sql, binds));
        self.noted(done.map_err(Error::from))
    }
}
