//! Who has signed in, as OpenID Connect tells it.
//! <https://openid.net/specs/openid-connect-core-1_0.html>, <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data>

use fhir_spec::json::{Object, Value};

use super::discovery::{self, CLIENT_PROOFS, SIGNED_BY};
use super::{ACCESS_SECONDS, signing};
use crate::app::App;
use crate::callers::{self, PersonToken};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::AppGrant;

/// Below the address of the issuer.
pub const DISCOVERY: &str = ".well-known/openid-configuration";

/// Who says it. `root`: where everything begins, as clients know it.
pub fn issuer(root: &str) -> String {
    format!("{root}/auth")
}

/// What others need to know to believe it.
pub fn document(root: &str) -> Value {
    let mut object = Object::new();
    object.set("issuer", issuer(root));
    for (name, place) in discovery::PLACES {
        object.set(name, format!("{root}/auth/{place}"));
    }
    object.set("response_types_supported", discovery::list(&["code"]));
    object.set("subject_types_supported", discovery::list(&["public"]));
    object.set(
        "id_token_signing_alg_values_supported",
        discovery::list(&["RS256"]),
    );
    object.set("scopes_supported", discovery::list(super::WORDS));
    object.set(
        "claims_supported",
        discovery::list(&[
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "fhirUser",
            "profile",
        ]),
    );
    object.set("grant_types_supported", discovery::list(discovery::GRANTS));
    object.set(
        "token_endpoint_auth_methods_supported",
        discovery::list(CLIENT_PROOFS),
    );
    object.set(
        "token_endpoint_auth_signing_alg_values_supported",
        discovery::list(SIGNED_BY),
    );
    object.set(
        "code_challenge_methods_supported",
        discovery::list(&["S256"]),
    );
    object.into()
}

/// That a person has signed in, for the app that asked. None: it may not know.
pub(super) async fn id_token(
    app: &App,
    root: &str,
    grant: &AppGrant,
    (nonce, signed_in_at): (Option<&str>, Option<Instant>),
    now: Instant,
) -> Result<Option<String>, Fault> {
    if !has(&grant.scope, "openid") {
        return Ok(None);
    }
    let seconds = |at: Instant| at.micros().div_euclid(1_000_000);
    let mut claims = serde_json::json!({
        "iss": issuer(root),
        "sub": grant.person,
        "aud": grant.client,
        "iat": seconds(now),
        "exp": seconds(now) + ACCESS_SECONDS,
    });
    if let Some(at) = signed_in_at {
        set(&mut claims, "auth_time", seconds(at).into());
    }
    if let Some(nonce) = nonce {
        set(&mut claims, "nonce", nonce.into());
    }
    if let Some(fhir_user) = fhir_user(app, root, grant).await? {
        set(&mut claims, "fhirUser", fhir_user.as_str().into());
        set(&mut claims, "profile", fhir_user.into());
    }
    signing::signed(app, &claims, now).await.map(Some)
}

fn set(claims: &mut serde_json::Value, name: &str, value: serde_json::Value) {
    if let Some(object) = claims.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The address of the resource that stands for the person, when the app may know it.
async fn fhir_user(app: &App, root: &str, grant: &AppGrant) -> Result<Option<String>, Fault> {
    if !has(&grant.scope, "fhirUser") && !has(&grant.scope, "profile") {
        return Ok(None);
    }
    let person = callers::person(app, &grant.person).await?;
    let reference = person.and_then(|person| person.fhir_user);
    Ok(reference.map(|reference| format!("{root}/fhir/{reference}")))
}

fn has(scope: &str, word: &str) -> bool {
    scope.split_whitespace().any(|one| one == word)
}

/// What the holder of a token may know of who has signed in. None: nothing.
/// <https://openid.net/specs/openid-connect-core-1_0.html#UserInfo>
pub fn user_info(root: &str, held: &PersonToken) -> Option<Value> {
    let scope = &held.token.scope;
    if !has(scope, "openid") {
        return None;
    }
    let mut object = Object::new();
    object.set("sub", held.person.name.as_str());
    let may_know = has(scope, "fhirUser") || has(scope, "profile");
    if let Some(reference) = held.person.fhir_user.as_ref().filter(|_| may_know) {
        let address = format!("{root}/fhir/{reference}");
        object.set("fhirUser", address.as_str());
        object.set("profile", address);
    }
    Some(object.into())
}
