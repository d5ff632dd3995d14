//! Whatever is fed to the validator: no panic, and no more issues than the cap.

use super::*;
use crate::json::{Data, Object, parse};

/// A small generator of numbers (xorshift): the same ones in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

fn seeds() -> Vec<Value> {
    let texts = [
        patient(r##","contained":[{"resourceType":"Organization","id":"o","name":"A"}],"managingOrganization":{"reference":"#o"},
            "name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://a.org/x","valueCode":"u"}]}]}],"gender":"male",
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"B"}}]"##),
        observation(r#","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/bp"]},"category":[{"coding":[{"system":"http://a.org","code":"c"}]}],
            "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":1.0,"code":"mm[Hg]"}}]"#),
        bundle("document", r#"{"fullUrl":"http://a.org/Composition/1","resource":{"resourceType":"Composition","id":"1","subject":{"reference":"Patient/1"}}},
            {"fullUrl":"http://a.org/Patient/1","resource":{"resourceType":"Patient","id":"1"}}"#),
        r##"{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"#q","item":[{"linkId":"a","answer":[{"valueInteger":1}]}],
            "contained":[{"resourceType":"Questionnaire","id":"q","status":"active","item":[{"linkId":"a","type":"integer","enableWhen":[{"question":"a","operator":">","answerInteger":1}]}]}]}"##
            .to_owned(),
        super::profiles::profile_of("Patient", super::profiles::PROFILE, r#"{"id":"Patient.telecom","path":"Patient.telecom","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}},
            {"id":"Patient.telecom:a","path":"Patient.telecom","sliceName":"a","patternContactPoint":{"system":"phone"}}"#)
            .to_string(),
        r#"{"resourceType":"SearchParameter","url":"http://a.org/s","expression":"Patient.name","base":["Patient"],"derivedFrom":"http://hl7.org/fhir/SearchParameter/individual-given"}"#
            .to_owned(),
    ];
    texts
        .iter()
        .map(|text| parse(text.as_bytes()).unwrap())
        .collect()
}

/// A part of some document, to be put where it does not belong.
fn scrap(dice: &mut Dice, seeds: &[Value]) -> Value {
    let odd = [
        "null",
        "true",
        "-1.5e3",
        "\"\"",
        "\"#\"",
        "\"x y\"",
        "{}",
        "[]",
        "[[]]",
        "[null]",
        "{\"url\":5}",
    ];
    if dice.roll(2) == 0 {
        return parse(odd[dice.roll(odd.len())].as_bytes()).unwrap();
    }
    let mut part = seeds[dice.roll(seeds.len())].clone();
    for _ in 0..dice.roll(4) {
        part = match part.data {
            Data::Object(object) if !object.is_empty() => {
                let members: Vec<_> = object.into_iter().collect();
                members[dice.roll(members.len())].1.clone()
            }
            Data::Array(items) if !items.is_empty() => items[dice.roll(items.len())].clone(),
            other => other.into(),
        };
    }
    part
}

fn mutate(dice: &mut Dice, value: &mut Value, seeds: &[Value]) {
    match &mut value.data {
        Data::Object(object) if !object.is_empty() && dice.roll(4) > 0 => {
            let names: Vec<String> = object.names().map(str::to_owned).collect();
            let name = &names[dice.roll(names.len())];
            match dice.roll(6) {
                0 => drop(object.remove(name)),
                1 => rename(object, name, &format!("_{name}")),
                2 => rename(object, name, &names[dice.roll(names.len())]),
                3 => object.set(name, scrap(dice, seeds)),
                _ => mutate(dice, object.get_mut(name).unwrap(), seeds),
            }
        }
        Data::Array(items) if !items.is_empty() && dice.roll(4) > 0 => {
            let index = dice.roll(items.len());
            match dice.roll(4) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => mutate(dice, &mut items[index], seeds),
            }
        }
        _ => *value = scrap(dice, seeds),
    }
}

fn rename(object: &mut Object, name: &str, new: &str) {
    if let Some(value) = object.remove(name) {
        object.set(new, value);
    }
}

#[test]
fn mutated_documents() {
    let seeds = seeds();
    let dice = &mut Dice(0x9E37_79B9_7F4A_7C15);
    for round in 0..6_000 {
        let mut document = seeds[round % seeds.len()].clone();
        for _ in 0..=dice.roll(5) {
            mutate(dice, &mut document, &seeds);
        }
        let issues = Validator::r4().validate(&document, &Request::default());
        assert!(issues.len() <= ISSUES_MAX + 1);
    }
}

/// A definition that was damaged is loaded and asked for.
#[test]
fn mutated_profiles() {
    let seeds = seeds();
    let dice = &mut Dice(0x2545_F491_4F6C_DD1D);
    let telecom =
        parse(patient(r#","telecom":[{"system":"phone","value":"1"}]"#).as_bytes()).unwrap();
    for _ in 0..300 {
        let mut profile = seeds[4].clone();
        for _ in 0..=dice.roll(4) {
            mutate(dice, &mut profile, &seeds);
        }
        if profile.str_of("url") != Some(super::profiles::PROFILE) {
            continue;
        }
        let definitions = crate::definitions::Definitions::r4().with_resources([profile]);
        let validator = Validator::new(Arc::new(definitions));
        let request = Request {
            profiles: &[super::profiles::PROFILE],
            ..Request::default()
        };
        let issues = validator.validate(&telecom, &request);
        assert!(issues.len() <= ISSUES_MAX + 1);
    }
}
