//! Every key of the annotation document, and every one that people bring beyond it: known, documented, translated by a
//! golden, and, for those of the document, shown by an example.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use api::{Resources, yaml};

use crate::{
    Class, Note, Options, Outcome,
    annotations::{FAMILIES, HIGRESS, NGINX, find},
    expand,
};

/// The annotations of the product's feature document.
const DOCUMENT: &[&str] = &[
    "canary",
    "canary-by-header",
    "canary-by-header-value",
    "canary-by-cookie",
    "canary-weight",
    "canary-weight-total",
    "enable-cors",
    "cors-allow-origin",
    "cors-allow-methods",
    "cors-allow-headers",
    "cors-expose-headers",
    "cors-allow-credentials",
    "cors-max-age",
    "rewrite-target",
    "upstream-vhost",
    "ssl-redirect",
    "force-ssl-redirect",
    "permanent-redirect",
    "permanent-redirect-code",
    "temporal-redirect",
    "request-header-control-add",
    "request-header-control-update",
    "request-header-control-remove",
    "response-header-control-add",
    "response-header-control-update",
    "response-header-control-remove",
    "proxy-next-upstream-tries",
    "proxy-next-upstream-timeout",
    "proxy-next-upstream",
    "timeout",
    "route-limit-rpm",
    "route-limit-rps",
    "route-limit-burst-multiplier",
    "backend-protocol",
    "load-balance",
    "upstream-hash-by",
    "affinity",
    "affinity-mode",
    "session-cookie-name",
    "session-cookie-path",
    "session-cookie-max-age",
    "session-cookie-expires",
    "auth-tls-secret",
    "proxy-ssl-secret",
    "proxy-ssl-name",
    "proxy-ssl-server-name",
    "tls-min-protocol-version",
    "tls-max-protocol-version",
    "ssl-cipher",
];

/// What Higress understands beyond the document, and what people who leave ingress-nginx bring.
const BEYOND: &[&str] = &[
    "app-root",
    "use-regex",
    "full-path-regex",
    "rewrite-path",
    "ignore-path-case",
    "match-method",
    "exact-match-header-NAME",
    "prefix-match-header-NAME",
    "regex-match-header-NAME",
    "exact-match-query-NAME",
    "prefix-match-query-NAME",
    "regex-match-query-NAME",
    "exact-match-pseudo-header-NAME",
    "prefix-match-pseudo-header-NAME",
    "regex-match-pseudo-header-NAME",
    "prefix-match-pseudo-header-path",
    "canary-by-header-pattern",
    "whitelist-source-range",
    "denylist-source-range",
    "default-backend",
    "custom-http-errors",
    "mirror-target-service",
    "mirror-percentage",
    "destination",
    "proxy-connect-timeout",
    "proxy-read-timeout",
    "proxy-send-timeout",
    "proxy-body-size",
    "limit-rps",
    "limit-rpm",
    "limit-connections",
    "limit-whitelist",
    "server-alias",
    "from-to-www-redirect",
    "auth-type",
    "auth-secret",
    "auth-url",
    "auth-signin",
    "auth-response-headers",
    "session-cookie-samesite",
    "session-cookie-secure",
    "session-cookie-domain",
    "session-cookie-change-on-failure",
    "affinity-canary-behavior",
    "session-cookie-conditional-samesite-none",
    "enable-access-log",
    "x-forwarded-prefix",
    "service-upstream",
    "configuration-snippet",
    "server-snippet",
];

