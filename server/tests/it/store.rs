//! The store without HTTP: what happens together, in which order it is seen, and what one write may do to another.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::parse;
use fhir_spec::validate::Validator;
use search::Registry;
use server::accept::{Sealed, Submitted, accept};
use server::auth::{Action, Caller, Permit, may, may_all};
use server::config::Settings;
use server::instant::Instant;
use server::store::{Entry, Error, Position, Store, Tx};
use tokio::runtime::Runtime;

use crate::databases::Database;

/// Long enough to mean that it will not come.
const PATIENCE: Duration = Duration::from_secs(60);

on_both_databases!(
    a_write_is_all_or_nothing,
    a_failing_write_does_not_touch_its_neighbours,
    a_panic_costs_one_write_only,
    a_permit_opens_one_door,
    what_is_there_already_is_not_written_again,
    a_closed_store_writes_no_more,
    followers_see_every_change_once_and_in_order,
    a_follower_goes_on_where_its_work_is_stored,
    transactions_that_block_each_other_both_end,
    a_lost_connection_is_replaced,
);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn open(database: &Database) -> (Runtime, Store) {
    let settings = Settings {
        database: Some(database.url.parse().unwrap()),
        ..Settings::default()
    };
    let config = settings.resolve().unwrap();
    let store = Store::open(&config.database, &config.limits).unwrap();
    (runtime(), store)
}

fn permit() -> Permit {
    may(&Caller::Open, Action::Create("Patient")).unwrap()
}

fn patient(id: &str) -> Sealed {
    let source = br#"{"resourceType":"Patient"}"#;
    let submitted = Submitted {
        document: parse(source).unwrap(),
        source: Bytes::from_static(source),
    };
    let accepted = accept(Validator::r4(), submitted).unwrap();
    accepted.seal(id.to_owned(), registry()).unwrap()
}

fn registry() -> &'static Arc<Registry> {
    static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        Arc::new(Registry::new(Arc::new(definitions)))
    });
    &REGISTRY
}

fn create(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    tx.create(&patient(id), Instant::from_micros(1)).map(drop)
}

fn exists(runtime: &Runtime, store: &Store, id: &str) -> bool {
    let permit = may(&Caller::Open, Action::Read("Patient")).unwrap();
    runtime
        .block_on(store.find(&permit, "Patient", id, None))
        .unwrap()
        .is_some()
}

/// The ids in the feed, once there are as many: any transaction under way on the same PostgreSQL holds the feed back.
fn feed(runtime: &Runtime, store: &Store, expected: usize) -> Vec<String> {
    let patience = std::time::Instant::now() + PATIENCE;
    loop {
        let entries = runtime
            .block_on(store.feed_after(Position::default(), 1_000))
            .unwrap();
        if entries.len() >= expected || std::time::Instant::now() > patience {
            return entries.into_iter().map(|entry| entry.id).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Both steps of a write that fails after the first.
fn create_then_fail(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    create(tx, id)?;
    Err(Error::Closed)
}

fn a_write_is_all_or_nothing(database: &Database) {
    let (runtime, store) = open(database);
    let done = runtime.block_on(store.write(permit(), |tx| create_then_fail(tx, "a")));
    assert!(matches!(done, Err(Error::Closed)));
    assert!(!exists(&runtime, &store, "a"));
    runtime
        .block_on(store.write(permit(), |tx| create(tx, "b")))
        .unwrap();
    assert_eq!(feed(&runtime, &store, 1), ["b"]);
}

fn a_failing_write_does_not_touch_its_neighbours(database: &Database) {
    let (runtime, store) = open(database);
    runtime.block_on(async {
        // Handed over together, so that SQLite takes them as one group.
        let writes: Vec<_> = (0..20)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    store
                        .write(permit(), move |tx| match number % 2 {
                            0 => create(tx, &number.to_string()),
                            _ => create_then_fail(tx, &number.to_string()),
                        })
                        .await
                })
            })
            .collect();
        for (number, write) in writes.into_iter().enumerate() {
            assert_eq!(write.await.unwrap().is_ok(), number % 2 == 0);
        }
    });
    for number in 0..20 {
        assert_eq!(
            exists(&runtime, &store, &number.to_string()),
            number % 2 == 0
        );
    }
    assert_eq!(feed(&runtime, &store, 10).len(), 10);
}

