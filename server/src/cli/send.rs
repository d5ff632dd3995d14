//! `kiln send`: messages of HL7 v2 from files to a receiver, one after the other, each until it is answered.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use interop::formats::hl7v2::{Intake, Transmission};
use interop::mapping::Zone;
use interop::route::Facts;
use interop::transports::row::Row;

use super::{FAILED, document, print, say};
use crate::config::TlsOut;
use crate::mllp::sender::{Receiver, Sender, Trouble};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each message waits for the answer to the one before it; answers are known by MSA-2, and those that come late are dropped.\n\
AE and CE are tried again, AR and CR are not. Prints a line for each message: its control id and what became of it. The exit\n\
status is 1 when one was not accepted.\n\n\
Examples:\n  kiln send adt.hl7 --to 127.0.0.1:2575\n  kiln convert report.json --to hl7v2 | kiln send - --to lab.example:2575 --tls-ca ca.pem"
)]
pub(super) struct Flags {
    /// Files of messages; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The receiver
    #[arg(long, value_name = "HOST:PORT", value_parser = place)]
    to: (String, u16),
    /// How long an answer is waited for
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    answer_ms: u64,
    /// How often a message is sent at most: after AE, and without an answer when that says resend
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// The pause before a message is sent again
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pause_ms: u64,
    /// Without an answer: send it again, set it aside with what comes later about the same patients, or end
    #[arg(long, value_enum, default_value_t = Silence::Resend)]
    on_timeout: Silence,
    /// TLS: certificates of those who vouch for the receiver
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// TLS: the name in the receiver's certificate [default: the host]
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// TLS: a certificate of our own, for receivers who want one
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    tls_certificate: Option<PathBuf>,
    /// TLS: its key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

/// What is done when no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Silence {
    Resend,
    Park,
    Fail,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Document(#[from] document::Error),
    #[error("{0}: {1}")]
    Unreadable(PathBuf, String),
    #[error(transparent)]
    Sender(#[from] Trouble),
    #[error("what was sent cannot be told")]
    Print(#[from] std::io::Error),
}

/// A message and what is known of it.
struct Message {
    bytes: Vec<u8>,
    control_id: String,
    patients: Vec<String>,
    /// MSH-16 asks what becomes of it.
    wants_application: bool,
}

fn place(text: &str) -> Result<(String, u16), String> {
    let told = || "expected a host and a port, such as 127.0.0.1:2575".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(told)?;
    let port = port.parse().map_err(|_| told())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(told());
    }
    Ok((host.to_owned(), port))
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let mut messages = Vec::new();
    for file in &flags.files {
        read(file, &mut messages)?;
    }
    let (host, port) = flags.to.clone();
    let tls = flags.tls_ca.as_ref().map(|ca| TlsOut {
        ca: ca.clone(),
        name: flags.tls_name.clone(),
        certificate: flags.tls_certificate.clone(),
        key: flags.tls_key.clone(),
    });
    let sender = Sender::new(Receiver {
        host,
        port,
        tls,
        connect_ms: flags.answer_ms,
        answer_ms: flags.answer_ms,
        reach: None,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(send_all(flags, sender, &messages))
}

/// The messages of a file, each with its own bytes.
fn read(file: &Path, into: &mut Vec<Message>) -> Result<(), Error> {
    let bytes = document::text(file)?;
    let told = |error: String| Error::Unreadable(file.to_path_buf(), error);
    let opened = Transmission::open(&bytes, Intake::default());
    let opened = opened.map_err(|error| told(error.to_string()))?;
    for place in 0..opened.message_count() {
        let Some(text) = opened.text(place) else {
            continue;
        };
        let message = text.message().map_err(|error| told(error.to_string()))?;
        let facts = Facts::of(&message, &Zone::utc());
        let wants = message.of_header(16, 1);
        into.push(Message {
            control_id: facts.control_id,
            patients: facts.subjects,
            wants_application: !message.of_header(15, 1).is_empty()
                && !matches!(&*wants, "" | "NE"),
            bytes: opened.bytes(place).unwrap_or_default().to_vec(),
        });
    }
    Ok(())
}

async fn send_all(
    flags: &Flags,
    mut sender: Sender,
    messages: &[Message],
) -> Result<ExitCode, Error> {
    let mut row = Row::new();
    let mut all_accepted = true;
    for message in messages {
        let id = &message.control_id;
        if row.must_wait(&message.patients) {
            all_accepted = false;
            print(&format!("{id} waits for another about the same patient\n"))?;
            continue;
        }
        let (told, end) = send(flags, &mut sender, message).await;
        print(&format!("{id} {told}\n"))?;
        match end {
            End::Accepted => {}
            End::Refused => all_accepted = false,
            End::Parked => {
                all_accepted = false;
                row.set_aside(&message.patients);
            }
            End::Over => {
                say(&format!(
                    "kiln: {id} was not accepted: what comes after it is not sent"
                ));
                return Ok(ExitCode::from(FAILED));
            }
        }
    }
    if sender.late > 0 {
        say(&format!(
            "kiln: {} answers came late and were dropped",
            sender.late
        ));
    }
    Ok(match all_accepted {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

enum End {
    Accepted,
    /// It will not be taken as it is; others may be.
    Refused,
    Parked,
    /// Nothing more is sent.
    Over,
}

/// Sends one message as often as may be.
async fn send(flags: &Flags, sender: &mut Sender, message: &Message) -> (String, End) {
    let mut attempt = 1;
    loop {
        let sent = sender.send(
            &message.bytes,
            &message.control_id,
            message.wants_application,
        );
        let (told, is_worth_it, end) = match sent.await {
            Ok(verdict) if verdict.is_accepted() => {
                return (verdict.code.name().to_owned(), End::Accepted);
            }
            Ok(verdict) => {
                let told = format!("{} {}", verdict.code.name(), verdict.text);
                (told.trim_end().to_owned(), verdict.may_pass(), End::Refused)
            }
            Err(trouble) if trouble.is_silence() => {
                let end = match flags.on_timeout {
                    Silence::Park => End::Parked,
                    Silence::Resend | Silence::Fail => End::Over,
                };
                (
                    trouble.to_string(),
                    flags.on_timeout == Silence::Resend,
                    end,
                )
            }
            // It never arrived.
            Err(trouble) => (trouble.to_string(), true, End::Over),
        };
        if !is_worth_it || attempt >= flags.tries {
            return (told, end);
        }
        attempt += 1;
        tokio::time::sleep(Duration::from_millis(flags.pause_ms)).await;
    }
}
