//! What is signed here, with which keys, and how others see that it was.
//! <https://www.rfc-editor.org/rfc/rfc7517>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use fhir_spec::json::{Object, Value, parse};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256};

use super::after;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Error, SigningKey, chance};

const BITS: usize = 2_048;
/// A key signs for so long, and is known for as long again.
const SIGNS_SECONDS: i64 = 90 * 86_400;
const NONCE_BYTES: usize = 24;

/// What may be seen of the keys.
pub async fn jwks(app: &App, now: Instant) -> Result<Value, Fault> {
    let keys = known(app, now).await?;
    let public = keys
        .iter()
        .filter_map(|key| parse(key.public.as_bytes()).ok());
    let mut object = Object::new();
    object.set("keys", public.collect::<Vec<_>>());
    Ok(object.into())
}

/// The claims, signed.
pub(super) async fn signed(
    app: &App,
    claims: &serde_json::Value,
    now: Instant,
) -> Result<String, Fault> {
    let keys = known(app, now).await?;
    let key = keys
        .first()
        .ok_or_else(|| Fault::internal("there is no key"))?;
    let der = opened(app, key)?;
    let header = Header {
        kid: Some(key.kid.clone()),
        ..Header::new(Algorithm::RS256)
    };
    encode(&header, claims, &EncodingKey::from_rsa_der(&der)).map_err(Fault::internal)
}

/// The keys that count, the newest first: there is always one that may sign.
async fn known(app: &App, now: Instant) -> Result<Vec<SigningKey>, Fault> {
    let all = async || {
        let permit = may(&Caller::Kiln, Action::Admit)?;
        let found = app.store.read(permit, |view| view.signing_keys());
        let found: Vec<SigningKey> = found.await.map_err(|error: Error| error)?;
        let counts = |key: &SigningKey| {
            after(key.created_at, 2 * SIGNS_SECONDS) > now && opened(app, key).is_ok()
        };
        Ok::<_, Fault>(found.into_iter().filter(counts).collect::<Vec<_>>())
    };
    let found = all().await?;
    if found
        .first()
        .is_some_and(|key| after(key.created_at, SIGNS_SECONDS) > now)
    {
        return Ok(found);
    }
    let made = made(app, now).await?;
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let added = app.store.write(permit, move |tx| tx.add_signing_key(&made));
    added.await.map_err(|error: Error| error)?;
    all().await
}

async fn made(app: &App, now: Instant) -> Result<SigningKey, Fault> {
    let work = || RsaPrivateKey::new(&mut OsRng, BITS);
    let private = tokio::task::spawn_blocking(work).await;
    let private = private.map_err(Fault::internal)?.map_err(Fault::internal)?;
    let encoded = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let kid = encoded(chance()?.into_iter().take(12).collect());
    let mut public = Object::new();
    for (name, value) in [
        ("kty", "RSA"),
        ("use", "sig"),
        ("alg", "RS256"),
        ("kid", kid.as_str()),
        ("n", encoded(private.n().to_bytes_be()).as_str()),
        ("e", encoded(private.e().to_bytes_be()).as_str()),
    ] {
        public.set(name, value);
    }
    let der = private.to_pkcs1_der().map_err(Fault::internal)?;
    Ok(SigningKey {
        body: closed(app, &kid, der.as_bytes())?,
        kid,
        public: Value::from(public).to_string(),
        created_at: now,
    })
}

/// Private keys lie sealed in the database, each under its own name.
fn cipher(app: &App) -> Result<XChaCha20Poly1305, Fault> {
    let secret = app.store.secret()?;
    let key: [u8; 32] = Sha256::digest([b"signing".as_slice(), secret.bytes()].concat()).into();
    Ok(XChaCha20Poly1305::new(&key.into()))
}

fn closed(app: &App, kid: &str, der: &[u8]) -> Result<String, Fault> {
    let nonce: Vec<u8> = chance()?.into_iter().take(NONCE_BYTES).collect();
    let payload = Payload {
        msg: der,
        aad: kid.as_bytes(),
    };
    let told = |_| Fault::internal("a key cannot be sealed");
    let nonce = XNonce::try_from(nonce.as_slice()).map_err(Fault::internal)?;
    let sealed = cipher(app)?.encrypt(&nonce, payload).map_err(told)?;
    Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

fn opened(app: &App, key: &SigningKey) -> Result<Vec<u8>, Fault> {
    let told = || Fault::internal("a key was sealed elsewhere");
    let bytes = URL_SAFE_NO_PAD.decode(&key.body).map_err(Fault::internal)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(told)?;
    let payload = Payload {
        msg: sealed,
        aad: key.kid.as_bytes(),
    };
    let nonce = XNonce::try_from(nonce).map_err(Fault::internal)?;
    cipher(app)?.decrypt(&nonce, payload).map_err(|_| told())
}
