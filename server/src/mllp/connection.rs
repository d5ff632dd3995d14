//! One connection: frames in, answers out in the order of the frames. Several messages are worked on at a time, so that a
//! sender who does not wait for each answer is not held up by the flush to disk of each message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fhir_spec::{Issue, IssueCode};
use interop::formats::hl7v2::mllp::{Event, Frames, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::admission::Room;
use crate::limits::Limits;
use crate::messages::{Heard, Mode, Running, guarded};

/// Bytes that are read at a time.
const BUFFER: usize = 16 * 1024;

/// What will be said, as soon as it is known.
struct Due {
    answer: JoinHandle<Vec<String>>,
    /// What the message takes until it is answered.
    _room: Room,
}

pub(super) async fn serve<S>(shared: &Arc<Shared>, running: &Arc<Running>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = shared.desk.app.limits;
    let (mut read, write) = tokio::io::split(stream);
    // Whoever waits for a place in the row does not read on: the sender feels it.
    let (dues, row) = mpsc::channel(limits.mllp_ahead_max);
    let told = tokio::spawn(answer(write, row, limits.answer_wait_ms));
    let mut reader = Reader {
        shared,
        running,
        frames: Frames::new(limits.message_bytes_max),
        room: Room::default(),
        begun: None,
        dues,
    };
    let end = reader.read(&mut read, &limits).await;
    tracing::debug!(route = running.name(), ?end, "a connection ends");
    drop(reader);
    if told.await.is_err() {
        tracing::error!("the answers of a connection ended in a panic");
    }
}

/// Why nothing more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The sender has closed it, or it is gone.
    Closed,
    /// The server or the route stops.
    Stopped,
    /// A message began and does not end.
    Slow,
    /// Nothing came for long.
    Idle,
    /// What comes is no MLLP.
    NotMllp,
}

struct Reader<'r> {
    shared: &'r Arc<Shared>,
    running: &'r Arc<Running>,
    frames: Frames,
    room: Room,
    /// Since when a frame has been coming.
    begun: Option<Instant>,
    dues: mpsc::Sender<Due>,
}

