//! HTTP/2 by its frames, so that either side can say what no library would: RFC 9113 section 4 and RFC 7541, as far as
//! it takes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use testkit::echo::any;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One thing that is said on a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Say {
    /// Fields, pseudo-header fields among them.
    Head(&'static [(&'static str, &'static str)]),
    /// The same, and nothing follows.
    Last(&'static [(&'static str, &'static str)]),
    /// Part of a body.
    Data(&'static str),
    /// Its end.
    End(&'static str),
    /// A reset for this reason.
    Reset(u32),
}

/// What was said on a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Of a response. `None` where no head came.
    pub(super) status: Option<u16>,
    pub(super) body: String,
    pub(super) trailers: bool,
    pub(super) end: Option<End>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    Stream,
    /// For this reason.
    Reset(u32),
    /// With its connection.
    Connection,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Literal fields that are in no table, their text as it is (RFC 7541 section 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|length| *length < 127)
                    .unwrap(),
            );
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

fn said(stream: u32, say: &Say) -> Vec<u8> {
    match say {
        Say::Head(fields) => frame(HEADERS, END_HEADERS, stream, &block(fields)),
        Say::Last(fields) => frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields)),
        Say::Data(text) => frame(DATA, 0, stream, text.as_bytes()),
        Say::End(text) => frame(DATA, END_STREAM, stream, text.as_bytes()),
        Say::Reset(reason) => frame(RST_STREAM, 0, stream, &reason.to_be_bytes()),
    }
}

/// A connection, and what of it has been read.
struct Frames {
    stream: TcpStream,
}

impl Frames {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).unwrap();
        Self { stream }
    }

    /// The next frame: kind, flags, stream, payload. `None` when the connection has ended.
    fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        if let Err(error) = self.stream.read_exact(&mut head) {
            let ended = matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            );
            assert!(ended, "neither a frame nor an end: {error}");
            return None;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], stream, payload))
    }
}

/// Asks on a connection of its own and hears the answer out.
pub(super) fn ask(address: SocketAddr, says: &[Say]) -> Heard {
    let mut frames = Frames::new(TcpStream::connect(address).unwrap());
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    says.iter().for_each(|say| bytes.extend(said(1, say)));
    // The other side may have refused before it has read everything.
    let _ = frames.stream.write_all(&bytes);
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let Some((kind, flags, stream, payload)) = frames.next() else {
            heard.end = Some(End::Connection);
            break;
        };
        if kind == GOAWAY {
            heard.end = Some(End::Connection);
        }
        if stream == 1 {
            heard.hear(kind, flags, &payload);
        }
    }
    heard
}

impl Heard {
    fn hear(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        match kind {
            HEADERS if self.status.is_none() => self.status = Some(status(payload)),
            HEADERS => self.trailers = true,
            DATA => self.body.push_str(&String::from_utf8_lossy(payload)),
            RST_STREAM => {
                let reason = payload.try_into().map(u32::from_be_bytes);
                self.end = Some(End::Reset(reason.unwrap()));
            }
            _ => return,
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            self.end = Some(End::Stream);
        }
    }
}

/// The status of a response: an entry of the static table, or digits by Huffman's code (RFC 7541 appendices A and B).
fn status(block: &[u8]) -> u16 {
    // The size of the dynamic table may be told first (RFC 7541 section 6.3).
    let start = block.iter().position(|byte| byte >> 5 != 1).unwrap();
    let block = &block[start..];
    match block[0] {
        0x88 => return 200,
        0x89 => return 204,
        0x8b => return 304,
        0x8c => return 400,
        0x8d => return 404,
        0x8e => return 500,
        _ => {}
    }
    let length = usize::from(block[1] & 0x7f);
    let text = &block[2..2 + length];
    if block[1] & 0x80 == 0 {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut code = (0..5).fold(0, |code, _| code << 1 | bits.next().unwrap());
        // 0, 1 and 2 have five bits, the others six.
        if code > 2 {
            code = (code << 1 | bits.next().unwrap()) - 22;
        }
        number = number * 10 + code;
    }
    number
}

/// A backend that hears each request out and then says the same thing. It serves until the process ends.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Backend {
    pub(super) fn start(says: &'static [Say]) -> Self {
        let listener = TcpListener::bind(any()).unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let log = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                thread::spawn(move || serve(Frames::new(stream), says, &log));
            }
        });
        Self { address, heard }
    }

    /// Every request so far, without its fields.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }
}

fn serve(mut frames: Frames, says: &[Say], log: &Mutex<Vec<Heard>>) -> Option<()> {
    let mut preface = [0; PREFACE.len()];
    frames.stream.read_exact(&mut preface).ok()?;
    frames.stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    let mut open: Vec<(u32, Heard)> = Vec::new();
    loop {
        let (kind, flags, stream, payload) = frames.next()?;
        if kind == HEADERS && !open.iter().any(|(id, _)| *id == stream) {
            let end = (flags & END_STREAM != 0).then_some(End::Stream);
            let begun = Heard {
                end,
                ..Heard::default()
            };
            open.push((stream, begun));
        } else if let Some((_, heard)) = open.iter_mut().find(|(id, _)| *id == stream) {
            // A request has no status; what follows its head are trailers.
            match kind {
                HEADERS => {
                    heard.trailers = true;
                    heard.end = Some(End::Stream);
                }
                kind => heard.hear(kind, flags, &payload),
            }
        }
        let Some(at) = open.iter().position(|(_, heard)| heard.end.is_some()) else {
            continue;
        };
        let (id, heard) = open.swap_remove(at);
        let whole = heard.end == Some(End::Stream);
        log.lock().push(heard);
        if whole {
            // All at once, as one piece.
            let bytes: Vec<u8> = says.iter().flat_map(|say| said(id, say)).collect();
            frames.stream.write_all(&bytes).ok()?;
        }
    }
}
