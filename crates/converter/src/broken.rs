//! Backends that cannot be used. Whether requests come to them, and what becomes of these, is known only when it is
//! settled whose each path is.

use crate::{
    ingress::{Backend, DEFAULT_BACKEND},
    merge::{Attached, HostGroup, Owned},
    note::{Notes, Outcome},
};

/// Says of each path that has such a backend, and that requests come to, what becomes of them.
pub(crate) fn note(groups: &[HostGroup], notes: &mut Notes) {
    for group in groups {
        // All requests are sent elsewhere.
        if group.source.settings.rule.redirect.is_some() {
            continue;
        }
        let status = group.source.profile.broken_status();
        for owned in &group.paths {
            if let Backend::Broken(why) = &owned.path.backend {
                let effect = match owned.canaries.iter().any(takes_share) {
                    true => {
                        "what no canary takes by header or cookie goes to the canaries with a weight".to_owned()
                    }
                    false => refused(status),
                };
                let message = format!("{why}; {effect}");
                let field = field(&owned.path.field);
                notes.add(
                    &group.source.object,
                    Some(&field),
                    Outcome::Dropped,
                    message,
                );
            }
            for canary in &owned.canaries {
                if let Backend::Broken(why) = &canary.backend {
                    let message = format!("{why}; {}", of_canary(canary, owned, status));
                    let field = field(&canary.field);
                    notes.add(
                        &canary.source.object,
                        Some(&field),
                        Outcome::Dropped,
                        message,
                    );
                }
            }
        }
    }
}

/// What becomes of all requests that come.
fn refused(status: u16) -> String {
    format!("requests are answered with {status}")
}

fn of_canary(canary: &Attached, owned: &Owned, status: u16) -> String {
    let usable = !matches!(owned.path.backend, Backend::Broken(_));
    if canary.canary.header.is_some() || canary.canary.cookie.is_some() {
        format!("requests that it takes by header or cookie are answered with {status}")
    } else if usable || owned.canaries.iter().any(takes_share) {
        "its share of the requests goes to the others".to_owned()
    } else {
        refused(status)
    }
}

/// Whether a canary gets requests by weight, and can answer them.
fn takes_share(canary: &Attached) -> bool {
    canary.canary.weight.is_some() && !matches!(canary.backend, Backend::Broken(_))
}

fn field(field: &str) -> String {
    match field {
        DEFAULT_BACKEND => DEFAULT_BACKEND.to_owned(),
        path => format!("{path}.backend"),
    }
}
