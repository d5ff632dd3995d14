//! Topics: what can be subscribed to by a name. Those that Kiln brings along, and those that are stored here, as the backport
//! guide has them carried in R4: a Basic with the elements of SubscriptionTopic as extensions.
//! <https://hl7.org/fhir/uv/subscriptions-backport/components.html>

use fhir_spec::json::{Object, Value, parse};
use fhir_spec::{Issue, IssueCode};
use search::Registry;
use search::query::Query;

use super::Criteria;
use super::trigger::{On, Question, Trigger};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::fault::Fault;
use crate::instant::Instant;

/// The topics that are here without anybody having stored them.
const SHIPPED: &[&str] = &[
    include_str!("topics/encounter-end.json"),
    include_str!("topics/encounter-start.json"),
    include_str!("topics/patient-admin.json"),
    include_str!("topics/result-final.json"),
];

/// Extensions that stand for the elements of SubscriptionTopic begin like this.
const ELEMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.";
/// What a Basic is that carries a topic.
pub const CODE: &str = "SubscriptionTopic";
pub const HOLDER: &str = "Basic";
/// Types are named by their definitions, or shortly.
const DEFINITION: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Stored topics that are looked at: further ones are not found.
const STORED_MAX: u32 = 1_000;

#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    pub url: String,
    pub title: String,
    pub triggers: Vec<ResourceTrigger>,
    filters: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ResourceTrigger {
    pub resource_type: &'static str,
    on: On,
    previous: Option<Criteria>,
    current: Option<Criteria>,
    wants_both: bool,
    holds_for_nothing: (bool, bool),
}

/// By what subscriptions may narrow a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    /// None: of every type that triggers it.
    resource_type: Option<&'static str>,
    parameter: String,
    modifiers: Vec<String>,
}

/// All that a stored Basic says as a topic; others pass as None.
pub fn of_basic(basic: &Value) -> Option<Result<Topic, Vec<Issue>>> {
    let codes = basic
        .get("code")
        .map_or(&[][..], |code| code.items_of("coding"));
    let is_topic = codes
        .iter()
        .any(|coding| coding.str_of("code") == Some(CODE));
    is_topic.then(|| Topic::read(&unfolded(basic.items_of("extension"), ELEMENT).into()))
}

/// Extensions as the elements they stand for: each is a list of its values.
fn unfolded(extensions: &[Value], begins: &str) -> Object {
    let mut object = Object::new();
    for extension in extensions {
        let url = extension.str_of("url").unwrap_or_default();
        let Some(name) = url.strip_prefix(begins) else {
            continue;
        };
        let parts = extension.items_of("extension");
        let value = match parts.is_empty() {
            false => Some(Value::from(unfolded(parts, ""))),
            true => extension.as_object().and_then(|object| {
                let mut members = object.iter();
                let value = members.find(|(name, _)| name.starts_with("value"));
                value.map(|(_, value)| value.clone())
            }),
        };
        let Some(value) = value else { continue };
        match object.get_mut(name).and_then(Value::as_array_mut) {
            Some(list) => list.push(value),
            None => object.set(name, vec![value]),
        }
    }
    object
}

/// The values of an element, whether it is written as a list or not.
fn all<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    match value.get(name) {
        None => &[],
        Some(one) => one.as_array().unwrap_or(std::slice::from_ref(one)),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    all(value, name).first().and_then(Value::as_str)
}

fn named_type(name: &str) -> Result<&'static str, String> {
    let short = name.strip_prefix(DEFINITION).unwrap_or(name);
    resource_type(short).ok_or_else(|| format!("`{name}` is no resource type of FHIR R4"))
}

