//! Messages and documents of files, as the desk of messages keeps them.

use std::sync::Arc;

use bytes::Bytes;
use interop::formats::hl7v2::Text;

use super::batch::{Said, Whole};
use super::foreign::Foreign;
use super::read::Origin;
use crate::app::App;
use crate::config::{BadRoute, Config, RouteSettings};
use crate::messages::{Arrival, Desk, Running, imported};
use crate::store::Stage;

/// The desk, with the routes by which files come.
#[derive(Debug)]
pub(super) struct Keeping {
    desk: Arc<Desk>,
    messages: Arc<Running>,
    documents: Arc<Running>,
}

impl Keeping {
    pub(super) fn of(app: &Arc<App>, config: &Config, foreign: &Foreign) -> Result<Self, BadRoute> {
        let charset = foreign.charset.clone();
        let charset = charset.filter(|name| interop::route::charset(name).is_some());
        let routes = imported::routes().map(|settings| RouteSettings {
            zone: Some(foreign.zone.name().to_owned()),
            charset: charset.clone(),
            ..settings
        });
        let config = Config {
            routes: Vec::new(),
            ..config.clone()
        };
        let desk = Desk::new(Arc::clone(app), &config)?;
        let [messages, documents] = &routes;
        Ok(Self {
            messages: desk.routes.put(messages)?,
            documents: desk.routes.put(documents)?,
            desk,
        })
    }

    pub(super) fn message(
        &self,
        foreign: &Foreign,
        bytes: &Bytes,
        origin: &Origin,
        seed: &str,
    ) -> Said {
        let arrival = self.arrive(&self.messages, bytes.clone(), origin);
        let text = Text::read(bytes, self.messages.route.intake());
        let said = match (arrival.issue(), text) {
            (None, Ok(text)) => foreign.message(&text, &arrival.facts, seed),
            (issue, _) => Err((Stage::Received, issue.into_iter().collect())),
        };
        self.whole(arrival, said)
    }

    pub(super) fn clinical(
        &self,
        foreign: &Foreign,
        bytes: Bytes,
        origin: &Origin,
        seed: &str,
    ) -> Said {
        let arrival = self.arrive(&self.documents, bytes, origin);
        let said = match arrival.issue() {
            None => foreign.clinical(&arrival.bytes, &arrival.facts, seed),
            Some(issue) => Err((Stage::Received, vec![issue])),
        };
        self.whole(arrival, said)
    }

    fn arrive(&self, running: &Arc<Running>, bytes: Bytes, origin: &Origin) -> Arrival {
        let path = origin.member.as_ref().unwrap_or(&origin.source);
        let name = path.rsplit('/').next().unwrap_or_default();
        self.desk.arrive_of_file(running, bytes, &Arc::from(name))
    }

    fn whole(&self, arrival: Arrival, said: super::foreign::Mapped) -> Said {
        Said::Whole(Box::new(Whole {
            desk: Arc::clone(&self.desk),
            arrival,
            said,
        }))
    }
}
