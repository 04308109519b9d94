//! The one view of a request: computed once, from the connection, the peers that are trusted, and the head.
//!
//! Everything that follows asks the view, and nothing reads the head for these things again: matching, gates,
//! redirects, hash keys, the question to an authenticator, the head that a backend gets, log and spans. What a client
//! may not say is gone from the view's headers ([`fields`]) before anything of ours is added.

mod authority;
mod client;
pub(crate) mod fields;
mod told;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Method, Uri, Version, header, request::Parts, uri::PathAndQuery,
};
use ipnet::IpNet;
use ir::{BadPath, Paths};

pub use authority::BadHost;
use authority::{Authority, default_port};
pub use client::Client;
use fields::{Came, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PROTO, HOPS};

use crate::http::target::path_and_query;

/// What the connection says about the requests on it.
#[derive(Debug, Clone)]
pub struct Peer {
    address: IpAddr,
    /// The address as `X-Forwarded-For` has it.
    text: HeaderValue,
    /// TLS ends here.
    pub(crate) tls: bool,
    /// It may say who asks, and how.
    trusted: bool,
}

impl Peer {
    /// The other end of a connection. It is trusted when it is in one of these networks.
    #[must_use]
    pub fn new(address: IpAddr, tls: bool, trusted: &[IpNet]) -> Self {
        let address = address.to_canonical();
        let text = HeaderValue::try_from(address.to_string());
        Self {
            address,
            text: text.unwrap_or(HeaderValue::from_static("unknown")),
            tls,
            trusted: trusted.iter().any(|net| net.contains(&address)),
        }
    }
}

impl Peer {
    /// The peer's own address.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }
}

