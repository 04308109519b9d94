//! What is being served right now, as the admin endpoint tells it.

mod findings;
mod looped;
mod unbound;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use api::{Kind, Resources};
use arc_swap::ArcSwapOption;
use proxy::{Proxy, Swapped};
use serde_json::{Value, json};
use telemetry::metrics::Metrics;
use tokio::sync::watch;

use self::findings::Findings;
use crate::{
    fault,
    pipeline::{self, Made, Pipeline},
    report::LeftOut,
    source::Update,
};

/// More new lines than this at once go to `/status` only.
const LOG_LINES: usize = 100;

/// How a configuration was published.
const OK: &str = "ok";
const WITH_ERRORS: &str = "with_errors";

/// The state of the process.
#[derive(Default)]
pub(crate) struct Live {
    current: ArcSwapOption<Current>,
    draining: AtomicBool,
    closing: AtomicBool,
    /// The generation of `current`.
    published: watch::Sender<i64>,
}

/// The newest state of the configuration.
pub(crate) struct Current {
    generation: i64,
    update: Arc<Update>,
    made: Made,
    /// What the data plane could not do.
    failures: Vec<String>,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Live {
    /// Whether traffic should be sent here.
    pub(crate) fn is_ready(&self) -> bool {
        self.current.load().is_some() && !self.draining.load(Relaxed)
    }

    /// From now on traffic should go elsewhere.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// The listeners are about to be closed.
    pub(crate) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Whether the listeners are closed, or about to be: no configuration is needed from now on.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// The newest state, once there is one.
    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full()
    }

    /// Tells of every new state once it is served.
    pub(crate) fn published(&self) -> watch::Receiver<i64> {
        self.published.subscribe()
    }

    /// In one word.
    pub(crate) fn phase(&self) -> &'static str {
        if self.draining.load(Relaxed) {
            "draining"
        } else if self.is_ready() {
            "serving"
        } else {
            "starting"
        }
    }
}

impl Current {
    /// It grows with each state.
    pub(crate) const fn generation(&self) -> i64 {
        self.generation
    }

    /// The IR; secrets are redacted by their own types.
    pub(crate) fn ir(&self) -> &ir::Ir {
        &self.made.ir
    }

    /// The objects that it was made of.
    pub(crate) fn resources(&self) -> &Resources {
        &self.update.resources
    }

    /// Kinds that the cluster does not have.
    pub(crate) fn absent(&self) -> &BTreeSet<Kind> {
        &self.update.absent
    }

    /// What became of them.
    pub(crate) fn made(&self) -> &Made {
        &self.made
    }

    /// What is wrong beyond what objects are told.
    fn others(&self) -> BTreeSet<String> {
        let (problems, tolerated) = (&self.update.problems, &self.update.tolerated);
        let problems = problems.iter().chain(tolerated).map(ToString::to_string);
        let clashes = self.made.clashes.iter().map(pipeline::clash);
        let failures = self.failures.iter().cloned();
        problems.chain(failures).chain(clashes).collect()
    }

    /// What `/status` says.
    pub(crate) fn to_json(&self, phase: &str) -> Value {
        let faults = fault::all(&self.made, &self.update.resources);
        json!({
            "phase": phase,
            "generation": self.generation,
            "addresses": self.addresses,
            "problems": {
                "files": self.update.problems,
                "tolerated": self.update.tolerated,
                "dataPlane": self.failures,
                "annotations": self.made.lossy().collect::<Vec<_>>(),
                "conditions": faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "clashes": self.made.clashes,
            },
            "skippedKinds": self.update.skipped,
            "leftOut": LeftOut::new(&self.update, &self.made),
            "status": self.made.status,
        })
    }
}

/// Takes updates to the data plane, and says what is new about them.
pub(crate) struct Publisher {
    pipeline: Pipeline,
    proxy: Arc<Proxy>,
    live: Arc<Live>,
    metrics: Metrics,
    generation: i64,
    findings: Findings,
    skipped: BTreeSet<String>,
}

impl Publisher {
    /// Nothing is published yet.
    pub(crate) fn new(
        pipeline: Pipeline,
        proxy: Arc<Proxy>,
        live: Arc<Live>,
        metrics: Metrics,
    ) -> Self {
        metrics.config_reloads.declare(&[OK, WITH_ERRORS]);
        Self {
            pipeline,
            proxy,
            live,
            metrics,
            generation: 0,
            findings: Findings::default(),
            skipped: BTreeSet::new(),
        }
    }

