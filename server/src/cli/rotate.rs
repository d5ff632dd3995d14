//! `kiln key rotate`: secrets within the store get a new key, while the server goes on.

use std::process::ExitCode;

use super::change::{self, look, open_existing, show, write};
use super::place::Place;
use super::{FAILED, say};
use crate::store::{SealVersion, Store};
use crate::subscriptions::sealing::{Seal, anew};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Secrets of Subscriptions lie sealed in the database. From the moment at which it is made the new key seals; what older\n\
keys have sealed is sealed anew, some at a time, and a server that runs reads both meanwhile. When it is stopped it goes on\n\
where it was when it is called again. Older keys go, but for the last one, which the next call takes out.\n\n\
The keys are wrapped by the master key (--master-key, KILN_MASTER_KEY or `master_key`): a file, what a command prints, or the\n\
key itself in the environment. Without the setting it is master.key beside the SQLite database, else in DIR, made when it is first needed. It is in no backup:\n\
keep a copy elsewhere, and give all nodes the same.\n\n\
Example:\n  kiln key rotate --data ./kiln-data"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, change::Error> {
    let (config, store) = open_existing(&flags.place)?;
    store.unlock(&config.database, &config.master_key)?;
    let now = || std::time::SystemTime::now().into();
    let version = match look(&store, |view| view.newest_seal())? {
        // One that was begun is brought to its end.
        Some(SealVersion {
            version,
            is_done: false,
        }) => version,
        newest => {
            let version = newest.map_or(1, |newest| newest.version + 1);
            let made = store.next_seal(&config.master_key, version)?;
            write(&store, move |tx| tx.add_seal(version, &made, now()))?;
            version
        }
    };
    let seal = Seal::of(store.secret()?);
    let mut count = 0;
    // A server may have sealed by the older key until just now.
    let unread = loop {
        let (changed, unread) = pass(&store, &seal)?;
        count += changed;
        if changed == 0 {
            break unread;
        }
    };
    if unread > 0 {
        say(&format!(
            "kiln: {unread} versions of Subscriptions hold secrets that no key opens: all older keys stay"
        ));
        return Ok(ExitCode::from(FAILED));
    }
    write(&store, move |tx| tx.seal_is_done(version, now()))?;
    show(&format!(
        "key {version} seals from now on; versions that were sealed anew: {count}\n"
    ))
}

/// Goes through all that may hold secrets. How many were sealed anew, and how many could not be.
fn pass(store: &Store, seal: &Seal) -> Result<(u64, u64), change::Error> {
    let (mut changed, mut unread, mut reached) = (0, 0, 0);
    loop {
        let some = look(store, move |view| view.sealed_after(reached))?;
        let Some((last, _)) = some.last() else {
            return Ok((changed, unread));
        };
        reached = *last;
        let mut bodies = Vec::new();
        for (key, body) in &some {
            match anew(seal, body) {
                Ok(None) => {}
                Ok(Some(text)) => bodies.push((*key, text)),
                Err(_) => unread += 1,
            }
        }
        if !bodies.is_empty() {
            changed += u64::try_from(bodies.len()).unwrap_or_default();
            write(store, move |tx| tx.reseal(&bodies))?;
        }
    }
}
