//! Our kinds without any Ingress. The manifests are those that `docs/crds.md` shows.

use std::collections::BTreeSet;

use crate::support::{self, Served};

pub(crate) fn route_filter(served: &Served<'_>) {
    for (asked, seen) in [
        ("/v2/orders?id=1", "/orders?id=1"),
        ("/v2", "/"),
        ("/v2/", "/"),
        ("/other", "/other"),
        ("/v2x", "/v2x"),
    ] {
        let told = served.get(&format!("http://example.com{asked}")).json();
        assert_eq!(told["path"], seen, "{asked}");
    }
}

pub(crate) fn route_policy(served: &Served<'_>) {
    let status = |method: &str, target: &str| {
        let url = format!("http://example.com{target}");
        served
            .call(method, &url)
            .send_blocking()
            .unwrap()
            .status
            .as_u16()
    };
    assert_eq!(status("GET", "/?status=503&fail=2&id=get"), 200);
    assert_eq!(status("POST", "/?status=503&fail=1&id=post"), 503);
    let orders: Vec<u16> = (0..4).map(|_| status("GET", "/order")).collect();
    assert_eq!(orders, [200, 200, 429, 429]);
    // Ten and what follows may ask, and the network of pods is among them.
    let admin = if support::in_cluster() { 200 } else { 403 };
    assert_eq!(status("GET", "/admin"), admin);
    assert_eq!(status("GET", "/"), 200);
}

pub(crate) fn backend_policy(served: &Served<'_>) {
    let asked = |user: &str| {
        let who = (0..6).map(|_| served.who("http://example.com/", Some(("x-user", user))));
        who.collect::<BTreeSet<_>>()
    };
    let users: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    let mut all = BTreeSet::new();
    for user in &users {
        let who = asked(user);
        assert_eq!(who.len(), 1, "{user} goes to one endpoint");
        all.extend(who);
    }
    assert_eq!(all.len(), 3, "every endpoint has users: {all:?}");
    let first = served.get("http://example.com/cart");
    let cookie = first.header("set-cookie").to_owned();
    assert!(
        cookie.starts_with("cart=") && cookie.contains("; Path=/cart; Max-Age=3600"),
        "{cookie}"
    );
    let pair = first.cookie();
    for _ in 0..6 {
        let who = served.who("http://example.com/cart", Some(("cookie", pair)));
        assert_eq!(who, first.backend());
    }
}
