use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use ir::{Balance, Cluster, ClusterKey, Endpoint, HashKey, Upstream};

use telemetry::metrics::Metrics;

use super::{ClusterState, hash};
use crate::upstream::{UpstreamClient, names::Names};

fn cluster(count: u8, balance: Balance) -> Arc<Cluster> {
    let endpoint = |n: u8| Endpoint::Address(SocketAddr::from(([10, 0, 0, n], 80)));
    Arc::new(Cluster {
        key: ClusterKey("default/app:80".into()),
        service: None,
        endpoints: (0..count).map(endpoint).collect(),
        upstream: Upstream::Http1,
        tls: None,
        balance,
        timeouts: ir::BackendTimeouts::default(),
    })
}

fn made(
    cluster: &Arc<Cluster>,
    tls: Option<Arc<UpstreamClient>>,
    before: Option<&Arc<ClusterState>>,
) -> Arc<ClusterState> {
    ClusterState::new(cluster, tls, before, &Names::new(&[], &Metrics::new()))
}

fn state(count: u8, balance: Balance) -> Arc<ClusterState> {
    made(&cluster(count, balance), None, None)
}

fn picks(state: &ClusterState, requests: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let picked = state.pick(None, 0).unwrap();
        *counts.entry(format!("{:?}", picked.endpoint)).or_default() += 1;
    }
    counts
}

#[test]
fn round_robin_is_even_and_goes_on_after_a_change() {
    let state = state(3, Balance::RoundRobin);
    assert!(picks(&state, 300).values().all(|count| *count == 100));
    state.pick(None, 0);
    let changed = made(&cluster(4, Balance::RoundRobin), None, Some(&state));
    assert_eq!(changed.turn.load(super::Relaxed), 301);
    let same = made(&state.cluster, None, Some(&state));
    assert!(Arc::ptr_eq(&same, &state));
}

#[test]
fn random_reaches_everybody() {
    let counts = picks(&state(4, Balance::Random), 4_000);
    assert_eq!(counts.len(), 4);
    assert!(
        counts.values().all(|count| (800..1_200).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn the_least_loaded_is_chosen() {
    let state = state(3, Balance::LeastRequest);
    let busy: Vec<_> = (0..3).map(|_| state.pick(None, 0).unwrap()).collect();
    let distinct: std::collections::BTreeSet<_> =
        busy.iter().map(|picked| picked.endpoint).collect();
    assert_eq!(distinct.len(), 3, "each gets one before any gets two");
    let mut busy = busy.into_iter();
    let free = busy.next().unwrap().endpoint;
    for _ in 0..5 {
        assert_eq!(
            state.pick(None, 0).unwrap().endpoint,
            free,
            "its request is over"
        );
    }
}

#[test]
fn loads_outlive_a_change_of_endpoints() {
    let before = state(2, Balance::LeastRequest);
    let held = before.pick(None, 0).unwrap();
    let after = made(&cluster(3, Balance::LeastRequest), None, Some(&before));
    for _ in 0..6 {
        assert_ne!(after.pick(None, 0).unwrap().endpoint, held.endpoint);
    }
}

#[test]
fn many_endpoints_are_not_all_compared_and_still_balanced() {
    let state = state(100, Balance::LeastRequest);
    let held: Vec<_> = (0..1_000).map(|_| state.pick(None, 0).unwrap()).collect();
    let most = state
        .loads
        .iter()
        .map(|load| load.load(super::Relaxed))
        .max();
    assert!(most.unwrap() <= 20, "{most:?}");
    drop(held);
    assert!(
        state
            .loads
            .iter()
            .all(|load| load.load(super::Relaxed) == 0)
    );
}

/// For each key, the endpoint.
fn mapping(state: &ClusterState) -> Vec<Endpoint> {
    let key = |n: u32| hash(format!("client-{n}").as_bytes());
    (0..100_000)
        .map(|n| state.pick(Some(key(n)), 0).unwrap().endpoint.clone())
        .collect()
}

#[test]
fn an_endpoint_that_comes_or_goes_moves_its_share_of_keys_only() {
    let by = || Balance::Hash(HashKey::ClientAddress);
    for count in [1, 2, 3, 10, 50] {
        let (few, many) = (
            mapping(&state(count, by())),
            mapping(&state(count + 1, by())),
        );
        let moved = few.iter().zip(&many).filter(|(a, b)| a != b).count();
        let share = 100_000 / (usize::from(count) + 1);
        assert!(
            moved.abs_diff(share) * 10 <= share,
            "{moved} of 100,000 keys moved between {count} endpoints and one more; a share is {share}"
        );
        // Read forwards it comes, read backwards it goes: either way only its own keys move.
        let new = Endpoint::Address(SocketAddr::from(([10, 0, 0, count], 80)));
        assert!(
            few.iter().zip(&many).all(|(a, b)| a == b || *b == new),
            "nobody moves between the {count} others"
        );
        let mut shares: BTreeMap<&Endpoint, usize> = BTreeMap::new();
        many.iter()
            .for_each(|endpoint| *shares.entry(endpoint).or_default() += 1);
        let even = |held: &usize| held.abs_diff(share) * 10 <= share;
        assert!(shares.values().all(even), "{shares:?}");
    }
}

#[test]
fn an_endpoint_in_the_middle_that_goes_moves_its_own_keys_only() {
    let by = || Balance::Hash(HashKey::ClientAddress);
    let all = state(10, by());
    let before = mapping(&all);
    let gone = all.cluster.endpoints[4].clone();
    let mut fewer = (*all.cluster).clone();
    let left = all.cluster.endpoints.iter().filter(|known| **known != gone);
    fewer.endpoints = left.rev().cloned().collect();
    let after = mapping(&made(&Arc::new(fewer), None, Some(&all)));
    assert!(before.iter().zip(&after).all(|(a, b)| a == b || *a == gone));
    assert!(!after.contains(&gone));
}

#[test]
fn a_further_attempt_goes_elsewhere() {
    let state = state(3, Balance::Hash(HashKey::Host));
    let at = |attempt| state.pick(Some(7), attempt).unwrap().endpoint.clone();
    let all: std::collections::BTreeSet<_> = (0..3).map(at).collect();
    assert_eq!(all.len(), 3);
    assert_eq!(at(3), at(0));
}

#[test]
fn marks_name_endpoints() {
    let state = state(3, Balance::RoundRobin);
    let endpoint = state.pick(None, 0).unwrap().endpoint;
    let mark = state.mark_of(endpoint).unwrap();
    assert_eq!(state.marked(mark).unwrap().endpoint, endpoint);
    assert!(state.has_mark(mark) && !state.has_mark(mark + 1));
}
