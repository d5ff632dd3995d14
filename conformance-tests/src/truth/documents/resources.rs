//! Resources, type by type: valid in R4, and otherwise as chance will have it.

use serde_json::{Value, json};

use super::Maker;

const SUBJECTS: &[&str] = &["Patient", "Patient", "Patient", "Group"];
const PERFORMERS: &[&str] = &["Practitioner", "Organization", "Patient"];

impl Maker {
    pub(super) fn resource(&mut self, kind: &str) -> Value {
        let mut resource = match kind {
            "Organization" => self.organization(),
            "Practitioner" => self.practitioner(),
            "Location" => self.location(),
            "Patient" => self.patient(),
            "Group" => self.group(),
            "Encounter" => self.encounter(),
            "Observation" => self.observation(),
            "Condition" => self.condition(),
            "DiagnosticReport" => self.report(),
            "ServiceRequest" => self.service_request(),
            "MedicationRequest" => self.medication_request(),
            "ValueSet" => self.value_set(),
            "RiskAssessment" => self.risk_assessment(),
            "CarePlan" => self.care_plan(),
            "DocumentReference" => self.document_reference(),
            _ => self.list(),
        };
        if kind != "ValueSet" && resource.get("identifier").is_none() {
            resource["identifier"] = self.some(50, Self::identifier);
        }
        resource
    }

    fn organization(&mut self) -> Value {
        json!({
            "active": self.maybe(70, |m| json!(m.random.is(50))),
            "type": self.some(50, Self::concept),
            "name": self.name(),
            "alias": self.some(30, |m| json!(m.name())),
            "telecom": self.some(40, Self::telecom),
            "address": self.some(50, Self::address),
            "partOf": self.maybe_reference(50, &["Organization"]),
        })
    }

    fn practitioner(&mut self) -> Value {
        json!({
            "active": self.maybe(70, |m| json!(m.random.is(50))),
            "name": self.some(90, Self::human_name),
            "telecom": self.some(60, Self::telecom),
            "address": self.some(40, Self::address),
            "gender": self.maybe(70, Self::gender),
        })
    }

    fn gender(&mut self) -> Value {
        json!(self.random.pick(&["male", "female", "other", "unknown"]))
    }

    fn location(&mut self) -> Value {
        json!({
            "status": self.maybe(70, |m| json!(m.random.pick(&["active", "inactive"]))),
            "name": self.maybe(80, |m| json!(m.name())),
            "address": self.maybe(50, Self::address),
            "position": self.maybe(70, |m| json!({
                "latitude": m.random.pick(&["@decimal:50.94@", "@decimal:50.9@", "@decimal:-33.5@"]),
                "longitude": m.random.pick(&["@decimal:6.96@", "@decimal:7.1@", "@decimal:179.9@", "@decimal:-179.9@"]),
            })),
            "managingOrganization": self.maybe_reference(50, &["Organization"]),
            "partOf": self.maybe_reference(40, &["Location"]),
        })
    }

    fn patient(&mut self) -> Value {
        let mut patient = json!({
            "active": self.maybe(70, |m| json!(m.random.is(50))),
            "name": self.some(85, Self::human_name),
            "telecom": self.some(60, Self::telecom),
            "gender": self.maybe(70, Self::gender),
            "birthDate": self.maybe(75, |m| json!(m.date())),
            "address": self.some(60, Self::address),
            "communication": self.maybe(40, |m| json!([{"language": {"coding": [
                {"system": "urn:ietf:bcp:47", "code": m.random.pick(&["de", "en", "pt-BR"])}
            ]}}])),
            "generalPractitioner": self.references(50, &["Practitioner", "Organization"]),
            "managingOrganization": self.maybe_reference(50, &["Organization"]),
        });
        match self.random.below(4) {
            0 => patient["deceasedBoolean"] = json!(self.random.is(50)),
            1 => patient["deceasedDateTime"] = json!(self.date_time()),
            _ => {}
        }
        if self.random.is(20) {
            patient["link"] = json!([{"other": self.reference(&["Patient"]), "type": "seealso"}]);
        }
        patient
    }

