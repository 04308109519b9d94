//! What of a request a template may name.

use std::fmt;

use http::{HeaderName, header};

use super::InvalidTemplate;
use crate::Pattern;

/// What of a request a [`Template`](crate::Template) may name. All of it is what the request came with, whatever has
/// been changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// `$host`: lower case, without port.
    Host,
    /// `$http_host`: with port, where it is not the scheme's own.
    Authority,
    /// `$best_http_host`: the first host that a trusted proxy says in `X-Forwarded-Host`, else as `$http_host`.
    ForwardedHost,
    /// `$scheme` or `$pass_access_scheme`: `http` or `https`, as the client sees it.
    Scheme,
    /// `$https`: `on`, or nothing.
    Https,
    /// `$server_port`, `$pass_server_port` or `$pass_port`: the port that the client connected to.
    Port,
    /// `$server_protocol`: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    Protocol,
    /// `$request_uri`: path and query.
    RequestUri,
    /// `$escaped_request_uri`: path and query, percent-encoded so as to stand in a query.
    EscapedRequestUri,
    /// `$uri` or `$document_uri`: the path.
    Path,
    /// `$args` or `$query_string`: the query, without question mark.
    Query,
    /// `$is_args`: a question mark where there is a query.
    QuestionMark,
    /// `$request_method`.
    Method,
    /// `$remote_addr` or `$the_real_ip`: the client's address.
    ClientAddress,
    /// `$realip_remote_addr`: the address at the other end of the connection.
    PeerAddress,
    /// `$remote_user`: the user name of `Authorization: Basic`, whether or not anything looks at the password.
    User,
    /// `$req_id` or `$request_id`: `X-Request-ID` as the backend gets it.
    RequestId,
    /// `$http_NAME`: a header, with dashes for the underscores of its name. Several are joined by commas.
    Header(HeaderName),
    /// `$arg_NAME`: the first parameter of the query with that name, whatever its case; as it stands there.
    Argument(Box<str>),
    /// `$cookie_NAME`: the first cookie with that name, whatever its case.
    Cookie(Box<str>),
    /// `$1` to `$9`, or a name: a group of the expression for the path.
    Group(u16),
}

/// Names of variables.
const VARIABLES: &[(&str, Variable)] = &[
    ("host", Variable::Host),
    ("http_host", Variable::Authority),
    ("best_http_host", Variable::ForwardedHost),
    ("scheme", Variable::Scheme),
    ("pass_access_scheme", Variable::Scheme),
    ("https", Variable::Https),
    ("server_port", Variable::Port),
    ("pass_server_port", Variable::Port),
    ("pass_port", Variable::Port),
    ("server_protocol", Variable::Protocol),
    ("request_uri", Variable::RequestUri),
    ("escaped_request_uri", Variable::EscapedRequestUri),
    ("uri", Variable::Path),
    ("document_uri", Variable::Path),
    ("args", Variable::Query),
    ("query_string", Variable::Query),
    ("is_args", Variable::QuestionMark),
    ("request_method", Variable::Method),
    ("remote_addr", Variable::ClientAddress),
    ("the_real_ip", Variable::ClientAddress),
    ("realip_remote_addr", Variable::PeerAddress),
    ("remote_user", Variable::User),
    ("req_id", Variable::RequestId),
    ("request_id", Variable::RequestId),
    ("content_type", Variable::Header(header::CONTENT_TYPE)),
    ("content_length", Variable::Header(header::CONTENT_LENGTH)),
];

/// Names without a name of their own in them.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|(name, _)| *name)
}

/// Every name there is, for a message.
pub(super) fn names() -> String {
    let named = known();
    let kinds = ["http_NAME", "arg_NAME", "cookie_NAME"];
    let names: Vec<_> = named.chain(kinds).map(|name| format!("${name}")).collect();
    format!("{}, and the groups of an expression", names.join(", "))
}

impl Variable {
    /// The variable of a name, whatever its case. Groups go first.
    pub(super) fn named(name: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        let lower = name.to_ascii_lowercase();
        let unknown = || InvalidTemplate::Unknown(name.to_owned());
        if let Ok(number) = lower.parse::<u16>() {
            let there = groups.is_some_and(|groups| groups.group_count() > number.into());
            return match (number, there) {
                (0, _) => Err(unknown()),
                (_, true) => Ok(Self::Group(number)),
                (_, false) => Err(InvalidTemplate::Group(number)),
            };
        }
        let group = groups.and_then(|groups| groups.group_named(name));
        if let Some(group) = group.and_then(|group| u16::try_from(group).ok()) {
            return Ok(Self::Group(group));
        }
        if let Some((_, known)) = VARIABLES.iter().find(|(known, _)| *known == lower) {
            return Ok(known.clone());
        }
        Self::of_kind(&lower).ok_or_else(unknown)
    }

    /// One of those with a name of its own in their name.
    fn of_kind(name: &str) -> Option<Self> {
        let (kind, name) = name.split_once('_')?;
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            return None;
        }
        match kind {
            "http" => HeaderName::try_from(name.replace('_', "-"))
                .ok()
                .map(Self::Header),
            "arg" => Some(Self::Argument(name.into())),
            "cookie" => Some(Self::Cookie(name.into())),
            _ => None,
        }
    }

    /// Whether the gateway itself says what it is, from what it has checked, so that it may make a host.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        matches!(
            self,
            Self::Host | Self::Authority | Self::ForwardedHost | Self::Port
        )
    }

    /// Whether its value is part of the request's URL, and so has its escapes.
    #[must_use]
    pub const fn is_url(&self) -> bool {
        matches!(
            self,
            Self::RequestUri
                | Self::EscapedRequestUri
                | Self::Path
                | Self::Query
                | Self::QuestionMark
                | Self::Argument(_)
                | Self::Group(_)
        )
    }

    /// Whether its value is the request's path, or part of it.
    #[must_use]
    pub const fn is_path(&self) -> bool {
        matches!(self, Self::Path | Self::Group(_))
    }
}

/// Its name, without dollar.
impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = VARIABLES.iter().find(|(_, known)| known == self);
        match (self, named) {
            (_, Some((name, _))) => f.write_str(name),
            (Self::Header(name), None) => write!(f, "http_{}", name.as_str().replace('-', "_")),
            (Self::Argument(name), None) => write!(f, "arg_{name}"),
            (Self::Cookie(name), None) => write!(f, "cookie_{name}"),
            (Self::Group(number), None) => write!(f, "{number}"),
            // Every other one is in the table.
            (_, None) => Ok(()),
        }
    }
}
