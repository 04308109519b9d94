//! `default-backend`, `custom-http-errors`.

use api::{Fallback, Kind};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    note::Outcome,
    service::{self, ServiceName},
    value,
};

/// See [`Family`].
pub(super) const FALLBACK: Family = Family {
    name: "fallback",
    keys: &[
        Key {
            name: "default-backend",
            doc: "[namespace/]service, by its first port: answers when the backend has no usable endpoint. In class nginx it is told why, in X-Code, X-Format, X-Namespace, X-Ingress-Name, X-Service-Name and X-Service-Port. Default none.",
            becomes: "RoutePolicy `fallback.backendRefs`. Approximated: another namespace has no ReferenceGrant for RoutePolicies of this one; then nobody stands in. Refused: no such Service.",
        },
        Key {
            name: "custom-http-errors",
            doc: "Statuses from 400 to 599, separated by commas, of the backend or because it did not answer: default-backend is asked for / in its stead, with X-Code, X-Format and X-Original-URI. Default none.",
            becomes: "RoutePolicy `fallback.statusCodes`. Approximated: there is no usable default-backend, and no default for all; ingress-nginx would also replace what the gateway itself refuses, and ask with the client's method. Refused: entries that are no such status; the others count.",
        },
    ],
    apply,
};

/// As many statuses as a RoutePolicy takes.
const MOST: usize = 64;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let (home, lookup) = (reader.namespace().to_owned(), reader.lookup);
    let reference = reader.parse("default-backend", |text| {
        let name = ServiceName::parse(text)?;
        if text.contains(':') {
            return Err(format!("{text:?} is neither a name nor namespace/name"));
        }
        name.reference(&home, lookup)
    });
    let statuses = statuses(reader, reference.is_some());
    let Some(reference) = reference else {
        return;
    };
    match service::missing_grant(Kind::RoutePolicy, &home, &reference, lookup) {
        None => {
            let effect = Effect::In(|written| {
                let mut policies = written.route_policies();
                policies.any(|policy| policy.fallback.is_some())
            });
            let message = "RoutePolicy fallback.backendRefs";
            reader.exact("default-backend", effect, message);
        }
        Some(missing) => reader.say("default-backend", Outcome::Approximated, missing),
    }
    settings.route_policy_mut().fallback = Some(Fallback {
        backend_refs: vec![reference.fallback()],
        status_codes: statuses,
        tell_why: reader.profile().tells_why(),
    });
}

fn statuses(reader: &mut Reader<'_>, has_backend: bool) -> Vec<u16> {
    const KEY: &str = "custom-http-errors";
    let Some(text) = reader.text(KEY) else {
        return Vec::new();
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in value::list(&text) {
        match entry.parse::<u16>() {
            Ok(status @ 400..=599) if good.contains(&status) => {}
            Ok(status @ 400..=599) if good.len() < MOST => good.push(status),
            _ => bad.push(format!("{entry:?} is not a status from 400 to 599")),
        }
    }
    if !bad.is_empty() || good.is_empty() {
        let count: Vec<_> = good.iter().map(u16::to_string).collect();
        let message = match &count[..] {
            [] => format!("{}; none counts", bad.join("; ")),
            count => format!("{}; {} count", bad.join("; "), count.join(", ")),
        };
        reader.say(KEY, Outcome::Refused, message);
    } else if !has_backend {
        let message = "there is no usable default-backend to answer instead, so the backend's own answers are passed on";
        reader.say(KEY, Outcome::Approximated, message);
    } else if reader.profile().tells_why() {
        let message = "RoutePolicy fallback.statusCodes; what the gateway itself refuses (401, 403, 413, 429) is not replaced, and pages are asked for with GET";
        reader.say(KEY, Outcome::Approximated, message);
    } else {
        let effect = Effect::In(|written| {
            let mut fallbacks = written.route_policies().flat_map(|policy| &policy.fallback);
            fallbacks.any(|fallback| !fallback.status_codes.is_empty())
        });
        reader.exact(KEY, effect, "RoutePolicy fallback.statusCodes");
    }
    good
}
