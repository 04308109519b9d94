//! `enable-access-log`.

use super::{Family, Key, Reader, Settings};
use crate::value;

/// See [`Family`].
pub(super) const ACCESS_LOG: Family = Family {
    name: "access-log",
    keys: &[Key {
        name: "enable-access-log",
        doc: "true (default) or false: whether requests have their line in the access log.",
        becomes: "RoutePolicy `accessLog`. Refused: neither true nor false; then there are lines.",
    }],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let Some(logged) = reader.parse("enable-access-log", value::boolean) else {
        return;
    };
    if !logged {
        settings.route_policy_mut().access_log = Some(false);
    }
    let message = if logged {
        "as by default"
    } else {
        "RoutePolicy accessLog: false"
    };
    reader.exact("enable-access-log", message);
}
