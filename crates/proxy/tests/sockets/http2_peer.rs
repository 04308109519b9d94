//! A backend's end of HTTP/2 connections, in frames (RFC 9113 section 6): it says what no library would.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// `:status: 200`, as HPACK has it.
const OK: &[u8] = &[0x88];
/// Nothing in a test takes so long; after it the test is over in any case.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn ends(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// One connection.
pub(crate) struct Peer<S = TcpStream>(S);

impl<S: Read + Write> Peer<S> {
    /// The end of a connection that was greeted already.
    pub(crate) fn on(stream: S) -> Self {
        Self(stream)
    }

    /// Reads the preface and sends SETTINGS that allow so many streams at a time.
    pub(crate) fn greet(stream: S, streams: u32) -> Self {
        let mut peer = Self(stream);
        let mut preface = [0; 24];
        peer.0.read_exact(&mut preface).unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        peer.allow(streams);
        peer
    }

    /// Allows so many streams at a time from now on.
    pub(crate) fn allow(&mut self, streams: u32) {
        self.set(3, streams);
    }

    /// Gives streams that are opened from now on so large a window, until it is updated.
    pub(crate) fn window(&mut self, bytes: u32) {
        self.set(4, bytes);
    }

    fn set(&mut self, setting: u8, value: u32) {
        let mut payload = vec![0, setting];
        payload.extend(value.to_be_bytes());
        self.send(SETTINGS, 0, 0, &payload);
    }

    /// Gives a stream, or with 0 the connection, so much more window.
    pub(crate) fn more(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
    }

    /// Sends a frame. The gateway may have gone.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame);
    }

    /// The next frame; `None` when the connection is closed.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]),
            payload,
        })
    }

    /// Goes on to the end of SETTINGS that the gateway has taken note of.
    pub(crate) fn acknowledged(&mut self) {
        while let Some(frame) = self.next() {
            if frame.kind == SETTINGS && frame.flags & ACK != 0 {
                return;
            }
        }
    }

    /// The stream that the next request comes on; its body may follow.
    pub(crate) fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.next()?;
            if frame.kind == HEADERS {
                return Some(frame.stream);
            }
        }
    }

    /// The stream and body of the next request, if it comes before any other.
    pub(crate) fn whole_request(&mut self) -> Option<(u32, Vec<u8>)> {
        let mut body = Vec::new();
        loop {
            let frame = self.next()?;
            if frame.kind == DATA {
                body.extend(&frame.payload);
            }
            if frame.ends() {
                return Some((frame.stream, body));
            }
        }
    }

    /// Answers with 200 and this body.
    pub(crate) fn answer(&mut self, stream: u32, body: &[u8]) {
        self.begin(stream);
        self.end(stream, body);
    }

    /// Sends the head of that answer.
    pub(crate) fn begin(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, OK);
    }

    /// Sends its body.
    pub(crate) fn end(&mut self, stream: u32, body: &[u8]) {
        self.send(DATA, END_STREAM, stream, body);
    }

    /// Refuses a stream (RFC 9113 section 8.7).
    pub(crate) fn refuse(&mut self, stream: u32) {
        self.send(RST_STREAM, 0, stream, &7_u32.to_be_bytes());
    }

    /// Takes no more streams after this one (RFC 9113 section 6.8).
    pub(crate) fn goes_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload);
    }

    /// Reads until the gateway closes.
    pub(crate) fn until_closed(&mut self) {
        while self.next().is_some() {}
    }
}

/// Runs `serve` for every connection, with its number, the first being 1.
pub(crate) fn backend(serve: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (before, stream) in listener.incoming().enumerate() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || serve(before + 1, stream));
        }
    });
    address
}
