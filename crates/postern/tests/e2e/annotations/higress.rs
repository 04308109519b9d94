//! What Higress' own tests of plain Ingresses look at, where no other test here does, and what is Higress' own:
//! registries of a McpBridge, conditions on the path.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use testkit::{
    call::Call,
    certs::{Ca, recording_names},
    echo::Backend,
};

use super::{Annotations, both, both_around, certificate, ingress};
use crate::{examples::tls::speaking, support::secret};

mod requests;
mod routes;

const CLASS: &str = "higress";
const HOST: (&str, &str) = (CLASS, "example.com");
const ROOT: &[(&str, &str, &str)] = &[("Prefix", "/", "one")];

/// An Ingress for a host, or for any if `host` is empty; keys without prefix are Higress' own.
fn site(
    name: &str,
    host: &str,
    annotations: Annotations<'_>,
    paths: &[(&str, &str, &str)],
) -> String {
    let text = ingress(name, (CLASS, host), annotations, paths, "");
    text.replace("host: \"\", ", "")
}

/// An Ingress whose paths lead where `destination` says.
fn to(host: &str, destination: &str, more: &[(&str, &str)]) -> String {
    let annotations = [&[("destination", destination)], more].concat();
    let site = ingress(host, (CLASS, host), &annotations, ROOT, "");
    let bridge = "resource: {apiGroup: networking.higress.io, kind: McpBridge, name: default}";
    let site = site.replace("service: {name: one, port: {number: 80}}", bridge);
    assert!(site.contains(bridge));
    site
}

/// A McpBridge; of a registry type, name, domain, port and what else it has.
fn bridge(registries: &[(&str, &str, &str, u16, &str)]) -> String {
    let registries: Vec<_> = registries
        .iter()
        .map(|(of, name, domain, port, more)| {
            format!("{{type: {of}, name: {name}, domain: {domain:?}, port: {port}{more}}}")
        })
        .collect();
    format!(
        "apiVersion: networking.higress.io/v1\nkind: McpBridge\nmetadata: {{name: default, namespace: higress-system}}\n\
         spec: {{registries: [{}]}}\n---\n",
        registries.join(", ")
    )
}

#[test]
fn registries_of_types_dns_and_static() {
    let manifests = |backends: &[Backend]| {
        let addresses: Vec<_> = { backends.iter() }
            .map(|backend| backend.address())
            .collect();
        let pair = format!("{},{}", addresses[0], addresses[1]);
        let only = addresses[2].to_string();
        let port = addresses[2].port();
        let registries = [
            ("static", "pair", pair.as_str(), 80, ""),
            ("static", "calls", only.as_str(), 80, ", protocol: grpc"),
            (
                "dns",
                "only.internal",
                "localhost",
                port,
                ", protocol: http",
            ),
            ("nacos", "registry", "localhost", 8848, ""),
        ];
        let shares = format!("75% pair.static\n25% only.internal.dns:{port}");
        [
            bridge(&registries),
            to("shares.com", &shares, &[]),
            to("port.com", "pair.static:80", &[]),
            to("calls.com", "calls.static", &[]),
            to(
                "lost.com",
                "50% pair.static:80\n50% orders.public.nacos",
                &[],
            ),
            to("none.com", "missing.dns", &[]),
            to("wrong.com", "pair.static:81", &[]),
            to(
                "copied.com",
                "pair.static",
                &[("mirror-target-fqdn", "only.internal.dns")],
            ),
        ]
        .concat()
    };
    both_around(&[CLASS], &["one", "two", "three"], manifests, |site| {
        for _ in 0..40 {
            site.get("http://shares.com/");
        }
        let [one, two, three] = [0, 1, 2].map(|at| site.hits(at));
        assert_eq!((one + two, three), (30, 10));
        assert!(one.min(two) >= 10, "{one} and {two}");
        assert!(["one /x", "two /x"].contains(&&*site.get("http://port.com/x")));
        let told = Call::get(site.http, "http://calls.com/").send_blocking();
        assert_eq!(told.unwrap().json()["proto"], "HTTP/2.0");
        let lost: Vec<_> = (0..4).map(|_| site.get("http://lost.com/")).collect();
        assert_eq!(
            lost.iter().filter(|answer| *answer == "503").count(),
            2,
            "{lost:?}"
        );
        assert_eq!(site.get("http://none.com/"), "503");
        assert_eq!(site.get("http://wrong.com/"), "503");
        let before = site.hits(2);
        site.get("http://copied.com/");
        testkit::wait::eventually("a copy arrives", || site.hits(2) == before + 1);
    });
}

