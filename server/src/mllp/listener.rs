//! One route's address: connections are let in while the route is started.

use crate::tls::{Callers, Certificates};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::connection;
use super::{Error, Shared};
use crate::limits;
use crate::messages::{Mode, Running};

/// The pause after a connection could not be taken, or an address not listened on.
const PAUSE: Duration = Duration::from_millis(500);

/// An address that is listened on.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    pub(super) address: SocketAddr,
    certificates: Option<Arc<Certificates>>,
}

pub(super) async fn bind(running: &Running) -> Result<Bound, Error> {
    let tls = |source| Error::Tls {
        route: running.name().to_owned(),
        source,
    };
    let files = running.settings.tls.as_ref();
    let certificates = files.map(|files| Certificates::read(files, Callers::MustShow));
    let certificates = certificates.transpose().map_err(tls)?.map(Arc::new);
    let wanted = running
        .settings
        .listen
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let told = |error| Error::Listen(wanted, error);
    let socket = match wanted {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(told)?;
    socket.set_reuseaddr(true).map_err(told)?;
    socket.bind(wanted).map_err(told)?;
    let listener = socket.listen(limits::BACKLOG_MAX).map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    Ok(Bound {
        listener,
        address,
        certificates,
    })
}

/// Listens as long as the route is there.
pub(super) async fn run(shared: Arc<Shared>, running: Arc<Running>, first: Option<Bound>) {
    let mut bound = first;
    let mut modes = running.modes();
    let mut stopping = shared.stopping.clone();
    loop {
        let is_there = shared.desk.routes.get(running.name());
        if !is_there.is_some_and(|there| Arc::ptr_eq(&there, &running)) {
            return;
        }
        let mode = *modes.borrow_and_update();
        if mode == Mode::Stopped {
            bound = None;
        }
        if mode != Mode::Stopped && bound.is_none() {
            match bind(&running).await {
                Ok(again) => bound = Some(again),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(route = running.name(), %error, cause, "a route cannot listen");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            changed = modes.changed() => if changed.is_err() { return },
            () = accept(&shared, &running, bound.as_ref()) => {}
        }
    }
}

/// Lets one connection in.
async fn accept(shared: &Arc<Shared>, running: &Arc<Running>, bound: Option<&Bound>) {
    let Some(bound) = bound else {
        return std::future::pending().await;
    };
    let (stream, peer) = match bound.listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(route = running.name(), %error, "a connection could not be taken");
            return tokio::time::sleep(PAUSE).await;
        }
    };
    let Some(place) = shared.admission.place(peer.ip()) else {
        shared.desk.counts().refused.add(1);
        tracing::warn!(
            route = running.name(),
            "a connection was refused: there are as many as limits.mllp_connections_max or mllp_connections_per_address_max allow"
        );
        return;
    };
    let (shared, running) = (Arc::clone(shared), Arc::clone(running));
    let certificates = bound.certificates.clone();
    tokio::spawn(async move {
        let _place = place;
        let desk = Arc::clone(&shared.desk);
        let _open = desk.counts().connections.one();
        let _alive = shared.alive.clone();
        serve(&shared, &running, certificates.as_deref(), stream).await;
    });
}

async fn serve(
    shared: &Arc<Shared>,
    running: &Arc<Running>,
    certificates: Option<&Certificates>,
    stream: TcpStream,
) {
    // Answers are short and waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended as soon as it began");
        return;
    }
    let Some(certificates) = certificates else {
        return connection::serve(shared, running, stream).await;
    };
    let grace = Duration::from_millis(shared.desk.app.limits.mllp_grace_ms);
    match tokio::time::timeout(grace, certificates.accept(stream)).await {
        Ok(Ok(stream)) => connection::serve(shared, running, stream).await,
        Ok(Err(error)) => {
            tracing::warn!(route = running.name(), %error, "TLS was not agreed upon");
        }
        Err(_) => tracing::debug!(route = running.name(), "TLS was not agreed upon in time"),
    }
}
