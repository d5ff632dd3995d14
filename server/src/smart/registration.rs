//! What is known of a client: kept as JSON, checked when it is registered.

use fhir_spec::json::{Object, Value, parse};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use search::Registry;

use crate::auth::{BadScope, Level, Scope};

/// A backend service.
#[derive(Debug, Clone)]
pub struct Registration {
    pub name: String,
    pub scopes: Vec<Scope>,
    pub keys: JwkSet,
}

#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("the id has 1 to 64 letters, digits, dots, dashes, colons, slashes and underscores")]
    Id,
    #[error("scope {text}: {told}")]
    Scope { text: String, told: BadScope },
    #[error("scope {0}: a client that comes by itself has scopes of the level `system`")]
    Level(String),
    #[error("it needs a scope: without one it may do nothing")]
    NoScope,
    #[error("the keys are no JSON Web Key Set: {0}")]
    Keys(String),
    #[error(
        "key {0}: expected a public RSA key of 2048 bits at least (RS384) or one of the curve P-384 (ES384), with a `kid`"
    )]
    Key(usize),
    #[error("there is no key in the set")]
    NoKey,
    #[error("it is kept in a way that this version does not know")]
    Kept,
}

const RSA_BYTES_MIN: usize = 256;
const KEYS_MAX: usize = 20;

impl Registration {
    /// Reads what an operator says of a client.
    pub fn of(name: &str, scope: &str, keys: &str, registry: &Registry) -> Result<Self, Unfit> {
        let mut scopes = Vec::new();
        for text in scope.split_whitespace() {
            let told = |told| Unfit::Scope {
                text: text.to_owned(),
                told,
            };
            let scope = Scope::parse(text).map_err(told)?;
            scope.check(registry).map_err(told)?;
            if scope.level != Level::System {
                return Err(Unfit::Level(text.to_owned()));
            }
            scopes.push(scope);
        }
        if scopes.is_empty() {
            return Err(Unfit::NoScope);
        }
        Ok(Self {
            name: name.to_owned(),
            scopes,
            keys: key_set(keys)?,
        })
    }

    /// As it is kept, and shown to operators: there is no secret in it.
    pub fn to_json(&self) -> Result<Value, Unfit> {
        let keys =
            serde_json::to_string(&self.keys).map_err(|error| Unfit::Keys(error.to_string()))?;
        let keys = parse(keys.as_bytes()).map_err(|error| Unfit::Keys(error.to_string()))?;
        let scopes: Vec<String> = self.scopes.iter().map(ToString::to_string).collect();
        let mut object = Object::new();
        object.set("client_name", self.name.as_str());
        object.set("scope", scopes.join(" "));
        object.set("grant_types", vec![Value::from("client_credentials")]);
        object.set("token_endpoint_auth_method", "private_key_jwt");
        object.set("jwks", keys);
        Ok(object.into())
    }

    /// What was kept. A scope that is none any more allows nothing.
    pub fn kept(body: &str) -> Result<Self, Unfit> {
        let json = parse(body.as_bytes()).map_err(|_| Unfit::Kept)?;
        let scope = json.str_of("scope").ok_or(Unfit::Kept)?;
        let keys = json.get("jwks").ok_or(Unfit::Kept)?.to_string();
        let scopes = scope
            .split_whitespace()
            .filter_map(|text| Scope::parse(text).ok());
        Ok(Self {
            name: json.str_of("client_name").unwrap_or_default().to_owned(),
            scopes: scopes.collect(),
            keys: serde_json::from_str(&keys).map_err(|_| Unfit::Kept)?,
        })
    }

    /// What it gets of what it asks for: nothing that it was not registered for.
    pub fn granted(&self, asked: &[Scope]) -> Vec<Scope> {
        let mut granted: Vec<Scope> = Vec::new();
        for wanted in asked {
            for own in &self.scopes {
                let common = common(own, wanted);
                granted.extend(common.filter(|scope| !granted.contains(scope)));
            }
        }
        granted
    }
}

/// What both allow.
fn common(own: &Scope, wanted: &Scope) -> Option<Scope> {
    let resource_type = match (own.resource_type, wanted.resource_type) {
        (None, named) | (named, None) => named,
        (Some(own), Some(wanted)) => (own == wanted).then_some(Some(own))?,
    };
    let letters = own.letters.common(wanted.letters);
    let mut filter = own.filter.clone();
    let more = wanted
        .filter
        .iter()
        .filter(|pair| !own.filter.contains(pair));
    filter.extend(more.cloned());
    let has_some = own.level == wanted.level && !letters.is_empty();
    has_some.then_some(Scope {
        level: own.level,
        resource_type,
        letters,
        filter,
    })
}

fn key_set(text: &str) -> Result<JwkSet, Unfit> {
    let set: JwkSet = serde_json::from_str(text).map_err(|error| Unfit::Keys(error.to_string()))?;
    if set.keys.is_empty() {
        return Err(Unfit::NoKey);
    }
    match set.keys.iter().position(|key| !is_fit(key)) {
        Some(place) => Err(Unfit::Key(place + 1)),
        None if set.keys.len() > KEYS_MAX => Err(Unfit::Keys(format!("more than {KEYS_MAX} keys"))),
        None => Ok(set),
    }
}

fn is_fit(key: &Jwk) -> bool {
    let is_strong = match &key.algorithm {
        AlgorithmParameters::RSA(rsa) => rsa.n.len() * 3 / 4 >= RSA_BYTES_MIN,
        AlgorithmParameters::EllipticCurve(curve) => curve.curve == EllipticCurve::P384,
        _ => false,
    };
    is_strong && key.common.key_id.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    /// C11, G12: what is granted is within both.
    #[test]
    fn nobody_gets_more_than_they_are_registered_for() {
        let client = Registration {
            name: String::new(),
            scopes: vec![
                scope("system/Observation.rs?category=laboratory"),
                scope("system/Patient.r"),
            ],
            keys: JwkSet { keys: Vec::new() },
        };
        for (asked, granted) in [
            ("system/Patient.cruds", "system/Patient.r"),
            (
                "system/*.rs",
                "system/Observation.rs?category=laboratory system/Patient.r",
            ),
            (
                "system/Observation.s",
                "system/Observation.s?category=laboratory",
            ),
            (
                "system/Observation.rs?status=final",
                "system/Observation.rs?category=laboratory&status=final",
            ),
            ("system/Condition.rs", ""),
            ("user/Patient.r", ""),
            ("system/Patient.s", ""),
        ] {
            let got = client.granted(&[scope(asked)]);
            let got: Vec<String> = got.iter().map(ToString::to_string).collect();
            assert_eq!(got.join(" "), granted, "{asked}");
        }
    }
}
