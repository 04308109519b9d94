//! Listeners as Gateways and ListenerSets declare them: the same, whichever object it is.

use api::{
    GATEWAY_GROUP,
    gateway::{
        gateways::{
            GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as GatewayFrom,
            GatewayListenersTlsMode as GatewayMode,
        },
        listenersets::{
            ListenerSetListeners, ListenerSetListenersAllowedRoutesNamespacesFrom as SetFrom,
            ListenerSetListenersTlsMode as SetMode,
        },
    },
};

use crate::namespace::{Expression, Namespaces, Selector};

/// A listener as declared, whichever object declares it.
#[derive(Debug)]
pub(crate) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) port: i32,
    pub(super) protocol: &'a str,
    pub(super) hostname: Option<&'a str>,
    pub(super) tls: Option<DeclaredTls<'a>>,
    pub(super) kinds: Vec<(&'a str, &'a str)>,
    pub(super) namespaces: Namespaces<'a>,
}

#[derive(Debug)]
pub(super) struct DeclaredTls<'a> {
    pub(super) passthrough: bool,
    pub(super) certificates: Vec<CertificateRef<'a>>,
    pub(super) options: bool,
}

#[derive(Debug)]
pub(super) struct CertificateRef<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: &'a str,
}

/// The generated types of the two kinds have the same shape under different names.
macro_rules! declared {
    ($listener:expr, $from:ident, $mode:ident) => {{
        let listener = $listener;
        let routes = listener.allowed_routes.as_ref();
        let namespaces = routes.and_then(|routes| routes.namespaces.as_ref());
        Declared {
            name: &listener.name,
            port: listener.port,
            protocol: &listener.protocol,
            hostname: listener.hostname.as_deref(),
            tls: listener.tls.as_ref().map(|tls| DeclaredTls {
                passthrough: tls.mode == Some($mode::Passthrough),
                certificates: tls
                    .certificate_refs
                    .iter()
                    .flatten()
                    .map(|reference| CertificateRef {
                        group: reference.group.as_deref().unwrap_or_default(),
                        kind: reference.kind.as_deref().unwrap_or("Secret"),
                        namespace: reference.namespace.as_deref(),
                        name: &reference.name,
                    })
                    .collect(),
                options: tls.options.as_ref().is_some_and(|o| !o.is_empty()),
            }),
            kinds: routes
                .and_then(|routes| routes.kinds.as_ref())
                .into_iter()
                .flatten()
                .map(|k| (k.group.as_deref().unwrap_or(GATEWAY_GROUP), &*k.kind))
                .collect(),
            namespaces: match namespaces.and_then(|n| n.from.as_ref()) {
                None | Some($from::Same) => Namespaces::Same,
                Some($from::All) => Namespaces::All,
                Some($from::Selector) => match namespaces.and_then(|n| n.selector.as_ref()) {
                    Some(selector) => Namespaces::Selector(selector!(selector)),
                    None => Namespaces::None,
                },
            },
        }
    }};
}

/// A label selector out of one of the generated types.
macro_rules! selector {
    ($selector:expr) => {{
        let selector = $selector;
        Selector {
            labels: selector.match_labels.as_ref(),
            expressions: selector
                .match_expressions
                .iter()
                .flatten()
                .map(|e| Expression {
                    key: &e.key,
                    operator: &e.operator,
                    values: e.values.as_deref().unwrap_or_default(),
                })
                .collect(),
        }
    }};
}
pub(crate) use selector;

impl<'a> From<&'a GatewayListeners> for Declared<'a> {
    fn from(listener: &'a GatewayListeners) -> Self {
        declared!(listener, GatewayFrom, GatewayMode)
    }
}

impl<'a> From<&'a ListenerSetListeners> for Declared<'a> {
    fn from(listener: &'a ListenerSetListeners) -> Self {
        declared!(listener, SetFrom, SetMode)
    }
}
