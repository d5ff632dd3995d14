//! What apps learn of the authorization server before they know anything else.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known>

use fhir_spec::json::{Object, Value};

use super::WORDS;
use super::openid::issuer;

const SCOPES: &[&str] = &[
    "patient/*.cruds",
    "patient/*.rs",
    "user/*.cruds",
    "user/*.rs",
    "system/*.cruds",
    "system/*.rs",
];

const CAPABILITIES: &[&str] = &[
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
];

/// Where what is asked of the authorization server.
pub(super) const PLACES: &[(&str, &str)] = &[
    ("authorization_endpoint", "authorize"),
    ("token_endpoint", "token"),
    ("revocation_endpoint", "revoke"),
    ("introspection_endpoint", "introspect"),
    ("userinfo_endpoint", "userinfo"),
    ("jwks_uri", "jwks"),
];

pub(super) const GRANTS: &[&str] = &["authorization_code", "refresh_token", "client_credentials"];

/// By what clients may show who they are, and what they sign assertions with.
pub(super) const CLIENT_PROOFS: &[&str] = &[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
];
pub(super) const SIGNED_BY: &[&str] = &["RS384", "ES384"];

pub(super) fn list(words: &[&str]) -> Vec<Value> {
    words.iter().map(|word| Value::from(*word)).collect()
}

/// `root`: where everything begins, as clients know it.
pub fn document(root: &str) -> Value {
    let mut object = Object::new();
    object.set("issuer", issuer(root));
    for (name, place) in PLACES {
        object.set(name, format!("{root}/auth/{place}"));
    }
    object.set("management_endpoint", format!("{root}/auth/grants"));
    object.set("response_types_supported", list(&["code"]));
    object.set("grant_types_supported", list(GRANTS));
    object.set("token_endpoint_auth_methods_supported", list(CLIENT_PROOFS));
    object.set(
        "token_endpoint_auth_signing_alg_values_supported",
        list(SIGNED_BY),
    );
    object.set("scopes_supported", list(&[WORDS, SCOPES].concat()));
    object.set("code_challenge_methods_supported", list(&["S256"]));
    object.set("capabilities", list(CAPABILITIES));
    object.into()
}

/// How apps may look, so that they fit in: the colours of our own pages.
/// <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#styling>
pub fn style() -> Value {
    let mut object = Object::new();
    for (name, value) in [
        ("color_background", "#faf8f5"),
        ("color_error", "#a01c1c"),
        ("color_highlight", "#a0522d"),
        ("color_success", "#2d6a2d"),
        ("color_text", "#222222"),
        ("dim_border_radius", "6px"),
        ("dim_font_size", "16px"),
        ("dim_spacing_size", "16px"),
        ("font_family_body", "system-ui, sans-serif"),
        ("font_family_heading", "system-ui, sans-serif"),
    ] {
        object.set(name, value);
    }
    object.into()
}
