//! Values that are made of templates.
//!
//! What a client sends is put into a result so that it stays in its place: a path, a query or a host that the template
//! has begun is not ended by a value, and no byte that ends a line gets into a header. A result that cannot be what it
//! is meant to be is [`ProxyError::BadValue`].

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use ir::{
    AnswerHeaders, Captures, Composed, ForwardedField, HeaderTemplates, Location, Pattern, Piece,
    Place, Template, Variable,
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

use crate::{
    http::{error::ProxyError, target::path_and_query, view::View},
    policy::auth,
};

/// Everything but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What ends a path, or may not stand in one.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What ends a parameter of a query, or means something else in one. The escapes of a path are left alone.
const PARAMETER: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'&')
    .add(b'+')
    .add(b';')
    .add(b'<')
    .add(b'>');

/// What templates are completed from: a request as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) view: &'a View,
    /// The port of the listener, as clients know it.
    pub(crate) listener: u16,
}

/// What becomes of a request.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) host: Option<HeaderValue>,
    /// Path, and query.
    pub(crate) target: Option<http::uri::PathAndQuery>,
    pub(crate) headers: Vec<Made>,
}

/// A header, and its value; none where it is to be taken off.
pub(crate) type Made = (HeaderName, Option<HeaderValue>);

impl<'a> Request<'a> {
    /// What a step makes of the request.
    ///
    /// # Errors
    /// A value does not fit where it is put.
    pub(crate) fn change(self, step: &Composed) -> Result<Change, ProxyError> {
        let groups = self.groups(step.groups.as_ref());
        let groups = groups.as_ref();
        let host = step.host.as_ref().map(|host| {
            let text = self.fill(host, groups)?;
            let named = !text.starts_with(b":") && !text.is_empty();
            let host = HeaderValue::from_maybe_shared(bytes::Bytes::from(text));
            host.ok().filter(|_| named).ok_or(ProxyError::BadValue)
        });
        let path = step.path.as_ref().map(|path| {
            let text = String::from_utf8(self.fill(path, groups)?);
            let slash = text.map_err(|_| ProxyError::BadValue)?;
            let slash = if slash.starts_with('/') {
                slash
            } else {
                format!("/{slash}")
            };
            let path = ir::canonical_path(&slash).map_err(|_| ProxyError::BadValue)?;
            Ok::<_, ProxyError>(path.into_owned())
        });
        let begin = step.query.as_ref().map(|query| {
            String::from_utf8(self.fill(query, groups)?).map_err(|_| ProxyError::BadValue)
        });
        let (path, begin) = (path.transpose()?, begin.transpose()?);
        let target = (path.is_some() || begin.is_some() || step.drops_query).then(|| {
            let own = self.view.query().filter(|_| !step.drops_query);
            let query = match (begin, own) {
                (Some(begin), Some(own)) if !own.is_empty() && !begin.is_empty() => {
                    Some(Cow::Owned(format!("{begin}&{own}")))
                }
                (Some(begin), None) if !begin.is_empty() => Some(Cow::Owned(begin)),
                (Some(begin), Some("")) => Some(Cow::Owned(begin)),
                (_, own) => own.map(Cow::Borrowed),
            };
            let path = path.as_deref().unwrap_or(self.view.target().path());
            path_and_query(path, query.as_deref())
        });
        Ok(Change {
            host: host.transpose()?,
            target,
            headers: self.headers(&step.set, groups)?,
        })
    }

    /// Headers of an answer.
    ///
    /// # Errors
    /// A value does not fit into a header.
    pub(crate) fn answer_headers(self, all: &[AnswerHeaders]) -> Result<Vec<Made>, ProxyError> {
        let mut made = Vec::new();
        for step in all {
            let groups = self.groups(step.groups.as_ref());
            made.append(&mut self.headers(&step.set, groups.as_ref())?);
        }
        Ok(made)
    }

