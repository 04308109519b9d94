use std::sync::Arc;

use api::{ObjectKey, Resources};
use serde_json::json;
use testkit::certs::{Issued, self_signed};

use super::above;
use crate::{Class, Expander, Expansion, Options, StandIn, expand};

#[test]
fn wider_hosts_nearest_first() {
    let of = |host: &str| above(host).collect::<Vec<_>>();
    assert_eq!(of("a.b.c"), ["*.b.c", "*.c"]);
    assert_eq!(of("*.b.c"), ["*.c"]);
    assert_eq!(of("localhost"), Vec::<String>::new());
    assert_eq!(of(""), Vec::<String>::new());
}

fn options() -> Options {
    Options {
        ingress_classes: ["nginx", "higress"].map(Class::named).into(),
        ..Options::default()
    }
}

fn read(resources: &mut Resources, value: &serde_json::Value) {
    let read = api::yaml::read(&value.to_string());
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    for (object, _) in read.objects {
        resources.insert(object);
    }
}

fn ingress(
    resources: &mut Resources,
    (name, class): (&str, &str),
    host: &str,
    tls: serde_json::Value,
) {
    read(
        resources,
        &json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "namespace": "shop", "name": name },
            "spec": { "ingressClassName": class, "tls": tls, "rules": [{ "host": host, "http": { "paths": [
                { "path": "/", "pathType": "Prefix", "backend": { "service": { "name": "s", "port": { "number": 80 } } } },
            ] } }] },
        }),
    );
}

fn secret(resources: &mut Resources, (namespace, name): (&str, &str), issued: &Issued) {
    read(
        resources,
        &json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "namespace": namespace, "name": name },
            "stringData": { "tls.crt": issued.cert_pem, "tls.key": issued.key_pem },
        }),
    );
}

/// Every listener of a set: its host, its Secrets.
fn listeners(expansion: &Expansion) -> Vec<String> {
    let sets = expansion.generated.listener_sets.values();
    let mut all: Vec<_> = sets
        .flat_map(|set| &set.spec.listeners)
        .map(|listener| {
            let host = listener.hostname.as_deref().unwrap_or("*");
            let tls = listener.tls.as_ref().unwrap();
            let names = tls.certificate_refs.iter().flatten();
            let names: Vec<_> = names.map(|reference| &*reference.name).collect();
            format!("{host} {}", names.join(" "))
        })
        .collect();
    all.sort();
    all
}

/// Whether every request over plain HTTP to a host is sent to https, waits for a listener, or is served.
fn redirected(expansion: &Expansion, host: &str) -> &'static str {
    let routes = expansion.generated.http_routes.values();
    let mut routes = routes.filter(|route| {
        let hosts = route.spec.hostnames.as_deref().unwrap_or_default();
        let plain = route.spec.parent_refs.iter().flatten();
        hosts.iter().any(|name| name == host)
            && plain
                .clone()
                .any(|parent| parent.section_name.as_deref() == Some("http"))
            && route.spec.rules.iter().flatten().any(|rule| {
                let mut filters = rule.filters.iter().flatten();
                filters.any(|filter| filter.request_redirect.is_some())
            })
    });
    match routes.next() {
        None => "served",
        Some(route) => {
            let annotations = route.metadata.annotations.as_ref().unwrap();
            match annotations.contains_key(api::annotation::WITH_LISTENER) {
                true => "waits",
                false => "redirected",
            }
        }
    }
}

#[test]
fn a_secret_comes_breaks_and_goes() {
    let mut resources = Resources::default();
    let tls = json!([{ "hosts": ["a.com"], "secretName": "cert" }]);
    ingress(&mut resources, ("a", "nginx"), "a.com", tls);
    let mut expander = Expander::default();
    let mut step = |resources: &Resources| {
        let expansion = expander.expand(resources, &options());
        assert_eq!(*expansion, expand(resources, &options()));
        (listeners(expansion), redirected(expansion, "a.com"))
    };
    let default = "* postern-default-certificate".to_owned();
    let both = vec![default.clone(), "a.com cert".to_owned()];
    assert_eq!(step(&resources), (both.clone(), "waits"));
    let (good, other) = (self_signed(&["a.com"]), self_signed(&["b.com"]));
    secret(&mut resources, ("shop", "cert"), &good);
    assert_eq!(step(&resources), (both.clone(), "redirected"));
    let mixed = Issued {
        key_pem: other.key_pem.clone(),
        ..good
    };
    secret(&mut resources, ("shop", "cert"), &mixed);
    assert_eq!(step(&resources), (both, "waits"));
    // For another host, it is not shown: https there is as good as without any.
    secret(&mut resources, ("shop", "cert"), &other);
    assert_eq!(step(&resources), (vec![default.clone()], "redirected"));
    ingress(&mut resources, ("a", "nginx"), "a.com", json!(null));
    assert_eq!(step(&resources), (vec![default], "served"));
}

