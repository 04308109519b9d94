//! Where no backend may be.

use std::net::{IpAddr, SocketAddr};

use ir::Transport;

use super::Context;
use crate::http::error::ProxyError;

/// Whether a backend may be at an address. Asked of every address just before it is dialled, however it was found.
///
/// # Errors
/// The operator keeps backends from there, or it is a listener of ours.
pub(crate) fn check(
    context: &Context,
    transport: Transport,
    address: SocketAddr,
) -> Result<(), ProxyError> {
    let config = &context.config;
    let local = !config.local_backends && is_local(address.ip());
    if local || config.private.contains(&address) {
        tracing::debug!(%address, "a backend is not asked: it would be this machine, its link, or the admin endpoint");
        return Err(ProxyError::ConnectFailed);
    }
    if context.own.has(transport, address) {
        tracing::debug!(%address, "a backend is not asked: it is a listener of this process");
        return Err(ProxyError::BackendLoop);
    }
    Ok(())
}

/// Addresses that mean something else on every machine, which API servers refuse as endpoints too.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn addresses_that_mean_something_else_on_every_machine() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for other in [
            "10.0.0.1",
            "192.168.0.1",
            "203.0.113.9",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(!is_local(other.parse().unwrap()), "{other}");
        }
    }
}
