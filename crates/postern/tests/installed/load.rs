//! Requests without a pause, for as long as something goes on.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use testkit::call::{Call, DEADLINE};

/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(5);

/// What clients that keep their connections send.
const REQUEST: &[u8] = b"GET /kept HTTP/1.1\r\nhost: life.example\r\n\r\n";

/// Four clients: two with a connection for each request, two that keep theirs.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |keeps: bool| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || asks(address, keeps, &stop))
        };
        let clients = [false, false, true, true].map(client).into();
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

fn asks(address: SocketAddr, keeps: bool, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    let mut kept = None;
    while !stop.load(Relaxed) {
        let status = if keeps {
            over_kept(&mut kept, address)
        } else {
            let call = Call::get(address, "http://life.example/").send_blocking();
            call.map(|answer| answer.status.as_u16())
        };
        match status {
            Ok(200) => answered += 1,
            Ok(status) => failures.push(format!("kept {keeps}: {status}")),
            Err(error) => failures.push(format!("kept {keeps}: {error}")),
        }
        thread::sleep(PACE);
    }
    (answered, failures)
}

/// A connection with what was read from it.
type Kept = BufReader<TcpStream>;

/// Asks over the connection, or another if it has been closed between two requests, as clients do.
fn over_kept(kept: &mut Option<Kept>, address: SocketAddr) -> Result<u16, String> {
    if let Some(mut connection) = kept.take()
        && let Some((status, stays)) = exchange(&mut connection)?
    {
        *kept = stays.then_some(connection);
        return Ok(status);
    }
    let mut connection = BufReader::new(connect(address)?);
    let answer = exchange(&mut connection)?.ok_or("closed without an answer")?;
    *kept = answer.1.then_some(connection);
    Ok(answer.0)
}

pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(DEADLINE))
        .map_err(|e| e.to_string())?;
    Ok(stream)
}

/// The status, and whether the connection can be used again; nothing if it was closed before a byte of an answer came.
fn exchange(connection: &mut Kept) -> Result<Option<(u16, bool)>, String> {
    if connection.get_mut().write_all(REQUEST).is_err() {
        return Ok(None);
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match connection.read_line(&mut head) {
            Ok(0) | Err(_) if head.is_empty() => return Ok(None),
            Ok(0) => return Err(format!("closed after {head:?}")),
            Ok(_) => {}
            Err(error) => return Err(format!("{error} after {head:?}")),
        }
    }
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(field, _)| *field == name);
        found.next().map(|(_, value)| value.trim())
    };
    let length: u64 = field("content-length")
        .and_then(|length| length.parse().ok())
        .ok_or_else(|| format!("no length: {head}"))?;
    let mut body = Vec::new();
    let read = connection.take(length).read_to_end(&mut body);
    if u64::try_from(read.map_err(|e| e.to_string())?) != Ok(length) {
        return Err("the body ends early".to_owned());
    }
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("no status: {head}"))?;
    Ok(Some((status, field("connection") != Some("close"))))
}
