//! Heads that two parsers could read differently, found in the raw bytes.
//!
//! hyper repairs some of what RFC 9112 calls request smuggling (it drops `Content-Length` beside
//! `Transfer-Encoding`, and takes a bare LF as the end of a line). A gateway should refuse instead, as it cannot know
//! what stood in front of it. The scanner sees the bytes before hyper does and costs one pass over the head.

/// Follows a connection's byte stream through heads; bodies are skipped.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    place: Place,
    line: Vec<u8>,
    content_length: Option<u64>,
    chunked: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before or within a head.
    #[default]
    Head,
    /// Within a body of so many bytes.
    Body(u64),
    /// Somewhere after a chunked body began; [`HeadScanner::next_message`] ends it.
    Unknown,
}

/// A head that must be refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

impl HeadScanner {
    /// The message before is over, whatever its body was.
    pub(crate) fn next_message(&mut self) {
        if self.place == Place::Unknown {
            self.place = Place::Head;
        }
    }

    /// Looks at bytes as they come.
    pub(crate) fn scan(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguous> {
        while !bytes.is_empty() {
            match self.place {
                Place::Unknown => return Ok(()),
                Place::Body(left) => {
                    let skip = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[skip..];
                    let left = left - skip as u64;
                    self.place = if left == 0 {
                        Place::Head
                    } else {
                        Place::Body(left)
                    };
                }
                Place::Head => match bytes.iter().position(|b| *b == b'\n') {
                    None => {
                        // Longer lines than any limit allows are hyper's to refuse.
                        if self.line.len() < 256 {
                            self.line.extend_from_slice(&bytes[..bytes.len().min(256)]);
                        } else if let Some(last) = bytes.last() {
                            self.line.truncate(256);
                            self.line.push(*last);
                        }
                        return Ok(());
                    }
                    Some(end) => {
                        let (line, rest) = bytes.split_at(end + 1);
                        bytes = rest;
                        if self.line.is_empty() {
                            self.line_ends(line)?;
                        } else {
                            let mut whole = std::mem::take(&mut self.line);
                            whole.extend_from_slice(line);
                            self.line_ends(&whole)?;
                        }
                    }
                },
            }
        }
        Ok(())
    }

    fn line_ends(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Ambiguous);
        };
        match line.first() {
            None => {
                self.place = match (self.chunked, self.content_length) {
                    (true, _) => Place::Unknown,
                    (false, Some(length)) if length > 0 => Place::Body(length),
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
                if before || self.content_length.is_some() {
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
        if self.chunked || self.content_length.is_some() || !digits.iter().all(u8::is_ascii_digit) {
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
    fn chunked_bodies_are_skipped_until_the_next_message() {
        let mut scanner = HeadScanner::default();
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n";
        assert_eq!(scanner.scan(head), Ok(()));
        assert_eq!(scanner.scan(b"anything\n goes"), Ok(()));
        scanner.next_message();
        assert!(scanner.scan(b"GET / HTTP/1.1\n").is_err());
    }
}
