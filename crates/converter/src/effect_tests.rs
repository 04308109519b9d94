//! What is called exact is in the output: taken away from its Ingress, it changes what is written.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use api::{ObjectKey, Resources, yaml};
use k8s_openapi::api::networking::v1::Ingress;
use proptest::{prelude::*, test_runner::RngSeed};
use serde_json::json;

use super::Expander;
use crate::{
    Class, Note, Options, Outcome,
    annotations::{HIGRESS, NGINX},
    effect::Effect,
    expand,
    ingress::Source,
};

fn options() -> Options {
    Options {
        ingress_classes: ["higress", "mse", "nginx"].map(Class::named).into(),
        synthesize_gateway: false,
        ..Options::default()
    }
}

fn read(text: &str) -> Resources {
    let read = yaml::read(text);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    read.into_resources()
}

/// The inputs of all goldens, with the names of their files.
fn goldens() -> Vec<(String, Resources)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let folders = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(".in.yaml"));
    paths.sort();
    let named = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let read = |path| (named(path), read(&fs::read_to_string(path).unwrap()));
    paths.iter().map(|path| read(path)).collect()
}

/// An annotation without our prefixes.
fn bare(key: &str) -> Option<&str> {
    key.strip_prefix(HIGRESS)
        .or_else(|| key.strip_prefix(NGINX))
}

/// The resources without an annotation of one Ingress, under either prefix unless the other one overrides it.
fn without(resources: &Resources, note: &Note) -> Resources {
    let mut resources = resources.clone();
    let ingress = resources.ingresses.get_mut(&note.object.key).unwrap();
    let annotations = Arc::<Ingress>::make_mut(ingress)
        .metadata
        .annotations
        .as_mut();
    let key = note.key.as_deref().unwrap();
    let overridden = note.message.starts_with("overridden by ");
    annotations.unwrap().retain(|other, _| match overridden {
        true => other != key,
        false => bare(other) != bare(key),
    });
    resources
}

impl Expander {
    /// The bases of a canary, or the Ingress itself.
    fn bases(&self, source: &Source) -> Vec<ObjectKey> {
        let key = &source.object.key;
        if source.settings.canary.is_none() {
            return vec![key.clone()];
        }
        let all = self.neighbours.keys();
        let unit = |base: &&ObjectKey| {
            let base = self.neighbours.get(base).unwrap();
            let written = self
                .written
                .written(base, std::slice::from_ref(&base.object.key));
            let mut owned = written.groups.iter().flat_map(|group| &group.paths);
            owned.any(|owned| {
                owned
                    .canaries
                    .iter()
                    .any(|canary| canary.source.object.key == *key)
            })
        };
        all.filter(unit).cloned().collect()
    }

    /// Whether the effect of a note stands in what was written.
    fn stands(&self, note: &Note, effect: Effect) -> bool {
        let source = self.neighbours.get(&note.object.key).unwrap();
        effect.stands(&self.written.written(source, &self.bases(source)))
    }
}

/// What is wrong with the exact notes of some resources, and how many there are.
fn mistakes(resources: &Resources) -> (Vec<String>, usize) {
    let options = options();
    let mut expander = Expander::default();
    let expansion = expander.expand(resources, &options).clone();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for note in expansion.notes.iter() {
        let named = note.key.as_deref().and_then(bare);
        let exact = note.outcome == Outcome::Exact;
        let Some(key) = named.filter(|_| exact || note.outcome == Outcome::Approximated) else {
            continue;
        };
        let effect = match note.effect {
            // What is said of all that is served, or settled between Ingresses.
            Some(Effect::Served) | None if !exact => continue,
            effect => effect.unwrap_or_else(|| panic!("{key} has no effect")),
        };
        let stands = expander.stands(note, effect);
        let left = expand(&without(resources, note), &options).generated;
        tried += 1;
        // What is approximated may be in the output in more than one place, and what is said of it is settled by one.
        if stands != (left != expansion.generated) && (exact || stands) {
            let does = if stands { "does not change" } else { "changes" };
            wrong.push(format!(
                "{} {key}: without it, the output {does}",
                note.object
            ));
        }
    }
    (wrong, tried)
}

#[test]
fn without_an_exact_annotation_something_else_is_written() {
    let (mut wrong, mut all) = (Vec::new(), 0);
    for (file, resources) in goldens() {
        let (mistakes, tried) = mistakes(&resources);
        all += tried;
        wrong.extend(mistakes.iter().map(|mistake| format!("{file}: {mistake}")));
    }
    assert!(all > 200, "{all}");
    assert!(
        wrong.is_empty(),
        "{} of {all}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Every annotation of every golden, with its value.
fn annotations() -> Vec<(String, String)> {
    let mut all = BTreeSet::new();
    for (_, resources) in goldens() {
        for ingress in resources.ingresses.values() {
            let annotations = ingress.metadata.annotations.iter().flatten();
            let ours =
                annotations.filter_map(|(key, value)| Some((bare(key)?.to_owned(), value.clone())));
            all.extend(ours);
        }
    }
    all.into_iter().collect()
}

/// What an annotation is about; of two about the same, each may ask for what the other asks for anyway.
fn subject(key: &str) -> &str {
    let subjects = ["-method", "-scheme"];
    let subject = subjects.iter().find(|subject| key.ends_with(*subject));
    subject.copied().unwrap_or(key)
}

fn ingress(class: &str, path: &str, tls: bool, annotations: &[(String, String)]) -> Resources {
    let prefix = if class == "nginx" { NGINX } else { HIGRESS };
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| (format!("{prefix}{key}"), json!(value)))
        .collect();
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": "demo", "namespace": "default", "annotations": annotations },
        "spec": {
            "ingressClassName": class,
            "rules": [{ "host": "a.com", "http": { "paths": [
                { "path": path, "pathType": "Prefix", "backend": { "service": { "name": "s", "port": { "number": 80 } } } },
            ] } }],
            "tls": tls.then(|| json!([{ "hosts": ["a.com"], "secretName": "cert" }])),
        },
    });
    read(&ingress.to_string())
}

proptest! {
    // The same cases each time: of two annotations that ask for the same, neither changes anything by itself.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(14), ..ProptestConfig::with_cases(500) })]

    #[test]
    fn nor_is_it_whatever_else_the_ingress_asks_for(
        annotations in prop::collection::btree_map(prop::sample::select(annotations()), Just(()), 1..5),
        class in prop::sample::select(vec!["higress", "nginx"]),
        path in prop::sample::select(vec!["/", "/x", "/x/(.*)"]),
        tls in any::<bool>(),
    ) {
        let mut annotations: Vec<_> = annotations.into_keys().collect();
        let mut seen = BTreeSet::new();
        annotations.retain(|(key, _)| seen.insert(subject(key).to_owned()));
        let (mistakes, _) = mistakes(&ingress(class, path, tls, &annotations));
        prop_assert!(mistakes.is_empty(), "{}", mistakes.join("; "));
    }
}
