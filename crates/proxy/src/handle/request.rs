//! What a backend shall see of a request.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts, uri::PathAndQuery,
};
use ir::{HashKey, RequestStep, Rewrite};

use super::Routed;
use crate::{
    balance, canonical,
    filter::{
        headers,
        redirect::RequestInfo,
        rewrite::{self, path_and_query},
    },
    router,
    server::Conn,
    upstream::Head,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// What backends also read who asked from; we do not vouch for it.
const CLAIMS: [HeaderName; 3] = [
    header::FORWARDED,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-port"),
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What a redirect needs to know of a request.
pub(super) fn info<'a>(
    conn: &Conn,
    routed: &'a Routed,
    parts: &'a Parts,
    host: &'a str,
) -> RequestInfo<'a> {
    RequestInfo {
        https: conn.tls.is_some(),
        host,
        listener_port: advertised(conn),
        path: path(routed, parts),
        query: parts.uri.query(),
    }
}

/// The port that the client meant.
fn advertised(conn: &Conn) -> u16 {
    let key = conn.port.key;
    let snapshot = conn.worker.snapshot();
    let port = snapshot.ir.ports.get(&key);
    port.and_then(|port| port.advertised).unwrap_or(key.port)
}

pub(super) fn path<'a>(routed: &'a Routed, parts: &'a Parts) -> &'a str {
    routed.path.as_deref().unwrap_or_else(|| parts.uri.path())
}

/// The hash of what a cluster balances by, if the request has it.
pub(super) fn hash_key(conn: &Conn, by: &HashKey, parts: &Parts) -> Option<u64> {
    let hash = |text: &str| balance::hash(text.as_bytes());
    match by {
        HashKey::Uri => parts
            .uri
            .path_and_query()
            .map(|target| hash(target.as_str())),
        HashKey::Host => canonical::host(&parts.uri, &parts.headers)
            .ok()
            .map(|host| hash(&host)),
        HashKey::ClientAddress => Some(hash(&conn.client(&parts.headers).to_string())),
        HashKey::Header(name) => parts
            .headers
            .get(name)
            .map(|value| balance::hash(value.as_bytes())),
        HashKey::Query(name) => parts
            .uri
            .query()
            .and_then(|query| router::query_value(query, name))
            .map(|value| hash(&value)),
    }
}

/// The head that goes to the backend, after the rule's request filters.
pub(super) fn head(
    conn: &Conn,
    routed: &Routed,
    mut parts: Parts,
    upgrade: Option<&HeaderValue>,
) -> Head {
    let target = target(routed, &parts);
    let host = authority(&parts);
    parts.headers.remove(header::HOST);
    strip_hop_by_hop(&mut parts.headers);
    // The gateway answers `100 Continue` itself when the backend starts reading.
    parts.headers.remove(header::EXPECT);
    if let Some(protocol) = upgrade {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(&mut parts.headers);
    }
    forwarded(conn, &host, &mut parts.headers);
    let mut head = Head {
        method: parts.method,
        target,
        host,
        headers: parts.headers,
    };
    for step in &routed.rule.rule.request {
        apply(step, &mut head);
    }
    head
}

/// Host and port as the client wrote them.
pub(super) fn authority(parts: &Parts) -> HeaderValue {
    let authority = parts.uri.authority();
    let authority = authority.and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    let named = || parts.headers.get(header::HOST).cloned();
    authority
        .or_else(named)
        .unwrap_or(HeaderValue::from_static(""))
}

/// How the client asks, as far as that is known: a trusted proxy in front of us may have taken TLS off.
pub(super) fn scheme(conn: &Conn, headers: &HeaderMap) -> &'static str {
    let told = headers.get(FORWARDED_PROTO).filter(|_| trusted(conn));
    match told.map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        _ => conn.scheme(),
    }
}

/// Applies one step of a rule to a request.
fn apply(step: &RequestStep, head: &mut Head) {
    match step {
        RequestStep::Headers(mods) => headers::apply(mods, &mut head.headers),
        RequestStep::Rewrite(Rewrite { host, path }) => {
            if let Some(host) = host {
                head.host = host.0.clone();
            }
            if let Some(path) = path {
                let new = rewrite::rewrite(path, head.target.path());
                head.target = path_and_query(&new, head.target.query());
            }
        }
    }
}

fn target(routed: &Routed, parts: &Parts) -> PathAndQuery {
    match &routed.path {
        Some(path) => path_and_query(path, parts.uri.query()),
        None => parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/")),
    }
}

/// Removes what concerns one connection only (RFC 9110 section 7.6.1). `TE: trailers` stays: gRPC needs it, and
/// trailers are passed on.
pub(super) fn strip_hop_by_hop(map: &mut HeaderMap) {
    if map.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = map
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .filter(|name| *name != header::TE)
            .collect();
        for name in named {
            map.remove(name);
        }
        map.remove(header::CONNECTION);
        map.remove(KEEP_ALIVE);
        map.remove(PROXY_CONNECTION);
    }
    map.remove(header::TRANSFER_ENCODING);
    map.remove(header::UPGRADE);
    if let Some(te) = map.get(header::TE) {
        let trailers = te.to_str().is_ok_and(|te| {
            te.split(',')
                .any(|t| t.trim().eq_ignore_ascii_case("trailers"))
        });
        map.remove(header::TE);
        if trailers {
            map.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// HTTP/2 may split cookies over several fields; HTTP/1.1 may not (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(map: &mut HeaderMap) {
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

/// Tells the backend who asked, and how. Only peers in `trusted_proxies` may have said so before us.
pub(super) fn forwarded(conn: &Conn, host: &HeaderValue, map: &mut HeaderMap) {
    let proto = HeaderValue::from_static(conn.scheme());
    if !trusted(conn) {
        CLAIMS.iter().for_each(|name| drop(map.remove(name)));
        map.insert(FORWARDED_FOR, conn.peer_value.clone());
        map.insert(FORWARDED_PROTO, proto);
        map.insert(FORWARDED_HOST, host.clone());
        return;
    }
    let chain = match map.get(FORWARDED_FOR) {
        Some(before) => {
            let joined = [before.as_bytes(), b", ", conn.peer_value.as_bytes()].concat();
            HeaderValue::from_maybe_shared(bytes::Bytes::from(joined))
                .unwrap_or_else(|_| conn.peer_value.clone())
        }
        None => conn.peer_value.clone(),
    };
    map.insert(FORWARDED_FOR, chain);
    map.entry(FORWARDED_PROTO).or_insert(proto);
    map.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
}

fn trusted(conn: &Conn) -> bool {
    let nets = &conn.worker.config.trusted_proxies;
    if nets.is_empty() {
        return false;
    }
    let peer: IpAddr = conn.peer.ip().to_canonical();
    nets.iter().any(|net| net.contains(&peer))
}
