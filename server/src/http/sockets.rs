//! Those who listen: a websocket stays open, and what has happened is said as soon as it is born.
//! <https://www.rfc-editor.org/rfc/rfc6455>

use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::connection::{UnderWay, Watch};
use super::{Front, cors, shown};
use crate::auth::Caller;
use crate::deliver::listening::Listener;
use crate::fault::{Fault, Kind};
use crate::limits;

/// Where it is, below the FHIR base.
pub(super) const WEBSOCKET: &str = "websocket";

/// Those that are open.
#[derive(Debug)]
pub(super) struct Sockets {
    by_caller: Mutex<HashMap<String, usize>>,
    /// Whether the server is to stop.
    leaving: watch::Sender<bool>,
}

/// One of them, until it is dropped.
struct Place {
    sockets: Arc<Sockets>,
    name: String,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            by_caller: Mutex::default(),
            leaving: watch::Sender::new(false),
        }
    }
}

impl Sockets {
    fn place(self: &Arc<Self>, name: &str) -> Result<Place, Fault> {
        let mut open = self
            .by_caller
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(name).copied().unwrap_or_default();
        let most = match all >= limits::SOCKETS_MAX {
            true => limits::SOCKETS_MAX,
            false => limits::SOCKETS_PER_CALLER_MAX,
        };
        if all >= limits::SOCKETS_MAX || own >= limits::SOCKETS_PER_CALLER_MAX {
            let told = format!("there are {most} websockets already");
            return Err(Fault::new(Kind::Unavailable, told));
        }
        open.insert(name.to_owned(), own + 1);
        Ok(Place {
            sockets: Arc::clone(self),
            name: name.to_owned(),
        })
    }

