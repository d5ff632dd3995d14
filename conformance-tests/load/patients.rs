//! Patients as Synthea writes them: about a hundred resources and 80 KB each, told by seed and number alone.
//!
//! Nothing is stored: whoever knows seed and number knows what the server must answer.

use std::fmt::Write as _;

pub(crate) const MRN: &str = "http://hospital.example/mrn";
pub(crate) const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
/// One a year, from this year on.
pub(crate) const ENCOUNTERS: u64 = 10;
pub(crate) const FIRST_YEAR: u64 = 2012;
/// Measured at each encounter.
pub(crate) const HEART_RATE: &str = "8867-4";
/// Codes that few patients have.
pub(crate) const RARE_CODES: u64 = 40;
/// One family name in so many is the same.
pub(crate) const FAMILIES: u64 = 500;

const FAMILY: &[&str] = &[
    "Abernathy",
    "Bauch",
    "Collier",
    "Dietrich",
    "Emard",
    "Feeney",
    "Grimes",
    "Hane",
    "Iverson",
    "Jast",
    "Kuhlman",
    "Lesch",
    "Mraz",
    "Nolan",
    "Orn",
    "Pfeffer",
    "Quigley",
    "Rath",
    "Satterfield",
    "Treutel",
    "Ullrich",
    "Volkman",
    "Weimann",
    "Yost",
    "Zieme",
];
const GIVEN: &[&str] = &[
    "Ada", "Basil", "Clara", "Dario", "Edith", "Fritz", "Greta", "Henry", "Iris", "Jonas", "Karla",
    "Louis", "Mina", "Noah", "Olga", "Pablo", "Rosa", "Simon", "Tessa", "Ulf",
];
const CITY: &[&str] = &[
    "Boston",
    "Lowell",
    "Lynn",
    "Newton",
    "Quincy",
    "Salem",
    "Worcester",
];
const CONDITION: &[(&str, &str)] = &[
    ("59621000", "Essential hypertension (disorder)"),
    ("44054006", "Diabetes mellitus type 2 (disorder)"),
    ("195662009", "Acute viral pharyngitis (disorder)"),
    ("10509002", "Acute bronchitis (disorder)"),
    ("271737000", "Anemia (disorder)"),
    ("55822004", "Hyperlipidemia (disorder)"),
    ("40055000", "Chronic sinusitis (disorder)"),
];
const DRUG: &[(&str, &str)] = &[
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("312961", "Simvastatin 20 MG Oral Tablet"),
    ("308136", "amLODIPine 2.5 MG Oral Tablet"),
    ("310798", "Hydrochlorothiazide 25 MG Oral Tablet"),
    ("313782", "Acetaminophen 325 MG Oral Tablet"),
];
/// Code, name, unit, lowest and highest tenth.
type Measured<'t> = (&'t str, &'t str, &'t str, u64, u64);
const VITAL: &[Measured<'static>] = &[
    (HEART_RATE, "Heart rate", "/min", 550, 1050),
    ("29463-7", "Body weight", "kg", 450, 1200),
    ("8302-2", "Body height", "cm", 1450, 2000),
    (
        "39156-5",
        "Body mass index (BMI) [Ratio]",
        "kg/m2",
        170,
        420,
    ),
    ("9279-1", "Respiratory rate", "/min", 110, 200),
];
const LAB: &[Measured<'static>] = &[
    (
        "4548-4",
        "Hemoglobin A1c/Hemoglobin.total in Blood",
        "%",
        45,
        100,
    ),
    (
        "2093-3",
        "Cholesterol [Mass/volume] in Serum or Plasma",
        "mg/dL",
        1200,
        3000,
    ),
    (
        "2339-0",
        "Glucose [Mass/volume] in Blood",
        "mg/dL",
        650,
        2200,
    ),
    (
        "38483-4",
        "Creatinine [Mass/volume] in Blood",
        "mg/dL",
        5,
        25,
    ),
];

/// Chance that comes out the same each time (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let bound = u64::try_from(from.len()).unwrap_or(1);
        from.get(usize::try_from(self.below(bound)).unwrap_or(0))
    }

    fn text(&mut self, from: &[&'static str]) -> &'static str {
        self.pick(from).copied().unwrap_or_default()
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | (b >> 48) & 0x3fff,
            b & 0xffff_ffff_ffff
        )
    }
}

