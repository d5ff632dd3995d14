//! Apps that people use: from the first redirect to what a token lets be seen. (1.B, 1.C and 1.F of the SMART checks)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::Value;

use crate::authorised::{cli, ids};
use crate::browser::{Browser, FORM, encoded, inputs};
use crate::client::{Answer, get, send};
use crate::databases::Database;
use crate::ward::{APP_SCOPE, Ward, error, of_code, returned, text};

on_both_databases!(
    an_app_without_a_secret_gets_what_a_person_allows,
    an_app_with_a_secret_shows_it,
    what_is_wrong_leads_to_no_code,
    pages_of_apps_may_ask_and_others_may_not,
);

/// What can be ticked.
fn offered(page: &Answer) -> Vec<String> {
    let boxes = inputs(&page.text()).into_iter();
    let boxes = boxes.filter(|input| input.kind == "checkbox");
    boxes.map(|input| input.value).collect()
}

/// From the page to sign in to the page of consent, by way of those who can be chosen.
fn somebody_is_chosen(ward: &Ward<'_>, browser: &mut Browser, login: &Answer) -> Answer {
    let before = browser.cookie.clone();
    let picker = ward.sign_in(browser, login, "anna");
    assert!(
        picker.text().contains("Choose a patient"),
        "{}",
        picker.text()
    );
    // What was handed out before somebody signed in counts for nobody after.
    assert_ne!(browser.cookie, before);
    let line = picker.header("Set-Cookie").unwrap();
    assert!(
        line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/auth/")
    );
    let shown = inputs(&picker.text());
    assert!(
        shown
            .iter()
            .any(|input| input.name == "patient" && input.value == "p2")
    );
    let found = ward.submit(browser, &picker, &[("find", "Nobody")]);
    assert!(found.text().contains("Nobody of that name"));
    let unknown = ward.submit(browser, &picker, &[("patient", "p3")]);
    assert!(unknown.text().contains("no such patient"));
    ward.submit(browser, &picker, &[("patient", "p2")])
}

