//! Metrics of a process that has just started, with one listener.

use std::sync::Arc;

use proxy::{Config, Proxy, Telemetry};

use super::code;
use crate::{
    live::{Live, Publisher},
    pipeline::Pipeline,
};

/// Stands for a word that is not known beforehand.
const ANY: &str = "any";

/// Each family with its labels, and their values where these are few and known.
pub(super) fn table() -> String {
    let telemetry = proxy::Telemetry::default();
    let metrics = telemetry.metrics.clone();
    start(&telemetry);
    let listener = metrics.listener(ANY);
    listener.streams().results.inc(ANY);
    listener.streams().dropped.inc(ANY);
    metrics.gateway_responses.inc(ANY);
    let rows = rows(&metrics.encode());
    assert!(rows.len() > 10, "{rows:?}");
    super::table(&["metric", "type", "labels", "counts"], &rows)
}

/// Those who count say beforehand what they know.
fn start(telemetry: &Telemetry) {
    let config = Config {
        workers: 1,
        ..Config::default()
    };
    let proxy = Arc::new(Proxy::start(config, telemetry).unwrap());
    let pipeline = Pipeline::new(converter::Options::default());
    let live = Arc::<Live>::default();
    drop(Publisher::new(
        pipeline,
        proxy,
        live,
        telemetry.metrics.clone(),
    ));
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            help = about;
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            let (told, help) = help.split_once(' ').unwrap();
            assert_eq!(told, name, "the help of another");
            let suffix = if kind == "counter" { "_total" } else { "" };
            let labels = labels(text, name);
            let name = code(&format!("{name}{suffix}"));
            rows.push(vec![name, kind.to_owned(), labels, help.to_owned()]);
        }
    }
    rows
}

/// `le` is part of what a histogram is.
fn labels(text: &str, family: &str) -> String {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    let samples = text.lines().filter_map(|line| line.strip_prefix(family));
    let samples = samples.filter_map(|rest| rest.split_once('{'));
    let of_family = ["", "_total", "_bucket"];
    for (_, rest) in samples.filter(|(suffix, _)| of_family.contains(suffix)) {
        let (pairs, _) = rest.split_once('}').unwrap();
        for pair in pairs.split(',') {
            let (label, value) = pair.split_once('=').unwrap();
            let value = value.trim_matches('"');
            let place = found.iter().position(|(known, _)| *known == label);
            let place = place.unwrap_or_else(|| {
                found.push((label, Vec::new()));
                found.len() - 1
            });
            if !found[place].1.contains(&value) {
                found[place].1.push(value);
            }
        }
    }
    let shown = |(label, values): &(&str, Vec<&str>)| {
        let known = values.iter().filter(|value| **value != ANY);
        let known: Vec<_> = known.copied().map(code).collect();
        match known.is_empty() {
            true => code(label),
            false => format!("{}: {}", code(label), known.join(", ")),
        }
    };
    let found = found.iter().filter(|(label, _)| *label != "le");
    let shown: Vec<_> = found.map(shown).collect();
    shown.join("; ")
}