    /// The URL that the client is sent to.
    ///
    /// # Errors
    /// A value does not fit into a URL.
    pub(crate) fn location(self, location: &Location) -> Result<HeaderValue, ProxyError> {
        let groups = self.groups(location.groups.as_ref());
        let mut url = self.fill(&location.location, groups.as_ref())?;
        let own = self
            .view
            .query()
            .filter(|own| location.keeps_query && !own.is_empty());
        if let Some(own) = own {
            let more = if url.contains(&b'?') { b'&' } else { b'?' };
            url.push(more);
            url.extend_from_slice(own.as_bytes());
        }
        // `*` is the target of no URL, and two slashes would begin another host.
        if url.starts_with(b"*") {
            return Err(ProxyError::BadValue);
        }
        if url.starts_with(b"//") {
            let host = self.view.authority().as_bytes();
            let scheme = self.view.scheme().as_bytes();
            url = [scheme, b"://", host, &url].concat();
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(url)).map_err(|_| ProxyError::BadValue)
    }

    /// The text of a template without groups.
    ///
    /// # Errors
    /// A value does not fit where it is put.
    pub(crate) fn text(self, template: &Template) -> Result<Vec<u8>, ProxyError> {
        self.fill(template, None)
    }

    fn headers(
        self,
        set: &HeaderTemplates,
        groups: Option<&Captures<'a>>,
    ) -> Result<Vec<Made>, ProxyError> {
        let made = set.0.iter().map(|(name, template)| {
            let value = self.fill(template, groups)?;
            // Blanks around a value are none of it (RFC 9110 section 5.5).
            let value = value.trim_ascii();
            if value.is_empty() {
                return Ok((name.clone(), None));
            }
            let value = HeaderValue::from_bytes(value);
            let value = value.map_err(|_| ProxyError::BadValue)?;
            Ok((name.clone(), Some(value)))
        });
        made.collect()
    }

