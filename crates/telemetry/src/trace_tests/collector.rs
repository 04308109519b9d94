//! A collector in this process: OTLP over gRPC or HTTP on a port of its own.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;

#[derive(Clone, Default)]
struct Received {
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

/// Stops when dropped.
pub(super) struct Collector {
    pub(super) endpoint: String,
    received: Received,
    _stop: oneshot::Sender<()>,
}

/// All that was exported, spans in the order they ended.
pub(super) struct Exported {
    resource: Vec<(String, String)>,
    pub(super) spans: Vec<Span>,
}

#[derive(Debug)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) parent_id: String,
    pub(super) state: String,
    pub(super) failed: bool,
    attributes: Vec<(String, String)>,
}

impl Collector {
    pub(super) fn grpc() -> Self {
        Self::spawn(|listener, received| async move {
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(received))
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        })
    }

    pub(super) fn http() -> Self {
        Self::spawn(|listener, received| async move {
            while let Ok((stream, _)) = listener.accept().await {
                let received = received.clone();
                let service = service_fn(move |request| answer(received.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        })
    }

    fn spawn<F>(serve: impl FnOnce(TcpListener, Received) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", socket.local_addr().unwrap());
        let received = Received::default();
        let theirs = received.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(socket).unwrap();
                tokio::select! {
                    () = serve(listener, theirs) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            endpoint,
            received,
            _stop: stop,
        }
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.received.paths.lock().clone()
    }

    pub(super) fn exported(&self) -> Exported {
        let mut exported = Exported {
            resource: Vec::new(),
            spans: Vec::new(),
        };
        let requests = self.received.requests.lock().clone();
        for group in requests.into_iter().flat_map(|r| r.resource_spans) {
            exported.resource = texts(group.resource.unwrap().attributes);
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let kind = match span.kind() {
                    SpanKind::Server => "server",
                    SpanKind::Client => "client",
                    _ => "other",
                };
                let status = span.status.as_ref().map(|status| status.code());
                exported.spans.push(Span {
                    kind,
                    trace_id: hex(&span.trace_id),
                    span_id: hex(&span.span_id),
                    parent_id: hex(&span.parent_span_id),
                    name: span.name,
                    state: span.trace_state,
                    failed: status == Some(StatusCode::Error),
                    attributes: texts(span.attributes),
                });
            }
        }
        exported
    }
}

impl Exported {
    pub(super) fn resource(&self, key: &str) -> Option<&str> {
        find(&self.resource, key)
    }
}

impl Span {
    pub(super) fn attribute(&self, key: &str) -> Option<&str> {
        find(&self.attributes, key)
    }
}

fn find<'a>(list: &'a [(String, String)], key: &str) -> Option<&'a str> {
    let mut all = list.iter().filter(|(known, _)| known == key);
    let found = all.next().map(|(_, value)| value.as_str());
    assert!(all.next().is_none(), "{key} twice");
    found
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .into_iter()
        .map(|pair| (pair.key, text(pair.value)))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.requests.lock().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn answer(
    received: Received,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    received.paths.lock().push(request.uri().path().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let decoded = ExportTraceServiceRequest::decode(body).unwrap();
    received.requests.lock().push(decoded);
    Ok(http::Response::default())
}
