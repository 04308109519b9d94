//! Who may ask, how often, how much, and for how long: source ranges, rate limits, body sizes, backend timeouts, and
//! the order in which they are asked.

use std::{
    fs,
    time::{Duration, Instant},
};

use testkit::{call::Call, echo::Backend};

use super::{both, both_around, ingress};
use crate::support::{Example, Start, service};

const CLASS: &str = "higress";

#[test]
fn source_ranges() {
    let with = |host: &'static str, lists: &[(&'static str, &'static str)]| {
        let annotations: Vec<_> = lists
            .iter()
            .map(|(list, networks)| (*list, *networks))
            .collect();
        ingress(
            host,
            (CLASS, host),
            &annotations,
            &[("Prefix", "/", "one")],
            "",
        )
    };
    let manifests = [
        with(
            "allowed.com",
            &[("whitelist-source-range", "10.0.0.0/8, 127.0.0.1")],
        ),
        with(
            "foreign.com",
            &[("whitelist-source-range", "10.0.0.0/8,2001:db8::/32")],
        ),
        with("denied.com", &[("denylist-source-range", "127.0.0.0/8")]),
        with(
            "both.com",
            &[
                (
                    "nginx.ingress.kubernetes.io/whitelist-source-range",
                    "127.0.0.0/8",
                ),
                (
                    "nginx.ingress.kubernetes.io/denylist-source-range",
                    "127.0.0.1/32",
                ),
            ],
        ),
        with(
            "broken.com",
            &[("whitelist-source-range", "127.0.0.0/8,everybody")],
        ),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        // What a client says of itself counts for nothing.
        let claims = [("x-forwarded-for", "10.0.0.1"), ("x-real-ip", "10.0.0.1")];
        assert_eq!(site.get_with("http://allowed.com/", &claims), "one /");
        for host in ["foreign", "denied", "both", "broken"] {
            assert_eq!(
                site.get_with(&format!("http://{host}.com/"), &claims),
                "403",
                "{host}"
            );
        }
        assert_eq!(site.hits(0), 1);
    });
}

