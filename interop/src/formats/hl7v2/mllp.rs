//! MLLP: which bytes of a stream are a message. A state machine over bytes: no socket, no clock.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=55>
//!
//! A frame is VT, the message, FS, CR. Neither VT nor FS can be in a message, so FS ends one whatever follows, and VT begins
//! one whatever came before. Every byte is looked at once; no more is kept than one frame.

const BEGIN: u8 = 0x0b;
const END: u8 = 0x1c;

/// Bytes between two frames before the stream is none of ours.
pub const JUNK_MAX: usize = 64 * 1024;
/// Bytes of a frame that is too large that are given.
const HEAD_MAX: usize = 4 * 1024;
/// Bytes of junk that are kept to be shown.
const SAMPLE_MAX: usize = 64;

/// A message as it goes over the wire.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 3);
    bytes.push(BEGIN);
    bytes.extend_from_slice(message);
    bytes.extend_from_slice(&[END, b'\r']);
    bytes
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What stood between VT and FS.
    Frame(Vec<u8>),
    /// A new frame began before this one ended.
    Unended(Vec<u8>),
    /// A frame is longer than allowed; what follows up to its end is passed over. Its beginning is given, to be answered.
    TooLarge { max: usize, head: Vec<u8> },
    /// Bytes between frames: how many, and the first of them.
    Junk { bytes: usize, sample: Vec<u8> },
    /// There is nothing but junk: the connection should be closed.
    NotMllp { sample: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Inside,
    /// In a frame that is too large.
    Passing,
}

#[derive(Debug)]
pub struct Frames {
    state: State,
    frame: Vec<u8>,
    frame_max: usize,
    junk: usize,
    sample: Vec<u8>,
}

impl Frames {
    pub fn new(frame_max: usize) -> Self {
        Self {
            state: State::Between,
            frame: Vec::new(),
            frame_max,
            junk: 0,
            sample: Vec::new(),
        }
    }

    /// Whether a frame has begun and not ended: who goes silent now is slow or gone.
    pub fn is_inside(&self) -> bool {
        self.state != State::Between
    }

    /// What is there of a frame that will not end any more.
    pub fn unended(&mut self) -> Vec<u8> {
        self.state = State::Between;
        std::mem::take(&mut self.frame)
    }

    /// Bytes that are kept at the moment.
    pub fn kept(&self) -> usize {
        self.frame.len() + self.sample.len()
    }

    /// Takes bytes off the front of `input` until something is to be said or nothing is left.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Event> {
        while !input.is_empty() {
            let mark = input.iter().position(|byte| matches!(*byte, BEGIN | END));
            let plain = input.get(..mark.unwrap_or(input.len())).unwrap_or_default();
            *input = input.get(plain.len()..).unwrap_or_default();
            if let Some(event) = self.plain(plain) {
                return Some(event);
            }
            let Some((&mark, rest)) = input.split_first() else {
                break;
            };
            *input = rest;
            if let Some(event) = self.mark(mark) {
                return Some(event);
            }
        }
        None
    }

    fn plain(&mut self, bytes: &[u8]) -> Option<Event> {
        match self.state {
            State::Inside if self.frame.len() + bytes.len() > self.frame_max => {
                self.state = State::Passing;
                let mut head = std::mem::take(&mut self.frame);
                let room = HEAD_MAX.saturating_sub(head.len()).min(bytes.len());
                head.extend_from_slice(bytes.get(..room).unwrap_or_default());
                head.truncate(HEAD_MAX);
                head.shrink_to_fit();
                Some(Event::TooLarge {
                    max: self.frame_max,
                    head,
                })
            }
            State::Inside => {
                self.frame.extend_from_slice(bytes);
                None
            }
            State::Passing => None,
            State::Between => {
                // The CR after FS, and line ends that some add.
                let bytes = bytes.trim_ascii();
                let room = SAMPLE_MAX
                    .saturating_sub(self.sample.len())
                    .min(bytes.len());
                self.sample
                    .extend_from_slice(bytes.get(..room).unwrap_or_default());
                self.junk += bytes.len();
                if self.junk <= JUNK_MAX {
                    return None;
                }
                self.junk = 0;
                Some(Event::NotMllp {
                    sample: std::mem::take(&mut self.sample),
                })
            }
        }
    }

    fn mark(&mut self, mark: u8) -> Option<Event> {
        let before = self.state;
        if mark == END {
            self.state = State::Between;
            return match before {
                State::Inside => Some(Event::Frame(std::mem::take(&mut self.frame))),
                State::Passing | State::Between => None,
            };
        }
        self.state = State::Inside;
        match before {
            State::Inside => Some(Event::Unended(std::mem::take(&mut self.frame))),
            State::Between if self.junk > 0 => {
                let bytes = std::mem::take(&mut self.junk);
                Some(Event::Junk {
                    bytes,
                    sample: std::mem::take(&mut self.sample),
                })
            }
            State::Passing | State::Between => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: &mut Frames, mut input: &[u8]) -> Vec<Event> {
        std::iter::from_fn(|| frames.next(&mut input)).collect()
    }

    fn whole(text: &[u8]) -> Event {
        Event::Frame(text.to_vec())
    }

    #[test]
    fn split_anywhere_the_frames_are_the_same() {
        let stream = [
            frame(b"one\r"),
            frame(b""),
            b"\x0bthree\x1c\x0bfour\x1c\r\n".to_vec(),
            frame(b"five"),
        ]
        .concat();
        let wanted = [
            whole(b"one\r"),
            whole(b""),
            whole(b"three"),
            whole(b"four"),
            whole(b"five"),
        ];
        for size in 1..=stream.len() {
            let mut frames = Frames::new(100);
            let found: Vec<_> = stream
                .chunks(size)
                .flat_map(|part| all(&mut frames, part))
                .collect();
            assert_eq!(found, wanted, "in parts of {size}");
            assert!(!frames.is_inside());
        }
    }

    #[test]
    fn junk_and_lost_ends_are_told() {
        let mut frames = Frames::new(100);
        let found = all(&mut frames, b"GET / \x0bone\x0btwo\x1c\rxx\x1c\x0bthree");
        let junk = |text: &[u8]| Event::Junk {
            bytes: text.len(),
            sample: text.to_vec(),
        };
        assert_eq!(
            found,
            [
                junk(b"GET /"),
                Event::Unended(b"one".to_vec()),
                whole(b"two"),
                junk(b"xx")
            ]
        );
        assert!(frames.is_inside());
        assert_eq!(all(&mut frames, b"\x1c"), [whole(b"three")]);
    }

    #[test]
    fn no_more_is_kept_than_one_frame() {
        let mut frames = Frames::new(1000);
        let mut found = all(&mut frames, b"\x0b");
        for _ in 0..10_000 {
            found.extend(all(&mut frames, &[b'x'; 999]));
            assert!(frames.kept() <= 1000);
        }
        let head = vec![b'x'; 1998];
        assert_eq!(found, [Event::TooLarge { max: 1000, head }]);
        assert_eq!(all(&mut frames, b"x\x1c\r\x0bnext\x1c\r"), [whole(b"next")]);
        let found: Vec<_> = (0..200)
            .flat_map(|_| all(&mut frames, &[b'j'; 999]))
            .collect();
        assert!(
            found
                .iter()
                .all(|event| matches!(event, Event::NotMllp { .. }))
        );
        assert_eq!((found.len(), frames.kept() <= SAMPLE_MAX), (3, true));
    }
}
