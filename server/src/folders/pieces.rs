//! A file of messages or a document: what is in it goes over the desk, as from everywhere else. Taken twice it is known
//! again, piece by piece, so nothing need be noted of the file itself.

use std::sync::Arc;

use bytes::Bytes;

use super::names;
use super::place::{Found, Writing};
use super::poll::{Look, Stop, Taken};
use crate::messages::Answered;

/// Codes of acknowledgements that say no.
const NO: &[&str] = &["AE", "AR", "CE", "CR"];

pub(super) async fn take(look: &Look<'_>, found: &Found, bytes: Vec<u8>) -> Result<Taken, Stop> {
    let name: Arc<str> = Arc::from(found.name.as_str());
    let heard = look
        .desk
        .hear_file(look.running, Bytes::from(bytes), &name)
        .await;
    let heard =
        heard.ok_or_else(|| Stop::Store("the work on a message was broken off".to_owned()))?;
    let all = heard.len();
    let mut refused = Vec::new();
    let mut reasons = Vec::new();
    for (place, (bytes, answered)) in heard.into_iter().enumerate() {
        let Some(id) = &answered.id else {
            return Err(Stop::Store("it takes no messages at the moment".to_owned()));
        };
        if !NO.contains(&answered.reply.code.as_str()) {
            continue;
        }
        reasons.push(reason(look, place, &answered, id).await?);
        refused.extend_from_slice(&bytes);
        if !bytes.ends_with(b"\r") && !bytes.ends_with(b"\n") {
            refused.push(b'\r');
        }
    }
    let count = reasons.len();
    let text = format!("{count} of {all} refused:\n{}", reasons.join("\n"));
    let taken = Taken {
        accepted: u64::try_from(all - count).unwrap_or_default(),
        refused: u64::try_from(count).unwrap_or_default(),
        spoilt: (count > 0 && count == all).then(|| text.clone()),
    };
    if count > 0 && taken.spoilt.is_none() {
        let part = names::part(&names::refused(&found.name));
        look.place.write(&part, refused, Writing::Anew).await?;
        look.publish(&found.name, &text).await?;
    }
    Ok(taken)
}

/// A line about a message that was refused.
async fn reason(
    look: &Look<'_>,
    place: usize,
    answered: &Answered,
    id: &str,
) -> Result<String, Stop> {
    let whole = look.desk.whole(id).await?;
    let (control_id, reason) = whole.map_or_else(Default::default, |whole| {
        (whole.listed.facts.control_id, whole.listed.reason)
    });
    let (place, code) = (place + 1, &answered.reply.code);
    Ok(format!(
        "{place}: control id '{control_id}', {code}: {reason} (/api/messages/{id})"
    ))
}
