//! A client's HTTP/2 frames, seen as their bytes pass (RFC 9113 section 4). Nothing is kept of them, and what is wrong
//! with them is for hyper to say.

/// The first bytes of a connection (section 3.4).
const PREFACE: usize = 24;

/// DATA that belongs to no stream. hyper answers it with GOAWAY, and cannot be asked for one otherwise.
pub(crate) const FORBIDDEN: &[u8] = &[0; 9];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// A flag of SETTINGS.
const ACK: u8 = 1;
/// A flag of HEADERS and CONTINUATION.
const END_HEADERS: u8 = 4;

/// A setting: how many bytes of a response may be on their way before the client says more.
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Something that a frame said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The preface has come.
    Preface,
    /// A request is given up.
    Reset,
    /// So many bytes more may be sent, over all streams.
    Window(u32),
    /// So many bytes may be sent on each new stream.
    StreamWindow(u32),
}

/// Reads frames as they pass.
#[derive(Debug)]
pub(crate) struct Frames {
    preface: usize,
    header: [u8; 9],
    /// How many bytes of `header` have come.
    filled: usize,
    /// How many bytes of the frame's payload have not come.
    left: usize,
    /// Of settings and window updates: what has come of the current entry.
    entry: [u8; 6],
    entered: usize,
    /// A head has begun, and the frame that ends it has not.
    in_head: bool,
    /// How many frames have come as a whole.
    whole: u32,
    /// What [`Frames::new`] was told.
    cancels: u32,
}

impl Frames {
    /// From the preface on, of a client that may give up so many requests, see
    /// [`Client::may_reset`](super::Client::may_reset).
    pub(crate) const fn new(cancels: u32) -> Self {
        Self {
            preface: PREFACE,
            header: [0; 9],
            filled: 0,
            left: 0,
            entry: [0; 6],
            entered: 0,
            in_head: false,
            whole: 0,
            cancels,
        }
    }

    /// Whether part of a head has come, or of a frame that is no DATA: hyper can read nothing else before the rest.
    pub(crate) const fn is_in_part(&self) -> bool {
        self.in_head || (self.filled > 0 && (self.filled < 9 || self.header[3] != DATA))
    }

    /// How many frames have come as a whole. It wraps.
    pub(crate) const fn whole(&self) -> u32 {
        self.whole
    }

    /// How many requests the client may give up.
    pub(crate) const fn cancels(&self) -> u32 {
        self.cancels
    }

    /// Reads on to the next thing that is said. The second value is how many of the bytes that took, all of them
    /// without one.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> (Option<Seen>, usize) {
        let mut at = 0;
        if self.preface > 0 {
            at = self.preface.min(bytes.len());
            self.preface -= at;
            if self.preface == 0 {
                return (Some(Seen::Preface), at);
            }
        }
        loop {
            if self.filled < 9 {
                let some = (9 - self.filled).min(bytes.len() - at);
                self.header[self.filled..self.filled + some].copy_from_slice(&bytes[at..at + some]);
                self.filled += some;
                at += some;
                if self.filled < 9 {
                    return (None, at);
                }
                self.begin();
            }
            let some = self.left.min(bytes.len() - at);
            let payload = &bytes[at..at + some];
            let (seen, used) = match self.header[3] {
                SETTINGS | WINDOW_UPDATE if some > 0 => self.read(payload),
                _ => (None, some),
            };
            self.left -= used;
            at += used;
            let ended = self.left == 0;
            let seen = seen.or_else(|| if ended { self.ended() } else { None });
            if ended {
                self.filled = 0;
                self.whole = self.whole.wrapping_add(1);
            }
            if seen.is_some() || at == bytes.len() {
                return (seen, at);
            }
        }
    }

    const fn length(&self) -> usize {
        let [high, middle, low, ..] = self.header;
        (high as usize) << 16 | (middle as usize) << 8 | low as usize
    }

    fn is_of_connection(&self) -> bool {
        self.header[5..] == [0; 4]
    }

    /// The frame's header has come.
    fn begin(&mut self) {
        self.left = self.length();
        self.entered = 0;
        if matches!(self.header[3], HEADERS | PUSH_PROMISE | CONTINUATION) {
            self.in_head = true;
        }
    }

    /// The frame's last byte has come.
    const fn ended(&mut self) -> Option<Seen> {
        match self.header[3] {
            HEADERS | PUSH_PROMISE | CONTINUATION if self.header[4] & END_HEADERS != 0 => {
                self.in_head = false;
                None
            }
            RST_STREAM => Some(Seen::Reset),
            _ => None,
        }
    }

    /// Part of the payload of a frame that has entries: up to the end of one.
    fn read(&mut self, payload: &[u8]) -> (Option<Seen>, usize) {
        let whole = if self.header[3] == SETTINGS { 6 } else { 4 };
        let some = (whole - self.entered).min(payload.len());
        self.entry[self.entered..self.entered + some].copy_from_slice(&payload[..some]);
        self.entered += some;
        if self.entered < whole {
            return (None, some);
        }
        self.entered = 0;
        let [a, b, c, d, e, f] = self.entry;
        let seen = if whole == 6 {
            let is_window = u16::from_be_bytes([a, b]) == INITIAL_WINDOW_SIZE;
            (is_window && self.header[4] & ACK == 0)
                .then(|| Seen::StreamWindow(u32::from_be_bytes([c, d, e, f])))
        } else {
            self.is_of_connection()
                .then(|| Seen::Window(u32::from_be_bytes([a & 0x7f, b, c, d])))
        };
        (seen, some)
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
