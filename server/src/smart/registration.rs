//! What is known of a client: kept as JSON, checked when it is registered.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#register-app-with-ehr>

use fhir_spec::json::{Object, Value, parse};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use search::Registry;

use super::password;
use super::redirect;
use crate::auth::{BadScope, Level, Scope};

/// An app that people use, or a service that comes by itself.
#[derive(Debug, Clone)]
pub struct Registration {
    pub name: String,
    pub scopes: Vec<Scope>,
    /// What is asked for in the same breath and is not about resources, such as `openid`.
    pub words: Vec<&'static str>,
    /// Where people are led back to, to the letter. None: nobody is led here.
    pub redirects: Vec<String>,
    /// Where the app is launched.
    pub launch_url: Option<String>,
    /// Whether it gets tokens without anybody.
    pub comes_alone: bool,
    pub proof: Proof,
}

/// By what a client shows that it is the one.
#[derive(Clone)]
pub enum Proof {
    /// By nothing: it runs where nothing can be hidden.
    None,
    /// By a secret, of which the hash is known.
    Secret(String),
    /// By a private key, of which the public one is known.
    Keys(JwkSet),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.method())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("the id has 1 to 64 letters, digits, dots, dashes, colons, slashes and underscores")]
    Id,
    #[error("scope {text}: {told}")]
    Scope { text: String, told: BadScope },
    #[error(
        "scope {0}: a client that comes by itself has scopes of the level `system`, and only such a one"
    )]
    Level(String),
    #[error("it needs a scope: without one it may do nothing")]
    NoScope,
    #[error(
        "redirect {0}: expected https://..., http:// on this machine, or a scheme of the app's own with a dot in it; without a fragment"
    )]
    Redirect(String),
    #[error("it needs a redirect, where people are led back to, or the grant client_credentials")]
    NoRedirect,
    #[error("a client that comes by itself shows that it is the one by a key")]
    NoKeys,
    #[error("the keys are no JSON Web Key Set: {0}")]
    Keys(String),
    #[error(
        "key {0}: expected a public RSA key of 2048 bits at least (RS384) or one of the curve P-384 (ES384), with a `kid`"
    )]
    Key(usize),
    #[error("there is no key in the set")]
    NoKey,
    #[error("the secret: {0}")]
    Secret(#[from] password::Error),
    #[error("it is kept in a way that this version does not know")]
    Kept,
}

/// What may be asked for beside scopes of resources.
/// <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>
pub const WORDS: &[&str] = &[
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
];

const RSA_BYTES_MIN: usize = 256;
const KEYS_MAX: usize = 20;

/// The word, when it is one.
pub(super) fn word(text: &str) -> Option<&'static str> {
    WORDS.iter().find(|word| **word == text).copied()
}

impl Proof {
    pub fn keys(text: &str) -> Result<Self, Unfit> {
        key_set(text).map(Self::Keys)
    }

    pub fn secret(text: &str) -> Result<Self, Unfit> {
        Ok(Self::Secret(password::kept(text)?))
    }

    fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Secret(_) => "client_secret_basic",
            Self::Keys(_) => "private_key_jwt",
        }
    }
}

impl Registration {
    /// Reads the scopes that an operator gives a client, and looks whether all of it goes together.
    pub fn with_scope(mut self, scope: &str, registry: &Registry) -> Result<Self, Unfit> {
        for text in scope.split_whitespace() {
            if let Some(word) = word(text) {
                self.words.push(word);
                continue;
            }
            let told = |told| Unfit::Scope {
                text: text.to_owned(),
                told,
            };
            let scope = Scope::parse(text).map_err(told)?;
            scope.check(registry).map_err(told)?;
            let is_of_its_kind = match scope.level {
                Level::System => self.comes_alone,
                Level::Patient | Level::User => !self.redirects.is_empty(),
            };
            if !is_of_its_kind {
                return Err(Unfit::Level(text.to_owned()));
            }
            self.scopes.push(scope);
        }
        let bad = self.redirects.iter().find(|uri| !redirect::is_fit(uri));
        match bad {
            Some(bad) => Err(Unfit::Redirect(bad.clone())),
            None if self.scopes.is_empty() && self.words.is_empty() => Err(Unfit::NoScope),
            None if self.redirects.is_empty() && !self.comes_alone => Err(Unfit::NoRedirect),
            None if self.comes_alone && !matches!(self.proof, Proof::Keys(_)) => Err(Unfit::NoKeys),
            None => Ok(self),
        }
    }

