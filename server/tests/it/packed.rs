//! Packed bodies, in requests and in answers.
//! <https://hl7.org/fhir/R4/http.html#compression>

use std::io::{Read, Write};
use std::net::SocketAddr;

use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use server::fault::Kind;
use server::limits::Limits;

use crate::client::{Answer, FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    packed_bodies_are_unpacked,
    answers_are_packed_when_asked_and_worth_it,
    a_small_body_that_would_be_huge_is_refused,
);

const BEST: flate2::Compression = flate2::Compression::best();

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), BEST);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), BEST);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn unpacked(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match coding {
        "gzip" => GzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap(),
        "deflate" => ZlibDecoder::new(bytes).read_to_end(&mut unpacked).unwrap(),
        _ => return zstd::decode_all(bytes).unwrap(),
    };
    unpacked
}

/// A patient of about that many bytes, in words that are not all the same.
fn patient(length: usize) -> String {
    let words: String = (0..length / 8).map(|n| format!("{n:07} ")).collect();
    format!(r#"{{"resourceType":"Patient","name":[{{"text":"{words}"}}]}}"#)
}

fn post_packed(address: SocketAddr, coding: &str, body: &[u8]) -> Answer {
    let headers = [FHIR_JSON, ("Content-Encoding", coding)];
    send(address, "POST", "/fhir/Patient", &headers, body).unwrap()
}

fn packed_bodies_are_unpacked(database: &Database) {
    let kiln = Kiln::start(database);
    for length in [10, 1_000_000] {
        let body = patient(length);
        let bytes = body.as_bytes();
        for (coding, packed) in [
            ("gzip", gzip(bytes)),
            ("deflate", deflate(bytes)),
            ("zstd", zstd::encode_all(bytes, 3).unwrap()),
        ] {
            let created = post_packed(kiln.address, coding, &packed);
            assert_eq!(created.status, 201, "{coding} {}", created.text());
            let words = created.json().items_of("name")[0]
                .str_of("text")
                .unwrap()
                .len();
            assert_eq!(words, length / 8 * 8);
        }
    }
    // The place that is named is one of the text, not of the packed bytes.
    let wrong = post_packed(kiln.address, "gzip", &gzip(b"{\n  \"resourceType\": x}"));
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("issue-line"), "{}", wrong.text());
}

fn answers_are_packed_when_asked_and_worth_it(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sizes = Vec::new();
    for length in [10, 4_000, 1_000_000] {
        let created = post(kiln.address, "/fhir/Patient", &patient(length)).json();
        let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
        let plain = get(kiln.address, &path);
        assert_eq!(plain.header("Content-Encoding"), None);
        for coding in ["gzip", "deflate", "zstd"] {
            let asking = |method| {
                let headers = [("Accept-Encoding", coding)];
                send(kiln.address, method, &path, &headers, b"").unwrap()
            };
            let (answer, head) = (asking("GET"), asking("HEAD"));
            assert_eq!(answer.header("ETag"), plain.header("ETag"));
            let is_packed = length > 10;
            assert_eq!(answer.header("Content-Encoding").is_some(), is_packed);
            let varies = answer.header("Vary").unwrap();
            assert_eq!(varies.contains("Accept-Encoding"), is_packed);
            if is_packed {
                assert_eq!(unpacked(coding, &answer.body), plain.body);
                sizes.push(plain.body.len() / answer.body.len());
            } else {
                assert_eq!(answer.body, plain.body);
            }
            let length = answer.body.len().to_string();
            assert_eq!(head.header("Content-Length"), Some(length.as_str()));
            assert!(head.body.is_empty());
        }
    }
    assert!(sizes.iter().all(|times| *times >= 2), "{sizes:?}");
}

fn a_small_body_that_would_be_huge_is_refused(database: &Database) {
    let kiln = Kiln::start(database);
    let refused_by = |limit: &str, coding: &str, body: &[u8]| {
        let answer = post_packed(kiln.address, coding, body);
        assert_eq!(answer.status, Kind::BodyTooLarge.row().status);
        assert!(answer.text().contains(limit), "{}", answer.text());
    };
    let refused = |coding: &str, body: &[u8]| refused_by("unpacked_ratio_max", coding, body);
    let blanks = vec![b' '; 64 << 20];
    refused("gzip", &gzip(&blanks));
    refused("deflate", &deflate(&blanks));
    refused("zstd", &zstd::encode_all(blanks.as_slice(), 3).unwrap());
    // Not so blank that the ratio would tell, and larger than what may be sent plain.
    let line: String = (0..300).map(|n| format!("{:x}", n * n)).collect();
    let long = line.repeat(Limits::DEFAULT.body_bytes_max / line.len() + 1);
    let mut packed = gzip(long.as_bytes());
    // A member of its own that says nothing keeps the ratio low.
    let noise: Vec<u8> = (0..500_000u32)
        .flat_map(|n| n.wrapping_mul(n ^ 0x9e37_79b9).to_be_bytes())
        .collect();
    packed.extend(gzip(&noise));
    refused_by("body_bytes_max", "gzip", &packed);
    assert_eq!(
        post(
            kiln.address,
            "/fhir/Patient",
            "{\"resourceType\":\"Patient\"}"
        )
        .status,
        201
    );
}
