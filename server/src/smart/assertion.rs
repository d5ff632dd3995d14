//! The assertion by which a client shows that it holds its private key.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html>

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::Refusal;
use crate::instant::Instant;

/// What SMART names as the longest life of an assertion, and how far clocks may be apart.
const LIFE_SECONDS_MAX: i64 = 300;
const APART_SECONDS: i64 = 30;
/// Longer ones are not looked at.
const BYTES_MAX: usize = 8 * 1024;

/// What an assertion says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    pub(super) jti: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(all) => all.iter().any(|one| one == wanted),
        }
    }
}

impl Claims {
    /// Until when its jti must be remembered.
    pub(super) fn expires_at(&self) -> Instant {
        let seconds = self.exp.saturating_add(APART_SECONDS);
        Instant::from_micros(seconds.saturating_mul(1_000_000))
    }
}

fn invalid(told: &str) -> Refusal {
    Refusal::new("invalid_client", told)
}

/// Who says to be sending it; nothing of it is proven yet.
pub(super) fn issuer(token: &str) -> Result<String, Refusal> {
    if token.len() > BYTES_MAX {
        return Err(invalid("the assertion is too long"));
    }
    let unproven = jsonwebtoken::dangerous::insecure_decode::<Claims>(token);
    let unproven = unproven.map_err(|_| {
        invalid("the assertion is no JSON Web Token with iss, sub, aud, exp and jti")
    })?;
    Ok(unproven.claims.iss)
}

/// What the client says, once it is proven that it does.
pub(super) fn proven(
    token: &str,
    (id, keys): (&str, &JwkSet),
    audience: &str,
    now: Instant,
) -> Result<Claims, Refusal> {
    let header = decode_header(token)
        .map_err(|_| invalid("the assertion has no header that can be read"))?;
    let algorithm = algorithm(&header)?;
    let kid = header
        .kid
        .as_deref()
        .ok_or_else(|| invalid("the header names no key: kid"))?;
    let fitting = keys.keys.iter().filter(|key| is_meant(key, kid, algorithm));
    let claims = fitting
        .filter_map(|key| verified(token, key, algorithm))
        .next()
        .ok_or_else(|| invalid("no registered key of that kid has signed this"))?;
    let seconds = now.micros().div_euclid(1_000_000);
    let from = [claims.nbf, claims.iat].into_iter().flatten().max();
    let told = match &claims {
        claims if claims.iss != id || claims.sub != id => {
            "iss and sub are both the id of the client"
        }
        claims if !claims.aud.has(audience) => "aud is the address of the token endpoint",
        claims if claims.exp <= seconds - APART_SECONDS => "it has expired",
        claims if claims.exp > seconds + LIFE_SECONDS_MAX + APART_SECONDS => {
            "exp is at most five minutes from now"
        }
        _ if from.is_some_and(|from| from > seconds + APART_SECONDS) => "it is not valid yet",
        claims if claims.jti.is_empty() => "jti is missing",
        _ => return Ok(claims),
    };
    Err(invalid(told))
}

/// Only what SMART asks servers to take; nothing that a sender could choose to be let in by.
fn algorithm(header: &Header) -> Result<Algorithm, Refusal> {
    if header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some()
    {
        return Err(invalid(
            "the header brings or names keys: only registered ones count",
        ));
    }
    match header.alg {
        algorithm @ (Algorithm::RS384 | Algorithm::ES384) => Ok(algorithm),
        _ => Err(invalid("alg is RS384 or ES384")),
    }
}

/// Two keys of one kid may differ in kind.
fn is_meant(key: &Jwk, kid: &str, algorithm: Algorithm) -> bool {
    let is_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => algorithm == Algorithm::RS384,
        AlgorithmParameters::EllipticCurve(_) => algorithm == Algorithm::ES384,
        _ => false,
    };
    is_kind && key.common.key_id.as_deref() == Some(kid)
}

fn verified(token: &str, key: &Jwk, algorithm: Algorithm) -> Option<Claims> {
    let key = DecodingKey::from_jwk(key).ok()?;
    let mut validation = Validation::new(algorithm);
    // Times and audience are held against our own clock and address.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    decode::<Claims>(token, &key, &validation)
        .ok()
        .map(|read| read.claims)
}
