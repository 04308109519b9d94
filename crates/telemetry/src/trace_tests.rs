use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::{
    Attempt, Protocol, Root, SamplerConfig, ServerRequest, TARGET, TraceConfig, TraceError, Tracer,
    Tracing,
};
use crate::metrics::Counter;
use collector::{Collector, Exported};

#[path = "trace_tests/collector.rs"]
mod collector;

const SOON: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn request<'a>(tracer: &Tracer, headers: &HeaderMap) -> ServerRequest<'a> {
    ServerRequest {
        method: &Method::GET,
        scheme: "https",
        host: "shop.example:8443",
        path: "/cart",
        query: Some("id=7&sig=secret"),
        route: Some("/cart"),
        client: Some("192.0.2.1".parse().unwrap()),
        version: Version::HTTP_2,
        user_agent: Some("curl/8"),
        parent: tracer.extract(headers),
    }
}

fn attempt<'a>(resend_count: u32) -> Attempt<'a> {
    Attempt {
        method: &Method::GET,
        scheme: "http",
        authority: "shop.example",
        path: "/v2/cart",
        query: None,
        server_address: "10.0.0.7",
        server_port: 8080,
        resend_count,
    }
}

fn incoming(flags: &str) -> HeaderMap {
    let parent = format!("00-{TRACE}-{PARENT}-{flags}");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::try_from(parent).unwrap());
    headers.insert("tracestate", HeaderValue::from_static("vendor=x,other=y"));
    headers
}

fn start(config: &TraceConfig) -> Tracing {
    Tracing::start(config, Counter::new()).unwrap()
}

/// One request: a failed attempt, then a good one. Returns the headers the backend got.
fn one_request(tracer: &Tracer, mut headers: HeaderMap) -> HeaderMap {
    let server = tracer.server_span(&request(tracer, &headers));
    let first = server.client_span(&attempt(0));
    first.inject(&mut headers);
    first.finish(None, Some("connect_refused"));
    let second = server.client_span(&attempt(1));
    second.inject(&mut headers);
    second.finish(Some(StatusCode::OK), None);
    server.finish(Some(StatusCode::OK), None);
    headers
}

fn assert_one_request(exported: &Exported, headers: &HeaderMap) {
    assert_eq!(exported.resource("service.name").unwrap(), "postern");
    let [first, second, server] = exported.spans.as_slice() else {
        panic!("{:#?}", exported.spans);
    };
    assert_eq!(server.name, "GET /cart");
    assert_eq!(server.kind, "server");
    assert_eq!(server.trace_id, TRACE);
    assert_eq!(server.parent_id, PARENT);
    assert_eq!(server.state, "vendor=x,other=y");
    assert!(!server.failed);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/cart"),
        ("url.query", "id=7&sig=REDACTED"),
        ("server.address", "shop.example"),
        ("server.port", "8443"),
        ("client.address", "192.0.2.1"),
        ("http.route", "/cart"),
        ("user_agent.original", "curl/8"),
        ("network.protocol.version", "2"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(server.attribute(key), Some(value), "{key}");
    }
    assert_eq!(server.attribute("error.type"), None);

    for client in [first, second] {
        assert_eq!(client.name, "GET");
        assert_eq!(client.kind, "client");
        assert_eq!(client.trace_id, TRACE);
        assert_eq!(client.parent_id, server.span_id);
        for (key, value) in [
            ("http.request.method", "GET"),
            ("url.full", "http://shop.example/v2/cart"),
            ("server.address", "10.0.0.7"),
            ("server.port", "8080"),
        ] {
            assert_eq!(client.attribute(key), Some(value), "{key}");
        }
    }
    assert!(first.failed);
    assert_eq!(first.attribute("error.type"), Some("connect_refused"));
    assert_eq!(first.attribute("http.request.resend_count"), None);
    assert!(!second.failed);
    assert_eq!(second.attribute("http.request.resend_count"), Some("1"));
    assert_eq!(second.attribute("http.response.status_code"), Some("200"));

    let parent = format!("00-{TRACE}-{}-01", second.span_id);
    assert_eq!(headers["traceparent"], parent);
    assert_eq!(headers["tracestate"], "vendor=x,other=y");
}

#[test]
fn spans_reach_a_collector_over_grpc() {
    let collector = Collector::grpc();
    let tracing = start(&TraceConfig::new(&collector.endpoint, Protocol::Grpc));
    let headers = one_request(&tracing.tracer(), incoming("01"));
    tracing.shutdown(SOON).unwrap();
    assert_one_request(&collector.exported(), &headers);
}