/// Why there is no view of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The host.
    #[error(transparent)]
    Host(#[from] BadHost),
    /// The path.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// The target's form.
    #[error(transparent)]
    Target(#[from] BadTarget),
}

/// A target that is refused: neither a path nor a URL of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request's target is neither a path nor a URL of HTTP")]
pub struct BadTarget;

/// The one view of a request.
#[derive(Debug, Clone)]
pub struct View {
    /// Method.
    pub method: Method,
    /// HTTP version that the client speaks.
    pub version: Version,
    /// The fields that may pass, without `Host`.
    pub headers: HeaderMap,
    /// Canonical path, and the query as it came.
    target: PathAndQuery,
    /// What the client sent, where that is not the target.
    sent: Option<PathAndQuery>,
    /// The canonical path, where the target is as the client sent it ([`Paths::decoded`]).
    path: Option<Arc<str>>,
    authority: Authority,
    https: bool,
    port: Option<u16>,
    client: Client,
    /// The peer's address as `X-Forwarded-For` has it.
    peer: HeaderValue,
    /// What trusted proxies said about the way before us, on one line.
    chain: Option<HeaderValue>,
    /// What anybody said about it, on one line.
    said: Option<HeaderValue>,
    /// Protocols that the client offers to switch to.
    pub(crate) offered: Option<HeaderValue>,
    /// Some names have bytes that backends may take for hyphens.
    aliases: bool,
    hops: u8,
    /// `Authorization`, where the backend does not get the client's.
    kept_back: Option<HeaderValue>,
}

impl View {
    /// The view of a head that came from `peer`.
    ///
    /// # Errors
    /// Host, path or scheme can be read in more than one way, and the head is given back.
    pub fn new(
        peer: &Peer,
        trusted: &[IpNet],
        mut head: Parts,
    ) -> Result<Self, Box<(Unreadable, Parts)>> {
        match Self::read(peer, trusted, &mut head) {
            Ok(view) => Ok(view),
            Err(why) => Err(Box::new((why, head))),
        }
    }

    fn read(peer: &Peer, trusted: &[IpNet], head: &mut Parts) -> Result<Self, Unreadable> {
        let http2 = head.version >= Version::HTTP_2;
        let https = match peer.trusted {
            true => told_scheme(&head.headers).unwrap_or(peer.tls),
            false => peer.tls,
        };
        form(&head.method, &head.uri)?;
        let authority = Authority::of(&head.uri, &head.headers, https)?;
        let (target, sent) = target(head)?;
        let hops = hops(&head.headers);
        head.headers.remove(header::HOST);
        let came = Came {
            trusted: peer.trusted,
            http2,
        };
        let found = fields::sanitise(&mut head.headers, came);
        let said = found.forwarded_for;
        let chain = said.clone().filter(|_| peer.trusted);
        if http2 {
            join_cookies(&mut head.headers);
        }
        Ok(Self {
            client: match &chain {
                Some(chain) => client::behind(peer.address, chain, trusted),
                None => Client::peer(peer.address),
            },
            port: told_port(peer, &head.headers).or_else(|| {
                (https != peer.tls).then(|| authority.port().unwrap_or(default_port(https)))
            }),
            method: std::mem::take(&mut head.method),
            version: head.version,
            headers: std::mem::take(&mut head.headers),
            target,
            sent,
            path: None,
            authority,
            https,
            peer: peer.text.clone(),
            chain,
            said,
            offered: found.offered,
            aliases: found.aliases,
            hops,
            kept_back: None,
        })
    }

    /// Lower case, without port and trailing dot; empty where HTTP/1.0 named none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// Host and port, as `Host` and `:authority` have them.
    #[must_use]
    pub const fn authority(&self) -> &HeaderValue {
        self.authority.text()
    }

    /// Canonical path: what rules are matched with, and what rewrites begin with.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_else(|| self.target.path())
    }

    /// The canonical path, where the target has another one.
    pub(crate) const fn own_path(&self) -> Option<&Arc<str>> {
        self.path.as_ref()
    }

    /// Reads the path as listener and host say. What is passed on reads as the canonical path, too: what the client
    /// sent, if that is wanted and there are no dot segments in it, which others may resolve in another way; else the
    /// canonical path.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) fn read_path(&mut self, paths: Paths) -> Result<(), BadPath> {
        if paths.is_default() {
            return Ok(());
        }
        let sent = self.sent.as_ref().unwrap_or(&self.target);
        let read = paths.read(sent.path())?;
        let canonical = match &read.path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path),
        };
        let keeps = paths.decoded && !read.dots && sent.path().is_ascii();
        (self.target, self.path) = match canonical {
            Some(path) if keeps => (sent.clone(), Some(path.as_str().into())),
            Some(path) => (path_and_query(path, sent.query()), None),
            None => (sent.clone(), None),
        };
        Ok(())
    }

    /// Takes the client's `Authorization` off: no backend gets it.
    pub(crate) fn keep_back(&mut self) {
        self.kept_back = self.headers.remove(header::AUTHORIZATION);
    }

    /// The client's `Authorization`, whether or not backends get it.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        let kept = self.kept_back.as_ref();
        kept.or_else(|| self.headers.get(header::AUTHORIZATION))
    }

    /// The query without `?`, as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// Path and query as a backend gets them where no rule rewrites them.
    #[must_use]
    pub const fn target(&self) -> &PathAndQuery {
        &self.target
    }

    /// [`Self::target`], by value; with the canonical path, where that is to be rewritten.
    pub(crate) fn into_target(self, rewritten: bool) -> PathAndQuery {
        match self.path.filter(|_| rewritten) {
            Some(path) => path_and_query(&path, self.target.query()),
            None => self.target,
        }
    }

    /// Whether the client asks over TLS, as far as that is known: a trusted proxy may have ended it.
    #[must_use]
    pub const fn https(&self) -> bool {
        self.https
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The port that the client connected to: as a trusted proxy says, else that of the listener.
    #[must_use]
    pub fn port(&self, listener: u16) -> u16 {
        self.port.unwrap_or(listener)
    }

    /// Who asks.
    #[must_use]
    pub const fn client(&self) -> Client {
        self.client
    }

    /// The address at the other end of the connection, as `X-Forwarded-For` has it.
    #[must_use]
    pub(crate) const fn peer(&self) -> &HeaderValue {
        &self.peer
    }

    /// Whether the request has passed more gateways of ours than any sensible way has: it goes round in a circle.
    #[must_use]
    pub const fn is_looping(&self) -> bool {
        self.hops >= MAX_HOPS
    }

    /// Whether backends may take some names for others, since they have underscores, dots and the like.
    pub(crate) const fn has_aliases(&self) -> bool {
        self.aliases
    }

    /// Says in a head for a backend or an authenticator who asks and how, and that it has passed here.
    pub(crate) fn add_forwarded(&self, map: &mut HeaderMap) {
        let chain = match &self.chain {
            Some(before) => {
                let joined = [before.as_bytes(), b", ", self.peer.as_bytes()].concat();
                HeaderValue::from_maybe_shared(bytes::Bytes::from(joined))
                    .unwrap_or_else(|_| self.peer.clone())
            }
            None => self.peer.clone(),
        };
        map.insert(FORWARDED_FOR, chain);
        map.insert(FORWARDED_PROTO, HeaderValue::from_static(self.scheme()));
        // Only a trusted peer's is still there.
        if map.get(FORWARDED_HOST).is_none_or(HeaderValue::is_empty) {
            map.insert(FORWARDED_HOST, self.authority.text().clone());
        }
        map.insert(HOPS, HeaderValue::from(u16::from(self.hops) + 1));
    }
}

