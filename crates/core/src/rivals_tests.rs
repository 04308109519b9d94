use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Kind, ObjectKey, ObjectRef, Resources};
use ir::HostPattern;
use proptest::prelude::{Strategy, proptest};

use super::{Refusal, Rivals, Seniority};
use crate::{
    Options, Translation, Translator,
    precedence::{Age, Alphabetical},
    testing,
};

type Hosts = Arc<[HostPattern]>;

const HOSTS: [&str; 7] = [
    "a.com",
    "b.a.com",
    "*.a.com",
    "*.com",
    "c.com",
    "*",
    "*.b.a.com",
];

fn rank(kind: Kind, name: usize, day: usize, rejected: bool) -> Seniority {
    let time = format!("\"2026-01-{:02}T00:00:00Z\"", day + 1);
    Seniority {
        rejected,
        age: Age::Since(serde_json::from_str(&time).unwrap()),
        name: Alphabetical(ObjectKey::new("default", name.to_string())),
        kind,
    }
}

fn hosts(all: impl IntoIterator<Item = usize>) -> Hosts {
    let hosts = all.into_iter();
    let hosts = hosts.map(|at| HostPattern::parse(HOSTS[at]).unwrap());
    hosts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The rule as it is written: each against all that stay before it.
fn plainly(all: &BTreeMap<Seniority, Hosts>) -> BTreeMap<ObjectRef, Refusal> {
    let mut standing: Vec<(&Seniority, &Hosts)> = Vec::new();
    let mut refused = BTreeMap::new();
    for (rank, hosts) in all {
        let refusal = standing.iter().find_map(|(other, theirs)| {
            let mut shared = hosts
                .iter()
                .flat_map(|host| theirs.iter().filter_map(|their| their.intersect(host)));
            let host = shared.next().filter(|_| other.kind != rank.kind)?;
            Some(Refusal {
                by: other.route(),
                host,
            })
        });
        match refusal {
            Some(refusal) => drop(refused.insert(rank.route(), refusal)),
            None => standing.push((rank, hosts)),
        }
    }
    refused
}

/// Rivals, and what has been said of them.
#[derive(Default)]
struct Trial {
    rivals: Rivals,
    all: BTreeMap<Seniority, Hosts>,
    refused: BTreeMap<ObjectRef, Refusal>,
}

impl Trial {
    /// Has routes go and come, and compares what is said with the rule.
    fn change(&mut self, gone: &[Seniority], come: Vec<(Seniority, Hosts)>) {
        for rank in gone {
            self.all.remove(rank);
            self.refused.remove(&rank.route());
        }
        self.all.extend(come.iter().cloned());
        for (route, refusal) in self.rivals.change(gone.iter().cloned().collect(), come) {
            match refusal {
                Some(refusal) => drop(self.refused.insert(route, Arc::unwrap_or_clone(refusal))),
                None => drop(self.refused.remove(&route)),
            }
        }
        assert_eq!(self.refused, plainly(&self.all));
    }
}

fn route() -> impl Strategy<Value = (Seniority, Hosts)> {
    let kind = proptest::sample::select(vec![Kind::HttpRoute, Kind::GrpcRoute]);
    let hosts = proptest::collection::vec(0..HOSTS.len(), 1..3).prop_map(hosts);
    let parts = (kind, 0..6_usize, 0..4_usize, proptest::bool::weighted(0.1));
    let rank = parts.prop_map(|(kind, name, day, rejected)| rank(kind, name, day, rejected));
    (rank, hosts)
}

proptest! {
    #[test]
    fn changes_lead_where_the_rule_leads(
        steps in proptest::collection::vec((proptest::collection::vec((route(), proptest::bool::ANY), 1..4), 0..3_usize), 1..12),
    ) {
        let mut trial = Trial::default();
        for (step, again) in steps {
            let mut come: BTreeMap<ObjectRef, (Seniority, Hosts)> = BTreeMap::new();
            let mut named = BTreeSet::new();
            for ((rank, hosts), stays) in step {
                named.insert(rank.route());
                if stays {
                    come.insert(rank.route(), (rank, hosts));
                }
            }
            // Some that the step does not name come back as they were.
            let others = trial.all.iter().filter(|(rank, _)| !named.contains(&rank.route()));
            for (rank, hosts) in others.step_by(2).take(again) {
                come.insert(rank.route(), (rank.clone(), hosts.clone()));
            }
            named.extend(come.keys().cloned());
            let gone = trial.all.keys().filter(|rank| named.contains(&rank.route()));
            let gone: Vec<_> = gone.cloned().collect();
            trial.change(&gone, come.into_values().collect());
        }
    }
}

#[test]
fn crowds_on_one_host() {
    let crowd = |kind, day| (0..200).map(move |name| (rank(kind, name, day, false), hosts([0])));
    let first = rank(Kind::GrpcRoute, 999, 0, false);
    let mut trial = Trial::default();
    trial.change(&[], crowd(Kind::HttpRoute, 1).collect());
    trial.change(&[], crowd(Kind::GrpcRoute, 2).collect());
    assert_eq!(trial.refused.len(), 200);
    // All of the one kind give way, and all of the other come back.
    trial.change(&[], vec![(first.clone(), hosts([2, 5]))]);
    assert!(trial.refused.keys().all(|key| key.kind == Kind::HttpRoute));
    trial.change(&[first], Vec::new());
    assert!(trial.refused.keys().all(|key| key.kind == Kind::GrpcRoute));
    let all: Vec<_> = crowd(Kind::GrpcRoute, 2).map(|(rank, _)| rank).collect();
    trial.change(&all, Vec::new());
    assert_eq!(trial.refused.len(), 0);
    assert!(trial.rivals.grpc.at.is_empty() && trial.rivals.grpc.within.is_empty());
}

#[test]
fn whoever_comes_back_as_before_has_nobody_asked() {
    let first = (rank(Kind::HttpRoute, 0, 0, false), hosts([5]));
    let crowd = (0..100).map(|name| (rank(Kind::GrpcRoute, name, 1, false), hosts([0])));
    let crowd: Vec<_> = crowd.collect();
    let mut rivals = Rivals::default();
    rivals.begin(crowd.iter().cloned().chain([first.clone()]));
    let exchange = |rivals: &mut Rivals, gone: &Seniority, come| {
        let (stand, affected) = rivals.exchange(BTreeSet::from([gone.clone()]), vec![come]);
        (stand, affected.ranks.len())
    };

    let stays = exchange(&mut rivals, &first.0, first.clone());
    assert_eq!(stays, (Vec::new(), 0));
    let (stand, asked) = exchange(&mut rivals, &crowd[0].0, crowd[0].clone());
    let refusal = Refusal {
        by: first.0.route(),
        host: HostPattern::parse("a.com").unwrap(),
    };
    let refused = (crowd[0].0.route(), Some(Arc::new(refusal)));
    assert_eq!((stand, asked), (vec![refused], 0));

    // With another host, or another age, it does matter.
    let (stand, asked) = exchange(&mut rivals, &first.0, (first.0.clone(), hosts([4])));
    assert_eq!((stand, asked), (Vec::new(), 101));
    let younger = (rank(Kind::HttpRoute, 0, 2, false), hosts([4]));
    let (stand, asked) = exchange(&mut rivals, &first.0, younger);
    assert_eq!((stand, asked), (Vec::new(), 1));
}

#[test]
fn names_are_compared_as_one_text() {
    let of = |namespace: &str, name: &str| Seniority {
        name: Alphabetical(ObjectKey::new(namespace, name)),
        ..rank(Kind::HttpRoute, 0, 0, false)
    };
    let ranked = [
        of("a", "x"),
        of("a-b", "x"),
        of("a/b", "c"),
        of("a", "b/c"),
        of("a.b", "a"),
    ];
    let mut sorted = BTreeSet::new();
    for rank in ranked {
        assert!(sorted.insert(rank));
    }
    let names = sorted.iter().map(|rank| rank.name.0.to_string());
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["a-b/x", "a.b/a", "a/b/c", "a/b/c", "a/x"]);
}

