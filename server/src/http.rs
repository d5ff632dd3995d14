//! HTTP: the only room, with the console, that knows actix.

mod address;
mod arranged;
mod audits;
mod base;
mod binary;
mod body;
mod bundle;
mod coding;
mod conditions;
mod connection;
mod convert;
mod cors;
mod criteria;
mod deliveries;
mod destinations;
mod documents;
mod guard;
mod health;
mod history;
mod hl7;
mod interactions;
mod media;
mod messages;
mod metrics;
mod overlays;
mod page;
mod prefer;
mod reply;
mod request;
mod routes;
mod routes_api;
mod search;
mod shape;
mod shown;
mod signin;
mod smart;
mod sockets;
mod unread;
mod visits;
mod writes;

use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::http::{StatusCode, header};
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data, Payload};
use actix_web::{App as HttpApp, HttpRequest, HttpResponse};
use tracing::Instrument;

use crate::Error;
use crate::app::App;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::limits;
use crate::messages::Desk;
use crate::metrics::Traffic;
use crate::rate::Rate;
use crate::smart::origins::Origins;
use crate::tls::Certificates;
use connection::{Admission, Connection, Watch};

/// What the room knows besides the parts of the server.
#[derive(Debug)]
struct Front {
    app: Arc<App>,
    desk: Arc<Desk>,
    traffic: Traffic,
    /// Requests of each caller.
    callers: Option<Rate>,
    /// Requests from each address that showed nothing which lets anybody in.
    strangers: Option<Rate>,
    /// Those who listen.
    sockets: Arc<sockets::Sockets>,
    /// Passwords that were not right, of each name and from each address.
    failed_logins: Option<Rate>,
    /// From where the pages of apps come.
    origins: Origins,
    /// Set when the server has been told to stop.
    stopping: AtomicBool,
}

/// In microseconds.
const SECOND: i64 = 1_000_000;

/// Answers requests until `stop` is done, then finishes those under way.
pub async fn serve(
    app: Arc<App>,
    desk: Arc<Desk>,
    listen: SocketAddr,
    certificates: Option<Certificates>,
    ready: impl FnOnce(SocketAddr) -> Result<(), Error>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let limits = app.limits;
    let front = Arc::new(Front {
        app,
        desk,
        traffic: Traffic::of(routes::names()),
        callers: Rate::new(limits.requests_per_caller_s_max, SECOND),
        strangers: Rate::new(limits.strangers_per_address_min_max, 60 * SECOND),
        sockets: Arc::default(),
        failed_logins: Rate::new(limits.failed_logins_min_max, 60 * SECOND),
        origins: Origins::default(),
        stopping: AtomicBool::new(false),
    });
    let told = |error| Error::Listen(listen, error);
    let listener = bind(listen).map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    let running = server(Arc::clone(&front), listener, certificates).map_err(told)?;
    let handle = running.handle();
    // Nobody else says where it is.
    let scheme = front.app.outside.scheme();
    let _said = front.app.served_at.set(format!("{scheme}://{address}"));
    ready(address)?;
    let stopping = async {
        stop.await;
        // Whoever asks is told before the first connection is refused.
        front.stopping.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(limits.stop_notice_ms)).await;
        front.sockets.leave();
        handle.stop(true).await;
        // The server's own future ends now; this one must not end before it.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = running => done.map_err(Error::Http),
        () = stopping => Ok(()),
    }
}

fn bind(listen: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(limits::BACKLOG_MAX)?.into_std()
}

