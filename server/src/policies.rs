//! Policies of the house, from the settings: what roles, apps and people may not do whatever they were given, and to what they
//! are held. Written as SMART writes scopes, with the words of a search.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>

use crate::auth::{Grant, Granted, Scope};
use crate::config::Policy;

/// Those that were understood.
#[derive(Debug, Clone, Default)]
pub struct Policies(Vec<Ruled>);

#[derive(Debug, Clone)]
struct Ruled {
    who: Vec<String>,
    deny: Vec<Scope>,
    allow: Vec<Scope>,
}

#[derive(Debug, thiserror::Error)]
#[error("policy of {who}: `{scope}`: {told}")]
pub struct BadPolicy {
    who: String,
    scope: String,
    told: String,
}

impl Policies {
    pub fn of(settings: &[Policy]) -> Result<Self, BadPolicy> {
        let ruled = settings.iter().map(|policy| {
            let scopes = |texts: &[String]| {
                let scopes = texts.iter().map(|text| {
                    Scope::parse(text).map_err(|told| BadPolicy {
                        who: policy.who.join(", "),
                        scope: text.clone(),
                        told: told.to_string(),
                    })
                });
                scopes.collect::<Result<Vec<_>, _>>()
            };
            Ok(Ruled {
                who: policy.who.clone(),
                deny: scopes(&policy.deny)?,
                allow: scopes(&policy.allow)?,
            })
        });
        Ok(Self(ruled.collect::<Result<_, _>>()?))
    }

    /// For settings that nobody could understand: nobody may do anything.
    pub fn closed() -> Self {
        Self(vec![Ruled {
            who: vec!["*".to_owned()],
            deny: Scope::parse("user/*.cruds").into_iter().collect(),
            allow: Vec::new(),
        }])
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds somebody to them.
    pub fn hold(&self, (name, user): (&str, Option<&str>), granted: &mut Granted) {
        let patient = user.and_then(|user| user.strip_prefix("Patient/"));
        let grant = |scope: &Scope| Grant {
            scope: scope.clone(),
            patient: patient.map(str::to_owned),
        };
        for ruled in &self.0 {
            let is_role = |who: &str| {
                let role = who.strip_prefix("role:");
                role.is_some_and(|role| granted.roles.contains(&role))
            };
            let mut who = ruled.who.iter();
            if !who.any(|who| who == "*" || who == name || is_role(who)) {
                continue;
            }
            granted.denied.extend(ruled.deny.iter().map(grant));
            if !ruled.allow.is_empty() {
                granted.layers.push(ruled.allow.iter().map(grant).collect());
            }
        }
    }
}
