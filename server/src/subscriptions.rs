//! Subscriptions: who wants to be told of what, and by which way. <https://hl7.org/fhir/R4/subscription.html>
//!
//! A Subscription is read here once, strictly, before it is stored: what cannot be served is refused with all that is
//! wrong. Its secrets are sealed before they reach the disk and are not shown again.

pub mod binding;
pub mod bundle;
pub mod channel;
pub mod dispatch;
pub mod endpoint;
pub mod index;
pub mod sealing;
pub mod status;
pub mod topic;
pub mod trigger;

use fhir_spec::json::Value;
use fhir_spec::time::DateTime;
use fhir_spec::{Issue, IssueCode};
use search::Registry;

use crate::accept::{Accepted, resource_type};
use crate::app::App;
use crate::instant::Instant;
use channel::{BACKPORT, Channel};
use sealing::Seal;
use topic::Topic;
use trigger::Trigger;

/// The name of the follower that finds events, among the followers and among the leases.
pub const FOLLOWER: &str = "subscriptions";
/// The type that all of this is about.
pub const TYPE: &str = "Subscription";

/// <https://hl7.org/fhir/R4/valueset-subscription-status.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Requested,
    Active,
    Error,
    Off,
}

/// What somebody wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    pub resource_type: &'static str,
    /// Decoded.
    pub parameters: Vec<(String, String)>,
}

/// Criteria of search, or a topic that others have defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Criteria(Criteria),
    Topic {
        url: String,
        /// All of them hold.
        filters: Vec<Criteria>,
    },
}

/// A Subscription, understood.
#[derive(Debug, Clone)]
pub struct Subscription {
    pub status: Status,
    /// After this nothing is sent any more.
    pub end: Option<Instant>,
    pub asked: Asked,
    pub channel: Channel,
}

impl Status {
    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "requested" => Self::Requested,
            "active" => Self::Active,
            "error" => Self::Error,
            "off" => Self::Off,
            _ => return None,
        })
    }

    /// Whether it asks to be told.
    pub fn is_wanted(self) -> bool {
        matches!(self, Self::Requested | Self::Active)
    }
}

impl Criteria {
    /// `Type?name=value&...`, as in an address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (named, query) = text.split_once('?').unwrap_or((text, ""));
        let Some(resource_type) = resource_type(named.trim_start_matches('/')) else {
            let shown: String = named.chars().take(40).collect();
            return Err(format!(
                "expected criteria such as Observation?code=1234, `{shown}` is no resource type of FHIR R4"
            ));
        };
        let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        Ok(Self {
            resource_type,
            parameters,
        })
    }
}

impl Subscription {
    /// Reads the document; all that is wrong comes back at once.
    pub fn read(document: &Value) -> Result<Self, Vec<Issue>> {
        let mut wrong = Vec::new();
        let mut note = |place: &str, told: String| {
            wrong.push(Issue::error(IssueCode::Value, told).at(format!("{TYPE}.{place}")));
        };
        let status = document.str_of("status").and_then(Status::of_code);
        if status.is_none() {
            note("status", "expected requested, active, error or off".into());
        }
        let asked = asked(document, &mut note);
        foreign(document, &mut note);
        let end = document.str_of("end").map(|end| {
            let end = DateTime::parse_fhir(end);
            end.map(|end| Instant::from_micros(end.interval(0).0))
        });
        if end == Some(None) {
            note("end", "expected an instant".into());
        }
        let channel = match document.get("channel") {
            Some(channel) => channel::read(channel, &mut note),
            None => {
                note("channel", "expected a channel".into());
                None
            }
        };
        match (status, asked, channel) {
            (Some(status), Some(asked), Some(channel)) if wrong.is_empty() => Ok(Self {
                status,
                end: end.flatten(),
                asked,
                channel,
            }),
            _ => Err(wrong),
        }
    }

    /// The topic, of those that have one.
    pub fn topic(&self) -> Option<&str> {
        match &self.asked {
            Asked::Topic { url, .. } => Some(url),
            Asked::Criteria(_) => None,
        }
    }

    /// Whether the other side must show that it is there before it is told of anything.
    pub fn shakes_hands(&self) -> bool {
        self.topic().is_some() && self.channel.kind.shakes_hands()
    }

