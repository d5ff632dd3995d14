//! Messages of others, as they came, and what became of them.

mod find;
mod prune;
mod settle;
mod work;

use std::cell::RefCell;

use interop::host::Touched;
use interop::route::{Facts, Reply};
use zstd::bulk::Compressor;

pub use find::{Earlier, Filter, Listed, Whole};
pub use prune::Pruned;
pub use work::Waiting;

use crate::instant::Instant;

/// What a message is found by that is not in its row.
const PATIENT: i16 = 1;
const VISIT: i16 = 2;
const ORDER: i16 = 3;

/// Characters of a reason that are kept in the row.
const REASON_MAX: usize = 500;
/// Shorter texts gain nothing by being packed.
const PACKED_BYTES_MIN: usize = 512;
const ZSTD_LEVEL: i32 = 1;
const PLAIN: i16 = 0;
const ZSTD: i16 = 1;
/// The most that a packed body may become again: no message is larger.
const UNPACKED_BYTES_MAX: usize = 1024 * 1024 * 1024;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$of:meta])* $variant:ident $number:literal $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }

            pub(super) fn number(self) -> i16 {
                match self { $(Self::$variant => $number),+ }
            }

            pub(super) fn of_number(number: i64) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| i64::from(one.number()) == number)
            }
        }
    };
}

words! {
    Direction:
    In 1 "in",
    Out 2 "out",
}

words! {
    /// What has become of a message.
    Status:
    /// It is kept and acknowledged, and waits to be applied.
    Received 1 "received",
    Applied 2 "applied",
    /// The route does not take its kind: it is kept and nothing else.
    Filtered 3 "filtered",
    /// It could not be applied and its sender knows.
    Error 4 "error",
    /// It was acknowledged and cannot be applied: somebody must look at it.
    Held 5 "held",
    /// It cannot be read or is of no known kind; of those that go out: it was not taken, and is not sent again by itself.
    Dead 6 "dead",
    /// It is to be sent.
    Waiting 7 "waiting",
    /// It was sent and taken.
    Sent 8 "sent",
    /// It is set aside until somebody has it sent again or skips it.
    Parked 9 "parked",
    /// Somebody has decided that it is not sent.
    Skipped 10 "skipped",
}

words! {
    /// How far it came.
    Stage:
    Received 1 "received",
    Parsed 2 "parsed",
    Mapped 3 "mapped",
    Applied 4 "applied",
    /// Of those that go out.
    Sent 5 "sent",
}

/// Bytes, packed when that pays. Made before the write door opens.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    codec: i16,
    bytes: Vec<u8>,
}

impl Packed {
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.len() >= PACKED_BYTES_MIN
            && let Some(packed) = packed(bytes)
            && packed.len() < bytes.len() / 8 * 7
        {
            return Self {
                codec: ZSTD,
                bytes: packed,
            };
        }
        Self {
            codec: PLAIN,
            bytes: bytes.to_vec(),
        }
    }

    fn unpacked(codec: i16, bytes: Vec<u8>) -> Result<Vec<u8>, super::Error> {
        match codec {
            PLAIN => Ok(bytes),
            ZSTD => {
                let mut reader = zstd::stream::read::Decoder::new(&*bytes)
                    .map_err(|error| super::Error::Body(error.to_string()))?;
                let mut whole = Vec::new();
                let most = u64::try_from(UNPACKED_BYTES_MAX).unwrap_or(u64::MAX);
                std::io::Read::read_to_end(&mut std::io::Read::take(&mut reader, most), &mut whole)
                    .map_err(|error| super::Error::Body(error.to_string()))?;
                Ok(whole)
            }
            other => Err(super::Error::Codec(other)),
        }
    }
}

/// With what a thread has packed before: to make that anew takes longer than to pack a message.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
            RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
    }
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(bytes).ok())
}

/// A message that is to be kept.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub direction: Direction,
    pub route: String,
    /// The name of the file that it came in; empty: it came by itself.
    pub file: String,
    pub facts: Facts,
    pub received_at: Instant,
    /// Bytes of the message, and the first half of their SHA-256.
    pub size: usize,
    pub hash: [u8; 16],
    pub body: Packed,
    /// Another message of the sender had the same control id.
    pub reused: bool,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub stage: Stage,
    pub status: Status,
    /// Of what is wrong, the first thing.
    pub reason: String,
    /// What is answered; None: what was answered before stays as it is.
    pub reply: Option<Reply>,
    pub touched: Vec<Touched>,
    /// The loss report.
    pub report: Packed,
    pub at: Instant,
}

impl Outcome {
    fn reason(&self) -> String {
        shortened(&self.reason)
    }

    fn touched(&self) -> String {
        let lines = self.touched.iter().map(|touched| {
            let (kind, id, version) = (&touched.resource_type, &touched.id, touched.version);
            format!("{kind} {id} {version} {}\n", touched.effect.name())
        });
        lines.collect()
    }
}

/// A reason as the row keeps it.
pub(super) fn shortened(reason: &str) -> String {
    let shown = reason.chars().filter(|letter| *letter != '\0');
    shown.take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_when_that_pays_and_the_same_afterwards() {
        let long = "PID|1||4711\r".repeat(500).into_bytes();
        for bytes in [b"short".to_vec(), long, Vec::new()] {
            let packed = Packed::of(&bytes);
            assert_eq!(packed.codec == ZSTD, bytes.len() > PACKED_BYTES_MIN);
            assert_eq!(Packed::unpacked(packed.codec, packed.bytes).unwrap(), bytes);
        }
        assert!(Packed::unpacked(ZSTD, b"no zstd".to_vec()).is_err());
        assert!(Packed::unpacked(7, Vec::new()).is_err());
    }

    #[test]
    fn words_and_numbers_lead_back() {
        for status in Status::ALL {
            assert_eq!(Status::named(status.word()), Some(*status));
            assert_eq!(Status::of_number(status.number().into()), Some(*status));
        }
        assert_eq!(Stage::of_number(0), None);
    }
}
