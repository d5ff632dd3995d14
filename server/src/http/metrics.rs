//! What the server counts, at `/metrics`, for Prometheus and those that read its format.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use actix_web::HttpResponse;
use actix_web::http::header;

use super::Front;
use crate::app::App;
use crate::destinations::Destination;
use crate::metrics::{Page, Traffic};
use crate::store::{Progress, Store};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn page(front: &Front) -> HttpResponse {
    let mut page = Page::default();
    requests(&mut page, &front.traffic);
    store(&mut page, &front.app.store);
    messages(&mut page, front);
    followers(&mut page, &front.app);
    deliveries(&mut page, &front.app);
    destinations(&mut page, &front.app);
    process(&mut page, &front.app);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, TEXT))
        .body(page.finish())
}

fn requests(page: &mut Page, traffic: &Traffic) {
    page.timings(
        "kiln_http_request_seconds",
        "Time from the end of a request's headers to its answer.",
        "interaction",
        &traffic.requests,
    );
    page.gauge(
        "kiln_http_requests_under_way",
        "Requests that are not answered yet.",
        traffic.under_way.get(),
    );
    page.counter(
        "kiln_http_panics_total",
        "Requests that ended in a panic.",
        traffic.panics.get(),
    );
    page.gauge(
        "kiln_http_connections_open",
        "Connections with clients.",
        traffic.connections.get(),
    );
    page.counter(
        "kiln_http_connections_refused_total",
        "Connections for which there was no place.",
        traffic.refused.get(),
    );
    page.counter(
        "kiln_http_received_bytes_total",
        "Bytes from clients.",
        traffic.bytes_in.get(),
    );
    page.counter(
        "kiln_http_sent_bytes_total",
        "Bytes to clients.",
        traffic.bytes_out.get(),
    );
}

fn store(page: &mut Page, store: &Store) {
    let meters = store.meters();
    page.counters(
        "kiln_store_writes_total",
        "Writes by how they ended; committed ones are on disk.",
        "outcome",
        &[
            ("committed", meters.committed.get()),
            ("failed", meters.failed.get()),
        ],
    );
    page.counter(
        "kiln_store_attempts_again_total",
        "Attempts at writes that were made again because others were in the way.",
        meters.again.get(),
    );
    page.histogram(
        "kiln_store_group_writes",
        "Writes that were committed together.",
        &meters.group_size,
    );
    page.histogram(
        "kiln_store_commit_seconds",
        "Time of a commit, with the flush to disk.",
        &meters.commit_time,
    );
    page.gauge(
        "kiln_store_writes_waiting",
        "Writes that wait for the writer.",
        meters.waiting.get(),
    );
    let registry = store.registry();
    let making = registry.unready();
    page.gauge(
        "kiln_reindex_resources_done",
        "Resources that have the index rows of new search parameters.",
        making.values().map(|remake| remake.done).sum::<u64>(),
    );
    page.gauge(
        "kiln_reindex_resources",
        "Resources of types whose index rows are being made; 0 when all are there.",
        making.values().map(|remake| remake.total).sum::<u64>(),
    );
    page.gauge(
        "kiln_store_connections_in_use",
        "Connections to the database in use; with SQLite those that read.",
        store.connections_in_use(),
    );
}

fn messages(page: &mut Page, front: &Front) {
    let counts = front.desk.counts();
    page.labelled(
        "kiln_messages_total",
        "Messages of HL7 v2 by route and answer.",
        ["route", "code"],
        &counts.answers(),
    );
    page.counter(
        "kiln_messages_duplicates_total",
        "Messages that were here before and were answered as before.",
        counts.duplicates.get(),
    );
    page.gauge(
        "kiln_mllp_connections_open",
        "Connections of MLLP.",
        counts.connections.get(),
    );
    page.counter(
        "kiln_mllp_connections_refused_total",
        "Connections of MLLP for which there was no place.",
        counts.refused.get(),
    );
    page.counter(
        "kiln_mllp_junk_bytes_total",
        "Bytes that came by MLLP between messages.",
        counts.junk_bytes.get(),
    );
}

