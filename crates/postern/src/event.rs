//! What became of an Ingress, as Events that `kubectl describe` shows: one for each note that is not "exact", and for
//! each fault of the objects that it became.
//!
//! [`finding`] is what there is to say, [`memory`] when it is due.

mod finding;
mod memory;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Kind, ObjectKey};
use futures_util::{StreamExt, stream};
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, ResourceExt, api::PostParams, core::ObjectMeta};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use self::{
    finding::{Finding, findings},
    memory::Memory,
};
use crate::live::Live;

/// The longest note that an Event takes, in bytes.
const LONGEST: usize = 1024;
/// Writes at the same time.
const WRITES: usize = 4;
/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// What failed is tried again after this long.
const RETRY: Duration = Duration::from_secs(10);

/// Writes Events.
pub(crate) struct Reporter {
    pub(crate) client: Client,
    /// What is served.
    pub(crate) live: Arc<Live>,
    /// Whether it is for us to write.
    pub(crate) leader: watch::Receiver<bool>,
    pub(crate) controller: String,
    pub(crate) identity: String,
}

impl Reporter {
    /// Writes until the process ends.
    pub(crate) async fn run(mut self) {
        let mut published = self.live.published();
        let mut memory = Memory::default();
        let mut again = None;
        loop {
            tokio::select! {
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = sleep(again.unwrap_or(RETRY)), if again.is_some() => {}
            }
            again = None;
            let Some(current) = self
                .live
                .current()
                .filter(|_| *self.leader.borrow_and_update())
            else {
                continue;
            };
            let time = Timestamp::now();
            let findings = findings(current.made(), current.resources());
            let due = memory.due(findings, time.as_second(), Instant::now());
            again = due.again;
            let events = due.events.into_iter();
            let events = events.map(|(name, finding)| self.event(name, finding, time));
            let writes = stream::iter(events).map(|event| create(&self.client, event));
            let mut writes = std::pin::pin!(writes.buffer_unordered(WRITES));
            while let Some(unsent) = writes.next().await {
                if let Some(name) = unsent {
                    memory.unsent(&name);
                    again = Some(again.map_or(RETRY, |again: Duration| again.min(RETRY)));
                }
            }
        }
    }

    fn event(&self, name: String, finding: Finding, time: Timestamp) -> Event {
        let ObjectKey {
            namespace,
            name: ingress,
        } = finding.ingress;
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.to_string()),
                ..ObjectMeta::default()
            },
            action: Some("Translate".to_owned()),
            event_time: Some(MicroTime(time)),
            note: Some(bounded(&finding.text)),
            reason: Some(finding.reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(Kind::Ingress.api_version().to_owned()),
                kind: Some(Kind::Ingress.as_str().to_owned()),
                name: Some(ingress.to_string()),
                namespace: Some(namespace.to_string()),
                uid: Some(finding.uid),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.identity.clone()),
            type_: Some(if finding.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A namespace on its way out takes nothing in.
fn is_ending(status: &kube::core::Status) -> bool {
    status.code == 403 && status.message.contains("being terminated")
}

/// Gives the name of an Event that could not be written.
async fn create(client: &Client, event: Event) -> Option<String> {
    let name = event.name_any();
    let namespace = event.namespace().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let parameters = PostParams::default();
    match timeout(DEADLINE, api.create(&parameters, &event)).await {
        Ok(Ok(_)) => None,
        // Said before, perhaps by another replica; or the Ingress' namespace is going.
        Ok(Err(kube::Error::Api(status)))
            if matches!(status.code, 404 | 409) || is_ending(&status) =>
        {
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(%namespace, %name, %error, "an Event is not written; trying again");
            Some(name)
        }
        Err(_) => Some(name),
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
