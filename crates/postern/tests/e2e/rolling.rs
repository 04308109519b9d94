//! One process after another, as a rolling restart has it, and clients that keep their connections all the while.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use testkit::kept::Kept;

use crate::support::{Example, Gateway, Start};

const RESTARTS: usize = 3;

/// Between two requests of a client.
const PAUSES: [Duration; 8] = {
    let pause = Duration::from_millis;
    [
        pause(0),
        pause(1),
        pause(5),
        pause(10),
        pause(50),
        pause(150),
        pause(400),
        pause(900),
    ]
};

/// For how long new connections still come to a process that ends.
const UNNOTICED: Duration = Duration::from_millis(300);

/// Where new connections lead: what a load balancer knows.
type Balancer = Arc<Mutex<SocketAddr>>;

struct Client(JoinHandle<(usize, Vec<String>)>);

impl Client {
    fn start(balancer: &Balancer, pause: Duration, stop: &Arc<AtomicBool>) -> Self {
        let (balancer, stop) = (Arc::clone(balancer), Arc::clone(stop));
        Self(thread::spawn(move || {
            let mut kept = Kept::new("any.example.com", "/hello");
            let (mut answered, mut lost) = (0, Vec::new());
            while !stop.load(Relaxed) {
                let address = *balancer.lock();
                match kept.ask(address) {
                    Ok(200) => answered += 1,
                    Ok(status) => lost.push(format!("{pause:?}: {status}")),
                    Err(error) => lost.push(format!("{pause:?}: {error}")),
                }
                thread::sleep(pause);
            }
            (answered, lost)
        }))
    }
}

fn start(example: &Example) -> Gateway {
    Start::default()
        .arg("--drain-delay=1500ms")
        .serve(example.folder.path())
}

#[test]
fn clients_that_keep_their_connections_lose_nothing() {
    let example = Example::new("canary-by-header");
    let mut now = start(&example);
    let balancer: Balancer = Arc::new(Mutex::new(now.address(80)));
    let stop = Arc::new(AtomicBool::new(false));
    let clients = PAUSES.map(|pause| Client::start(&balancer, pause, &stop));
    for _ in 0..RESTARTS {
        let next = start(&example);
        now.signal("TERM");
        thread::sleep(UNNOTICED);
        assert_eq!(now.page("/readyz").status.as_u16(), 503);
        *balancer.lock() = next.address(80);
        let mut before = std::mem::replace(&mut now, next);
        assert_eq!(before.end(), Some(0));
        before.wait_for("drained");
    }
    stop.store(true, Relaxed);
    let outcomes = clients.map(|client| client.0.join().unwrap());
    for (answered, lost) in &outcomes {
        assert!(lost.is_empty(), "of {answered}: {lost:#?}");
    }
    assert!(outcomes.iter().all(|(answered, _)| *answered >= RESTARTS));
}
