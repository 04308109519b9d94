//! Heads that two parsers could read differently, found in the raw bytes.
//!
//! hyper repairs some of what RFC 9112 calls request smuggling (it drops `Content-Length` beside
//! `Transfer-Encoding`, and takes a bare LF as the end of a line). A gateway should refuse instead, as it cannot know
//! what stood in front of it. The scanner sees the bytes before hyper does and costs one pass over the head.

/// Longer lines are followed to their end; only so many bytes of one are kept when it comes in pieces.
const LINE: usize = 256;

/// Follows a connection's byte stream through heads and bodies.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    place: Place,
    line: Vec<u8>,
    /// The line lost its middle.
    cut: bool,
    content_length: Option<u64>,
    chunked: bool,
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

/// A message that must be refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

impl HeadScanner {
    /// Looks at bytes as they come.
    pub(crate) fn scan(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguous> {
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

    fn line_ends(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let line = line.strip_suffix(b"\r\n").ok_or(Ambiguous)?;
        match self.place {
            Place::ChunkSize => self.chunk(line),
            Place::Trailers => {
                if line.is_empty() {
                    self.place = Place::Head;
                }
                Ok(())
            }
            Place::Head | Place::Bytes(..) => self.field(line),
        }
    }

    /// RFC 9112 section 7.1. The extensions after the size are nobody's business.
    fn chunk(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let size = line.split(|b| *b == b';').next().unwrap_or_default();
        let size = size.trim_ascii_end();
        // Not even a sign, which `from_str_radix` would take.
        if !size.first().is_some_and(u8::is_ascii_hexdigit) {
            return Err(Ambiguous);
        }
        let size = std::str::from_utf8(size).map_err(|_| Ambiguous)?;
        self.place = match u64::from_str_radix(size, 16) {
            Ok(0) => Place::Trailers,
            Ok(size) => Place::Bytes(size.checked_add(2).ok_or(Ambiguous)?, After::ChunkSize),
            Err(_) => return Err(Ambiguous),
        };
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        match line.first() {
            None => {
                self.place = match (self.chunked, self.content_length) {
                    (true, _) => Place::ChunkSize,
                    (false, Some(length)) if length > 0 => Place::Bytes(length, After::Head),
                    _ => Place::Head,
                };
                self.chunked = false;
                self.content_length = None;
                Ok(())
            }
            Some(b'c' | b'C') => match value(line, b"content-length") {
                Some(value) => self.length(value),
                None => Ok(()),
            },
            Some(b't' | b'T') if value(line, b"transfer-encoding").is_some() => {
                let before = std::mem::replace(&mut self.chunked, true);
                if before || self.content_length.is_some() || self.cut {
                    Err(Ambiguous)
                } else {
                    Ok(())
                }
            }
            // RFC 9112 section 5.2: a server must reject or replace obs-fold.
            Some(b' ' | b'\t') => Err(Ambiguous),
            Some(_) => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Ambiguous> {
        let digits = value.trim_ascii();
        let known = self.chunked || self.content_length.is_some() || self.cut;
        if known || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Ambiguous);
        }
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok())
            .ok_or(Ambiguous)?;
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
mod tests {
    use super::HeadScanner;

    fn accepted(parts: &[&str]) -> bool {
        let mut scanner = HeadScanner::default();
        parts
            .iter()
            .all(|part| scanner.scan(part.as_bytes()).is_ok())
    }

    #[test]
    fn ordinary_requests_pass_however_they_are_cut() {
        let text = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\ncGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(accepted(&[text]));
        for at in 0..text.len() {
            assert!(accepted(&[&text[..at], &text[at..]]), "cut at {at}");
        }
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        assert!(accepted(
            &bytes.iter().map(String::as_str).collect::<Vec<_>>()
        ));
    }

    #[test]
    fn ambiguous_heads_do_not() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 3\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET / HTTP/1.1\nHost: a\r\n\r\n",
        ] {
            assert!(!accepted(&[head]), "{head:?}");
            let bytes: Vec<String> = head.chars().map(String::from).collect();
            assert!(
                !accepted(&bytes.iter().map(String::as_str).collect::<Vec<_>>()),
                "{head:?} byte by byte"
            );
        }
    }

    #[test]
    fn what_follows_a_chunked_body_is_scanned_too() {
        let body = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\nA \r\n0123\n56789\r\n0\r\nt: 1\r\n\r\n";
        let pieces = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        for (next, passes) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            (
                "GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
        ] {
            let text = format!("{body}{next}");
            assert_eq!(accepted(&[&text]), passes, "{next:?}");
            let pieces = pieces(&text);
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(accepted(&pieces), passes, "{next:?} byte by byte");
        }
    }

    #[test]
    fn chunk_sizes_that_can_be_read_in_two_ways_are_refused() {
        for size in [
            "",
            "+3",
            "0x3",
            "3\n",
            "-1",
            "g",
            "fffffffffffffffff",
            "ffffffffffffffff",
        ] {
            let text = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
            assert!(!accepted(&[&text]), "{size:?}");
        }
    }

    #[test]
    fn long_lines_may_be_cut_anywhere() {
        let text = format!(
            "GET / HTTP/1.1\r\nCookie: {}\r\nHost: a\r\n\r\n",
            "x".repeat(700)
        );
        for at in 0..text.len() {
            assert!(accepted(&[&text[..at], &text[at..]]), "cut at {at}");
        }
        for at in 300..600 {
            let parts = [&text[..at], &text[at..at + 100], &text[at + 100..]];
            assert!(accepted(&parts), "cut at {at}");
        }
        // A length that was not seen whole is not taken for one that was.
        let blank = format!(
            "GET / HTTP/1.1\r\nContent-Length:{}5\r\n\r\n",
            " ".repeat(700)
        );
        assert!(accepted(&[&blank]));
        assert!(!accepted(&[&blank[..600], &blank[600..]]));
    }
}