/// The library's server, over connections of our own: see there for why.
fn server(
    front: Arc<Front>,
    listener: std::net::TcpListener,
    certificates: Option<Certificates>,
) -> std::io::Result<Server> {
    let limits = front.app.limits;
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let builder = Server::build()
        .workers(workers)
        // Admission counts; the library would let clients wait without a word.
        .max_concurrent_connections(usize::MAX)
        .shutdown_timeout(limits.stop_wait_ms.div_ceil(1000))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let admission = Admission::new(Arc::clone(&front), certificates);
    let front = Data::from(front);
    let server = builder.listen("http", listener, move || {
        let (admission, stopping) = (Arc::clone(&admission), stopping.clone());
        let answers = HttpApp::new()
            .app_data(front.clone())
            .default_service(web::to(answer))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(Duration::from_millis(limits.keep_alive_ms))
            .client_request_timeout(Duration::from_millis(limits.headers_wait_ms))
            .on_connect_ext(|connection: &Connection, extensions| {
                extensions.insert(Rc::clone(&connection.watch));
                extensions.insert(connection.certificate());
            })
            // Nothing asks the library under which address it runs.
            .finish(map_config(answers, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let admission = Arc::clone(&admission);
            async move {
                let connection = admission.admit(stream).await?;
                let peer = Some(connection.peer);
                Ok::<_, actix_http::error::DispatchError>((connection, Protocol::Http1, peer))
            }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// Every request comes in here and every answer leaves from here.
async fn answer(front: Data<Front>, request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let app = &front.app;
    let watch = request.conn_data::<Rc<Watch>>();
    let _on_connection = watch.map(Watch::request);
    let _under_way = front.traffic.under_way.one();
    let started = (app.clock)();
    let id = request::id(&request).unwrap_or_else(|| app.request_id());
    visits::name(app, &request, &id);
    let span = tracing::debug_span!("request", request.id = %id);
    let response = {
        // Pinned where it is: it is large, and would be copied from hand to hand otherwise.
        let work = pin!(answered(&front, &request, &mut payload, &id, started));
        work.instrument(span).await
    };
    let is_taken = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if is_taken || response.status().is_success() {
        response
    } else {
        unread::held_by(response, payload)
    }
}

/// The answer, whatever comes of the request, with all that every answer bears; counted and told.
async fn answered(
    front: &Data<Front>,
    request: &HttpRequest,
    payload: &mut Payload,
    id: &str,
    started: Instant,
) -> HttpResponse {
    let app = &front.app;
    let is_of_app = match cors::origin(request).and_then(|origin| origin.to_str().ok()) {
        // When it cannot be looked up nobody is let in who is not anyway.
        Some(origin) => front.origins.has(app, origin).await.unwrap_or(false),
        None => false,
    };
    let (interaction, answered) = followed(front, request, payload, is_of_app).await;
    let answered = visits::settle(app, request, interaction, answered).await;
    let mut response = answered.unwrap_or_else(|fault| reply::fault(request, id, &fault));
    if let Some(coding) = coding::wanted(request, &mut response) {
        response = Box::pin(coding::packed(coding, response)).await;
    }
    reply::name_request(&mut response, id);
    if app.outside.is_https {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, reply::A_YEAR);
    }
    cors::allow(&app.outside, request, &mut response, is_of_app);
    let status = response.status().as_u16();
    let time_us = (app.clock)().micros() - started.micros();
    let time_us = u64::try_from(time_us).unwrap_or_default();
    front.traffic.requests.observe(interaction, status, time_us);
    tracing::debug!(interaction, status, time_us, "answered");
    response
}

/// What a request was for and what came of it; a panic is trouble like other trouble.
async fn followed(
    front: &Data<Front>,
    request: &HttpRequest,
    payload: &mut Payload,
    is_of_app: bool,
) -> (&'static str, routes::Answer) {
    if let Err(fault) = cors::refuse_foreign_pages(&front.app.outside, request, is_of_app) {
        return ("refused", Err(fault));
    }
    let work = pin!(routes::follow(front, request, payload));
    let (interaction, answer) = guard::guarded(work)
        .await
        .unwrap_or_else(|panicked| ("other", Err(panicked.into())));
    if answer.as_ref().is_err_and(Fault::is_panic) {
        front.traffic.panics.add(1);
    }
    (interaction, answer)
}
