//! Which characters the bytes stand for: by a byte order mark, by what they can be, or as one is told.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    pub const UTF_8: Self = Self(UTF_8);

    /// By a name of the IANA registry, as `windows-1252` or `latin1`.
    pub fn named(name: &str) -> Option<Self> {
        Encoding::for_label(name.as_bytes()).map(Self)
    }

    /// By the first bytes of a file. Bytes that are no UTF-8 are taken for Windows' western letters, which every byte is.
    pub fn detect(sample: &[u8]) -> Self {
        if let Some((encoding, _)) = Encoding::for_bom(sample) {
            return Self(encoding);
        }
        let zeros = |place: usize| {
            sample
                .iter()
                .skip(place)
                .step_by(2)
                .take(64)
                .filter(|byte| **byte == 0)
                .count()
        };
        match (zeros(0), zeros(1)) {
            (0, 0) => {}
            (high, low) if high > low => return Self(UTF_16BE),
            _ => return Self(UTF_16LE),
        }
        match std::str::from_utf8(sample) {
            Ok(_) => Self(UTF_8),
            // Cut off in the middle of a letter.
            Err(error) if error.error_len().is_none() => Self(UTF_8),
            Err(_) => Self(WINDOWS_1252),
        }
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    pub(super) fn decoder(self) -> encoding_rs::Decoder {
        self.0.new_decoder_with_bom_removal()
    }
}
