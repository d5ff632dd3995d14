//! A receiver of webhooks that does what a test says: answers, hangs, drips, closes. It keeps all that it was sent.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use fhir_spec::json::{Value, parse};

/// No healthy server takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16),
    /// With headers.
    With(u16, &'static str),
    /// Nothing is said, ever.
    Hang,
    /// A byte at a time.
    Drip,
    Close,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Request>,
    /// For the next requests, before the usual answer.
    script: VecDeque<Answer>,
    usual: Option<Answer>,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        parse(&self.body).unwrap()
    }
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self {
            address,
            shared: Arc::default(),
        };
        let own = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(&stream));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What is answered to whatever is not in the script.
    pub(crate) fn usually(&self, answer: Answer) {
        self.shared.0.lock().unwrap().usual = Some(answer);
    }

    pub(crate) fn then(&self, answers: &[Answer]) {
        let mut state = self.shared.0.lock().unwrap();
        state.script.extend(answers.iter().cloned());
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.shared.0.lock().unwrap().seen.clone()
    }

    /// Waits until that many requests have come in all.
    pub(crate) fn wait(&self, count: usize) -> Vec<Request> {
        let (state, come) = &*self.shared;
        let until = Instant::now() + PATIENCE;
        let mut state = state.lock().unwrap();
        while state.seen.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} came", state.seen.len());
            state = come.wait_timeout(state, left).unwrap().0;
        }
        state.seen.clone()
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            let answer = {
                let (state, come) = &*self.shared;
                let mut state = state.lock().unwrap();
                state.seen.push(request);
                come.notify_all();
                let scripted = state.script.pop_front();
                scripted.or_else(|| state.usual.clone())
            };
            match answer.unwrap_or(Answer::Status(200)) {
                Answer::Status(status) => say(stream, status, ""),
                Answer::With(status, headers) => say(stream, status, headers),
                Answer::Close => return,
                Answer::Hang => loop {
                    std::thread::sleep(PATIENCE);
                },
                Answer::Drip => loop {
                    let mut stream = stream;
                    if stream.write_all(b"H").is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                },
            }
        }
    }
}

fn say(mut stream: &TcpStream, status: u16, headers: &str) {
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\n{headers}\r\nok");
    // Who has gone does not want to know.
    let _said = stream.write_all(head.as_bytes());
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}
