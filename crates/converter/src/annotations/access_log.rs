//! `enable-access-log`.

use super::{Effect, Family, Key, Reader, Settings};
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
    if logged {
        return reader.exact("enable-access-log", Effect::Default, "as by default");
    }
    settings.route_policy_mut().access_log = Some(false);
    let effect = Effect::RoutePolicy(|policy| policy.access_log == Some(false));
    reader.exact("enable-access-log", effect, "RoutePolicy accessLog: false");
}
