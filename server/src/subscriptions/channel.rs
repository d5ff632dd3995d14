//! The way by which somebody is told. <https://hl7.org/fhir/R4/subscription.html#channels>

use fhir_spec::format::Format;
use fhir_spec::json::Value;

use super::endpoint::{Endpoint, header};
use crate::config::Deliveries;
use crate::limits;

/// Extensions of the backport guide begin like this.
/// <https://hl7.org/fhir/uv/subscriptions-backport/>
pub const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";
/// Our own: a secret of Standard Webhooks that notifications are signed with; two while one replaces the other.
pub const SECRET: &str = "urn:kiln:webhook-secret";
/// Endpoints that name a destination of messages begin like this: `hl7v2://ward`.
pub const HL7V2: &str = "hl7v2";

/// A kind of channel; how each of them tells stands in `deliver/channel.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    RestHook,
    /// FHIR messaging over HTTP.
    Message,
    /// Messages of HL7 v2 to a destination of this server.
    Hl7v2,
    /// Who is told comes here and listens.
    Websocket,
}

#[derive(Debug, Clone)]
pub struct Channel {
    pub kind: Kind,
    pub endpoint: Endpoint,
    /// Names with their values, which are secrets, sealed or not.
    pub headers: Vec<(String, String)>,
    /// What notifications are signed with, sealed or not.
    pub secrets: Vec<String>,
    /// None: nothing but that something has happened.
    pub payload: Option<Format>,
    pub timeout_ms: u64,
    /// Of those that follow a topic,
    pub content: Content,
    /// how many events one notification has at most,
    pub count_max: usize,
    /// and after how much silence it is said that there is nothing to say.
    pub heartbeat_s: Option<u64>,
}

impl Kind {
    pub const ALL: &[Self] = &[Self::RestHook, Self::Message, Self::Hl7v2, Self::Websocket];

    /// Whether who follows a topic must answer before it is told of anything.
    pub fn shakes_hands(self) -> bool {
        match self {
            Self::RestHook | Self::Message => true,
            Self::Hl7v2 => false,
            // Whoever listens is there.
            Self::Websocket => false,
        }
    }

    /// Whether it is told by this server; else who wants to know comes here.
    pub fn is_sent(self) -> bool {
        self != Self::Websocket
    }

    /// <https://hl7.org/fhir/R4/valueset-subscription-channel-type.html>; a kind that R4 does not know is named by the
    /// extension backport-channel-type at `channel.type`.
    pub fn code(self) -> &'static str {
        match self {
            Self::RestHook => "rest-hook",
            Self::Message => "message",
            Self::Hl7v2 => "hl7v2",
            Self::Websocket => "websocket",
        }
    }

    /// How its endpoints begin.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::RestHook | Self::Message => &["http", "https"],
            Self::Hl7v2 => &[HL7V2],
            Self::Websocket => &[],
        }
    }
}

/// How much is told of a resource. <https://hl7.org/fhir/uv/subscriptions-backport/payloads.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    IdOnly,
    FullResource,
}

impl Content {
    pub const ALL: &[Self] = &[Self::Empty, Self::IdOnly, Self::FullResource];

    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::IdOnly => "id-only",
            Self::FullResource => "full-resource",
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|content| content.code() == code)
    }
}

/// The value of an extension of the backport guide.
pub fn backport<'v>(element: &'v Value, name: &str, kind: &str) -> Option<&'v Value> {
    let url = |extension: &&Value| {
        let url = extension.str_of("url").unwrap_or_default();
        url.strip_prefix(BACKPORT) == Some(name)
    };
    element.items_of("extension").iter().find(url)?.get(kind)
}

