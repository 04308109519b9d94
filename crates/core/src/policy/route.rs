//! Contents of RoutePolicies.

use std::{net::IpAddr, num::NonZeroU32};

use api::{ClientAddresses, Fallback, RateLimit, RateScope, RateUnit, condition::reasons};
use http::StatusCode;
use ipnet::IpNet;

use crate::fault::Fault;

/// A rate limit as the data plane has it.
pub(crate) fn rate_limit(limit: &RateLimit) -> Result<ir::RateLimit, Fault> {
    let positive = |number: u32, name: &str| {
        NonZeroU32::new(number).ok_or_else(|| {
            Fault::new(
                reasons::INVALID,
                format!("rateLimit.{name} must be at least 1"),
            )
        })
    };
    let requests = positive(limit.requests, "requests")?;
    Ok(ir::RateLimit {
        requests,
        unit: match limit.unit {
            RateUnit::Second => ir::RateUnit::Second,
            RateUnit::Minute => ir::RateUnit::Minute,
            RateUnit::Hour => ir::RateUnit::Hour,
        },
        burst: limit
            .burst
            .map_or(Ok(requests), |burst| positive(burst, "burst"))?,
        per_client: limit.scope == RateScope::Client,
        exempt: networks(&limit.exempt, "rateLimit.exempt")?,
    })
}

/// The statuses of a fallback, distinct.
pub(crate) fn fallback_statuses(fallback: &Fallback) -> Result<Vec<StatusCode>, Fault> {
    let mut statuses = Vec::new();
    for code in &fallback.status_codes {
        let status = StatusCode::from_u16(*code)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error());
        match status {
            Some(status) if statuses.contains(&status) => {}
            Some(status) => statuses.push(status),
            None => {
                let message = format!("fallback.statusCodes: {code} is not between 400 and 599");
                return Err(Fault::new(reasons::INVALID, message));
            }
        }
    }
    Ok(statuses)
}

/// An address list as the data plane has it.
pub(crate) fn client_addresses(addresses: &ClientAddresses) -> Result<ir::ClientAddresses, Fault> {
    Ok(ir::ClientAddresses {
        allow: networks(&addresses.allow, "clientAddresses.allow")?,
        deny: networks(&addresses.deny, "clientAddresses.deny")?,
    })
}

/// Networks; an address stands for itself.
fn networks(entries: &[String], field: &str) -> Result<Vec<IpNet>, Fault> {
    let network = |entry: &String| {
        let text = entry.trim();
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse::<IpNet>().ok().or_else(address).ok_or_else(|| {
            let message = format!(
                "{field}: {entry:?} is neither an address nor a network such as 10.0.0.0/8"
            );
            Fault::new(reasons::INVALID, message)
        })
    };
    entries.iter().map(network).collect()
}
