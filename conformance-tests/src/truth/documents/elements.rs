//! Values of the types that elements have.

use serde_json::{Value, json};

use super::{Maker, id};

const NAMES: &[&str] = &[
    "Müller",
    "muller",
    "MULLER",
    "Mueller",
    "O'Neil",
    "van der Berg",
    "Łukasz",
    "Ångström",
    "de la Cruz",
    "Zoë",
    "zoe",
    "Straße",
    "STRASSE",
    "Anna",
    "Ann",
    "anna maria",
    "100%",
    "a_b",
    "x,y",
    "p|q",
    "c\\d",
    "m$n",
    "Ωmega",
    "東京",
];
const DECIMALS: &[&str] = &[
    "5", "5.4", "5.40", "5.35", "5.45", "5.395", "5.405", "100", "99.5", "100.5", "1e2", "0.001",
    "-3.2", "120", "80", "120.0", "0", "1000", "0.5", "50",
];
const UNITS: &[&str] = &["mg", "g", "kg", "cm", "m", "mm[Hg]", "kPa", "%", "/min"];
const SYSTEMS: &[&str] = &[
    "http://loinc.org",
    "http://snomed.info/sct",
    "urn:oid:1.2.3",
    "http://codes.example/a|b",
];
const CODES: &[&str] = &["a", "A", "b", "c", "8480-6", "8462-4", "a|b", "x,y", "true"];

impl Maker {
    pub(super) fn decimal(&mut self) -> Value {
        json!(format!("@decimal:{}@", self.random.pick(DECIMALS)))
    }

    pub(super) fn name(&mut self) -> String {
        self.random.pick(NAMES).to_owned()
    }

    pub(super) fn date(&mut self) -> String {
        let (year, month, day) = self.day();
        match self.random.below(4) {
            0 => year,
            1 => format!("{year}-{month}"),
            _ => format!("{year}-{month}-{day}"),
        }
    }

    fn day(&mut self) -> (String, String, String) {
        let year = self.random.pick(&["1999", "2000", "2020", "2023", "2024"]);
        let month = self.random.pick(&["01", "02", "12"]);
        let day = self.random.pick(&["01", "02", "28"]);
        (year.into(), month.into(), day.into())
    }

    pub(super) fn date_time(&mut self) -> String {
        if self.random.is(40) {
            return self.date();
        }
        self.instant()
    }

    pub(super) fn instant(&mut self) -> String {
        let (year, month, day) = self.day();
        let time = self.random.pick(&[
            "00:00:00",
            "12:30:00",
            "12:30:00.5",
            "12:30:00.500",
            "12:30:15.123",
            "23:59:59",
        ]);
        let zone = self
            .random
            .pick(&["Z", "+00:00", "+02:00", "-11:30", "+14:00"]);
        format!("{year}-{month}-{day}T{time}{zone}")
    }

    pub(super) fn period(&mut self) -> Value {
        let starts = ["1999-05-01", "2000", "2019-12-31T23:00:00-05:00"];
        let ends = ["2020-02", "2023-12-31T23:59:59.999Z", "2024"];
        let (start, end) = (self.random.pick(&starts), self.random.pick(&ends));
        match self.random.below(5) {
            0 => json!({"start": start}),
            1 => json!({"end": end}),
            2 => {
                let day = self.date_time();
                json!({"start": day, "end": day})
            }
            _ => json!({"start": start, "end": end}),
        }
    }

    pub(super) fn timing(&mut self) -> Value {
        let repeat = json!({"frequency": 1, "period": 1, "periodUnit": "d"});
        match self.random.below(4) {
            0 => json!({"event": [self.date_time(), self.date_time()]}),
            1 => json!({"event": [self.date_time()]}),
            2 => {
                let mut repeat = repeat;
                repeat["boundsPeriod"] = self.period();
                json!({"repeat": repeat})
            }
            _ => json!({"repeat": repeat}),
        }
    }

    pub(super) fn quantity(&mut self) -> Value {
        let unit = self.random.pick(UNITS);
        let mut quantity = json!({"value": self.decimal()});
        match self.random.below(6) {
            0 => {}
            1 => quantity["unit"] = json!(unit),
            2 => {
                quantity["system"] = json!("http://units.example");
                quantity["code"] = json!(unit);
            }
            _ => {
                quantity["system"] = json!("http://unitsofmeasure.org");
                quantity["code"] = json!(unit);
                if self.random.is(50) {
                    quantity["unit"] = json!(self.random.pick(&["milligram", "mg", "pct"]));
                }
            }
        }
        if self.random.is(10) {
            quantity["comparator"] = json!(self.random.pick(&["<", "<=", ">", ">="]));
        }
        quantity
    }

    /// A range of one unit, from a smaller number to a larger one.
    pub(super) fn range(&mut self) -> Value {
        let unit = self.random.pick(UNITS);
        let end = |number: i32| json!({"value": number, "system": "http://unitsofmeasure.org", "code": unit});
        match self.random.below(3) {
            0 => json!({"low": end(5)}),
            1 => json!({"high": end(100)}),
            _ => json!({"low": end(5), "high": end(100)}),
        }
    }

