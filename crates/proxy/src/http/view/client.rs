//! Who asks, behind the proxies that are trusted.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::fields::FORWARDED_FOR;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    address: Option<IpAddr>,
    peer: IpAddr,
}

impl Client {
    /// The other end of a connection: its own word is what counts.
    #[must_use]
    pub fn peer(address: IpAddr) -> Self {
        let peer = address.to_canonical();
        Self {
            address: Some(peer),
            peer,
        }
    }

    /// The address; `None` where a trusted proxy named a client that cannot be read. Such a client is on no allow list
    /// and on every deny list.
    #[must_use]
    pub const fn address(self) -> Option<IpAddr> {
        self.address
    }

    /// What the client is counted as: its address, or that of the peer.
    #[must_use]
    pub fn counted(self) -> IpAddr {
        self.address.unwrap_or(self.peer)
    }

    /// Whether it is the other end of the connection itself.
    #[must_use]
    pub fn is_peer(self) -> bool {
        self.address == Some(self.peer)
    }

    /// Whether it is in one of these networks.
    #[must_use]
    pub fn is_in(self, networks: &[IpNet]) -> bool {
        self.address
            .is_some_and(|address| networks.iter().any(|net| net.contains(&address)))
    }
}

/// The client behind a trusted peer: the last address in the chain that is not a trusted proxy itself. What cannot be
/// read ends the chain: then the client is not known.
pub(super) fn behind(peer: IpAddr, chain: &HeaderValue, trusted: &[IpNet]) -> Client {
    let peer = peer.to_canonical();
    let mut client = Client {
        address: Some(peer),
        peer,
    };
    let text = chain.to_str().unwrap_or("?");
    for entry in text.rsplit(',').map(str::trim) {
        client.address = address(entry);
        match client.address {
            Some(address) if trusted.iter().any(|net| net.contains(&address)) => {}
            Some(_) | None => break,
        }
    }
    client
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = || entry.parse::<IpAddr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let found = bare().or_else(with_port).or_else(bracketed)?;
    Some(found.to_canonical())
}

/// All lines of `X-Forwarded-For` as one (RFC 9110 section 5.3), without empty entries; `None` when nothing is left.
pub(super) fn chain(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(FORWARDED_FOR).iter();
    let first = lines.next()?;
    let mut entries = Vec::new();
    for line in std::iter::once(first).chain(lines) {
        let parts = line.as_bytes().split(|b| *b == b',');
        entries.extend(
            parts
                .map(<[u8]>::trim_ascii)
                .filter(|part| !part.is_empty()),
        );
    }
    if entries.is_empty() {
        return None;
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(entries.join(&b", "[..]))).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    fn client(peer: &str, lines: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let peer = peer.parse().unwrap();
        let client = match super::chain(&headers) {
            Some(chain) => super::behind(peer, &chain, &trusted),
            None => super::Client::peer(peer),
        };
        let address = client.address().map(|address| address.to_string());
        address.unwrap_or_else(|| "nobody".to_owned())
    }

    #[test]
    fn the_client_is_the_last_that_no_trusted_proxy_stands_for() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[" , "], "10.0.0.1"),
            (&["5.6.7.8"], "5.6.7.8"),
            (&["9.9.9.9, 5.6.7.8, 10.0.0.2"], "5.6.7.8"),
            (&["9.9.9.9", "5.6.7.8"], "5.6.7.8"),
            (&["9.9.9.9", "", "5.6.7.8"], "5.6.7.8"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["9.9.9.9:1234"], "9.9.9.9"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["5.6.7.8, unknown"], "nobody"),
            (&["5.6.7.8, 10.0.0.2:x"], "nobody"),
            (&["5.6.7.8, _hidden, 10.0.0.2"], "nobody"),
            (&["unknown, 5.6.7.8"], "5.6.7.8"),
        ] {
            assert_eq!(client("10.0.0.1", lines), expected, "{lines:?}");
        }
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:5.6.7.8"]), "5.6.7.8");
    }

    #[test]
    fn all_lines_are_one_chain() {
        let mut headers = HeaderMap::new();
        for line in ["6.6.6.6", "", " 203.0.113.7 ,8.8.8.8"] {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let chain = super::chain(&headers).unwrap();
        assert_eq!(chain, "6.6.6.6, 203.0.113.7, 8.8.8.8");
    }
}
