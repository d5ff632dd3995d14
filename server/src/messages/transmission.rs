//! What came in one piece: a message, or a batch of them, which is answered by a batch of answers.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use interop::formats::hl7v2::Transmission;
use tokio::task::JoinHandle;

use super::outcome::stamp;
use super::take::guarded;
use super::{Answered, Arrival, Desk, Running};

/// Bytes of a piece in which the names of headers are looked for to see at a glance that it is one message.
const GLANCE_BYTES_MAX: usize = 64 * 1024;

/// What is to be said to a piece.
#[derive(Debug)]
pub enum Heard {
    Message(Answered),
    /// Of each message of a batch.
    Batch(Vec<Answered>),
}

impl Desk {
    /// The messages of a batch; None: it is one message, or nothing that can be read.
    pub fn batch(&self, running: &Running, bytes: &Bytes) -> Option<Vec<Bytes>> {
        if running.is_of_documents() || is_one(bytes) {
            return None;
        }
        let transmission = Transmission::open(bytes, running.route.intake()).ok()?;
        if transmission.envelopes().is_empty() && transmission.message_count() < 2 {
            return None;
        }
        let all = (0..transmission.message_count()).filter_map(|place| transmission.bytes(place));
        Some(all.map(Bytes::copy_from_slice).collect())
    }

    /// Takes what came in one piece, whole.
    pub async fn hear(self: &Arc<Self>, running: &Arc<Running>, bytes: Bytes) -> Heard {
        let batch = self.beside(running, &bytes, |desk, running, bytes| {
            desk.batch(running, bytes)
        });
        match batch.await.flatten() {
            None => {
                let arrival = self.arrive_beside(running, bytes).await;
                Heard::Message(guarded(self, arrival).await)
            }
            Some(messages) => Heard::Batch(self.take_all(running, messages, None).await),
        }
    }

    /// Takes what a file brought: each message or document of it, with what became of it. None: not of all of it is
    /// known what did.
    pub async fn hear_file(
        self: &Arc<Self>,
        running: &Arc<Running>,
        bytes: Bytes,
        file: &Arc<str>,
    ) -> Option<Vec<(Bytes, Answered)>> {
        let batch = self.beside(running, &bytes, |desk, running, bytes| {
            desk.batch(running, bytes)
        });
        let messages = batch.await.flatten().unwrap_or_else(|| vec![bytes]);
        let answers = self.take_all(running, messages.clone(), Some(file)).await;
        (messages.len() == answers.len()).then(|| messages.into_iter().zip(answers).collect())
    }

    /// The same as to arrive, beside the threads that serve others when it is large.
    pub async fn arrive_beside(self: &Arc<Self>, running: &Arc<Running>, bytes: Bytes) -> Arrival {
        let arrived = self.beside(running, &bytes, |desk, running, bytes| {
            desk.arrive(running, bytes.clone(), None)
        });
        match arrived.await {
            Some(arrival) => arrival,
            None => self.arrive(running, bytes, None),
        }
    }

    async fn beside<T: Send + 'static>(
        self: &Arc<Self>,
        running: &Arc<Running>,
        bytes: &Bytes,
        work: impl FnOnce(&Self, &Arc<Running>, &Bytes) -> T + Send + 'static,
    ) -> Option<T> {
        let (desk, running, of_work) = (Arc::clone(self), Arc::clone(running), bytes.clone());
        let cx = self.cx();
        let done = cx.compute(bytes.len(), move || Ok(work(&desk, &running, &of_work)));
        done.await.ok()
    }

    /// Their places are taken in the order of the batch, so those about one patient go one after another.
    async fn take_all(
        self: &Arc<Self>,
        running: &Arc<Running>,
        messages: Vec<Bytes>,
        file: Option<&Arc<str>>,
    ) -> Vec<Answered> {
        let most = self.app.limits.mllp_ahead_max;
        let mut under_way: VecDeque<JoinHandle<Answered>> = VecDeque::new();
        let mut done = Vec::with_capacity(messages.len());
        for bytes in messages {
            if under_way.len() >= most
                && let Some(task) = under_way.pop_front()
            {
                done.extend(task.await.ok());
            }
            let arrival = Arrival {
                file: file.map(Arc::clone),
                ..self.arrive_beside(running, bytes).await
            };
            let desk = Arc::clone(self);
            under_way.push_back(tokio::spawn(async move { guarded(&desk, arrival).await }));
        }
        for task in under_way {
            done.extend(task.await.ok());
        }
        done
    }

    /// The answers to a piece, as they are sent: each in a frame of its own.
    pub fn said(&self, heard: &Heard) -> Vec<String> {
        match heard {
            Heard::Message(answered) => answered.reply.texts.clone(),
            Heard::Batch(all) => {
                let time = stamp((self.app.clock)());
                let texts = all.iter().flat_map(|answered| answered.reply.texts.iter());
                let texts: Vec<&str> = texts.map(String::as_str).collect();
                let (count, texts) = (texts.len(), texts.concat());
                vec![format!("BHS|^~\\&|||||{time}\r{texts}BTS|{count}\r")]
            }
        }
    }
}

/// One header and no envelope, as far as a glance tells.
fn is_one(bytes: &[u8]) -> bool {
    let names = bytes.windows(4).filter(|name| {
        matches!(
            name,
            [b'\r' | b'\n', b'M', b'S', b'H'] | [b'\r' | b'\n', b'B' | b'F', b'H', b'S']
        )
    });
    bytes.len() <= GLANCE_BYTES_MAX && bytes.starts_with(b"MSH") && names.count() == 0
}
