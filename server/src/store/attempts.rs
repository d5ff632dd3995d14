//! Work that is done again: PostgreSQL's transactions when another one was in the way, and reads whose connection had died.
//!
//! A first attempt hardly waits for others: where it meets one, it gives up. Writes that are done again go one at a time,
//! over all nodes, each holding a lock from before its transaction begins. So they do not meet each other again, and
//! hundreds that want the same thing take turns instead of waiting in each other's way.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use diesel::result::Error as DieselError;

use super::connection::{Connection, Trouble};
use super::error::Error;
use super::job::attempt;
use super::pool::Pool;
use super::tx::{PARAMETER, Tx};
use super::view::{Again, View};
use crate::auth::Permit;
use crate::limits;

/// Reads once more when the connection had died while it was idle: the next one is new.
pub(super) fn look<T>(
    pool: &Pool,
    work: &impl Fn(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    match look_once(pool, work) {
        Err(Error::Unreachable(_)) => look_once(pool, work),
        done => done,
    }
}

fn look_once<T>(
    pool: &Pool,
    work: &impl Fn(&mut Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut taken = pool.take()?;
    let done = work(taken.connection()?);
    if matches!(done, Err(Error::Unreachable(_))) {
        taken.broken = true;
        pool.forget_idle();
    }
    done
}

/// Work on one state of the database.
pub(super) fn read<T, E: From<Error>>(
    pool: &Pool,
    permit: &Permit,
    work: &impl Fn(&mut View<'_>) -> Result<T, E>,
) -> Result<T, E> {
    // What the database has to say goes around the closure's own error, which it does not know.
    let outcome = look(pool, &|connection: &mut Connection| {
        connection.begin_read()?;
        connection.share_time();
        let mut view = View {
            totals: Some(&pool.totals),
            counts: Some(&pool.counts),
            ..View::new(connection, permit)
        };
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut view)))
            .unwrap_or_else(|_| Err(E::from(Error::Panicked)));
        if view.again == Some(Again::Lost) {
            return Err(Error::Unreachable("the connection was lost".into()));
        }
        connection.rollback()?;
        Ok(done)
    });
    outcome?
}

/// How a write stands to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It gives way.
    None,
    /// It is its turn.
    Taken,
    /// And nobody else writes meanwhile.
    Alone,
}

/// How an attempt ended that did not succeed.
enum Stop<E> {
    /// Nothing was written, and another attempt may do better.
    Again(E, Again),
    Final(E),
}

pub(super) fn write<T, E: From<Error>>(
    pool: &Pool,
    permit: &Permit,
    work: &impl Fn(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let mut attempts = 1;
    // Whoever changes search parameters would never get through between those who only write.
    let is_exclusive = permit.concerns(PARAMETER);
    loop {
        let turn = match (is_exclusive, attempts) {
            (true, _) => Turn::Alone,
            (false, 1) => Turn::None,
            (false, _) => Turn::Taken,
        };
        match once(pool, permit, work, turn) {
            Ok(value) => return Ok(value),
            Err(Stop::Again(_, again)) if attempts < attempts_max(again) => {
                pool.meters.again.add(1);
                std::thread::sleep(pause(attempts));
                attempts += 1;
            }
            Err(Stop::Again(error, _) | Stop::Final(error)) => return Err(error),
        }
    }
}

fn attempts_max(again: Again) -> u32 {
    match again {
        Again::Contended => limits::WRITE_ATTEMPTS_MAX,
        Again::Lost => limits::LOST_ATTEMPTS_MAX,
        // The second attempt sees who took the key; work that stumbles over it once more does not care.
        Again::Taken => 2,
    }
}

/// Longer with each attempt and never twice the same, so that writes that collide spread out.
fn pause(attempts: u32) -> Duration {
    let longest_us = (limits::WRITE_PAUSE_US << attempts.min(16)).min(limits::WRITE_PAUSE_US_MAX);
    // The standard library's only source of chance.
    let chance = RandomState::new().build_hasher().finish();
    Duration::from_micros(longest_us / 2 + chance % (longest_us / 2 + 1))
}

fn once<T, E: From<Error>>(
    pool: &Pool,
    permit: &Permit,
    work: &impl Fn(&mut Tx<'_>) -> Result<T, E>,
    turn: Turn,
) -> Result<T, Stop<E>> {
    let unreached = |error| Stop::Again(E::from(error), Again::Lost);
    let mut taken = pool.take().map_err(unreached)?;
    let connection = taken.connection().map_err(unreached)?;
    let begun = match turn {
        Turn::None => connection.begin_at_once(),
        Turn::Taken => connection.begin_in_turn(),
        Turn::Alone => connection.begin_alone(),
    };
    if let Err(error) = begun {
        // The turn that may have been taken ends with the connection.
        taken.broken = true;
        let error = Error::from(error);
        if matches!(error, Error::Contended(_)) {
            return Err(Stop::Again(E::from(error), Again::Contended));
        }
        pool.forget_idle();
        return Err(unreached(Error::Unreachable(Box::new(error))));
    }
    let mut tx = Tx::new(connection, permit);
    let outcome = attempt(work, &mut tx);
    let again = tx.again;
    let ended = match outcome {
        Ok(value) => match pool.meters.commit(1, || connection.commit()) {
            Ok(()) => Ok(value),
            Err(error) => {
                let (stop, broken) = uncommitted(error);
                taken.broken = broken;
                Err(stop)
            }
        },
        Err(error) => {
            taken.broken = connection.rollback().is_err();
            if taken.broken {
                pool.forget_idle();
            }
            Err(match again {
                Some(again) => Stop::Again(error, again),
                None => Stop::Final(error),
            })
        }
    };
    if !taken.broken {
        taken.broken = taken.connection().is_ok_and(|connection| {
            let ended = match turn {
                Turn::None => Ok(()),
                Turn::Taken => connection.end_turn(),
                Turn::Alone => connection.end_alone(),
            };
            ended.is_err()
        });
    }
    ended
}

/// A commit that failed, and whether its connection is broken.
fn uncommitted<E: From<Error>>(error: DieselError) -> (Stop<E>, bool) {
    match Trouble::of(&error) {
        Trouble::Contended => (
            Stop::Again(E::from(Error::Contended(error)), Again::Contended),
            false,
        ),
        // The answer to COMMIT was lost, not necessarily the commit: doing it again could do it twice.
        Trouble::Lost | Trouble::TooSlow => (Stop::Final(E::from(Error::Unsure(error))), true),
        Trouble::Taken => (Stop::Final(E::from(Error::Taken(error))), false),
        Trouble::Full => (Stop::Final(E::from(Error::Full(Box::new(error)))), true),
        Trouble::Other => (Stop::Final(E::from(Error::Database(error))), true),
    }
}
