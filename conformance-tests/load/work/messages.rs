//! Messages of HL7 v2 over MLLP, each acknowledged when what it says is on disk.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use super::{gather, gathered};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::report::say;
use crate::wire::Connection;

const BEGIN: u8 = 0x0b;
const END: [u8; 2] = [0x1c, b'\r'];
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Patients that the messages of a sender are about, one after the other.
const PATIENTS: u64 = 200;
/// Observations of a report.
const RESULTS: u64 = 20;
/// Seconds between the first messages of two rounds, more than a round has messages.
const ROUND_SECONDS: u64 = 200_000;
/// Messages in a page of the message store.
const PAGE: usize = 200;

/// One message: its sender's name, its place, and what is acknowledged.
struct Sending<'s> {
    sender: &'s str,
    connection: usize,
    /// Grows, as time does.
    number: u64,
    control_id: String,
}

/// Who waits for each answer.
struct Sender {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Sender {
    fn to(address: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Self {
            stream,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// An answer that accepts the message under its control id, or an error that tells what came.
    fn send(&mut self, control_id: &str, message: &str) -> Fallible<()> {
        let frame = [&[BEGIN][..], message.as_bytes(), &END].concat();
        self.stream.write_all(&frame)?;
        let mut filled = 0;
        loop {
            let room = (self.buffer.get_mut(filled..)).ok_or("an answer without an end")?;
            match self.stream.read(room)? {
                0 => return Err("the server closed the connection".into()),
                count => filled += count,
            }
            let answer = self.buffer.get(..filled).unwrap_or_default();
            if answer.ends_with(&END) {
                let answer = String::from_utf8_lossy(answer);
                return match answer.contains(&format!("\rMSA|AA|{control_id}\r")) {
                    true => Ok(()),
                    false => Err(format!("{control_id} was not accepted: {answer}").into()),
                };
            }
        }
    }
}

impl Sending<'_> {
    fn patient(&self) -> String {
        format!("{}-{}", self.connection, self.number % PATIENTS)
    }

    /// `20260301000000` and so many seconds.
    fn time(&self) -> String {
        let (minutes, seconds) = (self.number / 60, self.number % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let (days, hours) = (hours / 24, hours % 24);
        format!(
            "202603{:02}{hours:02}{minutes:02}{seconds:02}+0000",
            days + 1
        )
    }
}

/// An update of a patient and the visit, of about a kilobyte: the patient has moved.
fn update(sending: &Sending<'_>) -> String {
    let Sending {
        sender,
        number,
        control_id,
        ..
    } = sending;
    let (patient, time, bed) = (sending.patient(), sending.time(), number % 9);
    format!(
        "MSH|^~\\&|{sender}|HOSP|KILN|HERE|{time}||ADT^A08^ADT_A01|{control_id}|P|2.5.1||||||8859/1\r\
         EVN|A08|{time}||U|7788^Sommer^Anna^^^Dr.^^^HOSP\r\
         PID|1||{patient}^^^{sender}^MR~99{patient}^^^SSA^SS||Muster^Erika^Maria^^Frau^^L~Geborene^Erika^^^^^M||19800101|F||2106-3|\
         Hauptstrasse {number}^^Berlin^BE^10115^DE^H~Postfach 12^^Berlin^BE^10117^DE^M||030 1234567^PRN^PH^^49^30^1234567~erika@example.org^NET^Internet|\
         030 7654321^WPN^PH|de|M|CHR|{patient}V^^^{sender}^AN|||||Berlin||||||||N\r\
         PD1|||Praxis Nord^^4711|1122^Winter^Paul^^^Dr.^^^HOSP\r\
         NK1|1|Muster^Max^^^Herr|SPO^Spouse^HL70063|Hauptstrasse 1^^Berlin^BE^10115^DE|030 1234567|030 22222|C^Emergency^HL70131\r\
         PV1|1|I|W1^R{bed}^B1^HOSP|R|||1122^Winter^Paul^^^Dr.^^^HOSP|3344^Herbst^Lea^^^Dr.^^^HOSP|5566^Lenz^Kai|MED||||7|A0||7788^Sommer^Anna^^^Dr.|\
         IN|{patient}V^^^{sender}^VN|||||||||||||||||||||||||20260228080000+0000\r\
         AL1|1|DA|70618^Penicillin^RXN|SV|Rash\r\
         DG1|1||I10^Essential hypertension^I10|Hypertension|20260228|A\r"
    )
}

/// A report with twenty results.
fn report(sending: &Sending<'_>) -> String {
    let Sending {
        sender,
        number,
        control_id,
        ..
    } = sending;
    let (patient, time) = (sending.patient(), sending.time());
    let mut text = format!(
        "MSH|^~\\&|{sender}|HOSP|KILN|HERE|{time}||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||{patient}^^^{sender}^MR||Muster^Erika||19800101|F\r\
         ORC|RE|P{control_id}^HOSP|F{control_id}^{sender}\r\
         OBR|1|P{control_id}^HOSP|F{control_id}^{sender}|24323-8^Comprehensive metabolic panel^LN|||{time}|||||||||\
         1122^Winter^Paul||||||{time}||CH|F\r"
    );
    for place in 1..=RESULTS {
        text.push_str(&format!(
            "OBX|{place}|NM|{}-{}^Analyte {place}^LN||{}.{}|mg/dL^milligram per deciliter^UCUM|70-110|N|||F|||{time}\r",
            2000 + place,
            place % 10,
            70 + place,
            number % 10
        ));
    }
    text
}

pub(super) fn run(bench: &mut Bench) -> Fallible<()> {
    let before = bench.enter("messages")?;
    let done = measured(bench);
    bench.leave(before)?;
    done
}

fn measured(bench: &mut Bench) -> Fallible<()> {
    let Some(address) = bench.server.mllp else {
        return Err("the server does not say where it takes messages".into());
    };
    type Make = fn(&Sending<'_>) -> String;
    let all: [(&str, usize, &str, Make, u64); 3] = [
        ("ADT^A08 of 1 KB by MLLP", 1, "ADTA", update, 0),
        ("ADT^A08 of 1 KB by MLLP", 16, "ADTB", update, 0),
        ("ORU^R01 with 20 OBX by MLLP", 16, "LABC", report, RESULTS),
    ];
    for (name, connections, sender, make, results) in all {
        let before = count(bench, "Observation")?;
        let (accepted, patients) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let workload = Workload {
            name: name.to_owned(),
            unit: "messages",
            connections,
            baseline: Baseline::Raw(1),
            ratio_goal: None,
            cpu_us_goal: None,
        };
        bench.measure(workload, |round, connection| {
            let (mut link, mut number) = (None, u64::from(round) * ROUND_SECONDS);
            let (accepted, patients) = (&accepted, &patients);
            move |_: &mut Connection| {
                let link = match &mut link {
                    Some(link) => link,
                    none => none.insert(Sender::to(address)?),
                };
                number += 1;
                let sending = Sending {
                    sender,
                    connection,
                    number,
                    control_id: format!("{sender}{connection}-{number}"),
                };
                link.send(&sending.control_id, &make(&sending))?;
                gather(patients, sending.patient());
                gather(accepted, sending.control_id);
                Ok(Some(1))
            }
        })?;
        let accepted: Vec<String> = gathered(&accepted);
        let patients: BTreeSet<String> = gathered(&patients).into_iter().collect();
        check_kept(bench, sender, &accepted)?;
        let found = count(bench, &format!("Patient?identifier=urn:id:{sender}%7C"))?;
        let expected = u64::try_from(patients.len())?;
        agree(bench, "patients", found, expected)?;
        let more = count(bench, "Observation")?.saturating_sub(before);
        let expected = results * u64::try_from(accepted.len())?;
        agree(bench, "observations", more, expected)?;
    }
    say("messages: what was accepted is kept and applied, once");
    Ok(())
}

fn agree(bench: &mut Bench, what: &str, found: u64, expected: u64) -> Fallible<()> {
    bench.report.checked += 1;
    match found == expected {
        true => Ok(()),
        false => Err(format!("{found} {what} instead of {expected}").into()),
    }
}

fn count(bench: &Bench, query: &str) -> Fallible<u64> {
    let separator = if query.contains('?') { '&' } else { '?' };
    let path = format!("/fhir/{query}{separator}_summary=count");
    let mut connection = bench.connect()?;
    let answer = connection.get(&path)?.expect(200)?;
    let found = fhir_spec::json::parse(answer.body)?;
    let total = found.get("total").and_then(fhir_spec::json::Value::as_u64);
    Ok(total.ok_or("a count without a total")?)
}

/// The message store has every message that was accepted, once, and no other; and all were applied.
fn check_kept(bench: &mut Bench, sender: &str, accepted: &[String]) -> Fallible<()> {
    let mut connection = bench.connect()?;
    let mut path = Some(format!("/api/messages?sender={sender}&limit={PAGE}"));
    let mut kept = Vec::new();
    while let Some(here) = path.take() {
        let answer = connection.get(&here)?.expect(200)?;
        let page = fhir_spec::json::parse(answer.body)?;
        for entry in page.items_of("messages") {
            if entry.str_of("status") != Some("applied") {
                return Err(format!("it was accepted and not applied: {entry}").into());
            }
            kept.push(entry.str_of("controlId").unwrap_or_default().to_owned());
        }
        let next = page.str_of("next");
        path = next.and_then(|next| {
            next.find("/api/")
                .and_then(|at| next.get(at..))
                .map(str::to_owned)
        });
    }
    kept.sort_unstable();
    let mut accepted = accepted.to_vec();
    accepted.sort_unstable();
    if kept != accepted {
        let (kept, accepted) = (kept.len(), accepted.len());
        return Err(
            format!("{kept} messages of {sender} are kept, {accepted} were accepted").into(),
        );
    }
    bench.report.checked += u64::try_from(kept.len())?;
    Ok(())
}
