//! The parts of a URL with variables in it.

use super::{InvalidTemplate, Piece, Place, Variable};

/// Where in a URL we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Path,
    Query,
}

impl Part {
    /// The part at the end of a text that begins in this one.
    fn after(self, text: &str) -> Self {
        match self {
            Self::Query => Self::Query,
            _ if text.contains(['?', '#']) => Self::Query,
            Self::Path => Self::Path,
            Self::Host if text.contains('/') => Self::Path,
            Self::Host => Self::Host,
        }
    }
}

/// Gives each variable its place.
pub(super) fn place(text: &str, pieces: &mut [Piece]) -> Result<(), InvalidTemplate> {
    let mut part = match absolute(pieces) {
        Some(_) => Part::Host,
        None if starts_on_this_host(pieces) => Part::Path,
        None => {
            let message = format!(
                "{text:?} begins neither with http://, https:// or $scheme://, nor with one slash, $uri or $request_uri"
            );
            return Err(InvalidTemplate::Illegal(message));
        }
    };
    let mut skip = absolute(pieces).unwrap_or_default();
    let mut in_host = Vec::new();
    for (at, piece) in pieces.iter_mut().enumerate() {
        match piece {
            Piece::Text(text) => {
                let (scheme, rest) = text.split_at(skip.min(text.len()));
                let host = match part {
                    Part::Host => rest.split(['/', '?', '#']).next().unwrap_or_default(),
                    Part::Path | Part::Query => "",
                };
                host_text(host)?;
                if part == Part::Host {
                    in_host.push((at, !host.is_empty()));
                }
                part = part.after(rest);
                *text = format!("{scheme}{}", legal(rest)?).into();
                skip = 0;
            }
            Piece::Variable(variable, place) => match part {
                // The scheme in front of `://`.
                Part::Host if skip > 0 && *variable == Variable::Scheme => *place = Place::Url,
                Part::Host => in_host.push((at, variable.is_host())),
                Part::Path => *place = Place::Url,
                Part::Query => *place = Place::Query,
            },
        }
    }
    hosts(pieces, &in_host)
}

/// The variables of the host: those behind which more of it follows, or that are all of it, and those at its end.
fn hosts(pieces: &mut [Piece], in_host: &[(usize, bool)]) -> Result<(), InvalidTemplate> {
    let named = in_host.iter().rposition(|(_, ours)| *ours);
    let mut begun = false;
    for (order, (at, ours)) in in_host.iter().enumerate() {
        if let Piece::Variable(_, place) = &mut pieces[*at] {
            let inside = *ours || !begun || named.is_some_and(|named| order < named);
            *place = if inside { Place::Host } else { Place::HostEnd };
            begun = true;
        }
        begun |= *ours;
    }
    match begun || in_host.is_empty() {
        true => Ok(()),
        false => Err(InvalidTemplate::illegal("the URL has no host")),
    }
}

/// How long `http://`, or the rest of `$scheme://`, is in the first text.
fn absolute(pieces: &[Piece]) -> Option<usize> {
    match pieces {
        [Piece::Variable(Variable::Scheme, _), Piece::Text(text), ..] => {
            text.starts_with("://").then_some(3)
        }
        [Piece::Text(text), ..] => {
            let begins = |scheme: &&str| {
                let head = text.get(..scheme.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
            };
            ["http://", "https://"]
                .iter()
                .find(|scheme| begins(scheme))
                .map(|scheme| scheme.len())
        }
        _ => None,
    }
}

/// Whether it is a path, and no host in disguise.
fn starts_on_this_host(pieces: &[Piece]) -> bool {
    match pieces {
        [Piece::Text(text), ..] => text.starts_with('/') && !text.starts_with("//"),
        [
            Piece::Variable(Variable::RequestUri | Variable::Path, _),
            ..,
        ] => true,
        _ => false,
    }
}

/// Checks a part of a host that does not change.
pub(super) fn host_text(text: &str) -> Result<(), InvalidTemplate> {
    let legal =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    match text.bytes().all(legal) {
        true => Ok(()),
        false => Err(InvalidTemplate::illegal(format!(
            "{text:?} cannot stand in a host"
        ))),
    }
}

/// A text as it may stand in a URL: what is not ASCII is escaped (RFC 3987 section 3.1).
fn legal(text: &str) -> Result<Box<str>, InvalidTemplate> {
    escaped(text, |_| false)
}

/// A text as it may stand in the target of a request.
pub(super) fn target_text(text: &str) -> Result<Box<str>, InvalidTemplate> {
    escaped(text, |b| {
        matches!(b, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'^' | b'|')
    })
}

fn escaped(text: &str, more: impl Fn(u8) -> bool) -> Result<Box<str>, InvalidTemplate> {
    let refused = |b: u8| b <= 0x20 || b == 0x7f || b == b'\\';
    if text.bytes().any(refused) {
        return Err(InvalidTemplate::illegal(format!(
            "{text:?} has a blank, a backslash or a control character, which cannot stand in a URL"
        )));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte >= 0x80 || more(byte) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    Ok(out.into())
}
