//! Which listener of which object.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// What declares listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenerParent {
    /// A Gateway.
    Gateway,
    /// A ListenerSet, which may have the name of a Gateway.
    ListenerSet,
}

/// The lasting identity of a listener: what declares it, and its name there. As text, which logs, metrics and `/config`
/// have: `namespace/gateway/listener`, or `ListenerSet/namespace/set/listener`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerKey {
    /// The kind of the object that declares it.
    pub parent: ListenerParent,
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
    /// The listener's name.
    pub listener: Arc<str>,
}

impl ListenerKey {
    /// The key of a Gateway's listener.
    #[must_use]
    pub fn of_gateway(namespace: &str, name: &str, listener: &str) -> Self {
        Self {
            parent: ListenerParent::Gateway,
            namespace: namespace.into(),
            name: name.into(),
            listener: listener.into(),
        }
    }
}

impl fmt::Display for ListenerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parent == ListenerParent::ListenerSet {
            f.write_str("ListenerSet/")?;
        }
        write!(f, "{}/{}/{}", self.namespace, self.name, self.listener)
    }
}

impl Serialize for ListenerKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{ListenerKey, ListenerParent};

    #[test]
    fn a_gateway_and_a_set_of_one_name_are_two() {
        let gateway = ListenerKey::of_gateway("a", "one", "http");
        let set = ListenerKey {
            parent: ListenerParent::ListenerSet,
            ..gateway.clone()
        };
        assert_eq!(gateway.to_string(), "a/one/http");
        assert_eq!(set.to_string(), "ListenerSet/a/one/http");
        assert_ne!(gateway, set);
        assert_eq!(serde_json::to_string(&set).unwrap(), format!("\"{set}\""));
    }
}
