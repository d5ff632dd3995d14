//! For whoever runs the server: is the process alive, and can it do its work.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;

use super::Front;
use crate::fault::{Fault, Kind};

pub(super) fn live() -> HttpResponse {
    said("live")
}

/// Whether requests should be sent here: not to a server that is about to stop, and not to one whose database is gone or
/// takes no writes.
pub(super) async fn ready(front: &Front) -> Result<HttpResponse, Fault> {
    if front.stopping.load(Ordering::Relaxed) {
        return Err(Fault::new(Kind::Unavailable, "the server is stopping"));
    }
    // Whatever keeps the database from its work, those who ask know one word for it.
    let not_ready = |error| {
        let diagnostics = "the database is gone, or takes no writes";
        Fault::new(Kind::Unavailable, diagnostics).because(error)
    };
    front.app.store.ping().await.map_err(not_ready)?;
    Ok(said("ready"))
}

fn said(word: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .body(word)
}
