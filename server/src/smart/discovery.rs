//! What apps learn of the authorization server before they know anything else.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known>

use fhir_spec::json::{Object, Value};

/// `base`: where everything begins, as clients know it.
pub fn document(base: &str) -> Value {
    let list = |words: &[&str]| {
        words
            .iter()
            .map(|word| Value::from(*word))
            .collect::<Vec<_>>()
    };
    let mut object = Object::new();
    object.set("token_endpoint", format!("{base}/auth/token"));
    object.set("revocation_endpoint", format!("{base}/auth/revoke"));
    object.set("grant_types_supported", list(&["client_credentials"]));
    object.set(
        "token_endpoint_auth_methods_supported",
        list(&["private_key_jwt"]),
    );
    object.set(
        "token_endpoint_auth_signing_alg_values_supported",
        list(&["RS384", "ES384"]),
    );
    object.set("scopes_supported", list(&["system/*.cruds", "system/*.rs"]));
    object.set("code_challenge_methods_supported", list(&["S256"]));
    object.set(
        "capabilities",
        list(&[
            "client-confidential-asymmetric",
            "permission-v1",
            "permission-v2",
        ]),
    );
    object.into()
}
