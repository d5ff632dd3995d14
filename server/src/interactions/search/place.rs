//! Where a page begins, and all that is needed to go on from there: what a link of a page carries.
//! <https://hl7.org/fhir/R4/http.html#paging>
//!
//! Written as form fields. A reader passes over fields that it does not know, so that more can be added.

use form_urlencoded::{Serializer, parse};
use search::condition::Bind;
use search::sql::Position;

use super::Scope;
use crate::instant::Instant;

/// Behind which hit a page begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The type of that hit.
    pub resource_type: Box<str>,
    pub position: Position,
}

/// A page that can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// None: with the first hit.
    pub start: Option<Start>,
    /// Where the pages before it begin, but for the first one.
    pub trail: Vec<Start>,
    /// The trail begins later than with the second page.
    pub is_trail_cut: bool,
    /// As it was counted for the first page.
    pub total: Option<u64>,
    /// When the search began: what times close to now are reckoned from.
    pub asked_at: Instant,
    /// What the order of hits by their texts is reckoned from.
    pub statistics: Option<String>,
    /// The last page, wherever that begins.
    pub is_last: bool,
    /// Not the hits of the page are wanted but what comes along with them, without so many that were shown.
    pub included: Option<usize>,
}

/// Text that stands in the link, or is kept and stands there by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carried {
    Here(String),
    Kept([u8; 32]),
}

/// What a link says, to whom, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticket {
    pub scope: String,
    pub caller: String,
    pub expires_at: Instant,
    pub parameters: Carried,
    pub start: Option<Carried>,
    pub trail: Vec<Start>,
    pub is_trail_cut: bool,
    pub total: Option<u64>,
    pub asked_at: Instant,
    pub statistics: Option<Carried>,
    pub is_last: bool,
    pub included: Option<usize>,
}

impl Place {
    pub fn first(asked_at: Instant) -> Self {
        Self {
            start: None,
            trail: Vec::new(),
            is_trail_cut: false,
            total: None,
            asked_at,
            statistics: None,
            is_last: false,
            included: None,
        }
    }

    /// The last page of so many hits.
    pub fn last(&self, total: u64) -> Self {
        Self {
            total: Some(total),
            is_last: true,
            ..Self::first(self.asked_at)
        }
    }

    /// The same, now that it is known where it begins: what lies before it is not.
    pub fn begun(self, start: Option<Start>) -> Self {
        Self {
            is_trail_cut: start.is_some(),
            start,
            is_last: false,
            ..self
        }
    }

    /// The page that begins behind this hit.
    pub fn next(&self, start: Start, total: Option<u64>) -> Self {
        let mut trail = self.trail.clone();
        trail.extend(self.start.clone());
        Self {
            start: Some(start),
            trail,
            total,
            statistics: self.statistics.clone(),
            ..*self
        }
    }

    /// What comes along with the hits of this page, without so many that were shown.
    pub fn rest(&self, included: usize) -> Self {
        Self {
            included: Some(included),
            ..self.clone()
        }
    }

    /// The page before this one, as long as it is known where it begins.
    pub fn previous(&self) -> Option<Self> {
        self.start.as_ref()?;
        let mut trail = self.trail.clone();
        let start = trail.pop();
        (start.is_some() || !self.is_trail_cut).then_some(Self {
            start,
            trail,
            statistics: self.statistics.clone(),
            ..*self
        })
    }
}

impl Start {
    pub fn to_text(&self) -> String {
        let mut out = Serializer::new(String::new());
        out.append_pair("t", &self.resource_type);
        out.append_pair("r", &self.position.rid.to_string());
        for key in &self.position.keys {
            match key {
                None => out.append_pair("n", ""),
                Some(Bind::Int(number)) => out.append_pair("i", &number.to_string()),
                // The shortest digits that give the same number again.
                Some(Bind::Real(number)) => out.append_pair("f", &format!("{number:?}")),
                Some(Bind::Text(text)) => out.append_pair("s", text),
            };
        }
        out.finish()
    }

    pub fn of_text(text: &str) -> Option<Self> {
        let mut start = Self {
            resource_type: "".into(),
            position: Position {
                keys: Vec::new(),
                rid: 0,
            },
        };
        for (name, value) in parse(text.as_bytes()) {
            let key = match &*name {
                "t" => {
                    start.resource_type = value.into();
                    continue;
                }
                "r" => {
                    start.position.rid = value.parse().ok()?;
                    continue;
                }
                "n" => None,
                "i" => Some(Bind::Int(value.parse().ok()?)),
                "f" => Some(Bind::Real(value.parse().ok()?)),
                "s" => Some(Bind::Text(value.into_owned())),
                _ => continue,
            };
            start.position.keys.push(key);
        }
        Some(start)
    }
}

impl Ticket {
    pub(super) fn to_text(&self) -> String {
        let mut out = Serializer::new(String::new());
        out.append_pair("scope", &self.scope);
        out.append_pair("caller", &self.caller);
        out.append_pair("until", &self.expires_at.micros().to_string());
        out.append_pair("asked", &self.asked_at.micros().to_string());
        carry(&mut out, "parameters", &self.parameters);
        if let Some(start) = &self.start {
            carry(&mut out, "start", start);
        }
        if let Some(statistics) = &self.statistics {
            carry(&mut out, "statistics", statistics);
        }
        for start in &self.trail {
            out.append_pair("trail", &start.to_text());
        }
        if self.is_trail_cut {
            out.append_pair("cut", "");
        }
        if self.is_last {
            out.append_pair("last", "");
        }
        if let Some(included) = self.included {
            out.append_pair("included", &included.to_string());
        }
        if let Some(total) = self.total {
            out.append_pair("total", &total.to_string());
        }
        out.finish()
    }