const OBJECTS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec: {gatewayClassName: postern, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {parentRefs: [{name: gw}], hostnames: [a.com]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: default, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {parentRefs: [{name: gw}], hostnames: ["*.com"]}
---
{apiVersion: v1, kind: Service, metadata: {name: svc, namespace: default}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}
"#;

/// One of them with a backend.
const CALLS: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: default, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {parentRefs: [{name: gw}], hostnames: ["*.com"], rules: [{backendRefs: [{name: svc, port: 80, weight: 2}]}]}
"#;

/// Hosts with the kind of their first route.
fn served(translation: &Translation) -> Vec<String> {
    let ports = translation.ir.ports.values();
    let hosts = ports.flat_map(|port| port.listeners.iter().flat_map(|at| &at.hosts));
    let hosts = hosts.map(|host| {
        let key = host.routes[0].rule.key.to_string();
        format!("{} {}", host.host, key.split('/').next().unwrap())
    });
    hosts.collect()
}

fn accepted(translation: &Translation, route: &str) -> &'static str {
    let status = &translation.status.routes[&route.parse().unwrap()];
    status.parents[0].conditions[0].reason
}

#[test]
fn whoever_gave_way_comes_back() {
    let (options, mut translator) = (Options::default(), Translator::default());
    let mut translate = |resources: &Resources| {
        let translation = translator.translate(resources, &options);
        assert_eq!(translation, crate::translate(resources, &options));
        testing::assert_sound(&translation.ir);
        translation
    };
    let mut resources = testing::resources(OBJECTS);
    let web = resources
        .get(&"HTTPRoute/default/web".parse().unwrap())
        .unwrap();
    let both = translate(&resources);
    assert_eq!(served(&both), ["a.com HTTPRoute"]);
    assert_eq!(
        accepted(&both, "GRPCRoute/default/calls"),
        "HostnameConflict"
    );

    // One that has given way stays away, whatever else of it changes.
    resources.extend(testing::resources(CALLS));
    let changed = translate(&resources);
    assert_eq!(served(&changed), ["a.com HTTPRoute"]);
    assert_eq!(
        accepted(&changed, "GRPCRoute/default/calls"),
        "HostnameConflict"
    );
    resources.extend(testing::resources(OBJECTS));
    assert_eq!(translate(&resources), both);

    resources.remove(&web.reference());
    let calls = translate(&resources);
    assert_eq!(served(&calls), ["*.com GRPCRoute"]);
    assert_eq!(accepted(&calls, "GRPCRoute/default/calls"), "Accepted");

    resources.insert(web);
    assert_eq!(translate(&resources), both);
    // What matters is when they were made, not who was there first.
    let younger = OBJECTS.replace("2026-01-01", "2026-01-03");
    resources.extend(testing::resources(&younger));
    let other = translate(&resources);
    assert_eq!(served(&other), ["*.com GRPCRoute"]);
    assert_eq!(
        accepted(&other, "HTTPRoute/default/web"),
        "HostnameConflict"
    );
    // Another host is out of the way.
    resources.extend(testing::resources(&younger.replace("[a.com]", "[a.org]")));
    let apart = translate(&resources);
    assert_eq!(served(&apart), ["a.org HTTPRoute", "*.com GRPCRoute"]);
}
