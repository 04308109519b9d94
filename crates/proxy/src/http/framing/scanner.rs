//! Requests that two parsers could read differently, found in the raw bytes.
//!
//! hyper repairs some of what RFC 9112 calls request smuggling (it drops `Content-Length` beside
//! `Transfer-Encoding`, and takes a bare LF as the end of a line). A gateway should refuse instead, as it cannot know
//! what stood in front of it. The scanner sees the bytes before hyper does and costs one pass over the head.

use super::length::{self, Coding};

/// Longer lines are followed to their end; only so many bytes of one are kept when it comes in pieces.
const LINE: usize = 256;

/// Follows a connection's byte stream through heads and bodies.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    place: Place,
    line: Vec<u8>,
    /// The line lost its middle.
    cut: bool,
    /// The request line was seen, and the head's end was not.
    begun: bool,
    /// How many requests have begun.
    requests: u32,
    content_length: Option<u64>,
    chunked: bool,
    unknown: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or within a head.
    #[default]
    Head,
    /// Within a body, or a chunk and the end of its line, of so many bytes; then comes the other.
    Bytes(u64, After),
    /// Before or within the line that tells a chunk's size.
    ChunkSize,
    /// After the last chunk.
    Trailers,
}

/// What follows counted bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Head,
    ChunkSize,
}

/// Why a request must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It can be read in more than one way.
    Ambiguous,
    /// Its body has a transfer coding that we do not know (RFC 9112 section 6.1).
    UnknownCoding,
}

impl HeadScanner {
    /// How many requests have begun; after a fault, which of them has it.
    pub(crate) const fn requests(&self) -> u32 {
        self.requests
    }

    /// Whether a head has begun, and its end was not seen.
    pub(crate) fn is_in_head(&self) -> bool {
        self.place == Place::Head && (self.begun || !self.line.is_empty())
    }

    /// Looks at bytes as they come.
    pub(crate) fn scan(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if let Place::Bytes(left, after) = self.place {
                let skip = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[skip..];
                self.place = match (left - skip as u64, after) {
                    (0, After::Head) => Place::Head,
                    (0, After::ChunkSize) => Place::ChunkSize,
                    (left, after) => Place::Bytes(left, after),
                };
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.keep(bytes);
                return Ok(());
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            if self.line.is_empty() {
                self.line_ends(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.line_ends(&whole)?;
            }
            self.cut = false;
        }
        Ok(())
    }

    /// Keeps a line's beginning and its last byte, which may be the CR before the LF.
    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(last) = bytes.last()
            && bytes.len() > room
        {
            self.cut = true;
            self.line.truncate(LINE);
            self.line.push(*last);
        }
    }

    fn line_ends(&mut self, line: &[u8]) -> Result<(), Fault> {
        let whole = line.strip_suffix(b"\r\n");
        if self.place == Place::Head && !self.begun && whole != Some(b"") {
            self.begun = true;
            self.requests = self.requests.saturating_add(1);
        }
        let line = whole.ok_or(Fault::Ambiguous)?;
        match self.place {
            Place::ChunkSize => self.chunk(line),
            Place::Trailers => self.trailer(line),
            Place::Head | Place::Bytes(..) => self.field(line),
        }
    }

    /// RFC 9112 section 7.1. Extensions after the size are left alone.
    fn chunk(&mut self, line: &[u8]) -> Result<(), Fault> {
        let size = line.split(|b| *b == b';').next().unwrap_or_default();
        let size = size.trim_ascii_end();
        // Not even a sign, which `from_str_radix` would take.
        if !size.first().is_some_and(u8::is_ascii_hexdigit) {
            return Err(Fault::Ambiguous);
        }
        let size = std::str::from_utf8(size).map_err(|_| Fault::Ambiguous)?;
        self.place = match u64::from_str_radix(size, 16) {
            Ok(0) => Place::Trailers,
            Ok(size) => {
                let with_end = size.checked_add(2).ok_or(Fault::Ambiguous)?;
                Place::Bytes(with_end, After::ChunkSize)
            }
            Err(_) => return Err(Fault::Ambiguous),
        };
        Ok(())
    }

    /// A pseudo-header of HTTP/2 has no place here (RFC 9113 section 8.3), and neither has a folded line.
    fn trailer(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            None => self.place = Place::Head,
            Some(b':' | b' ' | b'\t') => return Err(Fault::Ambiguous),
            Some(_) => {}
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            None => self.head_ends(),
            Some(b'c' | b'C') => match value(line, b"content-length") {
                Some(value) => self.length(value),
                None => Ok(()),
            },
            Some(b't' | b'T') => match value(line, b"transfer-encoding") {
                Some(value) => self.coding(value),
                None => Ok(()),
            },
            // RFC 9112 section 5.2: a server must reject or replace obs-fold.
            Some(b' ' | b'\t') => Err(Fault::Ambiguous),
            Some(_) => Ok(()),
        }
    }

    fn head_ends(&mut self) -> Result<(), Fault> {
        self.begun = false;
        self.place = match (self.chunked, self.content_length) {
            (true, _) => Place::ChunkSize,
            (false, Some(length)) if length > 0 => Place::Bytes(length, After::Head),
            _ => Place::Head,
        };
        self.chunked = false;
        self.content_length = None;
        match std::mem::take(&mut self.unknown) {
            true => Err(Fault::UnknownCoding),
            false => Ok(()),
        }
    }

    fn coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        let before = std::mem::replace(&mut self.chunked, true);
        if before || self.content_length.is_some() || self.cut {
            return Err(Fault::Ambiguous);
        }
        match length::coding(value) {
            Coding::Chunked => Ok(()),
            // Only if all else can be read in one way.
            Coding::Unknown => {
                self.unknown = true;
                Ok(())
            }
            Coding::Faulty => Err(Fault::Ambiguous),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked || self.content_length.is_some() || self.cut {
            return Err(Fault::Ambiguous);
        }
        let length = length::length(value).ok_or(Fault::Ambiguous)?;
        self.content_length = Some(length);
        Ok(())
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then_some(())?;
    rest.strip_prefix(b":")
}

#[cfg(test)]
#[path = "scanner_tests.rs"]
mod tests;