/// A registry says TLS, and which name is sent. The certificate is not looked at, as in Higress.
#[test]
fn registries_by_tls() {
    let issued = Ca::new("theirs").issue(&["whatever.example"]);
    let (config, names) = recording_names(issued.server_config(&["http/1.1"]));
    let sealed = Backend::builder().tls(config).start("sealed");
    let (address, port) = (sealed.address().to_string(), sealed.address().port());
    let registries = [
        ("dns", "named", "localhost", port, ", protocol: https"),
        (
            "static",
            "said",
            address.as_str(),
            443,
            ", protocol: HTTPS, sni: said.example",
        ),
        (
            "static",
            "unsaid",
            address.as_str(),
            443,
            ", protocol: https",
        ),
    ];
    let manifests = [
        bridge(&registries),
        to("named.com", &format!("named.dns:{port}"), &[]),
        to(
            "said.com",
            "said.static:443",
            &[("backend-protocol", "HTTP")],
        ),
        to("unsaid.com", "unsaid.static:443", &[]),
    ]
    .concat();
    both(&[CLASS], &[], &manifests, |site| {
        for (host, name) in [
            ("named", "localhost"),
            ("said", "said.example"),
            ("unsaid", "unsaid.com"),
        ] {
            drop(names.take());
            assert_eq!(site.get(&format!("http://{host}.com/x")), "sealed /x");
            assert_eq!(names.take(), [Some(name.to_owned())], "{host}");
        }
    });
}

#[test]
fn conditions_on_the_path() {
    let with = |name: &str, how: &str, value: &str, paths: &[(&str, &str, &str)]| {
        let key = format!("{how}-match-pseudo-header-path");
        ingress(
            name,
            (CLASS, &format!("{name}.com")),
            &[(&key, value)],
            paths,
            "",
        )
    };
    let below = |path: &'static str| [("Prefix", path, "one")];
    let exact = [
        ("Exact", "/a/b", "one"),
        ("Exact", "/a/c", "one"),
        ("Prefix", "/d", "two"),
    ];
    let manifests = [
        with("prefix", "prefix", "/v3/bar", &below("/v3")),
        with("slash", "prefix", "/v3/", &below("/v3")),
        with("wider", "prefix", "/v", &below("/v3")),
        with("exact", "exact", "/v3/bar", &below("/v3")),
        with("some", "exact", "/a/b", &exact),
        with("regex", "regex", "/v[12]/.*", &below("/")),
        with("fits", "regex", "/a/[bx]", &exact),
        with(
            "unclear",
            "regex",
            "/.*[.]html",
            &[("Prefix", "/v3", "one"), ("Exact", "/v3/a.html", "two")],
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        for (host, path, who) in [
            ("prefix", "/v3", "404"),
            ("prefix", "/v3/bar", "one"),
            ("prefix", "/v3/bar/x", "one"),
            ("prefix", "/v3/bart", "one"),
            ("prefix", "/v3/ba", "404"),
            ("slash", "/v3", "404"),
            ("slash", "/v3/x", "one"),
            ("wider", "/v3/x", "one"),
            ("exact", "/v3/bar", "one"),
            ("exact", "/v3/bar/x", "404"),
            ("some", "/a/b", "one"),
            ("some", "/a/c", "404"),
            ("some", "/d", "404"),
            ("regex", "/v1/x", "one"),
            ("regex", "/v3/x", "404"),
            ("fits", "/a/b", "one"),
            ("fits", "/a/c", "404"),
            ("unclear", "/v3/a.html", "two"),
            ("unclear", "/v3/b.html", "404"),
        ] {
            let wanted = match who {
                "404" => who.to_owned(),
                who => format!("{who} {path}"),
            };
            assert_eq!(
                site.get(&format!("http://{host}.com{path}")),
                wanted,
                "{host} {path}"
            );
        }
    });
}

/// Headers that scripts may read: with credentials a star is no name of any, so that those of the answer are named.
#[test]
fn every_header_is_exposed_by_name() {
    let cors = |class: &str, more: &[(&str, &str)]| {
        let on = [("enable-cors", "true"), ("cors-expose-headers", "*")];
        let name = format!("{class}{}", more.len());
        ingress(
            &name,
            (class, &format!("{name}.com")),
            &[&on, more].concat(),
            ROOT,
            "",
        )
    };
    let without = [("cors-allow-credentials", "false")];
    let manifests = [
        cors(CLASS, &[]),
        cors(CLASS, &without),
        cors("nginx", &[]),
        cors("nginx", &without),
    ]
    .concat();
    both(&[CLASS, "nginx"], &["one"], &manifests, |site| {
        let exposed = |host: &str| {
            let call = Call::get(site.http, &format!("http://{host}.com/?set=x-total:7"));
            let answer = call
                .header("origin", "https://a.example")
                .send_blocking()
                .unwrap();
            answer.header("access-control-expose-headers").to_owned()
        };
        let named = exposed("higress0");
        let mut names = named.split(',').map(str::trim);
        assert!(
            names.any(|name| name.eq_ignore_ascii_case("x-total")),
            "{named}"
        );
        assert!(!named.contains('*'), "{named}");
        for host in ["higress1", "nginx0", "nginx1"] {
            assert_eq!(exposed(host), "*", "{host}");
        }
    });
}

