//! Connections: how many there may be, and how long a client may keep one waiting.
//!
//! The library closes a connection whose first request does not come, and one on which nothing follows. What it lets pass
//! is closed here: later requests that come by drops, and answers that nobody reads.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::{Front, reply};
use crate::callers;
use crate::fault::{Fault, Kind};
use crate::limits;
use crate::tls::Certificates;

/// Who lets connections in, and counts them.
pub(super) struct Admission {
    front: Arc<Front>,
    /// None: HTTP in the clear.
    certificates: Option<Certificates>,
    connections_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among those that are open, given back when it is dropped.
struct Place {
    admission: Arc<Admission>,
    /// None for those that are not counted by address.
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(front: Arc<Front>, certificates: Option<Certificates>) -> Arc<Self> {
        let wanted = front.app.limits.connections_max;
        // Without a file for each the whole server would stand still, the database too.
        let possible = files_max().saturating_sub(limits::FILES_BESIDE_CONNECTIONS);
        if possible < wanted {
            tracing::warn!(
                possible,
                wanted,
                "the system lets this process open too few files for `limits.connections_max`"
            );
        }
        Arc::new(Self {
            front,
            certificates,
            connections_max: wanted.min(possible).max(1),
            open: Mutex::default(),
        })
    }

    /// The connection, when there is a place for it. One that there is none for is told so and closed.
    pub(super) async fn admit(self: Arc<Self>, stream: TcpStream) -> io::Result<Connection> {
        let peer = stream.peer_addr()?;
        match Arc::clone(&self).place(peer.ip()) {
            Ok(place) => {
                stream.set_nodelay(true)?;
                let stream = self.secured(stream).await?;
                Ok(Connection::new(stream, peer, place))
            }
            Err(fault) => {
                if self.certificates.is_none() {
                    tell_refused(&stream, &fault).await;
                }
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        }
    }

    /// What the client and the server speak over. A client has as long to agree as it has for the headers of a request.
    async fn secured(&self, stream: TcpStream) -> io::Result<Stream> {
        let Some(certificates) = &self.certificates else {
            return Ok(Stream::Clear(stream));
        };
        let wait = Duration::from_millis(self.front.app.limits.headers_wait_ms);
        let agreed = timeout(wait, certificates.accept(stream)).await;
        let stream = agreed.map_err(|_| io::ErrorKind::TimedOut)?;
        let stream = stream.inspect_err(|error| {
            tracing::debug!("a client does not agree on TLS: {error}");
        })?;
        Ok(Stream::Secured(Box::new(stream)))
    }

    fn place(self: Arc<Self>, address: IpAddr) -> Result<Place, Fault> {
        let limits = self.front.app.limits;
        // A proxy brings the connections of many.
        let address = Some(address).filter(|address| !self.front.app.outside.trusts(*address));
        let mut open = self.lock();
        let refused = |limit: usize, name: &str| {
            self.front.traffic.refused.add(1);
            let diagnostics = format!("there are {limit} connections already ({name})");
            Err(Fault::new(Kind::Unavailable, diagnostics))
        };
        if open.all >= self.connections_max {
            return refused(self.connections_max, "connections_max");
        }
        if let Some(address) = address {
            let of_address = open.by_address.entry(address).or_default();
            if *of_address >= limits.connections_per_address_max {
                let limit = limits.connections_per_address_max;
                return refused(limit, "connections_per_address_max");
            }
            *of_address += 1;
        }
        open.all += 1;
        drop(open);
        self.front.traffic.connections.up();
        Ok(Place {
            admission: self,
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.front.traffic.connections.down();
        let mut open = self.admission.lock();
        open.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(of_address) = open.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// How many files the system lets this process open, as Linux tells it.
fn files_max() -> usize {
    let told = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    told.lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|numbers| numbers.split_whitespace().next()?.parse().ok())
        .unwrap_or(usize::MAX)
}

async fn tell_refused(stream: &TcpStream, fault: &Fault) {
    let answer = reply::without_request(fault);
    if stream.writable().await.is_ok() && stream.try_write(answer.as_bytes()).is_err() {
        tracing::debug!("a refused client went away before it was told");
    }
}

enum Stream {
    Clear(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// The certificate that the client of a connection has shown, by what keys are found with.
pub(super) struct Certificate(pub(super) Option<String>);

/// A connection with a client, on which time is kept.
pub(super) struct Connection {
    stream: Stream,
    pub(super) peer: SocketAddr,
    place: Place,
    pub(super) watch: Rc<Watch>,
    /// Wakes the connection when a client may have kept it waiting for too long. Never later than it must, at times
    /// earlier: setting it again for every request would cost more than waking up in vain now and then.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// What goes on on a connection, as far as time is kept.
#[derive(Default)]
pub(super) struct Watch {
    /// Of a websocket it is never over.
    requests: Cell<u32>,
    /// Since when a request has been coming that is not whole yet.
    head_since: Cell<Option<Instant>>,
    /// Since when the client has taken nothing of an answer.
    full_since: Cell<Option<Instant>>,
}

/// A request is under way until this is dropped.
pub(super) struct UnderWay(Rc<Watch>);

impl Watch {
    pub(super) fn request(self: &Rc<Self>) -> UnderWay {
        self.requests.set(self.requests.get().saturating_add(1));
        self.head_since.set(None);
        UnderWay(Rc::clone(self))
    }

    fn heard(&self) {
        if self.requests.get() == 0 && self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get().saturating_sub(1));
    }
}

impl Connection {
    fn new(stream: Stream, peer: SocketAddr, place: Place) -> Self {
        Self {
            stream,
            peer,
            place,
            watch: Rc::default(),
            alarm: None,
        }
    }

    pub(super) fn certificate(&self) -> Certificate {
        let Stream::Secured(stream) = &self.stream else {
            return Certificate(None);
        };
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(<[_]>::first);
        Certificate(shown.map(|certificate| callers::hash_of_certificate(certificate)))
    }

    /// The moment at which the client will have kept the server waiting for too long.
    fn due(&self) -> Option<Instant> {
        let limits = &self.place.admission.front.app.limits;
        let head = self.watch.head_since.get();
        let full = self.watch.full_since.get();
        let head = head.map(|since| since + Duration::from_millis(limits.headers_wait_ms));
        let full = full.map(|since| since + Duration::from_millis(limits.answer_wait_ms));
        [head, full].into_iter().flatten().min()
    }

    /// To be asked when the stream is not ready.
    fn poll_overdue<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            let Some(due) = self.due() else {
                return Poll::Pending;
            };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.is_elapsed() || alarm.deadline() > due {
                alarm.as_mut().reset(due);
            }
            ready!(alarm.as_mut().poll(cx));
            if Instant::now() >= due {
                tracing::debug!("a client kept a connection waiting for too long");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_overdue(cx),
            ready => {
                let read = buffer.filled().len() - before;
                if read > 0 {
                    self.watch.heard();
                    let read = u64::try_from(read).unwrap_or_default();
                    self.place.admission.front.traffic.bytes_in.add(read);
                }
                ready
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => {
                if self.watch.full_since.get().is_none() {
                    self.watch.full_since.set(Some(Instant::now()));
                }
                self.poll_overdue(cx)
            }
            ready => {
                self.watch.full_since.set(None);
                if let Poll::Ready(Ok(written)) = &ready {
                    let written = u64::try_from(*written).unwrap_or_default();
                    self.place.admission.front.traffic.bytes_out.add(written);
                }
                ready
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
