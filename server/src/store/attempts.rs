//! PostgreSQL's road for a write: a transaction of its own, done again when another one was in the way.

use std::time::Duration;

use diesel::result::Error as DieselError;

use super::connection::Trouble;
use super::error::Error;
use super::job::attempt;
use super::pool::Pool;
use super::tx::Tx;
use crate::auth::Permit;
use crate::limits;

/// How an attempt ended that did not succeed.
enum Stop<E> {
    /// Nothing was written, and another attempt may do better.
    Again(E),
    Final(E),
}

pub(super) fn write<T, E: From<Error>>(
    pool: &Pool,
    permit: &Permit,
    work: &impl Fn(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let mut attempts = 1;
    loop {
        match once(pool, permit, work) {
            Ok(value) => return Ok(value),
            Err(Stop::Again(_)) if attempts < limits::WRITE_ATTEMPTS_MAX => {
                std::thread::sleep(pause(attempts));
                attempts += 1;
            }
            Err(Stop::Again(error) | Stop::Final(error)) => return Err(error),
        }
    }
}

/// Longer with each attempt, so that writes that collide spread out.
fn pause(attempts: u32) -> Duration {
    Duration::from_millis(limits::WRITE_PAUSE_MS << attempts.min(10))
}

fn once<T, E: From<Error>>(
    pool: &Pool,
    permit: &Permit,
    work: &impl Fn(&mut Tx<'_>) -> Result<T, E>,
) -> Result<T, Stop<E>> {
    let unreached = |error| Stop::Again(E::from(error));
    let mut taken = pool.take().map_err(unreached)?;
    let connection = taken.connection().map_err(unreached)?;
    if let Err(error) = connection.begin() {
        taken.broken = true;
        pool.forget_idle();
        return Err(unreached(Error::Unreachable(Box::new(error))));
    }
    let mut tx = Tx::new(connection, permit);
    let outcome = attempt(work, &mut tx);
    let again = tx.worth_another_attempt();
    match outcome {
        Ok(value) => match connection.commit() {
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
            Err(if again {
                Stop::Again(error)
            } else {
                Stop::Final(error)
            })
        }
    }
}

/// A commit that failed, and whether its connection is broken.
fn uncommitted<E: From<Error>>(error: DieselError) -> (Stop<E>, bool) {
    match Trouble::of(&error) {
        Trouble::Contended => (Stop::Again(E::from(Error::Contended(error))), false),
        // The answer to COMMIT was lost, not necessarily the commit: doing it again could do it twice.
        Trouble::Lost => (Stop::Final(E::from(Error::Unsure(error))), true),
        Trouble::Taken => (Stop::Final(E::from(Error::Taken(error))), false),
        Trouble::Other => (Stop::Final(E::from(Error::Database(error))), true),
    }
}
