//! A folder of a server of SFTP. Its host key is pinned: who shows another one is told nothing, no password and no name.
//! <https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02>

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{
    Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh_sftp::client::{RawSftpSession, error::Error as Refused};
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::task::JoinSet;

use super::error::Error;
use super::names;
use super::place::{Away, Found, Listing, Moved, Writing};
use crate::config::{Folder, Sftp};

/// Bytes that are asked for at a time: what every server gives.
const PIECE_BYTES: u64 = 32 * 1024;
/// Pieces that are asked for before the first has come.
const PIECES_AHEAD: usize = 16;
/// A file of a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
const MICROS: i64 = 1_000_000;

pub(super) struct Remote {
    session: Handle<Pinned>,
    sftp: Arc<RawSftpSession>,
    folder: Folder,
}

/// Who is at the other end.
struct Pinned {
    host_key: String,
    /// The key that was shown, when it is another one.
    shown: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        server: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let (is_known, shown) = match server {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let print = key.fingerprint(HashAlg::Sha256).to_string();
                let pinned = self.host_key.trim();
                let is_known = match pinned.starts_with("SHA256:") {
                    true => print == pinned,
                    false => {
                        public_key(pinned).is_some_and(|pinned| pinned.key_data() == key.key_data())
                    }
                };
                (is_known, print)
            }
            PublicKeyOrCertificate::Certificate(certificate) => {
                (false, of_certificate(certificate))
            }
        };
        if !is_known {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        }
        Ok(is_known)
    }
}

fn of_certificate(certificate: &Certificate) -> String {
    let signed_by = certificate.signature_key().fingerprint(HashAlg::Sha256);
    format!("of a certificate signed by {signed_by}")
}

/// The line of a `.pub` file, or of known_hosts.
fn public_key(text: &str) -> Option<PublicKey> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let place = words.iter().position(|word| word.starts_with("AAAA"))?;
    let kind = words.get(place.checked_sub(1)?)?;
    PublicKey::from_openssh(&format!("{kind} {}", words.get(place)?)).ok()
}

/// From a file or from the environment.
fn secret(file: Option<&str>, variable: Option<&str>) -> Result<Option<String>, Error> {
    let bad = |what: String, told: &str| Error::Secret {
        what,
        told: told.to_owned(),
    };
    if let Some(file) = file {
        let is = std::fs::metadata(file);
        let is = is.map_err(|error| bad(file.to_owned(), &error.to_string()))?;
        if !is.is_file() || is.len() > SECRET_BYTES_MAX {
            return Err(bad(file.to_owned(), "it is no file, or too large"));
        }
        let text = std::fs::read_to_string(file);
        return match text {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(bad(file.to_owned(), &error.to_string())),
        };
    }
    let Some(variable) = variable else {
        return Ok(None);
    };
    match std::env::var(variable) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(bad(
            format!("the environment ({variable})"),
            "it is not set",
        )),
    }
}

