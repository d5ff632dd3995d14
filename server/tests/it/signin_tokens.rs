//! What apps get for codes and refresh tokens, what that lets be seen, and what ends it. (1.C, 1.E and 1.F of the SMART checks)

use fhir_spec::json::Value;

use crate::authorised::{cli, ids};
use crate::browser::{Browser, FORM, encoded};
use crate::client::send;
use crate::databases::Database;
use crate::people::with_password;
use crate::ward::{APP_SCOPE, CHALLENGE, PASSWORD, Ward, error, of_code, returned, text};

on_both_databases!(
    a_code_counts_once_and_for_its_app,
    a_refresh_token_counts_once,
    nobody_gets_more_than_the_app_and_the_person_may,
    forms_are_our_own_and_passwords_are_not_guessed,
    what_ends_a_grant_ends_its_tokens,
);

/// C3, C5, C7, C8, C12.
fn a_code_counts_once_and_for_its_app(database: &Database) {
    let ward = Ward::new(database);
    ward.register("other", APP_SCOPE, &["--public"]);
    let base = ward.base();
    let parameters = ward.asked(&base, "user/Patient.rs offline_access");
    let spent = (400, "invalid_grant".to_owned());
    for (name, value) in [
        ("code_verifier", None),
        ("code_verifier", Some("")),
        ("code_verifier", Some("wrong")),
        ("code_verifier", Some(CHALLENGE)),
        ("redirect_uri", None),
        ("redirect_uri", Some("http://127.0.0.1:9/other")),
        ("client_id", Some("other")),
    ] {
        let code = ward.code(&parameters, "anna");
        let mut changed = of_code(&code).to_vec();
        changed.retain(|(key, _)| *key != name);
        changed.extend(value.map(|value| (name, value)));
        assert_eq!(error(&ward.token(&[], &changed)), spent, "{name} {value:?}");
        // It is burnt.
        assert_eq!(error(&ward.exchange(&code)), spent, "{name} {value:?}");
    }
    assert_eq!(error(&ward.exchange("kiln_ac_unknown")), spent);
    let mut wrong = of_code("x").to_vec();
    wrong[0] = ("grant_type", "password");
    assert_eq!(
        error(&ward.token(&[], &wrong)),
        (400, "unsupported_grant_type".to_owned())
    );
    // Whoever comes with it once more ends what came of it.
    let code = ward.code(&parameters, "anna");
    let got = ward.exchange(&code).json();
    let token = text(&got, "access_token").to_owned();
    assert_eq!(ward.get(&token, "Patient/p1"), 200);
    assert_eq!(error(&ward.exchange(&code)), spent);
    assert_eq!(ward.get(&token, "Patient/p1"), 401);
    assert_eq!(
        error(&ward.refresh(text(&got, "refresh_token"), &[])),
        spent
    );
    // After a minute nobody gets anything for it.
    let code = ward.code(&parameters, "anna");
    database.execute("UPDATE grants SET expires_at = 1");
    assert_eq!(error(&ward.exchange(&code)), spent);
    assert_eq!(
        database.number("SELECT COUNT(*) FROM vouchers WHERE hash LIKE 'kiln%'"),
        0
    );
}