impl Topic {
    /// Reads a SubscriptionTopic of R5, as it is or unfolded.
    fn read(topic: &Value) -> Result<Self, Vec<Issue>> {
        let mut wrong = Vec::new();
        let mut note = |told: String| wrong.push(Issue::error(IssueCode::Invalid, told));
        let url = text(topic, "url").unwrap_or_default();
        if !url.contains("://") && !url.starts_with("urn:") {
            note("url: a topic has an absolute one".to_owned());
        }
        let mut triggers = Vec::new();
        for (index, trigger) in all(topic, "resourceTrigger").iter().enumerate() {
            match ResourceTrigger::read(trigger) {
                Ok(trigger) => triggers.push(trigger),
                Err(told) => note(format!("resourceTrigger[{index}]: {told}")),
            }
        }
        if triggers.is_empty() {
            note("resourceTrigger: a topic has one at least".to_owned());
        }
        if !all(topic, "eventTrigger").is_empty() {
            note(
                "eventTrigger: events other than changes of resources are not followed".to_owned(),
            );
        }
        let mut filters = Vec::new();
        for (index, filter) in all(topic, "canFilterBy").iter().enumerate() {
            match Filter::read(filter) {
                Ok(filter) => filters.push(filter),
                Err(told) => note(format!("canFilterBy[{index}]: {told}")),
            }
        }
        match wrong.is_empty() {
            true => Ok(Self {
                url: url.to_owned(),
                title: text(topic, "title").unwrap_or_default().to_owned(),
                triggers,
                filters,
            }),
            false => Err(wrong),
        }
    }

    /// Whether everything in it can be served.
    pub fn check(&self, registry: &Registry, now: Instant) -> Result<(), Vec<Issue>> {
        let mut wrong = Vec::new();
        for trigger in &self.triggers {
            wrong.extend(
                trigger
                    .made(registry, Vec::new(), now)
                    .err()
                    .into_iter()
                    .flatten(),
            );
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong),
        }
    }

    /// What it means for a subscription with these filters; all of them hold.
    pub fn narrowed(
        &self,
        registry: &Registry,
        filters: &[Criteria],
        now: Instant,
    ) -> Result<Vec<Trigger>, Vec<Issue>> {
        let mut wrong = Vec::new();
        for filter in filters {
            let mut triggers = self.triggers.iter();
            if !triggers.any(|trigger| trigger.resource_type == filter.resource_type) {
                let told = format!("the topic is not about a {}", filter.resource_type);
                wrong.push(Issue::error(IssueCode::NotSupported, told));
            }
            for (name, _) in &filter.parameters {
                if !self
                    .filters
                    .iter()
                    .any(|known| known.allows(filter.resource_type, name))
                {
                    let can: Vec<&str> =
                        self.filters.iter().map(|f| f.parameter.as_str()).collect();
                    let told = format!(
                        "the topic cannot be filtered by `{name}`: {}",
                        can.join(", ")
                    );
                    wrong.push(Issue::error(IssueCode::NotSupported, told));
                }
            }
        }
        let mut made = Vec::new();
        for trigger in &self.triggers {
            let own = filters
                .iter()
                .filter(|filter| filter.resource_type == trigger.resource_type);
            let questions: Result<Vec<Question>, Vec<Issue>> = own
                .map(|filter| Question::read(registry, filter, now))
                .collect();
            match questions.and_then(|questions| trigger.made(registry, questions, now)) {
                Ok(trigger) => made.push(trigger),
                Err(issues) => wrong.extend(issues),
            }
        }
        // Who filters by one type is not told of others.
        if !filters.is_empty() {
            made.retain(|trigger| {
                filters
                    .iter()
                    .any(|filter| filter.resource_type == trigger.resource_type)
            });
        }
        match wrong.is_empty() {
            true => Ok(made),
            false => Err(wrong),
        }
    }
}

impl ResourceTrigger {
    fn read(trigger: &Value) -> Result<Self, String> {
        let named = text(trigger, "resource").ok_or("resource: expected a type")?;
        let resource_type = named_type(named)?;
        let codes: Vec<&str> = all(trigger, "supportedInteraction")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        if let Some(code) = codes
            .iter()
            .find(|code| !["create", "update", "delete"].contains(code))
        {
            return Err(format!(
                "supportedInteraction: `{code}` is none of create, update, delete"
            ));
        }
        if !all(trigger, "fhirPathCriteria").is_empty() {
            return Err(
                "fhirPathCriteria: expressions are not served, criteria of search are".to_owned(),
            );
        }
        let has = |code: &str| codes.is_empty() || codes.contains(&code);
        let query = all(trigger, "queryCriteria").first();
        let criteria = |name: &str| {
            let written = query.and_then(|query| text(query, name));
            written
                .map(|written| of_type(resource_type, written))
                .transpose()
        };
        let passes = |name: &str| match query.and_then(|query| text(query, name)) {
            None | Some("test-fails") => Ok(false),
            Some("test-passes") => Ok(true),
            Some(_) => Err(format!("{name}: expected test-passes or test-fails")),
        };
        Ok(Self {
            resource_type,
            on: On {
                create: has("create"),
                update: has("update"),
                delete: has("delete"),
            },
            previous: criteria("previous")?,
            current: criteria("current")?,
            wants_both: query
                .and_then(|query| all(query, "requireBoth").first()?.as_bool())
                .unwrap_or(false),
            holds_for_nothing: (passes("resultForCreate")?, passes("resultForDelete")?),
        })
    }