/// Without the end of its line.
fn line(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

impl Remote {
    pub(super) async fn open(sftp: &Sftp, folder: Folder, wait_ms: u64) -> Result<Self, Error> {
        let wait = Duration::from_millis(wait_ms);
        let entered = tokio::time::timeout(wait, Self::enter(sftp, wait)).await;
        let session = entered.map_err(|_| Error::Late(sftp.host.clone()))??;
        let failed = |error: russh::Error| Error::Sftp {
            what: "to begin with SFTP".to_owned(),
            told: error.to_string(),
        };
        let begun = tokio::time::timeout(wait, async {
            let channel = session.channel_open_session().await?;
            channel.request_subsystem(true, "sftp").await?;
            Ok(channel)
        });
        let channel = begun.await.map_err(|_| Error::Late(sftp.host.clone()))?;
        let config = russh_sftp::client::Config {
            request_timeout_secs: wait.as_secs().max(1),
            ..russh_sftp::client::Config::default()
        };
        let stream = channel.map_err(failed)?.into_stream();
        let raw = RawSftpSession::new_with_config(stream, config);
        raw.init()
            .await
            .map_err(refused("to begin with SFTP", ""))?;
        let remote = Self {
            session,
            sftp: Arc::new(raw),
            folder,
        };
        for name in [&remote.folder.archive, &remote.folder.errors] {
            remote.make(name).await?;
        }
        Ok(remote)
    }

    async fn enter(sftp: &Sftp, wait: Duration) -> Result<Handle<Pinned>, Error> {
        let shown = Arc::default();
        let pinned = Pinned {
            host_key: sftp.host_key.clone(),
            shown: Arc::clone(&shown),
        };
        let mut config = client::Config {
            inactivity_timeout: Some(wait),
            nodelay: true,
            ..client::Config::default()
        };
        // A server that has several keys shows the one that is asked for.
        if let Some(key) = public_key(&sftp.host_key) {
            let mut preferred = config.preferred.clone();
            let same = |algorithm: &&russh::keys::Algorithm| match key.algorithm().is_rsa() {
                true => (*algorithm).clone().is_rsa(),
                false => **algorithm == key.algorithm(),
            };
            preferred.key = Cow::Owned(preferred.key.iter().filter(same).cloned().collect());
            config.preferred = preferred;
        }
        let address = (sftp.host.as_str(), sftp.port);
        let connected = client::connect(Arc::new(config), address, pinned).await;
        let mut session = connected.map_err(|error| {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
            match shown {
                Some(shown) => Error::HostKey(shown),
                None => Error::Sftp {
                    what: format!("to reach {}", sftp.host),
                    told: error.to_string(),
                },
            }
        })?;
        Self::log_in(&mut session, sftp).await?;
        Ok(session)
    }

    async fn log_in(session: &mut Handle<Pinned>, sftp: &Sftp) -> Result<(), Error> {
        let failed = |error: russh::Error| Error::Sftp {
            what: format!("to log in to {}", sftp.host),
            told: error.to_string(),
        };
        let password = secret(sftp.password_file.as_deref(), sftp.password_env.as_deref())?;
        let done = match password {
            Some(password) => {
                let user = sftp.user.as_str();
                session.authenticate_password(user, line(&password)).await
            }
            None => {
                let key = private_key(sftp)?;
                let hash = session.best_supported_rsa_hash().await.map_err(failed)?;
                let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash.flatten());
                session
                    .authenticate_publickey(sftp.user.as_str(), key)
                    .await
            }
        };
        match done.map_err(failed)?.success() {
            true => Ok(()),
            false => Err(Error::Login(sftp.user.clone())),
        }
    }

    fn path(&self, parts: &[&str]) -> String {
        let mut path = self.folder.path.trim_end_matches('/').to_owned();
        for part in parts {
            path.push('/');
            path.push_str(part);
        }
        path
    }

    async fn make(&self, name: &str) -> Result<(), Error> {
        let path = self.path(&[name]);
        match self.sftp.lstat(path.as_str()).await {
            Ok(is) if is.attrs.is_dir() => return Ok(()),
            Ok(_) => {
                return Err(Error::Sftp {
                    what: format!("to open the folder {name}"),
                    told: "it is none".to_owned(),
                });
            }
            Err(_) => {}
        }
        let made = self.sftp.mkdir(path, FileAttributes::empty()).await;
        made.map(drop).map_err(refused("to make the folder", name))
    }

    pub(super) async fn list(&self, pattern: &str, most: usize) -> Result<Listing, Error> {
        let failed = || refused("to list", "the folder");
        let opened = self.sftp.opendir(self.folder.path.as_str()).await;
        let handle = opened.map_err(failed())?.handle;
        let mut listing = Listing::default();
        let mut seen = 0;
        let listed = 'all: loop {
            let some = match self.sftp.readdir(handle.as_str()).await {
                Ok(some) => some,
                Err(error) if is(&error, StatusCode::Eof) => break Ok(()),
                Err(error) => break Err(failed()(error)),
            };
            for file in some.files {
                let name = &file.filename;
                if file.attrs.is_dir() || name == "." || name == ".." {
                    continue;
                }
                seen += 1;
                if seen > most {
                    listing.is_cut = true;
                    break 'all Ok(());
                }
                // Kinds are those of links themselves, so none is followed.
                if !file.attrs.is_regular() || !names::is_wanted(name, pattern) {
                    listing.passed_over += 1;
                    continue;
                }
                listing.files.push(found(name, &file.attrs));
            }
        };
        let closed = self.sftp.close(handle).await;
        listed?;
        closed.map_err(failed())?;
        Ok(listing)
    }

    pub(super) async fn read(&self, found: &Found) -> Result<Vec<u8>, Error> {
        let name = &found.name;
        let path = self.path(&[name]);
        let is = self.sftp.lstat(path.as_str()).await;
        if !is.map_err(refused("to look at", name))?.attrs.is_regular() {
            return Err(Error::NoFile(name.clone()));
        }
        let opened = self
            .sftp
            .open(path, OpenFlags::READ, FileAttributes::empty());
        let handle = opened.await.map_err(refused("to open", name))?.handle;
        let read = self.read_open(&handle, found).await;
        let closed = self.sftp.close(handle).await;
        let bytes = read?;
        closed.map_err(refused("to close", name))?;
        Ok(bytes)
    }

    async fn read_open(&self, handle: &str, found: &Found) -> Result<Vec<u8>, Error> {
        self.check(handle, found).await?;
        let name = &found.name;
        let size = usize::try_from(found.size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size];
        let mut pieces = JoinSet::new();
        let mut next = 0;
        loop {
            while pieces.len() < PIECES_AHEAD && next < found.size {
                let (sftp, handle, at) = (Arc::clone(&self.sftp), handle.to_owned(), next);
                let most = PIECE_BYTES.min(found.size - at);
                pieces.spawn(async move { (at, piece(&sftp, &handle, at, most).await) });
                next += most;
            }
            let Some(done) = pieces.join_next().await else {
                break;
            };
            let (at, read) = done.map_err(|error| Error::Sftp {
                what: format!("to read {name}"),
                told: error.to_string(),
            })?;
            let read = read.map_err(refused("to read", name))?;
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let to = bytes
                .get_mut(start..)
                .and_then(|rest| rest.get_mut(..read.len()));
            match to {
                Some(to) => to.copy_from_slice(&read),
                None => return Err(Error::Changed(name.clone())),
            }
            let is_short = u64::try_from(read.len()) != Ok(PIECE_BYTES.min(found.size - at));
            if is_short {
                return Err(Error::Changed(name.clone()));
            }
        }
        self.check(handle, found).await?;
        Ok(bytes)
    }

    async fn check(&self, handle: &str, found: &Found) -> Result<(), Error> {
        let is = self.sftp.fstat(handle).await;
        let is = is.map_err(refused("to look at", &found.name))?.attrs;
        match self::found(&found.name, &is) == *found {
            true => Ok(()),
            false => Err(Error::Changed(found.name.clone())),
        }
    }

    pub(super) async fn write(
        &self,
        name: &str,
        bytes: &[u8],
        writing: Writing,
    ) -> Result<(), Error> {
        let path = self.path(&[&self.folder.errors, name]);
        let how = match writing {
            Writing::Anew => OpenFlags::TRUNCATE,
            Writing::On => OpenFlags::APPEND,
        };
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | how;
        let opened = self.sftp.open(path, flags, FileAttributes::empty()).await;
        let handle = opened.map_err(refused("to write", name))?.handle;
        let written = self.write_open(&handle, name, bytes, writing).await;
        let closed = self.sftp.close(handle).await;
        written?;
        closed.map(drop).map_err(refused("to close", name))
    }

    async fn write_open(
        &self,
        handle: &str,
        name: &str,
        bytes: &[u8],
        writing: Writing,
    ) -> Result<(), Error> {
        let mut at = match writing {
            Writing::Anew => 0,
            // Not every server keeps to what APPEND says.
            Writing::On => {
                let is = self.sftp.fstat(handle).await;
                is.map_err(refused("to look at", name))?.attrs.len()
            }
        };
        let most = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
        for piece in bytes.chunks(most) {
            let written = self.sftp.write(handle, at, piece.to_vec()).await;
            written.map_err(refused("to write", name))?;
            at += u64::try_from(piece.len()).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) async fn publish(&self, from: &str, to: &str) -> Result<Moved, Error> {
        let errors = &self.folder.errors;
        self.moved(self.path(&[errors, from]), self.path(&[errors, to]))
            .await
    }

    pub(super) async fn put_away(&self, name: &str, away: Away, to: &str) -> Result<Moved, Error> {
        let folder = match away {
            Away::Archive => &self.folder.archive,
            Away::Errors => &self.folder.errors,
        };
        self.moved(self.path(&[name]), self.path(&[folder, to]))
            .await
    }

    /// Nothing is written over: a rename of version 3 fails when there is something of the name.
    async fn moved(&self, from: String, to: String) -> Result<Moved, Error> {
        if self.sftp.lstat(to.as_str()).await.is_ok() {
            return Ok(Moved::Taken);
        }
        match self.sftp.rename(from.as_str(), to).await {
            Ok(_) => Ok(Moved::Done),
            Err(error) if is(&error, StatusCode::NoSuchFile) => Ok(Moved::Gone),
            Err(error) => Err(refused("to move", &from)(error)),
        }
    }

    pub(super) async fn close(self) {
        let closed = self.sftp.close_session();
        let said = self
            .session
            .disconnect(russh::Disconnect::ByApplication, "", "en")
            .await;
        if closed.is_err() || said.is_err() {
            tracing::debug!("a server of SFTP has gone before it was told good-bye");
        }
    }
}

