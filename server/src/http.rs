//! HTTP: the only room, with the console, that knows actix.

mod conditions;
mod health;
mod interactions;
mod page;
mod prefer;
mod reply;
mod request;
mod routes;
mod shape;
mod unread;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data, Payload};
use actix_web::{App as HttpApp, HttpRequest, HttpResponse, HttpServer};
use tracing::Instrument;

use crate::app::App;
use crate::{Error, limits};

/// Answers requests until `stop` is done, then finishes those under way.
pub async fn serve(
    app: Arc<App>,
    listen: SocketAddr,
    ready: impl FnOnce(SocketAddr) -> Result<(), Error>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let app = Data::from(app);
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(app.clone())
            .default_service(web::to(answer))
    })
    .keep_alive(Duration::from_secs(limits::KEEP_ALIVE_S))
    .client_request_timeout(Duration::from_millis(limits::HEADERS_WAIT_MS))
    .max_connections(limits::CONNECTIONS_MAX)
    .shutdown_timeout(limits::DRAIN_S)
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
        let (interaction, answered) = routes::follow(&app, &request, &mut payload).await;
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
    reply::name_request(&mut response, &id);
    if response.status().is_success() {
        response
    } else {
        unread::held_by(response, payload)
    }
}
