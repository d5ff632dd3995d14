//! For whoever runs the server: is the process alive, and can it do its work.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;

use crate::app::App;
use crate::fault::Fault;

pub(super) fn live() -> HttpResponse {
    said("live")
}

pub(super) async fn ready(app: &Arc<App>) -> Result<HttpResponse, Fault> {
    app.store.ping().await?;
    Ok(said("ready"))
}

fn said(word: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .body(word)
}
