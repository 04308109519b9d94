//! Where requests go besides, or instead of, the endpoints of the Service: `mirror-*`, `destination`,
//! `service-upstream`, and what the backend is told of the way (`x-forwarded-prefix`).

use std::fmt::Write as _;

use testkit::{call::Call, wait::eventually};

use super::{Site, both, both_around, ingress};
use crate::support::service;

const CLASS: &str = "higress";
const HOST: (&str, &str) = (CLASS, "example.com");

/// Copies are sent while the answer is on its way: they arrive a little later.
fn hits_become(site: &Site, at: usize, wanted: usize) {
    eventually("copies arrive", || site.hits(at) >= wanted);
    assert_eq!(site.hits(at), wanted);
}

#[test]
fn copies_in_their_share() {
    let share = |host: &'static str, percentage: Option<&'static str>| {
        let mut annotations = vec![("mirror-target-service", "copy:80")];
        annotations.extend(percentage.map(|percentage| ("mirror-percentage", percentage)));
        ingress(
            host,
            (CLASS, host),
            &annotations,
            &[("Prefix", "/", "main")],
            "",
        )
    };
    let manifests = [
        share("all.com", None),
        share("quarter.com", Some("25")),
        share("none.com", Some("0")),
        share("unclear.com", Some("some")),
    ]
    .concat();
    both(&[CLASS], &["main", "copy"], &manifests, |site| {
        let ask = |host: &str, times: usize| {
            for _ in 0..times {
                let call = Call::new(
                    site.http,
                    "POST",
                    &format!("http://{host}/x?status=500&set=a:b"),
                );
                let answer = call.body("hello").send_blocking().unwrap();
                assert_eq!((answer.backend(), answer.status.as_u16()), ("main", 500));
            }
        };
        ask("none.com", 10);
        ask("unclear.com", 10);
        ask("all.com", 4);
        hits_become(site, 1, 4);
        ask("quarter.com", 40);
        hits_become(site, 1, 14);
        let copy = &site.backends[1].seen()[0];
        assert_eq!(
            (copy.method.as_str(), &*copy.target, copy.body),
            ("POST", "/x?status=500&set=a:b", 5)
        );
        assert_eq!(copy.host, "all.com");
    });
}

#[test]
fn copies_to_a_host_outside() {
    let manifests = |backends: &[testkit::echo::Backend]| {
        let port = backends[1].address().port().to_string();
        let annotations = [
            ("mirror-target-fqdn", "localhost"),
            ("mirror-target-fqdn-port", &port),
        ];
        ingress("site", HOST, &annotations, &[("Prefix", "/", "main")], "")
    };
    both_around(&[CLASS], &["main", "copy"], manifests, |site| {
        assert_eq!(site.get("http://example.com/x"), "main /x");
        hits_become(site, 1, 1);
    });
}

#[test]
fn destinations() {
    let manifests = |backends: &[testkit::echo::Backend]| {
        let port = backends[0].address().port();
        let destinations = format!("75% localhost:{port}\n25% two.default.svc.cluster.local");
        let annotations = [("destination", &*destinations)];
        let site = ingress("site", HOST, &annotations, &[("Prefix", "/", "none")], "");
        let bridge = "resource: {apiGroup: networking.higress.io, kind: McpBridge, name: default}";
        let site = site.replace("service: {name: none, port: {number: 80}}", bridge);
        assert!(site.contains(bridge));
        site
    };
    both_around(&[CLASS], &["one", "two"], manifests, |site| {
        for _ in 0..40 {
            let answer = site.get("http://example.com/x");
            assert!(["one /x", "two /x"].contains(&&*answer), "{answer}");
        }
        assert_eq!((site.hits(0), site.hits(1)), (30, 10));
    });
}

#[test]
fn the_address_of_the_service_itself() {
    let manifests = |backends: &[testkit::echo::Backend]| {
        let port = backends[0].address().port();
        // Its endpoint is one backend, its own address leads to the other.
        let vip = service("vip", &[&backends[1]])
            .replace("{port: 80}", &format!("{{port: {port}}}"))
            .replace("spec: {", "spec: {clusterIP: 127.0.0.1, ");
        let mut text = vip;
        for (host, value) in [("own.com", "true"), ("endpoints.com", "false")] {
            let annotations = [("service-upstream", value)];
            let site = ingress(
                host,
                (CLASS, host),
                &annotations,
                &[("Prefix", "/", "vip")],
                "",
            );
            let _ = write!(
                text,
                "{}",
                site.replace("number: 80", &format!("number: {port}"))
            );
        }
        text
    };
    both_around(&[CLASS], &["service", "endpoint"], manifests, |site| {
        assert_eq!(site.get("http://own.com/"), "service /");
        assert_eq!(site.get("http://endpoints.com/"), "endpoint /");
    });
}

#[test]
fn the_prefix_that_was_taken_off() {
    let with = |host: &'static str,
                prefix: &'static str,
                target: &'static str,
                kind: &'static str,
                path: &'static str| {
        let annotations = [
            ("nginx.ingress.kubernetes.io/x-forwarded-prefix", prefix),
            ("nginx.ingress.kubernetes.io/rewrite-target", target),
        ];
        ingress(
            host,
            (CLASS, host),
            &annotations,
            &[(kind, path, "one")],
            "",
        )
    };
    let manifests = [
        with(
            "matched.com",
            "true",
            "/$2",
            "ImplementationSpecific",
            "/shop(/|$)(.*)",
        ),
        with("written.com", "/outside", "/", "Prefix", "/inside"),
        with("off.com", "false", "/", "Prefix", "/inside"),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        let told = |url: &str| {
            let call = Call::get(site.http, url).header("x-forwarded-prefix", "/forged");
            let told = call.send_blocking().unwrap().json();
            (
                told["path"].as_str().unwrap().to_owned(),
                told["headers"]["x-forwarded-prefix"].clone(),
            )
        };
        let one = |value: &str| serde_json::json!([value]);
        assert_eq!(
            told("http://matched.com/shop/x"),
            ("/x".to_owned(), one("/shop"))
        );
        assert_eq!(
            told("http://written.com/inside/x"),
            ("/x".to_owned(), one("/outside"))
        );
        assert_eq!(told("http://off.com/inside/x").0, "/x");
    });
}
