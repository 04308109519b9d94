//! Backends that cannot be used. Whether requests come to them is known only when it is settled whose each path is.

use crate::{
    ingress::{Backend, DEFAULT_BACKEND},
    merge::HostGroup,
    note::{Notes, Outcome},
};

/// Says of each path that has such a backend, and that requests come to, what becomes of them.
pub(crate) fn note(groups: &[HostGroup], notes: &mut Notes) {
    for group in groups {
        // All requests are sent elsewhere.
        if group.source.settings.rule.redirect.is_some() {
            continue;
        }
        for owned in &group.paths {
            let canaries = owned.canaries.iter();
            let canaries = canaries.map(|one| (&one.source, &one.backend, &*one.field));
            let base = (&group.source, &owned.path.backend, &*owned.path.field);
            for (source, backend, field) in canaries.chain([base]) {
                let Backend::Broken(why) = backend else {
                    continue;
                };
                let field = match field {
                    DEFAULT_BACKEND => DEFAULT_BACKEND.to_owned(),
                    path => format!("{path}.backend"),
                };
                let message = format!("{why}; requests are answered with 500");
                notes.add(&source.object, Some(&field), Outcome::Dropped, message);
            }
        }
    }
}
