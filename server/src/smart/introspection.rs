//! What a token is good for, told to those who must know.
//! <https://www.rfc-editor.org/rfc/rfc7662>, <https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html>

use fhir_spec::json::{Data, Object, Value, parse};

use super::openid::{self, issuer};
use super::{Refusal, Sent, client};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::callers::{self, Held};
use crate::fault::Fault;
use crate::store::Token;

/// `caller`: who asks with a key or token of their own; None: a client that shows who it is, and asks about what it holds.
pub async fn told(
    app: &App,
    sent: &Sent<'_>,
    caller: Option<&Caller>,
) -> Result<Result<Value, Refusal>, Fault> {
    let asks = match caller {
        Some(caller) => {
            may(caller, Action::Introspect)?;
            None
        }
        None => match client::known(app, sent).await? {
            Ok((_, client)) if client.is_public() => {
                let told = "a client that asks proves who it is";
                return Ok(Err(Refusal::new("invalid_client", told)));
            }
            Ok((id, _)) => Some(id),
            Err(refusal) => return Ok(Err(refusal)),
        },
    };
    let text = match sent.needed("token") {
        Ok(text) => text,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let held = callers::held(app, &callers::hash(text)).await?;
    let is_told = |token: &Token| asks.as_ref().is_none_or(|id| *id == token.client);
    let mut object = Object::new();
    match held {
        Some(Held::Token(token)) if is_told(&token) => about(&mut object, &token),
        Some(Held::Granted(held)) if is_told(&held.token) => {
            about(&mut object, &held.token);
            object.set("sub", held.person.name.as_str());
            object.set("username", held.person.name.as_str());
            object.set("iss", issuer(sent.root));
            let known = openid::user_info(sent.root, &held);
            if let Some(address) = known.as_ref().and_then(|info| info.get("fhirUser")) {
                object.set("fhirUser", address.clone());
            }
            if let Ok(Value {
                data: Data::Object(context),
                ..
            }) = parse(held.grant.context.as_bytes())
            {
                for (name, value) in context.iter() {
                    object.set(name, value.clone());
                }
            }
        }
        // Whether it is over, unknown or another client's, nobody learns.
        _ => object.set("active", false),
    }
    Ok(Ok(object.into()))
}

fn about(object: &mut Object, token: &Token) {
    let seconds = |micros: i64| Value::number(micros.div_euclid(1_000_000));
    object.set("active", true);
    object.set("client_id", token.client.as_str());
    object.set("scope", token.scope.as_str());
    object.set("token_type", "Bearer");
    object.set("iat", seconds(token.created_at.micros()));
    object.set("exp", seconds(token.expires_at.micros()));
}
