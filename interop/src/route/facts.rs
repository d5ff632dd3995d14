//! What is told of a message or document before it is mapped: who sent it, what it is, whom it is about. By this it is found again, and
//! by this it is decided what must wait for what.

use fhir_spec::time::DateTime;

use crate::formats::cda::{DocumentId, Header};
use crate::formats::hl7v2::{Dictionary, Field, Message, Repetition};
use crate::mapping::{Stamp, Zone};

/// Patients, visits and orders of one message that are looked at; one that has more is found by these.
pub const KEYS_MAX: usize = 1_000;
/// Characters of a value that is looked for.
pub const VALUE_MAX: usize = 200;

/// What documents are as messages: `CDA^34133-9`.
const DOCUMENT: &str = "CDA";

/// What is not said is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub sender_application: String,
    pub sender_facility: String,
    pub receiver_application: String,
    pub receiver_facility: String,
    pub control_id: String,
    /// MSH-9.1, MSH-9.2 (or EVN-1), and the structure that comes of them.
    pub kind: String,
    pub event: String,
    pub structure: String,
    pub version: String,
    /// The identifiers of all patients, those that are merged into another too: PID-2, PID-3, PID-4, MRG-1.
    pub patients: Vec<String>,
    /// PV1-19 and PV1-50.
    pub visits: Vec<String>,
    /// Placer and filler: ORC-2, ORC-3, OBR-2, OBR-3.
    pub orders: Vec<String>,
    /// When what it says was so: EVN-2, else OBR-22, else MSH-7, in microseconds since 1970 UTC.
    pub event_time_us: Option<i64>,
    /// What messages have in common that must not overtake each other: identifiers with their assigners.
    pub subjects: Vec<String>,
}

impl Facts {
    pub fn of(message: &Message<'_>, zone: &Zone) -> Self {
        let header = |field, component| short(message.of_header(field, component));
        let mut facts = Self {
            sender_application: header(3, 1),
            sender_facility: header(4, 1),
            receiver_application: header(5, 1),
            receiver_facility: header(6, 1),
            control_id: short(message.of_header(10, 1)),
            kind: header(9, 1),
            event: header(9, 2),
            version: header(12, 1),
            ..Self::default()
        };
        let structure = Dictionary::shipped().ok();
        let structure = structure.and_then(|known| {
            let version = crate::formats::hl7v2::Version::read(&facts.version);
            known.structure_name(version, &facts.kind, &facts.event, &header(9, 3))
        });
        facts.structure = structure.unwrap_or_default();
        facts.walk(message, zone);
        facts
    }

    /// Of a clinical document: its id is the control id, its code the event.
    pub fn of_document(header: &Header, zone: &Zone) -> Self {
        let mut facts = Self {
            sender_application: short(&header.author),
            sender_facility: short(&header.custodian),
            control_id: short(match header.id.extension.is_empty() {
                true => header.id.root.clone(),
                false => format!("{}^{}", header.id.root, header.id.extension),
            }),
            kind: DOCUMENT.to_owned(),
            event: short(&header.code),
            version: short(&header.version),
            event_time_us: moment(&header.time, zone),
            ..Self::default()
        };
        let number = |id: &DocumentId| {
            short(match id.extension.is_empty() {
                true => &id.root,
                false => &id.extension,
            })
        };
        for id in &header.patients {
            keep(
                &mut facts.subjects,
                short(format!("{}^{}", id.extension, id.root)),
            );
            keep(&mut facts.patients, number(id));
        }
        // Versions of one document do not overtake each other.
        if header.set != DocumentId::default() {
            let set = format!("\0set {}^{}", header.set.extension, header.set.root);
            keep(&mut facts.subjects, set);
        }
        for (ids, list) in [
            (&header.visits, &mut facts.visits),
            (&header.orders, &mut facts.orders),
        ] {
            ids.iter().for_each(|id| keep(list, number(id)));
        }
        facts
    }

    /// `ADT^A08^ADT_A01`, as far as it is said.
    pub fn kind_text(&self) -> String {
        let parts = [&*self.kind, &*self.event, &*self.structure];
        let count = parts.iter().rposition(|part| !part.is_empty());
        let parts = parts.get(..count.map_or(0, |last| last + 1));
        parts.unwrap_or_default().join("^")
    }

