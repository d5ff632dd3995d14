//! Who has signed in, what tokens are good for, what was allowed and how it is taken back, and apps that are launched.
//! (1.A, 1.B, 1.D, 1.E and 1.H of the SMART checks)

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::Value;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use crate::authorised::{Holder, cli, key};
use crate::browser::{Browser, FORM, decoded, encoded, inputs};
use crate::client::{Answer, get, send};
use crate::databases::Database;
use crate::ward::{PASSWORD, REDIRECT, Ward, returned, text};

on_both_databases!(
    who_has_signed_in_is_told_and_signed,
    what_a_token_is_good_for_is_told_to_those_who_may_know,
    what_was_allowed_is_shown_and_taken_back,
    an_app_is_launched_from_a_record,
);

const LAUNCH: &str = "http://127.0.0.1:9/launch";

fn launched(ward: &Ward<'_>) {
    let scope = "launch openid fhirUser patient/*.rs user/*.rs";
    let flags = [
        "client",
        "add",
        "chart",
        "--name",
        "Growth <chart>",
        "--public",
        "--redirect",
        REDIRECT,
    ];
    let more = ["--launch-url", LAUNCH, "--scope", scope];
    let added = cli(ward.database, &[&flags[..], &more].concat());
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
}

/// A3 to A6, A12, D1 to D7.
fn who_has_signed_in_is_told_and_signed(database: &Database) {
    let ward = Ward::new(database);
    let root = format!("http://{}", ward.kiln.address);
    let smart = get(ward.kiln.address, "/fhir/.well-known/smart-configuration").json();
    let issuer = text(&smart, "issuer").to_owned();
    let at = |address: &str| address.strip_prefix(&root).unwrap().to_owned();
    let document = get(
        ward.kiln.address,
        &at(&format!("{issuer}/.well-known/openid-configuration")),
    );
    assert_eq!(document.header("Access-Control-Allow-Origin"), Some("*"));
    let document = document.json();
    assert_eq!(text(&document, "issuer"), issuer);
    for name in [
        "id_token_signing_alg_values_supported",
        "subject_types_supported",
        "response_types_supported",
    ] {
        assert!(!document.items_of(name).is_empty(), "{name}");
    }
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "management_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
    ] {
        let address = text(&smart, name).to_owned();
        let status = get(ward.kiln.address, &at(&address)).status;
        assert!(![404, 500].contains(&status), "{name}: {status}");
    }
    let mut parameters = ward.asked("", "openid fhirUser offline_access user/Practitioner.rs");
    let base = ward.base();
    parameters[5].1 = &base;
    parameters.push(("nonce", "n-0S6_WzA2Mj"));
    let got = ward.exchange(&ward.code(&parameters, "anna")).json();
    let keys = get(ward.kiln.address, &at(text(&smart, "jwks_uri"))).text();
    assert!(!keys.contains("\"d\""), "{keys}");
    let claims = proven(text(&got, "id_token"), &keys);
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["aud"], "app");
    assert_eq!(claims["sub"], "anna");
    assert_eq!(claims["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(claims["fhirUser"], format!("{base}/Practitioner/1"));
    assert!(claims["auth_time"].as_i64() <= claims["iat"].as_i64());
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
    let seeder = Holder {
        kiln: &ward.kiln,
        key: key(database, "more", &["--role", "admin"]),
    };
    seeder.put(r#"{"resourceType":"Practitioner","id":"1"}"#);
    assert_eq!(ward.get(text(&got, "access_token"), "Practitioner/1"), 200);
    let again = ward.refresh(text(&got, "refresh_token"), &[]).json();
    assert_eq!(proven(text(&again, "id_token"), &keys)["sub"], "anna");
    let info = |token: &str| {
        let bearer = format!("Bearer {token}");
        send(
            ward.kiln.address,
            "GET",
            "/auth/userinfo",
            &[("Authorization", &*bearer)],
            b"",
        )
        .unwrap()
    };
    let known = info(text(&again, "access_token"));
    assert_eq!(
        (known.status, text(&known.json(), "sub").to_owned()),
        (200, "anna".to_owned())
    );
    let silent = ward.granted("user/Patient.rs", "anna");
    assert_eq!(silent.get("id_token"), None);
    assert_eq!(info(text(&silent, "access_token")).status, 403);
    assert_eq!(info("garbage").status, 401);
    keys_are_exchanged(&ward, text(&got, "id_token"), &at(text(&smart, "jwks_uri")));
}

fn keys_are_exchanged(ward: &Ward<'_>, older: &str, jwks: &str) {
    let database = ward.database;
    // The private key lies sealed.
    assert_eq!(database.number("SELECT COUNT(*) FROM signing_keys"), 1);
    // When a key is old a new one signs, and what the old one has signed is believed on.
    database.execute("UPDATE signing_keys SET created_at = created_at - 7776001000000");
    let newer = ward.granted("openid", "anna");
    let both = get(ward.kiln.address, jwks).text();
    proven(text(&newer, "id_token"), &both);
    proven(older, &both);
    let kid = |token: &str| decode_header(token).unwrap().kid;
    assert_ne!(kid(text(&newer, "id_token")), kid(older));
}

/// What an id token says, when it is signed by one of the keys.
fn proven(token: &str, keys: &str) -> serde_json::Value {
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::RS256);
    let keys: JwkSet = serde_json::from_str(keys).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).unwrap();
    decode(token, &key, &validation).unwrap().claims
}

