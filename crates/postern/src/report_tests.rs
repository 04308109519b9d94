use std::{fmt::Write as _, sync::Arc};

use api::yaml;

use super::Report;
use crate::{output::Style, pipeline::Pipeline, source::Update};

/// An installation of `count` Ingresses in which not everything is right.
fn installation(count: usize) -> Update {
    let mut text = String::new();
    for n in 0..count {
        let mut annotations = "    higress.io/enable-cors: \"true\"\n".to_owned();
        if n % 2 == 0 {
            annotations.push_str("    nginx.ingress.kubernetes.io/ssl-redirect: \"true\"\n");
        }
        if n % 5 == 0 {
            annotations.push_str("    higress.io/timeout: \"5 s\"\n");
        }
        if n % 10 == 0 {
            annotations.push_str("    higress.io/no-such-thing: \"1\"\n");
        }
        if n % 4 == 0 {
            annotations.push_str("    higress.io/cors-max-age: \"0\"\n");
        }
        let path = if n == 7 { "shop" } else { "/shop" };
        let _ = writeln!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop-{n:04}
  annotations:
{annotations}spec:
  ingressClassName: higress
  rules:
  - host: shop-{n}.example.com
    http:
      paths:
      - {{ path: {path}, pathType: Prefix, backend: {{ service: {{ name: app, port: {{ number: 80 }} }} }} }}"
        );
    }
    Update {
        resources: Arc::new(yaml::read(&text).into_resources()),
        ..Update::default()
    }
}

fn text(count: usize) -> String {
    let update = installation(count);
    let mut pipeline = Pipeline::new(converter::Options::default());
    let made = pipeline.run(&update.resources);
    let report = Report::new(&update, &made);
    assert!(!report.is_exact());
    report.text(Style::plain())
}

#[test]
fn two_thousand_ingresses_fit_on_a_screen() {
    let text = text(2_000);
    assert!(text.lines().count() < 40, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_few_are_told_of_one_by_one() {
    insta::assert_snapshot!(text(3));
}

#[test]
fn programs_get_every_annotation() {
    let update = installation(30);
    let mut pipeline = Pipeline::new(converter::Options::default());
    let made = pipeline.run(&update.resources);
    let report = serde_json::to_value(Report::new(&update, &made)).unwrap();
    assert_eq!(
        report["notes"].as_array().unwrap().len(),
        made.notes.iter().count()
    );
    let keys = report["keys"].as_array().unwrap();
    let timeout = keys
        .iter()
        .find(|key| key["key"] == "higress.io/timeout")
        .unwrap();
    assert_eq!(timeout["ingresses"], 6);
    assert_eq!(timeout["outcomes"]["refused"], 6);
    assert_eq!(
        timeout["findings"][0]["ingresses"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let field = keys
        .iter()
        .find(|key| key["key"] == "spec.rules[].http.paths[]")
        .unwrap();
    assert_eq!(field["outcomes"]["dropped"], 1);
}
