//! What happens to a request and its response on the way. Filters hold parsed values, so applying cannot fail.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, StatusCode};
use ipnet::IpNet;
use serde::Serialize;

use crate::{ClusterKey, Fraction, Pattern, serialize};

/// Which clients may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientAddresses {
    /// These and no others; empty: all.
    pub allow: Vec<IpNet>,
    /// Not these, whatever `allow` says.
    pub deny: Vec<IpNet>,
}

impl ClientAddresses {
    /// Whether a client may ask. One whose address is not known is on no allow list and on every deny list.
    #[must_use]
    pub fn permits(&self, client: Option<IpAddr>) -> bool {
        let Some(client) = client else {
            return self.allow.is_empty() && self.deny.is_empty();
        };
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&client));
        (self.allow.is_empty() || within(&self.allow)) && !within(&self.deny)
    }

    /// Whether every address is denied.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let all = |v4: bool| move |net: &IpNet| net.prefix_len() == 0 && net.addr().is_ipv4() == v4;
        self.deny.iter().any(all(true)) && self.deny.iter().any(all(false))
    }
}

/// Header changes, applied in this order: remove, set, add. So `remove X` with `add X v` leaves just `v`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HeaderMods {
    /// Names to delete.
    #[serde(
        serialize_with = "serialize::names",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub remove: Vec<HeaderName>,
    /// Overwritten, or created.
    #[serde(
        serialize_with = "serialize::pairs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appended to what is there: an existing value becomes `old,new`.
    #[serde(
        serialize_with = "serialize::pairs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderMods {
    /// The names that are changed.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> + Clone {
        let written = self.set.iter().chain(&self.add).map(|(name, _)| name);
        self.remove.iter().chain(written)
    }
}

/// The `Host` that the backend sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostRewrite(#[serde(serialize_with = "serialize::header_value")] pub HeaderValue);

/// A change of path and host before forwarding. The query string is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// New host, if it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostRewrite>,
    /// New path, if it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRewrite>,
}

/// How a path changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathRewrite {
    /// The whole path becomes this.
    Full(Box<str>),
    /// The matched prefix (held without trailing slash) becomes `replacement` (likewise); the rest is kept.
    /// Joined so that exactly one slash stands between the two, and an empty result is `/`.
    Prefix {
        /// What the rule matched.
        matched: Box<str>,
        /// What stands there afterwards.
        replacement: Box<str>,
    },
    /// Regular-expression substitution of the first match, with `$1` to `$9` in `replacement`
    /// (regex crate syntax: `${1}`; a literal dollar is `$$`). A path that does not match is left alone;
    /// a result without leading slash gets one.
    Regex {
        /// What is searched for in the path.
        pattern: Pattern,
        /// What replaces it.
        replacement: Box<str>,
    },
}

/// Copies of requests, sent to another cluster; failures never touch the primary request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Where to.
    pub cluster: ClusterKey,
    /// Which share of requests.
    pub fraction: Fraction,
}

/// An answer that sends the client elsewhere. Parts that are `None` come from the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    #[serde(serialize_with = "serialize::status")]
    pub status: StatusCode,
    /// `http` or `https`; `None`: as the request came.
    pub https: Option<bool>,
    /// Host without port; `None`: the request's.
    pub host: Option<Box<str>>,
    /// Port. `None`: the scheme's default if `https` is given, else the listener's. A scheme's default port is not
    /// written out.
    pub port: Option<u16>,
    /// Path; `None`: the request's. The request's query string is always kept.
    pub path: Option<RedirectPath>,
}

/// The path of a redirect, as [`PathRewrite`] without expressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RedirectPath {
    /// The whole path becomes this.
    Full(Box<str>),
    /// As [`PathRewrite::Prefix`].
    Prefix {
        /// What the rule matched.
        matched: Box<str>,
        /// What stands there afterwards.
        replacement: Box<str>,
    },
}

/// Which origins may read answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OriginMatch {
    /// `*`.
    Any,
    /// `scheme://host[:port]`, compared without case.
    Exact(Box<str>),
    /// `scheme://*.suffix[:port]`.
    Wildcard {
        /// `https://`, in lower case.
        scheme: Box<str>,
        /// `.example.com[:port]`, in lower case, with the leading dot.
        suffix: Box<str>,
        /// The star stands for one label, rather than for any number of them.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        one_label: bool,
    },
}

/// CORS as the Fetch standard and Gateway API's `HTTPCORSFilter` describe it.
///
/// A preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) is answered by the gateway; everything
/// else is forwarded, and decorated when the origin is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cors {
    /// Allowed origins.
    pub origins: Vec<OriginMatch>,
    /// `Access-Control-Allow-Credentials: true`. With it, `*` is never answered: origin, method and headers are echoed.
    pub credentials: bool,
    /// Where any origin is allowed, `*` is answered with credentials too, and without an `Origin`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub literal_star: bool,
    /// Methods, headers and age are in every answer to an allowed origin, and each of its OPTIONS is a preflight.
    /// Requests of other origins go to the backend, and what it says to them stands.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub every_answer: bool,
    /// Allowed methods.
    pub methods: Allowed,
    /// Allowed request headers.
    pub headers: Allowed,
    /// Response headers that scripts may read.
    pub expose: Allowed,
    /// How long a preflight answer may be kept, in seconds.
    pub max_age: u32,
}

impl Cors {
    /// Whether every origin is allowed.
    #[must_use]
    pub fn allows_any(&self) -> bool {
        self.origins.contains(&OriginMatch::Any)
    }
}

/// Methods or headers that CORS allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// `*`.
    Everything,
    /// Not one: the field is not sent.
    Nothing,
    /// These, as the field lists them.
    These(HeaderValue),
}

impl Serialize for Allowed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Everything => serializer.serialize_str("*"),
            Self::Nothing => serializer.serialize_str(""),
            Self::These(list) => serialize::header_value(list, serializer),
        }
    }
}
