//! What lasts, lasts through every change of other things: buckets, rounds, splits, sessions, hashes and connections.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, sync::Arc};

use ir::{
    Action, Backend, Balance, ClusterKey, HashKey, RateLimit, RateUnit, SessionToken, Target,
};
use testkit::{
    call::{Answer, Call},
    echo::Backend as Echo,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, start};

/// Changes of other things, one after another: rules come first and last, others come, go and are renamed, other
/// clusters too, and at last all is as it was.
fn changed(config: &Config1, step: usize) -> Config1 {
    let mut changed = config.clone();
    let other = |name: &str| {
        let path = format!("/{name}");
        let mods = Phase::Response(ir::HeaderMods::default());
        route(&path, vec![mods], Action::Forward(forward(name)))
    };
    let (name, address) = (
        format!("other-{step}"),
        SocketAddr::from(([127, 0, 0, 1], 1)),
    );
    match step % 4 {
        0 => {}
        1 => {
            changed.routes.insert(0, other(&name));
            changed.clusters.insert(0, cluster(&name, &[address]));
        }
        2 => {
            changed.routes.push(other(&name));
            changed.routes.reverse();
            changed.clusters.push(cluster(&name, &[address]));
        }
        _ => {
            changed.routes.rotate_left(1);
            // The other routes are remade: equal, and not the same.
            for route in &mut changed.routes {
                route.rule = Arc::new((*route.rule).clone());
            }
        }
    }
    changed
}

fn get(proxy: &proxy::Proxy, path: &str, header: Option<(&str, &str)>) -> Answer {
    let mut call = Call::get(http(proxy), &format!("http://a.com{path}"));
    if let Some((name, value)) = header {
        call = call.header(name, value);
    }
    call.send_blocking().unwrap()
}

fn backends(names: [&str; 3]) -> ([Echo; 3], Vec<SocketAddr>) {
    let backends = names.map(Echo::start);
    let addresses = backends.iter().map(Echo::address).collect();
    (backends, addresses)
}

fn limit(burst: u32) -> Phase {
    Phase::Rate(RateLimit {
        requests: NonZeroU32::MIN,
        unit: RateUnit::Hour,
        burst: NonZeroU32::new(burst).unwrap(),
        per_client: false,
        exempt: vec![],
    })
}

#[test]
fn a_bucket_is_as_empty_as_it_was() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let with = |burst| Config1 {
        routes: vec![
            route(
                "/limited",
                vec![limit(burst)],
                Action::Forward(forward("a")),
            ),
            route("/free", vec![], Action::Forward(forward("a"))),
        ],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    let status = |path| get(&proxy, path, None).status.as_u16();
    let config = with(4);
    for step in 0..8 {
        serve(&proxy, changed(&config, step).ir());
        let expected = if step < 4 { 200 } else { 429 };
        assert_eq!(status("/limited"), expected, "step {step}");
        assert_eq!(status("/free"), 200);
    }
    // Another limit is another bucket.
    serve(&proxy, with(5).ir());
    assert_eq!(status("/limited"), 200);
}

#[test]
fn a_round_goes_on_where_it_was() {
    let (_backends, addresses) = backends(["a", "b", "c"]);
    let proxy = start(|_| ());
    let config = Config1 {
        routes: vec![route("/", vec![], Action::Forward(forward("all")))],
        clusters: vec![cluster("all", &addresses)],
    };
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for step in 0..12 {
        serve(&proxy, changed(&config, step).ir());
        let backend = get(&proxy, "/", None).backend().to_owned();
        *met.entry(backend).or_default() += 1;
    }
    assert!(
        met.len() == 3 && met.values().all(|count| *count == 4),
        "{met:?}"
    );
}

#[test]
fn a_split_goes_on_where_it_was() {
    let (backends, addresses) = backends(["a", "b", "c"]);
    let proxy = start(|_| ());
    let mut action = forward("a");
    action.backends = [("a", 2), ("b", 1), ("c", 1)]
        .map(|(name, weight)| Backend {
            weight: NonZeroU32::new(weight).unwrap(),
            target: Target::Cluster(ClusterKey(name.into())),
            request: vec![],
            response: vec![],
            url: None,
        })
        .into();
    let clusters = ["a", "b", "c"].into_iter().zip(&addresses);
    let config = Config1 {
        routes: vec![route("/", vec![], Action::Forward(action))],
        clusters: clusters
            .map(|(name, address)| cluster(name, &[*address]))
            .collect(),
    };
    for step in 0..12 {
        serve(&proxy, changed(&config, step).ir());
        get(&proxy, "/", None);
    }
    assert_eq!(backends.map(|backend| backend.hits()), [6, 3, 3]);
}

#[test]
fn a_client_stays_where_it_is() {
    let (_backends, mut addresses) = backends(["a", "b", "c"]);
    let fourth = Echo::start("d");
    let proxy = start(|_| ());
    let config = |addresses: &[SocketAddr]| {
        let mut action = forward("all");
        action.session = Some(SessionToken::in_cookie("route", "; Path=/"));
        Config1 {
            routes: vec![route("/", vec![], Action::Forward(action))],
            clusters: vec![cluster("all", addresses)],
        }
    };
    serve(&proxy, config(&addresses).ir());
    let first = get(&proxy, "/", None);
    let cookie = first.cookie().to_owned();
    assert!(cookie.starts_with("route="), "{first:?}");
    for step in 0..8 {
        serve(&proxy, changed(&config(&addresses), step).ir());
        let answer = get(&proxy, "/", Some(("cookie", &cookie)));
        assert_eq!(answer.backend(), first.backend(), "step {step}");
        // Endpoints come and change places, too.
        addresses.rotate_left(1);
        if step == 4 {
            addresses.push(fourth.address());
        }
    }
}

#[test]
fn a_key_stays_where_it_is() {
    let names = ["a", "b", "c"];
    let (backends, mut addresses) = backends(names);
    let proxy = start(|_| ());
    let config = |addresses: &[SocketAddr]| {
        let mut all = cluster("all", addresses);
        all.balance = Balance::Hash(HashKey::Header("x-user".parse().unwrap()));
        Config1 {
            routes: vec![route("/", vec![], Action::Forward(forward("all")))],
            clusters: vec![all],
        }
    };
    let users: Vec<String> = (0..12).map(|at| format!("user-{at}")).collect();
    let places = || {
        let place = |user: &String| {
            get(&proxy, "/", Some(("x-user", user)))
                .backend()
                .to_owned()
        };
        users.iter().map(place).collect::<Vec<_>>()
    };
    serve(&proxy, config(&addresses).ir());
    let before = places();
    for step in 1..6 {
        addresses.rotate_left(1);
        serve(&proxy, changed(&config(&addresses), step).ir());
        assert_eq!(places(), before, "step {step}");
    }
    // One goes: its users move, and nobody else.
    let gone = addresses.pop().unwrap();
    serve(&proxy, config(&addresses).ir());
    let left: Vec<_> = places();
    let at = backends
        .iter()
        .position(|backend| backend.address() == gone);
    let name = names[at.unwrap()];
    for (before, after) in before.iter().zip(&left) {
        assert!(before == name || before == after, "{before} -> {after}");
    }
    assert!(!left.iter().any(|place| place == name));
}

#[test]
fn a_kept_connection_is_used_again() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.workers = 1);
    let config = Config1 {
        routes: vec![route("/", vec![], Action::Forward(forward("a")))],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    for step in 0..8 {
        serve(&proxy, changed(&config, step).ir());
        assert_eq!(get(&proxy, "/", None).backend(), "a");
    }
    assert_eq!((echo.hits(), echo.connections()), (8, 1));
}
