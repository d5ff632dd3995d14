//! Connections to others: a name is looked up once, what it leads to is judged, and only that is connected to.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::config::Deliveries;
use crate::limits;
use crate::subscriptions::endpoint::{Endpoint, may_reach};

#[derive(Debug, Clone)]
pub struct Connect {
    settings: Arc<Deliveries>,
}

impl Connect {
    pub fn new(settings: Arc<Deliveries>) -> Self {
        Self { settings }
    }
}

impl Service<Uri> for Connect {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let wait = Duration::from_millis(limits::DELIVERY_CONNECT_MS);
            let connected = tokio::time::timeout(wait, connected(&settings, &uri)).await;
            connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        })
    }
}

async fn connected(settings: &Deliveries, uri: &Uri) -> Result<TokioIo<TcpStream>, Error> {
    let endpoint = Endpoint { uri: uri.clone() };
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = reached(settings, endpoint.scheme(), host, endpoint.port()).await?;
    Ok(TokioIo::new(stream))
}

/// A connection to one of the addresses of a name, of those that may be reached.
pub async fn reached(
    settings: &Deliveries,
    scheme: &str,
    host: &str,
    port: u16,
) -> Result<TcpStream, Error> {
    let found = tokio::net::lookup_host((host, port)).await?;
    let mut refused = Error::new(ErrorKind::NotFound, "its name leads nowhere");
    for address in found.collect::<Vec<SocketAddr>>() {
        match may_reach(settings, scheme, (host, address.ip()), address.port()) {
            Ok(()) => match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => refused = error,
            },
            Err(told) => refused = Error::new(ErrorKind::PermissionDenied, told),
        }
    }
    Err(refused)
}