fn a_panic_costs_one_write_only(database: &Database) {
    let (runtime, store) = open(database);
    let done: Result<(), Error> = runtime.block_on(store.write(permit(), |tx| {
        create(tx, "a")?;
        panic!("on purpose");
    }));
    assert!(matches!(done, Err(Error::Panicked)));
    assert!(!exists(&runtime, &store, "a"));
    runtime
        .block_on(store.write(permit(), |tx| create(tx, "a")))
        .unwrap();
    assert!(exists(&runtime, &store, "a"));
}

fn a_permit_opens_one_door(database: &Database) {
    let (runtime, store) = open(database);
    for action in [Action::Read("Patient"), Action::Create("Observation")] {
        let permit = may(&Caller::Open, action).unwrap();
        let done = runtime.block_on(store.write(permit, |tx| create(tx, "a")));
        assert!(matches!(done, Err(Error::NotPermitted)));
    }
    let done = runtime.block_on(store.find(&permit(), "Patient", "a", None));
    assert!(matches!(done, Err(Error::NotPermitted)));
}

fn what_is_there_already_is_not_written_again(database: &Database) {
    let (runtime, store) = open(database);
    let create_a = || runtime.block_on(store.write(permit(), |tx| create(tx, "a")));
    create_a().unwrap();
    assert!(matches!(create_a(), Err(Error::Taken(_))));
    // A write that hides the failure fails all the same.
    let hidden = runtime.block_on(store.write(permit(), |tx| {
        let _hidden = create(tx, "a");
        Ok::<_, Error>(())
    }));
    assert!(matches!(hidden, Err(Error::Ignored)));
    assert_eq!(feed(&runtime, &store, 1), ["a"]);
}

fn a_closed_store_writes_no_more(database: &Database) {
    let (runtime, store) = open(database);
    store.close();
    let done = runtime.block_on(store.write(permit(), |tx| create(tx, "a")));
    assert!(matches!(done, Err(Error::Closed)));
}

/// Transactions that commit in another order than they began, while a follower reads along: without the rule about
/// settled transactions in `store/feed.rs` it misses entries.
fn followers_see_every_change_once_and_in_order(database: &Database) {
    const WRITERS: u32 = 8;
    const WRITES_EACH: u32 = 25;
    let (_, store) = open(database);
    let (store, written) = (&store, &AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let changes = WRITERS * WRITES_EACH * 2;
        let follower = scope.spawn(move || follow(store, written, changes));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let runtime = runtime();
                    for number in 0..WRITES_EACH {
                        let write = store.write(permit(), move |tx| {
                            create(tx, &format!("{writer}-{number}-a"))?;
                            // Between taking a key and committing, each for another while.
                            let pause_us = (writer * 700 + number * 130) % 3_000;
                            std::thread::sleep(Duration::from_micros(pause_us.into()));
                            create(tx, &format!("{writer}-{number}-b"))
                        });
                        runtime.block_on(write).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        written.store(true, Ordering::SeqCst);
        follower.join().unwrap()
    });
    let ids: HashSet<&str> = seen.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(
        u32::try_from(ids.len()),
        Ok(WRITERS * WRITES_EACH * 2),
        "every change was seen"
    );
    assert_eq!(seen.len(), ids.len(), "none was seen twice");
    assert!(seen.is_sorted_by_key(|entry| entry.position));
    let place = |id: &str| seen.iter().position(|entry| entry.id == id);
    for writer in 0..WRITERS {
        for number in 0..WRITES_EACH {
            let first = place(&format!("{writer}-{number}-a"));
            assert!(
                first < place(&format!("{writer}-{number}-b")),
                "the order within a transaction"
            );
            if number > 0 {
                let before = place(&format!("{writer}-{}-b", number - 1));
                assert!(before < first, "what was acknowledged first comes first");
            }
        }
    }
}

fn follow(store: &Store, written: &AtomicBool, changes: u32) -> Vec<Entry> {
    let runtime = runtime();
    let mut seen: Vec<Entry> = Vec::new();
    let mut patience = std::time::Instant::now() + PATIENCE;
    loop {
        if !written.load(Ordering::SeqCst) {
            patience = std::time::Instant::now() + PATIENCE;
        }
        let position = seen.last().map(|entry| entry.position).unwrap_or_default();
        let more = runtime.block_on(store.feed_after(position, 7)).unwrap();
        seen.extend(more);
        let complete = u32::try_from(seen.len()) == Ok(changes);
        if complete || std::time::Instant::now() > patience {
            return seen;
        }
    }
}

