//! A keep-alive HTTP/1.1 connection that costs next to nothing: client and server share the machine that is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Fallible;

/// No answer of a healthy server takes this long.
const ANSWER_WAIT: Duration = Duration::from_secs(120);
const BUFFER_BYTES: usize = 256 * 1024;

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Put together from chunks, when an answer comes in chunks.
    whole: Vec<u8>,
}

pub(crate) struct Answer<'c> {
    pub(crate) status: u16,
    head: &'c str,
    pub(crate) body: &'c [u8],
}

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: kiln\r\n{headers}");
    if !body.is_empty() {
        let length = body.len();
        text.push_str(&format!(
            "Content-Type: application/fhir+json\r\nContent-Length: {length}\r\n"
        ));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            whole: Vec::new(),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> Fallible<Answer<'_>> {
        self.send(&request("GET", path, "", ""))
    }

    /// Sends one request and waits for the whole answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> Fallible<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let head_end = loop {
            let before = filled;
            filled += self.receive(filled)?;
            let from = before.saturating_sub(3);
            let fresh = self.buffer.get(from..filled).unwrap_or_default();
            if let Some(at) = fresh.windows(4).position(|four| four == b"\r\n\r\n") {
                break from + at + 4;
            }
        };
        let head = self.buffer.get(..head_end).unwrap_or_default();
        match length(std::str::from_utf8(head)?) {
            Some(length) => {
                let end = head_end + length;
                while filled < end {
                    filled += self.receive(filled)?;
                }
                self.answer(head_end, end)
            }
            None => {
                self.receive_chunks(head_end, filled)?;
                let mut answer = self.answer(head_end, head_end)?;
                answer.body = &self.whole;
                Ok(answer)
            }
        }
    }

    fn answer(&self, head_end: usize, end: usize) -> Fallible<Answer<'_>> {
        let head = std::str::from_utf8(self.buffer.get(..head_end).unwrap_or_default())?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let body = self.buffer.get(head_end..end).unwrap_or_default();
        Ok(Answer { status, head, body })
    }

    /// Reads what has come behind what is there.
    fn receive(&mut self, filled: usize) -> Fallible<usize> {
        if filled == self.buffer.len() {
            self.buffer.resize(filled * 2, 0);
        }
        let room = self.buffer.get_mut(filled..).unwrap_or_default();
        match self.stream.read(room)? {
            0 => Err("the server closed the connection".into()),
            read => Ok(read),
        }
    }

    fn receive_chunks(&mut self, start: usize, mut filled: usize) -> Fallible<()> {
        self.whole.clear();
        let mut at = start;
        loop {
            let line_end = loop {
                let rest = self.buffer.get(at..filled).unwrap_or_default();
                if let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
                    break at + end;
                }
                filled += self.receive(filled)?;
            };
            let size = std::str::from_utf8(self.buffer.get(at..line_end).unwrap_or_default())?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16)?;
            let end = line_end + 2 + size;
            while filled < end + 2 {
                filled += self.receive(filled)?;
            }
            if size == 0 {
                return Ok(());
            }
            let chunk = self.buffer.get(line_end + 2..end).unwrap_or_default();
            self.whole.extend_from_slice(chunk);
            at = end + 2;
        }
    }
}

/// None: the body comes in chunks.
fn length(head: &str) -> Option<usize> {
    match header(head, "content-length") {
        Some(length) => length.parse().ok(),
        None if header(head, "transfer-encoding").is_some() => None,
        None => Some(0),
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl<'c> Answer<'c> {
    pub(crate) fn header(&self, name: &str) -> Option<&'c str> {
        header(self.head, name)
    }

    pub(crate) fn text(&self) -> &'c str {
        std::str::from_utf8(self.body).unwrap_or_default()
    }

    /// An error that tells what came, unless the status is the one that was wanted.
    pub(crate) fn expect(self, status: u16) -> Fallible<Self> {
        const SHOWN_CHARS_MAX: usize = 600;
        if self.status == status {
            return Ok(self);
        }
        let body: String = self.text().chars().take(SHOWN_CHARS_MAX).collect();
        Err(format!("wanted {status}, answered {}: {body}", self.status).into())
    }
}
