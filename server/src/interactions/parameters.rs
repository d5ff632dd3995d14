//! The parameters that stand in an address, in criteria or in a form, decoded.
//! <https://hl7.org/fhir/R4/http.html#parameters>

use percent_encoding::percent_decode_str;

use crate::fault::{Fault, Kind};

/// What is no text is refused: put right by guess it would ask for something else.
pub fn decoded(written: &str) -> Result<Vec<(String, String)>, Fault> {
    let is_text = |part: &&str| percent_decode_str(part).decode_utf8().is_ok();
    if let Some(part) = written.split('&').find(|part| !is_text(part)) {
        let name = part.split('=').next().unwrap_or_default();
        let shown: String = name.chars().take(40).collect();
        let diagnostics = format!("`{shown}`: what is escaped here with `%` is not UTF-8");
        return Err(Fault::new(Kind::WrongParameter, diagnostics));
    }
    Ok(form_urlencoded::parse(written.as_bytes())
        .into_owned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_text() {
        let pairs = |written| decoded(written).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), []);
        assert_eq!(
            pairs("a=%C3%A9+b&c=1=2&d"),
            [pair("a", "é b"), pair("c", "1=2"), pair("d", "")]
        );
        assert_eq!(pairs("a=100%&b=%zz"), [pair("a", "100%"), pair("b", "%zz")]);
        for wrong in ["a=b&c=%ED%A0%80", "a=b&c=%FF", "a=b&c%FE=1"] {
            let told = decoded(wrong).unwrap_err();
            assert!(format!("{told:?}").contains("`c"), "{told:?}");
        }
    }
}
