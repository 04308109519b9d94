//! A cluster as it is at one moment, for the commands that say what would be done: every kind is listed once, nothing
//! is watched and nothing is written. Of Secrets only those are read that something refers to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use api::{Kind, ObjectKey, ObjectRef};
use futures_util::{StreamExt, stream};
use gateway_core::Definitions;
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, DynamicObject, Status},
    runtime::watcher::Event,
};
use tokio::time::{sleep, timeout};

use super::{discovery, mirror::Mirror};
use crate::source::{Problem, Update};

/// Objects of a page.
const PAGE: u32 = 500;
/// A page, or one object, must come within this.
const ANSWER: Duration = Duration::from_secs(30);
/// And everything within this.
const WHOLE: Duration = Duration::from_secs(300);
/// An API server that has too much to do is asked again so often, after that long.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// Questions at the same time.
const QUESTIONS: usize = 4;
/// So many Secrets are named that may not be read.
const NAMED: usize = 3;

/// Which cluster, and what of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// A context of the kubeconfig; none: the current one.
    pub(crate) context: Option<String>,
    /// The kubeconfig; none: what `KUBECONFIG` names, or the usual file; and in a pod without either, its own cluster.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Of kinds that have namespaces, only the objects of this one.
    pub(crate) namespace: Option<String>,
    /// A Secret that is read whether an object refers to it or not.
    pub(crate) secret: Option<ObjectKey>,
}

/// Reads everything once.
///
/// # Errors
/// There is no such context, or the API server does not answer. A kind that may not be read is a problem of the update
/// instead.
pub(crate) async fn read(access: &Access) -> anyhow::Result<Update> {
    let (mut config, name) = config(access).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(ANSWER);
    config.default_retry = false;
    let place = format!("{name} ({})", config.cluster_url);
    let client = Client::try_from(config).with_context(|| format!("cannot use {place}"))?;
    let whole = whole(&client, access);
    let read = timeout(WHOLE, whole).await;
    let late = || format!("{place} has not told everything within {WHOLE:?}");
    let mut update = read
        .with_context(late)?
        .with_context(|| format!("cannot read from {place}"))?;
    update.cluster = Some(place.into());
    Ok(update)
}

/// How to get at the cluster, and what it is called.
async fn config(access: &Access) -> anyhow::Result<(Config, String)> {
    let kubeconfig = match &access.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match kubeconfig {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if access.kubeconfig.is_none() && access.context.is_none() => {
            let own = Config::incluster().ok();
            let own = own.map(|config| (config, "the cluster of this pod".to_owned()));
            return own.ok_or_else(|| anyhow::Error::new(error).context("there is no kubeconfig"));
        }
        Err(error) => return Err(anyhow::Error::new(error).context("there is no kubeconfig")),
    };
    let known: Vec<_> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect();
    let context = access
        .context
        .clone()
        .or(kubeconfig.current_context.clone());
    let context = context.filter(|name| !name.is_empty()).with_context(|| {
        let known = known.join(", ");
        format!("the kubeconfig has no current context: give --context NAME; it has: {known}")
    })?;
    if !known.contains(&context) {
        let known = known.join(", ");
        bail!("the kubeconfig has no context {context:?}; it has: {known}");
    }
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let config = config.with_context(|| format!("the context {context:?} makes no sense"))?;
    Ok((config, format!("context {context}")))
}

async fn whole(client: &Client, access: &Access) -> anyhow::Result<Update> {
    let namespace = access.namespace.as_deref();
    let served = asked(|| discovery::served(client))
        .await
        .context("the API server does not say which kinds it has")?;
    let mut mirror = Mirror::new(api::CONTROLLER_NAME);
    if let Some(secret) = &access.secret {
        mirror.want(ObjectRef::new(Kind::Secret, secret.clone()));
    }
    mirror.define(&served.keys().copied().collect(), Definitions::new());
    let mut refused = Vec::new();
    let kinds = served.iter().filter(|(kind, _)| **kind != Kind::Secret);
    let lists = kinds.map(|(kind, resource)| async move {
        let namespace = namespace.filter(|_| kind.namespaced());
        (*kind, list(&api(client, namespace, resource)).await)
    });
    let mut lists = stream::iter(lists).buffer_unordered(QUESTIONS);
    while let Some((kind, list)) = lists.next().await {
        match list {
            Ok(objects) => take(&mut mirror, kind, objects),
            Err(error) => match refusal(&error) {
                Some(status) => refused.push(denied(kind, status)),
                None => return Err(error).with_context(|| format!("{kind}")),
            },
        }
    }
    if let Some(resource) = served.get(&Kind::Secret) {
        refused.extend(secrets(client, resource, &mut mirror).await?);
    }
    let mut update = mirror.whole();
    update.problems.extend(refused);
    update.problems.sort();
    Ok(update)
}