    fn made(
        &self,
        registry: &Registry,
        filters: Vec<Question>,
        now: Instant,
    ) -> Result<Trigger, Vec<Issue>> {
        let question = |criteria: &Option<Criteria>| {
            let question = criteria
                .as_ref()
                .map(|criteria| Question::read(registry, criteria, now));
            question.transpose()
        };
        Ok(Trigger {
            resource_type: self.resource_type,
            on: self.on,
            previous: question(&self.previous)?,
            current: question(&self.current)?,
            wants_both: self.wants_both,
            holds_for_nothing: self.holds_for_nothing,
            filters,
        })
    }
}

/// Criteria with their type or without it.
fn of_type(resource_type: &'static str, written: &str) -> Result<Criteria, String> {
    let criteria = match written.split_once('?') {
        Some((named, _)) if named != resource_type => {
            return Err(format!(
                "queryCriteria: expected criteria of a {resource_type}"
            ));
        }
        Some(_) => Criteria::parse(written)?,
        None => Criteria::parse(&format!("{resource_type}?{written}"))?,
    };
    Ok(criteria)
}

impl Filter {
    fn read(filter: &Value) -> Result<Self, String> {
        let parameter =
            text(filter, "filterParameter").ok_or("filterParameter: expected a name")?;
        let modifiers = all(filter, "modifier").iter().filter_map(Value::as_str);
        Ok(Self {
            resource_type: text(filter, "resource").map(named_type).transpose()?,
            parameter: parameter.to_owned(),
            modifiers: modifiers.map(str::to_owned).collect(),
        })
    }

    fn allows(&self, resource_type: &str, name: &str) -> bool {
        let (parameter, modifier) = match name.split_once(':') {
            Some((parameter, modifier)) => (parameter, Some(modifier)),
            None => (name, None),
        };
        parameter == self.parameter
            && self.resource_type.is_none_or(|own| own == resource_type)
            && modifier.is_none_or(|named| self.modifiers.iter().any(|known| known == named))
    }
}

/// The topics that Kiln brings along.
pub fn shipped() -> Vec<Topic> {
    let read = SHIPPED
        .iter()
        .filter_map(|text| parse(text.as_bytes()).ok());
    read.filter_map(|topic| Topic::read(&topic).ok()).collect()
}

/// All topics there are: a stored one takes the place of one that is brought along.
pub fn all_of(app: &App) -> Result<Vec<Topic>, Fault> {
    let mut topics = stored(app)?;
    for topic in shipped() {
        if !topics.iter().any(|known| known.url == topic.url) {
            topics.push(topic);
        }
    }
    topics.sort_by(|one, other| one.url.cmp(&other.url));
    Ok(topics)
}