    fn walk(&mut self, message: &Message<'_>, zone: &Zone) {
        let mut said: [Option<i64>; 2] = [None, None];
        for segment in message.segments() {
            let field = |number| segment.field(number);
            match segment.name() {
                "EVN" => {
                    let event = field(1).and_then(|field| field.value()).map(short);
                    if let (true, Some(event)) = (self.event.is_empty(), event) {
                        self.event = event;
                    }
                    said[0] = said[0].or_else(|| moment(field(2)?.component(1)?.value()?, zone));
                }
                "PID" => {
                    for number in [3, 2, 4] {
                        self.patient(field(number));
                    }
                }
                "MRG" => self.patient(field(1)),
                "PV1" => {
                    for number in [19, 50] {
                        note(&mut self.visits, field(number));
                    }
                }
                "ORC" | "OBR" => {
                    for number in [2, 3] {
                        note(&mut self.orders, field(number));
                    }
                    if segment.name() == "OBR" && said[1].is_none() {
                        let status_changed = || field(22)?.component(1)?.value();
                        // A day is too long to tell which of two reports came later.
                        said[1] = status_changed()
                            .filter(|text| text.len() >= "2026010203".len())
                            .and_then(|text| moment(text, zone));
                    }
                }
                _ => {}
            }
        }
        let [recorded, reported] = said;
        self.event_time_us = recorded
            .or(reported)
            .or_else(|| moment(message.of_header(7, 1), zone));
    }

    fn patient(&mut self, field: Option<Field<'_>>) {
        for repetition in field.iter().flat_map(Field::repetitions) {
            let Some(id) = value(&repetition, 1) else {
                continue;
            };
            let assigner = repetition
                .component(4)
                .and_then(|component| component.subcomponent(1)?.value());
            let subject = format!("{id}^{}", short(assigner.unwrap_or_default()));
            keep(&mut self.subjects, subject);
            keep(&mut self.patients, id);
        }
    }
}

fn note(list: &mut Vec<String>, field: Option<Field<'_>>) {
    for repetition in field.iter().flat_map(Field::repetitions) {
        if let Some(id) = value(&repetition, 1) {
            keep(list, id);
        }
    }
}

fn value(repetition: &Repetition<'_>, component: usize) -> Option<String> {
    let value = repetition.component(component)?.value()?;
    let value = short(value);
    (!value.is_empty()).then_some(value)
}

fn keep(list: &mut Vec<String>, value: String) {
    if list.len() < KEYS_MAX && !list.contains(&value) {
        list.push(value);
    }
}

/// Bounded, and without what no database takes in a text.
fn short(text: impl AsRef<str>) -> String {
    let text = text.as_ref().trim();
    if text == "\"\"" {
        return String::new();
    }
    text.chars()
        .filter(|letter| *letter != '\0')
        .take(VALUE_MAX)
        .collect()
}

fn moment(text: impl AsRef<str>, zone: &Zone) -> Option<i64> {
    let stamp = Stamp::parse(text.as_ref())?;
    let offset = zone.offset_at(&stamp);
    let text = stamp.to_date_time(stamp.offset.unwrap_or(offset));
    let (from, _) = DateTime::parse_fhir(&text)?.interval(offset);
    Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::Text;

    fn facts(message: &str) -> Facts {
        let text = Text::decoded(message);
        Facts::of(&text.message().unwrap(), &Zone::parse("+01:00").unwrap())
    }

    #[test]
    fn a_merge_is_about_both_patients() {
        let found = facts(
            "MSH|^~\\&|APP^1|FAC|US|HERE|20260101||ADT^A40|id&7|P|2.5.1\rEVN|A40|20260102030405\r\
             PID|1||A^^^H&1.2&ISO~B^^^H^MR\rMRG|C^^^H\rPV1|1|I|||||||||||||||||V1\r",
        );
        assert_eq!(found.sender_application, "APP");
        assert_eq!(found.kind_text(), "ADT^A40^ADT_A39");
        assert_eq!(found.patients, ["A", "B", "C"]);
        assert_eq!(found.subjects, ["A^H", "B^H", "C^H"]);
        assert_eq!(found.visits, ["V1"]);
        assert_eq!(found.event_time_us, Some(1_767_319_445_000_000));
        assert_eq!(found.control_id, "id&7");
    }

    #[test]
    fn an_order_has_two_numbers_and_a_report_its_time() {
        let found = facts(
            "MSH|^~\\&|||||2026||ORU^R01^ORU_R01|1|P|2.5\rPID|||\"\"\rORC|RE|P1^X|F1\rOBR|1|P1|F1|||||||||||||||||||20260102030405Z\r",
        );
        assert_eq!(found.orders, ["P1", "F1"]);
        assert!(found.patients.is_empty() && found.subjects.is_empty());
        assert_eq!(found.event_time_us, Some(1_767_323_045_000_000));
        let old = facts("MSH|^~\\&|||||2026||ADT|1|P|2.1\rEVN|A01|no time\r");
        assert_eq!((old.kind.as_str(), old.event.as_str()), ("ADT", "A01"));
        assert_eq!(old.event_time_us, Some(1_767_222_000_000_000));
    }
}
