//! What happens to requests while Postern, as its chart installs it, or what it depends on comes and goes: nothing.
//!
//! No part of plain `cargo test`: `cargo xtask cluster test life`.
#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;
#[path = "../e2e/grpc/service.rs"]
#[allow(dead_code, reason = "one method of the service is enough here")]
mod grpc;
mod load;
mod stream;

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use testkit::{
    call::{Answer, Call},
    echo::Backend,
    wait::eventually,
};

use cluster::{Cluster, until};
use load::Load;
use stream::Stream;

/// How long the load goes on after something happened: what comes late is met too.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// A change of leaders may take that long.
const TAKEOVER: Duration = Duration::from_secs(15);

/// The chart's `shutdown.delaySeconds`.
const DELAY: Duration = Duration::from_secs(5);

/// The chart's `shutdown.drainSeconds`.
const DRAIN: Duration = Duration::from_secs(30);

/// What starting and ending containers takes.
const LENIENCE: Duration = Duration::from_secs(5);

/// Where probes go.
const ADMIN: u16 = 15000;

/// Runs something under load, with two backends; every request has to be answered with 200.
fn nothing_is_lost(name: &str, happens: impl FnOnce(&Cluster, &[Backend; 2])) {
    let cluster = Cluster::new(name);
    let backends = [Backend::start("one"), Backend::start("two")];
    cluster.gateway();
    cluster.endpoints(&[&backends[0], &backends[1]]);
    let address = cluster.served();
    let load = Load::start(address);
    happens(&cluster, &backends);
    thread::sleep(AFTERWARDS);
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "of {answered}: {failures:#?}");
    assert!(answered > 500, "{answered} requests are no load");
}

#[test]
fn replicas_are_replaced_one_by_one() {
    nothing_is_lost("restart", |cluster, _| {
        cluster.run(&["rollout", "restart", "deployment", "postern"]);
        cluster.rolled_out();
    });
}

#[test]
fn replicas_come_and_go() {
    nothing_is_lost("scale", |cluster, _| {
        for replicas in [4, 1, 2] {
            cluster.scale(replicas);
        }
    });
}

#[test]
fn the_writing_replica_is_deleted() {
    nothing_is_lost("leader", |cluster, _| {
        let holder = || Some(cluster.leader().holder).filter(|holder| !holder.is_empty());
        let leader = until("a leader", holder);
        cluster.run(&["delete", "pod", &leader, "--wait=false"]);
        // By the times in the Lease: how long the kubelet takes to hear of it is no part of the change.
        let mut last = None;
        let took = until("another leader", || {
            let now = cluster.leader();
            if now.holder.is_empty() || now.holder == leader {
                last = Some(now.renewed);
                return None;
            }
            Some(now.acquired.duration_since(last?))
        });
        assert!(took.unsigned_abs() < TAKEOVER, "{took:?}");
        cluster.rolled_out();
    });
}

#[test]
fn the_api_server_is_restarted() {
    nothing_is_lost("apiserver", |cluster, backends| {
        cluster.restart_api_server();
        // What changes afterwards is followed as before.
        cluster.endpoints(&[&backends[1]]);
        let address = cluster.address();
        let who = || Call::get(address, "http://life.example/").send_blocking();
        until("only the second backend", || {
            let answers: Vec<_> = (0..8).map(|_| who().unwrap()).collect();
            let second = |answer: &Answer| answer.backend() == "two";
            answers.iter().all(second).then_some(())
        });
    });
}

/// How long claims may take to follow the definitions.
const FOLLOWED: Duration = Duration::from_secs(30);

#[test]
fn definitions_change_under_a_running_gateway() {
    const CODES: &str = "HTTPRouteRetryCodes";
    nothing_is_lost("definitions", |cluster, backends| {
        let follows = |has: &[&str], lacks: &[&str]| {
            let start = Instant::now();
            until("the right claims", || {
                let claims = cluster.claims();
                let claimed = |name: &&str| claims.iter().any(|claim| claim == name);
                (has.iter().all(claimed) && !lacks.iter().any(claimed)).then_some(())
            });
            let took = start.elapsed();
            assert!(took < FOLLOWED, "{has:?}, not {lacks:?}: {took:?}");
        };
        for (at, (version, channel, has, lacks)) in [
            (
                "1.6.3",
                "experimental",
                &["HTTPRouteRetry"][..],
                &[CODES][..],
            ),
            (
                "1.6.3",
                "standard",
                &["HTTPRoute"],
                &["HTTPRouteRetry", CODES],
            ),
            ("1.6.3", "experimental", &["HTTPRouteRetry"], &[CODES]),
            (
                "1.7.0",
                "standard",
                &[CODES],
                &["HTTPRouteDestinationPortMatching"],
            ),
            (
                "1.7.0",
                "experimental",
                &[CODES, "HTTPRouteDestinationPortMatching"],
                &[],
            ),
        ]
        .into_iter()
        .enumerate()
        {
            cluster.definitions(version, channel);
            follows(has, lacks);
            // What changes afterwards is followed as before.
            let backend = &backends[at % 2];
            cluster.endpoints(&[backend]);
            let address = cluster.address();
            until("the other backend, and no other", || {
                let ask = || Call::get(address, "http://life.example/").send_blocking();
                let answers: Vec<_> = (0..8).map(|_| ask().unwrap()).collect();
                let right = |answer: &Answer| answer.backend() == ["one", "two"][at % 2];
                answers.iter().all(right).then_some(())
            });
        }
        cluster.prune_retries();
        follows(&["HTTPRoute"], &[CODES, "HTTPRouteRetryConnectionError"]);
        cluster.definitions("1.7.0", "experimental");
        follows(&[CODES, "HTTPRouteRetryConnectionError"], &[]);
    });
}

