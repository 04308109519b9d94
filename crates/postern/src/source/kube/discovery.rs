//! Which kinds the API server serves, in which version, and of which release of the Gateway API their definitions are. CRDs
//! come and go while we run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{EXPERIMENTS_GROUP, GATEWAY_GROUP, GROUP, Kind};
use gateway_core::Definitions;
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Secret, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{Ingress, IngressClass},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::APIResourceList,
};
use kube::{Api, Client, core::ApiResource};
use tokio::time::timeout;

/// Groups that are CRDs, or that an API server may not have, with the versions that we can read, best first.
const GROUPS: &[(&str, &[&str])] = &[
    (GATEWAY_GROUP, &["v1", "v1beta1", "v1alpha3", "v1alpha2"]),
    (GROUP, &["v1alpha1"]),
    (EXPERIMENTS_GROUP, &["v1alpha1"]),
    ("certificates.k8s.io", &["v1beta1", "v1alpha1"]),
];

/// On a definition of the Gateway API: its release.
const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";

/// Nothing waits longer for definitions.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is served, by kind.
pub(super) type Served = BTreeMap<Kind, ApiResource>;

/// What there is.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) served: Served,
    /// Of the kinds of the Gateway API among them.
    pub(super) definitions: Definitions,
}

/// Asks again and again.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    known: Found,
    /// Kinds that were not found when last asked for, although known: gone if they are not found once more. An API
    /// server that has just started may not know all of its CRDs yet.
    missing: BTreeSet<Kind>,
    /// Somebody has been told that definitions cannot be read.
    told: bool,
}

impl Discovery {
    /// What is served now.
    ///
    /// # Errors
    /// The API server cannot be asked; what was known still holds.
    pub(super) async fn ask(&mut self, client: &Client) -> kube::Result<&Found> {
        let found = served(client).await?;
        self.settle(found);
        if timeout(PATIENCE, self.define(client)).await.is_err() {
            tracing::debug!("definitions are not read in time; asking again");
        }
        Ok(&self.known)
    }

    /// Looks at the definitions themselves. Nothing but a condition depends on it, so that failing is no failure.
    async fn define(&mut self, client: &Client) {
        let api = Api::<CustomResourceDefinition>::all(client.clone());
        let mut definitions = Definitions::new();
        let ours = self.known.served.values();
        for resource in ours.filter(|resource| resource.group == GATEWAY_GROUP) {
            let name = format!("{}.{}", resource.plural, resource.group);
            match api.get_metadata_opt(&name).await {
                Ok(Some(definition)) => {
                    let mut annotations = definition.metadata.annotations.unwrap_or_default();
                    let version = annotations.remove(BUNDLE_VERSION);
                    definitions.insert(resource.plural.clone(), version);
                }
                Ok(None) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::warn!(definition = %name, %error, "cannot be read: GatewayClasses do not say whether its version is known");
                    }
                    return;
                }
            }
        }
        self.told = false;
        self.known.definitions = definitions;
    }

    fn settle(&mut self, found: Served) {
        let known = &mut self.known.served;
        let absent = known.keys().filter(|kind| !found.contains_key(kind));
        let (gone, missing): (Vec<_>, Vec<_>) =
            absent.partition(|kind| self.missing.contains(kind));
        let missing = missing.into_iter().copied().collect();
        for kind in gone.into_iter().copied().collect::<Vec<_>>() {
            known.remove(&kind);
        }
        known.extend(found);
        self.missing = missing;
    }
}

/// What is served now.
///
/// # Errors
/// The API server cannot be asked.
pub(super) async fn served(client: &Client) -> kube::Result<Served> {
    let mut found = native();
    // Asking for a version that is not there would be a warning of the client, every time.
    let groups = client.list_api_groups().await?.groups;
    let versions = groups.into_iter().flat_map(|group| group.versions);
    let there: BTreeSet<_> = versions.map(|version| version.group_version).collect();
    for (group, versions) in GROUPS {
        for version in *versions {
            let name = format!("{group}/{version}");
            if !there.contains(&name) {
                continue;
            }
            match client.list_api_group_resources(&name).await {
                Ok(list) => add(&mut found, group, version, &list),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// Kinds that every API server has.
fn native() -> Served {
    BTreeMap::from([
        (Kind::Ingress, ApiResource::erase::<Ingress>(&())),
        (Kind::IngressClass, ApiResource::erase::<IngressClass>(&())),
        (Kind::Service, ApiResource::erase::<Service>(&())),
        (
            Kind::EndpointSlice,
            ApiResource::erase::<EndpointSlice>(&()),
        ),
        (Kind::Secret, ApiResource::erase::<Secret>(&())),
        (Kind::ConfigMap, ApiResource::erase::<ConfigMap>(&())),
        (Kind::Namespace, ApiResource::erase::<Namespace>(&())),
    ])
}

/// Takes up the kinds of a version, unless a better version has them already.
fn add(found: &mut Served, group: &str, version: &str, list: &APIResourceList) {
    // A name with a slash is a subresource.
    for resource in list.resources.iter().filter(|r| !r.name.contains('/')) {
        let watchable = resource.verbs.iter().any(|verb| verb == "watch");
        let readable = |kind: &Kind| watchable && kind.versions().contains(&version);
        if let Some(kind) = Kind::find(group, &resource.kind).filter(readable) {
            found.entry(kind).or_insert_with(|| ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: format!("{group}/{version}"),
                kind: resource.kind.clone(),
                plural: resource.name.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(kinds: &[(&str, &str)]) -> Served {
        let mut found = native();
        for (version, kind) in kinds {
            let list = serde_json::from_value(serde_json::json!({
                "groupVersion": format!("{GATEWAY_GROUP}/{version}"),
                "resources": [
                    { "name": kind.to_lowercase() + "s", "singularName": "", "kind": kind, "namespaced": true,
                      "verbs": ["get", "list", "watch"] },
                    { "name": kind.to_lowercase() + "s/status", "singularName": "", "kind": kind, "namespaced": true,
                      "verbs": ["get", "patch"] },
                ],
            }));
            add(&mut found, GATEWAY_GROUP, version, &list.unwrap());
        }
        found
    }

    #[test]
    fn the_best_version_counts_and_foreign_kinds_do_not() {
        let found = served(&[
            ("v1", "Gateway"),
            ("v1beta1", "Gateway"),
            ("v1beta1", "ReferenceGrant"),
            ("v1", "TeapotRoute"),
            ("v1alpha2", "TCPRoute"),
            ("v1alpha2", "TLSRoute"),
        ]);
        assert_eq!(found[&Kind::Gateway].version, "v1");
        assert_eq!(
            found[&Kind::ReferenceGrant].api_version,
            format!("{GATEWAY_GROUP}/v1beta1")
        );
        assert_eq!(found[&Kind::TcpRoute].version, "v1alpha2");
        assert_eq!(found.len(), native().len() + 4);
    }

    #[test]
    fn a_kind_is_gone_when_it_is_missed_twice() {
        let mut discovery = Discovery::default();
        discovery.settle(served(&[("v1", "Gateway")]));
        discovery.settle(served(&[]));
        assert!(discovery.known.served.contains_key(&Kind::Gateway));
        discovery.settle(served(&[("v1", "Gateway")]));
        discovery.settle(served(&[]));
        assert!(discovery.known.served.contains_key(&Kind::Gateway));
        discovery.settle(served(&[]));
        assert!(!discovery.known.served.contains_key(&Kind::Gateway));
        discovery.settle(served(&[("v1", "Gateway")]));
        assert!(discovery.known.served.contains_key(&Kind::Gateway));
    }
}
