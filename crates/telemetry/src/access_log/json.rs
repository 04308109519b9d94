//! JSON that is safe to show on a terminal and to cut at line ends.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

/// Appends `value` and a newline. On failure `out` is as it was.
pub(super) fn append_line(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    let start = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, OneLine);
    let result = value.serialize(&mut serializer);
    match result {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(start),
    }
    result
}

/// JSON itself escapes the ASCII control characters, and with them every line end below U+0080.
/// Terminals also obey DEL and the C1 controls, and some readers split lines at U+0085, U+2028
/// and U+2029, so those are escaped too, as are the characters that reorder text.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some((at, found)) = first_unsafe(rest) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(found))?;
            rest = &rest[at + found.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

fn first_unsafe(text: &str) -> Option<(usize, char)> {
    let start = text.bytes().position(|byte| byte >= 0x7f)?;
    let (at, found) = text[start..].char_indices().find(|(_, c)| {
        matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    })?;
    Some((start + at, found))
}
