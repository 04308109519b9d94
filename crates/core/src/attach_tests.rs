use api::ObjectKey;

use crate::{Options, testing};

const PARENTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: postern
  allowedListeners: {namespaces: {from: All}}
  listeners:
  - {name: same, port: 80, protocol: HTTP}
  - {name: all, port: 81, protocol: HTTP, hostname: "*.all.com", allowedRoutes: {namespaces: {from: All}}}
  - {name: web, port: 82, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: web}}}}}
  - {name: named, port: 83, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: unseen}}}}}
  - {name: not-web, port: 84, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [web]}, {key: team, operator: Exists}]}}}}
  - {name: tcp, port: 85, protocol: TCP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: set, namespace: web}
spec:
  parentRef: {name: gw, namespace: infra}
  listeners: [{name: extra, port: 90, protocol: HTTP}]
---
{apiVersion: v1, kind: Namespace, metadata: {name: web, labels: {team: web}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ops, labels: {team: ops}}}
"#;

/// Status of a route in `namespace` with one parentRef: `Accepted`'s reason, and the listeners that count it.
fn attached(namespace: &str, parent: &str, hosts: &str) -> (&'static str, Vec<String>) {
    let route = format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: {namespace}}}\nspec: {{parentRefs: [{parent}], hostnames: [{hosts}]}}\n"
    );
    let resources = testing::resources(&format!("{PARENTS}{route}"));
    let status = crate::translate(&resources, &Options::default()).status;
    let gateways = status.gateways.values().flat_map(|g| &g.listeners);
    let sets = status.listener_sets.values().flat_map(|s| &s.listeners);
    let counted = gateways
        .chain(sets)
        .filter(|listener| listener.attached_routes == 1)
        .map(|listener| listener.name.clone())
        .collect();
    let reason = match status.http_routes.get(&ObjectKey::new(namespace, "r")) {
        None => "-",
        Some(route) => {
            assert_eq!(route.parents.len(), 1);
            let conditions = &route.parents[0].conditions;
            assert_eq!(conditions[0].type_, "Accepted");
            assert_eq!(conditions[1].type_, "ResolvedRefs");
            conditions[0].reason
        }
    };
    (reason, counted)
}

#[test]
fn parents_sections_ports_namespaces_and_hosts() {
    let gw = "{name: gw, namespace: infra}";
    let section = |name: &str| format!("{{name: gw, namespace: infra, sectionName: {name}}}");
    let port = |port: u16| format!("{{name: gw, namespace: infra, port: {port}}}");
    let cases = [
        ("infra", gw.to_owned(), "a.com", "Accepted", vec!["same"]),
        (
            "infra",
            gw.to_owned(),
            "a.all.com",
            "Accepted",
            vec!["same", "all"],
        ),
        (
            "web",
            gw.to_owned(),
            "a.all.com",
            "Accepted",
            vec!["all", "web"],
        ),
        ("web", section("same"), "", "NotAllowedByListeners", vec![]),
        (
            "web",
            section("all"),
            "a.com",
            "NoMatchingListenerHostname",
            vec![],
        ),
        (
            "web",
            section("all"),
            "all.com",
            "NoMatchingListenerHostname",
            vec![],
        ),
        ("web", section("all"), "\"*.com\"", "Accepted", vec!["all"]),
        ("web", section("tcp"), "", "NotAllowedByListeners", vec![]),
        ("web", section("nowhere"), "", "NoMatchingParent", vec![]),
        ("web", section("extra"), "", "NoMatchingParent", vec![]),
        ("unseen", section("named"), "", "Accepted", vec!["named"]),
        (
            "unseen",
            section("not-web"),
            "",
            "NotAllowedByListeners",
            vec![],
        ),
        ("ops", section("not-web"), "", "Accepted", vec!["not-web"]),
        (
            "web",
            section("not-web"),
            "",
            "NotAllowedByListeners",
            vec![],
        ),
        ("web", port(82), "", "Accepted", vec!["web"]),
        ("web", port(8080), "", "NoMatchingParent", vec![]),
        (
            "web",
            "{kind: ListenerSet, name: set}".to_owned(),
            "",
            "Accepted",
            vec!["extra"],
        ),
        (
            "ops",
            "{kind: ListenerSet, name: set, namespace: web}".to_owned(),
            "",
            "NotAllowedByListeners",
            vec![],
        ),
        ("web", "{name: gw}".to_owned(), "", "-", vec![]),
        (
            "infra",
            "{name: gw, kind: Service, group: \"\"}".to_owned(),
            "",
            "-",
            vec![],
        ),
        (
            "infra",
            "{name: gw, group: example.com}".to_owned(),
            "",
            "-",
            vec![],
        ),
    ];
    for (namespace, parent, hosts, reason, counted) in cases {
        let (got, listeners) = attached(namespace, &parent, hosts);
        assert_eq!(got, reason, "{namespace} {parent} {hosts}");
        assert_eq!(listeners, counted, "{namespace} {parent} {hosts}");
    }
}