/// A star is no network: of class Higress it is everybody, and ingress-nginx lets nobody in by it.
#[test]
fn a_star_among_addresses() {
    let star = [("whitelist-source-range", "*")];
    let both_classes = [CLASS, "nginx"];
    let manifests: String = both_classes
        .iter()
        .map(|class| ingress(class, (class, &format!("{class}.com")), &star, ROOT, ""))
        .collect();
    both(&both_classes, &["one"], &manifests, |site| {
        assert_eq!(site.get("http://higress.com/"), "one /");
        assert_eq!(site.get("http://nginx.com/"), "503");
    });
}

/// Of rules with the same host and path the one with more conditions goes first, whatever the order in which they were
/// made or their conditions written; of two with the same conditions the older one counts.
#[test]
fn the_same_host_and_path() {
    let with = |name: &str, conditions: &[(&str, &str)], service: &'static str| {
        ingress(name, HOST, conditions, &[("Prefix", "/hello", service)], "")
    };
    let (a, b) = (("exact-match-header-a", "1"), ("exact-match-header-b", "2"));
    let manifests = [
        with("few", &[a], "one"),
        with("many", &[a, b], "two"),
        with("other", &[a, ("exact-match-header-b", "3")], "three"),
        with("zlate", &[b, a], "one"),
    ]
    .concat();
    both(&[CLASS], &["one", "two", "three"], &manifests, |site| {
        let who = |headers: &[(&str, &str)]| site.get_with("http://example.com/hello", headers);
        assert_eq!(who(&[("a", "1")]), "one /hello");
        assert_eq!(who(&[("a", "1"), ("b", "2")]), "two /hello");
        assert_eq!(who(&[("a", "1"), ("b", "3")]), "three /hello");
        assert_eq!(who(&[("b", "2")]), "404");
    });
}

/// A client that sends no name in the handshake gets the certificate for all hosts and their rules. For a host that has
/// a listener of its own it has come to the wrong one, which may ask less of clients.
#[test]
fn https_without_a_name() {
    let (secret, client) = certificate("cert", &["example.com", "127.0.0.1"]);
    let tls = "  tls: [{secretName: cert}]\n";
    let all = ingress("all", (CLASS, ""), &[], ROOT, tls);
    let all = all.replace("host: \"\", ", "");
    let tls = "  tls: [{hosts: [example.com], secretName: cert}]\n";
    let own = ingress("own", HOST, &[], &[("Exact", "/foo", "two")], tls);
    let manifests = [secret, all, own].concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        let ask = |host: &str, name: &str| {
            let url = format!("https://{host}/foo");
            site.get_tls(&url, &client, name)
        };
        assert_eq!(ask("example.com", "example.com"), "two /foo");
        assert_eq!(ask("other.com", "127.0.0.1"), "one /foo");
        assert_eq!(ask("example.com", "127.0.0.1"), "421");
    });
}

/// Of a list without any suite for the host's key, clients of TLS 1.2 have none in common with the gateway.
#[test]
fn suites_of_which_none_is_for_the_certificate() {
    let ca = Ca::new("servers");
    let hosts = ["fits.com", "unfit.com"];
    let issued = ca.issue(&hosts);
    let entries = [
        ("tls.crt", issued.cert_pem.as_str()),
        ("tls.key", issued.key_pem.as_str()),
    ];
    let with = |host: &str, kind: &str| {
        let suite = format!("ECDHE-{kind}-AES128-GCM-SHA256");
        let tls = format!("  tls: [{{hosts: [{host}], secretName: cert}}]\n");
        ingress(host, (CLASS, host), &[("ssl-cipher", &suite)], ROOT, &tls)
    };
    let manifests = [
        secret("cert", &entries) + "---\n",
        with(hosts[0], "ECDSA"),
        with(hosts[1], "RSA"),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (host, version, served) in [
            (hosts[0], &TLS12, true),
            (hosts[0], &TLS13, true),
            (hosts[1], &TLS12, false),
            (hosts[1], &TLS13, true),
        ] {
            let call = Call::get(site.https.unwrap(), &format!("https://{host}/"));
            let call = call.tls(Arc::new(speaking(&ca, version)), host);
            let answer = call.send_blocking();
            assert_eq!(answer.is_ok(), served, "{host} {version:?}: {answer:?}");
        }
    });
}

/// A Service that is not there has somebody who stands in, too.
#[test]
fn a_missing_service_has_a_default_backend() {
    let page = [("default-backend", "one")];
    let manifests = ingress("a", HOST, &page, &[("Prefix", "/foo", "missing")], "");
    both(&[CLASS], &["one"], &manifests, |site| {
        assert_eq!(site.get("http://example.com/foo"), "one /foo");
    });
}
