//! Listeners that say what cannot be.

use api::condition::reasons;

use super::Declared;
use crate::{
    fault::Fault,
    protocol::{Carrier, Protocol},
};

/// Why a listener is not accepted for what it says itself, whatever else there is.
pub(super) fn of(declared: &Declared<'_>, protocol: Option<Protocol>) -> Option<Fault> {
    let unsupported = |message: &str| Some(Fault::new(reasons::UNSUPPORTED_VALUE, message));
    let tls = declared.tls.as_ref();
    let Some(protocol) = protocol else {
        return Some(Fault::new(
            reasons::UNSUPPORTED_PROTOCOL,
            format!(
                "protocol {:?} is not supported; use HTTP, HTTPS, TLS, TCP or UDP",
                declared.protocol
            ),
        ));
    };
    if u16::try_from(declared.port).map_or(true, |port| port == 0) {
        return unsupported("port must be between 1 and 65535");
    }
    match protocol.carrier() {
        Carrier::Http if tls.is_some() => {
            unsupported("tls has no meaning with protocol HTTP; use HTTPS")
        }
        Carrier::Tls if protocol == Protocol::Https && tls.is_some_and(|tls| tls.passthrough) => {
            unsupported("tls.mode Passthrough has no meaning with protocol HTTPS; use TLS")
        }
        Carrier::Tcp | Carrier::Udp if tls.is_some() => {
            unsupported("tls has no meaning with protocols TCP and UDP; use TLS")
        }
        Carrier::Tcp | Carrier::Udp if declared.hostname.is_some_and(|host| !host.is_empty()) => {
            unsupported("hostname has no meaning with protocols TCP and UDP")
        }
        _ => None,
    }
}
