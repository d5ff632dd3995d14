//! What is shown of routes that fetch files, and how they are told to look now.

use fhir_spec::json::{Object, Value, parse};

use crate::auth::{Action, may};
use crate::config::RouteSettings;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::messages::Running;
use crate::store::Poll;

/// The settings, as they are sent.
pub(super) fn say(settings: &RouteSettings, object: &mut Object) {
    let set = |object: &mut Object, name: &str, value: &Option<String>| {
        if let Some(value) = value {
            object.set(name, value.as_str());
        }
    };
    set(object, "schedule", &settings.schedule);
    set(object, "map", &settings.map);
    set(object, "delimiter", &settings.delimiter);
    if let Some(folder) = &settings.folder {
        let mut own = Object::from_iter([
            ("path", folder.path.as_str()),
            ("names", folder.names.as_str()),
            ("order", folder.order.word()),
            ("archive", folder.archive.as_str()),
            ("errors", folder.errors.as_str()),
        ]);
        own.set("settle_ms", Value::number(folder.settle_ms));
        object.set("folder", own);
    }
    if let Some(sftp) = &settings.sftp {
        let mut own = Object::from_iter([("host", sftp.host.as_str())]);
        own.set("port", Value::number(sftp.port));
        own.set("user", sftp.user.as_str());
        own.set("host_key", sftp.host_key.as_str());
        for (name, value) in [
            ("password_file", &sftp.password_file),
            ("password_env", &sftp.password_env),
            ("key_file", &sftp.key_file),
            ("key_env", &sftp.key_env),
            ("passphrase_file", &sftp.passphrase_file),
            ("passphrase_env", &sftp.passphrase_env),
        ] {
            set(&mut own, name, value);
        }
        object.set("sftp", own);
    }
}

/// When it is looked next, and how it went the last time.
pub(super) async fn tell(cx: &Cx, running: &Running, object: &mut Object) -> Result<(), Fault> {
    if !running.settings.transport.fetches() {
        return Ok(());
    }
    let permit = may(&cx.caller, Action::Arrange)?;
    let route = running.name().to_owned();
    let read = cx.app.store.read(permit, move |view| view.poll(&route));
    let Some(poll): Option<Poll> = read.await? else {
        return Ok(());
    };
    let mut own = Object::from_iter([("due", poll.due_at.to_string())]);
    own.set("running", poll.until >= cx.now);
    if let Ok(last) = parse(poll.report.as_bytes()) {
        own.set("last", last);
    }
    object.set("poll", own);
    Ok(())
}

/// Has it looked for files now, whatever the schedule says.
pub(super) async fn poll(cx: &Cx, running: &Running) -> Result<(), Fault> {
    if !running.settings.transport.fetches() {
        let told = "this route fetches no files";
        return Err(Fault::new(Kind::Conflict, told));
    }
    let permit = may(&cx.caller, Action::Arrange)?;
    let (route, now) = (running.name().to_owned(), cx.now);
    let written = cx
        .app
        .store
        .write(permit, move |tx| tx.poll_soon(&route, now));
    Ok(written.await?)
}
