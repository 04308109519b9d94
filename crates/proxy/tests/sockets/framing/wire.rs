//! HTTP/1.1 by its bytes: a backend that says what it is told to, and a client that reads what comes.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use testkit::echo::any;

/// The longest that a read waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// One thing that a backend does once it has a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Writes these bytes.
    Say(&'static str),
    /// Ends the connection.
    Close,
}

/// A backend that reads whole requests and answers the first on each connection with its steps, and later ones with
/// `later` as the body. It serves until the process ends.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    pub(super) fn start(steps: &'static [Step]) -> Self {
        let listener = TcpListener::bind(any()).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                thread::spawn(move || serve(stream, steps, &log));
            }
        });
        Self { address, seen }
    }

    /// Every request so far, as it came over the wire.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

fn serve(mut stream: TcpStream, steps: &'static [Step], log: &Mutex<Vec<String>>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_nodelay(true);
    let mut ahead = Vec::new();
    let mut first = true;
    while let Some(request) = read_request(&mut stream, &mut ahead) {
        log.lock().push(request);
        if !std::mem::take(&mut first) {
            let later = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nlater";
            if stream.write_all(later).is_err() {
                return;
            }
            continue;
        }
        for step in steps {
            match step {
                Step::Say(text) => {
                    if stream.write_all(text.as_bytes()).is_err() {
                        return;
                    }
                }
                Step::Close => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}

/// A request with its body, by `Content-Length` or up to the last chunk; what came of one that breaks off.
fn read_request(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = request_end(ahead) {
            let rest = ahead.split_off(end);
            let request = std::mem::replace(ahead, rest);
            return Some(String::from_utf8_lossy(&request).into_owned());
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => ahead.extend_from_slice(&buffer[..read]),
            _ if ahead.is_empty() => return None,
            _ => {
                let part = format!("{} (broken off)", String::from_utf8_lossy(ahead));
                ahead.clear();
                return Some(part);
            }
        }
    }
}

fn request_end(bytes: &[u8]) -> Option<usize> {
    let (head, body) = split_head(bytes)?;
    if field(head, "transfer-encoding").is_some() {
        let end = body
            .windows(5)
            .position(|w| w == b"0\r\n\r\n")
            .map(|at| at + 5);
        let with_trailers = body.windows(3).position(|w| w == b"0\r\n").and_then(|at| {
            let trailers = &body[at + 3..];
            trailers
                .windows(4)
                .position(|w| w == b"\r\n\r\n")
                .map(|end| at + 3 + end + 4)
        });
        return end
            .or(with_trailers)
            .map(|end| bytes.len() - body.len() + end);
    }
    let length: usize = field(head, "content-length").map_or(0, |value| value.parse().unwrap());
    (body.len() >= length).then(|| bytes.len() - body.len() + length)
}

fn split_head(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]))
}

/// The value of a field in a head; several are joined.
pub(super) fn field(head: &str, name: &str) -> Option<String> {
    let values: Vec<&str> = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect();
    (!values.is_empty()).then(|| values.join(" | "))
}

/// One response as a client reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
    /// Its end came: by length, last chunk, or orderly close where neither is said.
    pub(super) whole: bool,
}

/// A client's connection.
pub(super) struct Client {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// How the other side ended it: `Some(true)` in order, `Some(false)` by a reset.
    pub(super) ended: Option<bool>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            bytes: Vec::new(),
            ended: None,
        }
    }

    pub(super) fn send(&mut self, bytes: &str) {
        // The other side may have refused and closed before it has read everything.
        let _ = self.stream.write_all(bytes.as_bytes());
    }

    /// The client sends no more.
    pub(super) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = Some(true),
            Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                self.ended = Some(false)
            }
            Err(error) => panic!(
                "neither an answer nor an end: {error}; so far {:?}",
                String::from_utf8_lossy(&self.bytes)
            ),
        }
        self.ended.is_none()
    }

    /// The next final response to a request of this method, interim ones before it included in `interim`; `None` when
    /// the connection ended instead.
    pub(super) fn response(&mut self, method: &str, interim: &mut Vec<u16>) -> Option<Response> {
        loop {
            if let Some((response, used)) = parse(&self.bytes, method, self.ended == Some(true)) {
                if response.status < 200 {
                    interim.push(response.status);
                    self.bytes.drain(..used);
                    continue;
                }
                if response.whole || self.ended.is_some() {
                    self.bytes.drain(..used);
                    return Some(response);
                }
            } else if self.ended.is_some() {
                return None;
            }
            self.read();
        }
    }

    /// Waits for an interim response.
    pub(super) fn interim(&mut self, interim: &mut Vec<u16>) {
        while interim.is_empty() {
            match parse(&self.bytes, "GET", false) {
                Some((response, used)) => {
                    assert!(response.status < 200, "{response:?}");
                    interim.push(response.status);
                    self.bytes.drain(..used);
                }
                None => assert!(self.read(), "the connection ended"),
            }
        }
    }

    /// Whether the other side has ended the connection and said nothing more.
    pub(super) fn is_closed(&mut self) -> bool {
        while self.ended.is_none() {
            if !self.bytes.is_empty() {
                return false;
            }
            self.read();
        }
        self.bytes.is_empty()
    }
}

/// The response at the beginning of `bytes`, and how many bytes are its.
fn parse(bytes: &[u8], method: &str, closed: bool) -> Option<(Response, usize)> {
    let (head, body) = split_head(bytes)?;
    let before = bytes.len() - body.len();
    let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response {
        status,
        head: head.to_owned(),
        ..Response::default()
    };
    let bodyless = status < 200 || status == 204 || status == 304 || method == "HEAD";
    let used = if bodyless {
        response.whole = true;
        0
    } else if field(head, "transfer-encoding").is_some() {
        let (text, used) = dechunk(body);
        response.body = text;
        response.whole = used.is_some();
        used.unwrap_or(body.len())
    } else if let Some(length) = field(head, "content-length") {
        // What cannot be read has no end.
        let length: usize = length.parse().unwrap_or(usize::MAX);
        let used = length.min(body.len());
        response.body = String::from_utf8_lossy(&body[..used]).into_owned();
        response.whole = body.len() >= length;
        used
    } else {
        response.body = String::from_utf8_lossy(body).into_owned();
        response.whole = closed;
        body.len()
    };
    Some((response, before + used))
}

/// What chunks hold, trailers after it, and how long it all is if the end is there.
fn dechunk(mut rest: &[u8]) -> (String, Option<usize>) {
    let all = rest.len();
    let mut text = String::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return (text, None);
        };
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return match rest.strip_prefix(b"\r\n") {
                Some(left) => (text, Some(all - left.len())),
                None => match rest.windows(4).position(|window| window == b"\r\n\r\n") {
                    Some(end) => {
                        let trailers = String::from_utf8_lossy(&rest[..end]);
                        text.push_str(&format!(" [{}]", trailers.replace("\r\n", ", ")));
                        (text, Some(all - rest.len() + end + 4))
                    }
                    None => (text, None),
                },
            };
        }
        let Some(data) = rest.get(..size) else {
            text.push_str(&String::from_utf8_lossy(rest));
            return (text, None);
        };
        text.push_str(&String::from_utf8_lossy(data));
        rest = rest.get(size + 2..).unwrap_or_default();
    }
}
