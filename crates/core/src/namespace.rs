//! Which namespaces may attach.

use std::collections::BTreeMap;

use api::ObjectKey;
use k8s_openapi::api::core::v1::Namespace;
use tracked::View;

/// The label that every namespace carries, whether or not we were shown the Namespace object.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A choice of namespaces.
#[derive(Debug, Clone)]
pub(crate) enum Namespaces<'a> {
    All,
    Same,
    None,
    Selector(Selector<'a>),
}

/// A label selector.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector<'a> {
    pub(crate) labels: Option<&'a BTreeMap<String, String>>,
    pub(crate) expressions: Vec<Expression<'a>>,
}

/// One of a selector's `matchExpressions`.
#[derive(Debug, Clone)]
pub(crate) struct Expression<'a> {
    pub(crate) key: &'a str,
    pub(crate) operator: &'a str,
    pub(crate) values: &'a [String],
}

impl Namespaces<'_> {
    /// Whether `namespace` is chosen by an object in namespace `own`.
    pub(crate) fn allow(&self, own: &str, namespace: &str, view: &View<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Same => own == namespace,
            Self::None => false,
            Self::Selector(selector) => selector.matches(namespace, view),
        }
    }
}

impl Selector<'_> {
    fn matches(&self, namespace: &str, view: &View<'_>) -> bool {
        let object = view.get::<Namespace>(&ObjectKey::new("", namespace));
        let labels = object.and_then(|object| object.metadata.labels.as_ref());
        let label = |key: &str| match labels.and_then(|labels| labels.get(key)) {
            Some(value) => Some(value.as_str()),
            None => (key == NAME_LABEL).then_some(namespace),
        };
        let by_label = self
            .labels
            .is_none_or(|wanted| wanted.iter().all(|(k, v)| label(k) == Some(v)));
        by_label && self.expressions.iter().all(|e| e.matches(label(e.key)))
    }
}

impl Expression<'_> {
    fn matches(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|value| self.values.iter().any(|v| v == value));
        match self.operator {
            "In" => listed(),
            "NotIn" => !listed(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            // The API server refuses other operators. Open to nobody rather than to all.
            _ => false,
        }
    }
}