/// B1, B3, B6, B7, B13, F1.
fn an_app_without_a_secret_gets_what_a_person_allows(database: &Database) {
    let ward = Ward::new(database);
    let base = ward.base();
    let scope = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.read offline_access system/*.rs";
    let parameters = ward.asked(&base, scope);
    let mut browser = Browser::default();
    let login = ward.lead(&mut browser, &parameters);
    assert_eq!(login.status, 200);
    let policy = login.header("Content-Security-Policy").unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
    assert_eq!(login.header("Cache-Control"), Some("no-store"));
    let consent = somebody_is_chosen(&ward, &mut browser, &login);
    assert_eq!(
        offered(&consent),
        [
            "offline_access",
            "patient/Patient.rs",
            "patient/Observation.rs",
            "patient/Condition.rs"
        ]
    );
    assert!(
        consent.text().contains("p2 Young")
            && consent
                .text()
                .contains("Observation of the patient: read and search")
    );
    let done = ward.submit(
        &mut browser,
        &consent,
        &[
            ("allow", "yes"),
            ("-scope", "patient/Condition.rs"),
            ("-scope", "offline_access"),
        ],
    );
    let answer = ward.exchange(&returned(&done, "code"));
    let got = answer.json();
    assert_eq!(
        text(&got, "scope"),
        "launch/patient patient/Patient.rs patient/Observation.rs"
    );
    assert_eq!(text(&got, "token_type"), "Bearer");
    assert_eq!(text(&got, "patient"), "p2");
    assert_eq!(
        got.get("need_patient_banner").and_then(Value::as_bool),
        Some(true)
    );
    assert_eq!(got.get("expires_in").and_then(Value::as_u64), Some(1800));
    assert_eq!(got.get("refresh_token"), None);
    let style = text(&got, "smart_style_url").to_owned();
    assert!(style.starts_with("http://"));
    let style = get(ward.kiln.address, "/auth/style.json");
    assert!(style.json().str_of("color_text").is_some());
    let token = text(&got, "access_token").to_owned();
    for (status, path) in [
        (200, "Patient/p2"),
        (404, "Patient/p1"),
        (200, "Observation/p2-laboratory"),
        (404, "Observation/p1-laboratory"),
        (403, "Condition/cp2"),
        (403, "Condition?patient=p2"),
        (403, "Encounter"),
    ] {
        assert_eq!(ward.get(&token, path), status, "{path}");
    }
    assert_eq!(
        ids(&ward.fhir(&token, "GET", "Observation", "")),
        ["p2-laboratory", "p2-vital-signs"]
    );
    assert_eq!(ward.get("garbage", "Patient/p2"), 401);
    who_is_signed_in_is_asked_and_may_say_no(&ward, &mut browser, &parameters);
}

fn who_is_signed_in_is_asked_and_may_say_no(
    ward: &Ward<'_>,
    browser: &mut Browser,
    parameters: &[(&str, &str)],
) {
    let again = ward.lead(browser, parameters);
    assert!(again.text().contains("Choose a patient"));
    let consent = ward.submit(browser, &again, &[("patient", "p1")]);
    let offered = offered(&consent);
    let denied = ward.submit(browser, &consent, &[("deny", "yes")]);
    assert_eq!(returned(&denied, "error"), "access_denied");
    let nothing: Vec<(&str, &str)> = offered
        .iter()
        .map(|scope| ("-scope", scope.as_str()))
        .collect();
    let nothing = [&[("allow", "yes")], &nothing[..]].concat();
    assert_eq!(
        returned(&ward.submit(browser, &consent, &nothing), "error"),
        "access_denied"
    );
    // F9: less than what was offered may be ticked, more not.
    let narrow = [
        ("allow", "yes"),
        ("-scope", "patient/Observation.rs"),
        ("scope", "patient/Observation.rs?category=laboratory"),
        ("scope", "patient/Observation.cruds"),
        ("scope", "user/Patient.rs"),
        ("scope", "system/Patient.rs"),
    ];
    let got = ward
        .exchange(&returned(&ward.submit(browser, &consent, &narrow), "code"))
        .json();
    let token = text(&got, "access_token").to_owned();
    assert!(
        text(&got, "scope").ends_with("patient/Observation.rs?category=laboratory"),
        "{got:?}"
    );
    assert_eq!(ward.get(&token, "Observation/p1-laboratory"), 200);
    assert_eq!(ward.get(&token, "Observation/p1-vital-signs"), 404);
    assert_eq!(ward.get(&token, "Observation/p2-laboratory"), 404);
}

/// B2, B4, C6, C15.
fn an_app_with_a_secret_shows_it(database: &Database) {
    let ward = Ward::new(database);
    ward.register("safe", APP_SCOPE, &["--secret-stdin"]);
    let base = ward.base();
    let mut parameters = ward.asked(&base, "user/Patient.rs");
    parameters[1] = ("client_id", "safe");
    an_app_sends_people_by_a_form_of_its_own(&ward, &parameters);
    let code = || ward.code(&parameters, "anna");
    let own = |code: &str| {
        let own = of_code(code).map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.into_iter()
            .filter(|(name, _)| name != "client_id")
            .collect::<Vec<_>>()
    };
    let ask = |code: &str, basic: Option<&str>, more: &[(&str, &str)]| {
        let own = own(code);
        let mut all: Vec<(&str, &str)> = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend(more);
        let basic = basic.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
        let headers: Vec<(&str, &str)> = basic
            .iter()
            .map(|basic| ("Authorization", basic.as_str()))
            .collect();
        ward.token(&headers, &all)
    };
    const BASIC: &str = "safe:s3cret%3A%25%2B+%C3%A9";
    let first = code();
    for (basic, more, status) in [
        (None, &[("client_id", "safe")][..], 401),
        (Some("safe:wrong"), &[], 401),
        (Some("nobody:s3cret"), &[], 401),
        (
            None,
            &[("client_id", "safe"), ("client_secret", "wrong")],
            401,
        ),
        (Some(BASIC), &[("client_secret", "s3cret:%+ é")], 400),
        (Some(BASIC), &[("client_id", "app")], 401),
        // Nothing of this has burnt the code: nobody had shown who they are.
        (Some(BASIC), &[("client_id", "safe")], 200),
    ] {
        let answer = ask(&first, basic, more);
        assert_eq!(
            answer.status,
            status,
            "{basic:?} {more:?} {}",
            answer.text()
        );
        if status == 401 {
            assert_eq!(error(&answer).1, "invalid_client");
        }
    }
    let posted = [("client_id", "safe"), ("client_secret", "s3cret:%+ é")];
    let got = ask(&code(), None, &posted);
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(
        ward.get(text(&got.json(), "access_token"), "Patient/p2"),
        200
    );
    let kept =
        "SELECT COUNT(*) FROM clients WHERE body LIKE '%$argon2id$%' AND body NOT LIKE '%s3cret%'";
    assert_eq!(database.number(kept), 1);
    let listed = String::from_utf8(cli(database, &["client", "list"]).stdout).unwrap();
    assert!(
        listed.contains("client_secret_basic") && !listed.contains("argon2"),
        "{listed}"
    );
}

fn an_app_sends_people_by_a_form_of_its_own(ward: &Ward<'_>, parameters: &[(&str, &str)]) {
    let mut browser = Browser::default();
    let headers = [FORM, ("Origin", "https://app.example.org")];
    let (sent, address) = (encoded(parameters), ward.kiln.address);
    let login = browser.ask(address, "POST", "/auth/authorize", &headers, &sent);
    let consent = ward.sign_in(&mut browser, &login, "anna");
    let allowed = ward.submit(&mut browser, &consent, &[("allow", "yes")]);
    assert_eq!(allowed.status, 303);
}

/// C1, C2, C4, C9, C10, C11, F13.
fn what_is_wrong_leads_to_no_code(database: &Database) {
    let ward = Ward::new(database);
    let base = ward.base();
    let good = ward.asked(&base, "patient/Patient.rs");
    let with = |name: &str, value: Option<&'static str>| {
        let mut changed: Vec<(&str, &str)> = good.clone();
        changed.retain(|(key, _)| *key != name);
        let name = good
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("prompt", |(key, _)| *key);
        changed.extend(value.map(|value| (name, value)));
        changed
    };
    for (name, value) in [
        ("client_id", None),
        ("client_id", Some("nobody")),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://127.0.0.1:9/callback/more")),
        ("redirect_uri", Some("http://127.0.0.1:9/call")),
        ("redirect_uri", Some("http://127.0.0.1:10/callback")),
        ("redirect_uri", Some("http://127.0.0.1:9/callback#x")),
        ("redirect_uri", Some("HTTP://127.0.0.1:9/callback")),
        ("redirect_uri", Some("http://127.0.0.1:9/callback?x=1")),
    ] {
        let answer = ward.lead(&mut Browser::default(), &with(name, value));
        assert_eq!(answer.status, 400, "{name} {value:?}");
        assert_eq!(answer.header("Location"), None);
        assert!(answer.text().contains("cannot be let in"));
    }
    for (name, value, told) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("aud", None, "invalid_request"),
        (
            "aud",
            Some("https://elsewhere.example.org/fhir"),
            "invalid_request",
        ),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("scope", None, "invalid_scope"),
        ("scope", Some("system/Patient.rs"), "invalid_scope"),
        ("scope", Some("patient/Observation.dus"), "invalid_scope"),
        (
            "scope",
            Some("patient/Observation.rs?nothing=x"),
            "invalid_scope",
        ),
        (
            "scope",
            Some("patient/Observation.rs?category:not=x"),
            "invalid_scope",
        ),
        ("scope", Some("launch patient/Patient.rs"), "invalid_scope"),
        ("prompt", Some("none"), "login_required"),
    ] {
        let answer = ward.lead(&mut Browser::default(), &with(name, value));
        if value == Some("launch patient/Patient.rs") {
            // What the app was not registered for is left out.
            assert_eq!(answer.status, 200);
            continue;
        }
        assert_eq!(returned(&answer, "error"), told, "{name} {value:?}");
    }
    let mut twice = good.clone();
    twice.push(("aud", good[5].1));
    assert_eq!(
        returned(&ward.lead(&mut Browser::default(), &twice), "error"),
        "invalid_request"
    );
    // A slash behind the address of the server is no other server.
    let slash = format!("{base}/");
    let mut parameters = good.clone();
    parameters[5] = ("aud", &slash);
    assert_eq!(ward.lead(&mut Browser::default(), &parameters).status, 200);
}

/// A7, A8.
fn pages_of_apps_may_ask_and_others_may_not(database: &Database) {
    let ward = Ward::new(database);
    let token = text(&ward.granted("user/*.cruds", "anna"), "access_token").to_owned();
    let bearer = format!("Bearer {token}");
    let ask = |origin: &str, method: &str, path: &str, body: &str| {
        // A browser asks first, and shows nothing when it does.
        let shown = match method {
            "OPTIONS" => ("Access-Control-Request-Method", "POST"),
            _ => ("Authorization", &*bearer),
        };
        let headers = [
            ("Origin", origin),
            shown,
            ("Content-Type", "application/fhir+json"),
        ];
        let answer = send(ward.kiln.address, method, path, &headers, body.as_bytes()).unwrap();
        let allowed = answer
            .header("Access-Control-Allow-Origin")
            .map(str::to_owned);
        assert_eq!(answer.header("Access-Control-Allow-Credentials"), None);
        (answer.status, allowed.unwrap_or_default())
    };
    const APP: &str = "http://127.0.0.1:9";
    const OTHER: &str = "http://127.0.0.1:10";
    let own = |status: u16| (status, APP.to_owned());
    let foreign = |status: u16| (status, String::new());
    let patient = r#"{"resourceType":"Patient"}"#;
    assert_eq!(ask(APP, "OPTIONS", "/fhir/Patient", ""), own(204));
    assert_eq!(ask(APP, "OPTIONS", "/auth/token", ""), own(204));
    assert_eq!(ask(APP, "GET", "/fhir/Patient/p1", ""), own(200));
    assert_eq!(ask(APP, "POST", "/fhir/Patient", patient), own(201));
    assert_eq!(ask(OTHER, "OPTIONS", "/auth/token", ""), foreign(204));
    assert_eq!(ask(OTHER, "GET", "/fhir/Patient/p1", ""), foreign(200));
    assert_eq!(ask(OTHER, "POST", "/fhir/Patient", patient), foreign(403));
    let discovery = "/fhir/.well-known/smart-configuration";
    assert_eq!(ask(OTHER, "GET", discovery, ""), (200, "*".to_owned()));
}