/// H1 to H6.
fn what_a_token_is_good_for_is_told_to_those_who_may_know(database: &Database) {
    let ward = Ward::new(database);
    ward.register("safe", "user/*.rs", &["--secret-stdin"]);
    let scope = "launch/patient openid fhirUser patient/Patient.rs";
    let got = ward.granted(scope, "paul");
    let token = text(&got, "access_token").to_owned();
    let ask = |header: (&str, &str), token: &str| {
        let body = encoded(&[("token", token)]);
        send(
            ward.kiln.address,
            "POST",
            "/auth/introspect",
            &[FORM, header],
            body.as_bytes(),
        )
        .unwrap()
    };
    let server = key(database, "server", &["--role", "integrator"]);
    let told = ask(("X-Api-Key", &server), &token);
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!(told.get("active").and_then(Value::as_bool), Some(true));
    assert_eq!(text(&told, "client_id"), "app");
    assert_eq!(text(&told, "scope"), text(&got, "scope"));
    assert_eq!((text(&told, "patient"), text(&told, "sub")), ("p1", "paul"));
    assert_eq!(
        text(&told, "fhirUser"),
        format!("{}/Patient/p1", ward.base())
    );
    assert!(told.get("exp").is_some() && text(&told, "iss").ends_with("/auth"));
    let safe = format!("Basic {}", STANDARD.encode("safe:s3cret%3A%25%2B+%C3%A9"));
    let nothing = "{\"active\":false}";
    for (header, token, status) in [
        (("X-Api-Key", &*server), "garbage", 200),
        // Of others a client learns nothing.
        (("Authorization", &*safe), &*token, 200),
        (("Authorization", "Basic eDp5"), &*token, 401),
        (("Authorization", &*format!("Bearer {token}")), &*token, 403),
        (("X-Api-Key", "garbage"), &*token, 401),
        (("Accept", "*/*"), &*token, 401),
    ] {
        let answer = ask(header, token);
        assert_eq!(answer.status, status, "{header:?} {}", answer.text());
        assert!(
            status != 200 || answer.text() == nothing,
            "{}",
            answer.text()
        );
    }
    database.execute("UPDATE access_tokens SET expires_at = 1");
    assert_eq!(ask(("X-Api-Key", &server), &token).text(), nothing);
}

/// E9, SM-27.
fn what_was_allowed_is_shown_and_taken_back(database: &Database) {
    let ward = Ward::new(database);
    let own = ward.granted("offline_access user/Patient.rs", "anna");
    let other = ward.granted("offline_access patient/Patient.rs", "paul");
    let address = ward.kiln.address;
    let mut browser = Browser::default();
    let login = browser.get(address, "/auth/grants");
    let signed_in = [("username", "anna"), ("password", PASSWORD)];
    let page = browser.submit(address, "/auth/grants", &login, &signed_in);
    assert!(
        page.text().contains("What you have allowed")
            && page.text().contains("Patient that you may see yourself"),
        "{}",
        page.text()
    );
    let buttons = |page: &Answer| -> Vec<String> {
        let all = inputs(&page.text())
            .into_iter()
            .filter(|input| input.name == "revoke");
        all.map(|input| input.value).collect()
    };
    let [id] = &buttons(&page)[..] else {
        panic!("{}", page.text())
    };
    let blind = encoded(&[("revoke", id)]);
    assert_eq!(
        browser
            .ask(address, "POST", "/auth/grants", &[FORM], &blind)
            .status,
        403
    );
    assert_eq!(ward.get(text(&own, "access_token"), "Patient/p1"), 200);
    let of_paul = |name: &str| {
        let mut browser = Browser::default();
        let login = browser.get(address, "/auth/grants");
        let signed_in = [("username", name), ("password", PASSWORD)];
        let page = browser.submit(address, "/auth/grants", &login, &signed_in);
        buttons(&page).pop().unwrap()
    };
    // What somebody else has allowed stays.
    let of_paul = of_paul("paul");
    browser.submit(address, "/auth/grants", &page, &[("revoke", &of_paul)]);
    assert_eq!(ward.get(text(&other, "access_token"), "Patient/p1"), 200);
    let page = browser.submit(address, "/auth/grants", &page, &[("revoke", id)]);
    assert!(page.text().contains("no app anything"), "{}", page.text());
    assert_eq!(ward.get(text(&own, "access_token"), "Patient/p1"), 401);
    assert_eq!(ward.refresh(text(&own, "refresh_token"), &[]).status, 400);
    browser.submit(address, "/auth/grants", &page, &[("leave", "yes")]);
    assert!(
        browser
            .get(address, "/auth/grants")
            .text()
            .contains("Sign in")
    );
}