/// What a follower does and how far it has come are stored together, or not at all; of two nodes one gets on.
fn a_follower_goes_on_where_its_work_is_stored(database: &Database) {
    let (runtime, store) = open(database);
    for id in ["a", "b", "c"] {
        runtime
            .block_on(store.write(permit(), move |tx| create(tx, id)))
            .unwrap();
    }
    assert_eq!(feed(&runtime, &store, 3), ["a", "b", "c"]);
    let read = |limit| {
        let place = runtime.block_on(store.follower("copy")).unwrap();
        let from = place.unwrap_or_default();
        let entries = runtime.block_on(store.feed_after(from, limit)).unwrap();
        (place, entries)
    };
    let handle = |place, entries: Vec<Entry>, fails: bool| {
        let actions = [Action::Follow, Action::Create("Patient")];
        let permit = may_all(&Caller::Open, actions).unwrap();
        runtime.block_on(store.write(permit, move |tx| {
            for entry in &entries {
                create(tx, &format!("copy-of-{}", entry.id))?;
            }
            tx.follow("copy", place, entries.last().unwrap().position)?;
            if fails { Err(Error::Closed) } else { Ok(()) }
        }))
    };
    let (place, first) = read(2);
    assert_eq!(place, None);
    handle(place, first.clone(), true).unwrap_err();
    assert_eq!(read(2), (None, first.clone()), "nothing of it remains");
    handle(place, first.clone(), false).unwrap();
    // Another node that has read the same and comes second.
    let late = handle(place, first.clone(), false).unwrap_err();
    assert!(matches!(late, Error::Taken(_)), "{late:?}");
    let (place, next) = read(1);
    assert_eq!(place, Some(first[1].position));
    assert_eq!(next[0].id, "c");
    handle(place, next.clone(), false).unwrap();
    let overtaken = may_all(&Caller::Open, [Action::Follow]).unwrap();
    let to = next[0].position;
    let late = runtime.block_on(store.write(overtaken, move |tx| tx.follow("copy", place, to)));
    assert!(matches!(late, Err(Error::Overtaken(_))), "{late:?}");
    drop(store);
    let (runtime, store) = open(database);
    let place = runtime.block_on(store.follower("copy")).unwrap();
    assert_eq!(place, Some(to), "durable");
}

/// Two writes that want the same two ids in opposite order: PostgreSQL lets each wait for the other, notices, and
/// breaks one off. Done again, that one finds that it came too late. SQLite has them one after the other.
fn transactions_that_block_each_other_both_end(database: &Database) {
    let (_, store) = open(database);
    let meet = Arc::new(Barrier::new(if database.is_postgres() { 2 } else { 1 }));
    let store = &store;
    let ends: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let writers: Vec<_> = [["a", "b"], ["b", "a"]]
            .into_iter()
            .map(|ids| {
                let meet = Arc::clone(&meet);
                let attempts = AtomicUsize::new(0);
                scope.spawn(move || {
                    let runtime = runtime();
                    runtime.block_on(store.write(permit(), move |tx| {
                        create(tx, ids[0])?;
                        if attempts.fetch_add(1, Ordering::SeqCst) == 0 {
                            meet.wait();
                        }
                        create(tx, ids[1])
                    }))
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    assert!(
        ends.iter().any(|end| matches!(end, Err(Error::Taken(_)))),
        "{ends:?}"
    );
}

/// PostgreSQL restarts, or a firewall forgets a connection: a write that had not begun to commit is done again.
fn a_lost_connection_is_replaced(database: &Database) {
    if !database.is_postgres() {
        return;
    }
    let (runtime, store) = open(database);
    runtime
        .block_on(store.write(permit(), |tx| create(tx, "before")))
        .unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let url = database.url.clone();
    let done = runtime.block_on(store.write(permit(), move |tx| {
        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
            cut_all_connections(&url);
        }
        create(tx, "after")
    }));
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    cut_all_connections(&database.url);
    assert!(exists(&runtime, &store, "before") && exists(&runtime, &store, "after"));
}

fn cut_all_connections(url: &str) {
    use diesel::Connection;
    use diesel::connection::SimpleConnection;
    diesel::PgConnection::establish(url)
        .unwrap()
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
}
