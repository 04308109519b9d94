//! One lookup: the hosts file, then DNS.

use std::{net::IpAddr, str::FromStr, time::Duration};

use hickory_resolver::proto::rr::Name;
use tokio::sync::Semaphore;

use super::{Found, HOLDS, system::System};

/// So long what the hosts file says holds.
const HOSTS_HOLD: Duration = Duration::from_secs(5);

/// So many names are asked for at a time; each question has a descriptor of its own.
const AT_A_TIME: usize = 64;

/// Asks for names.
pub(super) struct Resolver {
    system: System,
    room: Semaphore,
}

impl Resolver {
    pub(super) const fn new(system: System) -> Self {
        Self {
            system,
            room: Semaphore::const_new(AT_A_TIME),
        }
    }

    /// The addresses of a name.
    pub(super) async fn find(&self, host: &str) -> Found {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Found::Addresses(vec![address], HOLDS.1);
        }
        // It is never closed.
        let _room = self.room.acquire().await;
        let read = self.system.read();
        let Ok(name) = Name::from_str(host) else {
            return Found::Nothing;
        };
        let addresses = read.in_hosts(&name);
        if !addresses.is_empty() {
            return Found::Addresses(addresses, HOSTS_HOLD);
        }
        match &read.dns {
            Ok(dns) => dns.find(&name).await,
            Err(error) => Found::Failed(error.clone()),
        }
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
