//! Backend services: from the registration of a key to what a token lets be seen. (1.G of the SMART checks)

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fhir_spec::json::{Value, parse};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use crate::authorised::{Holder, cli, guarded, key};
use crate::client::{Answer, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::rsa_key;

on_both_databases!(
    a_service_gets_what_it_is_registered_for,
    assertions_that_prove_nothing_are_refused,
    an_assertion_counts_once_on_whatever_node,
    a_token_ends_when_it_is_taken_back_or_its_client_goes,
);

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A service with two keys of one kid and different kinds (G8).
struct Service {
    curve: rcgen::KeyPair,
    jwks: String,
}

impl Service {
    fn new() -> Self {
        let curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let (x, y) = curve.public_key_raw()[1..].split_at(48);
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwks = format!(
            r#"{{"keys":[{{"kty":"RSA","kid":"one","use":"sig","alg":"RS384","n":"{}","e":"AQAB"}},
            {{"kty":"EC","crv":"P-384","kid":"one","x":"{}","y":"{}"}}]}}"#,
            rsa_key::MODULUS,
            encoded(x),
            encoded(y)
        );
        Self { curve, jwks }
    }

    fn sign(&self, algorithm: Algorithm, header: Header, claims: &Claims) -> String {
        let key = match algorithm {
            Algorithm::ES384 => EncodingKey::from_ec_der(&self.curve.serialize_der()),
            Algorithm::HS256 | Algorithm::HS384 => {
                EncodingKey::from_secret(rsa_key::MODULUS.as_bytes())
            }
            _ => EncodingKey::from_rsa_der(&STANDARD.decode(rsa_key::PRIVATE).unwrap()),
        };
        let header = Header {
            alg: algorithm,
            ..header
        };
        encode(&header, claims, &key).unwrap()
    }

    fn assertion(&self, claims: &Claims) -> String {
        self.sign(Algorithm::ES384, named("one"), claims)
    }
}

type Claims = BTreeMap<&'static str, serde_json::Value>;

fn named(kid: &str) -> Header {
    Header {
        kid: Some(kid.to_owned()),
        ..Header::default()
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(kiln: &Kiln, jti: &str) -> Claims {
    BTreeMap::from([
        ("iss", "nightly".into()),
        ("sub", "nightly".into()),
        ("aud", format!("http://{}/auth/token", kiln.address).into()),
        ("exp", (now() + 200).into()),
        ("jti", jti.into()),
    ])
}

fn register(database: &Database, service: &Service, scope: &str) {
    let path = database.directory.join("keys.json");
    std::fs::write(&path, &service.jwks).unwrap();
    let path = path.display().to_string();
    let made = cli(
        database,
        &[
            "client", "add", "nightly", "--jwks", &path, "--scope", scope,
        ],
    );
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{told}");
    let shown = parse(&made.stdout).unwrap();
    assert_eq!(shown.str_of("client_id"), Some("nightly"));
}

fn form(kiln: &Kiln, path: &str, parameters: &[(&str, &str)]) -> Answer {
    let body: Vec<String> = parameters
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}={}",
                value
                    .replace('+', "%2B")
                    .replace(' ', "+")
                    .replace('&', "%26")
            )
        })
        .collect();
    send(
        kiln.address,
        "POST",
        path,
        &[FORM],
        body.join("&").as_bytes(),
    )
    .unwrap()
}

fn ask(kiln: &Kiln, assertion: &str, scope: &str) -> Answer {
    form(
        kiln,
        "/auth/token",
        &[
            ("grant_type", "client_credentials"),
            ("scope", scope),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion),
        ],
    )
}

fn error(answer: &Answer) -> String {
    // G, B5: nothing of this is kept by anybody on the way.
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Pragma"), Some("no-cache"));
    answer.json().str_of("error").unwrap_or_default().to_owned()
}

fn token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(error(answer), "");
    answer.json().str_of("access_token").unwrap().to_owned()
}

