//! `proxy-next-upstream*`: what is retried, how often, and for how long each attempt may take.

use std::time::{Duration, Instant};

use testkit::call::Call;

use super::{Annotations, both, ingress};

const CLASS: &str = "higress";

/// A host, what it says about retries, and how many requests reach the backend for each kind of failure: 503, 404, a
/// connection that is reset, and 503 to a POST.
const CASES: &[(&str, Annotations<'_>, [usize; 4])] = &[
    // Only a connection that was kept, and turns out to be closed, is replaced; these are new.
    ("none", &[], [1, 1, 1, 1]),
    ("off", &[("proxy-next-upstream", "off")], [1, 1, 1, 1]),
    ("tries", &[("proxy-next-upstream-tries", "2")], [3, 1, 3, 1]),
    ("zero", &[("proxy-next-upstream-tries", "0")], [1, 1, 1, 1]),
    (
        "default",
        &[("proxy-next-upstream", "error,timeout")],
        [4, 1, 4, 1],
    ),
    (
        "code",
        &[
            ("proxy-next-upstream", "http_404"),
            ("proxy-next-upstream-tries", "1"),
        ],
        [1, 2, 1, 1],
    ),
    (
        "post",
        &[
            ("proxy-next-upstream", "error,non_idempotent"),
            ("proxy-next-upstream-tries", "1"),
        ],
        [2, 1, 2, 2],
    ),
    (
        "blanks",
        &[
            ("proxy-next-upstream", "http_503 http_404"),
            ("proxy-next-upstream-tries", "1"),
        ],
        [2, 2, 1, 1],
    ),
];

#[test]
fn what_is_tried_again() {
    let sites = CASES.iter().map(|(name, keys, _)| {
        ingress(
            name,
            (CLASS, &format!("{name}.com")),
            keys,
            &[("Prefix", "/", "one"), ("Prefix", "/reset", "two")],
            "",
        )
    });
    both(
        &[CLASS],
        &["one", "two"],
        &sites.collect::<String>(),
        |site| {
            for (name, _, wanted) in CASES {
                let attempts = |method: &str, target: &str| {
                    let before = site.hits(0) + site.hits(1);
                    let call = Call::new(site.http, method, &format!("http://{name}.com{target}"));
                    call.send_blocking().unwrap();
                    site.hits(0) + site.hits(1) - before
                };
                let met = [
                    attempts("GET", "/?status=503"),
                    attempts("GET", "/?status=404"),
                    attempts("GET", "/reset?reset=1"),
                    attempts("POST", "/?status=503"),
                ];
                assert_eq!(met, *wanted, "{name}");
            }
        },
    );
}

/// "Request retry timeout in seconds": of each attempt, within `timeout` of the whole.
#[test]
fn each_attempt_has_its_time() {
    let keys = [
        ("proxy-next-upstream", "timeout"),
        ("proxy-next-upstream-tries", "3"),
        ("proxy-next-upstream-timeout", "1"),
    ];
    let within = [&keys[..], &[("timeout", "2")]].concat();
    let manifests = [
        ingress(
            "each",
            (CLASS, "each.com"),
            &keys,
            &[("Prefix", "/", "one")],
            "",
        ),
        ingress(
            "all",
            (CLASS, "all.com"),
            &within,
            &[("Prefix", "/", "two")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        for (url, attempts, seconds) in [
            ("http://each.com/?delay=8000", 4, 4),
            ("http://all.com/?delay=8000", 2, 2),
        ] {
            let begun = Instant::now();
            assert_eq!(site.get(url), "504");
            let taken = begun.elapsed();
            let wanted = Duration::from_secs(seconds);
            assert!(
                taken >= wanted - Duration::from_millis(50)
                    && taken < wanted + Duration::from_secs(2),
                "{url}: {taken:?}"
            );
            let at = usize::from(attempts == 2);
            assert_eq!(site.hits(at), attempts, "{url}");
        }
    });
}