    pub(super) fn coding(&mut self, what: &str) -> Value {
        let system = match what {
            "tag" => "http://tags.example".to_owned(),
            "security" => "http://security.example".to_owned(),
            _ => self.random.pick(SYSTEMS).to_owned(),
        };
        let code = self.random.pick(CODES);
        match self.random.below(8) {
            0 => json!({"code": code}),
            1 => json!({"system": system, "display": self.name()}),
            2 => json!({"display": self.name()}),
            _ => json!({"system": system, "code": code}),
        }
    }

    pub(super) fn concept(&mut self) -> Value {
        match self.random.below(8) {
            0 => json!({"text": self.name()}),
            1 => json!({"coding": [self.coding(""), self.coding("")], "text": self.name()}),
            2 => json!({"coding": [self.coding(""), self.coding("")]}),
            _ => json!({"coding": [self.coding("")]}),
        }
    }

    pub(super) fn identifier(&mut self) -> Value {
        let mut identifier =
            json!({"value": self.random.pick(&["1", "2", "3", "A-1", "a-1", "1|2"])});
        if self.random.is(75) {
            identifier["system"] =
                json!(self.random.pick(&["http://mrn.example", "urn:oid:1.2.3"]));
        }
        if self.random.is(40) {
            let system = "http://terminology.hl7.org/CodeSystem/v2-0203";
            let code = self.random.pick(&["MR", "SS"]);
            identifier["type"] = json!({"coding": [{"system": system, "code": code}]});
        }
        if self.random.is(5)
            && let Some(identifier) = identifier.as_object_mut()
        {
            identifier.remove("value");
            identifier.insert("system".into(), "http://mrn.example".into());
        }
        identifier
    }

    pub(super) fn human_name(&mut self) -> Value {
        let mut name = json!({"family": self.name(), "given": [self.name(), self.name()]});
        if self.random.is(20) {
            name["text"] = json!(format!("Dr. {}", self.name()));
        }
        if self.random.is(20) {
            name["prefix"] = json!(["Dr."]);
            name["suffix"] = json!(["Jr"]);
        }
        if self.random.is(10) {
            return json!({"text": self.name()});
        }
        name
    }

    pub(super) fn address(&mut self) -> Value {
        json!({
            "use": self.random.pick(&["work", "temp", "billing"]),
            "line": [self.name(), "Main St 5"],
            "city": self.random.pick(&["Köln", "Koln", "KÖLN", "São Paulo"]),
            "state": self.random.pick(&["NW", "nw", "SP"]),
            "postalCode": self.random.pick(&["50667", "0566"]),
            "country": self.random.pick(&["DE", "Deutschland", "BR"]),
        })
    }

    pub(super) fn telecom(&mut self) -> Value {
        let value = self.random.pick(&["555-1", "555-2", "a@b.example"]);
        json!({"system": self.random.pick(&["phone", "email", "sms"]), "value": value})
    }

    /// Some of a thing: none, one, seldom two.
    pub(super) fn some(&mut self, percent: usize, make: fn(&mut Self) -> Value) -> Value {
        if !self.random.is(percent) {
            return Value::Null;
        }
        let mut all = vec![make(self)];
        if self.random.is(25) {
            all.push(make(self));
        }
        all.into()
    }

    /// One, or none.
    pub(super) fn maybe(&mut self, percent: usize, make: fn(&mut Self) -> Value) -> Value {
        if self.random.is(percent) {
            make(self)
        } else {
            Value::Null
        }
    }

    /// Of every form that a reference has.
    pub(super) fn reference(&mut self, kinds: &[&str]) -> Value {
        let kind = self.random.pick(kinds);
        // A few are referred to by many.
        let number = self.number_of(kind);
        let number = if self.random.is(50) {
            number.min(4)
        } else {
            number
        };
        let path = format!("{kind}/{}", id(kind, self.random.below(number)));
        match self.random.below(20) {
            0 => json!({"reference": format!("{path}/_history/1")}),
            1 | 2 => json!({"reference": format!("{}/{path}", self.base)}),
            3 => json!({"reference": format!("http://other.example/fhir/{path}")}),
            4 => json!({"reference": format!("{kind}/nobody")}),
            5 => json!({
                "reference": "urn:uuid:0d0aa2c1-5d9c-4f0f-b7b6-1a5a3c1c9e51",
                "type": kind,
            }),
            6 => json!({"identifier": self.identifier(), "type": kind}),
            7 => json!({"reference": path, "identifier": self.identifier()}),
            8 => json!({"display": self.name()}),
            9 if matches!(kind, "Patient" | "Organization" | "Practitioner")
                && self.contained.is_empty() =>
            {
                self.contained.push(kind.to_owned());
                json!({"reference": "#inner"})
            }
            _ => json!({"reference": path}),
        }
    }

    /// Some references.
    pub(super) fn references(&mut self, percent: usize, kinds: &[&str]) -> Value {
        if !self.random.is(percent) {
            return Value::Null;
        }
        let mut all = vec![self.reference(kinds)];
        if self.random.is(25) {
            all.push(self.reference(kinds));
        }
        all.into()
    }

    pub(super) fn maybe_reference(&mut self, percent: usize, kinds: &[&str]) -> Value {
        if self.random.is(percent) {
            self.reference(kinds)
        } else {
            Value::Null
        }
    }
}
