//! Rate limits, and the choice among endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use testkit::{call::Answer, held::Held, wait::eventually};

use crate::support::Served;

const URL: &str = "http://example.com/test";

/// Sends `requests` at once one after another; as many pass as are in the bucket, and those that came back meanwhile.
fn limited(served: &Served<'_>, requests: u32, burst: u32, per_second: f64) {
    let start = Instant::now();
    let mut passed = 0;
    for _ in 0..requests {
        let answer = served.get(URL);
        match answer.status.as_u16() {
            200 => passed += 1,
            429 => {
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert_eq!(wait, 1, "the next token is less than a second away");
                assert_eq!(answer.backend(), "");
            }
            other => panic!("{other}"),
        }
    }
    let refilled = start.elapsed().as_secs_f64() * per_second;
    assert!(passed >= burst, "{passed} passed");
    assert!(
        f64::from(passed) <= f64::from(burst) + refilled + 1.0,
        "{passed} passed, {refilled} came back"
    );
    assert!(passed < requests);
    assert_eq!(
        served.get("http://example.com/other").status.as_u16(),
        404,
        "other paths are not counted"
    );
}

/// "Limit the maximum number of requests for example.com/test to 100 per minute, with an instantaneous request count of
/// 200."
pub(crate) fn rate_limit_rpm(served: &Served<'_>) {
    limited(served, 240, 200, 100.0 / 60.0);
}

/// "Limit the maximum number of requests for example.com/test to 10 per second, with an instantaneous request count of
/// 50."
pub(crate) fn rate_limit_rps(served: &Served<'_>) {
    limited(served, 200, 50, 10.0);
}

/// "Set the load balancing algorithm for the backend service demo-service to least_conn."
pub(crate) fn least_conn(served: &Served<'_>) {
    let address = served.http;
    let busy = [(); 2].map(|()| Held::begin(address, "example.com", "/order"));
    let hits = || {
        served
            .backends
            .values()
            .map(|backend| backend.hits())
            .sum::<usize>()
    };
    eventually("the held requests arrive", || hits() == 2);
    let free: BTreeSet<String> = (0..20)
        .map(|_| served.who("http://example.com/order", None))
        .collect();
    let busy = BTreeSet::from(busy.map(Held::end));
    assert_eq!(
        busy.len(),
        2,
        "each held request has an endpoint of its own"
    );
    assert_eq!(
        free.len(),
        1,
        "the other requests go to the third: {free:?}"
    );
    assert!(free.is_disjoint(&busy));
}

/// Asks three times for each key: it always leads to one endpoint, and all keys together lead to every one.
fn hashed(served: &Served<'_>, mut ask: impl FnMut(&str) -> Answer) {
    let mut used = BTreeMap::<String, usize>::new();
    for key in 0..60 {
        let key = format!("key-{key}");
        let backends: BTreeSet<String> = (0..3).map(|_| ask(&key).backend().to_owned()).collect();
        assert_eq!(backends.len(), 1, "{key}: {backends:?}");
        *used
            .entry(backends.into_iter().next().unwrap())
            .or_default() += 1;
    }
    assert_eq!(used.len(), served.backends.len(), "{used:?}");
}

/// "requests with the same x-stage header value are always routed to the same node"
pub(crate) fn hash_by_header(served: &Served<'_>) {
    hashed(served, |key| {
        served
            .call("GET", URL)
            .header("x-stage", key)
            .send_blocking()
            .unwrap()
    });
    let without: BTreeSet<String> = (0..9).map(|_| served.who(URL, None)).collect();
    assert_eq!(
        without.len(),
        3,
        "without the header nobody is tied to anything"
    );
}

/// "requests with the same x-stage path parameter value are always routed to the same node"
pub(crate) fn hash_by_query(served: &Served<'_>) {
    hashed(served, |key| {
        served.get(&format!("{URL}?other=1&x-stage={key}"))
    });
}

/// "$request_uri: Request Path (including path parameters) as Hash Key"
pub(crate) fn hash_by_uri(served: &Served<'_>) {
    hashed(served, |key| served.get(&format!("{URL}?item={key}")));
}

/// "$host: Request Host as Hash Key"
pub(crate) fn hash_by_host(served: &Served<'_>) {
    let mut other = 0;
    hashed(served, |key| {
        other += 1;
        served.get(&format!("http://{key}.example.com/test?n={other}"))
    });
}

/// "requests from the same client IP are always routed to the same node"
pub(crate) fn hash_by_remote_addr(served: &Served<'_>) {
    let backends: BTreeSet<String> = (0..20)
        .map(|at| {
            served.who(
                &format!("{URL}?n={at}"),
                Some(("x-forwarded-for", "9.9.9.9")),
            )
        })
        .collect();
    assert_eq!(backends.len(), 1, "{backends:?}");
}

/// A client without cookie gets one; with it, it stays.
fn sticky(served: &Served<'_>, name: &str, attributes: &str) {
    let mut met = BTreeSet::new();
    for _ in 0..9 {
        let first = served.get(URL);
        let set = first.header("set-cookie").to_owned();
        let (cookie, rest) = set.split_once(';').unwrap();
        assert!(cookie.starts_with(&format!("{name}=")), "{set}");
        assert_eq!(rest.trim(), attributes);
        for _ in 0..3 {
            let again = served
                .call("GET", URL)
                .header("cookie", &format!("a=b; {cookie}"))
                .send_blocking()
                .unwrap();
            assert_eq!(again.backend(), first.backend());
            assert_eq!(again.header("set-cookie"), "", "it has its cookie");
        }
        met.insert(first.backend().to_owned());
    }
    assert_eq!(met.len(), 3, "new clients go to every endpoint");
    let forged = served
        .call("GET", URL)
        .header("cookie", &format!("{name}=0123456789abcdef"))
        .send_blocking()
        .unwrap();
    assert!(
        forged.header("set-cookie").starts_with(name),
        "a cookie that names nobody is replaced"
    );
}

/// "Enable Cookie affinity using Higress's default configuration, where the Cookie name is INGRESSCOOKIE, Path is /,
/// and the Cookie's lifecycle is session level."
pub(crate) fn affinity_cookie(served: &Served<'_>) {
    sticky(served, "INGRESSCOOKIE", "Path=/; HttpOnly");
}

/// "Enable Cookie affinity, where the Cookie name is test, Path is /, and the Cookie's expiration time is 10s."
pub(crate) fn affinity_cookie_named(served: &Served<'_>) {
    sticky(served, "test", "Path=/; Max-Age=10; HttpOnly");
}

/// "Path value of the generated Cookie", and an "Expiration time of the generated Cookie" by its other name.
pub(crate) fn affinity_cookie_path(served: &Served<'_>) {
    sticky(served, "shop", "Path=/test; Max-Age=3600; HttpOnly");
}
