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
    let reason = match status
        .routes
        .get(&format!("HTTPRoute/{namespace}/r").parse().unwrap())
    {
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

/// Namespace, parentRef, hostnames; reason of `Accepted`, listeners that count the route. `@x` is the Gateway's section
/// `x`, `:n` its port `n`.
const CASES: &str = r#"
infra | @                        | a.com     | Accepted                    | same
infra | @                        | a.all.com | Accepted                    | same all
web   | @                        | a.all.com | Accepted                    | all web
web   | @same                    |           | NotAllowedByListeners       |
web   | @all                     | a.com     | NoMatchingListenerHostname  |
web   | @all                     | all.com   | NoMatchingListenerHostname  |
web   | @all                     | "*.com"   | Accepted                    | all
web   | @tcp                     |           | NotAllowedByListeners       |
web   | @nowhere                 |           | NoMatchingParent            |
web   | @extra                   |           | NoMatchingParent            |
unseen| @named                   |           | Accepted                    | named
unseen| @not-web                 |           | NotAllowedByListeners       |
ops   | @not-web                 |           | Accepted                    | not-web
web   | @not-web                 |           | NotAllowedByListeners       |
web   | :82                      |           | Accepted                    | web
web   | :8080                    |           | NoMatchingParent            |
web   | {kind: ListenerSet, name: set}                 | | Accepted              | extra
ops   | {kind: ListenerSet, name: set, namespace: web} | | NotAllowedByListeners |
web   | {name: gw}                                     | | -                     |
infra | {name: gw, kind: Service, group: ""}           | | -                     |
infra | {name: gw, group: example.com}                 | | -                     |
"#;

#[test]
fn parents_sections_ports_namespaces_and_hosts() {
    let mut rows = 0;
    for row in CASES.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [namespace, parent, hosts, reason, counted] = cells[..] else {
            panic!("{row}");
        };
        let parent = match parent.split_at(1) {
            ("@", "") => "{name: gw, namespace: infra}".to_owned(),
            ("@", section) => format!("{{name: gw, namespace: infra, sectionName: {section}}}"),
            (":", port) => format!("{{name: gw, namespace: infra, port: {port}}}"),
            _ => parent.to_owned(),
        };
        let (got, listeners) = attached(namespace, &parent, hosts);
        assert_eq!(
            (got, listeners.join(" ").as_str()),
            (reason, counted),
            "{row}"
        );
        rows += 1;
    }
    assert_eq!(rows, 21);
}
