use std::{collections::BTreeMap, sync::Arc};

use api::{Kind, Object, Resources};
use serde_json::json;

use super::*;
use crate::{fault, pipeline::Pipeline, source::Update};

fn ingress(name: &str, annotation: &str) -> Object {
    let value = json!({
        "metadata": { "namespace": "shop", "name": name, "annotations": { annotation: "1" } },
        "spec": {
            "ingressClassName": "higress",
            "rules": [{ "host": format!("{name}.example"), "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": "nowhere", "port": { "number": 80 } } },
            }] } }],
        },
    });
    Object::from_json(Kind::Ingress, value).unwrap()
}

fn current(pipeline: &mut Pipeline, resources: &Resources) -> Current {
    Current {
        generation: 0,
        update: Arc::new(Update::default()),
        made: pipeline.run(resources),
        failures: Vec::new(),
        addresses: BTreeMap::new(),
    }
}

/// What came and went is what differs between all lines before and all lines now.
#[test]
fn only_what_is_new_is_told() {
    let mut pipeline = Pipeline::new(converter::Options::default());
    let (mut resources, mut findings) = (Resources::default(), Findings::default());
    let mut before: Option<Current> = None;
    let mut lines = BTreeSet::new();
    let edits: [(&str, Option<&str>); 6] = [
        ("a", Some("higress.io/no-such-thing")),
        ("b", Some("higress.io/nor-such")),
        ("b", Some("higress.io/nor-such")),
        ("a", Some("higress.io/another")),
        ("b", None),
        ("a", None),
    ];
    for (name, annotation) in edits {
        let object = ingress(name, annotation.unwrap_or("higress.io/any"));
        match annotation {
            Some(_) => drop(resources.insert(object)),
            None => drop(resources.remove(&object.reference())),
        }
        let now = current(&mut pipeline, &resources);
        let news = findings.update(before.as_ref(), &now);
        let notes = now.made.lossy().map(ToString::to_string);
        let faults = fault::all(&now.made, &resources);
        let faults = faults.iter().map(ToString::to_string);
        let all: BTreeSet<String> = notes.chain(faults).collect();
        let new: BTreeSet<_> = all.difference(&lines).cloned().collect();
        assert_eq!(BTreeSet::from_iter(news.new), new, "{name} {annotation:?}");
        assert_eq!(news.solved, lines.difference(&all).count(), "{name}");
        assert_eq!(findings.len(), all.len());
        (before, lines) = (Some(now), all);
    }
    assert_eq!(findings.len(), 0);
}

/// A policy's fault that its route tells too, with what becomes of requests, is one line.
#[test]
fn a_secret_that_a_policy_misses_is_one_line() {
    let mut pipeline = Pipeline::new(converter::Options::default());
    let mut resources = Resources::default();
    let value = json!({
        "metadata": { "namespace": "shop", "name": "a", "annotations": {
            "higress.io/auth-type": "basic", "higress.io/auth-secret": "lost",
        } },
        "spec": {
            "ingressClassName": "higress",
            "rules": [{ "host": "a.example", "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": "there", "port": { "number": 80 } } },
            }] } }],
        },
    });
    resources.insert(Object::from_json(Kind::Ingress, value).unwrap());
    let service = json!({
        "metadata": { "namespace": "shop", "name": "there" }, "spec": { "ports": [{ "port": 80 }] },
    });
    resources.insert(Object::from_json(Kind::Service, service).unwrap());
    let now = current(&mut pipeline, &resources);
    let news = Findings::default().update(None, &now);
    let told = news.new.iter();
    let told: Vec<_> = told
        .filter(|line| line.contains("Secret shop/lost"))
        .collect();
    assert_eq!(told.len(), 1, "{:?}", news.new);
    assert!(told[0].starts_with("HTTPRoute/shop/a-"), "{told:?}");
}