/// A1-A3, G1, G2, G8, G12.
fn a_service_gets_what_it_is_registered_for(database: &Database) {
    let kiln = guarded(database);
    let discovered = get(kiln.address, "/fhir/.well-known/smart-configuration");
    assert_eq!(discovered.header("Content-Type"), Some("application/json"));
    assert_eq!(discovered.header("Access-Control-Allow-Origin"), Some("*"));
    let endpoint = discovered
        .json()
        .str_of("token_endpoint")
        .unwrap()
        .to_owned();
    assert_eq!(endpoint, format!("http://{}/auth/token", kiln.address));
    let admin = Holder {
        kiln: &kiln,
        key: key(database, "admin", &["--role", "admin"]),
    };
    admin.put(r#"{"resourceType":"Patient","id":"1"}"#);
    let service = Service::new();
    register(database, &service, "system/Patient.rs system/Observation.r");
    for (number, algorithm) in [Algorithm::ES384, Algorithm::RS384].into_iter().enumerate() {
        let claims = claims(&kiln, &format!("a{number}"));
        let assertion = service.sign(algorithm, named("one"), &claims);
        let answer = ask(&kiln, &assertion, "system/*.cruds user/Patient.r");
        let got = answer.json();
        assert_eq!(
            got.str_of("scope"),
            Some("system/Patient.rs system/Observation.r")
        );
        assert_eq!(got.str_of("token_type"), Some("Bearer"));
        assert_eq!(got.get("expires_in").and_then(Value::as_u64), Some(300));
        let bearer = format!("Bearer {}", token(&answer));
        let status = |method: &str, path: &str| {
            let headers = [("Authorization", &*bearer)];
            send(kiln.address, method, path, &headers, b"")
                .unwrap()
                .status
        };
        assert_eq!(status("GET", "/fhir/Patient/1"), 200);
        assert_eq!(status("GET", "/fhir/Patient"), 200);
        assert_eq!(status("GET", "/fhir/Observation"), 403);
        assert_eq!(status("GET", "/fhir/Condition"), 403);
        assert_eq!(status("DELETE", "/fhir/Patient/1"), 403);
        assert_eq!(status("GET", "/api/messages"), 403);
        assert_eq!(status("GET", "/metrics"), 403);
    }
    for (jti, scope) in [
        ("b1", ""),
        ("b2", "system/Condition.rs"),
        ("b3", "openid"),
        ("b4", "system/Patient.x"),
    ] {
        let answer = ask(&kiln, &service.assertion(&claims(&kiln, jti)), scope);
        assert_eq!(
            (answer.status, &*error(&answer)),
            (400, "invalid_scope"),
            "{scope}"
        );
    }
}

/// Assertions of which none lets anybody in.
fn wrong(service: &Service, good: &Claims) -> Vec<String> {
    let with = |name: &'static str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed.insert(name, value);
        service.assertion(&changed)
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.remove(name);
        service.assertion(&changed)
    };
    let header = |change: fn(&mut Header)| {
        let mut header = named("one");
        change(&mut header);
        service.sign(Algorithm::ES384, header, good)
    };
    let whole = service.assertion(good);
    let (head, signature) = whole.rsplit_once('.').unwrap();
    let backwards: String = signature.chars().rev().collect();
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"one"}"#);
    let (_, body) = head.split_once('.').unwrap();
    vec![
        with("iss", "other".into()),
        with("sub", "other".into()),
        with("iss", "nobody".into()),
        with("aud", "http://elsewhere/auth/token".into()),
        with("exp", (now() - 100).into()),
        with("exp", (now() + 1000).into()),
        with("nbf", (now() + 100).into()),
        with("jti", "".into()),
        without("jti"),
        without("exp"),
        without("aud"),
        header(|header| header.kid = Some("two".to_owned())),
        header(|header| header.kid = None),
        header(|header| header.jku = Some("https://evil.example/keys".to_owned())),
        service.sign(Algorithm::RS256, named("one"), good),
        service.sign(Algorithm::HS256, named("one"), good),
        service.sign(Algorithm::HS384, named("one"), good),
        Service::new().assertion(good),
        format!("{unsigned}.{body}."),
        head.to_owned(),
        format!("{head}."),
        format!("{head}.{backwards}"),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        String::new(),
        "x".repeat(20_000),
    ]
}