/// Every key that a release of Higress reads under its own prefix, and what its console writes. A capital word stands
/// for a name.
const HIGRESS_KEYS: &[&str] = &[
    "affinity",
    "affinity-mode",
    "app-root",
    "auth-realm",
    "auth-secret",
    "auth-secret-type",
    "auth-tls-secret",
    "auth-type",
    "authz-type",
    "backend-protocol",
    "canary",
    "canary-by-cookie",
    "canary-by-header",
    "canary-by-header-pattern",
    "canary-by-header-value",
    "canary-weight",
    "canary-weight-total",
    "comment",
    "cors-allow-credentials",
    "cors-allow-headers",
    "cors-allow-methods",
    "cors-allow-origin",
    "cors-expose-headers",
    "cors-max-age",
    "custom-http-errors",
    "default-backend",
    "destination",
    "enable-cors",
    "enable-header-control",
    "enable-proxy-next-upstream",
    "enable-rewrite",
    "exact-match-header-NAME",
    "exact-match-pseudo-header-NAME",
    "exact-match-pseudo-header-path",
    "exact-match-query-NAME",
    "ext-authz-pack-as-bytes",
    "ext-authz-proto",
    "ext-authz-req-allowed-headers-exact",
    "ext-authz-service",
    "ext-authz-service-port",
    "ext-authz-timeout",
    "force-ssl-redirect",
    "full-path-regex",
    "ignore-path-case",
    "load-balance",
    "match-method",
    "mcp-server",
    "mcp-server-enable-path-rewrite",
    "mcp-server-match-rule-domains",
    "mcp-server-match-rule-type",
    "mcp-server-match-rule-value",
    "mcp-server-path-rewrite-prefix",
    "mcp-server-upstream-type",
    "mcp-sse-stateful-param-name",
    "mirror-percentage",
    "mirror-target-fqdn",
    "mirror-target-fqdn-port",
    "mirror-target-service",
    "permanent-redirect",
    "permanent-redirect-code",
    "prefix-match-header-NAME",
    "prefix-match-pseudo-header-NAME",
    "prefix-match-pseudo-header-path",
    "prefix-match-query-NAME",
    "proxy-next-upstream",
    "proxy-next-upstream-timeout",
    "proxy-next-upstream-tries",
    "proxy-ssl-name",
    "proxy-ssl-secret",
    "proxy-ssl-server-name",
    "proxy-ssl-verify",
    "regex-match-header-NAME",
    "regex-match-pseudo-header-NAME",
    "regex-match-pseudo-header-path",
    "regex-match-query-NAME",
    "request-header-control-add",
    "request-header-control-remove",
    "request-header-control-update",
    "response-header-control-add",
    "response-header-control-remove",
    "response-header-control-update",
    "rewrite-path",
    "rewrite-target",
    "route-limit-burst-multiplier",
    "route-limit-rpm",
    "route-limit-rps",
    "rpc-destination-name",
    "session-cookie-expires",
    "session-cookie-max-age",
    "session-cookie-name",
    "session-cookie-path",
    "ssl-cipher",
    "ssl-passthrough",
    "ssl-redirect",
    "temporal-redirect",
    "timeout",
    "tls-max-protocol-version",
    "tls-min-protocol-version",
    "upstream-hash-by",
    "upstream-vhost",
    "use-regex",
    "whitelist-source-range",
];

/// The best that can be said of a key that is used as it should be.
fn best(name: &str) -> Outcome {
    match name {
        "configuration-snippet" | "server-snippet" => Outcome::Refused,
        // Counted for each path, and answered with 429.
        "limit-rps" | "limit-rpm" | "limit-connections" => Outcome::Approximated,
        _ => Outcome::Exact,
    }
}

/// The files of a folder and of those below, by name.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn folder(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// What is said about the manifests of some files, translated together.
fn notes(files: &[PathBuf]) -> Vec<Note> {
    let mut resources = Resources::default();
    for file in files {
        let read = yaml::read(&fs::read_to_string(file).unwrap());
        assert!(read.errors.is_empty(), "{file:?}: {:?}", read.errors);
        resources.extend(read.into_resources());
    }
    let options = Options {
        ingress_classes: ["higress", "mse", "nginx"].map(Class::named).into(),
        ..Options::default()
    };
    expand(&resources, &options).notes.iter().cloned().collect()
}