/// A resource as it stands in a bundle; references are `urn:uuid:`.
pub(crate) struct Entry {
    pub(crate) resource_type: &'static str,
    pub(crate) uuid: String,
    pub(crate) json: String,
}

/// The family name of a patient.
pub(crate) fn family(seed: u64, number: u64) -> String {
    let name = Dice::new(seed ^ number.wrapping_mul(0x1000_0001)).below(FAMILIES);
    let stem = FAMILY.get(usize::try_from(name % 25).unwrap_or(0));
    // Three digits, as Synthea does it: no name begins with another.
    format!(
        "{}{}",
        stem.copied().unwrap_or_default(),
        100 + name / 25 * 7
    )
}

pub(crate) fn mrn(number: u64) -> String {
    format!("MRN-{number:08}")
}

/// A code that one patient in a hundred has; None for most.
pub(crate) fn rare(seed: u64, number: u64) -> Option<String> {
    let mut dice = Dice::new(seed.rotate_left(17) ^ number.wrapping_mul(0xA24B_AED4_963E_E407));
    (dice.below(100) < 40).then(|| rare_code(dice.below(RARE_CODES)))
}

pub(crate) fn rare_code(which: u64) -> String {
    format!("{}-{}", 70_000 + which * 37, which % 10)
}

/// A transaction that creates all of a patient's entries.
pub(crate) fn transaction(entries: &[Entry]) -> String {
    let mut text = String::with_capacity(110_000);
    text.push_str(r#"{"resourceType":"Bundle","type":"transaction","entry":["#);
    for (index, entry) in entries.iter().enumerate() {
        let Entry {
            resource_type,
            uuid,
            json,
        } = entry;
        let comma = if index == 0 { "" } else { "," };
        let written = write!(
            text,
            r#"{comma}{{"fullUrl":"urn:uuid:{uuid}","resource":{json},"request":{{"method":"POST","url":"{resource_type}"}}}}"#
        );
        debug_assert!(written.is_ok());
    }
    text.push_str("]}");
    text
}

/// Everything about one patient, the Patient first.
pub(crate) fn entries(seed: u64, number: u64) -> Vec<Entry> {
    let mut record = Record {
        dice: Dice::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ number),
        patient: String::new(),
        entries: Vec::with_capacity(110),
    };
    let family = family(seed, number);
    let patient = patient(&mut record.dice, number, &family);
    record.patient = format!("urn:uuid:{}", record.add("Patient", patient));
    let encounters: Vec<_> = (0..ENCOUNTERS).map(|year| record.encounter(year)).collect();
    for (year, (encounter, date)) in encounters.iter().enumerate() {
        record.vitals(encounter, date);
        if year % 5 == 2 {
            record.report(encounter, date);
        }
    }
    if let (Some(code), Some((encounter, date))) = (rare(seed, number), encounters.first()) {
        let measured = (&*code, "Rare analyte", "ng/mL", 10, 90);
        record.measure(encounter, date, "laboratory", &measured);
    }
    let others: [(u32, About); 3] = [
        (8, Record::condition),
        (8, Record::order),
        (3, Record::procedure),
    ];
    for (count, about) in others {
        for _ in 0..count {
            if let Some((encounter, date)) = record.dice.pick(&encounters) {
                about(&mut record, encounter, date);
            }
        }
    }
    record.entries
}

type About = fn(&mut Record, &str, &str);

struct Record {
    dice: Dice,
    patient: String,
    entries: Vec<Entry>,
}

