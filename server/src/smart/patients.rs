//! Patients as somebody chooses one: those whom the person may see.

use fhir_spec::json::{Value, parse};
use search::query::{self, Handling, Settings};

use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::read;
use crate::store::Error;

/// So many are shown to choose from.
const SHOWN_MAX: u32 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    pub id: String,
    /// By what people know them.
    pub name: String,
}

/// The patient of that id. None: there is none, or the person may not see them.
pub async fn named(cx: &Cx, id: &str) -> Result<Option<Patient>, Fault> {
    match read::run(cx, "Patient", id).await {
        Ok(found) => Ok(Some(patient(id, &found.body))),
        Err(fault) if matches!(fault.kind, Kind::NotFound | Kind::Deleted | Kind::Forbidden) => {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Those whose name begins like that.
pub async fn found(cx: &Cx, name: &str) -> Result<Vec<Patient>, Fault> {
    let Ok(permit) = may(&cx.caller, Action::Search("Patient")) else {
        return Ok(Vec::new());
    };
    let mut parameters = Vec::new();
    if !name.is_empty() {
        parameters.push(("name".to_owned(), name.replace(',', "\\,")));
    }
    let settings = Settings {
        handling: Handling::Strict,
        now: cx.now.micros(),
    };
    let query = query::parse(&cx.app.search(), "Patient", &parameters, settings);
    let query = query.map_err(Fault::of_query)?;
    let found = cx.app.store.read(permit, move |view| {
        view.matching("Patient", &query, SHOWN_MAX)
    });
    let found = found.await.map_err(|error: Error| error)?;
    let shown = found
        .iter()
        .map(|(head, found)| patient(&head.id, &found.body));
    Ok(shown.collect())
}

fn patient(id: &str, body: &[u8]) -> Patient {
    let document = parse(body).unwrap_or_else(|_| Value::from(""));
    let name = document.items_of("name").first().map(|name| {
        let given = name.items_of("given").iter().filter_map(Value::as_str);
        let parts = given.chain(name.str_of("family"));
        let whole = parts.collect::<Vec<&str>>().join(" ");
        if whole.is_empty() {
            return name.str_of("text").unwrap_or_default().to_owned();
        }
        whole
    });
    let name = name.filter(|name| !name.is_empty());
    let born = document
        .str_of("birthDate")
        .map(|date| format!(", born {date}"));
    let name = name.unwrap_or_else(|| format!("Patient {id}"));
    Patient {
        id: id.to_owned(),
        name: name + &born.unwrap_or_default(),
    }
}