#[test]
fn spans_reach_a_collector_over_http() {
    let collector = Collector::http();
    let endpoint = format!("{}/v1/traces", collector.endpoint);
    let tracing = start(&TraceConfig::new(endpoint, Protocol::HttpProtobuf));
    let headers = one_request(&tracing.tracer(), incoming("01"));
    tracing.shutdown(SOON).unwrap();
    assert_one_request(&collector.exported(), &headers);
    assert_eq!(collector.paths(), ["/v1/traces"]);
}

#[test]
fn status_and_reason_decide_what_is_an_error() {
    let collector = Collector::grpc();
    let tracing = start(&TraceConfig::new(&collector.endpoint, Protocol::Grpc));
    let tracer = tracing.tracer();
    let none = HeaderMap::new();
    let server = || tracer.server_span(&request(&tracer, &none));
    let code = |code| Some(StatusCode::from_u16(code).unwrap());

    server().finish(code(404), Some("no_route"));
    server().finish(code(503), Some("no_endpoints"));
    server().finish(code(500), None);
    drop(server());
    let mut routed = tracer.server_span(&ServerRequest {
        method: &Method::from_bytes(b"BREW").unwrap(),
        route: None,
        ..request(&tracer, &none)
    });
    routed.set_route("/pot");
    routed.client_span(&attempt(0)).finish(code(404), None);
    drop(routed.client_span(&attempt(0)));
    routed.finish(code(404), None);
    tracing.shutdown(SOON).unwrap();

    let exported = collector.exported();
    let seen: Vec<_> = exported
        .spans
        .iter()
        .map(|span| {
            (
                span.name.as_str(),
                span.failed,
                span.attribute("error.type"),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("GET /cart", false, None),
            ("GET /cart", true, Some("no_endpoints")),
            ("GET /cart", true, Some("500")),
            ("GET /cart", true, Some("cancelled")),
            ("GET", true, Some("404")),
            ("GET", true, Some("cancelled")),
            ("HTTP /pot", false, None),
        ]
    );
    let spans = &exported.spans;
    assert_eq!(spans[0].attribute("postern.reason"), Some("no_route"));
    assert_eq!(spans[0].parent_id, "", "a trace of its own");
    assert_eq!(spans[6].attribute("http.request.method"), Some("_OTHER"));
    assert_eq!(
        spans[6].attribute("http.request.method_original"),
        Some("BREW")
    );
    assert_eq!(spans[6].attribute("http.route"), Some("/pot"));
}

#[test]
fn samplers_decide_and_unsampled_traces_still_propagate() {
    let always = Root::Always;
    let cases = [
        // root, parent based, flags of the caller, exported
        (always, true, Some("01"), true),
        (always, true, Some("00"), false),
        (always, true, None, true),
        (always, false, Some("00"), true),
        (Root::Never, true, Some("01"), true),
        (Root::Never, true, None, false),
        (Root::Never, false, Some("01"), false),
        (Root::Ratio(0.0), true, None, false),
        (Root::Ratio(1.0), true, None, true),
    ];
    for (root, parent_based, flags, expected) in cases {
        let collector = Collector::grpc();
        let mut config = TraceConfig::new(&collector.endpoint, Protocol::Grpc);
        config.sampler = SamplerConfig { root, parent_based };
        let tracing = start(&config);
        let headers = one_request(&tracing.tracer(), flags.map(incoming).unwrap_or_default());
        tracing.shutdown(SOON).unwrap();
        let count = collector.exported().spans.len();
        let case = format!("{root:?} {parent_based} {flags:?}");
        assert_eq!(count, if expected { 3 } else { 0 }, "{case}");
        let parent = headers["traceparent"].to_str().unwrap();
        assert!(
            parent.ends_with(if expected { "-01" } else { "-00" }),
            "{case}"
        );
        assert!(!parent.contains(PARENT), "{case}: we are a hop");
        if flags.is_some() {
            assert!(parent.contains(TRACE), "{case}");
            assert_eq!(headers["tracestate"], "vendor=x,other=y", "{case}");
        }
    }
}

#[test]
fn b3_without_a_decision_asks_our_sampler_and_goes_on_as_b3() {
    for (root, sampled) in [(Root::Always, "1"), (Root::Never, "0")] {
        let collector = Collector::grpc();
        let mut config = TraceConfig::new(&collector.endpoint, Protocol::Grpc);
        config.sampler.root = root;
        let tracing = start(&config);
        let mut headers = HeaderMap::new();
        let b3 = format!("{TRACE}-{PARENT}");
        headers.insert("b3", HeaderValue::try_from(b3).unwrap());
        let headers = one_request(&tracing.tracer(), headers);
        tracing.shutdown(SOON).unwrap();

        let spans = collector.exported().spans;
        assert_eq!(spans.len(), if sampled == "1" { 3 } else { 0 });
        if let [.., server] = spans.as_slice() {
            assert_eq!(server.trace_id, TRACE);
            assert_eq!(server.parent_id, PARENT);
        }
        let b3 = headers["b3"].to_str().unwrap();
        assert!(b3.starts_with(TRACE) && b3.ends_with(sampled), "{b3}");
        assert!(!b3.contains(PARENT));
    }
}

#[test]
fn off_changes_nothing() {
    let tracing = Tracing::off();
    let tracer = tracing.tracer();
    assert!(!tracer.is_enabled());
    let before = incoming("01");
    let after = one_request(&tracer, before.clone());
    assert_eq!(before, after);
    let parent = tracer.extract(&before).unwrap();
    assert_eq!(parent.trace_id.to_string(), TRACE, "for the access log");
    let server = tracer.server_span(&request(&tracer, &before));
    assert_eq!(server.ids(), None);
    server.finish(Some(StatusCode::OK), None);
    tracing.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn a_dead_collector_costs_spans_not_time() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        // Accepts connections, never answers: worse than a closed port.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let mut config = TraceConfig::new(endpoint, protocol);
        config.batch.queue = 64;
        config.batch.size = 8;
        let dropped = Counter::new();
        let tracing = Tracing::start(&config, dropped.clone()).unwrap();
        let tracer = tracing.tracer();
        let begin = Instant::now();
        for _ in 0..1_000 {
            one_request(&tracer, HeaderMap::new());
        }
        // Far below a single export's time out, so no request waited for one.
        assert!(begin.elapsed() < config.batch.timeout, "{protocol:?}");
        // The queue, and the one batch that is under way.
        assert!(dropped.get() >= 3_000 - 64 - 8, "{}", dropped.get());

        let error = tracing.shutdown(Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, TraceError::Shutdown(_)), "{error}");
        one_request(&tracer, HeaderMap::new());
    }
}

