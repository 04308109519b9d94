use std::{collections::BTreeSet, sync::Arc};

use api::{BackendProtocol, BackendTlsMode, Resources, yaml};

use super::{Endpoints, Registered, find, name};
use tracked::View;

use crate::{Options, default_certificate::DefaultCertificate, lookup::Lookup};

/// The service that a name is, in a McpBridge with these registries, in flow style.
fn found(registries: &str, host: &str, port: Option<u16>) -> Result<Registered, String> {
    let bridge = format!(
        "apiVersion: networking.higress.io/v1\nkind: McpBridge\nmetadata: {{name: default, namespace: higress-system}}\nspec: {{registries: [{registries}]}}\n"
    );
    among(&bridge, host, port)
}

fn among(manifests: &str, host: &str, port: Option<u16>) -> Result<Registered, String> {
    let read = yaml::read(manifests);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let resources: Resources = read.into_resources();
    let default = DefaultCertificate::find(&View::new(&resources), &Options::default());
    find(name(host).unwrap(), port, &Lookup::new(&resources, default))
}

const DNS: &str =
    "{type: dns, name: a.b, domain: \"One.example.org, two.example.org\", port: 8080}";

#[test]
fn a_name_is_that_of_a_registry_by_its_ending() {
    assert_eq!(
        name("orders.public.nacos"),
        Some(("orders.public", "nacos"))
    );
    assert_eq!(name("a.static"), Some(("a", "static")));
    for host in ["example.com", "dns", "a.dns.example.com"] {
        assert_eq!(name(host), None, "{host}");
    }
}

#[test]
fn endpoints_port_and_protocol_are_those_of_the_registry() {
    let service = found(DNS, "a.b.dns", None).unwrap();
    let hosts = ["one.example.org", "two.example.org"].map(str::to_owned);
    assert_eq!(service.endpoints, Endpoints::Hosts(BTreeSet::from(hosts)));
    assert_eq!((service.port, service.tls), (8080, None));
    let addresses = "{type: static, name: s, domain: \"192.0.2.1:80,[2001:db8::1]:81\", port: 80, protocol: HTTPS, sni: s.example.org}";
    let service = found(addresses, "s.static", Some(80)).unwrap();
    let wanted = ["192.0.2.1:80", "[2001:db8::1]:81"].map(|text| text.parse().unwrap());
    assert_eq!(
        service.endpoints,
        Endpoints::Addresses(BTreeSet::from(wanted))
    );
    let tls = service.tls.unwrap();
    assert_eq!(tls.mode, BackendTlsMode::Unverified);
    assert_eq!(tls.hostname.as_deref(), Some("s.example.org"));
    for (protocol, version, encrypted) in [
        ("http", BackendProtocol::HTTP1, false),
        ("grpc", BackendProtocol::HTTP2, false),
        ("http2", BackendProtocol::HTTP2, false),
        ("GRPCS", BackendProtocol::HTTP2, true),
    ] {
        let registry =
            format!("{{type: dns, name: a, domain: a.example.org, port: 1, protocol: {protocol}}}");
        let service = found(&registry, "a.dns", None).unwrap();
        assert_eq!(
            (service.protocol, service.tls.is_some()),
            (version, encrypted)
        );
        let sent = service.tls.and_then(|tls| tls.hostname);
        assert_eq!(
            sent.is_some(),
            encrypted,
            "the only host is the name that is sent"
        );
    }
}

#[test]
fn the_later_of_two_with_a_name_counts() {
    let both = format!("{DNS}, {{type: dns, name: a.b, domain: three.example.org, port: 1}}");
    assert_eq!(found(&both, "a.b.dns", None).unwrap().port, 1);
}

#[test]
fn what_cannot_be_reached_is_refused_by_name() {
    let registry = |fields: &str| format!("{{type: static, name: a, {fields}}}");
    for (registries, host, port, why) in [
        (
            DNS.to_owned(),
            "x.nacos",
            None,
            "of type nacos, which is not asked",
        ),
        (
            DNS.to_owned(),
            "x.dns",
            None,
            "has no registry \"x\" of type dns",
        ),
        (DNS.to_owned(), "a.b.static", None, "has no registry"),
        (
            DNS.to_owned(),
            "a.b.dns",
            Some(80),
            "its port is 8080, not 80",
        ),
        (
            registry("domain: \"\", port: 80"),
            "a.static",
            None,
            "domain names 0 endpoints",
        ),
        (
            registry("domain: a.example.org, port: 80"),
            "a.static",
            None,
            "no address with a port",
        ),
        (
            registry("domain: \"192.0.2.1:80\""),
            "a.static",
            None,
            "0 is not a port",
        ),
        (
            registry("domain: \"192.0.2.1:80\", port: 80, protocol: dubbo"),
            "a.static",
            None,
            "protocol \"dubbo\"",
        ),
        (
            registry("domain: \"192.0.2.1:80\", port: 80, protocol: https, sni: \"*.x\""),
            "a.static",
            None,
            "sni: ",
        ),
        (
            registry("domain: \"192.0.2.1:80\", port: 80, proxyName: p"),
            "a.static",
            None,
            "through the proxy \"p\"",
        ),
        (
            "{type: dns, name: a, domain: 192.0.2.1, port: 80}".to_owned(),
            "a.dns",
            None,
            "is an address",
        ),
    ] {
        let error = found(&registries, host, port).unwrap_err();
        assert!(
            error.contains(why) && error.contains(name(host).unwrap().0),
            "{error}"
        );
    }
}

#[test]
fn the_bridge_of_higress_own_namespace_counts_or_else_the_only_one() {
    let bridge = |namespace: &str, object: &str, port: u16| {
        format!(
            "---\napiVersion: networking.higress.io/v1\nkind: McpBridge\nmetadata: {{name: {object}, namespace: {namespace}}}\n\
             spec: {{registries: [{{type: dns, name: a, domain: a.example.org, port: {port}}}], proxies: [{{type: http, name: p}}]}}\n"
        )
    };
    let (own, other) = (
        bridge("higress-system", "default", 1),
        bridge("team", "default", 2),
    );
    let ask = |manifests: &str| among(manifests, "a.dns", None).map(|service| service.port);
    assert_eq!(ask(&format!("{own}{other}")), Ok(1));
    assert_eq!(ask(&other), Ok(2));
    assert!(
        ask(&bridge("team", "mine", 2))
            .unwrap_err()
            .contains("no McpBridge named default")
    );
    let two = format!("{other}{}", bridge("more", "default", 3));
    assert!(
        ask(&two)
            .unwrap_err()
            .contains("2 McpBridges are named default")
    );
}

#[test]
fn credentials_of_registries_are_not_kept() {
    let text = "apiVersion: networking.higress.io/v1\nkind: McpBridge\nmetadata: {name: default}\n\
                spec: {registries: [{type: nacos2, name: n, domain: x, port: 8848, nacosSecretKey: hush, nacosGroups: [a]}]}\n";
    let read = yaml::read(text);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    let resources = read.into_resources();
    let bridge = resources
        .mcp_bridges
        .values()
        .next()
        .map(Arc::clone)
        .unwrap();
    assert!(!format!("{bridge:?}").contains("hush"));
    assert_eq!(bridge.spec.registries[0].type_, "nacos2");
}