fn followers(page: &mut Page, app: &App) {
    let all = app.texts.iter().map(|texts| &*texts.progress);
    let all: Vec<&Progress> = all.chain([&*app.dispatch.progress]).collect();
    let handled: Vec<(&str, u64)> = all.iter().map(|p| (p.name, p.handled.get())).collect();
    page.counters(
        "kiln_feed_versions_total",
        "Versions that a follower of the feed has handled since the server started.",
        "follower",
        &handled,
    );
    let behind = all.iter().map(|p| (p.name, p.behind_us() / 1_000_000));
    let behind: Vec<(&str, u64)> = behind.collect();
    page.gauges(
        "kiln_feed_behind_seconds",
        "How old the last version is that a follower has handled, while there are newer ones; else 0.",
        "follower",
        &behind,
    );
}

fn destinations(page: &mut Page, app: &App) {
    let all = app.destinations.all();
    type Count = fn(&Destination) -> u64;
    let counts = |count: Count| -> Vec<(&str, u64)> {
        let all = all.iter();
        all.map(|destination| (destination.name(), count(destination)))
            .collect()
    };
    let counters: [(&'static str, &'static str, Count); 4] = [
        (
            "kiln_outgoing_sent_total",
            "Messages that were sent to a destination and taken.",
            |destination| destination.sent.get(),
        ),
        (
            "kiln_outgoing_failed_total",
            "Attempts at sending a message that were not taken.",
            |destination| destination.failed.get(),
        ),
        (
            "kiln_outgoing_given_up_total",
            "Messages that are not sent again by themselves; somebody should look at them.",
            |destination| destination.given_up.get(),
        ),
        (
            "kiln_outgoing_late_total",
            "Acknowledgements that came when nobody waited for them any more.",
            |destination| destination.late.get(),
        ),
    ];
    for (name, told, count) in counters {
        page.counters(name, told, "destination", &counts(count));
    }
    page.gauges(
        "kiln_outgoing_waiting",
        "Messages that wait for a destination, parked ones among them.",
        "destination",
        &counts(Destination::waiting),
    );
    page.gauges(
        "kiln_outgoing_unreachable",
        "Whether a destination cannot be reached: 1 or 0.",
        "destination",
        &counts(|destination| destination.outage().is_some().into()),
    );
}

fn deliveries(page: &mut Page, app: &App) {
    let (dispatch, counts) = (&app.dispatch, app.dispatch.counts());
    page.counters(
        "kiln_deliveries_total",
        "Attempts at telling a subscription of an event, by how they ended.",
        "outcome",
        &[
            ("delivered", dispatch.delivered.get()),
            ("failed", dispatch.failed.get()),
        ],
    );
    page.gauge(
        "kiln_deliveries_waiting",
        "Events that wait to be delivered.",
        counts.waiting,
    );
    page.gauge(
        "kiln_deliveries_dead",
        "Events of subscriptions that were given up; somebody should look at them.",
        counts.dead,
    );
    page.gauges(
        "kiln_subscriptions",
        "Subscriptions by their status.",
        "status",
        &[("active", counts.active), ("error", counts.in_error)],
    );
    page.counter(
        "kiln_subscriptions_given_up_total",
        "Subscriptions that were given up since the server started.",
        dispatch.given_up.get(),
    );
}

fn process(page: &mut Page, app: &App) {
    page.facts(
        "kiln_build_info",
        "The version of Kiln and its database.",
        &[
            ("version", env!("CARGO_PKG_VERSION")),
            ("database", app.store.database_kind()),
        ],
    );
    let started = app.started_at.since_epoch();
    page.gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        format_args!("{}.{:03}", started.as_secs(), started.subsec_millis()),
    );
    if let Some(bytes) = resident_bytes() {
        page.gauge(
            "process_resident_memory_bytes",
            "Memory of the process.",
            bytes,
        );
    }
}

/// As Linux tells it; elsewhere nothing is told.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
