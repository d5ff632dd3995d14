//! HTTP: the only room, with the console, that knows actix.

mod base;
mod binary;
mod body;
mod coding;
mod conditions;
mod cors;
mod criteria;
mod health;
mod history;
mod interactions;
mod page;
mod prefer;
mod reply;
mod request;
mod routes;
mod shape;
mod unread;
mod writes;

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data, Payload};
use actix_web::{App as HttpApp, HttpRequest, HttpResponse, HttpServer};
use tracing::Instrument;

use crate::Error;
use crate::app::App;

/// Answers requests until `stop` is done, then finishes those under way.
pub async fn serve(
    app: Arc<App>,
    listen: SocketAddr,
    ready: impl FnOnce(SocketAddr) -> Result<(), Error>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let limits = app.limits;
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let app = Data::from(app);
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(app.clone())
            .default_service(web::to(answer))
    })
    .workers(workers)
    .keep_alive(Duration::from_millis(limits.keep_alive_ms))
    .client_request_timeout(Duration::from_millis(limits.headers_wait_ms))
    .max_connections(limits.connections_max.div_ceil(workers))
    .shutdown_timeout(limits.stop_wait_ms.div_ceil(1000))
    .disable_signals()
    .bind(listen)
    .map_err(|error| Error::Listen(listen, error))?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    let running = server.run();
    let handle = running.handle();
    ready(address)?;
    let stopping = async {
        stop.await;
        handle.stop(true).await;
        // The server's own future ends now; this one must not end before it.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = running => done.map_err(Error::Http),
        () = stopping => Ok(()),
    }
}

/// Every request comes in here and every answer leaves from here.
async fn answer(app: Data<App>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let id = app.request_id();
    let started = (app.clock)();
    let span = tracing::debug_span!("request", request.id = %id);
    let mut response = async {
        let (interaction, answered) = match cors::refuse_foreign_pages(&app.outside, &request) {
            Ok(()) => routes::follow(&app, &request, &mut payload).await,
            Err(fault) => ("refused", Err(fault)),
        };
        let response = answered.unwrap_or_else(|fault| reply::fault(&request, &id, &fault));
        let time_us = (app.clock)().micros() - started.micros();
        tracing::debug!(
            interaction,
            status = response.status().as_u16(),
            time_us,
            "answered"
        );
        response
    }
    .instrument(span)
    .await;
    response = coding::packed(&request, response).await;
    reply::name_request(&mut response, &id);
    cors::allow(&app.outside, &request, &mut response);
    if response.status().is_success() {
        response
    } else {
        unread::held_by(response, payload)
    }
}
