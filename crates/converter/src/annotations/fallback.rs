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
            becomes: "RoutePolicy `fallback.statusCodes`. In class nginx also `fallback.refusals`: what the gateway itself refuses is replaced, too. Approximated: there is no usable default-backend, and no default for all; ingress-nginx asks with the client's method and body, and has the page's status for 401 and 403. Refused: entries that are no such status; the others count.",
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
    let effect = Effect::RoutePolicy(|policy| policy.fallback.is_some());
    match service::missing_grant(Kind::RoutePolicy, &home, &reference, lookup) {
        None => reader.exact(
            "default-backend",
            effect,
            "RoutePolicy fallback.backendRefs",
        ),
        Some(missing) => reader.close_to("default-backend", effect, missing),
    }
    let nginx = reader.profile().tells_why();
    settings.route_policy_mut().fallback = Some(Fallback {
        backend_refs: vec![reference.fallback()],
        refusals: nginx && !statuses.is_empty(),
        status_codes: statuses,
        tell_why: nginx,
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
    } else {
        let effect = Effect::RoutePolicy(|policy| {
            let fallback = policy.fallback.as_ref();
            fallback.is_some_and(|fallback| !fallback.status_codes.is_empty())
        });
        match reader.profile().tells_why() {
            true => {
                let message = "RoutePolicy fallback.statusCodes and fallback.refusals; pages are asked for with GET and without the request's body, and of 401 and 403 the status stays";
                reader.close_to(KEY, effect, message);
            }
            false => reader.exact(KEY, effect, "RoutePolicy fallback.statusCodes"),
        }
    }
    good
}
