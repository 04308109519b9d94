//! What became of an Ingress, as Events that `kubectl describe` shows: one for each note that is not "exact".

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{Kind, ObjectRef, Resources};
use converter::{Note, Outcome, Report};
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

use crate::{apply::hash, live::Live};

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
        let mut sent = BTreeSet::new();
        let mut failed = false;
        loop {
            tokio::select! {
                Ok(()) = published.changed() => {}
                Ok(()) = self.leader.changed() => {}
                () = sleep(RETRY), if failed => {}
            }
            failed = false;
            let Some(current) = self
                .live
                .current()
                .filter(|_| *self.leader.borrow_and_update())
            else {
                continue;
            };
            let events = self.events(&current.made().notes, current.resources(), &mut sent);
            let writes = stream::iter(events).map(|event| create(&self.client, event));
            let mut writes = std::pin::pin!(writes.buffer_unordered(WRITES));
            while let Some(unsent) = writes.next().await {
                if let Some(name) = unsent {
                    sent.remove(&name);
                    failed = true;
                }
            }
        }
    }

    /// Events that have not been sent. What is not said any more may be said again.
    fn events(
        &self,
        notes: &Report,
        resources: &Resources,
        sent: &mut BTreeSet<String>,
    ) -> Vec<Event> {
        let (mut events, mut said) = (Vec::new(), BTreeSet::new());
        for note in notes.iter().filter(|note| note.outcome.is_lossy()) {
            let Some(event) = self.event(note, resources) else {
                continue;
            };
            let name = event.name_any();
            if said.insert(name.clone()) && !sent.contains(&name) {
                events.push(event);
            }
        }
        *sent = said;
        events
    }

    /// The name follows from what is said: whoever says it again finds it said.
    fn event(&self, note: &Note, resources: &Resources) -> Option<Event> {
        let ObjectRef { kind, key } = &note.object;
        let ingress = resources
            .ingresses
            .get(key)
            .filter(|_| *kind == Kind::Ingress)?;
        let uid = ingress.uid()?;
        let text = match &note.key {
            Some(annotation) => format!("{annotation}: {}", note.message),
            None => note.message.clone(),
        };
        let said = hash(format!("{uid} {:?} {text}", note.outcome).as_bytes());
        let start: String = key.name.chars().take(200).collect();
        Some(Event {
            metadata: ObjectMeta {
                name: Some(format!("{start}.{said:016x}")),
                namespace: Some(key.namespace.to_string()),
                ..ObjectMeta::default()
            },
            action: Some("Translate".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(bounded(&text)),
            reason: Some(reason(note.outcome).to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(Kind::Ingress.api_version().to_owned()),
                kind: Some(Kind::Ingress.as_str().to_owned()),
                name: Some(key.name.to_string()),
                namespace: Some(key.namespace.to_string()),
                uid: Some(uid),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.identity.clone()),
            type_: Some(
                match note.outcome {
                    Outcome::Exact | Outcome::NoEffect | Outcome::Approximated => "Normal",
                    Outcome::Refused | Outcome::Dropped => "Warning",
                }
                .to_owned(),
            ),
            ..Event::default()
        })
    }
}

const fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Exact => "Exact",
        Outcome::NoEffect => "NoEffect",
        Outcome::Approximated => "Approximated",
        Outcome::Refused => "Refused",
        Outcome::Dropped => "Dropped",
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
