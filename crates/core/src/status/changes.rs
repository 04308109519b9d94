//! What differs between two statuses. What is shared between them is not looked into, so that cost follows the change.

use std::collections::BTreeMap;

use api::{Kind, ObjectKey, ObjectRef, paired};

use super::Status;

impl Status {
    /// The objects about which this says something else than `before`, or nothing any more.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Vec<ObjectRef> {
        let routes = paired(&self.routes, &before.routes);
        let routes = routes.filter(|(_, now, before)| now != before);
        let routes = routes.map(|(route, ..)| route.clone());
        macro_rules! changes {
            ($($kind:ident: $field:ident),*) => {
                routes
                    $(.chain(differing(Kind::$kind, &self.$field, &before.$field)))*
                    .collect()
            };
        }
        changes!(
            GatewayClass: gateway_classes,
            Gateway: gateways,
            ListenerSet: listener_sets,
            RoutePolicy: route_policies,
            BackendPolicy: backend_policies,
            ClientPolicy: client_policies,
            BackendTlsPolicy: backend_tls_policies,
            Ingress: ingresses
        )
    }
}

/// The objects for which the two have different values, or only one has any. [`std::sync::Arc`]s of types that are
/// [`Eq`] are equal at once when they are the same.
fn differing<'a, V: PartialEq>(
    kind: Kind,
    now: &'a BTreeMap<ObjectKey, V>,
    before: &'a BTreeMap<ObjectKey, V>,
) -> impl Iterator<Item = ObjectRef> {
    let pairs = paired(now, before).filter(|(_, now, before)| now != before);
    pairs.map(move |(key, ..)| ObjectRef::new(kind, key.clone()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::RouteStatus;

    #[test]
    fn what_is_new_gone_or_other_is_told_and_what_is_the_same_is_not() {
        let key = |name: &str| ObjectKey::new("n", name);
        let named = |name: &str| ObjectRef::new(Kind::HttpRoute, key(name));
        let route = |parents| Arc::new(RouteStatus { parents });
        let mut before = Status::default();
        before.routes.insert(named("same"), route(Vec::new()));
        before.routes.insert(named("gone"), route(Vec::new()));
        before.ingresses.insert(key("other"), Arc::default());
        let mut now = before.clone();
        assert_eq!(now.changes(&before), []);
        now.routes.remove(&named("gone"));
        now.routes.insert(named("new"), route(Vec::new()));
        let address = crate::Address::from("10.0.0.1");
        now.ingresses.insert(key("other"), Arc::from([address]));
        let told: Vec<_> = now
            .changes(&before)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            ["HTTPRoute/n/gone", "HTTPRoute/n/new", "Ingress/n/other"]
        );
    }
}