fn private_key(sftp: &Sftp) -> Result<PrivateKey, Error> {
    let text = secret(sftp.key_file.as_deref(), sftp.key_env.as_deref())?;
    let (file, variable) = (
        sftp.passphrase_file.as_deref(),
        sftp.passphrase_env.as_deref(),
    );
    let phrase = secret(file, variable)?;
    let phrase = phrase.as_deref().map(line);
    let named = sftp.key_file.as_deref().or(sftp.key_env.as_deref());
    // The library's errors tell of formats and never of contents.
    russh::keys::decode_secret_key(&text.unwrap_or_default(), phrase).map_err(|error| {
        Error::Secret {
            what: named.unwrap_or_default().to_owned(),
            told: error.to_string(),
        }
    })
}

/// So many bytes from there; fewer only at the end.
async fn piece(
    sftp: &RawSftpSession,
    handle: &str,
    at: u64,
    most: u64,
) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    loop {
        let done = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let left = u32::try_from(most.saturating_sub(done)).unwrap_or_default();
        if left == 0 {
            return Ok(bytes);
        }
        match sftp.read(handle, at + done, left).await {
            Ok(data) if data.data.is_empty() => return Ok(bytes),
            Ok(data) => bytes.extend(data.data),
            Err(error) if is(&error, StatusCode::Eof) => return Ok(bytes),
            Err(error) => return Err(error),
        }
    }
}

fn found(name: &str, attributes: &FileAttributes) -> Found {
    Found {
        name: name.to_owned(),
        size: attributes.len(),
        modified_us: i64::from(attributes.mtime.unwrap_or_default()) * MICROS,
    }
}

fn is(error: &Refused, code: StatusCode) -> bool {
    matches!(error, Refused::Status(status) if status.status_code == code)
}

fn refused(what: &str, name: &str) -> impl FnOnce(Refused) -> Error {
    let what = format!("{what} {name}").trim_end().to_owned();
    move |error| Error::Sftp {
        what,
        told: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_keys_are_read_as_programs_write_them() {
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIJ5zsFFKpFKPWk8DCNNMm4UGhwTDhJ2XbaRZ1dzp1TcY";
        for text in [
            format!("ssh-ed25519 {key} root@lab"),
            format!("lab.example.org ssh-ed25519 {key}"),
        ] {
            assert!(public_key(&text).is_some(), "{text}");
        }
        for text in ["", "SHA256:abc", key, "ssh-ed25519 AAAA"] {
            assert!(public_key(text).is_none(), "{text}");
        }
    }
}
