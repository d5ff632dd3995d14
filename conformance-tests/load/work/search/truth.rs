//! What must be found: all patients are told by seed and number.

use std::collections::{BTreeSet, HashMap};

use super::super::Known;
use super::Question;
use crate::Fallible;
use crate::patients::{self, Dice, ENCOUNTERS, Entry, FIRST_YEAR, HEART_RATE, LOINC, MRN};

pub(super) type Ask = fn(&Truth<'_>, &mut Dice) -> Fallible<Question>;

pub(super) struct Truth<'k> {
    seed: u64,
    known: &'k Known,
    by_family: HashMap<String, Vec<&'k Numbered>>,
    by_rare_code: HashMap<String, BTreeSet<String>>,
}

/// The number of a patient and its `Patient/id`.
type Numbered = (u64, String);

impl<'k> Truth<'k> {
    pub(super) fn new(seed: u64, known: &'k Known) -> Self {
        let (mut by_family, mut by_rare_code) = (HashMap::new(), HashMap::new());
        for patient in &known.patients {
            let (number, path) = patient;
            let family: &mut Vec<_> = by_family
                .entry(patients::family(seed, *number))
                .or_default();
            family.push(patient);
            if let Some(code) = patients::rare(seed, *number) {
                let having: &mut BTreeSet<_> = by_rare_code.entry(code).or_default();
                having.insert(path.clone());
            }
        }
        Self {
            seed,
            known,
            by_family,
            by_rare_code,
        }
    }

    fn patient(&self, dice: &mut Dice) -> Fallible<&'k Numbered> {
        Ok(dice.pick(&self.known.patients).ok_or("no patients")?)
    }

    /// What was imported with a patient, each with its `Type/id`.
    fn entries(&self, number: u64) -> impl Iterator<Item = (Entry, &'k str)> + use<'_, 'k> {
        let begin = self
            .known
            .begins
            .get(&number)
            .copied()
            .unwrap_or(usize::MAX);
        let paths = self.known.paths.iter().skip(begin);
        patients::entries(self.seed, number)
            .into_iter()
            .zip(paths)
            .map(|(entry, path)| (entry, &**path))
    }

    fn of_type(&self, number: u64, resource_type: &str) -> BTreeSet<String> {
        let entries = self
            .entries(number)
            .filter(|(entry, _)| entry.resource_type == resource_type);
        entries.map(|(_, path)| path.to_owned()).collect()
    }

    /// All of a patient's: the imported ones, and those that were created one by one.
    fn observations(&self, (number, path): &Numbered) -> BTreeSet<String> {
        let mut all = self.of_type(*number, "Observation");
        all.extend(self.known.created.get(path).into_iter().flatten().cloned());
        all
    }

    pub(super) fn heart_rates(&self) -> u64 {
        let imported = u64::try_from(self.known.patients.len()).unwrap_or(0) * ENCOUNTERS;
        let created: usize = self.known.created.values().map(Vec::len).sum();
        imported + u64::try_from(created).unwrap_or(0)
    }

    /// The address of a page of all heart rates.
    pub(super) fn many(page: usize) -> String {
        format!("/fhir/Observation?code={LOINC}%7C{HEART_RATE}&_count={page}")
    }

    pub(super) fn identifier(&self, dice: &mut Dice) -> Fallible<Question> {
        let (number, path) = self.patient(dice)?;
        Ok(Question {
            path: format!(
                "/fhir/Patient?identifier={MRN}%7C{}",
                patients::mrn(*number)
            ),
            wanted: BTreeSet::from([path.clone()]),
            total: Some(1),
        })
    }

    pub(super) fn family(&self, dice: &mut Dice) -> Fallible<Question> {
        let family = patients::family(self.seed, self.patient(dice)?.0);
        let wanted = self.by_family.get(&family).into_iter().flatten();
        let wanted: BTreeSet<String> = wanted.map(|(_, path)| path.clone()).collect();
        Ok(Question {
            path: format!("/fhir/Patient?family={family}&_count=50"),
            total: u64::try_from(wanted.len()).ok(),
            wanted,
        })
    }

    /// Heart rates of three years.
    pub(super) fn dates(&self, dice: &mut Dice) -> Fallible<Question> {
        const YEARS: u64 = 3;
        let (number, path) = self.patient(dice)?;
        let from = FIRST_YEAR + dice.below(ENCOUNTERS - YEARS);
        let to = from + YEARS;
        let mut years = (from..to).map(|year| format!(r#""effectiveDateTime":"{year}-"#));
        let years: Vec<String> = years.by_ref().collect();
        let code = format!(r#""code":"{HEART_RATE}""#);
        let entries = self.entries(*number).filter(|(entry, _)| {
            entry.json.contains(&code) && years.iter().any(|year| entry.json.contains(year))
        });
        let wanted: BTreeSet<String> = entries.map(|(_, path)| path.to_owned()).collect();
        let id = path.trim_start_matches("Patient/");
        Ok(Question {
            path: format!(
                "/fhir/Observation?patient={id}&code={LOINC}%7C{HEART_RATE}&date=ge{from}-01-01&date=lt{to}-01-01&_sort=-date&_count=50"
            ),
            total: Some(YEARS),
            wanted,
        })
    }

    pub(super) fn chain(&self, dice: &mut Dice) -> Fallible<Question> {
        let family = patients::family(self.seed, self.patient(dice)?.0);
        let patients = self.by_family.get(&family).into_iter().flatten();
        let wanted: BTreeSet<String> = patients
            .flat_map(|patient| self.observations(patient))
            .collect();
        Ok(Question {
            path: format!("/fhir/Observation?patient.family={family}&_count=50"),
            total: u64::try_from(wanted.len()).ok(),
            wanted,
        })
    }

    pub(super) fn has(&self, dice: &mut Dice) -> Fallible<Question> {
        let code = patients::rare_code(dice.below(patients::RARE_CODES));
        let wanted = self.by_rare_code.get(&code).cloned().unwrap_or_default();
        Ok(Question {
            path: format!("/fhir/Patient?_has:Observation:patient:code={LOINC}%7C{code}&_count=50"),
            total: u64::try_from(wanted.len()).ok(),
            wanted,
        })
    }

    pub(super) fn include(&self, dice: &mut Dice) -> Fallible<Question> {
        let patient = self.patient(dice)?;
        let (number, path) = patient;
        let mut wanted = self.observations(patient);
        let total = u64::try_from(wanted.len()).ok();
        wanted.extend(self.of_type(*number, "Encounter"));
        wanted.insert(path.clone());
        let id = path.trim_start_matches("Patient/");
        Ok(Question {
            path: format!(
                "/fhir/Observation?patient={id}&_count=10&_include=Observation:patient&_include=Observation:encounter"
            ),
            wanted,
            total,
        })
    }

    pub(super) fn revinclude(&self, dice: &mut Dice) -> Fallible<Question> {
        let (number, path) = self.patient(dice)?;
        let mut wanted = self.of_type(*number, "Condition");
        wanted.insert(path.clone());
        Ok(Question {
            path: format!(
                "/fhir/Patient?identifier={MRN}%7C{}&_revinclude=Condition:patient",
                patients::mrn(*number)
            ),
            wanted,
            total: Some(1),
        })
    }

    pub(super) fn count(&self, _: &mut Dice) -> Fallible<Question> {
        Ok(Question {
            path: format!("/fhir/Observation?code={LOINC}%7C{HEART_RATE}&_summary=count"),
            wanted: BTreeSet::new(),
            total: Some(self.heart_rates()),
        })
    }
}
