//! The commands that find what Ingresses became find all of it.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::support::{self, text};

/// Label by which what is made for a Gateway is told from what Ingresses became.
const GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

fn root() -> PathBuf {
    support::examples().join("..")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The kinds of every command of a page with this in it.
fn kinds(page: &str, verb: &str, selector: &str) -> Vec<BTreeSet<String>> {
    let joined = page.replace("\\\n", " ");
    let commands = joined.lines().filter_map(|line| line.strip_prefix("$ "));
    let commands = commands.filter(|line| line.starts_with(verb) && line.contains(selector));
    let kinds = commands.map(|line| {
        let list = line.split_whitespace().nth(2).unwrap();
        let plain = |kind: &str| kind.split('.').next().unwrap().to_owned();
        list.split(',').map(plain).collect()
    });
    kinds.collect()
}

/// Everything that any Ingress of the examples, or of the converter's own tests, becomes.
fn converted() -> Vec<Value> {
    let examples = fs::read_dir(root().join("examples")).unwrap();
    let examples = examples.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = examples.filter(|path| path.is_dir()).collect();
    let mut folders = vec![root().join("crates/converter/testdata")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(".in.yaml") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "{files:?}");
    let mut objects = Vec::new();
    for file in files {
        let output = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["convert", "--report", "none", "-o", "json"])
            .args(["--ingress-class", "higress,mse,nginx", "-f"])
            .arg(&file)
            .output()
            .unwrap();
        // One that has something unreadable in it becomes nothing.
        if let Ok(list) = serde_json::from_str::<Value>(&text(&output.stdout)) {
            objects.extend(list["items"].as_array().unwrap().iter().cloned());
        }
    }
    objects
}

fn plural(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
    ApiResource::from_gvk(&kind).plural
}

#[test]
fn every_object_that_an_ingress_becomes_is_found_by_the_documented_commands() {
    let objects = converted();
    let mut made = BTreeSet::new();
    for object in &objects {
        let labels = &object["metadata"]["labels"];
        assert_eq!(
            labels["app.kubernetes.io/managed-by"], "postern",
            "{object}"
        );
        assert_eq!(labels[GATEWAY], Value::Null, "{object}");
        made.insert(plural(object));
    }
    assert!(made.len() >= 8, "{made:?}");
    let moving = page("move-a-cluster.md");
    let [deleted] = &kinds(&moving, "kubectl delete ", "managed-by=postern")[..] else {
        panic!("one command deletes all");
    };
    assert_eq!(*deleted, made);
    // What hangs on an Ingress; those two are the installation's.
    made.retain(|kind| !["gateways", "gatewayclasses"].contains(&&**kind));
    let mut found = kinds(&moving, "kubectl label ", "postern.dev/translated-");
    found.extend(kinds(&moving, "kubectl get ", "postern.dev/ingress=web"));
    found.extend(kinds(
        &page("operate.md"),
        "kubectl get ",
        "postern.dev/translated=true",
    ));
    assert_eq!(found, [made.clone(), made.clone(), made]);
}

/// Values of the chart that the page sets are there.
#[test]
fn the_page_sets_values_that_the_chart_has() {
    let chart = root().join("deploy/charts/postern/values.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart).unwrap()).unwrap();
    let moving = page("move-a-cluster.md");
    let ours: String = moving
        .lines()
        .filter(|line| !line.contains("RELEASE CHART"))
        .map(|line| format!("{line}\n"))
        .collect();
    let values = ours.split("--set ").skip(1).filter_map(|rest| {
        let value = rest.trim_start_matches(['\'', '"']);
        value.split_once('=').map(|(name, _)| name)
    });
    let mut looked = 0;
    for name in values {
        let mut at = &schema;
        for part in name.split('.') {
            let (field, item) = part
                .split_once('[')
                .map_or((part, false), |(f, _)| (f, true));
            at = &at["properties"][field];
            if item {
                at = &at["items"];
            }
        }
        assert!(at.is_object(), "the chart has no {name}");
        looked += 1;
    }
    assert!(looked >= 8, "{looked}");
}
