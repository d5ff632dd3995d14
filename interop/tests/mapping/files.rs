//! Files of delimited text: dialects, charsets, rows that are wrong, files of any size.

use std::io::Read;

use interop::formats::delimited::{
    BadRows, Charset, Columns, Dialect, HeaderError, Layout, Outcome, Record, Records, Rows,
};
use interop::mapping::{Pack, shipped};

use crate::harness::{NOW, convert, resources, runner};

fn values(text: &[u8], dialect: Option<Dialect>) -> Vec<Vec<String>> {
    let (mut records, _) = Records::new(text, None, dialect).unwrap();
    let mut record = Record::default();
    let mut all = Vec::new();
    while let Some(read) = records.read(&mut record).unwrap() {
        match read {
            Ok(()) => all.push(record.values().map(|value| value.into_owned()).collect()),
            Err(error) => all.push(vec![format!("{}: {error}", record.line)]),
        }
    }
    all
}

#[test]
fn records_are_read() {
    for (text, expected) in [
        ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
        (
            "a,b\r\n1,\"x\r\ny\"\r\n",
            vec![vec!["a", "b"], vec!["1", "x\r\ny"]],
        ),
        (
            "a,b\n\n\n\"\"\"q\"\", x\",",
            vec![vec!["a", "b"], vec!["\"q\", x", ""]],
        ),
        (
            "a\tb\n5\" nail\tx",
            vec![vec!["a", "b"], vec!["5\" nail", "x"]],
        ),
        ("a,b\n\"\",\"\"\n", vec![vec!["a", "b"], vec!["", ""]]),
    ] {
        assert_eq!(values(text.as_bytes(), None), expected, "{text:?}");
    }
}

#[test]
fn a_quote_costs_one_row() {
    let text = "a,b\n1,\"open\n2,x\n3,\"y\"\n\"z\" w,4\n5,\"never";
    let wrong = "a quote that is not closed, or closes in the middle of a value";
    let expected = [
        vec!["a".to_owned(), "b".to_owned()],
        vec![format!("2: {wrong}")],
        vec!["2".to_owned(), "x".to_owned()],
        vec!["3".to_owned(), "y".to_owned()],
        vec![format!("5: {wrong}")],
        vec![format!("6: {wrong}")],
    ];
    assert_eq!(values(text.as_bytes(), None), expected);
}

#[test]
fn columns_of_fixed_width() {
    let dialect = Dialect::fixed(vec![4, 6, 8]);
    assert_eq!(dialect.layout, Layout::Widths(vec![4, 6, 8]));
    let found = values(
        "0815Zoë   19740315\n16  Ann   1974\nx\n".as_bytes(),
        Some(dialect),
    );
    assert_eq!(
        found,
        [
            vec!["0815", "Zoë", "19740315"],
            vec!["16", "Ann", "1974"],
            vec!["x", "", ""]
        ]
    );
}

#[test]
fn charsets_are_found_out() {
    let text = "mrn,last_name,first_name,birth_date,sex\n1,Müller,Zoë,2000,F\n";
    let latin: Vec<u8> = text
        .chars()
        .map(|letter| u8::try_from(u32::from(letter)).unwrap())
        .collect();
    let utf16: Vec<u8> = "\u{feff}"
        .chars()
        .chain(text.chars())
        .flat_map(|letter| u16::try_from(u32::from(letter)).unwrap().to_le_bytes())
        .collect();
    let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [text.as_bytes(), &latin, &utf16, &with_mark] {
        let converted = convert(shipped().unwrap(), "patients", bytes, None);
        assert_eq!(converted.bad, []);
        assert_eq!(
            resources(&converted.bundle)[0].items_of("name")[0].str_of("family"),
            Some("Müller")
        );
    }
    assert_eq!(Charset::named("latin1").unwrap().name(), "windows-1252");
    let (mut records, _) = Records::new(&b"a\n\xff\nb\n"[..], Some(Charset::UTF_8), None).unwrap();
    let mut record = Record::default();
    let read: Vec<bool> = std::iter::from_fn(|| records.read(&mut record).unwrap())
        .map(|read| read.is_ok())
        .collect();
    assert_eq!(read, [true, false, true]);
}

#[test]
fn headers_are_held_against_the_map() {
    let runner = runner(shipped().unwrap(), "patients");
    let columns = Columns::new(shipped().unwrap().columns("patients"));
    let open = |text: &'static str| Rows::open(text.as_bytes(), &runner, &columns, None, None);
    let Err(HeaderError::Missing { missing, found }) = open("sex,MRN,Last Name\n") else {
        panic!("missing columns are told")
    };
    assert_eq!(missing, ["first_name", "birth_date"]);
    assert_eq!(found, ["sex", "MRN", "Last Name"]);
    assert!(matches!(open(""), Err(HeaderError::Empty)));
    assert!(matches!(open("mrn,\"x\n"), Err(HeaderError::Header(_))));
    assert!(matches!(
        open("mrn,last_name,first_name,birth_date,sex,sex\n"),
        Err(HeaderError::Twice(_))
    ));
}

