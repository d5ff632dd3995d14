//! Text in other forms: encoded for transport, escaped for a language.
//! <http://hl7.org/fhirpath/#additional-string-functions>

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::invocation::Invocation;
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Str};
use crate::json::{self, write_string};

pub(super) const ALL: &[Function] = &[
    row("encode", 1..=1, |call| recode(call, encode)),
    row("decode", 1..=1, |call| recode(call, decode)),
    row("escape", 1..=1, |call| recode(call, escape)),
    row("unescape", 1..=1, |call| recode(call, unescape)),
];

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDING);
const URL_BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDING);

/// Nothing for a form that is not known, and for text that is not in the form it should be in.
fn recode<'a>(
    call: &mut Invocation<'_, '_, 'a>,
    recode: fn(&str, &str) -> Option<String>,
) -> Result<Collection<'a>> {
    let (Some(text), Some(form)): (Option<Str<'a>>, _) = (call.text()?, call.text_arg(0)?) else {
        return Ok(Vec::new());
    };
    // Six bytes (`&quot;`) can stand for one.
    call.run.spend_text(call.at, text.len().saturating_mul(6))?;
    match recode(&text, &form) {
        Some(text) => call.answer_text(text),
        None => Ok(Vec::new()),
    }
}

fn encode(text: &str, form: &str) -> Option<String> {
    match form {
        "hex" => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        "base64" => Some(BASE64.encode(text)),
        "urlbase64" => Some(URL_BASE64.encode(text)),
        _ => None,
    }
}

fn decode(text: &str, form: &str) -> Option<String> {
    let bytes = match form {
        "hex" => text
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16)
                    .ok()
                    .filter(|_| pair.len() == 2)
            })
            .collect::<Option<Vec<u8>>>()?,
        "base64" => BASE64.decode(text).ok()?,
        "urlbase64" => URL_BASE64.decode(text).ok()?,
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

const HTML: &[(char, &str)] = &[
    ('&', "&amp;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('"', "&quot;"),
    ('\'', "&#39;"),
];

fn escape(text: &str, form: &str) -> Option<String> {
    match form {
        "html" => {
            let mut escaped = String::new();
            for c in text.chars() {
                match HTML.iter().find(|(plain, _)| *plain == c) {
                    Some((_, entity)) => escaped.push_str(entity),
                    None => escaped.push(c),
                }
            }
            Some(escaped)
        }
        "json" => {
            let mut quoted = String::new();
            write_string(text, &mut quoted);
            quoted
                .strip_prefix('"')?
                .strip_suffix('"')
                .map(str::to_owned)
        }
        _ => None,
    }
}

fn unescape(text: &str, form: &str) -> Option<String> {
    match form {
        "html" => {
            let mut plain = String::new();
            let mut rest = text;
            while let Some((before, after)) = rest.split_once('&') {
                plain.push_str(before);
                let known = HTML.iter().find_map(|(c, entity)| {
                    Some((c, after.strip_prefix(entity.strip_prefix('&')?)?))
                });
                match known {
                    Some((c, after)) => {
                        plain.push(*c);
                        rest = after;
                    }
                    None => {
                        plain.push('&');
                        rest = after;
                    }
                }
            }
            plain.push_str(rest);
            Some(plain)
        }
        "json" => {
            // A bare quote is let through: only the escapes are of interest.
            let quoted = format!("\"{}\"", requoted(text));
            let value = json::parse(quoted.as_bytes()).ok()?;
            value.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// Escapes the quotes that are not escaped yet.
fn requoted(text: &str) -> String {
    let mut requoted = String::new();
    let mut is_escaped = false;
    for c in text.chars() {
        if c == '"' && !is_escaped {
            requoted.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        requoted.push(c);
    }
    requoted
}
