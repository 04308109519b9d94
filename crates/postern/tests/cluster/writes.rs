//! Never more than one write per real change: all that the binary asks the API server to do.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    relay::{Relay, Write},
    rules,
    support::World,
};

/// Ingresses at the start.
const INGRESSES: usize = 20;

/// When nothing has been written for so long, everything has been: longer than a status that moves is held back.
const QUIET: Duration = Duration::from_secs(4);

/// Longer than between any two looks that the binary takes without a reason.
const IDLE: Duration = Duration::from_secs(15);

/// Changes of a Gateway's status until it is programmed: it waits for a port, for an address, and counts routes.
const CHANGES_OF_A_GATEWAY: usize = 5;

/// An Ingress that becomes a route with a filter and policies of its own, and of its Service's.
fn ingress(world: &World, at: usize, rewrite: &str) -> Value {
    let backend = json!({ "service": { "name": world.backend, "port": { "number": 80 } } });
    let path =
        json!({ "path": "/a/(.*)", "pathType": "ImplementationSpecific", "backend": backend });
    let annotations = json!({
        "higress.io/upstream-vhost": "web.example",
        "higress.io/rewrite-target": rewrite,
        "nginx.ingress.kubernetes.io/enable-access-log": "false",
        "nginx.ingress.kubernetes.io/proxy-connect-timeout": "10",
    });
    json!({
        "metadata": { "annotations": annotations },
        "spec": {
            "ingressClassName": world.class,
            "rules": [{ "host": format!("shop-{at}.example"), "http": { "paths": [path] } }],
        },
    })
}

/// All that is written until nothing is any more.
async fn settled(relay: &Relay) -> Vec<Write> {
    let mut all = Vec::new();
    loop {
        sleep(QUIET).await;
        let more = relay.writes();
        if more.is_empty() {
            break;
        }
        all.extend(more);
    }
    for write in &all {
        assert!(write.answer < 300 && !write.in_vain, "{write:?}");
    }
    all
}

/// How often each object was written, and how often its status was.
fn counted(writes: &[Write]) -> (BTreeMap<&str, usize>, BTreeMap<&str, usize>) {
    let (mut objects, mut statuses) = (BTreeMap::new(), BTreeMap::new());
    for write in writes {
        match write.path.strip_suffix("/status") {
            Some(path) => *statuses.entry(path).or_default() += 1,
            None => *objects.entry(&*write.path).or_default() += 1,
        }
    }
    (objects, statuses)
}

/// What was written of a kind.
fn of_kind<'a>(writes: &'a [Write], plural: &str) -> Vec<&'a Write> {
    let plural = format!("/{plural}/");
    let of_kind = writes.iter().filter(|write| write.path.contains(&plural));
    of_kind.collect()
}

/// Objects and statuses are written once each, those of Gateways' statuses as often as they change.
fn once_each(writes: &[Write]) {
    let (objects, statuses) = counted(writes);
    for (path, count) in objects {
        assert_eq!(count, 1, "{path}");
    }
    for (path, count) in statuses {
        let gateway = path.contains("/gateways/");
        let most = if gateway { CHANGES_OF_A_GATEWAY } else { 1 };
        assert!(count <= most, "status of {path}: {count} times");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_one_write_and_no_change_is_none() {
    let relay = Relay::start().await;
    let mut world = World::behind("writes", relay.kubeconfig()).await;
    for at in 0..INGRESSES {
        let name = format!("shop-{at}");
        world
            .apply("Ingress", &name, ingress(&world, at, "/$1"))
            .await;
    }
    let made = settled(&relay).await;
    once_each(&made);
    for plural in [
        "httproutes",
        "routefilters",
        "routepolicies",
        "backendpolicies",
    ] {
        let applied = of_kind(&made, plural);
        let created = applied.iter().filter(|write| write.answer == 201);
        assert_eq!(created.count(), INGRESSES, "{plural}: {applied:#?}");
    }
    let ingresses = of_kind(&made, "ingresses");
    assert_eq!(
        ingresses.len(),
        INGRESSES,
        "an address each: {ingresses:#?}"
    );

    // Somebody's own Gateway and route: nothing but their status, and what the Gateway is reached by.
    let listener = json!({ "name": "http", "port": 80, "protocol": "HTTP" });
    let gateway = json!({ "gatewayClassName": world.class, "listeners": [listener] });
    world
        .apply("Gateway", "edge", json!({ "spec": gateway }))
        .await;
    let route = json!({ "parentRefs": [{ "name": "edge" }], "rules": rules(&world.backend) });
    world
        .apply("HTTPRoute", "own", json!({ "spec": route }))
        .await;
    let own = settled(&relay).await;
    once_each(&own);
    let (objects, statuses) = counted(&own);
    assert_eq!(objects.len(), 2, "Service and EndpointSlice: {objects:#?}");
    assert_eq!(statuses.len(), 2, "Gateway and HTTPRoute: {statuses:#?}");

    sleep(IDLE).await;
    assert_eq!(relay.writes(), [], "nothing has changed");

    // One of them is edited.
    world
        .apply("Ingress", "shop-3", ingress(&world, 3, "/b/$1"))
        .await;
    let edited = settled(&relay).await;
    once_each(&edited);
    let (objects, statuses) = counted(&edited);
    assert_eq!(objects.len(), 3, "a filter, another, a route: {objects:#?}");
    assert_eq!(statuses.len(), 1, "the route's: {statuses:#?}");

    // One is edited, and becomes what it was.
    let mut labelled = ingress(&world, 3, "/b/$1");
    labelled["metadata"]["labels"] = json!({ "team": "a" });
    world.apply("Ingress", "shop-3", labelled).await;
    assert_eq!(settled(&relay).await, [], "what it becomes is the same");

    // Another replica takes over.
    world.start("second");
    world.kill_first();
    world.until_leads("second").await;
    sleep(QUIET).await;
    assert_eq!(relay.writes(), [], "all is as it should be");

    // One goes; what it became is the garbage collector's.
    world.delete("Ingress", "shop-4").await;
    let deleted = settled(&relay).await;
    let (objects, statuses) = counted(&deleted);
    assert!(objects.is_empty(), "{objects:#?}");
    let gateways = statuses.keys().filter(|path| path.contains("/gateways/"));
    assert_eq!(
        gateways.count(),
        statuses.len(),
        "counts of routes: {statuses:#?}"
    );
    world.end().await;
}
