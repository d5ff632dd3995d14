//! What somebody may do: layers of grants that all must allow it, and what is denied whatever they say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use search::Registry;
use search::condition::Condition;
use search::query::{self, Handling, Settings};

use super::{AUDITED, Action, Letters, Level, Reach, Scope};

/// Types that belong to nobody in particular and that the records of patients refer to.
/// A grant for a patient lets them be read where it names them or all types.
const SHARED: &[&str] = &[
    "CodeSystem",
    "ConceptMap",
    "Endpoint",
    "HealthcareService",
    "Library",
    "Location",
    "Medication",
    "MedicationKnowledge",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "Substance",
    "ValueSet",
];

/// What tells what is withheld.
const CONSENT: &str = "Consent";

/// Codes of confidentiality that only those with clearance see.
/// <https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html>
const SENSITIVE: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R,\
     http://terminology.hl7.org/CodeSystem/v3-Confidentiality|V";

/// A right to do something with resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub scope: Scope,
    /// Whose record it is about. Without one a grant of the level `patient` allows nothing.
    pub patient: Option<String>,
}

/// A right that is not about resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// To hand in messages and documents of others.
    Submit,
    /// To see messages of others and what became of them.
    Messages,
    /// To arrange routes and overlays.
    Arrange,
    /// To see how searches are done.
    Explain,
    /// To look after the store as a whole.
    Maintain,
    /// To see the metrics.
    Watch,
    /// To ask what the tokens of others are good for.
    Introspect,
}

/// What rights are made of.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    /// Of each layer one grant must allow it: what the app may, what the person may.
    pub layers: Vec<Vec<Grant>>,
    /// What none of these may be: it counts more than any grant.
    pub denied: Vec<Grant>,
    pub privileges: Vec<Privilege>,
    /// Whether what is labelled as restricted may be seen.
    pub clearance: bool,
    /// Whether `*` means the audit too. Else it does not: the audit must be named.
    pub audits: bool,
    /// What patients have refused to let be seen: it is denied like the rest, but not in an emergency.
    pub withheld: Vec<Grant>,
    /// Whether they may break the glass.
    pub emergency: bool,
    /// By what they are.
    pub roles: Vec<&'static str>,
}

/// What was granted, and what it comes to among the resources of each type.
#[derive(Debug)]
pub struct Rights {
    granted: Granted,
    registry: Arc<Registry>,
    known: Mutex<HashMap<Asked, Reach>>,
}

