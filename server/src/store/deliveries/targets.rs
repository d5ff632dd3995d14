//! The targets of deliveries: one for each Subscription. A node that works for one holds a lease on it.

use diesel::sql_types::{BigInt, Binary, SmallInt, Text};

use super::NEVER;
use crate::auth::Action;
use crate::instant::Instant;
use crate::store::connection::Dialect;
use crate::store::error::Error;
use crate::store::feed::Position;
use crate::store::reindex::Lease;
use crate::store::resources::{Found, found};
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

/// What a target is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It must show that it is there before it is told of anything.
    Handshake,
    Active,
    /// It was tried as often as it may be: somebody must look at it. Its events are kept.
    Error,
    Off,
    /// It is active, and nobody is told: who wants to know comes and listens.
    Listening,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub rid: i64,
    /// Of the Subscription.
    pub id: String,
    pub version: u64,
    pub state: State,
    /// The number of its last event.
    pub born: i64,
    /// Up to which they were delivered or skipped.
    pub done: i64,
    /// At the next one that failed.
    pub attempts: u32,
    pub due_at: i64,
    /// When something last arrived there.
    pub sent_at: i64,
    pub ends_at: i64,
    pub problem: String,
}

/// What was delivered.
#[derive(Debug, Clone, Copy)]
pub struct Progressed {
    /// The number of the last event that arrived.
    pub done: i64,
    pub at: Instant,
    /// When something last arrived.
    pub sent_at: i64,
    /// When it is heard of again, when there are no more events.
    pub idle_at: i64,
    pub until: Instant,
}

/// What was not delivered, and what follows from it.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// None: it goes on as it was.
    pub state: Option<State>,
    pub attempts: u32,
    pub due_at: i64,
    pub problem: String,
}

/// For those who watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that wait for their turn.
    pub waiting: u64,
    /// Those of targets that were given up.
    pub dead: u64,
    pub active: u64,
    pub in_error: u64,
}

type Kinds = (
    BigInt,
    Text,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    Text,
);
type Values = (i64, String, i64, i64, i64, i64, i64, i64, i64, i64, String);
type FoundValues = (i64, i64, i64, i16, i16, Vec<u8>, String);
type FoundKinds = (BigInt, BigInt, BigInt, SmallInt, SmallInt, Binary, Text);

const COLUMNS: &str =
    "rid, id, version, state, born, done, attempts, due_at, sent_at, ends_at, problem";
const PUT: &str = "INSERT INTO targets (rid, id, version, state, born, done, attempts, due_at, sent_at, ends_at, node, until, problem) \
     VALUES (?, ?, ?, ?, 0, 0, 0, ?, ?, ?, '', 0, ?) ON CONFLICT (rid) DO UPDATE SET version = excluded.version, \
     state = excluded.state, attempts = 0, due_at = excluded.due_at, ends_at = excluded.ends_at, problem = excluded.problem";
const GROW: &str = "UPDATE targets SET born = ?, due_at = CASE WHEN state = 2 AND attempts = 0 AND due_at > ? THEN ? ELSE due_at END WHERE rid = ?";
const RENEW: &str = "UPDATE targets SET until = ? WHERE node = ?";
const PROGRESS: &str = "UPDATE targets SET done = CASE WHEN done > ? THEN done ELSE ? END, attempts = 0, sent_at = ?, problem = '', \
     due_at = CASE WHEN state <> 2 OR version <> ? THEN due_at WHEN born > ? THEN ? ELSE ? END, \
     node = CASE WHEN state = 2 AND version = ? AND born > ? THEN node ELSE '' END, \
     until = CASE WHEN state = 2 AND version = ? AND born > ? THEN ? ELSE 0 END \
     WHERE rid = ? AND node = ?";
const FAIL: &str = "UPDATE targets SET attempts = ?, due_at = ?, problem = ?, state = ?, node = '', until = 0 \
     WHERE rid = ? AND node = ? AND version = ?";
const ACTIVATE: &str = "UPDATE targets SET state = 2, attempts = 0, sent_at = ?, due_at = ?, node = '', until = 0, problem = '' \
     WHERE rid = ? AND node = ? AND version = ? AND state = 1";
const RESUME: &str = "UPDATE targets SET state = CASE WHEN state = 3 THEN 2 ELSE state END, attempts = 0, due_at = ?, problem = '' \
     WHERE rid = ? AND state <> 4";
