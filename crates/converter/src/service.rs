//! Services that annotations name.

use api::{FallbackRef, Kind, ObjectKey};

use crate::{lookup::Lookup, value};

/// `[namespace/]name[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceName {
    namespace: Option<String>,
    name: String,
    port: Option<u16>,
}

impl ServiceName {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (bare, port) = match text.rsplit_once(':') {
            Some((bare, port)) => (bare, Some(self::port(port)?)),
            None => (text, None),
        };
        let (namespace, name) = value::object_ref(bare)?;
        Ok(Self {
            namespace,
            name,
            port,
        })
    }

    /// `name.namespace.svc.cluster.local`, as a host in the cluster is called.
    pub(crate) fn of_host(host: &str, port: Option<u16>) -> Option<Self> {
        let bare = host
            .strip_suffix(".svc.cluster.local")
            .or_else(|| host.strip_suffix(".svc"))?;
        let (name, namespace) = bare.split_once('.')?;
        (!namespace.contains('.')).then(|| Self {
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
            port,
        })
    }

    /// A reference from `home`. Without a port the Service's first one is meant, as in Higress.
    pub(crate) fn reference(&self, home: &str, lookup: &Lookup<'_>) -> Result<ServiceRef, String> {
        let namespace = self.namespace.as_deref().unwrap_or(home);
        let port = match self.port {
            Some(port) => port,
            None => first_port(&ObjectKey::new(namespace, &self.name), lookup)?,
        };
        Ok(ServiceRef {
            name: self.name.clone(),
            namespace: (namespace != home).then(|| namespace.to_owned()),
            port,
        })
    }
}

/// A port of a Service, as other objects refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceRef {
    pub(crate) name: String,
    /// If it is another one than that of the object.
    pub(crate) namespace: Option<String>,
    pub(crate) port: u16,
}

impl ServiceRef {
    /// As a RoutePolicy's `fallback` has it.
    pub(crate) fn fallback(&self) -> FallbackRef {
        FallbackRef {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            port: self.port,
        }
    }
}

fn first_port(key: &ObjectKey, lookup: &Lookup<'_>) -> Result<u16, String> {
    let Some(service) = lookup.service(key) else {
        return Err(format!(
            "Service {key} does not exist, so its first port cannot be found"
        ));
    };
    let spec = service.spec.as_ref();
    let ports = spec.and_then(|spec| spec.ports.as_deref());
    let tcp = ports
        .unwrap_or_default()
        .iter()
        .find(|port| port.protocol.as_deref().is_none_or(|p| p == "TCP"));
    tcp.and_then(|port| u16::try_from(port.port).ok())
        .ok_or_else(|| format!("Service {key} has no port"))
}

/// A port's number.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| format!("{text:?} is not a port"))
}

/// What is missing for objects of `kind` in `home` to refer to another namespace; `None` where nothing is.
pub(crate) fn missing_grant(
    kind: Kind,
    home: &str,
    reference: &ServiceRef,
    lookup: &Lookup<'_>,
) -> Option<String> {
    let namespace = reference.namespace.as_deref()?;
    let name = &*reference.name;
    let to = ObjectKey::new(namespace, name);
    let granted = lookup.permits(kind, home, &to);
    (!granted).then(|| {
        format!(
            "it needs a ReferenceGrant in namespace {namespace} that lets {} ({}) of namespace {home} use Service {name}; without it, it is not used",
            kind.as_str(),
            kind.group()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::ServiceName;

    #[test]
    fn names() {
        let parsed = ServiceName::parse("shop/cart:8080").unwrap();
        assert_eq!(
            (parsed.namespace.as_deref(), &*parsed.name, parsed.port),
            (Some("shop"), "cart", Some(8080))
        );
        for bad in ["", "a:0", "a:http", "a/b/c", "A", "a:"] {
            assert!(ServiceName::parse(bad).is_err(), "{bad}");
        }
        let host = |text| ServiceName::of_host(text, None).map(|name| (name.namespace, name.name));
        let found = Some((Some("shop".to_owned()), "cart".to_owned()));
        assert_eq!(host("cart.shop.svc.cluster.local"), found);
        assert_eq!(host("cart.shop.svc"), found);
        assert_eq!(host("a.cart.shop.svc.cluster.local"), None);
        assert_eq!(host("example.com"), None);
    }
}
