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
    /// Nothing was said.
    HeaderTimeout,
    /// What was said is no HTTP.
    Malformed,
}

impl Rejection {
    /// Every reason.
    pub(crate) const ALL: [Self; 7] = [
        Self::Accept,
        Self::Limit,
        Self::Tls,
        Self::TlsTimeout,
        Self::NoListener,
        Self::HeaderTimeout,
        Self::Malformed,
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
        }
    }
}