/// Reads `Subscription.channel`; what is wrong is noted with its place.
pub(super) fn read(channel: &Value, note: &mut impl FnMut(&str, String)) -> Option<Channel> {
    let kind = kind_of(channel, note);
    // Of a kind that is not known at least the usual is expected.
    let schemes = kind.unwrap_or(Kind::RestHook).schemes();
    let endpoint = match schemes {
        // What stands there does not matter: nothing goes there.
        [] => Ok(Endpoint::none()),
        _ => Endpoint::parse(channel.str_of("endpoint").unwrap_or_default(), schemes),
    };
    let endpoint = endpoint.map_err(|told| note("channel.endpoint", told)).ok();
    let mut headers = Vec::new();
    for (index, line) in channel.items_of("header").iter().enumerate() {
        match header(line.as_str().unwrap_or_default()) {
            Ok(header) => headers.push(header),
            Err(told) => note(&format!("channel.header[{index}]"), told),
        }
    }
    if headers.len() > limits::DELIVERY_HEADERS_MAX {
        let told = format!("at most {} headers are sent", limits::DELIVERY_HEADERS_MAX);
        note("channel.header", told);
    }
    let payload = channel.str_of("payload").map(payload);
    if payload == Some(None) {
        let told = "expected application/fhir+json or application/fhir+xml";
        note("channel.payload", told.into());
    }
    let seconds = backport(channel, "backport-timeout", "valueUnsignedInt").and_then(Value::as_u64);
    let timeout_ms = seconds.map_or(limits::DELIVERY_TIMEOUT_MS, |seconds| seconds * 1_000);
    if !(1..=limits::DELIVERY_TIMEOUT_MS_MAX).contains(&timeout_ms) {
        let most = limits::DELIVERY_TIMEOUT_MS_MAX / 1_000;
        note(
            "channel.extension",
            format!("a timeout is 1 to {most} seconds"),
        );
    }
    let secrets = secrets(channel, note);
    let beside = channel.get("_payload");
    let code = beside
        .and_then(|beside| backport(beside, "backport-payload-content", "valueCode")?.as_str());
    let content = code.map_or(Some(Content::Empty), Content::of_code);
    if content.is_none() {
        note(
            "channel.payload.extension",
            "expected empty, id-only or full-resource".into(),
        );
    }
    let count = backport(channel, "backport-max-count", "valuePositiveInt").map(Value::as_u64);
    let heartbeat =
        backport(channel, "backport-heartbeat-period", "valueUnsignedInt").map(Value::as_u64);
    if count == Some(None) || heartbeat == Some(None) {
        note("channel.extension", "expected a whole number".into());
    }
    let most = u64::try_from(limits::DELIVERY_UNSETTLED_MAX).unwrap_or(u64::MAX);
    let count = count.flatten().unwrap_or(1).clamp(1, most);
    Some(Channel {
        content: content?,
        count_max: usize::try_from(count).unwrap_or(1),
        heartbeat_s: heartbeat.flatten().filter(|seconds| *seconds > 0),
        kind: kind?,
        endpoint: endpoint?,
        headers,
        secrets,
        payload: payload.flatten(),
        timeout_ms,
    })
}

/// By which kind of channel is told.
fn kind_of(channel: &Value, note: &mut impl FnMut(&str, String)) -> Option<Kind> {
    let beside = channel.get("_type");
    let named = beside.and_then(|beside| backport(beside, "backport-channel-type", "valueCoding"));
    let named = named.and_then(|coding| coding.str_of("code"));
    let code = named.or_else(|| channel.str_of("type")).unwrap_or_default();
    let kind = Kind::ALL.iter().copied().find(|kind| kind.code() == code);
    // To send a message is what R4 says of `message`: which kind of message the endpoint tells.
    let place = channel.str_of("endpoint").unwrap_or_default();
    let is_hl7v2 = place
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme == HL7V2);
    if kind.is_none() {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        note(
            "channel.type",
            format!("`{code}` is not served: {}", all.join(", ")),
        );
    }
    match kind {
        Some(Kind::Message) if is_hl7v2 => Some(Kind::Hl7v2),
        kind => kind,
    }
}

/// What notifications are signed with.
fn secrets(channel: &Value, note: &mut impl FnMut(&str, String)) -> Vec<String> {
    let secrets = channel.items_of("extension").iter();
    let secrets = secrets.filter(|extension| extension.str_of("url") == Some(SECRET));
    let secrets: Vec<String> = secrets
        .map(|extension| {
            extension
                .str_of("valueString")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    if secrets.len() > limits::DELIVERY_SECRETS_MAX {
        let told = "two secrets are signed with at most: the old one and the new one";
        note("channel.extension", told.into());
    }
    secrets
}

fn payload(mime: &str) -> Option<Format> {
    let essence = mime.split(';').next().unwrap_or_default().trim();
    match essence {
        "application/fhir+json" | "application/json" => Some(Format::Json),
        "application/fhir+xml" | "application/xml" | "text/xml" => Some(Format::Xml),
        _ => None,
    }
}

impl Channel {
    /// Whether this server may send there, as far as that can be told without looking up its name.
    pub fn check(&self, settings: &Deliveries) -> Result<(), String> {
        match self.kind {
            // Nothing goes there; or what it may reach is asked when it is connected to.
            Kind::Websocket | Kind::Hl7v2 => Ok(()),
            Kind::RestHook | Kind::Message => self.endpoint.check(settings),
        }
    }

    /// The destination of messages that is told.
    pub fn destination(&self) -> Option<&str> {
        (self.kind == Kind::Hl7v2).then(|| self.endpoint.uri.host().unwrap_or_default())
    }
}
