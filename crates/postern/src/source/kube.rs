//! A cluster: every kind is watched, and the newest state of all objects is always at hand.
//!
//! [`discovery`] says which kinds there are and of which version, a [`feed`] for each brings its events, and the
//! [`mirror`] makes objects of them; of Secrets and ConfigMaps only those are read that something refers to
//! ([`on_demand`]). An API server that is gone, slow or has forgotten the past costs nothing but news: the last state
//! stays.
//!
//! [`once`] reads a cluster for the commands that end by themselves.

mod discovery;
mod feed;
mod mirror;
pub(crate) mod observed;
mod on_demand;
pub(crate) mod once;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Kind, ObjectKey, ObjectRef};
use kube::{Api, Client, Config, core::DynamicObject, runtime::watcher::Event};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, Receiver, Sender},
        watch,
    },
    time::{Instant, sleep, timeout_at},
};

use self::{
    discovery::{Discovery, Found, Served},
    feed::Feed,
    mirror::Mirror,
    observed::Observed,
};
use super::Update;

/// What we are called in the `managedFields` of objects that we write.
pub(crate) const MANAGER: &str = "postern";

/// How long nothing must have happened before what happened is told.
const QUIET: Duration = Duration::from_millis(1);
/// A burst of events delays the news no longer than this.
const LONGEST_BURST: Duration = Duration::from_millis(100);
/// Nor do Secrets that are being read.
const LONGEST_FETCH: Duration = Duration::from_secs(1);
/// Between looks at which kinds there are.
const DISCOVERY: Duration = Duration::from_secs(10);
/// An answer that did not come is asked for again after this long.
const RETRY: Duration = Duration::from_secs(1);
/// Secrets that are read at the same time.
const FETCHES: usize = 8;
/// Events that wait to be taken up; more make the watches wait.
const BACKLOG: usize = 1024;

/// News for the mirror.
#[derive(Debug)]
enum Message {
    Event {
        feed: u64,
        kind: Kind,
        event: Box<Event<DynamicObject>>,
    },
    Found(Found),
    Fetched {
        object: ObjectRef,
        version: Box<str>,
        result: Result<Option<Box<DynamicObject>>, ()>,
    },
}

/// Kinds whose status is written by us, and read by nothing but its writer.
pub(crate) const fn has_status(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ingress
            | Kind::GatewayClass
            | Kind::Gateway
            | Kind::ListenerSet
            | Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TlsRoute
            | Kind::TcpRoute
            | Kind::UdpRoute
            | Kind::BackendTlsPolicy
            | Kind::RoutePolicy
            | Kind::BackendPolicy
            | Kind::ClientPolicy
    )
}

/// A client that notices connections that died without a word.
///
/// # Errors
/// There is neither a kubeconfig nor a pod's service account, or it makes no sense.
pub(crate) async fn client() -> anyhow::Result<(Client, Config)> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(u64::from(feed::WATCH_SECONDS) + 10));
    // Whoever asks, asks again, within a bound. kube would do so below, where nobody sees it: 15 times, with waits that
    // double until they are minutes, long after a busy API server has time again.
    config.default_retry = false;
    Ok((Client::try_from(config.clone())?, config))
}

/// Watches the cluster until nobody listens any more. The receiver holds an empty state until everything has been read
/// once, and from then on the newest one. What `controller` wrote for Ingresses is in [`Observed`] only.
/// `secret` is read whether an object refers to it or not.
pub(crate) fn start(
    client: Client,
    controller: &str,
    secret: ObjectKey,
) -> (watch::Receiver<Arc<Update>>, Observed) {
    let (updates, receiver) = watch::channel(Arc::default());
    let (sender, messages) = mpsc::channel(BACKLOG);
    let mut mirror = Mirror::new(controller);
    mirror.want(ObjectRef::new(Kind::Secret, secret));
    let observed = mirror.observed();
    tokio::spawn(discover(client.clone(), sender.clone()));
    let watching = Watching {
        client,
        sender,
        mirror,
        feeds: BTreeMap::new(),
        started: 0,
        fetches: Arc::new(Semaphore::new(FETCHES)),
    };
    tokio::spawn(watching.run(messages, updates));
    (receiver, observed)
}

/// Looks from time to time which kinds there are.
async fn discover(client: Client, to: Sender<Message>) {
    let mut discovery = Discovery::default();
    let mut pause = feed::Pause::default();
    loop {
        let wait = match discovery.ask(&client).await {
            Ok(found) => {
                if to.send(Message::Found(found.clone())).await.is_err() {
                    return;
                }
                pause = feed::Pause::default();
                DISCOVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the API server does not say which kinds it has; asking again");
                pause.next().unwrap_or(DISCOVERY)
            }
        };
        sleep(wait).await;
    }
}

