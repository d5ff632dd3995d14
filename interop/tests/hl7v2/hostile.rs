//! What nobody should send: refused or read, in memory that is bounded by what came. Sizes are measured, never time.

use interop::formats::hl7v2::{
    Dictionary, Draft, FIELDS_MAX, FORGIVEN_MAX, Intake, SEGMENTS_MAX, Text, Transmission,
    Unreadable, grammar, mllp,
};

const HEADER: &str = "MSH|^~\\&|A|||||||1|P|2.5.1\r";

fn message_of(rest: &str) -> String {
    format!("{HEADER}{rest}")
}

#[test]
fn a_million_delimiters() {
    let fields = message_of(&format!("PID{}", "|".repeat(1_000_000)));
    let Err(fault) = Text::decoded(&fields).message().map(|_| ()) else {
        panic!("a segment of a million fields was read");
    };
    assert_eq!(
        fault,
        Unreadable::TooManyFields {
            segment: "PID".to_owned(),
            number: 2,
            at: HEADER.len()
        }
    );
    assert_eq!(fault.location(), Some(("PID", 2, Some(FIELDS_MAX + 1))));
    for delimiter in ["^", "~", "&", "\\", "^&~"] {
        let text = message_of(&format!("PID|{}|x", delimiter.repeat(1_000_000)));
        let text = Text::decoded(&text);
        let message = text.message().unwrap();
        let field = message.segment(1).unwrap().field(1).unwrap();
        let parts: usize = field
            .repetitions()
            .map(|one| {
                one.components()
                    .map(|one| one.subcomponents().count())
                    .sum::<usize>()
            })
            .sum();
        assert!(parts == 1 || parts >= 1_000_001);
        assert!(message.forgiven().len() <= FORGIVEN_MAX);
        assert_eq!(message.value(&"PID-2".parse().unwrap()).unwrap(), "x");
        assert_eq!(field.text().len(), field.raw().len());
    }
}

#[test]
fn more_segments_than_a_message_has() {
    let many = message_of(&"OBX|1\r".repeat(SEGMENTS_MAX + 1));
    assert!(matches!(
        Text::decoded(&many).message(),
        Err(Unreadable::TooManySegments { .. })
    ));
    let most = message_of(&"OBX|1\rNTE|\r".repeat(SEGMENTS_MAX / 2 - 1));
    let text = Text::decoded(&most);
    let message = text.message().unwrap();
    let groups = grammar::group(&message, Dictionary::shipped().unwrap());
    assert_eq!(
        groups
            .outline()
            .lines()
            .filter(|line| line.contains("OBX"))
            .count(),
        SEGMENTS_MAX / 2 - 1
    );
}

/// Segments in an order that no structure has: every one is kept, the list of what was forgiven does not grow for ever.
#[test]
fn segments_in_any_order() {
    let names = [
        "OBX", "NTE", "ORC", "OBR", "SPM", "PID", "PV1", "ZZZ", "TQ1", "PD1", "NK1", "MSA", "IN1",
        "AL1", "DSC",
    ];
    let mut dice = crate::random::Dice(5);
    for (kind, structure) in [
        ("ORU^R01", "ORU_R01"),
        ("OML^O21", "OML_O21"),
        ("ADT^A08", "ADT_A01"),
        ("XXX^Y", ""),
        ("RSP^K22", "RSP_K22"),
        ("MFN^M02", "MFN_M02"),
    ] {
        for _ in 0..50 {
            let mut text = format!("MSH|^~\\&|||||||{kind}^{structure}|1|P|2.5.1\r");
            let count = dice.throw(200);
            for _ in 0..count {
                text.push_str(dice.one_of(&names));
                text.push_str("|\r");
            }
            let text = Text::decoded(&text);
            let message = text.message().unwrap();
            let groups = grammar::group(&message, Dictionary::shipped().unwrap());
            let segments = groups
                .outline()
                .lines()
                .filter(|line| names.contains(&line.trim()) || line.trim() == "MSH")
                .count();
            assert_eq!(segments, count + 1);
            assert!(groups.forgiven().len() <= FORGIVEN_MAX);
        }
    }
}

#[test]
fn garbage_is_refused_with_its_place() {
    for (bytes, expected) in [
        (&b""[..], "no message"),
        (b"   \r\n\t ", "no message"),
        (b"\x0b\x1c\r", "no message"),
        (
            b"GET / HTTP/1.1\r\n\r\n",
            "byte 0: expected MSH, FHS or BHS, found 'GET / HTTP/1",
        ),
        (b"PID|1\rMSH|^~\\&|A\r", "expected MSH"),
        (b"\0\0\0\0\0\0", "expected MSH"),
        (b"\xff\xfe\xfd", "expected MSH"),
        (b"\x1f\x8b\x08\0", "expected MSH"),
        (b"MSH", "MSH-1"),
        (b"MSH|^^^^|", "twice"),
        (b"{\"resourceType\": \"Patient\"}", "expected MSH"),
        (
            b"<?xml version='1.0'?><!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>",
            "DOCTYPE",
        ),
    ] {
        let fault = Text::read(bytes, Intake::default())
            .and_then(|text| text.message().map(|_| ()))
            .unwrap_err();
        assert!(fault.to_string().contains(expected), "{bytes:?}: {fault}");
    }
    let small = Intake {
        bytes_max: 10,
        ..Intake::default()
    };
    assert!(matches!(
        Text::read(HEADER.as_bytes(), small),
        Err(Unreadable::TooLarge { max: 10, .. })
    ));
}