pub(crate) fn patient(dice: &mut Dice, number: u64, family: &str) -> String {
    let (given, city) = (dice.text(GIVEN), dice.text(CITY));
    let (gender, house) = (dice.text(&["male", "female"]), dice.below(999));
    let born = format!(
        "{}-{:02}-{:02}",
        1935 + dice.below(70),
        1 + dice.below(12),
        1 + dice.below(28)
    );
    let phone = format!("555-{:03}-{:04}", dice.below(1000), dice.below(10_000));
    let mrn = mrn(number);
    format!(
        r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Invented patient {given} {family}, made for load tests.</div>"}},"identifier":[{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}}],"text":"Medical Record Number"}},"system":"{MRN}","value":"{mrn}"}},{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-{:02}-{:04}"}}],"name":[{{"use":"official","family":"{family}","given":["{given}"],"prefix":["Mx."]}}],"telecom":[{{"system":"phone","value":"{phone}","use":"home"}}],"gender":"{gender}","birthDate":"{born}","address":[{{"line":["{house} Example Street"],"city":"{city}","state":"MA","postalCode":"0{}","country":"US"}}],"maritalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}}],"text":"M"}},"multipleBirthBoolean":false,"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"en-US","display":"English (United States)"}}],"text":"English (United States)"}}}}]}}"#,
        number / 10_000 % 100,
        number % 10_000,
        1000 + dice.below(1700)
    )
}

/// A CodeableConcept.
fn concept(system: &str, code: &str, display: &str) -> String {
    format!(
        r#"{{"coding":[{{"system":"{system}","code":"{code}","display":"{display}"}}],"text":"{display}"}}"#
    )
}

fn quantity(tenths: u64, unit: &str) -> String {
    format!(
        r#"{{"value":{}.{},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}"#,
        tenths / 10,
        tenths % 10
    )
}

/// An Observation of a patient; `rest` holds its value and what else belongs to it.
pub(crate) fn observation(
    subject: &str,
    category: &str,
    code: &str,
    date: &str,
    rest: &str,
) -> String {
    let category_system = "http://terminology.hl7.org/CodeSystem/observation-category";
    let category = concept(
        category_system,
        category,
        if category == "laboratory" {
            "Laboratory"
        } else {
            "Vital Signs"
        },
    );
    format!(
        r#"{{"resourceType":"Observation","status":"final","category":[{category}],"code":{code},"subject":{{"reference":"{subject}"}},"effectiveDateTime":"{date}","issued":"{date}",{rest}}}"#
    )
}