#[test]
fn bad_rows_come_back_with_the_reason() {
    let text =
        "mrn,last_name,first_name,birth_date,sex\n1,A,B,2000,F\n2,C,\"D, E\",someday,M\n3,F\n";
    let runner = runner(shipped().unwrap(), "patients");
    let columns = Columns::new(shipped().unwrap().columns("patients"));
    let mut rows = Rows::open(text.as_bytes(), &runner, &columns, None, None).unwrap();
    let mut out = Vec::new();
    let mut bad = BadRows::new(&mut out, rows.dialect(), rows.header()).unwrap();
    let mut good = 0;
    while let Some(outcome) = rows.next_row(NOW, "x").unwrap() {
        match outcome {
            Outcome::Good { .. } => good += 1,
            Outcome::Bad(row) => bad.write(&row).unwrap(),
        }
    }
    assert_eq!(good, 1);
    let lines: Vec<String> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        lines[0],
        "mrn,last_name,first_name,birth_date,sex,refused_because"
    );
    assert!(
        lines[1].starts_with(
            "2,C,\"D, E\",someday,M,\"line 3, column birth_date: expected a date such as"
        ),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2], "3,F,2 values instead of 5");
}

#[test]
fn null_deletes_and_absent_keeps() {
    let text = "mrn,last_name,first_name,birth_date,sex,phone,city\n1,A,B,NULL,F,NULL,\n";
    let runner = runner(shipped().unwrap(), "patients");
    let columns = Columns::new(shipped().unwrap().columns("patients"));
    let dialect = Dialect {
        null: Some("NULL".to_owned()),
        ..Dialect::csv()
    };
    let mut rows = Rows::open(text.as_bytes(), &runner, &columns, None, Some(dialect)).unwrap();
    let Some(Outcome::Good { mapped, .. }) = rows.next_row(NOW, "x").unwrap() else {
        panic!("good")
    };
    let deletes: Vec<&str> = mapped.entries[0]
        .deletes
        .iter()
        .map(|path| &**path)
        .collect();
    assert_eq!(
        deletes,
        ["birthDate", "telecom[system=phone, use=home].value"]
    );
    assert_eq!(mapped.notes, []);
}

/// Gigabytes of rows from nowhere: what is held is one block and one record.
struct Endless {
    left: usize,
    row: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let rest = &self.row[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        if self.at == self.row.len() {
            self.at = 0;
            self.left -= 1;
        }
        Ok(count)
    }
}

#[test]
fn a_long_file_is_read_in_pieces_and_a_long_row_refused() {
    let input = Endless {
        left: 50_000,
        row: b"1,\"a \"\"b\"\"\",\xc3\xa9\n".to_vec(),
        at: 0,
    };
    let (mut records, _) = Records::new(input, None, Some(Dialect::csv())).unwrap();
    let mut record = Record::default();
    let mut count = 0u32;
    while let Some(read) = records.read(&mut record).unwrap() {
        read.unwrap();
        count += 1;
        assert_eq!((record.line, record.len()), (count, 3));
    }
    assert_eq!(count, 50_000);
    let input = Endless {
        left: 200_000,
        row: b"no line end, no mercy ".to_vec(),
        at: 0,
    };
    let (mut records, _) = Records::new(input, None, Some(Dialect::csv())).unwrap();
    assert!(records.read(&mut record).unwrap().unwrap().is_err());
    assert!(record.raw.len() <= 1_100);
}

#[test]
fn whatever_a_file_holds_it_is_told() {
    let pack: &Pack = shipped().unwrap();
    let runner = runner(pack, "patients");
    let columns = Columns::new(pack.columns("patients"));
    let mut seed = 5u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let pieces = [
        "a",
        ",",
        ";",
        "\"",
        "\n",
        "\r",
        "\t",
        "|",
        "\u{0}",
        "é",
        "2000",
        "M",
        "\"\"",
        ",,,,\n",
        "\u{feff}",
        "1,A,B,2000,M\n",
    ];
    for _ in 0..3_000 {
        let mut text = "mrn,last_name,first_name,birth_date,sex\n"
            .to_owned()
            .into_bytes();
        for _ in 0..random(40) {
            text.extend(pieces[random(pieces.len())].as_bytes());
            if random(40) == 0 {
                text.push(u8::try_from(random(256)).unwrap());
            }
        }
        let Ok(mut rows) = Rows::open(text.as_slice(), &runner, &columns, None, None) else {
            continue;
        };
        while rows.next_row(NOW, "x").unwrap().is_some() {}
    }
}
