//! A ward: the server with two patients, a clinician, one of the patients, and an app that they use.

use fhir_spec::json::Value;

use crate::authorised::{Holder, guarded, key};
use crate::browser::{Browser, FORM, decoded, encoded};
use crate::client::{Answer, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::people::{person, piped};

pub(crate) const REDIRECT: &str = "http://127.0.0.1:9/callback";
/// Of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const STATE: &str = "a&b=c \"<é>";
pub(crate) const PASSWORD: &str = "correct horse";

#[derive(Debug)]
pub(crate) struct Ward<'d> {
    pub(crate) database: &'d Database,
    pub(crate) kiln: Kiln,
}

pub(crate) const APP_SCOPE: &str =
    "openid fhirUser launch/patient offline_access online_access patient/*.cruds user/*.cruds";

impl<'d> Ward<'d> {
    pub(crate) fn new(database: &'d Database) -> Self {
        let kiln = guarded(database);
        let seeder = Holder {
            kiln: &kiln,
            key: key(database, "seeder", &["--role", "admin"]),
        };
        for id in ["p1", "p2"] {
            seeder.put(&format!(
                r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Young","given":["{id}"]}}]}}"#
            ));
            seeder.put(&format!(
                r#"{{"resourceType":"Condition","id":"c{id}","subject":{{"reference":"Patient/{id}"}}}}"#
            ));
            for category in ["laboratory", "vital-signs"] {
                seeder.put(&format!(
                    r#"{{"resourceType":"Observation","id":"{id}-{category}","status":"final","code":{{"text":"x"}},
                    "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}],
                    "subject":{{"reference":"Patient/{id}"}}}}"#
                ));
            }
        }
        person(
            database,
            "anna",
            PASSWORD,
            &["--fhir-user", "Practitioner/1"],
        );
        person(database, "paul", PASSWORD, &["--fhir-user", "Patient/p1"]);
        let ward = Self { database, kiln };
        ward.register("app", APP_SCOPE, &["--public"]);
        ward
    }

    pub(crate) fn register(&self, id: &str, scope: &str, proof: &[&str]) {
        let flags = [
            "client",
            "add",
            id,
            "--scope",
            scope,
            "--redirect",
            REDIRECT,
        ];
        let added = piped(self.database, &[&flags[..], proof].concat(), "s3cret:%+ é");
        let told = String::from_utf8_lossy(&added.stderr).into_owned();
        assert!(added.status.success(), "{told}");
        let shown = String::from_utf8(added.stdout).unwrap();
        assert!(
            !shown.contains("argon2") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    pub(crate) fn asked<'a>(&self, base: &'a str, scope: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT),
            ("scope", scope),
            ("state", STATE),
            ("aud", base),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}/fhir", self.kiln.address)
    }

    pub(crate) fn lead(&self, browser: &mut Browser, parameters: &[(&str, &str)]) -> Answer {
        let path = format!("/auth/authorize?{}", encoded(parameters));
        browser.get(self.kiln.address, &path)
    }

    pub(crate) fn submit(
        &self,
        browser: &mut Browser,
        page: &Answer,
        filled: &[(&str, &str)],
    ) -> Answer {
        browser.submit(self.kiln.address, "/auth/authorize", page, filled)
    }

    pub(crate) fn sign_in(&self, browser: &mut Browser, page: &Answer, name: &str) -> Answer {
        self.submit(browser, page, &[("username", name), ("password", PASSWORD)])
    }

    /// The code, after somebody has allowed all that is asked for, of a patient when they may choose.
    pub(crate) fn code(&self, parameters: &[(&str, &str)], name: &str) -> String {
        let mut browser = Browser::default();
        let page = self.lead(&mut browser, parameters);
        let mut page = self.sign_in(&mut browser, &page, name);
        if page.text().contains("Choose a patient") {
            page = self.submit(&mut browser, &page, &[("patient", "p1")]);
        }
        returned(
            &self.submit(&mut browser, &page, &[("allow", "yes")]),
            "code",
        )
    }

    pub(crate) fn token(&self, headers: &[(&str, &str)], parameters: &[(&str, &str)]) -> Answer {
        let headers = [&[FORM], headers].concat();
        let body = encoded(parameters);
        let answer = send(
            self.kiln.address,
            "POST",
            "/auth/token",
            &headers,
            body.as_bytes(),
        );
        let answer = answer.unwrap();
        // B5: nothing of this is kept by anybody on the way.
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert_eq!(answer.header("Pragma"), Some("no-cache"));
        answer
    }

    pub(crate) fn exchange(&self, code: &str) -> Answer {
        self.token(&[], &of_code(code))
    }

    pub(crate) fn refresh(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        let own = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "app"),
        ];
        self.token(&[], &[&own, more].concat())
    }

    /// All that somebody gets with these scopes.
    pub(crate) fn granted(&self, scope: &str, name: &str) -> Value {
        let code = self.code(&self.asked(&self.base(), scope), name);
        let answer = self.exchange(&code);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(crate) fn status(&self, token: &str, method: &str, path: &str, body: &str) -> u16 {
        self.fhir(token, method, path, body).status
    }

    pub(crate) fn fhir(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/fhir+json"),
        ];
        let path = format!("/fhir/{path}");
        send(self.kiln.address, method, &path, &headers, body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, token: &str, path: &str) -> u16 {
        self.status(token, "GET", path, "")
    }
}

pub(crate) fn of_code(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("client_id", "app"),
    ]
}

/// What the app is told at its address.
pub(crate) fn returned(answer: &Answer, name: &str) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let location = answer.header("Location").unwrap();
    let (place, _) = location.split_once('?').unwrap();
    assert_eq!(place, REDIRECT);
    let parameters = decoded(location);
    let get = |name: &str| {
        let mut named = parameters.iter().filter(|(key, _)| key == name);
        named
            .next()
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    // SM-4: to the letter.
    assert_eq!(get("state"), STATE);
    get(name)
}

pub(crate) fn error(answer: &Answer) -> (u16, String) {
    let error = answer.json().str_of("error").unwrap_or_default().to_owned();
    (answer.status, error)
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.str_of(name).unwrap_or_default()
}
