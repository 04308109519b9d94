use std::time::Duration;

use super::{Protocol, Root, SamplerConfig, TraceConfig};

fn config(vars: &[(&str, &str)]) -> Option<TraceConfig> {
    TraceConfig::from_vars(|name| {
        let found = vars.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

#[test]
fn no_endpoint_or_a_switch_means_off() {
    assert_eq!(config(&[]), None);
    assert_eq!(config(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
    assert_eq!(config(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), None);
    assert_eq!(config(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), None);
    assert!(config(&[ENDPOINT, ("OTEL_SDK_DISABLED", "")]).is_some());
}

#[test]
fn endpoint_and_protocol_follow_the_specification() {
    let base = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let own_protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
    let (grpc, http) = (Protocol::Grpc, Protocol::HttpProtobuf);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Protocol);
    let cases: &[Case<'_>] = &[
        (&[(base, "http://c:4317")], "http://c:4317", grpc),
        (&[(base, "http://c:4318")], "http://c:4318/v1/traces", http),
        (&[(base, "http://c/otlp/")], "http://c/otlp/v1/traces", http),
        (&[(base, "http://c"), (protocol, "grpc")], "http://c", grpc),
        (
            &[(base, "http://c:4317"), (protocol, "http/protobuf")],
            "http://c:4317/v1/traces",
            http,
        ),
        (
            &[(own, "http://c:1/x"), (base, "http://d")],
            "http://c:1/x",
            http,
        ),
        (
            &[
                (base, "http://c"),
                (own_protocol, "grpc"),
                (protocol, "http/protobuf"),
            ],
            "http://c",
            grpc,
        ),
    ];
    for (vars, endpoint, protocol) in cases {
        let config = config(vars).unwrap();
        assert_eq!(config.endpoint, *endpoint, "{vars:?}");
        assert_eq!(config.protocol, *protocol, "{vars:?}");
        assert_eq!(config.warnings, Vec::<String>::new(), "{vars:?}");
    }
}

#[test]
fn samplers_go_by_their_standard_names() {
    let sampler = |root, parent_based| SamplerConfig { root, parent_based };
    let cases = [
        ("", "", sampler(Root::Always, true)),
        ("always_on", "", sampler(Root::Always, false)),
        ("always_off", "", sampler(Root::Never, false)),
        ("traceidratio", "0.25", sampler(Root::Ratio(0.25), false)),
        ("traceidratio", "", sampler(Root::Ratio(1.0), false)),
        ("parentbased_always_on", "", sampler(Root::Always, true)),
        ("parentbased_always_off", "0.5", sampler(Root::Never, true)),
        (
            "parentbased_traceidratio",
            "0",
            sampler(Root::Ratio(0.0), true),
        ),
    ];
    for (name, arg, expected) in cases {
        let vars = [
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", arg),
        ];
        let config = config(&vars).unwrap();
        assert_eq!(config.sampler, expected, "{name} {arg}");
        assert_eq!(config.warnings, Vec::<String>::new(), "{name} {arg}");
    }
}

#[test]
fn what_is_not_understood_is_said_and_does_no_harm() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999999"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ] {
        let mut config = config(&[ENDPOINT, (name, value)]).unwrap();
        let warnings = std::mem::take(&mut config.warnings);
        assert_eq!(warnings.len(), 1, "{name}={value}");
        assert!(warnings[0].contains(name) && warnings[0].contains(value));
        let plain = self::config(&[ENDPOINT]).unwrap();
        assert_eq!(config, plain, "{name}={value}");
    }
    for arg in ["2", "-0.1", "NaN", "half"] {
        let config = config(&[
            ENDPOINT,
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", arg),
        ]);
        let config = config.unwrap();
        assert_eq!(config.sampler.root, Root::Ratio(1.0), "{arg}");
        assert_eq!(config.warnings.len(), 1, "{arg}");
    }
}

#[test]
fn names_and_queue_sizes() {
    let plain = config(&[ENDPOINT]).unwrap();
    assert_eq!(plain.service_name.as_deref(), Some("postern"));
    assert_eq!(plain.batch.queue, 2_048);
    let named = config(&[ENDPOINT, ("OTEL_SERVICE_NAME", "edge")]).unwrap();
    assert_eq!(named.service_name.as_deref(), Some("edge"));
    let attribute = ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=edge");
    assert_eq!(config(&[ENDPOINT, attribute]).unwrap().service_name, None);

    let small = config(&[
        ENDPOINT,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000"),
    ]);
    let batch = small.unwrap().batch;
    assert_eq!(
        (batch.queue, batch.size),
        (100, 100),
        "a batch fits the queue"
    );
    assert_eq!(batch.delay, Duration::from_millis(250));
    assert_eq!(batch.timeout, Duration::from_secs(3));
}
