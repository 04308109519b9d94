//! The life of a serving process: telemetry, the control loop, signals, the end.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use proxy::{Drained, Proxy};
use telemetry::{
    access_log::AccessLog,
    log,
    metrics::Metrics,
    trace::{TraceConfig, Tracing},
};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch::Receiver,
    time::{sleep, timeout},
};

use crate::{
    cli::ProcessArgs,
    live::{Live, Publisher},
    source::{Update, watch::Reload},
};

/// A port that could not be bound is tried again after this long.
const RETRY: Duration = Duration::from_secs(5);
/// For the last lines of the access log, and for the last spans.
const FLUSH: Duration = Duration::from_secs(5);

/// The runtime of everything that is not traffic.
///
/// # Errors
/// No thread could be started.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
}

/// What the process reports by.
pub(crate) struct Telemetry {
    tracing: Tracing,
    proxy: proxy::Telemetry,
}

impl Telemetry {
    /// Sets everything up as flags and the `OTEL_*` variables say.
    ///
    /// # Errors
    /// A value makes no sense, or the access log cannot be opened.
    pub(crate) fn start(args: &ProcessArgs) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        let config = TraceConfig::from_env();
        let tracing = match &config {
            Some(config) => Tracing::start(config, metrics.spans_dropped.clone())?,
            None => Tracing::off(),
        };
        log::init(args.log_format, &args.log_level, &tracing)?;
        if let Some(config) = &config {
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            tracing::info!(endpoint = %config.endpoint, "traces are exported");
        }
        count_panics(&metrics);
        let access_log = AccessLog::open(&args.access_log, metrics.access_log_dropped.clone())?;
        let tracer = tracing.tracer();
        let proxy = proxy::Telemetry {
            metrics,
            access_log,
            tracer,
        };
        Ok(Self { tracing, proxy })
    }

    /// For the data plane.
    pub(crate) fn for_proxy(&self) -> &proxy::Telemetry {
        &self.proxy
    }

    /// Counters.
    pub(crate) fn metrics(&self) -> Metrics {
        self.proxy.metrics.clone()
    }

    /// Likewise.
    pub(crate) fn access_log(&self) -> AccessLog {
        self.proxy.access_log.clone()
    }

    /// Lets nothing be lost that was said.
    pub(crate) fn finish(&self) {
        if !self.proxy.access_log.flush(FLUSH) {
            tracing::warn!("the last lines of the access log are lost: its target takes no more");
        }
        if let Err(error) = self.tracing.shutdown(FLUSH) {
            tracing::warn!(%error, "traces");
        }
    }
}

/// A panic costs one request, and is a mistake of ours: it is to be seen.
fn count_panics(metrics: &Metrics) {
    let panics = metrics.panics.clone();
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        tracing::error!(%panic, "a panic; please report it");
    }));
}

/// Publishes every update that has not been seen on a thread of its own, until the listeners are closed.
///
/// The thread waits by a clock of its own: it may outlive the runtime that follows the sources.
///
/// # Errors
/// The thread could not be started.
pub(crate) fn follow(
    mut publisher: Publisher,
    mut updates: Receiver<Arc<Update>>,
    live: Arc<Live>,
) -> std::io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let mut retry = false;
    let run = move || {
        loop {
            let news = runtime.block_on(async {
                if retry {
                    timeout(RETRY, updates.changed()).await.unwrap_or(Ok(()))
                } else {
                    updates.changed().await
                }
            });
            if news.is_err() || live.is_closing() {
                return;
            }
            let update = Arc::clone(&updates.borrow_and_update());
            retry = !publisher.publish(&update).bind_errors.is_empty();
        }
    };
    thread::Builder::new()
        .name("pipeline".to_owned())
        .spawn(run)
        .map(drop)
}

/// Signals that somebody may send us.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// To be opened anew.
    access_log: AccessLog,
}

impl Signals {
    /// From now on signals do not end the process by themselves. To be called before anything that takes time.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            access_log: AccessLog::off(),
        })
    }

    /// This is the access log that SIGHUP and SIGUSR1 open anew.
    pub(crate) fn with(mut self, access_log: AccessLog) -> Self {
        self.access_log = access_log;
        self
    }

    /// Waits until the process shall end. SIGHUP has files looked at; it and SIGUSR1 have the access log opened anew.
    pub(crate) async fn end(&mut self, reload: Option<&Reload>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    tracing::info!("SIGHUP: opening the access log anew");
                    self.access_log.reopen();
                    if let Some(reload) = reload {
                        tracing::info!("SIGHUP: looking at the files");
                        reload.now();
                    }
                }
                _ = self.user1.recv() => {
                    tracing::info!("SIGUSR1: opening the access log anew");
                    self.access_log.reopen();
                }
                _ = self.user2.recv() => tracing::info!("SIGUSR2 means nothing here"),
            }
        }
    }
}

/// Says that traffic should go elsewhere and tells clients to go; once others had time to learn of it, closes the
/// listeners and lets requests in flight finish. A second signal ends the wait.
pub(crate) async fn drain(proxy: &Proxy, live: &Live, args: &ProcessArgs, signals: &mut Signals) {
    live.drain();
    proxy.leave().await;
    let (delay, deadline) = (args.drain_delay, args.drain_timeout);
    let drained = async {
        if !delay.is_zero() {
            tracing::info!(
                ?delay,
                "leaving: clients are told to go; new connections are taken meanwhile"
            );
            sleep(delay).await;
        }
        live.close();
        finish(proxy, deadline).await
    };
    tokio::select! {
        drained = drained => match drained {
            Drained::Complete => tracing::info!("drained"),
            Drained::Deadline => tracing::warn!("the deadline came before the last requests were finished"),
        },
        () = signals.end(None) => tracing::warn!("a second signal: ending at once"),
    }
}

async fn finish(proxy: &Proxy, deadline: Duration) -> Drained {
    let until = Instant::now() + deadline;
    if timeout(deadline, proxy.close()).await.is_ok() {
        tracing::info!(
            ?deadline,
            "draining: no new connections; requests in flight may finish"
        );
    }
    proxy
        .drain(until.saturating_duration_since(Instant::now()))
        .await
}
