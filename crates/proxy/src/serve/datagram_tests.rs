use std::{cell::RefCell, net::SocketAddr, num::NonZeroU32, rc::Rc, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ir::{
    Balance, Cluster, ClusterKey, DatagramPort, Endpoint, Ir, ListenerKey, RuleKey, SocketKey,
    StreamBackend, StreamRule, Target, Transport, Upstream,
};
use telemetry::metrics::Metrics;
use tokio::{net::UdpSocket, sync::mpsc, task::LocalSet, time::timeout};

use super::{LONGEST, Receiver, Together};
use crate::{
    config::Config,
    net::port::{self, PortKey, Sockets},
    observe::{Observer, Telemetry},
    policy::auth::Verifier,
    serve::worker::{Start, Worker},
    snapshot::Snapshot,
    upstream::names::Names,
};

const KEY: PortKey = (
    Transport::Udp,
    SocketKey {
        address: None,
        port: 53,
    },
);

/// A UDP port that leads to this address.
fn to(address: SocketAddr) -> Ir {
    let key = ClusterKey("a".into());
    let rule = StreamRule {
        key: RuleKey("UDPRoute/test/dns".into()),
        route: "UDPRoute/test/dns".into(),
        backends: vec![StreamBackend {
            weight: NonZeroU32::MIN,
            target: Target::Cluster(key.clone()),
        }],
    };
    let port = DatagramPort {
        listener: ListenerKey::of_gateway("test", "test", "dns"),
        others: vec![],
        advertised: None,
        rule: Some(Arc::new(rule)),
    };
    let cluster = Cluster {
        key: key.clone(),
        service: None,
        endpoints: [Endpoint::Address(address)].into(),
        upstream: Upstream::Http1,
        tls: None,
        balance: Balance::RoundRobin,
        timeouts: ir::BackendTimeouts::default(),
    };
    Ir {
        datagrams: [(KEY.1, port)].into(),
        clusters: [(key, Arc::new(cluster))].into(),
        ..Ir::default()
    }
}

fn worker(ir: Ir) -> Rc<Worker> {
    let telemetry = Telemetry::default();
    let metrics = &telemetry.metrics;
    let known = (metrics, &Names::new(&[], metrics));
    let (snapshot, _) = Snapshot::build(Arc::new(ir), &Snapshot::empty(), known);
    let (worker, _) = Worker::new(Start {
        config: Arc::new(Config::default()),
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        observer: Observer::new(&telemetry),
        verifier: Arc::new(Verifier::new()),
        sessions: Arc::default(),
        own: Arc::default(),
        orders: mpsc::unbounded_channel().1,
    });
    Rc::new(worker)
}

#[test]
fn a_session_that_has_just_begun_ends_with_its_port() {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let backend = std::net::UdpSocket::bind(here).unwrap();
    let (port, sockets) = port::bind(KEY, here, 1, &Metrics::new()).unwrap();
    let Sockets::Udp(mut sockets) = sockets else {
        panic!("{sockets:?}")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let worker = worker(to(backend.local_addr().unwrap()));
        let receiver = Rc::new(Receiver {
            worker: Rc::clone(&worker),
            port,
            socket: UdpSocket::from_std(sockets.remove(0)).unwrap(),
            sessions: RefCell::default(),
            answer: RefCell::new(vec![0; LONGEST].into()),
            waiting: Together::default(),
        });
        receiver.take(([192, 0, 2, 1], 4711).into(), b"x");
        assert_eq!(receiver.sessions.borrow().len(), 1);
        // Before its task has had a turn.
        worker.unlisten(KEY);
        let over = async {
            while !receiver.sessions.borrow().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), over).await.unwrap();
    });
}
