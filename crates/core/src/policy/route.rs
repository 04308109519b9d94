//! Contents of RoutePolicies.

use std::{net::IpAddr, num::NonZeroU32};

use api::{
    ClientAddresses, ConcurrencyLimit, Fallback, GatewayStatuses, RateLimit, RateScope, RateUnit,
    condition::reasons,
};
use http::StatusCode;
use ipnet::IpNet;
use ir::OwnStatuses;

use crate::fault::Fault;

/// Rate limits as the data plane has them. What a single client does wrong shall cost the others nothing, so limits of
/// clients come first; a limit that is written twice counts once.
pub(crate) fn rate_limits(declared: &[RateLimit]) -> Result<Vec<ir::RateLimit>, Fault> {
    let mut limits: Vec<ir::RateLimit> = Vec::with_capacity(declared.len());
    for (at, limit) in declared.iter().enumerate() {
        let limit = rate_limit(limit, at)?;
        if !limits.contains(&limit) {
            limits.push(limit);
        }
    }
    limits.sort_by_key(|limit| !limit.per_client);
    Ok(limits)
}

fn rate_limit(limit: &RateLimit, at: usize) -> Result<ir::RateLimit, Fault> {
    let field = |name: &str| format!("rateLimits[{at}].{name}");
    let requests = positive(limit.requests, &field("requests"))?;
    Ok(ir::RateLimit {
        requests,
        unit: match limit.unit {
            RateUnit::Second => ir::RateUnit::Second,
            RateUnit::Minute => ir::RateUnit::Minute,
            RateUnit::Hour => ir::RateUnit::Hour,
        },
        burst: limit
            .burst
            .map_or(Ok(requests), |burst| positive(burst, &field("burst")))?,
        per_client: limit.scope == RateScope::Client,
        exempt: networks(&limit.exempt, &field("exempt"))?,
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

/// The statuses of the gateway's own answers, which are errors: of a server, where nothing a client could do would
/// help.
pub(crate) fn own_statuses(declared: &GatewayStatuses) -> Result<OwnStatuses, Fault> {
    let status = |field: &str, code: Option<u16>, least: u16| {
        let Some(code) = code else { return Ok(None) };
        let status = StatusCode::from_u16(code).ok();
        let status = status.filter(|_| (least..=599).contains(&code));
        status.map(Some).ok_or_else(|| {
            let message = format!("gatewayStatuses.{field}: {code} is not between {least} and 599");
            Fault::new(reasons::INVALID, message)
        })
    };
    Ok(OwnStatuses {
        connect_failed: status("connectFailed", declared.connect_failed, 500)?,
        invalid_backend: status("invalidBackend", declared.invalid_backend, 500)?,
        no_backend: status("noBackend", declared.no_backend, 400)?,
        invalid_rule: status("invalidRule", declared.invalid_rule, 500)?,
        forbidden: status("forbidden", declared.forbidden, 400)?,
    })
}

/// A limit of requests in flight as the data plane has it.
pub(crate) fn concurrency_limit(limit: &ConcurrencyLimit) -> Result<ir::ConcurrencyLimit, Fault> {
    Ok(ir::ConcurrencyLimit {
        requests: positive(limit.requests, "concurrency.requests")?,
        exempt: networks(&limit.exempt, "concurrency.exempt")?,
    })
}

fn positive(number: u32, field: &str) -> Result<NonZeroU32, Fault> {
    NonZeroU32::new(number)
        .ok_or_else(|| Fault::new(reasons::INVALID, format!("{field} must be at least 1")))
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
