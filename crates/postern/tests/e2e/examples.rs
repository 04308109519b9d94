//! Every example through the real binary: what its section of the annotation document says happens, and what must not.
//! Each check runs twice: over the Ingresses, and over what `convert` makes of them, so that the translation is held to
//! the same answers.

mod auth;
mod backend_tls;
mod balancing;
mod canary;
mod cross_origin;
mod gateway_api;
mod headers;
mod limits;
mod own_kinds;
pub(crate) mod tls;
mod traffic;

use std::{collections::BTreeSet, fs};

use crate::support::{self, Example, Served};

/// A test for each example, and a list of their names.
macro_rules! examples {
    ($($name:literal => $test:ident, $check:path;)*) => {
        const CHECKED: &[&str] = &[$($name),*];
        $(#[test] fn $test() { both_ways($name, $check); })*
    };
}

examples! {
    "canary-by-header" => canary_by_header, canary::by_header;
    "canary-by-header-value" => canary_by_header_value, canary::by_header_value;
    "canary-by-cookie" => canary_by_cookie, canary::by_cookie;
    "canary-by-weight" => canary_by_weight, canary::by_weight;
    "canary-by-weight-total" => canary_by_weight_total, canary::by_weight_total;
    "request-header-canary" => request_header_canary, canary::coloured;
    "cors" => cors, cross_origin::seed;
    "cors-credentials" => cors_credentials, cross_origin::credentials;
    "rewrite-path-exact" => rewrite_path_exact, traffic::rewrite_path_exact;
    "rewrite-path-remove-prefix" => rewrite_path_remove_prefix, traffic::rewrite_path_remove_prefix;
    "rewrite-path-change-prefix" => rewrite_path_change_prefix, traffic::rewrite_path_change_prefix;
    "rewrite-host" => rewrite_host, traffic::rewrite_host;
    "redirect-https" => redirect_https, traffic::redirect_https;
    "redirect-https-force" => redirect_https_force, traffic::redirect_https;
    "redirect-permanent" => redirect_permanent, traffic::redirect_permanent;
    "redirect-permanent-code" => redirect_permanent_code, traffic::redirect_permanent_code;
    "redirect-temporary" => redirect_temporary, traffic::redirect_temporary;
    "request-header-add" => request_header_add, headers::request_add;
    "request-header-update" => request_header_update, headers::request_update;
    "response-header-remove" => response_header_remove, headers::response_remove;
    "response-header-update" => response_header_update, headers::response_update;
    "retry" => retry, traffic::retry;
    "timeout" => timeout, traffic::timeout;
    "rate-limit-rpm" => rate_limit_rpm, balancing::rate_limit_rpm;
    "rate-limit-rps" => rate_limit_rps, balancing::rate_limit_rps;
    "client-limits" => client_limits, limits::clients;
    "body-size" => body_size, limits::body_size;
    "load-balance" => load_balance, balancing::least_conn;
    "hash-by-header" => hash_by_header, balancing::hash_by_header;
    "hash-by-query" => hash_by_query, balancing::hash_by_query;
    "hash-by-uri" => hash_by_uri, balancing::hash_by_uri;
    "hash-by-host" => hash_by_host, balancing::hash_by_host;
    "hash-by-remote-addr" => hash_by_remote_addr, balancing::hash_by_remote_addr;
    "affinity-cookie" => affinity_cookie, balancing::affinity_cookie;
    "affinity-cookie-named" => affinity_cookie_named, balancing::affinity_cookie_named;
    "affinity-cookie-path" => affinity_cookie_path, balancing::affinity_cookie_path;
    "backend-protocol-grpc" => backend_protocol_grpc, backend_tls::grpc;
    "route-filter" => route_filter, own_kinds::route_filter;
    "route-policy" => route_policy, own_kinds::route_policy;
    "backend-policy" => backend_policy, own_kinds::backend_policy;
    "match-requests" => match_requests, traffic::match_requests;
    "auth-basic" => auth_basic, auth::basic;
    "external-auth" => external_auth, auth::external;
    "gateway-api-basic" => gateway_api_basic, gateway_api::basic;
    "gateway-api-filters" => gateway_api_filters, gateway_api::filters;
    "grpc-route" => grpc_route, gateway_api::calls;
}

/// Runs a check over the example as it stands, and over its translation with fresh backends.
fn both_ways(name: &str, check: fn(&Served<'_>)) {
    let example = Example::new(name);
    check(&Served::new(example.folder.path(), &example.backends));
    if support::in_cluster() {
        return; // where Postern translates by itself
    }
    let example = Example::new(name);
    let converted = example.converted();
    check(&Served::new(converted.path(), &example.backends));
}

#[test]
fn no_example_is_forgotten() {
    let entries = fs::read_dir(support::examples())
        .unwrap()
        .map(Result::unwrap);
    let folders = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap());
    let tested: BTreeSet<String> = CHECKED
        .iter()
        .copied()
        .chain(tls::TESTED.iter().copied())
        .chain(backend_tls::TESTED.iter().copied())
        .map(str::to_owned)
        .collect();
    assert_eq!(folders.collect::<BTreeSet<_>>(), tested);
}

/// What `convert` reports about each example: a line for each of its annotations, each with one of the four outcomes,
/// and nothing that is yet to come.
#[test]
fn every_annotation_of_every_example_is_reported() {
    let mut annotations = 0;
    for name in CHECKED.iter().chain(tls::TESTED).chain(backend_tls::TESTED) {
        let folder = support::examples().join(name);
        let report = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        let report = report.path().to_str().unwrap();
        let output = support::postern(&[
            "convert",
            "--report",
            report,
            "-f",
            folder.to_str().unwrap(),
        ]);
        let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
        let notes = report["notes"].as_array().unwrap();
        let text = |note: &serde_json::Value, field: &str| {
            note[field].as_str().unwrap_or_default().to_owned()
        };
        for note in notes {
            let outcome = text(note, "outcome");
            assert!(
                ["exact", "noEffect", "approximated", "refused"].contains(&&*outcome),
                "{name}: {note}"
            );
            let message = text(note, "message");
            let later = ["not yet", "not supported", "unknown annotation"];
            assert!(
                !later.iter().any(|words| message.contains(words)),
                "{name}: {note}"
            );
        }
        let kept = ["exact", "noEffect"];
        let kept = notes
            .iter()
            .all(|note| kept.contains(&&*text(note, "outcome")));
        let code = if kept { 0 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{name}");
        let reported: BTreeSet<String> = notes.iter().map(|note| text(note, "key")).collect();
        let written: BTreeSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| fs::read_to_string(path).unwrap())
            .flat_map(|text| keys(&text))
            .collect();
        assert!(
            written.is_subset(&reported),
            "{name}: {written:?}, {reported:?}"
        );
        annotations += written.len();
    }
    assert!(annotations > 80, "{annotations}");
}

/// The annotations with one of our prefixes in a manifest.
fn keys(text: &str) -> Vec<String> {
    let ours = ["higress.io/", "nginx.ingress.kubernetes.io/"];
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| ours.iter().any(|prefix| line.starts_with(prefix)))
        .filter_map(|line| Some(line.split_once(": ")?.0.to_owned()))
        .collect()
}
