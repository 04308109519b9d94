//! One watch: a kind's events, for as long as the API server serves it.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use api::Kind;
use futures_util::{Stream, StreamExt, stream};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::mpsc::Sender, task::JoinHandle};

use super::Message;

/// The shortest wait after an error.
const SHORTEST: Duration = Duration::from_millis(250);
/// The longest wait after an error: an API server that is back is found again within this.
const LONGEST: Duration = Duration::from_secs(8);
/// What has gone well for this long after a wait starts anew with the shortest one.
const HEALTHY: Duration = Duration::from_secs(10);
/// The API server ends a watch after this long, in seconds. A connection that died without a word is noticed no later.
pub(super) const WATCH_SECONDS: u32 = 120;

/// A running watch; dropped, it ends.
#[derive(Debug)]
pub(super) struct Feed {
    /// Tells this watch from earlier ones of the kind.
    pub(super) id: u64,
    pub(super) resource: ApiResource,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the watch of a kind. Of Secrets and ConfigMaps only the metadata is asked for.
pub(super) fn start(
    (id, kind): (u64, Kind),
    resource: &ApiResource,
    client: &Client,
    to: &Sender<Message>,
) -> Feed {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let (client, to) = (client.clone(), to.clone());
    let task = if matches!(kind, Kind::Secret | Kind::ConfigMap) {
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, resource);
        let begin = move || watcher(api.clone(), config.clone()).map(|event| event.map(full));
        tokio::spawn(follow((id, kind), anew(begin), to))
    } else {
        let api = Api::<DynamicObject>::all_with(client, resource);
        let begin = move || watcher(api.clone(), config.clone());
        tokio::spawn(follow((id, kind), anew(begin), to))
    };
    Feed {
        id,
        resource: resource.clone(),
        task,
    }
}

/// A watch that begins anew, with a list, when the API server has forgotten what it should go on from. kube's does so
/// where an event of the watch says it; where the answer's status does, it would ask for the same again and again.
fn anew<S>(begin: impl Fn() -> S) -> impl Stream<Item = S::Item>
where
    S: Stream<Item = watcher::Result<Event<DynamicObject>>>,
{
    let events = Box::pin(begin());
    stream::unfold((begin, events), async |(begin, mut events)| {
        let event = events.next().await?;
        if is_forgotten(&event) {
            events.set(begin());
        }
        Some((event, (begin, events)))
    })
}

/// Whether the API server says that it does not know any more what happened since.
fn is_forgotten<T>(event: &watcher::Result<T>) -> bool {
    use kube::Error::Api;
    use watcher::Error::{WatchError, WatchFailed, WatchStartFailed};
    match event {
        Err(WatchError(status) | WatchFailed(Api(status)) | WatchStartFailed(Api(status))) => {
            status.code == 410
        }
        _ => false,
    }
}

async fn follow(
    (feed, kind): (u64, Kind),
    events: impl Stream<Item = watcher::Result<Event<DynamicObject>>> + Send,
    to: Sender<Message>,
) {
    let events = events.backoff(Pause::default());
    let mut events = std::pin::pin!(events);
    let mut well = true;
    while let Some(event) = events.next().await {
        let message = match event {
            Ok(event) => {
                if !std::mem::replace(&mut well, true) {
                    tracing::info!(%kind, "the watch is well again");
                }
                let event = Box::new(event);
                Message::Event { feed, kind, event }
            }
            // A watch window that has passed is nothing to worry about: the list comes next.
            event if is_forgotten(&event) => continue,
            Err(error) => {
                if std::mem::replace(&mut well, false) {
                    tracing::warn!(%kind, %error, "the watch is broken; the last state is served until it is well again");
                }
                continue;
            }
        };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// An object of which only the metadata is known.
fn full(event: Event<PartialObjectMeta<DynamicObject>>) -> Event<DynamicObject> {
    let object = |partial: PartialObjectMeta<DynamicObject>| DynamicObject {
        types: partial.types,
        metadata: partial.metadata,
        data: serde_json::Value::Null,
    };
    match event {
        Event::Apply(partial) => Event::Apply(object(partial)),
        Event::Delete(partial) => Event::Delete(object(partial)),
        Event::InitApply(partial) => Event::InitApply(object(partial)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Waits that double, with up to a quarter more so that replicas do not come all at once. They begin anew after
/// [`HEALTHY`] without an error, whatever was read in between: a list that is answered before each watch that is not
/// would else have the API server asked for everything four times a second.
#[derive(Debug, Default)]
pub(super) struct Pause {
    doubled: u32,
    /// When the last one ended, or will.
    ended: Option<Instant>,
}

impl Pause {
    fn after(&mut self, error: Instant) -> Duration {
        let well = |ended| error.saturating_duration_since(ended);
        if self.ended.is_some_and(|ended| well(ended) > HEALTHY) {
            self.doubled = 0;
        }
        let pause = SHORTEST
            .saturating_mul(1 << self.doubled.min(8))
            .min(LONGEST);
        self.doubled = self.doubled.saturating_add(1);
        // Random keys are at hand in the standard library.
        let random = RandomState::new().build_hasher().finish() % 256;
        let pause = pause + pause / 1024 * u32::try_from(random).unwrap_or_default();
        self.ended = error.checked_add(pause);
        pause
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.after(Instant::now()))
    }
}

impl Backoff for Pause {
    /// Told of whatever has been read, which says little: see above.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let mut pause = Pause::default();
        let first = pause.next().unwrap();
        assert!(first >= SHORTEST && first <= SHORTEST * 5 / 4, "{first:?}");
        let later = pause.by_ref().take(100).last().unwrap();
        assert!(later >= LONGEST && later <= LONGEST * 5 / 4, "{later:?}");
    }

    #[test]
    fn what_has_gone_well_for_long_enough_starts_anew() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        let mut last = Duration::ZERO;
        for _ in 0..9 {
            last = pause.after(now);
        }
        let ended = now + last;
        let soon = pause.after(ended + HEALTHY);
        assert!(soon >= LONGEST, "{soon:?}");
        let later = ended + HEALTHY + soon;
        let anew = pause.after(later + HEALTHY + Duration::from_millis(1));
        assert!(anew <= SHORTEST * 5 / 4, "{anew:?}");
    }

    /// Lists are answered, watches are refused.
    #[test]
    fn what_is_read_between_errors_does_not_shorten_the_pauses() {
        let mut pause = Pause::default();
        let mut last = Duration::ZERO;
        for _ in 0..3 {
            last = pause.next().unwrap();
            pause.reset();
        }
        assert!(last >= SHORTEST * 4, "{last:?}");
    }
}
