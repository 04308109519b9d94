//! What listeners speak, and over what.

use api::Kind;
use ir::Transport;

/// The transport of a port of a Service or EndpointSlice; others than these two are not ours.
pub(crate) fn transport(protocol: Option<&str>) -> Option<Transport> {
    match protocol {
        None | Some("TCP") => Some(Transport::Tcp),
        Some("UDP") => Some(Transport::Udp),
        Some(_) => None,
    }
}

/// The protocol of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    Http,
    Https,
    /// TLS that ends here, around a stream of anything.
    Terminated,
    /// TLS that is passed on; the server name that the client asks for is all that is looked at.
    Passthrough,
    Tcp,
    Udp,
}

/// What listeners of one socket have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Carrier {
    Http,
    /// > Either each Listener within the group specifies the "HTTP" Protocol or each Listener within the group
    /// > specifies either the "HTTPS" or "TLS" Protocol.
    Tls,
    Tcp,
    Udp,
}

impl Protocol {
    /// `None`: not one that we speak.
    pub(crate) fn parse(protocol: &str, passthrough: bool) -> Option<Self> {
        Some(match protocol {
            "HTTP" => Self::Http,
            "HTTPS" => Self::Https,
            "TLS" if passthrough => Self::Passthrough,
            "TLS" => Self::Terminated,
            "TCP" => Self::Tcp,
            "UDP" => Self::Udp,
            _ => return None,
        })
    }

    pub(crate) const fn carrier(self) -> Carrier {
        match self {
            Self::Http => Carrier::Http,
            Self::Https | Self::Terminated | Self::Passthrough => Carrier::Tls,
            Self::Tcp => Carrier::Tcp,
            Self::Udp => Carrier::Udp,
        }
    }

    pub(crate) const fn transport(self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            _ => Transport::Tcp,
        }
    }

    /// Whether clients' TLS ends here, which takes a certificate.
    pub(crate) const fn terminates(self) -> bool {
        matches!(self, Self::Https | Self::Terminated)
    }

    /// Whether what backends get has been in the open here, and so may have to be encrypted for them.
    pub(crate) const fn opens(self) -> bool {
        !matches!(self, Self::Passthrough | Self::Udp)
    }

    /// Whether streams or datagrams are passed on as they are.
    pub(crate) const fn streams(self) -> bool {
        !matches!(self, Self::Http | Self::Https)
    }

    /// Kinds of route that listeners take.
    pub(crate) const fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Http | Self::Https => &[Kind::HttpRoute, Kind::GrpcRoute],
            Self::Terminated | Self::Passthrough => &[Kind::TlsRoute],
            Self::Tcp => &[Kind::TcpRoute],
            Self::Udp => &[Kind::UdpRoute],
        }
    }
}

impl Carrier {
    /// For messages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "HTTPS or TLS",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}
