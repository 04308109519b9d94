//! From finished spans to the collector, on a thread of its own.
//!
//! The SDK's batch processor neither says how many spans it drops nor gives its exporter a
//! runtime, hence this one. A finished span costs its request one push into a bounded queue; the
//! exporter is woken once per batch, not once per span.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self as sync_mpsc, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};

use super::{Batch, Protocol, TraceConfig, TraceError};
use crate::metrics::Counter;

/// At most one complaint about an unreachable collector in this time.
const QUIET: Duration = Duration::from_secs(60);

/// Starts the exporter's thread.
pub(super) fn start(
    config: &TraceConfig,
    resource: &Resource,
    dropped: Counter,
) -> Result<Queue, TraceError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut exporter = {
        let _context = runtime.enter();
        exporter(config)?
    };
    exporter.set_resource(resource);
    let (spans, waiting) = mpsc::channel(config.batch.queue);
    let control = Arc::new(Control::default());
    let worker = Worker {
        exporter,
        waiting,
        control: Arc::clone(&control),
        dropped: dropped.clone(),
        batch: config.batch,
        endpoint: config.endpoint.clone(),
        failing_since: None,
        complained: None,
    };
    std::thread::Builder::new()
        .name("otlp-export".to_owned())
        .spawn(move || run(&runtime, worker))?;
    Ok(Queue {
        spans,
        control,
        dropped,
        batch: config.batch.size,
    })
}

fn exporter(config: &TraceConfig) -> Result<OtlpExporter, TraceError> {
    let refused = |problem: String| TraceError::Endpoint {
        endpoint: config.endpoint.clone(),
        problem,
    };
    let uri = config
        .endpoint
        .parse::<http::Uri>()
        .map_err(|error| refused(error.to_string()))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => {}
        (Some("https"), _) => {
            return Err(refused(
                "TLS to the collector is not supported yet; use http:// to an agent nearby".into(),
            ));
        }
        _ => return Err(refused("expected http://HOST:PORT".into())),
    }
    let built = match config.protocol {
        Protocol::Grpc => OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(config.batch.timeout)
            .build(),
        Protocol::HttpProtobuf => OtlpExporter::builder()
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(&config.endpoint)
            .with_timeout(config.batch.timeout)
            .build(),
    };
    built.map_err(|error| refused(error.to_string()))
}

/// What the processor asks of the worker.
#[derive(Debug, Default)]
struct Control {
    wake: Notify,
    stopping: AtomicBool,
    /// Each gets a word when everything queued before it has been exported or given up.
    flushes: Mutex<Vec<SyncSender<()>>>,
}

/// The near end of the queue, where requests put their spans.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    control: Arc<Control>,
    dropped: Counter,
    batch: usize,
}

impl Queue {
    fn flush_within(&self, deadline: Duration) -> OTelSdkResult {
        let (done, is_done) = sync_mpsc::sync_channel(1);
        self.control.flushes.lock().push(done);
        self.control.wake.notify_one();
        match is_done.recv_timeout(deadline) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(deadline)),
            Err(RecvTimeoutError::Disconnected) => Err(OTelSdkError::AlreadyShutdown),
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
            return;
        }
        let queued = self.spans.max_capacity() - self.spans.capacity();
        if queued >= self.batch {
            self.control.wake.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush_within(Duration::from_secs(5))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.control.stopping.store(true, Ordering::Release);
        self.flush_within(timeout)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue(capacity {})", self.spans.max_capacity())
    }
}

/// The far end.
struct Worker {
    exporter: OtlpExporter,
    waiting: mpsc::Receiver<SpanData>,
    control: Arc<Control>,
    dropped: Counter,
    batch: Batch,
    endpoint: String,
    failing_since: Option<Instant>,
    complained: Option<Instant>,
}

fn run(runtime: &Runtime, mut worker: Worker) {
    runtime.block_on(async {
        loop {
            let woken = worker.control.wake.notified();
            // Woken or not, it is time to look.
            let _ = tokio::time::timeout(worker.batch.delay, woken).await;
            // Read before draining: what was queued before these were set is drained below.
            let stopping = worker.control.stopping.load(Ordering::Acquire);
            let flushes = std::mem::take(&mut *worker.control.flushes.lock());
            worker.drain().await;
            for flush in flushes {
                // Whoever waited may have given up.
                let _ = flush.try_send(());
            }
            if stopping || worker.waiting.is_closed() {
                return;
            }
        }
    });
}

impl Worker {
    async fn drain(&mut self) {
        loop {
            let mut batch = Vec::with_capacity(self.batch.size.min(self.waiting.len()));
            while batch.len() < self.batch.size
                && let Ok(span) = self.waiting.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            let export = self.exporter.export(batch);
            let problem = match tokio::time::timeout(self.batch.timeout, export).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {:?}", self.batch.timeout)),
            };
            match problem {
                None => self.recovered(),
                Some(problem) => {
                    self.dropped.add(count);
                    self.failed(&problem);
                }
            }
        }
    }

    fn failed(&mut self, problem: &str) {
        self.failing_since.get_or_insert_with(Instant::now);
        if self.complained.is_some_and(|last| last.elapsed() < QUIET) {
            return;
        }
        self.complained = Some(Instant::now());
        tracing::warn!(
            endpoint = self.endpoint,
            dropped = self.dropped.get(),
            "spans do not reach the collector: {problem}"
        );
    }

    fn recovered(&mut self) {
        if let Some(since) = self.failing_since.take() {
            let seconds = since.elapsed().as_secs();
            tracing::info!(
                endpoint = self.endpoint,
                "spans reach the collector again, after {seconds} s"
            );
        }
    }
}