const SKIP: &str = "UPDATE targets SET done = ?, attempts = 0, due_at = CASE WHEN state = 2 THEN ? ELSE due_at END \
     WHERE rid = ? AND done = ?";
const LISTENED: &str =
    "UPDATE targets SET done = CASE WHEN done > ? THEN done ELSE ? END, sent_at = ? WHERE rid = ?";
const RELEASE: &str = "UPDATE targets SET node = '', until = 0 WHERE rid = ? AND node = ?";
const VERSION: &str = "UPDATE targets SET version = ? WHERE rid = ?";
const ADOPT: &str = "SELECT v.rid, v.version, v.at, v.change, v.codec, v.body, r.id FROM resources r \
     JOIN versions v ON v.key = r.head WHERE r.type = 'Subscription' AND v.change <> 3 \
     AND NOT EXISTS (SELECT 1 FROM targets t WHERE t.rid = r.rid) AND ";

impl State {
    pub const ALL: &[Self] = &[
        Self::Handshake,
        Self::Active,
        Self::Error,
        Self::Off,
        Self::Listening,
    ];

    pub fn number(self) -> i64 {
        match self {
            Self::Handshake => 1,
            Self::Active => 2,
            Self::Error => 3,
            Self::Off => 4,
            Self::Listening => 5,
        }
    }

    /// <https://hl7.org/fhir/R4/valueset-subscription-status.html>
    pub fn code(self) -> &'static str {
        match self {
            Self::Handshake => "requested",
            Self::Active | Self::Listening => "active",
            Self::Error => "error",
            Self::Off => "off",
        }
    }

    fn of_number(number: i64) -> Self {
        let mut all = Self::ALL.iter().copied();
        all.find(|state| state.number() == number)
            .unwrap_or(Self::Off)
    }
}

impl Target {
    /// One that nobody has followed yet.
    pub fn new(rid: i64, id: &str) -> Self {
        Self {
            rid,
            id: id.to_owned(),
            version: 0,
            state: State::Off,
            born: 0,
            done: 0,
            attempts: 0,
            due_at: NEVER,
            sent_at: 0,
            ends_at: NEVER,
            problem: String::new(),
        }
    }
}