/// B8, B9, B10, B12.
fn an_app_is_launched_from_a_record(database: &Database) {
    let ward = Ward::new(database);
    launched(&ward);
    let seeder = Holder {
        kiln: &ward.kiln,
        key: key(database, "more", &["--role", "admin"]),
    };
    seeder.put(
        r#"{"resourceType":"Encounter","id":"e1","status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"}}"#,
    );
    let address = ward.kiln.address;
    let mut browser = Browser::default();
    let login = browser.get(address, "/auth/launch");
    let signed_in = [("username", "anna"), ("password", PASSWORD)];
    let page = browser.submit(address, "/auth/launch", &login, &signed_in);
    assert!(
        page.text().contains("Growth &lt;chart&gt;"),
        "{}",
        page.text()
    );
    what_is_not_there_is_not_opened(address, &mut browser, &page);
    let filled = [("client", "chart"), ("patient", "p1"), ("encounter", "e1")];
    let begin = |browser: &mut Browser| {
        let answer = browser.submit(address, "/auth/launch", &page, &filled);
        let location = answer.header("Location").unwrap().to_owned();
        assert!(location.starts_with(&format!("{LAUNCH}?")), "{location}");
        let parameters = decoded(&location);
        assert_eq!(parameters[0], ("iss".to_owned(), ward.base()));
        parameters[1].1.clone()
    };
    let token = begin(&mut browser);
    let base = ward.base();
    let mut parameters = ward.asked(&base, "launch openid fhirUser patient/*.rs");
    parameters[1].1 = "chart";
    parameters.push(("launch", &token));
    // A launch is for the person who began it.
    let mut other = Browser::default();
    let login = ward.lead(&mut other, &parameters);
    assert_eq!(
        returned(&ward.sign_in(&mut other, &login, "paul"), "error"),
        "invalid_request"
    );
    let consent = ward.lead(&mut browser, &parameters);
    let done = ward.submit(&mut browser, &consent, &[("allow", "yes")]);
    let code = returned(&done, "code");
    let mut sent = crate::ward::of_code(&code);
    sent[4].1 = "chart";
    let got = ward.token(&[], &sent).json();
    assert_eq!(
        (text(&got, "patient"), text(&got, "encounter")),
        ("p1", "e1")
    );
    assert_eq!(
        got.get("need_patient_banner").and_then(Value::as_bool),
        Some(false)
    );
    assert_eq!(got.items_of("fhirContext").len(), 1);
    assert_eq!(ward.get(text(&got, "access_token"), "Encounter/e1"), 200);
    assert_eq!(ward.get(text(&got, "access_token"), "Patient/p2"), 404);
    // It counts once.
    assert_eq!(
        returned(&ward.lead(&mut browser, &parameters), "error"),
        "invalid_request"
    );
    a_launch_is_for_its_app(&ward, &begin(&mut browser));
}

fn what_is_not_there_is_not_opened(address: SocketAddr, browser: &mut Browser, page: &Answer) {
    for (client, patient, encounter) in [
        ("chart", "p3", ""),
        ("chart", "p2", "e1"),
        ("chart", "p1", "e2"),
        ("app", "p1", ""),
    ] {
        let filled = [
            ("client", client),
            ("patient", patient),
            ("encounter", encounter),
        ];
        let answer = browser.submit(address, "/auth/launch", page, &filled);
        assert!(
            answer.text().contains("There is no such"),
            "{}",
            answer.text()
        );
    }
}

fn a_launch_is_for_its_app(ward: &Ward<'_>, stolen: &str) {
    let base = ward.base();
    let mut wrong = ward.asked(&base, "launch patient/*.rs");
    wrong.push(("launch", stolen));
    ward.register("thief", "launch patient/*.rs", &["--public"]);
    wrong[1].1 = "thief";
    assert_eq!(
        returned(&ward.lead(&mut Browser::default(), &wrong), "error"),
        "invalid_request"
    );
}