    fn group(&mut self) -> Value {
        let value = if self.random.is(50) {
            ("valueCodeableConcept", self.concept())
        } else {
            ("valueQuantity", self.quantity())
        };
        json!({
            "type": "person",
            "actual": true,
            "code": self.maybe(60, Self::concept),
            "characteristic": [{"code": self.concept(), value.0: value.1, "exclude": false}],
            "member": [{"entity": self.reference(&["Patient"])}],
        })
    }

    fn encounter(&mut self) -> Value {
        let status = self.random.pick(&["planned", "in-progress", "finished"]);
        let class = self.random.pick(&["AMB", "IMP", "ACUTE", "EMER"]);
        json!({
            "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": class},
            "type": self.some(50, Self::concept),
            "subject": self.maybe_reference(80, SUBJECTS),
            "participant": self.some(60, |m| json!({
                "individual": m.reference(&["Practitioner"]),
                "type": [m.concept()],
            })),
            "period": self.maybe(70, Self::period),
            "length": self.maybe(40, |m| json!({
                "value": m.random.pick(&[30, 60, 90]),
                "system": "http://unitsofmeasure.org",
                "code": "min",
            })),
            "reasonCode": self.some(40, Self::concept),
            "location": self.some(50, |m| json!({
                "location": m.reference(&["Location"]),
                "period": m.period(),
            })),
            "serviceProvider": self.maybe_reference(50, &["Organization"]),
            "partOf": self.maybe_reference(30, &["Encounter"]),
        })
    }

    fn observation(&mut self) -> Value {
        let mut observation = json!({
            "status": self.random.pick(&["final", "preliminary", "amended"]),
            "category": self.some(60, Self::concept),
            "code": self.concept(),
            "subject": self.maybe_reference(85, &["Patient", "Patient", "Patient", "Group", "Location"]),
            "focus": self.references(15, &["Observation", "Encounter"]),
            "encounter": self.maybe_reference(50, &["Encounter"]),
            "performer": self.references(50, PERFORMERS),
            "method": self.maybe(30, Self::concept),
            "hasMember": self.references(15, &["Observation"]),
            "derivedFrom": self.references(15, &["Observation", "DocumentReference"]),
            "component": self.some(40, |m| {
                let mut component = json!({"code": m.concept()});
                m.add_value(&mut component);
                component
            }),
        });
        match self.random.below(6) {
            0 => observation["effectivePeriod"] = self.period(),
            1 => observation["effectiveTiming"] = self.timing(),
            2 => observation["effectiveInstant"] = json!(self.instant()),
            3 => {}
            _ => observation["effectiveDateTime"] = json!(self.date_time()),
        }
        // obs-7: no component has the code of the whole.
        let codings = |element: &Value| {
            element["code"]["coding"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let own = codings(&observation);
        let components = observation["component"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if components
            .iter()
            .flat_map(codings)
            .any(|coding| own.contains(&coding))
        {
            observation["component"] = Value::Null;
        }
        self.add_value(&mut observation);
        observation
    }

    /// A value, or the reason why there is none.
    fn add_value(&mut self, element: &mut Value) {
        match self.random.below(9) {
            0 => element["valueCodeableConcept"] = self.concept(),
            1 => element["valueString"] = json!(self.name()),
            2 => element["valueDateTime"] = json!(self.date_time()),
            3 => element["valuePeriod"] = self.period(),
            4 => element["dataAbsentReason"] = self.concept(),
            5 => {
                element["valueSampledData"] = json!({
                    "origin": {"value": 0, "system": "http://unitsofmeasure.org", "code": "mg"},
                    "period": 10, "lowerLimit": 1, "upperLimit": 9, "dimensions": 1, "data": "1 2 3",
                });
            }
            _ => element["valueQuantity"] = self.quantity(),
        }
    }

    fn condition(&mut self) -> Value {
        let status = |system: &str, code: &str| {
            let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
            json!({"coding": [{"system": system, "code": code}]})
        };
        let is_over = self.random.is(30);
        let clinical = if is_over {
            "resolved"
        } else {
            self.random.pick(&["active", "recurrence"])
        };
        let verification = self.random.pick(&["confirmed", "provisional", "refuted"]);
        let mut condition = json!({
            "clinicalStatus": status("condition-clinical", clinical),
            "verificationStatus": status("condition-ver-status", verification),
            "category": self.some(50, Self::concept),
            "severity": self.maybe(40, Self::concept),
            "code": self.maybe(90, Self::concept),
            "bodySite": self.some(30, Self::concept),
            "subject": self.reference(SUBJECTS),
            "encounter": self.maybe_reference(40, &["Encounter"]),
            "recordedDate": self.maybe(50, |m| json!(m.date_time())),
            "asserter": self.maybe_reference(40, &["Practitioner", "Patient"]),
            "evidence": self.some(30, |m| json!({"code": [m.concept()], "detail": [m.reference(&["Observation"])]})),
        });
        match self.random.below(5) {
            0 => condition["onsetDateTime"] = json!(self.date_time()),
            1 => condition["onsetPeriod"] = self.period(),
            2 => condition["onsetString"] = json!(self.name()),
            3 => {
                condition["onsetAge"] = json!({
                    "value": self.random.pick(&[5, 50, 100]),
                    "system": "http://unitsofmeasure.org",
                    "code": "a",
                });
            }
            _ => condition["onsetRange"] = self.range(),
        }
        if is_over {
            condition["abatementDateTime"] = json!(self.date_time());
        }
        condition
    }

    fn report(&mut self) -> Value {
        json!({
            "status": self.random.pick(&["final", "partial"]),
            "category": self.some(50, Self::concept),
            "code": self.concept(),
            "subject": self.maybe_reference(80, SUBJECTS),
            "encounter": self.maybe_reference(40, &["Encounter"]),
            "effectivePeriod": self.maybe(60, Self::period),
            "issued": self.maybe(60, |m| json!(m.instant())),
            "performer": self.references(50, &["Practitioner", "Organization"]),
            "result": self.references(60, &["Observation"]),
            "basedOn": self.references(30, &["ServiceRequest"]),
            "conclusionCode": self.some(30, Self::concept),
        })
    }

    fn canonical(&mut self) -> Value {
        let version = self.random.pick(&["", "|1", "|2.0"]);
        let name = self.random.pick(&["plan", "other"]);
        json!(format!("http://example.org/{name}{version}"))
    }

    fn service_request(&mut self) -> Value {
        let mut request = json!({
            "status": self.random.pick(&["active", "draft", "completed"]),
            "intent": self.random.pick(&["order", "plan"]),
            "priority": self.maybe(50, |m| json!(m.random.pick(&["routine", "stat"]))),
            "instantiatesCanonical": self.some(40, Self::canonical),
            "instantiatesUri": self.some(40, |m| json!(format!("http://acme.example/{}/x", m.random.below(3)))),
            "code": self.maybe(80, Self::concept),
            "subject": self.reference(SUBJECTS),
            "encounter": self.maybe_reference(50, &["Encounter"]),
            "authoredOn": self.maybe(60, |m| json!(m.date_time())),
            "requester": self.maybe_reference(60, PERFORMERS),
            "requisition": self.maybe(40, Self::identifier),
            "bodySite": self.some(30, Self::concept),
        });
        match self.random.below(4) {
            0 => request["occurrenceDateTime"] = json!(self.date_time()),
            1 => request["occurrencePeriod"] = self.period(),
            2 => request["occurrenceTiming"] = self.timing(),
            _ => {}
        }
        request
    }

    fn medication_request(&mut self) -> Value {
        json!({
            "status": self.random.pick(&["active", "stopped"]),
            "intent": self.random.pick(&["order", "proposal"]),
            "medicationCodeableConcept": self.concept(),
            "subject": self.reference(SUBJECTS),
            "encounter": self.maybe_reference(50, &["Encounter"]),
            "authoredOn": self.maybe(60, |m| json!(m.date_time())),
            "requester": self.maybe_reference(50, PERFORMERS),
            "dosageInstruction": self.some(60, |m| json!({"timing": m.timing()})),
        })
    }

    fn value_set(&mut self) -> Value {
        let urls = [
            "http://acme.example/fhir",
            "http://acme.example/fhir/ValueSet/a",
            "http://acme.example/fhir/ValueSet/a/b",
            "http://acme.example/fhirs",
            "urn:oid:1.2.3.4",
        ];
        let context = |m: &mut Self| {
            let (name, value) = match m.random.below(3) {
                0 => ("valueQuantity", m.quantity()),
                1 => ("valueRange", m.range()),
                _ => ("valueCodeableConcept", m.concept()),
            };
            let system = "http://terminology.hl7.org/CodeSystem/usage-context-type";
            let code = m.random.pick(&["age", "gender"]);
            json!({"code": {"system": system, "code": code}, name: value})
        };
        json!({
            "url": self.random.pick(&urls),
            "version": self.maybe(60, |m| json!(m.random.pick(&["1", "2.0"]))),
            "identifier": self.some(40, Self::identifier),
            "status": self.random.pick(&["draft", "active"]),
            "name": "Made",
            "title": self.maybe(60, |m| json!(m.name())),
            "publisher": self.maybe(60, |m| json!(m.name())),
            "date": self.maybe(60, |m| json!(m.date_time())),
            "jurisdiction": self.some(40, Self::concept),
            "useContext": self.some(70, context),
        })
    }

    fn risk_assessment(&mut self) -> Value {
        let probability = |m: &mut Self| {
            let percent = json!({"value": 60, "system": "http://unitsofmeasure.org", "code": "%"});
            let low = json!({"value": 5, "system": "http://unitsofmeasure.org", "code": "%"});
            if m.random.is(25) {
                return json!({"probabilityRange": {"low": low, "high": percent}});
            }
            let digits = ["0", "0.5", "0.50", "0.495", "0.505", "0.25", "50", "1e-1"];
            json!({"probabilityDecimal": format!("@decimal:{}@", m.random.pick(&digits))})
        };
        json!({
            "status": self.random.pick(&["final", "registered"]),
            "subject": self.reference(SUBJECTS),
            "encounter": self.maybe_reference(40, &["Encounter"]),
            "condition": self.maybe_reference(40, &["Condition"]),
            "performer": self.maybe_reference(40, &["Practitioner"]),
            "method": self.maybe(40, Self::concept),
            "occurrenceDateTime": self.maybe(60, |m| json!(m.date_time())),
            "prediction": self.some(80, probability),
        })
    }

    fn care_plan(&mut self) -> Value {
        json!({
            "status": self.random.pick(&["active", "draft"]),
            "intent": "plan",
            "instantiatesCanonical": self.some(60, Self::canonical),
            "category": self.some(50, Self::concept),
            "subject": self.reference(SUBJECTS),
            "encounter": self.maybe_reference(40, &["Encounter"]),
            "period": self.maybe(70, Self::period),
            "addresses": self.references(50, &["Condition"]),
            "activity": self.some(50, |m| json!({"reference": m.reference(&["ServiceRequest"])})),
        })
    }

    fn document_reference(&mut self) -> Value {
        json!({
            "status": "current",
            "type": self.maybe(60, Self::concept),
            "category": self.some(50, Self::concept),
            "subject": self.maybe_reference(80, SUBJECTS),
            "date": self.maybe(60, |m| json!(m.instant())),
            "description": self.maybe(50, |m| json!(m.name())),
            "relatesTo": self.some(60, |m| json!({
                "code": m.random.pick(&["replaces", "appends"]),
                "target": m.reference(&["DocumentReference"]),
            })),
            "content": [{"attachment": {"contentType": "text/plain", "url": "http://example.org/doc"}}],
        })
    }

    fn list(&mut self) -> Value {
        json!({
            "status": "current",
            "mode": "working",
            "title": self.maybe(50, |m| json!(m.name())),
            "code": self.maybe(60, Self::concept),
            "subject": self.maybe_reference(60, &["Patient"]),
            "date": self.maybe(60, |m| json!(m.date_time())),
            "entry": self.some(90, |m| json!({"item": m.reference(&["Patient", "Observation", "Condition"])})),
        })
    }
}