#[test]
fn nul_bytes_and_cut_off_messages_are_read_as_far_as_they_go() {
    let text = Text::decoded("MSH|^~\\&|A\0B|\0\rPID|\0\r");
    assert_eq!(text.message().unwrap().of_header(3, 1), "A\0B");
    let whole = message_of("PID|1||7^^^A&1.2&ISO^MR~8||Müller^A\\T\\B\rOBX|1|NM|x||5\r");
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        let part = whole.get(..end).unwrap();
        if let Ok(text) = Text::read(part.as_bytes(), Intake::default())
            && let Ok(message) = text.message()
        {
            assert!(Draft::of(&message).write().len() <= part.len() + 1);
        }
    }
}

/// The tree of 50 MB is a few hundred bytes: nothing but offsets.
#[test]
fn a_large_document_is_not_copied() {
    let large = message_of(&format!(
        "OBX|1|ED|||^application^pdf^Base64^{}||||||F\r",
        "JVBERi0x".repeat(6_000_000)
    ));
    let text = Text::read(large.as_bytes(), Intake::default()).unwrap();
    assert_eq!(text.as_str().as_ptr(), large.as_ptr());
    let message = text.message().unwrap();
    let data = message.part(&"OBX-5.5".parse().unwrap()).unwrap();
    assert!(matches!(data.text(), std::borrow::Cow::Borrowed(text) if text.len() == 48_000_000));
    assert_eq!(message.value(&"OBX-11".parse().unwrap()).unwrap(), "F");
}

#[test]
fn files_of_batches_are_taken_apart_and_counted() {
    let text = "FHS|^~\\&|x\rBHS|^~\\&|x\rMSH|^~\\&|1\rPID|\r\rMSH|^~\\&|2\rBTS|2\rBHS$!~\\&$y\rMSH$!~\\&$3\rBTS$7\rFTS|2\r";
    let transmission = Transmission::open(text.as_bytes(), Intake::default()).unwrap();
    assert_eq!(transmission.message_count(), 3);
    let senders: Vec<_> = (0..3)
        .map(|index| {
            let text = transmission.text(index).unwrap();
            text.message().unwrap().of_header(3, 1).into_owned()
        })
        .collect();
    assert_eq!(senders, ["1", "2", "3"]);
    assert_eq!(
        (0..3)
            .map(|index| transmission.envelope_of(index))
            .collect::<Vec<_>>(),
        [Some(1), Some(1), Some(2)]
    );
    let shape: Vec<_> = transmission
        .envelopes()
        .iter()
        .map(|one| (one.is_file, one.inside, one.count))
        .collect();
    assert_eq!(
        shape,
        [(true, None, 2), (false, Some(0), 2), (false, Some(0), 1)]
    );
    let told: Vec<_> = transmission
        .forgiven()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [format!(
            "the trailer counts 7, there are 1 (segment 0, byte {})",
            text.find("BTS$").unwrap()
        )]
    );
    // Without trailers, without headers, one inside another.
    for (text, messages, told) in [
        ("BHS|^~\\&\rMSH|^~\\&|1\rBHS|^~\\&\rMSH|^~\\&|2\r", 2, 2),
        ("MSH|^~\\&|1\rBTS|1\rFTS|1\r", 1, 2),
        ("FHS|^~\\&\rFHS|^~\\&\rMSH|^~\\&|1\rFTS\r", 1, 1),
        ("FHS|^~\\&\rBHS|^~\\&\rBTS|0\rFTS|1\r", 0, 0),
        ("\r\n MSH|^~\\&|1\r\n MSH|^~\\&|2\r\n", 2, 0),
    ] {
        let transmission = Transmission::open(text.as_bytes(), Intake::default()).unwrap();
        assert_eq!(
            (transmission.message_count(), transmission.forgiven().len()),
            (messages, told),
            "{text:?} {:?}",
            transmission.forgiven()
        );
        for index in 0..messages {
            assert!(transmission.text(index).unwrap().message().is_ok());
        }
    }
}

#[test]
fn what_is_around_a_message_is_taken_off_and_told() {
    for (bytes, forgiven) in [
        (b"\x0bMSH|^~\\&|A\r\x1c\r".to_vec(), "its MLLP frame"),
        (b"\xef\xbb\xbfMSH|^~\\&|A\r".to_vec(), "byte order mark"),
        (b"\r\n \tMSH|^~\\&|A\r".to_vec(), "blanks"),
        (b"MSH|^~\\&|A\r\n".to_vec(), "line feeds"),
        (b"MSH|^~\\&|A".to_vec(), "not ended"),
        (
            "MSH|^~\\&|A\r"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            "",
        ),
        (
            [
                &[0xff, 0xfe][..],
                &"MSH|^~\\&|A\r"
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect::<Vec<_>>(),
            ]
            .concat(),
            "byte order mark",
        ),
    ] {
        let text = Text::read(&bytes, Intake::default()).unwrap();
        let message = text.message().unwrap();
        assert_eq!(message.of_header(3, 1), "A", "{bytes:?}");
        let told: Vec<_> = message.forgiven().iter().map(ToString::to_string).collect();
        assert_eq!(told.is_empty(), forgiven.is_empty(), "{told:?}");
        assert!(told.iter().all(|told| told.contains(forgiven)), "{told:?}");
    }
}

#[test]
fn a_stream_of_noise_costs_no_more_than_a_frame() {
    let mut frames = mllp::Frames::new(10_000);
    let mut dice = crate::random::Dice(31);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..dice.throw(100))
            .map(|_| u8::try_from(dice.throw(256)).unwrap())
            .collect();
        let mut input = &*bytes;
        while frames.next(&mut input).is_some() {}
        assert!(input.is_empty() && frames.kept() <= 10_100);
    }
}