fn api(client: &Client, namespace: Option<&str>, resource: &ApiResource) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

/// All objects, page by page. Where the API server has forgotten what the next page is to go on from, there is one more
/// start.
async fn list(api: &Api<DynamicObject>) -> kube::Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    let mut began = 1;
    loop {
        let page = match asked(|| api.list(&params)).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 410 && began < TRIES => {
                began += 1;
                objects.clear();
                params.continue_token = None;
                continue;
            }
            Err(error) => return Err(error),
        };
        objects.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(objects),
        }
    }
}

/// Asks, and asks again where the API server has too much to do.
async fn asked<T, F>(question: impl Fn() -> F) -> kube::Result<T>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut tries = 1;
    loop {
        match timeout(ANSWER, question()).await {
            Ok(Err(kube::Error::Api(status))) if is_passing(status.code) && tries < TRIES => {
                tries += 1;
                sleep(PAUSE).await;
            }
            Ok(answer) => return answer,
            Err(late) => return Err(kube::Error::Service(late.into())),
        }
    }
}

const fn is_passing(code: u16) -> bool {
    matches!(code, 429 | 500 | 502 | 503 | 504)
}

fn take(mirror: &mut Mirror, kind: Kind, objects: Vec<DynamicObject>) {
    if kind == Kind::ConfigMap {
        objects
            .into_iter()
            .for_each(|object| mirror.hold(kind, object));
        return;
    }
    mirror.event(kind, Event::Init);
    for object in objects {
        mirror.event(kind, Event::InitApply(object));
    }
    mirror.event(kind, Event::InitDone);
}

/// Reads the Secrets that something refers to, one by one: for that nobody has to be allowed to list those of others.
async fn secrets(
    client: &Client,
    resource: &ApiResource,
    mirror: &mut Mirror,
) -> anyhow::Result<Vec<Problem>> {
    let wanted = mirror.wanted(Kind::Secret);
    let reads = wanted.into_iter().map(|secret| async move {
        let api = api(client, Some(&*secret.key.namespace), resource);
        let found = asked(|| api.get_opt(&secret.key.name)).await;
        (secret, found)
    });
    let mut reads = stream::iter(reads).buffer_unordered(QUESTIONS);
    let mut refused: BTreeMap<String, BTreeSet<ObjectRef>> = BTreeMap::new();
    while let Some((secret, found)) = reads.next().await {
        match found {
            Ok(Some(object)) => mirror.hold(Kind::Secret, object),
            Ok(None) => {}
            Err(error) => match refusal(&error) {
                Some(status) => {
                    let of = refused.entry(status.message.clone()).or_default();
                    of.insert(secret);
                }
                None => return Err(error).with_context(|| format!("{secret}")),
            },
        }
    }
    let all: BTreeSet<_> = refused.values().flatten().collect();
    let first = refused.keys().next();
    Ok(first.map(|why| unreadable(&all, why)).into_iter().collect())
}

/// The API server's word that something may not be read. What it does not have is none.
fn refusal(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) if status.code == 403 => Some(status),
        _ => None,
    }
}

fn denied(kind: Kind, status: &Status) -> Problem {
    let message = format!(
        "may not be listed, so none is known and what refers to one is told as if it were missing: {}",
        status.message
    );
    Problem::new(Path::new(kind.as_str()), None, message)
}

fn unreadable(secrets: &BTreeSet<&ObjectRef>, why: &str) -> Problem {
    let first: Vec<_> = secrets
        .iter()
        .take(NAMED)
        .map(|secret| secret.key.to_string())
        .collect();
    let more = secrets.len() - first.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let message = format!(
        "may not be read, so each is told as if it were missing: {}{more}: {why}",
        first.join(", ")
    );
    Problem::new(Path::new(Kind::Secret.as_str()), None, message)
}