#[test]
fn a_refused_connection_counts_every_span() {
    // Bound and closed again: nobody listens.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut config = TraceConfig::new(format!("http://127.0.0.1:{port}"), protocol);
        config.batch.timeout = Duration::from_millis(500);
        let dropped = Counter::new();
        let tracing = Tracing::start(&config, dropped.clone()).unwrap();
        one_request(&tracing.tracer(), HeaderMap::new());
        tracing.shutdown(SOON).unwrap();
        assert_eq!(dropped.get(), 3, "{protocol:?}");
    }
}

#[test]
fn an_endpoint_that_cannot_work_is_refused_at_once() {
    for endpoint in [
        "",
        "collector:4317",
        "ftp://c",
        "https://c:4317",
        "http://",
        "http://a b",
    ] {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let config = TraceConfig::new(endpoint, protocol);
            let error = Tracing::start(&config, Counter::new()).unwrap_err();
            assert!(matches!(error, TraceError::Endpoint { .. }), "{endpoint}");
            assert!(error.to_string().contains(endpoint), "{error}");
        }
    }
}

#[test]
fn tracing_spans_under_our_target_are_exported_and_no_others() {
    use tracing_subscriber::layer::SubscriberExt;

    let collector = Collector::grpc();
    let tracing = start(&TraceConfig::new(&collector.endpoint, Protocol::Grpc));
    let subscriber = tracing_subscriber::registry().with(tracing.layer());
    tracing::subscriber::with_default(subscriber, || {
        let outer = tracing::info_span!(target: TARGET, "reload", files = 3).entered();
        tracing::info_span!("not ours").in_scope(|| {
            tracing::info_span!(target: TARGET, "translate").in_scope(|| {});
        });
        drop(outer);
    });
    tracing.shutdown(SOON).unwrap();
    let spans = collector.exported().spans;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["translate", "reload"]);
    assert_eq!(spans[0].parent_id, spans[1].span_id);
    assert_eq!(spans[1].attribute("files"), Some("3"));
}