fn stored(app: &App) -> Result<Vec<Topic>, Fault> {
    let criteria = Criteria {
        resource_type: HOLDER,
        parameters: vec![("code".to_owned(), CODE.to_owned())],
    };
    let question = Question::read(&app.search(), &criteria, (app.clock)());
    let query: Query = question.map_err(Fault::of_query)?.into_query();
    let permit = may(&Caller::Kiln, Action::Search(HOLDER))?;
    let ids = app.store.look(&permit, |view| {
        Ok::<_, Fault>(view.matches(HOLDER, &query, STORED_MAX)?)
    })?;
    let permit = may(&Caller::Kiln, Action::Read(HOLDER))?;
    app.store.look(&permit, |view| {
        let mut topics = Vec::new();
        for id in &ids {
            let found = view.current(HOLDER, id)?;
            let document = found.and_then(|found| parse(&found.body).ok());
            let topic = document.as_ref().and_then(of_basic);
            topics.extend(topic.and_then(Result::ok));
        }
        Ok::<_, Fault>(topics)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_spec::definitions::Definitions;
    use search::matching::Subject;
    use search::{Registry, extract};

    use super::super::trigger::Changed;
    use super::*;
    use crate::store::Change;

    fn registry() -> Registry {
        Registry::new(Arc::new(Definitions::r4().with_packages(Vec::new()).0))
    }

    fn now() -> Instant {
        Instant::from_micros(0)
    }

    #[test]
    fn what_is_brought_along_can_be_served() {
        let all = shipped();
        assert_eq!(all.len(), SHIPPED.len());
        for topic in all {
            assert_eq!(topic.check(&registry(), now()), Ok(()), "{}", topic.url);
        }
    }

    #[test]
    fn the_state_before_counts() {
        let registry = registry();
        let all = shipped();
        let end = all
            .iter()
            .find(|topic| topic.url.ends_with("encounter-end"))
            .unwrap();
        let filter = Criteria::parse("Encounter?patient=Patient/p").unwrap();
        let triggers = end.narrowed(&registry, &[filter], now()).unwrap();
        let rows = |status: &str, patient: &str| {
            let document = format!(
                r#"{{"resourceType":"Encounter","id":"e","status":"{status}","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
            );
            extract::rows(&registry, &parse(document.as_bytes()).unwrap()).rows
        };
        let fires = |change, before: Option<&search::Rows>, after: Option<&search::Rows>| {
            let subject = |rows| Subject {
                resource_type: "Encounter",
                id: "e",
                at: 0,
                rows,
            };
            let changed = Changed {
                change,
                before: before.map(subject),
                after: after.map(subject),
            };
            let mut ask = |_: &Query, _: &str| Ok::<_, ()>(false);
            triggers
                .iter()
                .any(|trigger| trigger.fires(&changed, &mut ask).unwrap())
        };
        let (open, over, other) = (
            rows("in-progress", "p"),
            rows("finished", "p"),
            rows("finished", "q"),
        );
        assert!(fires(Change::Updated, Some(&open), Some(&over)));
        assert!(!fires(Change::Updated, Some(&over), Some(&over)));
        assert!(!fires(Change::Updated, Some(&open), Some(&other)));
        assert!(!fires(Change::Updated, Some(&over), Some(&open)));
        assert!(fires(Change::Created, None, Some(&over)));
        assert!(!fires(Change::Deleted, Some(&over), None));
    }

    /// T-31
    #[test]
    fn what_a_basic_says_wrong_is_told() {
        let basic = |parts: &str| {
            let text = format!(
                r#"{{"resourceType":"Basic","code":{{"coding":[{{"code":"SubscriptionTopic"}}]}},"extension":[
                {{"url":"{ELEMENT}url","valueUri":"http://h/t"}},{parts}]}}"#
            );
            of_basic(&parse(text.as_bytes()).unwrap()).unwrap()
        };
        let trigger = |resource: &str, more: &str| {
            format!(
                r#"{{"url":"{ELEMENT}resourceTrigger","extension":[{{"url":"resource","valueUri":"{resource}"}}{more}]}}"#
            )
        };
        let good = basic(&trigger("http://hl7.org/fhir/StructureDefinition/Patient", r#",{"url":"supportedInteraction","valueCode":"create"},{"url":"queryCriteria","extension":[{"url":"current","valueString":"active=true"}]}"#)).unwrap();
        assert_eq!(good.triggers[0].resource_type, "Patient");
        assert!(good.triggers[0].on.create && !good.triggers[0].on.update);
        assert_eq!(good.check(&registry(), now()), Ok(()));
        for wrong in [
            trigger("Elephant", ""),
            trigger(
                "Patient",
                r#",{"url":"supportedInteraction","valueCode":"read"}"#,
            ),
            trigger(
                "Patient",
                r#",{"url":"fhirPathCriteria","valueString":"true"}"#,
            ),
            trigger(
                "Patient",
                r#",{"url":"queryCriteria","extension":[{"url":"current","valueString":"Encounter?status=x"}]}"#,
            ),
            r#"{"url":"x:y","valueString":"z"}"#.to_owned(),
        ] {
            assert!(basic(&wrong).is_err(), "{wrong}");
        }
        let unserved = basic(&trigger("Patient", r#",{"url":"queryCriteria","extension":[{"url":"current","valueString":"elephant=1"}]}"#)).unwrap();
        assert!(unserved.check(&registry(), now()).is_err());
        assert!(
            of_basic(&parse(br#"{"resourceType":"Basic","code":{"text":"x"}}"#).unwrap()).is_none()
        );
    }
}