    fn groups(self, pattern: Option<&Pattern>) -> Option<Captures<'a>> {
        pattern?.groups(self.view.path())
    }

    fn fill(
        self,
        template: &Template,
        groups: Option<&Captures<'a>>,
    ) -> Result<Vec<u8>, ProxyError> {
        let mut out = Vec::new();
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable(variable, place) => {
                    self.put(variable, *place, groups, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    /// Writes a value as its place asks for.
    fn put(
        self,
        variable: &Variable,
        place: Place,
        groups: Option<&Captures<'a>>,
        out: &mut Vec<u8>,
    ) -> Result<(), ProxyError> {
        let place = match place {
            Place::HostEnd => match end_of_host(out) {
                Some(place) => place,
                None => Place::HostEnd,
            },
            place => place,
        };
        let from = out.len();
        self.write(variable, groups, &mut |value| {
            let encoded = |set: &'static AsciiSet, out: &mut Vec<u8>| {
                percent_encode(value, set).for_each(|part| out.extend_from_slice(part.as_bytes()));
            };
            match place {
                Place::Path if !variable.is_path() => encoded(PATH, out),
                Place::Url | Place::HostEnd if !variable.is_url() => encoded(PATH, out),
                Place::Query if variable.is_path() || !variable.is_url() => encoded(PARAMETER, out),
                _ => out.extend_from_slice(value),
            }
        });
        let written = out.get(from..).unwrap_or_default();
        let nameless = from > 0 && out.get(..from).is_some_and(|url| url.ends_with(b"://"));
        let fits = match place {
            Place::Host if written.is_empty() && nameless => false,
            Place::Host if !variable.is_host() => written.iter().all(is_host),
            Place::HostEnd => written.is_empty() || b"/?#".contains(&written[0]),
            _ => true,
        };
        fits.then_some(()).ok_or(ProxyError::BadValue)
    }

    /// Hands out what a variable stands for, in parts.
    fn write(self, variable: &Variable, groups: Option<&Captures<'a>>, out: &mut dyn FnMut(&[u8])) {
        let view = self.view;
        match variable {
            Variable::Host => out(view.host().as_bytes()),
            Variable::Authority => out(view.authority().as_bytes()),
            Variable::ForwardedHost => out(view.forwarded_host(&view.headers).as_bytes()),
            Variable::Scheme => out(view.scheme().as_bytes()),
            Variable::Https => out(if view.https() { b"on" } else { b"" }),
            Variable::Port => out(view.port(self.listener).to_string().as_bytes()),
            Variable::Protocol => out(protocol(view.version)),
            Variable::RequestUri => out(view.target().as_str().as_bytes()),
            Variable::EscapedRequestUri => {
                utf8_percent_encode(view.target().as_str(), ESCAPED)
                    .for_each(|part| out(part.as_bytes()));
            }
            Variable::Path => out(view.path().as_bytes()),
            Variable::Query => out(view.query().unwrap_or_default().as_bytes()),
            Variable::QuestionMark => {
                let query = view.query().filter(|query| !query.is_empty());
                out(query.map_or(b"", |_| b"?"));
            }
            Variable::Method => out(view.method.as_str().as_bytes()),
            Variable::ClientAddress => out(client(view).as_bytes()),
            Variable::PeerAddress => out(view.peer().as_bytes()),
            Variable::User => {
                let user = view.authorization().and_then(auth::user);
                out(user.as_deref().unwrap_or_default());
            }
            Variable::RequestId => lines(&view.headers, &ForwardedField::RequestId.name(), out),
            Variable::Header(name) => lines(&view.headers, name, out),
            Variable::Argument(name) => out(argument(view.query(), name).as_bytes()),
            Variable::Cookie(name) => out(cookie(&view.headers, name)),
            Variable::Group(number) => {
                out(groups.map_or("", |groups| groups.get(*number)).as_bytes());
            }
        }
    }
}

/// Sets headers that were made, and takes off those that came to nothing.
pub(crate) fn set(made: &[Made], map: &mut HeaderMap) {
    for (name, value) in made {
        match value {
            Some(value) => drop(map.insert(name, value.clone())),
            None => drop(map.remove(name)),
        }
    }
}

/// The client's address, or the word that proxies have for one that is not known.
pub(crate) fn client(view: &View) -> Cow<'static, str> {
    match view.client().address() {
        Some(address) => Cow::Owned(address.to_string()),
        None => Cow::Borrowed("unknown"),
    }
}

/// The place behind a host that something has ended already.
fn end_of_host(url: &[u8]) -> Option<Place> {
    let scheme = url.windows(3).position(|part| part == b"://")?;
    let rest = url.get(scheme + 3..)?;
    if rest.iter().any(|b| b"?#".contains(b)) {
        return Some(Place::Query);
    }
    rest.contains(&b'/').then_some(Place::Url)
}

fn is_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':')
}

const fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        _ => b"HTTP/1.1",
    }
}

/// All values of a header, joined by commas; cookies by semicolons.
fn lines(map: &HeaderMap, name: &HeaderName, out: &mut dyn FnMut(&[u8])) {
    let between: &[u8] = if *name == header::COOKIE {
        b"; "
    } else {
        b", "
    };
    for (at, value) in map.get_all(name).iter().enumerate() {
        if at > 0 {
            out(between);
        }
        out(value.as_bytes());
    }
}

/// A parameter of a query, as it stands there.
fn argument<'q>(query: Option<&'q str>, name: &str) -> &'q str {
    let all = query.unwrap_or_default().split('&');
    let mut all = all.filter_map(|one| one.split_once('='));
    let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// A cookie that the client sent.
fn cookie<'m>(map: &'m HeaderMap, name: &str) -> &'m [u8] {
    let lines = map.get_all(header::COOKIE).iter();
    let mut all = lines.flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    let found = all.find_map(|one| {
        let one = one.trim_ascii_start();
        let (known, value) = one.split_at_checked(name.len())?;
        let same = known.eq_ignore_ascii_case(name.as_bytes());
        value.strip_prefix(b"=").filter(|_| same)
    });
    found.unwrap_or_default()
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
