//! Messages of HL7 v2 to a receiver by MLLP: one connection that is kept, one message at a time, each until it is answered.

use std::sync::Arc;
use std::time::Duration;

use interop::formats::hl7v2::mllp::frame;
use interop::transports::conversation::{Conversation, Heard, Verdict};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::config::{Deliveries, TlsOut};
use crate::deliver::connect;
use crate::tls::{self, certificates, key};

/// Bytes of an acknowledgement.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that are read at a time.
const BUFFER: usize = 16 * 1024;

/// Where messages go.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsOut>,
    pub connect_ms: u64,
    /// From the last byte that was sent to the answer.
    pub answer_ms: u64,
    /// What may be reached; None: whatever the operator names.
    pub reach: Option<Arc<Deliveries>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, std::io::Error),
    #[error("the connection does not come about within {0} ms")]
    Slow(u64),
    #[error("the connection ended before the answer came: {0}")]
    Broken(std::io::Error),
    #[error("no answer within {0} ms")]
    Silent(u64),
    #[error("what answers does not speak MLLP")]
    NotMllp,
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error("`{0}` is no name that a certificate can have")]
    Name(String),
}

impl Trouble {
    /// The receiver may have got the message all the same.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Broken(_))
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for S {}

/// A connection, made when it is needed and kept while it holds.
pub struct Sender {
    receiver: Receiver,
    secured: Option<Arc<ClientConfig>>,
    wire: Option<Box<dyn Wire>>,
    conversation: Conversation,
    /// Answers to messages that were given up.
    pub late: u64,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let receiver = &self.receiver;
        f.debug_struct("Sender")
            .field("receiver", receiver)
            .finish_non_exhaustive()
    }
}

impl Sender {
    pub fn new(receiver: Receiver) -> Result<Self, Trouble> {
        let secured = receiver.tls.as_ref().map(config).transpose()?;
        Ok(Self {
            secured,
            receiver,
            wire: None,
            conversation: Conversation::new(ANSWER_BYTES_MAX),
            late: 0,
        })
    }

    /// Sends a message and waits for its answer. A kept connection that turns out to be dead is replaced by a new one once,
    /// if nothing was sent over it.
    pub async fn send(
        &mut self,
        message: &[u8],
        control_id: &str,
        wants_application: bool,
    ) -> Result<Verdict, Trouble> {
        self.look().await;
        let bytes = self
            .conversation
            .say(message, control_id, wants_application);
        let was_kept = self.wire.is_some();
        let mut written = self.write(&bytes).await;
        if was_kept && matches!(written, Err(Trouble::Broken(_))) {
            self.close();
            let bytes = self
                .conversation
                .say(message, control_id, wants_application);
            written = self.write(&bytes).await;
        }
        let answered = match written {
            Ok(()) => self.answer().await,
            Err(trouble) => Err(trouble),
        };
        if let Err(trouble) = &answered {
            self.conversation.give_up();
            // Who is silent may still answer: the connection stays, and the answer will be known as late.
            if !matches!(trouble, Trouble::Silent(_)) {
                self.close();
            }
        }
        answered
    }

    /// Sends a message that asks for no answer.
    pub async fn tell(&mut self, message: &[u8]) -> Result<(), Trouble> {
        self.look().await;
        let told = self.write(&frame(message)).await;
        if told.is_err() {
            self.close();
        }
        told
    }

    /// Looks at a kept connection before it is used: late answers are dropped, and who has ended it is known to have.
    async fn look(&mut self) {
        let mut buffer = vec![0; BUFFER];
        while let Some(wire) = &mut self.wire {
            match timeout(Duration::ZERO, wire.read(&mut buffer)).await {
                Err(_) => return,
                Ok(Ok(count @ 1..)) => {
                    if self.heard(buffer.get(..count).unwrap_or_default()).is_err() {
                        self.close();
                    }
                }
                Ok(Ok(0) | Err(_)) => self.close(),
            }
        }
    }