/// The outcomes that each key has among some notes.
fn outcomes(notes: &[Note]) -> BTreeMap<&'static str, BTreeSet<Outcome>> {
    let mut outcomes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for note in notes {
        let Some(key) = &note.key else { continue };
        let name = key
            .strip_prefix(HIGRESS)
            .or_else(|| key.strip_prefix(NGINX));
        if let Some((_, key)) = name.and_then(find) {
            outcomes.entry(key.name).or_default().insert(note.outcome);
        }
    }
    outcomes
}

#[test]
fn every_key_is_known_and_documented() {
    let known: BTreeSet<&str> = FAMILIES
        .iter()
        .flat_map(|family| family.keys.iter().map(|key| key.name))
        .collect();
    let page = fs::read_to_string(folder("../../docs/annotations.md")).unwrap();
    for name in DOCUMENT.iter().chain(BEYOND) {
        assert!(known.contains(name), "{name} is unknown");
        assert!(
            page.contains(&format!("\n| `{name}` |")),
            "{name} has no line in docs/annotations.md"
        );
    }
}

/// What is said of a key of Higress, whatever its value, is about that key: known, and in the documentation.
#[test]
fn no_key_of_higress_is_unknown() {
    let page = fs::read_to_string(folder("../../docs/annotations.md")).unwrap();
    for name in HIGRESS_KEYS {
        let annotation = name.replace("NAME", "x-stage");
        let (_, key) = find(&annotation).unwrap_or_else(|| panic!("{name} is unknown"));
        let line = format!("\n| `{}` |", key.name);
        assert!(
            page.contains(&line),
            "{name} has no line in docs/annotations.md"
        );
        for value in ["true", "1", "what"] {
            let manifest = format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a, annotations: {{{HIGRESS}{annotation}: {value:?}}}}}\n\
                 spec: {{ingressClassName: higress, defaultBackend: {{service: {{name: a, port: {{number: 80}}}}}}}}\n"
            );
            let notes = expand(&yaml::read(&manifest).into_resources(), &Options::default()).notes;
            let full = format!("{HIGRESS}{annotation}");
            let mut said = notes.iter().filter(|note| note.key.as_ref() == Some(&full));
            let first = said
                .next()
                .unwrap_or_else(|| panic!("nothing is said of {name}"));
            assert!(
                !first.message.starts_with("unknown"),
                "{name}: {}",
                first.message
            );
        }
    }
}

/// Not only there, but used: an outcome of another key's golden, such as "has no meaning without", is not enough.
#[test]
fn every_key_has_a_golden_in_which_it_does_what_it_says() {
    let mut met: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for case in files(&folder("testdata"), ".in.yaml") {
        for (key, outcome) in outcomes(&notes(&[case])) {
            met.entry(key).or_default().extend(outcome);
        }
    }
    let missing: Vec<_> = DOCUMENT
        .iter()
        .chain(BEYOND)
        .filter(|name| !met.get(**name).is_some_and(|met| met.contains(&best(name))))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Examples promise nothing that they do not keep: each annotation of each does what it should.
#[test]
fn every_key_of_the_document_has_an_example_and_all_examples_do_what_they_say() {
    let mut shown = BTreeSet::new();
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for file in files(&folder("../../examples"), ".yaml") {
        folders
            .entry(file.parent().unwrap().to_owned())
            .or_default()
            .push(file);
    }
    for (folder, files) in folders {
        let notes = notes(&files);
        for (name, met) in outcomes(&notes) {
            let wanted = BTreeSet::from([best(name)]);
            assert_eq!(met, wanted, "{name} in {folder:?}: {notes:?}");
            shown.insert(name);
        }
        let dropped = notes.iter().find(|note| note.key.is_none());
        assert!(dropped.is_none(), "{folder:?}: {dropped:?}");
    }
    for name in DOCUMENT {
        assert!(shown.contains(name), "{name} has no example");
    }
}
