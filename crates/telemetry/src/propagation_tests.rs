use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, TraceFlags};
use proptest::prelude::{any, prop, proptest};

use super::{
    Dialect, RemoteParent, Sampling, SpanId, TraceId, TraceState, format_traceparent, inject,
    parse_b3, parse_traceparent, parse_tracestate,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

#[test]
fn traceparent_is_read_strictly() {
    let cases = [
        (format!("00-{TRACE}-{SPAN}-01"), true),
        (format!("00-{TRACE}-{SPAN}-00"), true),
        (format!("00-{TRACE}-{SPAN}-ff"), true),
        (format!("01-{TRACE}-{SPAN}-01"), true),
        (format!("cc-{TRACE}-{SPAN}-01-future"), true),
        (format!("cc-{TRACE}-{SPAN}-01.future"), false),
        (format!("00-{TRACE}-{SPAN}-01-"), false),
        (format!("00-{TRACE}-{SPAN}-01-x"), false),
        (format!("ff-{TRACE}-{SPAN}-01"), false),
        (format!("0-{TRACE}-{SPAN}-01"), false),
        (format!("00-{TRACE}-{SPAN}-1"), false),
        (format!("00-{TRACE}-{SPAN}"), false),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), false),
        (format!("0A-{TRACE}-{SPAN}-01"), false),
        (format!("00-{TRACE}-{SPAN}-0A"), false),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
        (format!("00_{TRACE}-{SPAN}-01"), false),
        (format!("00-{TRACE}x{SPAN}-01"), false),
        (format!("00-{}g-{SPAN}-01", TRACE.get(..31).unwrap()), false),
        (format!(" 00-{TRACE}-{SPAN}-01"), false),
        (String::new(), false),
    ];
    for (text, good) in cases {
        let parsed = parse_traceparent(text.as_bytes());
        assert_eq!(parsed.is_some(), good, "{text:?}");
        if let Some((trace_id, span_id, _)) = parsed {
            assert_eq!(trace_id.to_string(), TRACE);
            assert_eq!(span_id.to_string(), SPAN);
        }
    }
}

#[test]
fn tracestate_is_read_strictly() {
    let long = format!("k={}", "v".repeat(257));
    let full = (0..32)
        .map(|n| format!("k{n}=v"))
        .collect::<Vec<_>>()
        .join(",");
    let over = format!("{full},k32=v");
    let cases = [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
        ("a=1 ,\t b=2,,", true),
        ("t@v=1", true),
        ("0tenant@v=1", true),
        ("", true),
        (full.as_str(), true),
        (over.as_str(), false),
        (long.as_str(), false),
        ("a", false),
        ("a=", false),
        ("=1", false),
        ("A=1", false),
        ("a=1=2", false),
        ("a=1,a=2", false),
        ("a=caf\u{e9}", false),
        ("a\n=1", false),
    ];
    for (text, good) in cases {
        assert_eq!(parse_tracestate(text).is_some(), good, "{text:?}");
    }
    assert_eq!(
        parse_tracestate("a=1 , b=2,").unwrap().header(),
        "a=1,b=2",
        "order kept, padding gone"
    );
}

#[test]
fn b3_is_accepted_in_one_header() {
    use Sampling::{Deferred, NotSampled, Sampled};
    let cases = [
        (format!("{TRACE}-{SPAN}-1"), Some(Sampled)),
        (format!("{TRACE}-{SPAN}-d"), Some(Sampled)),
        (format!("{TRACE}-{SPAN}-0"), Some(NotSampled)),
        (format!("{TRACE}-{SPAN}"), Some(Deferred)),
        (format!("{TRACE}-{SPAN}-1-{SPAN}"), Some(Sampled)),
        (format!("{}-{SPAN}-1", &TRACE[16..]), Some(Sampled)),
        (format!("{}-{SPAN}-1", TRACE.to_uppercase()), Some(Sampled)),
        (format!("{TRACE}-{SPAN}-1-{SPAN}-x"), None),
        (format!("{TRACE}-{SPAN}-1-xyz"), None),
        (format!("{TRACE}-{SPAN}-2"), None),
        (format!("{TRACE}-{}-1", "0".repeat(16)), None),
        (format!("{}-{SPAN}-1", "0".repeat(32)), None),
        (TRACE.to_owned(), None),
        ("0".to_owned(), None),
        (String::new(), None),
    ];
    for (text, expected) in cases {
        let sampling = parse_b3(text.as_bytes()).map(|(_, _, sampling)| sampling);
        assert_eq!(sampling, expected, "{text:?}");
    }
}