    /// All of them are to end.
    pub(super) fn leave(&self) {
        self.leaving.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.sockets.by_caller;
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

/// Opens one. Who shows nothing may come in as well: browsers cannot show anything here, their tokens come afterwards.
pub(super) async fn open(
    front: &Front,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    if *request.method() != Method::GET {
        return Err(Fault {
            allow: Some("GET".to_owned()),
            ..Fault::new(Kind::MethodNotAllowed, "a websocket is opened by GET")
        });
    }
    cors::refuse_foreign_sockets(&front.app.outside, request)?;
    let caller = match shown::shows_something(request) {
        false if front.app.auth == crate::config::Auth::Smart => None,
        _ => Some(shown::caller(&front.app, request).await?),
    };
    let address = || super::address::of(&front.app.outside, request).map(|one| one.to_string());
    let name = match &caller {
        Some(Caller::Open) | None => address().unwrap_or_default(),
        Some(caller) => caller.name().to_owned(),
    };
    let place = front.sockets.place(&name)?;
    let nothing = Payload::from_request(request, &mut dev::Payload::None).await;
    let nothing = nothing.map_err(|error| Fault::internal(error.to_string()))?;
    let payload = std::mem::replace(payload, nothing);
    let opened = actix_ws::handle(request, payload);
    let (response, session, stream) =
        opened.map_err(|error| Fault::new(Kind::Malformed, format!("no websocket: {error}")))?;
    let socket = Socket {
        listener: Listener::new(Arc::clone(&front.app), caller),
        session,
        heard_at: Instant::now(),
        // Else the connection would count as one whose next request does not come.
        _under_way: request.conn_data::<Rc<Watch>>().map(Watch::request),
        _place: place,
    };
    let leaving = front.sockets.leaving.subscribe();
    let grown = front.app.dispatch.grown();
    let has_others = !front.app.store.has_one_writer();
    let stream = stream.max_frame_size(limits::SOCKET_FRAME_BYTES_MAX);
    actix_web::rt::spawn(socket.serve(stream, grown, leaving, has_others));
    Ok(response)
}

struct Socket {
    listener: Listener,
    session: Session,
    /// When the other side was heard last.
    heard_at: Instant,
    _under_way: Option<UnderWay>,
    _place: Place,
}

/// Why a socket ends.
type End = Option<CloseReason>;

fn end(code: CloseCode, told: &str) -> End {
    Some(CloseReason {
        code,
        description: Some(told.to_owned()),
    })
}

impl Socket {
    async fn serve(
        mut self,
        stream: MessageStream,
        grown: tokio::sync::broadcast::Receiver<Arc<[i64]>>,
        leaving: watch::Receiver<bool>,
        has_others: bool,
    ) {
        let end = match self.until_over(stream, grown, leaving, has_others).await {
            Ok(end) => end,
            Err(fault) => {
                tracing::warn!(kind = ?fault.kind, "a websocket is closed");
                end(CloseCode::Error, "trouble on the server: come again")
            }
        };
        // It may be gone already.
        let _closed = self.session.close(end).await;
    }

    async fn until_over(
        &mut self,
        stream: MessageStream,
        mut grown: tokio::sync::broadcast::Receiver<Arc<[i64]>>,
        mut leaving: watch::Receiver<bool>,
        has_others: bool,
    ) -> Result<End, Fault> {
        let mut stream = pin!(stream);
        let mut beat = interval(Duration::from_millis(limits::DELIVERY_POLL_MS));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats: u64 = 0;
        loop {
            tokio::select! {
                message = stream.recv() => match message {
                    Some(Ok(message)) => if let Some(end) = self.hear(message).await? {
                        return Ok(end);
                    },
                    _ => return Ok(None),
                },
                rids = grown.recv() => {
                    let rids = match rids {
                        Ok(rids) => Some(rids),
                        Err(RecvError::Lagged(_)) => None,
                        Err(RecvError::Closed) => return Ok(end(CloseCode::Away, "the server stops")),
                    };
                    if !self.say(rids.as_deref()).await? {
                        return Ok(None);
                    }
                }
                _ = beat.tick() => {
                    beats += 1;
                    // What other nodes have found, heartbeats, and who may not listen any more.
                    let looks = has_others || beats.is_multiple_of(limits::SOCKET_LOOK_BEATS);
                    if looks && !self.say(None).await? {
                        return Ok(None);
                    }
                    if !self.is_there(beats).await {
                        return Ok(end(CloseCode::Policy, "nothing was heard for too long"));
                    }
                }
                _ = leaving.wait_for(|leaving| *leaving) => {
                    return Ok(end(CloseCode::Away, "the server stops"));
                }
            }
        }
    }

    /// Whether the other side is there: it is asked now and then.
    async fn is_there(&mut self, beats: u64) -> bool {
        let silent = self.heard_at.elapsed();
        if silent >= Duration::from_millis(limits::SOCKET_SILENT_MS) {
            return false;
        }
        let asks = beats.is_multiple_of(limits::SOCKET_PING_BEATS);
        !asks || self.session.ping(b"").await.is_ok()
    }

    /// Some: it is over.
    async fn hear(&mut self, message: Message) -> Result<Option<End>, Fault> {
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => {
                for said in self.listener.hear(&text).await? {
                    if self.session.text(said.text).await.is_err() {
                        return Ok(Some(None));
                    }
                }
                if !self.say(None).await? {
                    return Ok(Some(None));
                }
            }
            Message::Ping(bytes) => {
                if self.session.pong(&bytes).await.is_err() {
                    return Ok(Some(None));
                }
            }
            Message::Pong(_) | Message::Nop => {}
            Message::Close(_) => return Ok(Some(None)),
            Message::Binary(_) | Message::Continuation(_) => {
                return Ok(Some(end(CloseCode::Unsupported, "expected short texts")));
            }
        }
        Ok(None)
    }

    /// False: nobody takes it any more.
    async fn say(&mut self, grown: Option<&[i64]>) -> Result<bool, Fault> {
        loop {
            let all = self.listener.say(grown).await?;
            if all.is_empty() {
                return Ok(true);
            }
            for said in all {
                if self.session.text(said.text.clone()).await.is_err() {
                    return Ok(false);
                }
                self.listener.arrived(&said).await?;
            }
        }
    }
}