/// C12-C14, G3-G9, T-35.
fn assertions_that_prove_nothing_are_refused(database: &Database) {
    let kiln = guarded(database);
    let service = Service::new();
    register(database, &service, "system/Patient.rs");
    let good = claims(&kiln, "x");
    for assertion in wrong(&service, &good) {
        let answer = ask(&kiln, &assertion, "system/Patient.rs");
        let shown: String = assertion.chars().take(300).collect();
        let told = (answer.status, error(&answer));
        assert_eq!(
            told,
            (401, "invalid_client".to_owned()),
            "{shown}: {}",
            answer.text()
        );
    }
    let grant = ("grant_type", "client_credentials");
    let scope = ("scope", "system/Patient.rs");
    for (parameters, refusal) in [
        (&[("grant_type", "password")][..], "unsupported_grant_type"),
        (&[scope], "invalid_request"),
        (&[grant, scope], "invalid_client"),
        (&[grant, grant], "invalid_request"),
    ] {
        let answer = form(&kiln, "/auth/token", parameters);
        assert_eq!(error(&answer), refusal, "{parameters:?}");
    }
    assert_eq!(get(kiln.address, "/auth/token").status, 405);
    // None of it has used the good one up.
    token(&ask(&kiln, &service.assertion(&good), "system/Patient.rs"));
}

/// G6.
fn an_assertion_counts_once_on_whatever_node(database: &Database) {
    let kiln = Kiln::configured(
        database,
        "auth = \"smart\"\npublic_url = \"http://kiln.example.org\"\nmllp = \"off\"\n",
    );
    let service = Service::new();
    register(database, &service, "system/Patient.rs");
    let mut claims = claims(&kiln, "once");
    claims.insert("aud", "http://kiln.example.org/auth/token".into());
    let assertion = service.assertion(&claims);
    let got = token(&ask(&kiln, &assertion, "system/Patient.rs"));
    assert_eq!(
        error(&ask(&kiln, &assertion, "system/Patient.rs")),
        "invalid_client"
    );
    // Nor after a restart, or on another node.
    kiln.kill();
    let kiln = Kiln::configured(
        database,
        "auth = \"smart\"\npublic_url = \"http://kiln.example.org\"\nmllp = \"off\"\n",
    );
    assert_eq!(
        error(&ask(&kiln, &assertion, "system/Patient.rs")),
        "invalid_client"
    );
    let headers = [("Authorization", &*format!("Bearer {got}"))];
    assert_eq!(
        send(kiln.address, "GET", "/fhir/Patient", &headers, b"")
            .unwrap()
            .status,
        200
    );
}

fn a_token_ends_when_it_is_taken_back_or_its_client_goes(database: &Database) {
    let kiln = guarded(database);
    let service = Service::new();
    register(database, &service, "system/Patient.rs");
    let new = |jti: &str| {
        token(&ask(
            &kiln,
            &service.assertion(&claims(&kiln, jti)),
            "system/Patient.rs",
        ))
    };
    let status = |token: &str| {
        let headers = [("Authorization", &*format!("Bearer {token}"))];
        send(kiln.address, "GET", "/fhir/Patient", &headers, b"")
            .unwrap()
            .status
    };
    let (first, second, third) = (new("1"), new("2"), new("3"));
    assert_eq!(
        (status(&first), status(&second), status(&third)),
        (200, 200, 200)
    );
    let assertion = service.assertion(&claims(&kiln, "4"));
    let parameters = [
        ("token", &*first),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &assertion),
    ];
    assert_eq!(form(&kiln, "/auth/revoke", &parameters).status, 200);
    // On this node at once.
    assert_eq!((status(&first), status(&second)), (401, 200));
    database.execute("UPDATE access_tokens SET expires_at = 1 WHERE client = 'nightly'");
    let ends = |token: &str| {
        (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(25));
            status(token) == 401
        })
    };
    assert!(ends(&second) && ends(&third));
    let fourth = new("5");
    assert_eq!(status(&fourth), 200);
    assert!(
        cli(database, &["client", "remove", "nightly"])
            .status
            .success()
    );
    assert!(ends(&fourth));
    let answer = ask(
        &kiln,
        &service.assertion(&claims(&kiln, "6")),
        "system/Patient.rs",
    );
    assert_eq!(error(&answer), "invalid_client");
    assert_eq!(cli(database, &["client", "list"]).stdout, b"");
    assert!(
        !cli(database, &["client", "remove", "nightly"])
            .status
            .success()
    );
    // Whoever comes later under that name begins anew.
    register(database, &service, "system/Patient.r");
}
