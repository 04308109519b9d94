//! Requests without a pause, for as long as something goes on.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use testkit::{
    call::{Call, DEADLINE},
    kept::Kept,
};

/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(5);

/// Between two requests of clients that keep their connections: a replica that ends finds them asking, and idle.
const PAUSES: [Duration; 4] = [
    PACE,
    Duration::from_millis(40),
    Duration::from_millis(300),
    Duration::from_secs(3),
];

/// Six clients: two with a connection for each request, four that keep theirs and repeat nothing.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |pause: Option<Duration>| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || asks(address, pause, &stop))
        };
        let pauses = PAUSES.map(Some);
        let clients = [None; 2].into_iter().chain(pauses);
        let clients = clients.map(client).collect();
        Self { stop, clients }
    }

    /// How many requests were answered with 200, and what became of the others.
    pub(crate) fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Relaxed);
        let mut all = (0, Vec::new());
        for client in self.clients {
            let (answered, failures) = client.join().unwrap();
            all.0 += answered;
            all.1.extend(failures);
        }
        all
    }
}

fn asks(address: SocketAddr, pause: Option<Duration>, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    let mut kept = Kept::new("life.example", "/kept");
    while !stop.load(Relaxed) {
        let status = match pause {
            Some(_) => kept.ask(address),
            None => Call::get(address, "http://life.example/")
                .send_blocking()
                .map(|answer| answer.status.as_u16()),
        };
        match status {
            Ok(200) => answered += 1,
            Ok(status) => failures.push(format!("{pause:?}: {status}")),
            Err(error) => failures.push(format!("{pause:?}: {error}")),
        }
        thread::sleep(pause.unwrap_or(PACE));
    }
    (answered, failures)
}

pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(DEADLINE))
        .map_err(|e| e.to_string())?;
    Ok(stream)
}