/// A minute's limit, who is exempt of it, and that a client's bucket is not that of the path beside it.
#[test]
fn requests_a_minute_of_each_client() {
    let limit = ("nginx.ingress.kubernetes.io/limit-rpm", "3");
    let once = ("nginx.ingress.kubernetes.io/limit-burst-multiplier", "1");
    let known = ("nginx.ingress.kubernetes.io/limit-whitelist", "127.0.0.0/8");
    let manifests = [
        ingress(
            "few",
            (CLASS, "few.com"),
            &[limit, once],
            &[("Prefix", "/a", "one"), ("Prefix", "/b", "one")],
            "",
        ),
        ingress(
            "known",
            (CLASS, "known.com"),
            &[limit, once, known],
            &[("Prefix", "/", "one")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        let asked = |url: &str| (0..6).map(|_| site.get(url)).collect::<Vec<_>>();
        let (yes, no) = ("one /a".to_owned(), "429".to_owned());
        // Three, and the one that nginx lets pass on top.
        assert_eq!(
            asked("http://few.com/a"),
            [
                [yes.clone(), yes.clone(), yes.clone(), yes].to_vec(),
                vec![no.clone(), no]
            ]
            .concat()
        );
        assert_eq!(site.get("http://few.com/b"), "one /b");
        assert!(
            asked("http://known.com/")
                .iter()
                .all(|answer| answer == "one /")
        );
    });
}

/// A limit for the route goes before the authenticator: whoever is over it is told so, and nobody is asked about it.
/// Whoever is denied has used up a token, so guesses are counted.
#[test]
fn a_rate_limit_counts_before_anybody_is_asked() {
    let annotations = [
        ("route-limit-rpm", "4"),
        ("route-limit-burst-multiplier", "1"),
        (
            "auth-url",
            "http://auth.default.svc.cluster.local/check?$args",
        ),
        ("auth-signin", "https://login.example.com/"),
    ];
    let manifests = ingress(
        "site",
        (CLASS, "example.com"),
        &annotations,
        &[("Prefix", "/", "one")],
        "",
    );
    both(&[CLASS], &["one", "auth"], &manifests, |site| {
        let ask = |query: &str| {
            let answer = Call::get(site.http, &format!("http://example.com/?{query}"));
            let answer = answer.send_blocking().unwrap();
            (
                answer.status.as_u16(),
                answer.header("retry-after").to_owned(),
            )
        };
        let none = String::new();
        assert_eq!(ask("status=403"), (403, none.clone()));
        assert_eq!(ask("status=401"), (302, none.clone()));
        assert_eq!(ask("status=500"), (500, none.clone()));
        assert_eq!(ask(""), (200, none));
        for query in ["", "status=401", "status=403"] {
            let (status, wait) = ask(query);
            assert_eq!(status, 429, "{query}");
            assert!((1..=15).contains(&wait.parse::<u32>().unwrap()), "{wait}");
        }
        assert_eq!((site.hits(0), site.hits(1)), (1, 4));
    });
}

/// Class `nginx` takes bodies of up to 1 MiB unless told otherwise; every other class has no such limit.
#[test]
fn bodies_of_class_nginx() {
    const MIB: usize = 1 << 20;
    let size = |size: &'static str| [("nginx.ingress.kubernetes.io/proxy-body-size", size)];
    let site = |name: &str, class: &str, annotations: &[(&str, &str)]| {
        let host = format!("{name}.com");
        ingress(
            name,
            (class, &host),
            annotations,
            &[("Prefix", "/", "one")],
            "",
        )
    };
    let manifests = [
        site("default", "nginx", &[]),
        site("more", "nginx", &size("2m")),
        site("any", "nginx", &size("0")),
        site("unclear", "nginx", &size("lots")),
        site("higress", CLASS, &[]),
    ]
    .concat();
    both(&["nginx", CLASS], &["one"], &manifests, |site| {
        let post = |host: &str, bytes: usize, chunked: bool| {
            let call = Call::new(site.http, "POST", &format!("http://{host}.com/"));
            let call = call.body(vec![b'x'; bytes]);
            let call = if chunked { call.chunked() } else { call };
            let answer = call.send_blocking().unwrap();
            (answer.status.as_u16(), answer.json()["bodyBytes"].as_u64())
        };
        for chunked in [false, true] {
            for (host, most) in [("default", MIB), ("unclear", MIB), ("more", 2 * MIB)] {
                let fits = (200, Some(most as u64));
                assert_eq!(post(host, most, chunked), fits, "{host} {chunked}");
                assert_eq!(
                    post(host, most + 1, chunked),
                    (413, None),
                    "{host} {chunked}"
                );
            }
            for host in ["any", "higress"] {
                let fits = (200, Some(3 * MIB as u64));
                assert_eq!(post(host, 3 * MIB, chunked), fits, "{host} {chunked}");
            }
        }
    });
}

#[test]
fn backends_that_take_too_long() {
    // Without these a wait would be longer than a call of ours may take.
    let silent = Backend::builder().silent().start("silent");
    let keys = [
        (
            "connect",
            &[
                ("backend-protocol", "HTTPS"),
                ("proxy-connect-timeout", "1"),
            ][..],
            "silent",
        ),
        ("read", &[("proxy-read-timeout", "1")], "one"),
        ("send", &[("proxy-send-timeout", "1")], "silent"),
    ];
    let manifests = |_: &[Backend]| {
        let sites = keys.map(|(name, annotations, service)| {
            let host = format!("{name}.com");
            ingress(
                name,
                (CLASS, &host),
                annotations,
                &[("Prefix", "/", service)],
                "",
            )
        });
        service("silent", &[&silent]) + &sites.concat()
    };
    both_around(&[CLASS], &["one"], manifests, |site| {
        for (name, body) in [("connect", 0), ("read", 5), ("send", 32 << 20)] {
            let begun = Instant::now();
            let call = Call::new(site.http, "POST", &format!("http://{name}.com/?delay=8000"));
            let answer = call.body(vec![b'x'; body]).send_blocking().unwrap();
            assert_eq!(answer.status.as_u16(), 504, "{name}");
            let taken = begun.elapsed();
            assert!(
                (Duration::from_millis(900)..Duration::from_secs(6)).contains(&taken),
                "{name}: {taken:?}"
            );
        }
        assert_eq!(site.get("http://read.com/?delay=200"), "one /?delay=200");
    });
}

/// `enable-access-log: "false"`: no line for its requests, and one for those beside it.
#[test]
fn requests_without_a_line_in_the_access_log() {
    let example = Example::new("timeout");
    let unlogged = [("enable-access-log", "false")];
    let quiet = ingress(
        "quiet",
        (CLASS, "quiet.com"),
        &unlogged,
        &[("Prefix", "/", "demo-service")],
        "",
    );
    example.write("quiet.yaml", &quiet);
    let converted = example.converted();
    for folder in [example.folder.path(), converted.path()] {
        let log = folder.join("access.log");
        let log = log.to_str().unwrap();
        let mut gateway = Start::default().arg("--access-log").arg(log).serve(folder);
        for url in [
            "http://quiet.com/a",
            "http://example.com/test",
            "http://quiet.com/b",
        ] {
            let answer = Call::get(gateway.address(80), url).send_blocking().unwrap();
            assert_eq!(answer.backend(), "demo-service");
        }
        gateway.signal("TERM");
        assert_eq!(gateway.end(), Some(0));
        let text = fs::read_to_string(log).unwrap();
        assert!(
            text.lines().count() == 1 && text.contains("/test"),
            "{text}"
        );
    }
}
