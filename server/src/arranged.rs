//! Routes, overlays and destinations that operators arrange while the server runs: read from the database when it starts, and again and
//! again as another node may have changed them, and put to use.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fhir_spec::json::{Data, Object, Value, parse};
use serde::Deserialize;

use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::config::{DestinationSettings, Outside, RouteSettings, Transport};
use crate::fault::{Fault, Kind};
use crate::messages::{Desk, Mode};
use crate::shelf::{Overlay, Sender};
use crate::store::{Arranged, Arrangement};

/// How often it is looked whether another node has arranged something.
const LOOK: Duration = Duration::from_secs(3);

/// What of it is in use here.
#[derive(Debug, Default)]
pub struct InUse {
    /// Versions of the routes that were arranged.
    routes: Mutex<BTreeMap<String, u64>>,
    /// The same of destinations.
    destinations: Mutex<BTreeMap<String, u64>>,
    /// Held from reading until what was read is in use: what was read earlier must not be put to use later.
    loading: tokio::sync::Mutex<()>,
}

/// A route as it is arranged.
#[derive(Debug)]
struct Route {
    settings: RouteSettings,
    mode: Mode,
}

/// As long as the server runs.
pub async fn run(app: &App, desk: &Desk) {
    loop {
        if let Err(fault) = load(app, desk).await {
            let told: Vec<&str> = fault
                .issues
                .iter()
                .map(|issue| issue.diagnostics.as_str())
                .collect();
            tracing::warn!(error = told.join("; "), "what is arranged was not read");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads what holds now, and puts it to use.
pub async fn load(app: &App, desk: &Desk) -> Result<(), Fault> {
    let permit = may(&Caller::Kiln, Action::Arrange)?;
    let _loading = desk.arranged.loading.lock().await;
    let (overlays, routes, destinations) = app
        .store
        .read(permit, |view| {
            let overlays = view.arrangements(Arranged::Overlay)?;
            let routes = view.arrangements(Arranged::Route)?;
            let destinations = view.arrangements(Arranged::Destination)?;
            Ok::<_, Fault>((overlays, routes, destinations))
        })
        .await?;
    app.shelf
        .set_overlays(overlays.iter().filter_map(overlay).collect());
    put_destinations(app, desk, &destinations);
    let mut in_use = desk
        .arranged
        .routes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for arrangement in &routes {
        let name = &arrangement.name;
        if in_use.get(name) == Some(&arrangement.version) {
            continue;
        }
        in_use.insert(name.clone(), arrangement.version);
        match route(arrangement, &app.outside) {
            Some(Ok(Route { settings, mode })) => put(desk, &settings, mode),
            Some(Err(fault)) => {
                let told = fault.issues.first().map(|issue| issue.diagnostics.as_str());
                tracing::warn!(route = name, error = told, "a route cannot be used");
            }
            None => drop(desk.routes.remove(name)),
        }
    }
    Ok(())
}

/// Those that have changed since they were last put to use here.
fn put_destinations(app: &App, desk: &Desk, all: &[Arrangement]) {
    let in_use = desk.arranged.destinations.lock();
    let mut in_use = in_use.unwrap_or_else(PoisonError::into_inner);
    for arrangement in all {
        let name = &arrangement.name;
        if in_use.get(name) == Some(&arrangement.version) {
            continue;
        }
        in_use.insert(name.clone(), arrangement.version);
        let Some(body) = &arrangement.body else {
            app.destinations.remove(name);
            continue;
        };
        let settings = parse(body.as_bytes()).map_err(Fault::internal);
        let settings = settings.and_then(|body| {
            let settings = body.get("settings").cloned();
            let settings = settings.unwrap_or_else(|| Object::new().into());
            destination_of(name, &settings, &app.outside)
        });
        let put = settings.map(|settings| app.destinations.put(&settings));
        if !matches!(put, Ok(Ok(()))) {
            tracing::warn!(destination = name, "a destination cannot be used");
        }
    }
}

/// A change of the mode alone lets connections be.
fn put(desk: &Desk, settings: &RouteSettings, mode: Mode) {
    let running = match desk.routes.get(&settings.name) {
        Some(running) if running.settings == *settings => running,
        _ => match desk.routes.put(settings) {
            Ok(running) => running,
            Err(error) => {
                tracing::warn!(route = settings.name, %error, "a route cannot be used");
                return;
            }
        },
    };
    running.tell(mode);
}

impl InUse {
    /// Whether a route came from here and not from the config file.
    pub fn has_route(&self, name: &str) -> bool {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.contains_key(name)
    }

    /// The same of destinations.
    pub fn has_destination(&self, name: &str) -> bool {
        let all = self.destinations.lock();
        all.unwrap_or_else(PoisonError::into_inner)
            .contains_key(name)
    }
}

/// An overlay as it is kept: `{"sender": {...}, "text": "..."}`.
pub fn overlay(arrangement: &Arrangement) -> Option<Overlay> {
    let body = parse(arrangement.body.as_ref()?.as_bytes()).ok()?;
    let sender = body.get("sender");
    let said = |name: &str| sender?.str_of(name).map(str::to_owned);
    Some(Overlay {
        name: arrangement.name.clone(),
        version: arrangement.version,
        sender: Sender {
            application: said("application"),
            facility: said("facility"),
            kind: said("type"),
            version: said("version"),
            file: said("file"),
        },
        text: body.str_of("text")?.to_owned(),
    })
}

/// None: it was taken out.
fn route(arrangement: &Arrangement, outside: &Outside) -> Option<Result<Route, Fault>> {
    let body = arrangement.body.as_ref()?;
    let read = || {
        let body = parse(body.as_bytes()).map_err(Fault::internal)?;
        let settings = body
            .get("settings")
            .cloned()
            .unwrap_or_else(|| Object::new().into());
        let mode = body.str_of("mode").and_then(mode_named);
        Ok(Route {
            settings: settings_of(&arrangement.name, &settings, outside)?,
            mode: mode.unwrap_or(Mode::Started),
        })
    };
    Some(read())
}

pub fn mode_named(word: &str) -> Option<Mode> {
    let all = [Mode::Started, Mode::Paused, Mode::Stopped];
    all.into_iter().find(|mode| mode.word() == word)
}

/// The settings of a route, as the config file has them but in JSON. All that can be known to be wrong is told.
pub fn settings_of(
    name: &str,
    document: &Value,
    outside: &Outside,
) -> Result<RouteSettings, Fault> {
    let wrong = |told: String| Fault::new(Kind::Unprocessable, told);
    let Some(toml::Value::Table(mut table)) = toml_of(document) else {
        return Err(wrong(
            "expected an object with the settings of a route".to_owned(),
        ));
    };
    let named = table.get("name").and_then(toml::Value::as_str);
    if named.is_some_and(|named| named != name) {
        return Err(wrong(format!("name: the address says {name}")));
    }
    table.insert("name".to_owned(), name.into());
    let settings = RouteSettings::deserialize(toml::Value::Table(table));
    let settings = settings.map_err(|error| wrong(error.message().to_owned()))?;
    settings.route().map_err(|error| wrong(error.to_string()))?;
    match (settings.transport, settings.listen) {
        (Transport::Http, _) => Err(wrong(
            "transport: expected mllp, folder or sftp; messages by HTTP come by the server's own address"
                .to_owned(),
        )),
        (Transport::Folder | Transport::Sftp, _) => {
            settings.check_confined(outside).map_err(wrong)?;
            Ok(settings)
        }
        (Transport::Mllp, None) => Err(wrong("listen: expected an address and a port".to_owned())),
        (Transport::Mllp, Some(address))
            if settings.tls.is_none()
                && !outside.allow_plaintext
                && !address.ip().is_loopback() =>
        {
            Err(wrong(format!(
                "listen: {address} without `tls`: HL7 v2 has no protection of its own (or set `allow_plaintext = true` in the config)"
            )))
        }
        _ => Ok(settings),
    }
}

/// The settings of a destination, as the config file has them but in JSON.
pub fn destination_of(
    name: &str,
    document: &Value,
    outside: &Outside,
) -> Result<DestinationSettings, Fault> {
    let wrong = |told: String| Fault::new(Kind::Unprocessable, told);
    let Some(toml::Value::Table(mut table)) = toml_of(document) else {
        return Err(wrong("expected an object with settings".to_owned()));
    };
    let named = table.get("name").and_then(toml::Value::as_str);
    if named.is_some_and(|named| named != name) {
        return Err(wrong(format!("name: the address says {name}")));
    }
    table.insert("name".to_owned(), name.into());
    let settings = DestinationSettings::deserialize(toml::Value::Table(table));
    let settings = settings.map_err(|error| wrong(error.message().to_owned()))?;
    settings.check().map_err(|error| wrong(error.to_string()))?;
    settings.check_confined(outside).map_err(wrong)?;
    Ok(settings)
}

/// Whether its address is free, or its own already.
pub fn check_address(desk: &Desk, settings: &RouteSettings) -> Result<(), Fault> {
    let Some(address) = settings.listen.filter(|address| address.port() != 0) else {
        return Ok(());
    };
    let own = desk.routes.get(&settings.name);
    if own.is_some_and(|running| running.settings.listen == Some(address)) {
        return Ok(());
    }
    TcpListener::bind(address).map(drop).map_err(|error| {
        Fault::new(
            Kind::Conflict,
            format!("listen: {address} cannot be listened on: {error}"),
        )
    })
}

/// None: null, which is as good as not there.
fn toml_of(value: &Value) -> Option<toml::Value> {
    Some(match &value.data {
        Data::Null => return None,
        Data::Bool(is) => (*is).into(),
        Data::Number(_) => match value.as_u64().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => number.into(),
            None => value.to_string().into(),
        },
        Data::String(text) => text.as_str().into(),
        Data::Array(items) => items.iter().filter_map(toml_of).collect::<Vec<_>>().into(),
        Data::Object(object) => {
            let members = object.iter();
            let members =
                members.filter_map(|(name, value)| Some((name.to_string(), toml_of(value)?)));
            toml::Value::Table(members.collect())
        }
    })
}
