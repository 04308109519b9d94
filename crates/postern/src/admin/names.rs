//! By which names the admin endpoint may be asked.
//!
//! It asks nobody who they are: whoever reaches its address may read it. A page of the world, open in a browser that
//! can, reaches it too once the page's own name leads here (DNS rebinding), but under that name, which is none of ours.

use std::net::IpAddr;

use http::{HeaderMap, Uri, Version, header, uri::Authority};

/// Names that are ours, in lower case; any address is, too.
#[derive(Debug)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// `localhost`, the host's own name (a pod's, in a cluster), and those that the operator gives.
    pub(super) fn new(host: Option<String>, given: &[String]) -> Self {
        let fixed = ["localhost".to_owned()];
        let all = fixed.into_iter().chain(host).chain(given.iter().cloned());
        Self(all.map(|name| plain(&name)).collect())
    }

    /// Whether a request names us. One of HTTP/1.0 need not name anybody; no browser sends such.
    pub(super) fn are_asked(&self, uri: &Uri, headers: &HeaderMap, version: Version) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = match (hosts.next(), hosts.next()) {
            (None, _) => version == Version::HTTP_10,
            (Some(host), None) => host
                .to_str()
                .ok()
                .and_then(|host| host.parse::<Authority>().ok())
                .is_some_and(|host| self.has(&host)),
            (Some(_), Some(_)) => false,
        };
        named && uri.authority().is_none_or(|authority| self.has(authority))
    }

    fn has(&self, authority: &Authority) -> bool {
        let host = plain(authority.host());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || self.0.contains(&host)
    }
}

/// In lower case, without the dot that may end a name.
fn plain(name: &str) -> String {
    let name = name.trim();
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(hosts: &[&str], uri: &str, version: Version) -> bool {
        let names = Names::new(Some("Pod-1".to_owned()), &["metrics.example".to_owned()]);
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        names.are_asked(&uri.parse().unwrap(), &headers, version)
    }

    #[test]
    fn addresses_and_own_names_are_ours_and_no_others() {
        let one = |host: &str| asked(&[host], "/config", Version::HTTP_11);
        for host in [
            "127.0.0.1",
            "10.0.0.7:15000",
            "[::1]:15000",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST:15000",
            "localhost.",
            "pod-1",
            "pod-1:15000",
            "metrics.example",
        ] {
            assert!(one(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "pod-2",
            "",
            "a b",
            "[::1",
            "127.0.0.1@evil.example",
        ] {
            assert!(!one(host), "{host}");
        }
    }

    #[test]
    fn whoever_names_two_or_nobody_is_not_believed() {
        assert!(!asked(&[], "/", Version::HTTP_11));
        assert!(asked(&[], "/", Version::HTTP_10));
        assert!(!asked(&["localhost", "localhost"], "/", Version::HTTP_11));
        let there = "http://evil.example/config";
        assert!(!asked(&["localhost"], there, Version::HTTP_11));
        assert!(!asked(&[], there, Version::HTTP_10));
        let here = "http://localhost:15000/config";
        assert!(asked(&["localhost"], here, Version::HTTP_11));
    }
}