fn target(values: Values) -> Result<Target, Error> {
    let (rid, id, version, state, born, done, attempts, due_at, sent_at, ends_at, problem) = values;
    Ok(Target {
        rid,
        id,
        version: u64::try_from(version).map_err(|_| Error::Version(version))?,
        state: State::of_number(state),
        born,
        done,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        due_at,
        sent_at,
        ends_at,
        problem,
    })
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl View<'_> {
    fn targets_where(&mut self, condition: &str, binds: &[Bind<'_>]) -> Result<Vec<Target>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM targets WHERE {condition}");
        let done = self.connection.rows(Statement::<Kinds>::new(&sql, binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let targets: Result<Vec<Target>, Error> = rows.into_iter().map(target).collect();
        self.noted(targets)
    }

    /// Those that events may be born for, each with the version of its Subscription that is followed.
    pub fn targets_followed(&mut self) -> Result<Vec<(Target, Found)>, Error> {
        self.demand(&[Action::Follow])?;
        let targets = self.targets_where("state <> 4 ORDER BY rid", &[])?;
        let mut all = Vec::with_capacity(targets.len());
        for target in targets {
            if let Some(found) = self.version_of(target.rid, target.version)? {
                all.push((target, found));
            }
        }
        Ok(all)
    }

    /// Subscriptions written up to there that nobody has looked at: of a database that was restored.
    pub fn subscriptions_unfollowed(
        &mut self,
        position: Position,
    ) -> Result<Vec<(String, Found)>, Error> {
        self.demand(&[Action::Follow])?;
        let (xact, key) = position.numbers();
        let (condition, binds): (_, &[Bind<'_>]) = match self.connection.dialect() {
            Dialect::Sqlite => ("v.key <= ?", &[Bind::Int(key)]),
            Dialect::Postgres => (
                "(v.xact, v.key) <= (?, ?)",
                &[Bind::Int(xact), Bind::Int(key)],
            ),
        };
        let sql = format!("{ADOPT}{condition}");
        let done = self
            .connection
            .rows(Statement::<FoundKinds>::new(&sql, binds));
        let rows: Vec<FoundValues> = self.noted(done.map_err(Error::from))?;
        let one = |(rid, version, at, change, codec, body, id)| {
            Ok((id, found((rid, version, at, change, codec, body))?))
        };
        let all: Result<Vec<_>, Error> = rows.into_iter().map(one).collect();
        self.noted(all)
    }

    /// By the number of the Subscription.
    pub fn target_of(&mut self, rid: i64) -> Result<Option<Target>, Error> {
        self.demand(&[Action::Follow])?;
        let found = self.targets_where("rid = ?", &[Bind::Int(rid)])?;
        Ok(found.into_iter().next())
    }

    /// By the id of the Subscription.
    pub fn target(&mut self, id: &str) -> Result<Option<Target>, Error> {
        self.demand(&[Action::Deliver])?;
        let found = self.targets_where("id = ?", &[Bind::Text(id)])?;
        Ok(found.into_iter().next())
    }

    /// All of them, by their ids.
    pub fn targets(&mut self) -> Result<Vec<Target>, Error> {
        self.demand(&[Action::Deliver])?;
        self.targets_where("1 = 1 ORDER BY id", &[])
    }

    /// When there is something to do next that nobody is at.
    pub fn next_due(&mut self, now: Instant) -> Result<i64, Error> {
        self.demand(&[Action::Deliver])?;
        let sql = "SELECT due_at FROM targets WHERE due_at < 9223372036854775807 AND until <= ? ORDER BY due_at LIMIT 1";
        let binds = [Bind::Int(now.micros())];
        let done = self.connection.rows(Statement::<BigInt>::new(sql, &binds));
        let rows: Vec<i64> = self.noted(done.map_err(Error::from))?;
        Ok(rows.first().copied().unwrap_or(NEVER))
    }

    /// For those who watch.
    pub fn delivery_counts(&mut self) -> Result<Counts, Error> {
        self.demand(&[Action::Deliver])?;
        let sql = "SELECT state, CAST(count(*) AS BIGINT), CAST(coalesce(sum(born - done), 0) AS BIGINT) FROM targets GROUP BY state";
        let done = self
            .connection
            .rows(Statement::<(BigInt, BigInt, BigInt)>::new(sql, &[]));
        let rows: Vec<(i64, i64, i64)> = self.noted(done.map_err(Error::from))?;
        let mut counts = Counts::default();
        for (state, targets, events) in rows {
            let (targets, events) = (
                u64::try_from(targets).unwrap_or_default(),
                u64::try_from(events).unwrap_or_default(),
            );
            match State::of_number(state) {
                State::Handshake => counts.waiting += events,
                State::Active => {
                    counts.waiting += events;
                    counts.active = targets;
                }
                State::Error => {
                    counts.dead += events;
                    counts.in_error = targets;
                }
                // Nobody is late: they are told when they come.
                State::Off | State::Listening => {}
            }
        }
        Ok(counts)
    }
}

impl Tx<'_> {
    /// What is followed from now on; what was born and done stays as it is.
    pub fn put_target(&mut self, target: &Target) -> Result<(), Error> {
        self.demand(&[Action::Follow])?;
        self.writes();
        let binds = [
            Bind::Int(target.rid),
            Bind::Text(&target.id),
            Bind::Int(int(target.version)),
            Bind::Int(target.state.number()),
            Bind::Int(target.due_at),
            Bind::Int(target.sent_at),
            Bind::Int(target.ends_at),
            Bind::Text(&target.problem),
        ];
        let done = self.connection.execute(Statement::new(PUT, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }

    /// Of the Subscription there is another version, which says the same to us.
    pub fn target_version(&mut self, rid: i64, version: u64) -> Result<(), Error> {
        self.demand(&[Action::Follow, Action::Deliver])?;
        self.writes();
        let binds = [Bind::Int(int(version)), Bind::Int(rid)];
        let done = self.connection.execute(Statement::new(VERSION, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }

    /// Events up to this number were born; who is well is told now.
    pub fn target_grows(&mut self, rid: i64, born: i64, now: Instant) -> Result<(), Error> {
        self.demand(&[Action::Follow])?;
        self.writes();
        let now = Bind::Int(now.micros());
        let binds = [Bind::Int(born), now, now, Bind::Int(rid)];
        let done = self.connection.execute(Statement::new(GROW, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }

    /// Takes targets that something is to be done for, and that nobody is at.
    pub fn claim_targets(&mut self, lease: &Lease, most: usize) -> Result<Vec<Target>, Error> {
        self.demand(&[Action::Deliver])?;
        let locked = match self.connection.dialect() {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
        };
        self.writes();
        let sql = format!(
            "UPDATE targets SET node = ?, until = ? WHERE rid IN (SELECT rid FROM targets WHERE due_at <= ? AND until <= ? \
             ORDER BY due_at LIMIT ? + 0{locked}) RETURNING {COLUMNS}"
        );
        let now = Bind::Int(lease.now.micros());
        let binds = [
            Bind::Text(&lease.node),
            Bind::Int(lease.until.micros()),
            now,
            now,
            Bind::Int(i64::try_from(most).unwrap_or(i64::MAX)),
        ];
        let done = self.connection.rows(Statement::<Kinds>::new(&sql, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let targets: Result<Vec<Target>, Error> = rows.into_iter().map(target).collect();
        self.noted(targets)
    }

    /// The node is still there.
    pub fn renew_targets(&mut self, lease: &Lease) -> Result<(), Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let binds = [Bind::Int(lease.until.micros()), Bind::Text(&lease.node)];
        let done = self.connection.execute(Statement::new(RENEW, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }

    /// What was delivered to it. The target as it is now while there is more and the lease holds; None: it is left to
    /// whoever claims it next.
    pub fn target_progressed(
        &mut self,
        target: &Target,
        node: &str,
        progressed: Progressed,
    ) -> Result<Option<Target>, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let done = Bind::Int(progressed.done);
        let version = Bind::Int(int(target.version));
        let now = Bind::Int(progressed.at.micros());
        let binds = [
            done,
            done,
            Bind::Int(progressed.sent_at),
            version,
            done,
            now,
            Bind::Int(progressed.idle_at),
            version,
            done,
            version,
            done,
            Bind::Int(progressed.until.micros()),
            Bind::Int(target.rid),
            Bind::Text(node),
        ];
        let sql = format!("{PROGRESS} RETURNING {COLUMNS}");
        let done = self.connection.rows(Statement::<Kinds>::new(&sql, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let now: Result<Vec<Target>, Error> = rows.into_iter().map(self::target).collect();
        let now = self.noted(now)?.into_iter().next();
        Ok(now.filter(|now| {
            now.state == State::Active && now.version == target.version && now.born > now.done
        }))
    }

    /// Who listens was told of events up to this number.
    pub fn target_listened(&mut self, rid: i64, done: i64, now: Instant) -> Result<(), Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let binds = [
            Bind::Int(done),
            Bind::Int(done),
            Bind::Int(now.micros()),
            Bind::Int(rid),
        ];
        let done = self.connection.execute(Statement::new(LISTENED, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }

    /// It has shown that it is there: from now on it is told.
    pub fn target_activated(
        &mut self,
        target: &Target,
        node: &str,
        now: Instant,
    ) -> Result<bool, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let at = Bind::Int(now.micros());
        let version = Bind::Int(int(target.version));
        let binds = [at, at, Bind::Int(target.rid), Bind::Text(node), version];
        let done = self.connection.execute(Statement::new(ACTIVATE, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// An operator wants it to be tried again. False: it is off, or not there.
    pub fn resume_target(&mut self, rid: i64, now: Instant) -> Result<bool, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let binds = [Bind::Int(now.micros()), Bind::Int(rid)];
        let done = self.connection.execute(Statement::new(RESUME, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// Events up to this number are not delivered. False: they were meanwhile.
    pub fn skip_events(
        &mut self,
        target: &Target,
        up_to: i64,
        now: Instant,
    ) -> Result<bool, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let (up_to, now) = (Bind::Int(up_to), Bind::Int(now.micros()));
        let binds = [up_to, now, Bind::Int(target.rid), Bind::Int(target.done)];
        let done = self.connection.execute(Statement::new(SKIP, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// What was not. False: the lease is lost, or the Subscription was changed meanwhile.
    pub fn target_failed(
        &mut self,
        target: &Target,
        node: &str,
        trouble: &Trouble,
    ) -> Result<bool, Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let state = trouble.state.unwrap_or(target.state);
        let binds = [
            Bind::Int(i64::from(trouble.attempts)),
            Bind::Int(trouble.due_at),
            Bind::Text(&trouble.problem),
            Bind::Int(state.number()),
            Bind::Int(target.rid),
            Bind::Text(node),
            Bind::Int(int(target.version)),
        ];
        let done = self.connection.execute(Statement::new(FAIL, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// Leaves it to others.
    pub fn release_target(&mut self, rid: i64, node: &str) -> Result<(), Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let binds = [Bind::Int(rid), Bind::Text(node)];
        let done = self.connection.execute(Statement::new(RELEASE, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }
}
