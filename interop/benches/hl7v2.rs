//! What it costs to read HL7 v2. `cargo bench -p interop --bench hl7v2`, and behind `--` a part of a name to measure only that.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures does not work"
)]

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{
    Dictionary, Draft, Intake, Path, Stamp, Text, acknowledgement, grammar, mllp,
};
use interop::mapping::{Occasion, Zone};

const A08: &str = "MSH|^~\\&|ADT1|GOOD HEALTH HOSPITAL|GHH LAB, INC.|GOOD HEALTH HOSPITAL|198808181126|SECURITY|ADT^A08^ADT_A01|MSG00001|P|2.5.1|||AL|NE||UNICODE UTF-8\rEVN|A08|200708181123||01|KOOPA^JANE^^^^^^^GHH&2.16.840.1.113883.19.4.6&ISO\rPID|1||PATID1234^5^M11^ADT1^MR^GOOD HEALTH HOSPITAL~123456789^^^USSSA^SS||EVERYMAN^ADAM^A^III^^^L~ALIAS^BOB||19610615|M||2106-3^White^HL70005|2222 HOME STREET^^GREENSBORO^NC^27401-1020^USA^H|GL|(555) 555-2004^PRN^PH^^1^555^5552004|(555)555-2004|EN^English^HL70296|S^Single^HL70002|CAT|PATID12345001^2^M10^ADT1^AN^A|444333333|987654^NC\rPD1|||GOOD HEALTH^^12345|0148^ADDISON,JAMES\rNK1|1|NUCLEAR^NELDA^W|SPO^SPOUSE^HL70063|2222 HOME STREET^^GREENSBORO^NC^27401|(555)555-1212\rPV1|1|I|2000^2012^01||||004777^ATTEND^AARON^A^^^MD|||SUR||||7|A0|||V12345^^^ADT1^VN|||||||||||||||||||||||||200708181123\rAL1|1|DA|1605^acetaminophen^L|MO|Muscle Pain~hair loss\rDG1|1||I10^Essential hypertension^I10|||F\rIN1|1|PLAN1^Plan one|INS01|GREAT INSURANCE CO\r";

/// A result with so many observations.
fn results(observations: usize) -> String {
    let mut text = String::from(
        "MSH|^~\\&|LAB|HOSP|EHR|HOSP|20260101120000||ORU^R01^ORU_R01|42|P|2.5.1\rPID|1||77^^^H^MR||Doe^Jane||19700101|F\rORC|RE|1|2\rOBR|1|1^H|2^L|24323-8^Panel^LN|||20260101100000\r",
    );
    for number in 1..=observations {
        text.push_str(&format!(
            "OBX|{number}|NM|2345-7^Glucose \\T\\ more^LN||{number}.5|mg/dL^^UCUM|70-99|N|||F|||20260101110000\r"
        ));
    }
    text
}

/// Time on a processor: what others do on the machine does not count. Where the system does not say, time on the wall.
fn spent() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let told = told.split(' ').next().and_then(|told| told.parse().ok());
    told.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

fn measure(what: &str, bytes: usize, rounds: u32, mut work: impl FnMut() -> usize) {
    let wanted = std::env::args().skip(1).find(|word| word != "--bench");
    if wanted.is_some_and(|wanted| !what.contains(&wanted)) {
        return;
    }
    let mut sum = 0;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = spent();
        for _ in 0..rounds {
            sum += work();
        }
        best = best.min((spent() - start).as_secs_f64() / f64::from(rounds));
    }
    let size = f64::from(u32::try_from(bytes).unwrap());
    println!(
        "{what:<44} {:>9.2} us {:>9.0} a second {:>6.0} MB/s   ({})",
        best * 1e6,
        1.0 / best,
        size / best / 1e6,
        sum % 10
    );
}

fn read(bytes: &[u8]) -> usize {
    let text = Text::read(black_box(bytes), Intake::default()).unwrap();
    text.message().unwrap().segment_count()
}

/// Parsed, grouped and mapped: with the loss report's notes, without a trace.
fn map(converter: &Converter, bytes: &[u8]) -> usize {
    let text = Text::read(black_box(bytes), Intake::default()).unwrap();
    let message = text.message().unwrap();
    let occasion = Occasion {
        now: "2026-01-02T03:04:05Z",
        seed: "bench",
        trace: false,
    };
    let converted = converter.convert(&message, None, occasion).unwrap();
    converted.mapped.entries.len()
}

/// Every leaf, undone of escapes: as much as a map could ask for.
fn leaves(bytes: &[u8]) -> usize {
    let text = Text::read(black_box(bytes), Intake::default()).unwrap();
    let message = text.message().unwrap();
    let mut length = 0;
    for segment in message.segments() {
        for field in segment.fields() {
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    for part in component.subcomponents() {
                        length += part.text().len();
                    }
                }
            }
        }
    }
    length
}

fn main() {
    let dictionary = Dictionary::shipped().unwrap();
    let oru = results(20);
    let converter = Converter::shipped(Zone::utc(), &[]).unwrap();
    println!("A08: {} bytes, ORU: {} bytes", A08.len(), oru.len());
    for (name, text) in [("A08", A08), ("ORU, 20 OBX", &*oru)] {
        let bytes = text.as_bytes();
        measure(
            &format!("{name}: bytes to tree"),
            bytes.len(),
            20_000,
            || read(bytes),
        );
        measure(
            &format!("{name}: and every leaf"),
            bytes.len(),
            20_000,
            || leaves(bytes),
        );
        measure(&format!("{name}: and groups"), bytes.len(), 20_000, || {
            let text = Text::read(black_box(bytes), Intake::default()).unwrap();
            let message = text.message().unwrap();
            grammar::group(&message, dictionary)
                .root()
                .children()
                .count()
        });
        measure(
            &format!("{name}: bytes to resources"),
            bytes.len(),
            2_000,
            || map(&converter, bytes),
        );
        measure(
            &format!("{name}: hl7-parser, tree"),
            bytes.len(),
            5_000,
            || {
                hl7_parser::Message::parse(black_box(text))
                    .unwrap()
                    .segments
                    .len()
            },
        );
    }
    let path: Path = "PID-3[2].4.1".parse().unwrap();
    let text = Text::decoded(A08);
    let message = text.message().unwrap();
    measure("a value by path", 0, 200_000, || {
        message
            .value(black_box(&path))
            .map_or(0, |value| value.len())
    });
    measure("taken over and written", A08.len(), 20_000, || {
        Draft::of(&message).write().len()
    });
    let now = Stamp::utc(2026, 1, 2, 3, 4, 5);
    let answer = acknowledgement::Answer::of(acknowledgement::Code::AA);
    measure("an acknowledgement", 0, 50_000, || {
        acknowledgement::acknowledge(&message, &answer, "1", &now).len()
    });
    let framed = mllp::frame(A08.as_bytes());
    let mut frames = mllp::Frames::new(1 << 20);
    measure("a frame", framed.len(), 50_000, || {
        let mut input = &*framed;
        frames.next(&mut input).map_or(0, |_| 1)
    });
    let pdf = "JVBERi0xLjQK".repeat(50 * 1024 * 1024 / 12);
    let large = format!(
        "{}OBX|21|ED|PDF^Report||^application^pdf^Base64^{pdf}||||||F\r",
        results(20)
    );
    measure("50 MB with a PDF: bytes to tree", large.len(), 1, || {
        read(large.as_bytes())
    });
    measure("50 MB with a PDF: and every leaf", large.len(), 1, || {
        leaves(large.as_bytes())
    });
}
