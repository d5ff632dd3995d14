//! What Kiln asks of others by HTTP: HTTP/1.1 and 2, nothing is followed, and little is read of what they answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use super::Outcome;
use super::connect::Connect;
use crate::config::Deliveries;
use crate::limits;

const AGENT: &str = concat!("Kiln/", env!("CARGO_PKG_VERSION"));

/// One request to somebody.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The same however often it is sent.
    pub id: String,
    pub method: Method,
    pub uri: Uri,
    pub media_type: Option<&'static str>,
    pub body: Bytes,
}

#[derive(Debug, Clone)]
pub struct Client {
    client: legacy::Client<HttpsConnector<Connect>, Full<Bytes>>,
}

#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up")]
pub struct NoTls(#[from] rustls::Error);

impl Client {
    /// Whom the system trusts is trusted (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
    pub fn new(settings: Deliveries) -> Result<Self, NoTls> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!("certificates of the system cannot be read: {error}");
        }
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Connect::new(Arc::new(settings)));
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(4)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends it and waits for the answer, not longer than that.
    pub async fn send(
        &self,
        notification: &Notification,
        headers: &[(String, String)],
        timeout: Duration,
    ) -> Outcome {
        let request = match request(notification, headers) {
            Ok(request) => request,
            Err(told) => return Outcome::Failed(told, None),
        };
        match tokio::time::timeout(timeout, self.answered(request)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let seconds = timeout.as_secs();
                Outcome::Failed(format!("no answer within {seconds} s"), None)
            }
        }
    }

    async fn answered(&self, request: Request<Full<Bytes>>) -> Outcome {
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                let mut told = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    told = format!("{told}: {cause}");
                    source = cause.source();
                }
                return Outcome::Failed(told, None);
            }
        };
        let outcome = judged(&answer);
        // Read to its end, so that the connection can be used again, unless it says too much.
        let body = Limited::new(answer.into_body(), limits::DELIVERY_ANSWER_BYTES_MAX);
        if let Err(error) = body.collect().await {
            tracing::debug!("the answer to a notification was not read to its end: {error}");
        }
        outcome
    }
}

fn request(
    notification: &Notification,
    headers: &[(String, String)],
) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(notification.method.clone())
        .uri(notification.uri.clone())
        .header(USER_AGENT, AGENT);
    if let Some(media_type) = notification.media_type {
        request = request.header(CONTENT_TYPE, media_type);
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    let body = Full::new(notification.body.clone());
    request.body(body).map_err(|error| error.to_string())
}

/// Anything but 2xx is a failure, also a redirect: credentials go where they were meant to go.
fn judged(answer: &Response<Incoming>) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Delivered;
    }
    let told = format!("it answered {}", status.as_u16());
    if status == StatusCode::GONE {
        return Outcome::Gone(told);
    }
    let after = answer.headers().get(RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
    Outcome::Failed(told, after.map(Duration::from_secs))
}