#[test]
fn a_wildcard_that_comes_and_goes_takes_the_hosts_below_along() {
    let mut resources = Resources::default();
    ingress(&mut resources, ("one", "nginx"), "x.a.com", json!(null));
    ingress(&mut resources, ("two", "nginx"), "y.x.a.com", json!(null));
    ingress(&mut resources, ("far", "nginx"), "b.com", json!(null));
    secret(&mut resources, ("shop", "wild"), &self_signed(&["*.a.com"]));
    let mut expander = Expander::default();
    let mut step = |resources: &Resources| {
        let expansion = expander.expand(resources, &options()).clone();
        assert_eq!(expansion, expand(resources, &options()));
        expansion
    };
    let default = "* postern-default-certificate";
    let first = step(&resources);
    assert_eq!(listeners(&first), [default]);
    let tls = json!([{ "hosts": ["*.a.com"], "secretName": "wild" }]);
    ingress(&mut resources, ("wild", "nginx"), "*.a.com", tls.clone());
    let all = step(&resources);
    let expected = [
        default,
        "*.a.com wild",
        "x.a.com wild",
        "y.x.a.com postern-default-certificate",
    ];
    assert_eq!(listeners(&all), expected);
    assert_eq!(redirected(&all, "x.a.com"), "redirected");
    assert_eq!(redirected(&all, "y.x.a.com"), "served");
    // In Higress a wildcard certificate is for the wildcard host alone.
    ingress(&mut resources, ("wild", "higress"), "*.a.com", tls);
    let expected = [
        default,
        "*.a.com wild",
        "x.a.com postern-default-certificate",
        "y.x.a.com postern-default-certificate",
    ];
    assert_eq!(listeners(&step(&resources)), expected);
    resources.ingresses.remove(&ObjectKey::new("shop", "wild"));
    let last = step(&resources);
    assert_eq!(listeners(&last), [default]);
    let kept = |name: &str| {
        let routes = |of: &Expansion| {
            let mut routes = of.generated.http_routes.iter();
            let found = routes.find(|(key, _)| key.name.starts_with(name));
            Arc::clone(found.unwrap().1)
        };
        Arc::ptr_eq(&routes(&first), &routes(&last))
    };
    assert!(kept("far"), "hosts elsewhere are not looked at");
}

#[test]
fn the_oldest_certificate_that_fits_is_shown() {
    let mut resources = Resources::default();
    let tls = |name: &str| json!([{ "hosts": ["a.com"], "secretName": name }]);
    ingress(&mut resources, ("a", "nginx"), "a.com", tls("missing"));
    ingress(&mut resources, ("b", "nginx"), "a.com", tls("fits"));
    ingress(&mut resources, ("c", "nginx"), "a.com", tls("fits"));
    ingress(&mut resources, ("d", "nginx"), "a.com", tls("late"));
    secret(&mut resources, ("shop", "fits"), &self_signed(&["a.com"]));
    secret(&mut resources, ("shop", "late"), &self_signed(&["a.com"]));
    let expansion = expand(&resources, &options());
    let expected = ["* postern-default-certificate", "a.com fits"];
    assert_eq!(listeners(&expansion), expected);
    let of = |name: &str| {
        let notes = expansion.notes.iter();
        let of = notes.filter(|note| &*note.object.key.name == name);
        let about = of.filter(|note| note.key.as_deref() == Some("spec.tls[0]"));
        about.map(|note| note.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        of("c"),
        Vec::<String>::new(),
        "the same Secret is no finding"
    );
    assert!(of("d")[0].contains("shop/b is older"), "{:?}", of("d"));
}

#[test]
fn the_default_certificate_and_what_stands_in_for_it() {
    let mut resources = Resources::default();
    ingress(&mut resources, ("a", "nginx"), "a.com", json!(null));
    let made = self_signed(&["postern.invalid"]);
    let mut options = Options {
        stand_in: Some(StandIn::new(made.cert_pem, made.key_pem)),
        ..options()
    };
    let mut expander = Expander::default();
    let mut step = |resources: &Resources, options: &Options| {
        let expansion = expander.expand(resources, options);
        assert_eq!(*expansion, expand(resources, options));
        let made = expansion.stand_in().map(ToString::to_string);
        (listeners(expansion), made)
    };
    let known = "postern-system/postern-default-certificate".to_owned();
    let well_known = vec!["* postern-default-certificate".to_owned()];
    assert_eq!(
        step(&resources, &options),
        (well_known.clone(), Some(known))
    );
    let good = self_signed(&["example.com"]);
    let key = ("postern-system", "postern-default-certificate");
    secret(&mut resources, key, &good);
    assert_eq!(step(&resources, &options), (well_known, None));
    // One that is named and is not there: its listener says so, and shows the other one.
    options.default_certificate = Some(ObjectKey::new("infra", "wild"));
    let both = vec!["* wild wild-stand-in".to_owned()];
    let made = Some("infra/wild-stand-in".to_owned());
    assert_eq!(step(&resources, &options), (both, made));
    secret(&mut resources, ("infra", "wild"), &good);
    assert_eq!(
        step(&resources, &options),
        (vec!["* wild".to_owned()], None)
    );
    let sets = expand(&resources, &options).generated.listener_sets;
    let namespaces: Vec<_> = sets.keys().map(|key| key.namespace.to_string()).collect();
    assert_eq!(namespaces, ["infra"], "it stands beside the certificate");
    // Without Ingresses of the class, nothing is made.
    resources.ingresses.clear();
    assert_eq!(step(&resources, &options), (Vec::new(), None));
}
