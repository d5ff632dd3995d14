//! TLS for those who call, by HTTP and by MLLP: certificates from files, read again when they change, so that a renewal needs no restart.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the certificate file `{0}` cannot be read: {1}")]
    File(String, String),
    #[error("certificate and key do not make a server: {0}")]
    Config(#[from] rustls::Error),
    #[error("the certificates of `client_ca` cannot be used: {0}")]
    Verifier(String),
}

/// Whether callers must show a certificate where there is a `client_ca`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    MustShow,
    /// There are other ways to say who one is.
    MayShow,
}

pub struct Certificates {
    files: Tls,
    callers: Callers,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    /// When the files were written that it comes from.
    written: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    pub fn read(files: &Tls, callers: Callers) -> Result<Self, Error> {
        Ok(Self {
            callers,
            current: Mutex::new(Current {
                config: Arc::new(config(files, callers)?),
                written: written(files),
                looked: Instant::now(),
            }),
            files: files.clone(),
        })
    }

    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config()).accept(stream).await
    }

    /// What the files say now; what they said before when they cannot be read.
    fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let now = written(&self.files);
            if now != current.written {
                match config(&self.files, self.callers) {
                    Ok(config) => {
                        current.config = Arc::new(config);
                        current.written = now;
                        tracing::info!("certificates were read again");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "changed certificates cannot be used: the old ones stay");
                    }
                }
            }
        }
        Arc::clone(&current.config)
    }
}

fn files(tls: &Tls) -> impl Iterator<Item = &Path> {
    let ca = tls.client_ca.as_deref();
    [&*tls.certificate, &*tls.key].into_iter().chain(ca)
}

fn written(tls: &Tls) -> Vec<Option<SystemTime>> {
    let of = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    files(tls).map(of).collect()
}

pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let told = |error: rustls::pki_types::pem::Error| {
        Error::File(path.display().to_string(), error.to_string())
    };
    let all = CertificateDer::pem_file_iter(path).map_err(told)?;
    all.collect::<Result<_, _>>().map_err(told)
}

fn config(tls: &Tls, callers: Callers) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match callers {
                Callers::MustShow => verifier,
                Callers::MayShow => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|error| Error::Verifier(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_single_cert(certificates(&tls.certificate)?, key(&tls.key)?)?)
}

pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| Error::File(path.display().to_string(), error.to_string()))
}
