//! A browser without scripts: it keeps cookies, reads forms and sends them as they are filled in.

use std::net::SocketAddr;

use crate::client::{Answer, send};

pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[derive(Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
}

/// Parameters as forms and addresses carry them.
pub(crate) fn encoded(parameters: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let byte = |byte: u8| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The parameters of an address.
pub(crate) fn decoded(address: &str) -> Vec<(String, String)> {
    let (_, query) = address.split_once('?').unwrap_or_default();
    let text = |part: &str| {
        let spaced = part.replace('+', " ");
        let mut bytes = Vec::new();
        let mut rest = spaced.as_bytes();
        while let [first, more @ ..] = rest {
            rest = more;
            if *first == b'%' && more.len() >= 2 {
                let hex = std::str::from_utf8(&more[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &more[2..];
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// An input of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What can be filled in on a page, in its order.
pub(crate) fn inputs(page: &str) -> Vec<Input> {
    let tags = page
        .split('<')
        .skip(1)
        .filter(|tag| tag.starts_with("input ") || tag.starts_with("button "));
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        let (value, _) = rest.split_once('"')?;
        Some(
            value
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&"),
        )
    };
    let of_tag = |tag: &str| {
        let is_button = tag.starts_with("button");
        let kind = attribute(tag, "type").unwrap_or_else(|| "text".to_owned());
        Input {
            kind: if is_button { "button".to_owned() } else { kind },
            name: attribute(tag, "name").unwrap_or_default(),
            value: attribute(tag, "value").unwrap_or_default(),
        }
    };
    tags.map(of_tag).collect()
}

impl Browser {
    pub(crate) fn get(&mut self, address: SocketAddr, path: &str) -> Answer {
        self.ask(address, "GET", path, &[], "")
    }

    pub(crate) fn ask(
        &mut self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookie = self.cookie.clone();
        let mut headers = headers.to_vec();
        if let Some(cookie) = &cookie {
            headers.push(("Cookie", cookie));
        }
        let answer = send(address, method, path, &headers, body.as_bytes()).unwrap();
        if let Some(set) = answer.header("Set-Cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        answer
    }

    /// Sends the form of a page: hidden fields as they are, boxes as they are ticked, and what is filled in.
    pub(crate) fn submit(
        &mut self,
        address: SocketAddr,
        path: &str,
        page: &Answer,
        filled: &[(&str, &str)],
    ) -> Answer {
        let all = inputs(&page.text());
        let mut fields: Vec<(&str, &str)> = all
            .iter()
            .filter(|input| matches!(&*input.kind, "hidden" | "checkbox"))
            .map(|input| (input.name.as_str(), input.value.as_str()))
            .collect();
        // What is filled in as `-name` is taken out.
        let out = |name: &str, value: &str| {
            filled
                .iter()
                .any(|(key, text)| key.strip_prefix('-') == Some(name) && *text == value)
        };
        fields.retain(|(name, value)| !out(name, value));
        fields.extend(filled.iter().filter(|(name, _)| !name.starts_with('-')));
        self.ask(address, "POST", path, &[FORM], &encoded(&fields))
    }
}