#[test]
fn b3_is_accepted_in_several_headers() {
    let ids = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    let cases = [
        (vec![("X-B3-Sampled", "1")], Some(Sampling::Sampled)),
        (vec![("X-B3-Sampled", "true")], Some(Sampling::Sampled)),
        (vec![("X-B3-Sampled", "0")], Some(Sampling::NotSampled)),
        (vec![], Some(Sampling::Deferred)),
        (vec![("X-B3-Flags", "1")], Some(Sampling::Sampled)),
        (vec![("X-B3-Sampled", "maybe")], None),
    ];
    for (extra, expected) in cases {
        let all: Vec<_> = ids.into_iter().chain(extra.clone()).collect();
        let parent = RemoteParent::extract(&headers(&all), true);
        assert_eq!(parent.map(|p| p.sampling), expected, "{extra:?}");
    }
    assert_eq!(RemoteParent::extract(&headers(&ids[..1]), true), None);
}

#[test]
fn w3c_wins_and_falls_back_when_it_is_broken() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    let b3 = format!("{}-{SPAN}-0", "a".repeat(32));
    let both = headers(&[("traceparent", &good), ("b3", &b3)]);
    let parent = RemoteParent::extract(&both, true).unwrap();
    assert_eq!(parent.dialect, Dialect::W3c);
    assert_eq!(parent.trace_id.to_string(), TRACE);

    let broken = headers(&[("traceparent", "00-zz"), ("b3", &b3), ("tracestate", "a=1")]);
    let parent = RemoteParent::extract(&broken, true).unwrap();
    assert_eq!(parent.dialect, Dialect::B3Single);
    assert_eq!(
        parent.state,
        TraceState::NONE,
        "not W3C's parent, so not its state"
    );

    let twice = headers(&[("traceparent", &good), ("traceparent", &good)]);
    assert_eq!(RemoteParent::extract(&twice, true), None);
}

#[test]
fn tracestate_headers_join_in_order_and_bad_ones_cost_only_the_state() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let two = headers(&[
        ("traceparent", &parent),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    let found = RemoteParent::extract(&two, true).unwrap();
    assert_eq!(found.state.header(), "a=1,b=2");
    assert_eq!(
        RemoteParent::extract(&two, false).unwrap().state,
        TraceState::NONE
    );

    let bad = headers(&[("traceparent", &parent), ("tracestate", "nonsense")]);
    let found = RemoteParent::extract(&bad, true).unwrap();
    assert_eq!(found.trace_id.to_string(), TRACE);
    assert_eq!(found.state, TraceState::NONE);
}

fn context(sampled: bool, state: &str) -> SpanContext {
    let flags = if sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        flags,
        false,
        parse_tracestate(state).unwrap(),
    )
}

#[test]
fn inject_replaces_what_the_client_sent() {
    let mut map = headers(&[
        ("traceparent", "junk"),
        ("traceparent", "junk"),
        ("tracestate", "old=1"),
        ("tracestate", "older=1"),
    ]);
    inject(&mut map, &context(true, "new=1"), Dialect::W3c);
    assert_eq!(map.get_all("traceparent").iter().count(), 1);
    assert_eq!(map["traceparent"], format!("00-{TRACE}-{SPAN}-01"));
    assert_eq!(map.get_all("tracestate").iter().count(), 1);
    assert_eq!(map["tracestate"], "new=1");

    inject(&mut map, &context(false, ""), Dialect::W3c);
    assert_eq!(map["traceparent"], format!("00-{TRACE}-{SPAN}-00"));
    assert!(!map.contains_key("tracestate"));
    assert!(!map.contains_key("b3"));
}

#[test]
fn inject_keeps_b3_current() {
    for (dialect, sampled) in [
        (Dialect::B3Single, true),
        (Dialect::B3Single, false),
        (Dialect::B3Multi, true),
        (Dialect::B3Multi, false),
    ] {
        let mut map = headers(&[("x-b3-parentspanid", SPAN)]);
        inject(&mut map, &context(sampled, ""), dialect);
        assert!(map.remove("traceparent").is_some());
        let parent = RemoteParent::extract(&map, true).unwrap();
        assert_eq!(parent.dialect, dialect);
        assert_eq!(parent.trace_id.to_string(), TRACE);
        assert_eq!(parent.span_id.to_string(), SPAN);
        assert_eq!(parent.sampling == Sampling::Sampled, sampled);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".*") {
        parse_traceparent(&bytes);
        parse_b3(&bytes);
        parse_tracestate(&text);
        let mut map = HeaderMap::new();
        for name in ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid"] {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                map.insert(name, value);
            }
        }
        RemoteParent::extract(&map, true);
    }

    #[test]
    fn near_misses_are_safe(text in "[0-9a-fA-F-]{50,60}") {
        if let Some((trace_id, span_id, _)) = parse_traceparent(text.as_bytes()) {
            assert_ne!(trace_id, TraceId::INVALID);
            assert_ne!(span_id, SpanId::INVALID);
        }
    }

    #[test]
    fn what_we_write_we_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
        let written = format_traceparent(trace.into(), span.into(), sampled);
        let (trace_id, span_id, flags) = parse_traceparent(&written).unwrap();
        assert_eq!((trace_id, span_id), (trace.into(), span.into()));
        assert_eq!(flags, u8::from(sampled));
    }
}