/// E1 to E8, E10.
fn a_refresh_token_counts_once(database: &Database) {
    let ward = Ward::new(database);
    ward.register("other", APP_SCOPE, &["--public"]);
    let scope = "offline_access patient/Patient.rs patient/Observation.rs";
    let first = ward.granted(scope, "paul");
    let mut refresh = text(&first, "refresh_token").to_owned();
    let whole = ward.refresh(&refresh, &[]).json();
    assert_eq!(text(&whole, "scope"), text(&first, "scope"));
    assert_eq!(text(&whole, "patient"), "p1");
    assert_ne!(text(&whole, "refresh_token"), refresh);
    refresh = text(&whole, "refresh_token").to_owned();
    for (more, told) in [
        (&[("scope", "patient/Condition.rs")][..], "invalid_scope"),
        (&[("scope", "patient/Patient.cruds")], "invalid_scope"),
        (&[("scope", "user/Patient.rs")], "invalid_scope"),
    ] {
        assert_eq!(error(&ward.refresh(&refresh, more)), (400, told.to_owned()));
    }
    let stolen = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("client_id", "other"),
    ];
    assert_eq!(
        error(&ward.token(&[], &stolen)),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(
        error(&ward.refresh("garbage", &[])),
        (400, "invalid_grant".to_owned())
    );
    // fhirclient says nothing of who it is: the token does.
    let bare = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let bare = ward.token(&[], &bare).json();
    refresh = text(&bare, "refresh_token").to_owned();
    // What was refused has used nothing up.
    let narrow = ward
        .refresh(
            &refresh,
            &[("scope", "patient/Observation.r?category=laboratory")],
        )
        .json();
    let token = text(&narrow, "access_token").to_owned();
    assert_eq!(
        text(&narrow, "scope"),
        "patient/Observation.r?category=laboratory"
    );
    assert_eq!(narrow.get("expires_in").and_then(Value::as_u64), Some(1800));
    assert_eq!(ward.get(&token, "Observation/p1-laboratory"), 200);
    assert_eq!(ward.get(&token, "Observation/p1-vital-signs"), 404);
    assert_eq!(ward.get(&token, "Patient/p1"), 403);
    // It lasts for more than three months, from each use on.
    let until =
        "SELECT MIN(expires_at) FROM vouchers WHERE bound = '' AND used_at > 9000000000000000000";
    let now = "SELECT MAX(created_at) FROM access_tokens";
    assert!(database.number(until) - database.number(now) >= 92 * 86_400 * 1_000_000);
    // Whoever comes with one that was used ends all of them.
    let last = text(&narrow, "refresh_token").to_owned();
    assert_eq!(
        error(&ward.refresh(&refresh, &[])),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(
        error(&ward.refresh(&last, &[])),
        (400, "invalid_grant".to_owned())
    );
    assert_eq!(ward.get(&token, "Observation/p1-laboratory"), 401);
    what_ends_with_the_session_ends_with_it(&ward);
}

fn what_ends_with_the_session_ends_with_it(ward: &Ward<'_>) {
    let online = ward.granted("online_access patient/Patient.rs", "paul");
    let online = text(
        &ward.refresh(text(&online, "refresh_token"), &[]).json(),
        "refresh_token",
    )
    .to_owned();
    ward.database.execute("DELETE FROM sessions");
    assert_eq!(
        error(&ward.refresh(&online, &[])),
        (400, "invalid_grant".to_owned())
    );
}

/// SM-10, SM-11, SM-12, F4, F10, F12, F14.
fn nobody_gets_more_than_the_app_and_the_person_may(database: &Database) {
    let ward = Ward::new(database);
    let token =
        |scope: &str, name: &str| text(&ward.granted(scope, name), "access_token").to_owned();
    // A patient who uses an app with the rights of users sees no more than their own record, and changes nothing.
    let own = token("user/*.cruds", "paul");
    assert_eq!(ward.get(&own, "Patient/p1"), 200);
    assert_eq!(ward.get(&own, "Patient/p2"), 404);
    assert_eq!(ids(&ward.fhir(&own, "GET", "Condition", "")), ["cp1"]);
    assert_eq!(ward.status(&own, "DELETE", "Condition/cp1", ""), 403);
    // A clinician's app about a patient stays with the patient.
    let about = token("launch/patient patient/*.read", "anna");
    assert_eq!(ward.get(&about, "Condition/cp1"), 200);
    assert_eq!(ward.get(&about, "Condition/cp2"), 404);
    let mine = r#"{"resourceType":"Condition","subject":{"reference":"Patient/p1"}}"#;
    assert_eq!(ward.status(&about, "POST", "Condition", mine), 403);
    let adds = token("patient/Condition.c", "anna");
    assert_eq!(ward.status(&adds, "POST", "Condition", mine), 201);
    assert_eq!(
        ward.status(&adds, "POST", "Condition", &mine.replace("p1", "p2")),
        403
    );
    assert_eq!(ward.get(&adds, "Condition/cp1"), 403);
    let both = token(
        "user/Observation.rs?category=laboratory user/Observation.r?category=vital-signs",
        "anna",
    );
    assert_eq!(ward.get(&both, "Observation/p2-laboratory"), 200);
    assert_eq!(ward.get(&both, "Observation/p2-vital-signs"), 200);
    assert_eq!(
        ids(&ward.fhir(&both, "GET", "Observation", "")),
        ["p1-laboratory", "p2-laboratory"]
    );
    let bearer = [("Authorization", &*format!("Bearer {both}"))];
    for path in ["/api/messages", "/metrics", "/api/routes"] {
        let answer = send(ward.kiln.address, "GET", path, &bearer, b"").unwrap();
        assert_eq!(answer.status, 403, "{path}");
    }
}

/// C16, T-36, T-37, AU-10.
fn forms_are_our_own_and_passwords_are_not_guessed(database: &Database) {
    let ward = Ward::new(database);
    let base = ward.base();
    let parameters = ward.asked(&base, "user/Patient.rs");
    let mut browser = Browser::default();
    let login = ward.lead(&mut browser, &parameters);
    // A page elsewhere that knows the password, but not the mark of the form, signs nobody in.
    let blind = [
        &parameters[..],
        &[("username", "anna"), ("password", PASSWORD)],
    ]
    .concat();
    let blind = Browser::default().ask(
        ward.kiln.address,
        "POST",
        "/auth/authorize",
        &[FORM],
        &encoded(&blind),
    );
    assert_eq!(blind.status, 403);
    assert_eq!(blind.header("Location"), None);
    let consent = ward.sign_in(&mut browser, &login, "anna");
    for mark in ["", "guessed"] {
        let decided = [
            &parameters[..],
            &[
                ("form", mark),
                ("allow", "yes"),
                ("scope", "user/Patient.rs"),
            ],
        ]
        .concat();
        let answer = browser.ask(
            ward.kiln.address,
            "POST",
            "/auth/authorize",
            &[FORM],
            &encoded(&decided),
        );
        // The scope comes twice then: nothing is understood of it.
        assert!(matches!(answer.status, 303 | 403), "{}", answer.text());
        assert!(
            !answer
                .header("Location")
                .unwrap_or_default()
                .contains("code=k")
        );
        let decided = [&parameters[..], &[("form", mark), ("allow", "yes")]].concat();
        let answer = browser.ask(
            ward.kiln.address,
            "POST",
            "/auth/authorize",
            &[FORM],
            &encoded(&decided),
        );
        assert_eq!(answer.status, 403);
    }
    // In an address none of it counts.
    let decided = [&parameters[..], &[("allow", "yes")]].concat();
    assert!(
        ward.lead(&mut browser, &decided)
            .text()
            .contains("Allow access?")
    );
    assert_eq!(
        returned(
            &ward.submit(&mut browser, &consent, &[("deny", "yes")]),
            "error"
        ),
        "access_denied"
    );
    passwords_are_not_guessed(&ward, &parameters);
}

fn passwords_are_not_guessed(ward: &Ward<'_>, parameters: &[(&str, &str)]) {
    let mut guesser = Browser::default();
    let login = ward.lead(&mut guesser, parameters);
    let guess = |browser: &mut Browser, name: &str, password: &str| {
        let filled = [("username", name), ("password", password)];
        ward.submit(browser, &login, &filled)
    };
    let nobody = guess(&mut guesser, "nobody", "wrong password");
    let wrong = guess(&mut guesser, "anna", "wrong password");
    assert_eq!((nobody.status, wrong.status), (401, 401));
    assert_eq!(
        nobody.text(),
        wrong.text(),
        "nobody learns who has a name here"
    );
    let refused = (0..12).map(|_| guess(&mut guesser, "anna", "wrong password").status);
    assert!(refused.last() == Some(429));
    assert_eq!(guess(&mut guesser, "anna", PASSWORD).status, 429);
}

/// E9, and what else ends what was allowed.
fn what_ends_a_grant_ends_its_tokens(database: &Database) {
    let ward = Ward::new(database);
    let revoke = |token: &str| {
        let body = encoded(&[("token", token), ("client_id", "app")]);
        let answer = send(
            ward.kiln.address,
            "POST",
            "/auth/revoke",
            &[FORM],
            body.as_bytes(),
        );
        assert_eq!(answer.unwrap().status, 200);
    };
    let ended = |got: &Value| {
        // Elsewhere it is believed for a second; here nothing was looked up again meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let access = ward.get(text(got, "access_token"), "Patient/p1");
        (access, ward.refresh(text(got, "refresh_token"), &[]).status)
    };
    let scope = "offline_access user/Patient.rs";
    let got = ward.granted(scope, "anna");
    revoke(text(&got, "access_token"));
    assert_eq!(ward.get(text(&got, "access_token"), "Patient/p1"), 401);
    let got = ward.refresh(text(&got, "refresh_token"), &[]).json();
    assert_eq!(ward.get(text(&got, "access_token"), "Patient/p1"), 200);
    revoke(text(&got, "refresh_token"));
    assert_eq!(ward.get(text(&got, "access_token"), "Patient/p1"), 401);
    let got = ward.granted(scope, "paul");
    assert!(cli(database, &["user", "disable", "paul"]).status.success());
    assert_eq!(ended(&got), (401, 400));
    let got = ward.granted(scope, "anna");
    assert!(cli(database, &["client", "remove", "app"]).status.success());
    assert_eq!(ended(&got), (401, 401));
    let log = ward.kiln.stop_and_read_log();
    for secret in [PASSWORD, "kiln_at_", "kiln_rt_", "kiln_ac_"] {
        assert!(!log.contains(secret), "{secret}");
    }
    // Changing a password needs no running server, and ends the sessions.
    assert!(
        with_password(database, &["user", "password", "anna"], "another horse")
            .status
            .success()
    );
    assert_eq!(
        database.number("SELECT COUNT(*) FROM sessions WHERE person = 'anna'"),
        0
    );
}
