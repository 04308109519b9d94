use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::Metrics;

fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map(|value| value.parse().unwrap())
}

#[test]
fn requests_count_by_listener_and_class() {
    let metrics = Metrics::new();
    let web = metrics.listener("default/web/http");
    let ms = Duration::from_millis;
    web.request(Some(StatusCode::OK), ms(3));
    web.request(Some(StatusCode::OK), ms(7));
    web.request(Some(StatusCode::SWITCHING_PROTOCOLS), ms(1));
    web.request(Some(StatusCode::BAD_GATEWAY), Duration::from_secs(60));
    web.request(StatusCode::from_u16(799).ok(), ms(1));
    web.request(None, ms(1));

    let text = metrics.encode();
    for (class, count) in [
        ("1xx", 1.0),
        ("2xx", 2.0),
        ("3xx", 0.0),
        ("4xx", 0.0),
        ("5xx", 1.0),
        ("none", 2.0),
    ] {
        let series = format!(
            "postern_requests_total{{listener=\"default/web/http\",code_class=\"{class}\"}}"
        );
        assert_eq!(value(&text, &series), Some(count), "{series} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn durations_are_a_cumulative_histogram() {
    let metrics = Metrics::new();
    let web = metrics.listener("l");
    for micros in [500, 501, 3_000, 20_000_000] {
        web.request(Some(StatusCode::OK), Duration::from_micros(micros));
    }
    let text = metrics.encode();
    let bucket = |bound: &str| {
        let labels = [
            format!("postern_request_duration_seconds_bucket{{le=\"{bound}\",listener=\"l\"}}"),
            format!("postern_request_duration_seconds_bucket{{listener=\"l\",le=\"{bound}\"}}"),
        ];
        labels.iter().find_map(|series| value(&text, series))
    };
    assert_eq!(bucket("0.0005"), Some(1.0), "a bound is inclusive\n{text}");
    assert_eq!(bucket("0.001"), Some(2.0));
    assert_eq!(bucket("0.005"), Some(3.0));
    assert_eq!(bucket("10.0"), Some(3.0));
    assert_eq!(bucket("+Inf"), Some(4.0));
    assert_eq!(
        value(
            &text,
            "postern_request_duration_seconds_count{listener=\"l\"}"
        ),
        Some(4.0)
    );
    let sum = value(
        &text,
        "postern_request_duration_seconds_sum{listener=\"l\"}",
    )
    .unwrap();
    assert!((sum - 20.004_001).abs() < 1e-9, "{sum}");
}

#[test]
fn connections_are_open_while_their_guard_lives() {
    let metrics = Metrics::new();
    let web = metrics.listener("l");
    let first = web.connection();
    let second = web.connection();
    // The guard may be dropped by another thread, hence in another shard.
    std::thread::spawn(move || drop(first)).join().unwrap();
    let text = metrics.encode();
    assert_eq!(
        value(&text, "postern_connections_open{listener=\"l\"}"),
        Some(1.0),
        "{text}"
    );
    assert_eq!(
        value(&text, "postern_connections_total{listener=\"l\"}"),
        Some(2.0)
    );
    drop(second);
    assert_eq!(web.open_connections(), 0);
}

#[test]
fn threads_add_up() {
    let metrics = Metrics::new();
    let web = metrics.listener("l");
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    web.request(Some(StatusCode::OK), Duration::from_millis(1));
                    metrics.gateway_responses.inc("no_route");
                    metrics.retries.inc();
                }
            });
        }
    });
    let text = metrics.encode();
    for series in [
        "postern_requests_total{listener=\"l\",code_class=\"2xx\"}",
        "postern_gateway_responses_total{reason=\"no_route\"}",
        "postern_retries_total",
    ] {
        assert_eq!(value(&text, series), Some(20_000.0), "{series}");
    }
}

#[test]
fn every_family_is_there_once() {
    let metrics = Metrics::new();
    metrics.listener("l");
    metrics.gateway_responses.declare(&["no_route", "timeout"]);
    metrics.upstream_attempts.inc("ok");
    metrics.connections_rejected.inc("limit");
    metrics.config_reloads.inc("ok");
    metrics.snapshot_generation.set(7);
    metrics.panics.inc();
    metrics.access_log_dropped.add(2);
    metrics.spans_dropped.add(3);
    let text = metrics.encode();
    for (series, expected) in [
        ("postern_gateway_responses_total{reason=\"no_route\"}", 0.0),
        ("postern_gateway_responses_total{reason=\"timeout\"}", 0.0),
        ("postern_upstream_attempts_total{result=\"ok\"}", 1.0),
        ("postern_connections_rejected_total{reason=\"limit\"}", 1.0),
        ("postern_config_reloads_total{result=\"ok\"}", 1.0),
        ("postern_snapshot_generation", 7.0),
        ("postern_panics_total", 1.0),
        ("postern_access_log_dropped_total", 2.0),
        ("postern_spans_dropped_total", 3.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    let mut families: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), all, "a family twice in\n{text}");
}

#[test]
fn labels_are_bounded_and_escaped() {
    let metrics = Metrics::new();
    for number in 0..100 {
        let word: &'static str = format!("word{number}").leak();
        metrics.gateway_responses.inc(word);
    }
    let text = metrics.encode();
    assert_eq!(text.matches("postern_gateway_responses_total{").count(), 65);
    assert_eq!(
        value(&text, "postern_gateway_responses_total{reason=\"other\"}"),
        Some(36.0)
    );

    metrics.listener("evil\"\n\\name");
    assert!(metrics.encode().contains(r#"listener="evil\"\n\\name""#));
}

#[test]
fn listeners_come_and_go() {
    let metrics = Metrics::new();
    let old = metrics.listener("old");
    assert!(Arc::ptr_eq(&old, &metrics.listener("old")));
    metrics.listener("new");
    metrics.retain_listeners(|name| name == "new");
    let text = metrics.encode();
    assert!(text.contains("listener=\"new\"") && !text.contains("listener=\"old\""));
    old.request(Some(StatusCode::OK), Duration::ZERO);
}