    /// As it is kept. The hash of a secret is for nobody's eyes: see `SECRET`.
    pub fn to_json(&self) -> Result<Value, Unfit> {
        let words = self.words.iter().map(|word| (*word).to_owned());
        let scopes = self.scopes.iter().map(ToString::to_string);
        let scopes: Vec<String> = words.chain(scopes).collect();
        let mut grants = Vec::new();
        if !self.redirects.is_empty() {
            grants.extend(["authorization_code", "refresh_token"].map(Value::from));
        }
        if self.comes_alone {
            grants.push(Value::from("client_credentials"));
        }
        let mut object = Object::new();
        object.set("client_name", self.name.as_str());
        object.set("scope", scopes.join(" "));
        object.set("grant_types", grants);
        object.set("token_endpoint_auth_method", self.proof.method());
        if !self.redirects.is_empty() {
            let all = self.redirects.iter().map(|uri| Value::from(uri.as_str()));
            object.set("redirect_uris", all.collect::<Vec<_>>());
        }
        if let Some(url) = &self.launch_url {
            object.set("launch_url", url.as_str());
        }
        match &self.proof {
            Proof::None => {}
            Proof::Secret(hash) => object.set(SECRET, hash.as_str()),
            Proof::Keys(keys) => {
                let told = |error: String| Unfit::Keys(error);
                let keys = serde_json::to_string(keys).map_err(|error| told(error.to_string()))?;
                let keys = parse(keys.as_bytes()).map_err(|error| told(error.to_string()))?;
                object.set("jwks", keys);
            }
        }
        Ok(object.into())
    }

    /// What was kept. A scope that is none any more allows nothing.
    pub fn kept(body: &str) -> Result<Self, Unfit> {
        let json = parse(body.as_bytes()).map_err(|_| Unfit::Kept)?;
        let scope = json.str_of("scope").ok_or(Unfit::Kept)?;
        let proof = match (json.str_of("token_endpoint_auth_method"), json.get("jwks")) {
            (Some("none"), _) => Proof::None,
            (Some("client_secret_basic"), _) => {
                Proof::Secret(json.str_of(SECRET).ok_or(Unfit::Kept)?.to_owned())
            }
            (_, Some(keys)) => {
                let keys = serde_json::from_str(&keys.to_string());
                Proof::Keys(keys.map_err(|_| Unfit::Kept)?)
            }
            _ => return Err(Unfit::Kept),
        };
        let texts = |name: &str| {
            let items = json.items_of(name).iter().filter_map(Value::as_str);
            items.map(str::to_owned).collect::<Vec<String>>()
        };
        let scopes = scope.split_whitespace();
        Ok(Self {
            name: json.str_of("client_name").unwrap_or_default().to_owned(),
            words: scope.split_whitespace().filter_map(word).collect(),
            scopes: scopes.filter_map(|text| Scope::parse(text).ok()).collect(),
            redirects: texts("redirect_uris"),
            launch_url: json.str_of("launch_url").map(str::to_owned),
            comes_alone: texts("grant_types").contains(&"client_credentials".to_owned()),
            proof,
        })
    }

    /// Whether it has nothing to show.
    pub fn is_public(&self) -> bool {
        matches!(self.proof, Proof::None)
    }

    /// What it gets of what it asks for: nothing that it was not registered for.
    pub fn granted(&self, asked: &[Scope]) -> Vec<Scope> {
        within(&self.scopes, asked)
    }
}

/// Under what the hash of a secret is kept.
pub const SECRET: &str = "client_secret_hash";

/// What of these is within those.
pub(super) fn within(those: &[Scope], these: &[Scope]) -> Vec<Scope> {
    let mut all: Vec<Scope> = Vec::new();
    for wanted in these {
        for own in those {
            let common = common(own, wanted);
            all.extend(common.filter(|scope| !all.contains(scope)));
        }
    }
    all
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
        let own = [
            scope("system/Observation.rs?category=laboratory"),
            scope("system/Patient.r"),
        ];
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
            let got = within(&own, &[scope(asked)]);
            let got: Vec<String> = got.iter().map(ToString::to_string).collect();
            assert_eq!(got.join(" "), granted, "{asked}");
        }
    }
}