impl Reader<'_> {
    async fn read<R: AsyncRead + Unpin>(&mut self, stream: &mut R, limits: &Limits) -> End {
        let mut buffer = vec![0; BUFFER];
        let mut stopping = self.shared.stopping.clone();
        let mut modes = self.running.modes();
        loop {
            if !goes_on(&mut stopping, &mut modes).await {
                return End::Stopped;
            }
            let read = timeout_at(self.deadline(limits), stream.read(&mut buffer));
            let read = tokio::select! {
                biased;
                _ = stopping.changed() => continue,
                _ = modes.changed() => continue,
                read = read => read,
            };
            let Ok(read) = read else {
                if self.begun.is_none() {
                    return End::Idle;
                }
                let text = "the message did not end in time (mllp_grace_ms, mllp_rate_min)";
                self.unended(text).await;
                return End::Slow;
            };
            // A connection that is broken is one that has ended.
            let count = read.unwrap_or(0);
            if count == 0 {
                if self.begun.is_some() {
                    self.unended("the connection ended before the message did")
                        .await;
                }
                return End::Closed;
            }
            let mut input = buffer.get(..count).unwrap_or_default();
            while let Some(event) = self.frames.next(&mut input) {
                if !self.event(event).await {
                    return End::NotMllp;
                }
            }
            self.begun = match self.frames.is_inside() {
                true => self.begun.or_else(|| Some(Instant::now())),
                false => None,
            };
            let kept = self.frames.kept();
            let room = timeout_at(
                self.deadline(limits),
                self.room.grow(&self.shared.admission, kept),
            );
            if room.await.is_err() {
                return End::Slow;
            }
        }
    }

    /// A frame that comes has some time and then must keep up a rate; between frames a connection may be silent for long.
    fn deadline(&self, limits: &Limits) -> Instant {
        match self.begun {
            None => Instant::now() + Duration::from_millis(limits.mllp_idle_ms),
            Some(begun) => {
                let kept = u64::try_from(self.frames.kept()).unwrap_or(u64::MAX);
                let more_ms = kept.saturating_mul(1_000) / limits.mllp_rate_min;
                begun + Duration::from_millis(limits.mllp_grace_ms.saturating_add(more_ms))
            }
        }
    }

    /// Whether to go on.
    async fn event(&mut self, event: Event) -> bool {
        let desk = &self.shared.desk;
        match event {
            Event::Frame(bytes) => self.frame(Bytes::from(bytes)).await,
            Event::Unended(bytes) => {
                self.flawed(bytes, "another message began before this one ended")
                    .await;
            }
            Event::TooLarge { max, head } => {
                let text = format!(
                    "the message is larger than {max} bytes (message_bytes_max): only its beginning was kept"
                );
                self.flawed(head, &text).await;
            }
            Event::Junk { bytes, .. } => {
                desk.counts()
                    .junk_bytes
                    .add(u64::try_from(bytes).unwrap_or(u64::MAX));
                tracing::debug!(route = self.running.name(), bytes, "bytes between messages");
            }
            Event::NotMllp { .. } => {
                tracing::warn!(
                    route = self.running.name(),
                    "a connection does not speak MLLP"
                );
                return false;
            }
        }
        true
    }

    async fn frame(&mut self, bytes: Bytes) {
        let desk = Arc::clone(&self.shared.desk);
        self.begun = None;
        let room = std::mem::take(&mut self.room);
        let batch = desk.batch(self.running, &bytes).is_some();
        if batch {
            // Its messages go side by side; what comes behind it waits until it is done.
            let heard = desk.hear(self.running, bytes).await;
            let said = desk.said(&heard);
            return self.due(tokio::spawn(async move { said }), room).await;
        }
        let arrival = desk.arrive_beside(self.running, bytes).await;
        let answer = tokio::spawn(async move {
            let answered = guarded(&desk, arrival).await;
            desk.said(&Heard::Message(answered))
        });
        self.due(answer, room).await;
    }

    /// What is not whole is kept and refused.
    async fn flawed(&mut self, bytes: Vec<u8>, text: &str) {
        if bytes.is_empty() {
            return;
        }
        let desk = Arc::clone(&self.shared.desk);
        let flaw = Issue::error(IssueCode::Incomplete, text);
        let arrival = desk.arrive(self.running, Bytes::from(bytes), Some(flaw));
        let answer = tokio::spawn(async move {
            let answered = guarded(&desk, arrival).await;
            desk.said(&Heard::Message(answered))
        });
        let room = std::mem::take(&mut self.room);
        self.due(answer, room).await;
    }

    async fn unended(&mut self, text: &str) {
        let bytes = self.frames.unended();
        self.flawed(bytes, text).await;
    }

    async fn due(&mut self, answer: JoinHandle<Vec<String>>, room: Room) {
        let due = Due {
            answer,
            _room: room,
        };
        if self.dues.send(due).await.is_err() {
            tracing::debug!(
                route = self.running.name(),
                "nobody is there to be answered"
            );
        }
    }
}

/// Waits while the route is paused. Whether it goes on.
async fn goes_on(stopping: &mut watch::Receiver<bool>, modes: &mut watch::Receiver<Mode>) -> bool {
    loop {
        if *stopping.borrow_and_update() || stopping.has_changed().is_err() {
            return false;
        }
        match *modes.borrow_and_update() {
            Mode::Started => return true,
            Mode::Stopped => return false,
            Mode::Paused => {}
        }
        tokio::select! {
            _ = stopping.changed() => {}
            _ = modes.changed() => {}
        }
    }
}

/// Says what is to be said, in order.
async fn answer<W: AsyncWrite + Unpin>(mut stream: W, mut row: mpsc::Receiver<Due>, wait_ms: u64) {
    let wait = Duration::from_millis(wait_ms);
    let mut is_gone = false;
    while let Some(due) = row.recv().await {
        let Ok(texts) = due.answer.await else {
            continue;
        };
        if is_gone {
            continue;
        }
        for text in texts {
            let bytes = frame(text.as_bytes());
            let written = timeout(wait, async {
                stream.write_all(&bytes).await?;
                stream.flush().await
            });
            if !matches!(written.await, Ok(Ok(()))) {
                // What is under way goes on: it was taken, and who asks again will hear.
                is_gone = true;
                break;
            }
        }
    }
    let closed = timeout(wait, stream.shutdown()).await;
    if !matches!(closed, Ok(Ok(()))) {
        tracing::debug!("a sender went away before it was answered");
    }
}