    /// Serves what `update` says from now on. Gives the ports that could not be bound.
    pub(crate) fn publish(&mut self, update: &Arc<Update>) -> Swapped {
        self.pipeline.define(&update.definitions);
        let mut made = self.pipeline.run(&update.resources);
        let swapped = self.proxy.swap(Arc::clone(&made.ir));
        let bind = swapped.bind_errors.iter();
        let bind: Vec<_> = bind
            .map(|error| ((error.transport, error.port), error.to_string()))
            .collect();
        unbound::mark(&mut made.status, &made.ir, &bind);
        looped::mark(&mut made.status, &made.ir, &swapped.loops);
        let failures = bind
            .into_iter()
            .map(|(_, error)| error)
            .chain(swapped.tls_errors.iter().map(ToString::to_string))
            .collect();
        self.generation += 1;
        let current = Current {
            generation: self.generation,
            update: Arc::clone(update),
            made,
            failures,
            addresses: addresses(&self.proxy),
        };
        let current = Arc::new(current);
        self.count(&current);
        let before = self.live.current.swap(Some(Arc::clone(&current)));
        self.live.published.send_replace(self.generation);
        self.say(before.as_deref(), &current);
        swapped
    }

    fn count(&self, current: &Current) {
        let broken = !(current.update.problems.is_empty() && current.failures.is_empty());
        self.metrics
            .config_reloads
            .inc(if broken { WITH_ERRORS } else { OK });
        self.metrics.snapshot_generation.set(self.generation);
        let ports = &current.made.ir.ports;
        let mut names: BTreeSet<String> = { ports.keys() }
            .chain(current.made.ir.datagrams.keys())
            .map(|key| format!("port/{}", key.port))
            .collect();
        names.extend(
            ports
                .values()
                .flat_map(|port| &port.listeners)
                .map(|listener| listener.key.to_string()),
        );
        let datagrams = current.made.ir.datagrams.values();
        names.extend(datagrams.map(|port| port.listener.to_string()));
        self.metrics.retain_listeners(|name| names.contains(name));
    }

    /// Only what changed is worth a line.
    fn say(&mut self, before: Option<&Current>, current: &Current) {
        let known = before.map(|before| &before.addresses);
        for (listener, address) in &current.addresses {
            if known.and_then(|known| known.get(listener)) != Some(address) {
                tracing::info!(port = %listener, %address, "listening");
            }
        }
        for (kind, _) in current.update.foreign() {
            if self.skipped.insert(kind.to_owned()) {
                tracing::info!(%kind, "objects of a kind that is not read are passed over");
            }
        }
        let stand_in = current.made.stand_in.as_ref();
        if before.and_then(|before| before.made.stand_in.as_ref()) != stand_in {
            match stand_in {
                Some(secret) => tracing::warn!("{}", pipeline::stands_in(secret)),
                None => tracing::info!("no certificate of this process's own is shown any more"),
            }
        }
        say_left_out(before, current);
        let news = self.findings.update(before, current);
        for finding in news.new.iter().take(LOG_LINES) {
            tracing::warn!("{finding}");
        }
        let more = news.new.len().saturating_sub(LOG_LINES);
        if more > 0 {
            tracing::warn!(
                more,
                "further problems; see /status on the admin port, or postern check"
            );
        }
        if news.solved > 0 {
            let left = self.findings.len();
            tracing::info!(solved = news.solved, left, "problems are gone");
        }
        let ir = &current.made.ir;
        let hosts = ir
            .ports
            .values()
            .flat_map(|port| &port.listeners)
            .flat_map(|listener| &listener.hosts);
        let routes: usize = hosts.map(|host| host.routes.len()).sum();
        tracing::info!(
            generation = self.generation,
            ports = ir.ports.len(),
            routes,
            clusters = ir.clusters.len(),
            "configuration is live"
        );
    }
}

/// Says how many Ingresses are not served, where that is another number than before.
fn say_left_out(before: Option<&Current>, current: &Current) {
    let left_out = &current.made.left_out;
    let known = before.map(|before| &before.made.left_out);
    for (class, ingresses) in &left_out.by_class {
        if known.and_then(|known| known.by_class.get(class)) != Some(ingresses) {
            tracing::info!(%class, ingresses, "Ingresses of a class that is not ours are left out");
        }
    }
    let ingresses = left_out.without_class;
    if ingresses > 0 && known.is_none_or(|known| known.without_class != ingresses) {
        tracing::info!(
            ingresses,
            "Ingresses without a class are left out: no IngressClass of ours is the default one"
        );
    }
    let known: BTreeMap<_, _> = before.map_or_else(BTreeMap::new, |before| {
        before.update.old_ingresses().collect()
    });
    for (version, ingresses) in current.update.old_ingresses() {
        if known.get(version) != Some(&ingresses) {
            tracing::warn!(%version, ingresses, "Ingresses of a version that is not read are left out; write them as networking.k8s.io/v1");
        }
    }
}

/// Where each port is really bound: `address:port` as in the listeners, with `/udp` where it is one of those.
fn addresses(proxy: &Proxy) -> BTreeMap<String, SocketAddr> {
    let tcp = proxy.addresses().into_iter();
    let tcp = tcp.map(|(key, address)| (key.to_string(), address));
    let udp = proxy.datagram_addresses().into_iter();
    let udp = udp.map(|(key, address)| (format!("{key}/udp"), address));
    tcp.chain(udp).collect()
}
