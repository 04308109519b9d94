//! Why the gateway answered itself.

use http::StatusCode;
use ir::Reason;

use crate::http::framing::Fault;

/// A request that ended in the gateway. Every variant has a status and one word for access log and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Framing, host or path that can be read in more than one way.
    #[error("the request is malformed or ambiguous")]
    BadRequest,
    /// A value of the request does not fit where the rule puts it.
    #[error("a value of the request does not fit where the rule puts it")]
    BadValue,
    /// A method that the gateway does not forward.
    #[error("this method is not forwarded")]
    MethodNotAllowed,
    /// The request has passed too many gateways of ours.
    #[error("the request goes round in a circle")]
    LoopDetected,
    /// The body has a transfer coding under the chunks.
    #[error("the body's transfer coding is not known")]
    UnknownCoding,
    /// More header fields, or bytes of them, than allowed.
    #[error("too many header fields")]
    TooManyHeaders,
    /// Nothing matches host, path and headers.
    #[error("no route matches")]
    NoRoute,
    /// The TLS connection was made for another listener than the request's host belongs to.
    #[error("this connection is for another host")]
    Misdirected,
    /// Too many requests in flight.
    #[error("the gateway is at its limit")]
    Overloaded,
    /// The rule itself ends here.
    #[error("the route cannot be served: {}", .0.as_str())]
    Rule(Reason),
    /// The backend has no usable endpoint.
    #[error("the backend has no endpoints")]
    NoEndpoint,
    /// No connection could be made.
    #[error("the backend cannot be reached")]
    ConnectFailed,
    /// The backend is a listener of this gateway.
    #[error("the backend is the gateway itself")]
    BackendLoop,
    /// No connection was made in time.
    #[error("the backend cannot be reached in time")]
    ConnectTimeout,
    /// There are as many HTTP/2 connections to the backend as there may be, and none has room for a stream; or the
    /// backend refused the stream each time.
    #[error("the backend takes no more streams")]
    StreamsExhausted,
    /// The connection was lost before the response's head.
    #[error("the backend closed the connection")]
    UpstreamClosed,
    /// What the backend sent is no response, or does not say in one way where it ends.
    #[error("the backend's response is malformed")]
    BadResponse,
    /// No TLS connection could be made as the rule wants it.
    #[error("the backend's TLS is not as it should be")]
    UpstreamTls,
    /// The rule is not for this client.
    #[error("this client may not ask")]
    Forbidden,
    /// The rule wants a user name and password.
    #[error("user name and password are missing or wrong")]
    Unauthorized,
    /// The authenticator answered neither yes nor no.
    #[error("the authenticator gave no usable answer")]
    AuthFailed,
    /// The authenticator did not answer in time.
    #[error("the authenticator did not answer in time")]
    AuthTimeout,
    /// The authenticator cannot be reached.
    #[error("the authenticator cannot be reached")]
    AuthUnreachable,
    /// The rule's rate limit is used up.
    #[error("too many requests")]
    RateLimited,
    /// The client has as many requests in flight as it may.
    #[error("too many requests at once")]
    ConcurrencyLimited,
    /// The body is larger than the rule allows.
    #[error("the request's body is too large")]
    BodyTooLarge,
    /// An attempt ran into its deadline.
    #[error("the backend did not answer in time")]
    AttemptTimeout,
    /// The backend gave nothing, or took nothing, for longer than it may.
    #[error("the backend fell silent")]
    BackendSilent,
    /// The request ran into its deadline.
    #[error("the request took too long")]
    RequestTimeout,
    /// The client went away while its request was read.
    #[error("the client stopped sending")]
    ClientClosed,
}

/// Whose doing it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Downstream,
    /// The backend.
    Upstream,
    /// The gateway or its configuration.
    Gateway,
}

impl ProxyError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::BadValue | Self::ClientClosed => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Overloaded
            | Self::NoEndpoint
            | Self::ConnectFailed
            | Self::BackendLoop
            | Self::StreamsExhausted
            | Self::AuthUnreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Rule(_) | Self::AuthFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UpstreamClosed | Self::BadResponse | Self::UpstreamTls => StatusCode::BAD_GATEWAY,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::RateLimited | Self::ConcurrencyLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ConnectTimeout
            | Self::AttemptTimeout
            | Self::BackendSilent
            | Self::RequestTimeout
            | Self::AuthTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// One word for access log and metrics.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadValue => "bad_value",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::LoopDetected => "loop_detected",
            Self::UnknownCoding => "unknown_coding",
            Self::TooManyHeaders => "too_many_headers",
            Self::NoRoute => "no_route",
            Self::Misdirected => "misdirected",
            Self::Overloaded => "overloaded",
            Self::Rule(reason) => reason.as_str(),
            Self::NoEndpoint => "no_endpoint",
            Self::ConnectFailed => "connect_failed",
            Self::BackendLoop => "backend_loop",
            Self::ConnectTimeout => "connect_timeout",
            Self::StreamsExhausted => "streams_exhausted",
            Self::UpstreamClosed => "upstream_closed",
            Self::BadResponse => "bad_response",
            Self::UpstreamTls => "upstream_tls",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::AuthFailed => "auth_failed",
            Self::AuthTimeout => "auth_timeout",
            Self::AuthUnreachable => "auth_unreachable",
            Self::RateLimited => "rate_limited",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::BodyTooLarge => "body_too_large",
            Self::AttemptTimeout => "attempt_timeout",
            Self::BackendSilent => "backend_silent",
            Self::RequestTimeout => "request_timeout",
            Self::ClientClosed => "client_closed",
        }
    }

    /// Whether it is not clear where the request ends, so that nothing after it can be read.
    #[must_use]
    pub(crate) const fn is_about_framing(self) -> bool {
        matches!(
            self,
            Self::BadRequest | Self::UnknownCoding | Self::ClientClosed
        )
    }

    /// Whose doing it was.
    #[must_use]
    pub const fn blame(self) -> Side {
        match self {
            Self::BadRequest
            | Self::BadValue
            | Self::MethodNotAllowed
            | Self::UnknownCoding
            | Self::TooManyHeaders
            | Self::NoRoute
            | Self::Misdirected
            | Self::Forbidden
            | Self::Unauthorized
            | Self::RateLimited
            | Self::ConcurrencyLimited
            | Self::BodyTooLarge
            | Self::ClientClosed => Side::Downstream,
            Self::Overloaded | Self::LoopDetected | Self::Rule(_) => Side::Gateway,
            _ => Side::Upstream,
        }
    }
}

impl From<Fault> for ProxyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ambiguous => Self::BadRequest,
            Fault::UnknownCoding => Self::UnknownCoding,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_about_requests_has_every_word() {
        let page = include_str!("../../../../docs/life-of-a-request.md");
        let words = |source: &'static str| {
            let arms = source.lines().filter_map(|line| line.split_once("=> \""));
            arms.filter_map(|(_, rest)| rest.split_once("\",").map(|(word, _)| word))
        };
        let sources = [
            include_str!("error.rs"),
            include_str!("../../../ir/src/route.rs"),
        ];
        let all: Vec<_> = sources.into_iter().flat_map(words).collect();
        for word in &all {
            let told = page.contains(&format!("`{word}`"));
            assert!(told, "docs/life-of-a-request.md lacks {word}");
        }
        assert!(all.len() > 25, "{all:?}");
    }
}