#[test]
fn endpoints_change_all_the_time() {
    nothing_is_lost("endpoints", |cluster, [one, two]| {
        for _ in 0..15 {
            cluster.endpoints(&[one]);
            cluster.endpoints(&[one, two]);
            cluster.endpoints(&[two]);
        }
        cluster.endpoints(&[one, two]);
    });
}

/// Streams end when the replica that they are on has to: the delay and the drain deadline of the chart, and a bit.
#[test]
fn a_slow_request_and_streams_live_while_their_replica_drains() {
    let cluster = Cluster::new("drain");
    let backend = Backend::start("one");
    cluster.gateway();
    cluster.endpoints(&[&backend]);
    let address = cluster.served();
    cluster.scale(1);
    let grpc = stream::Grpc::open(address, |server| cluster.grpc(stream::HOST, server));
    let websocket = stream::WebSocket::open(address);
    let before = backend.hits();
    // Longer than its successor takes to get ready, and the delay after that: it is answered while the replica drains.
    let slow = thread::spawn(move || {
        let call = Call::get(address, "http://life.example/?delay=24000");
        call.within(Duration::from_secs(45)).send_blocking()
    });
    eventually("the slow request arrives", || backend.hits() > before);
    let load = Load::start(address);
    cluster.run(&["rollout", "restart", "deployment", "postern"]);
    until("the end of the replica", || {
        cluster.a_pod_ends().then_some(())
    });
    let start = Instant::now();
    let streams: [Box<dyn Stream>; 2] = [Box::new(grpc), Box::new(websocket)];
    let lives = streams.map(|mut stream| {
        thread::spawn(move || {
            while stream.echoes() {
                thread::sleep(Duration::from_millis(200));
            }
            start.elapsed()
        })
    });
    let slow = slow.join().unwrap().unwrap();
    assert_eq!(slow.status.as_u16(), 200);
    assert!(start.elapsed() > DELAY, "answered before it drained");
    let lived = lives.map(|life| life.join().unwrap());
    let (answered, failures) = load.end();
    assert!(failures.is_empty(), "of {answered}: {failures:#?}");
    let deadline = DELAY + DRAIN;
    for lived in lived {
        assert!(
            lived > deadline - LENIENCE && lived < deadline + LENIENCE,
            "gRPC, WebSocket: {lived:?}"
        );
    }
    cluster.rolled_out();
    cluster.scale(2);
}

#[test]
fn a_replica_is_not_ready_before_it_serves_everything() {
    let cluster = Cluster::new("ready");
    let backend = Backend::start("one");
    cluster.gateway();
    cluster.endpoints(&[&backend]);
    cluster.served();
    cluster.scale(1);
    cluster.delete_pods();
    // The new one is asked past the Service.
    let port = cluster.container_port().unwrap();
    let pod = until("the new pod", || cluster.new_pod());
    let status = |port: u16| {
        let direct = SocketAddr::new(pod, port);
        // The admin endpoint is asked by its address.
        let host = match port {
            ADMIN => direct.to_string(),
            _ => "life.example".to_owned(),
        };
        let answer = Call::get(direct, &format!("http://{host}/readyz")).send_blocking();
        answer.ok().map(|answer| answer.status.as_u16())
    };
    until("readiness", || {
        let ready = status(ADMIN) == Some(200);
        let served = status(port);
        // No listener at all, or one that has all routes.
        assert!(served.is_none_or(|status| status == 200), "{served:?}");
        assert!(!ready || served.is_some(), "Ready, and nobody listens");
        ready.then_some(())
    });
    cluster.scale(2);
}