    pub(super) fn of_text(text: &str) -> Option<Self> {
        let mut ticket = Self {
            scope: String::new(),
            caller: String::new(),
            expires_at: Instant::from_micros(0),
            parameters: Carried::Here(String::new()),
            start: None,
            trail: Vec::new(),
            is_trail_cut: false,
            total: None,
            asked_at: Instant::from_micros(0),
            statistics: None,
            is_last: false,
            included: None,
        };
        let moment = |value: &str| Some(Instant::from_micros(value.parse().ok()?));
        for (name, value) in parse(text.as_bytes()) {
            match &*name {
                "scope" => ticket.scope = value.into_owned(),
                "caller" => ticket.caller = value.into_owned(),
                "until" => ticket.expires_at = moment(&value)?,
                "asked" => ticket.asked_at = moment(&value)?,
                "parameters" => ticket.parameters = Carried::Here(value.into_owned()),
                "parameters#" => ticket.parameters = Carried::Kept(hash(&value)?),
                "start" => ticket.start = Some(Carried::Here(value.into_owned())),
                "start#" => ticket.start = Some(Carried::Kept(hash(&value)?)),
                "statistics" => ticket.statistics = Some(Carried::Here(value.into_owned())),
                "statistics#" => ticket.statistics = Some(Carried::Kept(hash(&value)?)),
                "trail" => ticket.trail.push(Start::of_text(&value)?),
                "cut" => ticket.is_trail_cut = true,
                "last" => ticket.is_last = true,
                "included" => ticket.included = Some(value.parse().ok()?),
                "total" => ticket.total = Some(value.parse().ok()?),
                _ => {}
            }
        }
        Some(ticket)
    }

    /// Why it does not lead there, for whom and when it is shown.
    pub(super) fn is_not_for(&self, scope: &Scope, caller: &str, now: Instant) -> Option<String> {
        let (here, there) = (scope.path(), &self.scope);
        if here != *there {
            return Some(format!("is for a search at `{there}`, not at `{here}`"));
        }
        if self.caller != caller {
            return Some("was made for somebody else".into());
        }
        let has_expired = self.expires_at <= now;
        has_expired.then(|| "has expired (page_lifetime_s)".into())
    }
}

fn carry(out: &mut Serializer<'_, String>, name: &str, carried: &Carried) {
    match carried {
        Carried::Here(text) => out.append_pair(name, text),
        Carried::Kept(hash) => out.append_pair(&format!("{name}#"), &hex(hash)),
    };
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(rid: i64, keys: Vec<Option<Bind>>) -> Start {
        Start {
            resource_type: "Observation".into(),
            position: Position { keys, rid },
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let keys = vec![
            None,
            Some(Bind::Int(-5)),
            Some(Bind::Real(0.1 + 0.2)),
            Some(Bind::Real(f64::MIN)),
            Some(Bind::Text("a&b=c%\u{1F525} ".into())),
            Some(Bind::Text(String::new())),
        ];
        for carried in [Carried::Here("a=b&c".into()), Carried::Kept([7; 32])] {
            let ticket = Ticket {
                scope: "Patient/1/Observation".into(),
                caller: "open".into(),
                expires_at: Instant::from_micros(i64::MAX),
                parameters: carried.clone(),
                start: Some(carried.clone()),
                statistics: Some(carried),
                trail: vec![start(7, keys.clone()), start(i64::MIN, Vec::new())],
                is_trail_cut: true,
                total: Some(3),
                asked_at: Instant::from_micros(1),
                is_last: true,
                included: Some(1000),
            };
            assert_eq!(Ticket::of_text(&ticket.to_text()), Some(ticket));
        }
    }

    #[test]
    fn a_ticket_is_for_an_address_a_caller_and_a_while() {
        let text = "scope=Patient&caller=anna&until=100&parameters=&unknown=x";
        let ticket = Ticket::of_text(text).unwrap();
        let why = |resource_type, caller, now| {
            ticket.is_not_for(
                &Scope::of_type(resource_type),
                caller,
                Instant::from_micros(now),
            )
        };
        assert_eq!(why("Patient", "anna", 99), None);
        for (resource_type, caller, now, told) in [
            ("Observation", "anna", 99, "is for a search at `Patient`"),
            ("Patient", "bert", 99, "somebody else"),
            ("Patient", "anna", 100, "has expired"),
        ] {
            let why = why(resource_type, caller, now).unwrap();
            assert!(why.contains(told), "{why}");
        }
        for wrong in ["until=x", "trail=r%3Dx", "start%23=00", "total=-1"] {
            assert_eq!(Ticket::of_text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pages_lead_forth_and_back() {
        let first = Place::first(Instant::from_micros(1));
        assert_eq!(first.previous(), None);
        let second = first.next(start(1, Vec::new()), Some(9));
        let third = second.next(start(2, Vec::new()), Some(9));
        assert_eq!(third.previous(), Some(second.clone()));
        let back = second.previous().unwrap();
        assert_eq!((back.start, back.trail), (None, Vec::new()));
        let cut = Place {
            is_trail_cut: true,
            ..second
        };
        assert_eq!(cut.previous(), None);
    }
}
