//! What is taken over from one snapshot to the next: by address, since equal is not enough to cost nothing.

use std::{num::NonZeroU32, sync::Arc};

use ir::{
    Action, Backend, BackendTimeouts, Balance, Cluster, ClusterKey, Endpoint, Forward, HostPattern,
    Ir, Listener, ListenerKey, PathMatch, Port, Protocol, RequestMatch, Route, Rule, RuleKey,
    SocketKey, Target, Timeouts, Upstream, VirtualHost,
};
use telemetry::metrics::Metrics;

use super::{RuleState, Snapshot};
use crate::upstream::names::Names;

const SOCKET: SocketKey = SocketKey {
    address: None,
    port: 80,
};

fn cluster(name: &str, endpoint: &str) -> Arc<Cluster> {
    Arc::new(Cluster {
        key: ClusterKey(name.into()),
        service: None,
        endpoints: [Endpoint::Address(endpoint.parse().unwrap())].into(),
        upstream: Upstream::Http1,
        tls: None,
        balance: Balance::RoundRobin,
        timeouts: BackendTimeouts::default(),
    })
}

/// A host whose only rule leads to the cluster of its name.
fn host(name: &str) -> Arc<VirtualHost> {
    let backend = Backend {
        weight: NonZeroU32::MIN,
        target: Target::Cluster(ClusterKey(name.into())),
        request: vec![],
        response: vec![],
        url: None,
    };
    let action = Action::Forward(Forward {
        backends: vec![backend],
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
        fallback: None,
    });
    let rule = Rule::new(RuleKey(name.into()), "HTTPRoute/test/test".into(), action);
    let matches = RequestMatch {
        path: PathMatch::prefix("/"),
        method: None,
        headers: vec![],
        query: vec![],
    };
    Arc::new(VirtualHost {
        host: HostPattern::parse(&format!("{name}.test")).unwrap(),
        settings: ir::HostSettings::default(),
        routes: vec![Route {
            matches,
            host_fallthrough: false,
            https: None,
            rule: Arc::new(rule),
        }],
    })
}

fn ir(hosts: &[Arc<VirtualHost>], clusters: &[Arc<Cluster>]) -> Arc<Ir> {
    let listener = Listener {
        key: ListenerKey::of_gateway("test", "test", "http"),
        others: vec![],
        hostname: HostPattern::Any,
        tls: None,
        hosts: hosts.to_vec(),
        streams: None,
        underscores: ir::Underscores::Allow,
        paths: ir::Paths::default(),
        admission: ir::Admission::Open,
    };
    let port = Port {
        protocol: Protocol::Http,
        advertised: None,
        listeners: vec![Arc::new(listener)],
    };
    let clusters = clusters.iter();
    Arc::new(Ir {
        ports: [(SOCKET, port)].into(),
        datagrams: [].into(),
        clusters: clusters
            .map(|cluster| (cluster.key.clone(), Arc::clone(cluster)))
            .collect(),
    })
}

fn rules(snapshot: &Snapshot) -> Vec<Arc<RuleState>> {
    let rules = snapshot.ports[&SOCKET].router.payloads();
    rules.cloned().collect()
}

/// Which rules are the same object in both.
fn kept(before: &Snapshot, now: &Snapshot) -> Vec<bool> {
    let pairs = rules(before).into_iter().zip(rules(now));
    pairs
        .map(|(before, now)| Arc::ptr_eq(&before, &now))
        .collect()
}

fn build(ir: Arc<Ir>, before: &Snapshot) -> Snapshot {
    let metrics = Metrics::default();
    let names = Names::new(&[], &metrics);
    let (snapshot, errors) = Snapshot::build(ir, before, (&metrics, &names));
    assert_eq!(errors.len(), 0);
    snapshot
}

#[test]
fn hosts_that_stay_the_same_are_not_built_again() {
    let hosts = [host("a"), host("b")];
    let clusters = [cluster("a", "127.0.0.1:1"), cluster("b", "127.0.0.1:2")];
    let first = build(ir(&hosts, &clusters), &Snapshot::empty());
    let second = build(ir(&hosts, &clusters), &first);
    assert_eq!(kept(&first, &second), [true, true]);
    // The same in meaning, and another object: somebody changed it.
    let third = build(ir(&[hosts[0].clone(), host("b")], &clusters), &second);
    assert_eq!(kept(&second, &third), [true, false]);
}

#[test]
fn endpoints_that_change_reach_the_rules_that_use_them_and_no_others() {
    let hosts = [host("a"), host("b")];
    let clusters = [cluster("a", "127.0.0.1:1"), cluster("b", "127.0.0.1:2")];
    let first = build(ir(&hosts, &clusters), &Snapshot::empty());
    let moved = cluster("b", "127.0.0.1:3");
    let second = build(ir(&hosts, &[clusters[0].clone(), moved.clone()]), &first);
    assert_eq!(kept(&first, &second), [true, false]);
    let built = rules(&second);
    let (_, found) = built[1].pick().unwrap();
    assert_eq!(found.unwrap().cluster, moved);
    // What lasts is known from before, of rules that were taken over as of those that were built.
    for (before, now) in rules(&first).iter().zip(rules(&second)) {
        assert!(Arc::ptr_eq(&before.lasting, &now.lasting));
    }
    let third = build(ir(&hosts, &[clusters[0].clone(), moved]), &second);
    assert_eq!(kept(&second, &third), [true, true]);
}