/// The mirror and what feeds it.
struct Watching {
    client: Client,
    sender: Sender<Message>,
    mirror: Mirror,
    feeds: BTreeMap<Kind, Feed>,
    /// How many feeds have been started so far.
    started: u64,
    fetches: Arc<Semaphore>,
}

impl Watching {
    async fn run(mut self, mut messages: Receiver<Message>, updates: watch::Sender<Arc<Update>>) {
        let mut waiting_since = None;
        loop {
            let patience = waiting_since.map(|since: Instant| since + LONGEST_FETCH);
            let message = match patience {
                Some(patience) => timeout_at(patience, messages.recv()).await.ok(),
                None => Some(messages.recv().await),
            };
            match message {
                Some(Some(message)) => {
                    self.take(message);
                    self.settle(&mut messages).await;
                }
                // We hold a sender ourselves.
                Some(None) => return,
                None => {}
            }
            self.fetch();
            if !self.mirror.is_complete() {
                continue;
            }
            // Serving a Gateway without its certificate for a moment helps nobody.
            if self.mirror.is_waiting() {
                let since = *waiting_since.get_or_insert_with(Instant::now);
                if since.elapsed() < LONGEST_FETCH {
                    continue;
                }
            }
            waiting_since = None;
            if let Some(update) = self.mirror.update() {
                updates.send_replace(Arc::new(update));
            }
            if updates.is_closed() {
                return;
            }
        }
    }

    /// Takes up what comes until nothing has come for a moment, though not for ever.
    async fn settle(&mut self, messages: &mut Receiver<Message>) {
        let end = Instant::now() + LONGEST_BURST;
        while let Ok(Some(message)) =
            timeout_at(end.min(Instant::now() + QUIET), messages.recv()).await
        {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event { feed, kind, event } => {
                if self
                    .feeds
                    .get(&kind)
                    .is_some_and(|running| running.id == feed)
                {
                    self.mirror.event(kind, *event);
                }
            }
            Message::Found(found) => {
                self.serve(&found.served);
                let kinds = found.served.keys().copied();
                self.mirror.define(&kinds.collect(), found.definitions);
            }
            Message::Fetched {
                object,
                version,
                result: Ok(found),
            } => self
                .mirror
                .fetched(object, &version, found.map(|found| *found)),
            Message::Fetched {
                object,
                version,
                result: Err(()),
            } => self.mirror.failed(object, &version),
        }
    }

    /// Watches what is served, and nothing else.
    fn serve(&mut self, served: &Served) {
        let gone: Vec<_> = self
            .feeds
            .keys()
            .filter(|kind| !served.contains_key(kind))
            .copied()
            .collect();
        for kind in gone {
            tracing::warn!(%kind, "the API server does not have this kind any more");
            self.feeds.remove(&kind);
            self.mirror.forget(kind);
        }
        for (kind, resource) in served {
            if self
                .feeds
                .get(kind)
                .is_some_and(|feed| feed.resource == *resource)
            {
                continue;
            }
            tracing::info!(%kind, version = %resource.api_version, "watching");
            self.started += 1;
            self.mirror.serve(*kind, &resource.version);
            let feed = feed::start((self.started, *kind), resource, &self.client, &self.sender);
            self.feeds.insert(*kind, feed);
        }
    }

    /// Asks for the objects that something refers to.
    fn fetch(&mut self) {
        for (object, version) in self.mirror.orders() {
            let Some(feed) = self.feeds.get(&object.kind) else {
                continue;
            };
            let namespace = &object.key.namespace;
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), namespace, &feed.resource);
            let (sender, fetches) = (self.sender.clone(), Arc::clone(&self.fetches));
            tokio::spawn(async move {
                let result = {
                    // The semaphore is never closed.
                    let _permit = fetches.acquire().await;
                    api.get_opt(&object.key.name).await
                };
                let result = match result {
                    Ok(found) => Ok(found.map(Box::new)),
                    Err(error) => {
                        tracing::warn!(%object, %error, "cannot be read; trying again");
                        sleep(RETRY).await;
                        Err(())
                    }
                };
                // The mirror ends with the process only.
                let _ = sender
                    .send(Message::Fetched {
                        object,
                        version,
                        result,
                    })
                    .await;
            });
        }
    }
}
