//! An API server that is slow, busy, forgetful or away: what is served stays, and what changed meanwhile is caught up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::call::Call;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    relay::{Fault, Relay},
    rules,
    support::{World, socket},
};

/// Between two requests of the load.
const PACE: Duration = Duration::from_millis(20);

/// The longest wait of a watch after an error, a quarter more for chance, and what reading takes on a busy machine.
const CATCHES_UP: Duration = Duration::from_secs(14);

/// All that may meet with what is wrong, some ten requests for each kind: one that asks again and again makes it worse.
const MOST: usize = 300;

/// Requests without a pause for what stays served.
struct Load {
    stop: Arc<AtomicBool>,
    client: JoinHandle<(usize, Vec<String>)>,
}

impl Load {
    fn start(address: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let address = socket(address, 80);
        let client = tokio::spawn(async move {
            let (mut answered, mut failures) = (0, Vec::new());
            while !stopped.load(Relaxed) {
                match Call::get(address, "http://stays.example/").send().await {
                    Ok(answer) if answer.status == 200 => answered += 1,
                    Ok(answer) => failures.push(answer.status.to_string()),
                    Err(error) => failures.push(error),
                }
                sleep(PACE).await;
            }
            (answered, failures)
        });
        Self { stop, client }
    }

    async fn end(self) {
        self.stop.store(true, Relaxed);
        let (answered, failures) = self.client.await.unwrap();
        assert!(failures.is_empty(), "of {answered}: {failures:#?}");
        assert!(answered > 100, "{answered} requests are no load");
    }
}

fn route(host: &str, service: &str) -> Value {
    let parents = json!([{ "name": "edge" }]);
    let rules = rules(service);
    json!({ "spec": { "parentRefs": parents, "hostnames": [host], "rules": rules } })
}

/// A Gateway that is served, at the address of the answer, with two routes.
async fn served(world: &World) -> String {
    let listener = json!({ "name": "http", "port": 80, "protocol": "HTTP" });
    let spec = json!({ "gatewayClassName": world.class, "listeners": [listener] });
    world
        .apply("Gateway", "edge", json!({ "spec": spec }))
        .await;
    for name in ["stays", "goes"] {
        let route = route(&format!("{name}.example"), &world.backend);
        world.apply("HTTPRoute", name, route).await;
    }
    let address = world.address("edge").await.to_string();
    for host in ["stays.example", "goes.example"] {
        world.until_host_answers(&address, host, 200).await;
    }
    address
}

/// Lets something be wrong for a while, in which one route comes with its backend and one goes, under load. `late`: the
/// change cannot have been heard of before it is over.
async fn through(name: &str, fault: Fault, lasts: Duration, late: bool) {
    let relay = Relay::start().await;
    let world = World::behind(name, relay.kubeconfig()).await;
    let address = served(&world).await;
    let load = Load::start(&address);
    relay.set(fault);
    world.another_backend("late").await;
    world
        .apply("HTTPRoute", "comes", route("comes.example", "late"))
        .await;
    world.delete("HTTPRoute", "goes").await;
    sleep(lasts).await;
    let met = relay.met();
    assert!((1..MOST).contains(&met), "{met} requests met with it");
    if late {
        let statuses = [
            world.status(&address, "comes.example").await,
            world.status(&address, "goes.example").await,
        ];
        assert_eq!(statuses, [Some(404), Some(200)], "the last state is served");
    }
    relay.set(Fault::None);
    let over = Instant::now();
    world
        .until_host_answers(&address, "comes.example", 200)
        .await;
    world
        .until_host_answers(&address, "goes.example", 404)
        .await;
    assert!(over.elapsed() < CATCHES_UP, "{:?}", over.elapsed());
    // Writing goes on too.
    world
        .until("HTTPRoute", "comes", |route| {
            route["status"]["parents"][0].is_object()
        })
        .await;
    load.end().await;
    world.end().await;
}

/// So long that waits which double without a bound would be longer than [`CATCHES_UP`] in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_api_server_is_asked_again_and_served_meanwhile() {
    through("busy", Fault::Busy, Duration::from_secs(32), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_answered_with_410_begin_anew() {
    through("expired", Fault::Expired, Duration::from_secs(6), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_end_with_410_begin_anew() {
    through("desynced", Fault::Desynced, Duration::from_secs(6), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_api_server_delays_nothing_but_the_news() {
    // Calls about the Lease take longer than they may.
    let slow = Fault::Slow(Duration::from_secs(3));
    through("slow", slow, Duration::from_secs(10), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_cuts_connections_is_found_again() {
    through("gone", Fault::Gone, Duration::from_secs(10), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_of_429_changes_neither_the_leader_nor_a_status() {
    let relay = Relay::start().await;
    let mut world = World::behind("moment", relay.kubeconfig()).await;
    served(&world).await;
    // Another one waits for the Lease, and has an API server that is well.
    world.in_front();
    world.start("second");
    let before = (world.lease().await, world.list("Gateway").await);
    relay.set(Fault::Busy);
    sleep(Duration::from_secs(3)).await;
    assert!(relay.met() > 0, "nothing was wrong");
    relay.set(Fault::None);
    // As long as the Lease lasts, and then some.
    sleep(Duration::from_secs(15)).await;
    let after = (world.lease().await, world.list("Gateway").await);
    for field in ["holderIdentity", "leaseTransitions", "acquireTime"] {
        assert_eq!(after.0[field], before.0[field], "{field}");
    }
    assert_ne!(after.0["renewTime"], before.0["renewTime"], "it is renewed");
    assert_eq!(after.1, before.1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_gateway_api_is_waited_for() {
    let relay = Relay::start().await;
    relay.set(Fault::Lacking);
    let world = World::behind("lacking", relay.kubeconfig()).await;
    let backend = json!({ "service": { "name": world.backend, "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": backend });
    let ingress = json!({ "spec": {
        "ingressClassName": world.class,
        "rules": [{ "host": "shop.example", "http": { "paths": [path] } }],
    }});
    world.apply("Ingress", "shop", ingress).await;
    sleep(Duration::from_secs(15)).await;
    // Two looks at up to four versions each, and nothing that would be written in vain.
    assert!((2..=8).contains(&relay.met()), "{} requests", relay.met());
    world
        .until_said("the API server lacks GatewayClass, Gateway, ListenerSet, HTTPRoute")
        .await;
    relay.set(Fault::None);
    let placed = |ingress: &Value| ingress["status"]["loadBalancer"]["ingress"][0].is_object();
    let ingress = world.until("Ingress", "shop", placed).await;
    let address = ingress["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
    world
        .until_host_answers(address.as_str().unwrap(), "shop.example", 200)
        .await;
    world.until_some("HTTPRoute", |_| true).await;
    world.end().await;
}