/// One more heart rate, as a device would send it.
pub(crate) fn heart_rate(subject: &str, dice: &mut Dice) -> String {
    let value = quantity(550 + dice.below(500), "/min");
    let date = format!(
        "2024-{:02}-{:02}T{:02}:00:00Z",
        1 + dice.below(12),
        1 + dice.below(28),
        dice.below(24)
    );
    let code = concept(LOINC, HEART_RATE, "Heart rate");
    observation(
        subject,
        "vital-signs",
        &code,
        &date,
        &format!(r#""valueQuantity":{value}"#),
    )
}

impl Record {
    fn add(&mut self, resource_type: &'static str, json: String) -> String {
        let uuid = self.dice.uuid();
        self.entries.push(Entry {
            resource_type,
            uuid: uuid.clone(),
            json,
        });
        uuid
    }

    /// Its reference, and the day and hour it began.
    fn encounter(&mut self, year: u64) -> (String, String) {
        let (month, day) = (1 + self.dice.below(12), 1 + self.dice.below(28));
        let (hour, minute) = (8 + self.dice.below(9), self.dice.below(60));
        let date = format!(
            "{}-{month:02}-{day:02}T{hour:02}:{minute:02}",
            FIRST_YEAR + year
        );
        let what = concept(
            SNOMED,
            "162673000",
            "General examination of patient (procedure)",
        );
        let (code, display) = self.dice.pick(CONDITION).copied().unwrap_or_default();
        let reason = concept(SNOMED, code, display);
        let json = format!(
            r#"{{"resourceType":"Encounter","status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB","display":"ambulatory"}},"type":[{what}],"subject":{{"reference":"{}"}},"period":{{"start":"{date}:00Z","end":"{date}:45Z"}},"reasonCode":[{reason}]}}"#,
            self.patient
        );
        let uuid = self.add("Encounter", json);
        (format!("urn:uuid:{uuid}"), format!("{date}:00Z"))
    }

    fn measure(
        &mut self,
        encounter: &str,
        date: &str,
        category: &str,
        measured: &Measured<'_>,
    ) -> String {
        let (code, display, unit, low, high) = *measured;
        let value = quantity(low + self.dice.below(high - low), unit);
        let rest = format!(r#""encounter":{{"reference":"{encounter}"}},"valueQuantity":{value}"#);
        let json = observation(
            &self.patient,
            category,
            &concept(LOINC, code, display),
            date,
            &rest,
        );
        self.add("Observation", json)
    }

    fn vitals(&mut self, encounter: &str, date: &str) {
        let mut part = |code: &str, display: &str, low: u64| {
            let value = quantity(low + self.dice.below(500), "mm[Hg]");
            format!(
                r#"{{"code":{},"valueQuantity":{value}}}"#,
                concept(LOINC, code, display)
            )
        };
        let systolic = part("8480-6", "Systolic blood pressure", 950);
        let diastolic = part("8462-4", "Diastolic blood pressure", 550);
        let rest = format!(
            r#""encounter":{{"reference":"{encounter}"}},"component":[{systolic},{diastolic}]"#
        );
        let panel = concept(
            LOINC,
            "85354-9",
            "Blood pressure panel with all children optional",
        );
        let json = observation(&self.patient, "vital-signs", &panel, date, &rest);
        self.add("Observation", json);
        for vital in VITAL {
            self.measure(encounter, date, "vital-signs", vital);
        }
    }

    fn report(&mut self, encounter: &str, date: &str) {
        let results: Vec<String> = LAB
            .iter()
            .map(|lab| self.measure(encounter, date, "laboratory", lab))
            .map(|uuid| format!(r#"{{"reference":"urn:uuid:{uuid}"}}"#))
            .collect();
        let category = concept(
            "http://terminology.hl7.org/CodeSystem/v2-0074",
            "LAB",
            "Laboratory",
        );
        let code = concept(LOINC, "51990-0", "Basic metabolic panel - Blood");
        let json = format!(
            r#"{{"resourceType":"DiagnosticReport","status":"final","category":[{category}],"code":{code},"subject":{{"reference":"{}"}},"encounter":{{"reference":"{encounter}"}},"effectiveDateTime":"{date}","issued":"{date}","result":[{}]}}"#,
            self.patient,
            results.join(",")
        );
        self.add("DiagnosticReport", json);
    }

    fn condition(&mut self, encounter: &str, date: &str) {
        let (code, display) = self.dice.pick(CONDITION).copied().unwrap_or_default();
        let system = |name: &str| format!("http://terminology.hl7.org/CodeSystem/{name}");
        let json = format!(
            r#"{{"resourceType":"Condition","clinicalStatus":{},"verificationStatus":{},"category":[{}],"code":{},"subject":{{"reference":"{}"}},"encounter":{{"reference":"{encounter}"}},"onsetDateTime":"{date}","recordedDate":"{date}"}}"#,
            concept(&system("condition-clinical"), "active", "Active"),
            concept(&system("condition-ver-status"), "confirmed", "Confirmed"),
            concept(
                &system("condition-category"),
                "encounter-diagnosis",
                "Encounter Diagnosis"
            ),
            concept(SNOMED, code, display),
            self.patient
        );
        self.add("Condition", json);
    }

    fn order(&mut self, encounter: &str, date: &str) {
        let (code, display) = self.dice.pick(DRUG).copied().unwrap_or_default();
        let drug = concept("http://www.nlm.nih.gov/research/umls/rxnorm", code, display);
        let json = format!(
            r#"{{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{drug},"subject":{{"reference":"{}"}},"encounter":{{"reference":"{encounter}"}},"authoredOn":"{date}","dosageInstruction":[{{"sequence":1,"text":"Take once daily","timing":{{"repeat":{{"frequency":1,"period":1.0,"periodUnit":"d"}}}},"asNeededBoolean":false,"doseAndRate":[{{"doseQuantity":{{"value":1}}}}]}}]}}"#,
            self.patient
        );
        self.add("MedicationRequest", json);
    }

    fn procedure(&mut self, encounter: &str, date: &str) {
        let what = concept(SNOMED, "430193006", "Medication Reconciliation (procedure)");
        let json = format!(
            r#"{{"resourceType":"Procedure","status":"completed","code":{what},"subject":{{"reference":"{}"}},"encounter":{{"reference":"{encounter}"}},"performedPeriod":{{"start":"{date}","end":"{date}"}}}}"#,
            self.patient
        );
        self.add("Procedure", json);
    }
}
