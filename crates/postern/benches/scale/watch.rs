//! When the API server tells of objects, to anybody who watches.

use std::{collections::HashMap, sync::Arc, time::Instant};

use anyhow::Context as _;
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _};
use http::Request;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

use crate::api::{Kind, Server};

/// What a watch has told.
pub(crate) struct Watch {
    told: Arc<Mutex<Told>>,
    news: watch::Receiver<()>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Told {
    /// When each object was told of first.
    first: HashMap<String, Instant>,
    /// The newest state of each.
    newest: HashMap<String, Value>,
    /// How often objects have changed after that.
    changes: usize,
    ended: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: Value,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Watches a kind in a namespace from now on.
    pub(crate) async fn start(
        server: &Server,
        kind: Kind,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        let path = kind.path(namespace);
        let list = server.get(&format!("{path}?limit=1")).await?;
        let list = list.with_context(|| format!("{path} is not there"))?;
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.context("a list without a version")?;
        let uri = format!("{path}?watch=1&resourceVersion={version}&timeoutSeconds=3600");
        let request = Request::get(uri).body(Vec::new())?;
        let lines = server.client().request_stream(request).await?.lines();
        let told = Arc::new(Mutex::new(Told::default()));
        let (sender, news) = watch::channel(());
        let shared = Arc::clone(&told);
        let task = tokio::spawn(async move {
            let mut lines = std::pin::pin!(lines);
            let end = loop {
                match lines.try_next().await {
                    Ok(Some(line)) => {
                        let now = Instant::now();
                        match serde_json::from_str(&line) {
                            Ok(event) => shared.lock().take(event, now),
                            Err(error) => break error.to_string(),
                        }
                        sender.send_replace(());
                    }
                    Ok(None) => break "the API server ended it".to_owned(),
                    Err(error) => break error.to_string(),
                }
            };
            shared.lock().ended = Some(end);
            sender.send_replace(());
        });
        Ok(Self { told, news, task })
    }

    /// How many objects were told of.
    pub(crate) fn objects(&self) -> usize {
        self.told.lock().first.len()
    }

    /// How often an object that was told of has changed.
    pub(crate) fn changes(&self) -> usize {
        self.told.lock().changes
    }

    /// The last time that an object was told of for the first time.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.told.lock().first.values().max().copied()
    }

    /// When an object was told of, once it has been.
    pub(crate) async fn first(&mut self, name: &str) -> anyhow::Result<Instant> {
        self.look(|told| told.first.get(name).copied()).await
    }

    /// When an object is seen to be as wanted.
    pub(crate) async fn until(
        &mut self,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Instant> {
        self.look(|told| {
            let now = told.newest.get(name).is_some_and(&wanted);
            now.then(Instant::now)
        })
        .await
    }

    async fn look<T>(&mut self, find: impl Fn(&Told) -> Option<T>) -> anyhow::Result<T> {
        loop {
            self.news.borrow_and_update();
            {
                let told = self.told.lock();
                if let Some(found) = find(&told) {
                    return Ok(found);
                }
                if let Some(end) = &told.ended {
                    anyhow::bail!("the watch has ended: {end}");
                }
            }
            self.news.changed().await?;
        }
    }
}

impl Told {
    fn take(&mut self, event: Event, now: Instant) {
        let name = event.object["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        match event.r#type.as_str() {
            "ADDED" => drop(self.first.insert(name.to_owned(), now)),
            "MODIFIED" => self.changes += 1,
            _ => {}
        }
        self.newest.insert(name.to_owned(), event.object);
    }
}