/// More gateways of ours than this on one way are a circle.
const MAX_HOPS: u8 = 8;

/// How many gateways of ours a request has passed. What is no number is too many.
fn hops(headers: &HeaderMap) -> u8 {
    let told = headers.get(HOPS);
    told.map_or(0, |told| {
        told.to_str()
            .ok()
            .and_then(|told| told.parse().ok())
            .unwrap_or(MAX_HOPS)
    })
}

/// Whether a target has a form that its method allows (RFC 9112 section 3.2): a path, an absolute URL with `http` or
/// `https`, or `*` for OPTIONS. The form of CONNECT is none of these.
fn form(method: &Method, uri: &Uri) -> Result<(), BadTarget> {
    let ours = match uri.scheme_str() {
        Some("http" | "https") => true,
        Some(_) => false,
        // A name alone, as CONNECT has it; or a path without its slash.
        None => uri.authority().is_none(),
    };
    let path = uri.path();
    let placed = path.starts_with('/') || path == "*" && *method == Method::OPTIONS;
    (ours && placed).then_some(()).ok_or(BadTarget)
}

/// The target that everything sees: the canonical path, and the query as it came; and what was sent, where that is
/// another.
fn target(head: &Parts) -> Result<(PathAndQuery, Option<PathAndQuery>), BadPath> {
    let sent = head.uri.path_and_query();
    let path = ir::canonical_path(head.uri.path())?;
    Ok(match (path, sent) {
        (Cow::Borrowed(_), Some(sent)) => (sent.clone(), None),
        (path, sent) => (path_and_query(&path, head.uri.query()), sent.cloned()),
    })
}

/// Whether the client asks over TLS, as a trusted proxy says it. Of several schemes the first counts: that is the
/// client's own connection. An empty one counts as absent, and what is no scheme says nothing.
fn told_scheme(headers: &HeaderMap) -> Option<bool> {
    let lines = headers.get_all(FORWARDED_PROTO).iter();
    let mut told = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let first = told
        .find(|told| !told.trim_ascii().is_empty())?
        .trim_ascii();
    let is = |scheme: &[u8]| first.eq_ignore_ascii_case(scheme);
    let (secured, plain) = (is(b"https") || is(b"wss"), is(b"http") || is(b"ws"));
    (secured || plain).then_some(secured)
}

/// The port that the client connected to, as a trusted proxy says it.
fn told_port(peer: &Peer, headers: &HeaderMap) -> Option<u16> {
    let told = headers.get(FORWARDED_PORT).filter(|_| peer.trusted)?;
    let first = told.to_str().ok()?.split(',').next()?;
    first.trim().parse().ok().filter(|port| *port != 0)
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 may not (RFC 9113 section 8.2.3).
fn join_cookies(map: &mut HeaderMap) {
    let mut all = map.get_all(header::COOKIE).iter();
    if let (Some(first), Some(_)) = (all.next(), all.next()) {
        let mut joined = first.as_bytes().to_vec();
        for value in map.get_all(header::COOKIE).iter().skip(1) {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(value.as_bytes());
        }
        if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
            map.insert(header::COOKIE, joined);
        }
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