    /// Lets go of the connection; what comes of it later is nobody's.
    pub fn close(&mut self) {
        self.wire = None;
        self.conversation = Conversation::new(ANSWER_BYTES_MAX);
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if self.wire.is_none() {
            let within = Duration::from_millis(self.receiver.connect_ms);
            let slow = |_| Trouble::Slow(self.receiver.connect_ms);
            let wire = timeout(within, self.connect()).await.map_err(slow)??;
            self.wire = Some(wire);
        }
        let within = Duration::from_millis(self.receiver.answer_ms);
        let Some(wire) = &mut self.wire else {
            return Err(Trouble::Silent(0));
        };
        let send = async {
            wire.write_all(bytes).await?;
            wire.flush().await
        };
        let sent = timeout(within, send).await;
        let sent = sent.map_err(|_| Trouble::Silent(self.receiver.answer_ms))?;
        sent.map_err(Trouble::Broken)
    }

    async fn connect(&self) -> Result<Box<dyn Wire>, Trouble> {
        let Receiver { host, port, .. } = &self.receiver;
        let unreachable = |error| Trouble::Unreachable(format!("{host}:{port}"), error);
        let stream = match &self.receiver.reach {
            Some(reach) => connect::reached(reach, self.scheme(), host, *port).await,
            None => TcpStream::connect((host.as_str(), *port)).await,
        };
        let stream = stream.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (Some(config), Some(secured)) = (&self.secured, &self.receiver.tls) else {
            return Ok(Box::new(stream));
        };
        let name = secured.name.as_ref().unwrap_or(host);
        let server = ServerName::try_from(name.clone()).map_err(|_| Trouble::Name(name.clone()))?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector
            .connect(server, stream)
            .await
            .map_err(unreachable)?;
        Ok(Box::new(stream))
    }

    fn scheme(&self) -> &'static str {
        match self.receiver.tls {
            Some(_) => "mllps",
            None => "mllp",
        }
    }

    async fn answer(&mut self) -> Result<Verdict, Trouble> {
        let until = Instant::now() + Duration::from_millis(self.receiver.answer_ms);
        let mut buffer = vec![0; BUFFER];
        loop {
            let Some(wire) = &mut self.wire else {
                return Err(Trouble::Silent(self.receiver.answer_ms));
            };
            let read = timeout_at(until, wire.read(&mut buffer)).await;
            let read = read.map_err(|_| Trouble::Silent(self.receiver.answer_ms))?;
            let count = read.map_err(Trouble::Broken)?;
            if count == 0 {
                let ended = std::io::ErrorKind::UnexpectedEof;
                return Err(Trouble::Broken(ended.into()));
            }
            let heard = self.heard(buffer.get(..count).unwrap_or_default());
            if let Some(verdict) = heard? {
                return Ok(verdict);
            }
        }
    }

    /// What is waited for, if it is there; late answers are counted, and others dropped.
    fn heard(&mut self, mut input: &[u8]) -> Result<Option<Verdict>, Trouble> {
        let mut verdict = None;
        while let Some(heard) = self.conversation.hear(&mut input) {
            match heard {
                Heard::Verdict(found) => verdict = Some(found),
                Heard::Late(control_id) => {
                    self.late += 1;
                    tracing::info!(control_id, "an answer came late and is dropped");
                }
                Heard::Stray(told) => tracing::warn!(told, "an answer to nothing is dropped"),
                Heard::Kept => {}
                Heard::NotMllp => return Err(Trouble::NotMllp),
            }
        }
        Ok(verdict)
    }
}

fn config(secured: &TlsOut) -> Result<Arc<ClientConfig>, Trouble> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls::Error::from)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&secured.ca)? {
        roots.add(certificate).map_err(tls::Error::from)?;
    }
    let builder = builder.with_root_certificates(roots);
    let config = match (&secured.certificate, &secured.key) {
        (Some(certificate), Some(file)) => builder
            .with_client_auth_cert(certificates(certificate)?, key(file)?)
            .map_err(tls::Error::from)?,
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
