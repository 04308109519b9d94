//! A client of HTTP/2 that sends the frames that it is told to, and a backend of HTTP/1.1 that knows which of its
//! connections are open.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use testkit::wait::DEADLINE;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// CANCEL, as RST_STREAM has it.
pub(crate) const CANCEL: &[u8] = &[0, 0, 0, 8];

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head as HPACK has it, without any table.
pub(crate) fn head(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let all = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a.com"),
        (":path", path),
    ];
    let mut head = Vec::new();
    for (name, value) in all.iter().chain(fields) {
        head.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            head.push(u8::try_from(text.len()).unwrap());
            head.extend(text.as_bytes());
        }
    }
    head
}

/// A connection. It acknowledges settings and answers PINGs while it waits for frames.
pub(crate) struct Wire {
    stream: TcpStream,
    pongs: bool,
}

impl Wire {
    /// Says how much of each response it takes.
    pub(crate) fn open(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let mut wire = Self {
            stream,
            pongs: true,
        };
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        wire.window(window);
        wire
    }

    /// It answers no PINGs from now on.
    pub(crate) fn is_mute(&mut self) {
        self.pongs = false;
    }

    /// Fails silently where the other side has closed: what it said before is to be read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Takes so much of each response.
    pub(crate) fn window(&mut self, window: u32) {
        let entry = [&[0, 4][..], &window.to_be_bytes()].concat();
        self.send(&frame(SETTINGS, 0, 0, &entry));
    }

    /// Takes so much more of a stream, or of all.
    pub(crate) fn more(&mut self, stream: u32, bytes: u32) {
        self.send(&frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()));
    }

    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        let head = head("GET", path, &[]);
        self.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
    }

    /// A request whose body is to come.
    pub(crate) fn post(&mut self, stream: u32, path: &str, fields: &[(&str, &str)]) {
        let head = head("POST", path, fields);
        self.send(&frame(HEADERS, END_HEADERS, stream, &head));
    }

    /// The next frame that comes within this time; an error at the end.
    pub(crate) fn next_within(&mut self, time: Duration) -> Result<Option<Frame>, ErrorKind> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.peek(&mut [0]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                    kind => return Err(kind),
                },
            }
            self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let mut header = [0; 9];
            self.read(&mut header)?;
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            self.read(&mut payload)?;
            let stream = [header[5], header[6], header[7], header[8]];
            let frame = Frame {
                kind: header[3],
                flags: header[4],
                stream: u32::from_be_bytes(stream),
                payload,
            };
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(&self::frame(SETTINGS, ACK, 0, &[])),
                (PING, 0) if self.pongs => self.send(&self::frame(PING, ACK, 0, &frame.payload)),
                (SETTINGS | PING, _) => {}
                _ => return Ok(Some(frame)),
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), ErrorKind> {
        self.stream.read_exact(buffer).map_err(|error| error.kind())
    }

    /// Reads until a frame is one that is looked for.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.next_within(left) {
                Ok(Some(frame)) if wanted(&frame) => return frame,
                Ok(Some(_)) => {}
                Ok(None) => panic!("{what}: it did not come"),
                Err(kind) => panic!("{what}: {kind}"),
            }
        }
    }

    /// Reads until the end of the connection: whether GOAWAY came before it.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> bool {
        self.rest().iter().any(|frame| frame.kind == GOAWAY)
    }

    /// All that comes until the end of the connection.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        let (end, mut all) = (Instant::now() + DEADLINE, Vec::new());
        loop {
            match self.next_within(end.saturating_duration_since(Instant::now())) {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => panic!("the connection is still open"),
                Err(_) => return all,
            }
        }
    }
}

/// Answers every request with a body of so many bytes, as fast as it is taken, over one connection for each.
pub(crate) struct Source {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    served: Arc<AtomicUsize>,
}

impl Source {
    pub(crate) fn start(bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Self {
            address: listener.local_addr().unwrap(),
            open: Arc::default(),
            served: Arc::default(),
        };
        let (open, served) = (Arc::clone(&source.open), Arc::clone(&source.served));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (open, served) = (Arc::clone(&open), Arc::clone(&served));
                open.fetch_add(1, Relaxed);
                thread::spawn(move || {
                    answer(&stream.unwrap(), bytes, &served);
                    open.fetch_sub(1, Relaxed);
                });
            }
        });
        source
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// How many answers have begun.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }
}

/// To the end of the connection.
fn answer(mut stream: &TcpStream, bytes: usize, served: &AtomicUsize) {
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if !line.is_empty() {
            continue;
        }
        served.fetch_add(1, Relaxed);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
        let body = vec![b'x'; bytes];
        if stream.write_all(head.as_bytes()).is_err() || stream.write_all(&body).is_err() {
            return;
        }
    }
}
