//! Why a connection was closed by us.

/// One word for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// No file descriptor, or no memory.
    Accept,
    /// As many connections as the port may have.
    Limit,
    /// No TLS connection came about.
    Tls,
    /// The TLS handshake took too long.
    TlsTimeout,
    /// No listener of a TLS port has the server name, or a TCP port has none.
    NoListener,
    /// Nothing was said, or a request's head did not end.
    HeaderTimeout,
    /// What was said is no HTTP.
    Malformed,
    /// The client neither took nor gave a byte that we waited for.
    Stalled,
    /// A client of HTTP/2 gave up more requests than it may, or sent frames that cost us and nothing else.
    Flood,
}

impl Rejection {
    /// Every reason.
    pub(crate) const ALL: [Self; 9] = [
        Self::Accept,
        Self::Limit,
        Self::Tls,
        Self::TlsTimeout,
        Self::NoListener,
        Self::HeaderTimeout,
        Self::Malformed,
        Self::Stalled,
        Self::Flood,
    ];

    /// For metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Limit => "limit",
            Self::Tls => "tls",
            Self::TlsTimeout => "tls_timeout",
            Self::NoListener => "no_listener",
            Self::HeaderTimeout => "header_timeout",
            Self::Malformed => "malformed",
            Self::Stalled => "stalled",
            Self::Flood => "flood",
        }
    }
}
