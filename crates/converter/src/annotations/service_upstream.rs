//! `service-upstream`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::value;

/// See [`Family`].
pub(super) const SERVICE_UPSTREAM: Family = Family {
    name: "service-upstream",
    keys: &[Key {
        name: "service-upstream",
        doc: "true: requests go to the Service's own address instead of one of its endpoints. Default false. A Service without one keeps its endpoints.",
        becomes: "BackendPolicy `useClusterIP`. Refused: neither true nor false.",
    }],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if let Some(wanted) = reader.parse("service-upstream", value::boolean) {
        let effect = if wanted {
            settings.backend_policy_mut().use_cluster_ip = Some(true);
            Effect::BackendPolicy(|policy| policy.use_cluster_ip == Some(true))
        } else {
            Effect::Default
        };
        reader.exact("service-upstream", effect, "BackendPolicy useClusterIP");
    }
}
