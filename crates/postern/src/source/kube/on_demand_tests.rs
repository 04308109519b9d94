use serde_json::json;

use super::*;

fn secret(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Secret, ObjectKey::new("shop", name))
}

fn from(name: &str) -> ObjectRef {
    ObjectRef::new(Kind::Gateway, ObjectKey::new("shop", name))
}

#[test]
fn what_is_referred_to_is_fetched_once_for_each_version() {
    let mut held = OnDemand::default();
    held.version(secret("tls"), Some("1"));
    held.version(secret("other"), Some("1"));
    assert_eq!(held.orders(), []);
    held.refers(&from("a"), vec![secret("tls")]);
    assert_eq!(held.orders(), [Order::Fetch(secret("tls"), "1".into())]);
    held.refers(&from("b"), vec![secret("tls")]);
    held.version(secret("tls"), Some("1"));
    assert_eq!(held.orders(), []);
    assert!(held.is_waiting());
    assert!(held.fetched(&secret("tls"), "1"));
    assert!(!held.is_waiting());
    held.version(secret("tls"), Some("2"));
    assert_eq!(held.orders(), [Order::Fetch(secret("tls"), "2".into())]);
    assert!(
        !held.fetched(&secret("tls"), "1"),
        "an answer that came late"
    );
}

#[test]
fn what_nobody_refers_to_any_more_is_let_go() {
    let mut held = OnDemand::default();
    held.version(secret("tls"), Some("1"));
    held.refers(&from("a"), vec![secret("tls")]);
    held.refers(&from("b"), vec![secret("tls")]);
    assert_eq!(held.orders().len(), 1);
    held.refers(&from("a"), vec![]);
    assert_eq!(held.orders(), []);
    held.refers(&from("b"), vec![secret("elsewhere")]);
    assert_eq!(held.orders(), [Order::Drop(secret("tls"))]);
    assert!(!held.is_waiting());
}

#[test]
fn what_is_deleted_is_let_go_and_comes_back() {
    let mut held = OnDemand::default();
    held.refers(&from("a"), vec![secret("tls")]);
    assert_eq!(held.orders(), []);
    held.version(secret("tls"), Some("1"));
    assert_eq!(held.orders().len(), 1);
    held.version(secret("tls"), None);
    assert_eq!(held.orders(), [Order::Drop(secret("tls"))]);
    held.version(secret("tls"), Some("7"));
    assert_eq!(held.orders(), [Order::Fetch(secret("tls"), "7".into())]);
    held.failed(secret("tls"), "7");
    assert!(held.is_waiting());
    assert_eq!(held.orders(), [Order::Fetch(secret("tls"), "7".into())]);
}

#[test]
fn references_of_every_kind_are_found() {
    let check = |kind, value: serde_json::Value, wanted: &[&str]| {
        let object = Object::from_json(kind, value).unwrap();
        let found: Vec<_> = references(&object)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, wanted, "{kind}");
    };
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "namespace": "shop", "name": "a", "annotations": {
            "higress.io/auth-tls-secret": "clients-cacert",
            "nginx.ingress.kubernetes.io/proxy-ssl-secret": "infra/backend",
            "higress.io/auth-secret": " users \n",
            "higress.io/rewrite-target": "/secret",
            "nginx.ingress.kubernetes.io/custom-headers": "shop/headers",
            "example.com/secret": "foreign",
        } },
        "spec": { "tls": [{ "hosts": ["a.example"], "secretName": "web" }] },
    });
    let wanted = [
        "Secret/infra/backend",
        "Secret/shop/clients-cacert",
        "Secret/shop/users",
        "Secret/shop/web",
        "ConfigMap/shop/headers",
    ];
    check(Kind::Ingress, ingress, &wanted);
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "namespace": "shop", "name": "g" },
        "spec": {
            "gatewayClassName": "postern",
            "listeners": [{
                "name": "web", "port": 443, "protocol": "HTTPS",
                "tls": { "certificateRefs": [
                    { "group": "", "kind": "Secret", "name": "web" },
                    { "name": "api", "namespace": "infra" },
                    { "group": "example.com", "kind": "Vault", "name": "v" },
                ] },
            }],
            "tls": { "frontend": { "default": { "validation": { "caCertificateRefs": [
                { "group": "", "kind": "ConfigMap", "name": "roots" },
            ] } } } },
        },
    });
    let wanted = [
        "Secret/infra/api",
        "Secret/shop/web",
        "ConfigMap/shop/roots",
    ];
    check(Kind::Gateway, gateway, &wanted);
    let policy = json!({
        "apiVersion": "postern.dev/v1alpha1", "kind": "ClientPolicy",
        "metadata": { "namespace": "shop", "name": "p" },
        "spec": {
            "targetRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g" }],
            "tls": { "clientCertificate": { "caCertificateRef": { "name": "ca" } } },
        },
    });
    check(Kind::ClientPolicy, policy, &["Secret/shop/ca"]);
}

#[test]
fn what_is_held_for_good_is_read_whether_it_is_referred_to_or_not() {
    let mut held = OnDemand::default();
    held.hold(secret("default"));
    assert_eq!(held.orders(), [], "it is not there");
    held.version(secret("default"), Some("1"));
    let fetch = |version: &str| Order::Fetch(secret("default"), version.into());
    assert_eq!(held.orders(), [fetch("1")]);
    let gateway = ObjectRef::new(Kind::Gateway, ObjectKey::new("a", "gw"));
    held.refers(&gateway, vec![secret("default")]);
    held.refers(&gateway, Vec::new());
    assert_eq!(held.orders(), []);
    held.version(secret("default"), Some("2"));
    assert_eq!(held.orders(), [fetch("2")]);
    held.version(secret("default"), None);
    assert_eq!(held.orders(), [Order::Drop(secret("default"))]);
}