/// What of a type may be reached for which purpose, and whether labels of it count.
type Asked = (&'static str, Letters, bool);

impl Rights {
    pub fn new(granted: Granted, registry: Arc<Registry>) -> Self {
        Self {
            granted,
            registry,
            known: Mutex::default(),
        }
    }

    /// The same, less or more than was granted.
    pub fn governed(&self, change: impl FnOnce(&mut Granted)) -> Self {
        let mut granted = self.granted.clone();
        change(&mut granted);
        Self::new(granted, Arc::clone(&self.registry))
    }

    /// With what is labelled as restricted and what patients have withheld; None: they may not break the glass.
    pub(super) fn in_emergency(&self) -> Option<Self> {
        let opened = |granted: &mut Granted| {
            granted.clearance = true;
            granted.withheld = Vec::new();
        };
        self.granted.emergency.then(|| self.governed(opened))
    }

    /// By what resources are found, as it was when these rights were looked up.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Whether there is anything of the kind that they may do. What of it, the reach says.
    pub(super) fn allow(&self, action: Action) -> bool {
        let letters = |letters, resource_type| self.reach(resource_type, letters) != Reach::Nothing;
        let has = |privilege| self.granted.privileges.contains(&privilege);
        match action {
            Action::Create(name) => letters(Letters::CREATE, name),
            Action::Read(name) | Action::Versions(name) => letters(Letters::READ, name),
            Action::Update(name) => letters(Letters::UPDATE, name),
            Action::Delete(name) => letters(Letters::DELETE, name),
            Action::Search(name) | Action::History(Some(name)) => letters(Letters::SEARCH, name),
            // What comes along and what is listed is asked about one by one.
            Action::Include => true,
            Action::History(None) => {
                let finds = |grant: &Grant| grant.scope.letters.has_any(Letters::SEARCH);
                let layers = &self.granted.layers;
                !layers.is_empty() && layers.iter().all(|layer| layer.iter().any(finds))
            }
            // Operations ask for what they touch.
            Action::Invoke(_) => self.granted.layers.iter().all(|layer| !layer.is_empty()),
            Action::Explain => has(Privilege::Explain),
            Action::Submit => has(Privilege::Submit),
            Action::Messages => has(Privilege::Messages),
            Action::Arrange => has(Privilege::Arrange),
            Action::Maintain | Action::Deliver => has(Privilege::Maintain),
            Action::Watch => has(Privilege::Watch),
            Action::Introspect => has(Privilege::Introspect),
            // These are the server's own.
            Action::Follow | Action::Admit | Action::Note => false,
        }
    }

    /// How far the rights to do one of these reach among the resources of a type.
    pub fn reach(&self, resource_type: &'static str, letters: Letters) -> Reach {
        self.reach_of((resource_type, letters, true))
    }

    /// The same for what is about to be written: whoever writes may label what they write.
    pub fn reach_of_new(&self, resource_type: &'static str, letters: Letters) -> Reach {
        self.reach_of((resource_type, letters, false))
    }

    fn reach_of(&self, key: Asked) -> Reach {
        let known = self.lock().get(&key).cloned();
        if let Some(known) = known {
            return known;
        }
        let reach = self.made(key);
        self.lock().insert(key, reach.clone());
        reach
    }

    fn made(&self, (resource_type, letters, labels_count): Asked) -> Reach {
        let counting = |grants: &'_ [Grant]| -> Vec<Grant> {
            let counts = |grant: &&Grant| {
                let scope = &grant.scope;
                let is_of_type = match scope.resource_type {
                    None => resource_type != AUDITED || self.granted.audits,
                    Some(name) => name == resource_type,
                };
                is_of_type && scope.letters.has_any(letters)
            };
            grants.iter().filter(counts).cloned().collect()
        };
        // Nobody changes what the audit says.
        let changes = Letters::CREATE.and(Letters::UPDATE).and(Letters::DELETE);
        if resource_type == AUDITED && letters.has_any(changes) {
            return Reach::Nothing;
        }
        let mut all = Vec::new();
        for layer in &self.granted.layers {
            let ways = counting(layer).into_iter();
            // What cannot be held to allows nothing,
            let ways = ways.map(|grant| self.of(&grant, resource_type, letters));
            all.push(Reach::any(
                ways.map(|way| way.unwrap_or(Reach::Nothing)).collect(),
            ));
        }
        if all.is_empty() {
            return Reach::Nothing;
        }
        let mut denied = counting(&self.granted.denied);
        // That something is withheld is to be seen.
        if !matches!(resource_type, AUDITED | CONSENT) {
            denied.extend(counting(&self.granted.withheld));
        }
        let denied = denied.into_iter();
        // and denies everything.
        let denied = denied.map(|grant| self.of_denied(&grant, resource_type, letters));
        let denied = denied.map(|way| way.unwrap_or(Reach::All)).collect();
        all.push(Reach::any(denied).outside());
        if labels_count && !self.granted.clearance {
            let sensitive = [("_security".to_owned(), SENSITIVE.to_owned())];
            let sensitive = self.searched(resource_type, &sensitive);
            all.push(sensitive.unwrap_or(Reach::All).outside());
        }
        Reach::every(all)
    }

    /// None: it cannot be held to.
    fn of(&self, grant: &Grant, resource_type: &'static str, letters: Letters) -> Option<Reach> {
        let filter = match grant.scope.filter.is_empty() {
            true => Reach::All,
            false => self.searched(resource_type, &grant.scope.filter)?,
        };
        Some(match grant.scope.level {
            Level::User | Level::System => filter,
            Level::Patient => Reach::every(vec![
                self.of_patient(grant.patient.as_deref(), resource_type, letters),
                filter,
            ]),
        })
    }

    /// The same of what is denied: of what belongs to nobody, a patient withholds nothing.
    fn of_denied(
        &self,
        grant: &Grant,
        resource_type: &'static str,
        letters: Letters,
    ) -> Option<Reach> {
        let is_of_patient = grant.scope.level == Level::Patient;
        match is_of_patient && SHARED.contains(&resource_type) {
            true => Some(Reach::Nothing),
            false => self.of(grant, resource_type, letters),
        }
    }

    /// What belongs to the patient.
    fn of_patient(&self, patient: Option<&str>, resource_type: &str, letters: Letters) -> Reach {
        let Some(patient) = patient else {
            return Reach::Nothing;
        };
        if resource_type == "Patient" {
            // Others whom the record names as the same person are others until somebody says so.
            return Reach::Within(Arc::new(Condition::Id(vec![patient.to_owned()])));
        }
        if let Some(own) = query::compartment(&self.registry, "Patient", patient, resource_type) {
            return Reach::Within(Arc::new(own));
        }
        let looks = !letters.has_any(Letters::CREATE.and(Letters::UPDATE).and(Letters::DELETE));
        match looks && SHARED.contains(&resource_type) {
            true => Reach::All,
            false => Reach::Nothing,
        }
    }

    /// What a search of the type would find. None: it cannot be searched for.
    fn searched(&self, resource_type: &str, parameters: &[(String, String)]) -> Option<Reach> {
        let settings = Settings {
            handling: Handling::Strict,
            now: 0,
        };
        let query = query::parse(&self.registry, resource_type, parameters, settings).ok()?;
        let conditions = query.criteria.into_iter().map(|one| one.condition);
        let all = conditions.map(|one| Reach::Within(Arc::new(one)));
        Some(Reach::every(all.collect()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, Reach>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::definitions::Definitions;
    use fhir_spec::json::parse;
    use search::extract;
    use search::matching::Subject;

    use super::*;

    fn granted(layers: &[&[&str]]) -> Granted {
        let grant = |scope: &&str| Grant {
            scope: Scope::parse(scope).unwrap(),
            patient: Some("1".to_owned()),
        };
        let layers = layers.iter();
        Granted {
            layers: layers
                .map(|layer| layer.iter().map(grant).collect())
                .collect(),
            ..Granted::default()
        }
    }

    fn of(granted: Granted) -> Rights {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        Rights::new(granted, Arc::new(Registry::new(Arc::new(definitions))))
    }

    fn rights(layers: &[&[&str]]) -> Rights {
        of(granted(layers))
    }

    fn reaches(rights: &Rights, letters: Letters, document: &str) -> bool {
        let document = parse(document.as_bytes()).unwrap();
        let name = crate::accept::resource_type(document.str_of("resourceType").unwrap()).unwrap();
        let id = document.str_of("id").unwrap().to_owned();
        let rows = extract::rows(rights.registry(), &document).rows;
        let subject = Subject {
            resource_type: name,
            id: &id,
            at: 0,
            rows: &rows,
        };
        rights.reach(name, letters).has(&subject)
    }

    fn observation(patient: &str, category: &str, label: &str) -> String {
        format!(
            r#"{{"resourceType":"Observation","id":"o","meta":{{"security":[{{
            "system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"{label}"}}]}},
            "status":"final","code":{{"text":"x"}},"category":[{{"coding":[{{"code":"{category}"}}]}}],
            "subject":{{"reference":"Patient/{patient}"}}}}"#
        )
    }

    #[test]
    fn a_patient_s_grant_reaches_the_record_of_the_patient() {
        let rights = rights(&[&["patient/*.rs"]]);
        let has = |document: &str| reaches(&rights, Letters::READ, document);
        assert!(has(&observation("1", "laboratory", "N")));
        assert!(!has(&observation("2", "laboratory", "N")));
        assert!(has(r#"{"resourceType":"Patient","id":"1"}"#));
        assert!(!has(
            r#"{"resourceType":"Patient","id":"2","link":[{"other":{"reference":"Patient/1"},"type":"seealso"}]}"#
        ));
        assert!(has(r#"{"resourceType":"Practitioner","id":"p"}"#));
        assert!(!has(r#"{"resourceType":"Subscription","id":"s"}"#));
        assert_eq!(rights.reach("Observation", Letters::UPDATE), Reach::Nothing);
        assert_eq!(rights.reach("Binary", Letters::READ), Reach::Nothing);
    }

    /// F12, SM-11, and what is labelled.
    #[test]
    fn grants_add_up_layers_do_not_and_labels_hide() {
        let both = rights(&[&[
            "user/Observation.rs?category=laboratory",
            "user/Observation.rs?category=survey",
        ]]);
        let laboratory = observation("1", "laboratory", "N");
        assert!(reaches(&both, Letters::SEARCH, &laboratory));
        assert!(reaches(
            &both,
            Letters::SEARCH,
            &observation("2", "survey", "N")
        ));
        assert!(!reaches(
            &both,
            Letters::SEARCH,
            &observation("1", "imaging", "N")
        ));
        assert!(!reaches(
            &both,
            Letters::SEARCH,
            &observation("1", "laboratory", "R")
        ));
        let layered = rights(&[&["user/Observation.rs"], &["patient/Observation.rs"]]);
        assert!(reaches(&layered, Letters::SEARCH, &laboratory));
        assert!(!reaches(
            &layered,
            Letters::SEARCH,
            &observation("2", "laboratory", "N")
        ));
        let mut cleared = granted(&[&["user/Observation.rs"]]);
        cleared.clearance = true;
        let sees = of(cleared.clone());
        assert!(reaches(
            &sees,
            Letters::SEARCH,
            &observation("1", "laboratory", "R")
        ));
        assert_eq!(sees.reach("Observation", Letters::SEARCH), Reach::All);
        cleared.denied = granted(&[&["patient/Observation.rs"]]).layers.remove(0);
        let denied = of(cleared);
        assert!(!reaches(&denied, Letters::SEARCH, &laboratory));
        assert!(reaches(
            &denied,
            Letters::SEARCH,
            &observation("2", "laboratory", "N")
        ));
    }

    /// T-3: without a patient nothing of a patient's is reached.
    #[test]
    fn nothing_is_reached_without_grants_or_a_patient() {
        assert_eq!(rights(&[]).reach("Patient", Letters::READ), Reach::Nothing);
        assert_eq!(
            rights(&[&[]]).reach("Patient", Letters::READ),
            Reach::Nothing
        );
        let mut nobody = granted(&[&["patient/*.cruds"]]);
        nobody.layers[0][0].patient = None;
        let nobody = of(nobody);
        assert_eq!(nobody.reach("Patient", Letters::READ), Reach::Nothing);
        assert_eq!(nobody.reach("Practitioner", Letters::READ), Reach::Nothing);
        assert!(!nobody.allow(Action::Read("Observation")));
        assert!(!nobody.allow(Action::Messages));
    }
}