    /// What fires it, of the topics that there are.
    pub fn triggers(
        &self,
        registry: &Registry,
        topics: &[Topic],
        now: Instant,
    ) -> Result<Vec<Trigger>, Vec<Issue>> {
        match &self.asked {
            Asked::Criteria(criteria) => Ok(vec![Trigger::of_criteria(registry, criteria, now)?]),
            Asked::Topic { url, filters } => {
                let mut known = topics.iter();
                let Some(topic) = known.find(|topic| topic.url == *url) else {
                    let told = format!("the topic `{url}` is not known here");
                    return Err(vec![Issue::error(IssueCode::NotSupported, told)]);
                };
                topic.narrowed(registry, filters, now)
            }
        }
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// A topic is named by its address.
fn asked(document: &Value, note: &mut impl FnMut(&str, String)) -> Option<Asked> {
    let written = document.str_of("criteria").unwrap_or_default();
    // Criteria may hold addresses: the system of a code.
    let beginning = written.split(['?', '/']).next().unwrap_or_default();
    if !beginning.ends_with(':') && !written.starts_with("urn:") {
        let criteria = Criteria::parse(written).map_err(|told| note("criteria", told));
        return criteria.ok().map(Asked::Criteria);
    }
    let mut filters = Vec::new();
    let beside = document
        .get("_criteria")
        .map_or(&[][..], |beside| beside.items_of("extension"));
    for (index, extension) in beside.iter().enumerate() {
        let url = extension.str_of("url").unwrap_or_default();
        if url.strip_prefix(BACKPORT) != Some("backport-filter-criteria") {
            continue;
        }
        match Criteria::parse(extension.str_of("valueString").unwrap_or_default()) {
            Ok(filter) => filters.push(filter),
            Err(told) => note(&format!("criteria.extension[{index}]"), told),
        }
    }
    Some(Asked::Topic {
        url: written.to_owned(),
        filters,
    })
}

/// Elements of R5 as extensions say what the extensions of the backport guide say: to pass them over would do something else.
fn foreign(document: &Value, note: &mut impl FnMut(&str, String)) {
    const ELEMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.";
    let mut places = vec![("extension", Some(document))];
    places.push(("criteria.extension", document.get("_criteria")));
    places.push(("channel.extension", document.get("channel")));
    for (place, holder) in places {
        let all = holder.map_or(&[][..], |holder| holder.items_of("extension"));
        for (index, extension) in all.iter().enumerate() {
            let url = extension.str_of("url").unwrap_or_default();
            let named = url.strip_prefix(ELEMENT);
            if let Some(named) = named.filter(|named| !["identifier", "name"].contains(named)) {
                let told = format!(
                    "`{named}` of R5 is not read, the extensions of the backport guide are"
                );
                note(&format!("{place}[{index}]"), told);
            }
        }
    }
}

/// Makes a document ready to be stored: whoever wants to be told is told what cannot be served, and secrets are sealed.
/// Documents of other types pass.
pub fn ready(app: &App, mut accepted: Accepted) -> Result<Accepted, Vec<Issue>> {
    if !matches!(accepted.resource_type(), TYPE | topic::HOLDER) {
        return Ok(accepted);
    }
    let document = Value::from(accepted.document().clone());
    if accepted.resource_type() == topic::HOLDER {
        if let Some(topic) = topic::of_basic(&document) {
            topic?.check(&app.search(), (app.clock)())?;
        }
        return Ok(accepted);
    }
    let subscription = Subscription::read(&document)?;
    if subscription.status.is_wanted() {
        accepted.tells_of(check(app, &subscription)?);
    }
    let seal = Seal::of(app.store.secret().map_err(|error| internal(&error))?);
    let channel = accepted.document_mut().get_mut("channel");
    if let Some(channel) = channel {
        sealing::seal(&seal, &subscription.channel, channel)?;
    }
    Ok(accepted)
}

/// The types that its author must be able to see, or all that keeps it from being served.
fn check(app: &App, subscription: &Subscription) -> Result<Vec<&'static str>, Vec<Issue>> {
    let (mut wrong, mut types) = (Vec::new(), Vec::new());
    let topics = match subscription.topic() {
        Some(_) => topic::all_of(app).map_err(|fault| fault.issues)?,
        None => Vec::new(),
    };
    match subscription.triggers(&app.search(), &topics, (app.clock)()) {
        Ok(triggers) => types.extend(triggers.iter().flat_map(Trigger::asks_about)),
        Err(issues) => {
            let place = |issue: Issue| issue.at(format!("{TYPE}.criteria"));
            wrong.extend(issues.into_iter().map(place));
        }
    }
    if let Err(told) = subscription.channel.check(&app.deliveries) {
        let issue = Issue::error(IssueCode::BusinessRule, told);
        wrong.push(issue.at(format!("{TYPE}.channel.endpoint")));
    }
    if let Some(name) = subscription.channel.destination()
        && app.destinations.lacks(name)
    {
        let told = format!("there is no destination `{name}`");
        let issue = Issue::error(IssueCode::BusinessRule, told);
        wrong.push(issue.at(format!("{TYPE}.channel.endpoint")));
    }
    match wrong.is_empty() {
        true => Ok(types),
        false => Err(wrong),
    }
}

fn internal(error: &crate::store::Error) -> Vec<Issue> {
    tracing::error!("a secret of a Subscription cannot be sealed: {error}");
    let told = "secrets cannot be sealed at the moment";
    vec![Issue::error(IssueCode::Exception, told)]
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    fn told(document: &str) -> String {
        let document = parse(document.as_bytes()).unwrap();
        format!("{:?}", Subscription::read(&document).unwrap_err())
    }

    #[test]
    fn a_subscription_is_read() {
        let document = parse(
            br#"{"resourceType":"Subscription","status":"requested","end":"2030-01-01T00:00:00Z","criteria":"Observation?code=a%7Cb&status=final",
            "channel":{"type":"rest-hook","endpoint":"https://h/x","payload":"application/fhir+json","header":["Authorization: Bearer x"]}}"#,
        )
        .unwrap();
        let read = Subscription::read(&document).unwrap();
        assert_eq!(read.status, Status::Requested);
        let Asked::Criteria(criteria) = &read.asked else {
            panic!("no topic");
        };
        assert_eq!(criteria.resource_type, "Observation");
        assert_eq!(criteria.parameters[0].1, "a|b");
        assert!(read.is_over(Instant::from_micros(1_893_456_000_000_000)));
        assert!(!read.is_over(Instant::from_micros(1_893_455_999_999_999)));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = told(
            r#"{"resourceType":"Subscription","status":"on","end":"soon","criteria":"Elephant?a=b","channel":{"type":"sms","endpoint":"h","header":["x"]}}"#,
        );
        for place in [
            "status",
            "end",
            "criteria",
            "channel.type",
            "channel.endpoint",
            "channel.header[0]",
        ] {
            assert!(
                told.contains(&format!("Subscription.{place}")),
                "{place}: {told}"
            );
        }
    }
}
