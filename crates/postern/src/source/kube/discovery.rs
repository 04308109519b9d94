//! Which kinds the API server serves, in which version, and of which release of the Gateway API their definitions are.
//! CRDs come and go while we run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use api::{EXPERIMENTS_GROUP, GATEWAY_GROUP, GROUP, HIGRESS_GROUP, Kind};
use gateway_core::{Definition, Definitions, Need, needs};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Secret, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{Ingress, IngressClass},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    },
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
    (HIGRESS_GROUP, &["v1"]),
];

/// On a definition of the Gateway API: its release.
const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";

/// On a definition of the Gateway API: `standard` or `experimental`.
const CHANNEL: &str = "gateway.networking.k8s.io/channel";

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

/// What was read of a schema.
#[derive(Debug)]
struct Schema {
    /// Of the definition and of the kind that is served: what was read is right for as long as both stay.
    versions: (Option<String>, String),
    lacks: BTreeSet<Need>,
}

/// Asks again and again.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    known: Found,
    /// Kinds that were not found when last asked for, although known: gone if they are not found once more. An API
    /// server that has just started may not know all of its CRDs yet.
    missing: BTreeSet<Kind>,
    /// The log says that definitions cannot be read.
    told: bool,
    /// What was read of schemas, which are large: by the name of the definition, its version and that of its kind.
    schemas: BTreeMap<String, Schema>,
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

    /// Looks at the definitions themselves. Nothing but what classes say depends on it, so that failing is no failure.
    async fn define(&mut self, client: &Client) {
        let mut definitions = Definitions::new();
        let served = self.known.served.values();
        let ours: Vec<_> = { served.filter(|resource| resource.group == GATEWAY_GROUP) }
            .cloned()
            .collect();
        for resource in ours {
            match self.definition(client, &resource).await {
                Ok(Some(definition)) => {
                    definitions.insert(resource.plural, definition);
                }
                Ok(None) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        let name = &resource.plural;
                        tracing::warn!(definition = %name, %error, "cannot be read: GatewayClasses do not say whether its version is known, and claim what all versions have");
                    }
                    return;
                }
            }
        }
        self.told = false;
        self.known.definitions = definitions;
    }

    /// A definition as it is installed. Its schema is read when it has changed only.
    async fn definition(
        &mut self,
        client: &Client,
        resource: &ApiResource,
    ) -> kube::Result<Option<Definition>> {
        let api = Api::<CustomResourceDefinition>::all(client.clone());
        let name = format!("{}.{}", resource.plural, resource.group);
        let Some(found) = api.get_metadata_opt(&name).await? else {
            return Ok(None);
        };
        let mut annotations = found.metadata.annotations.unwrap_or_default();
        let mut definition = Definition {
            version: annotations.remove(BUNDLE_VERSION),
            channel: annotations.remove(CHANNEL),
            lacks: BTreeSet::new(),
        };
        let (mut fields, mut lacks) = (Vec::new(), BTreeSet::new());
        for need in needs(&resource.plural) {
            match need {
                Need::Field(field) => fields.push(field),
                Need::Kind(kind) if self.known.served.contains_key(&kind) => {}
                Need::Kind(_) => {
                    lacks.insert(need);
                }
            }
        }
        if !fields.is_empty() {
            let versions = (found.metadata.resource_version, resource.version.clone());
            let Some(fields) = self.pruned(&api, &name, versions, &fields).await? else {
                return Ok(None);
            };
            lacks.extend(fields);
        }
        definition.lacks = lacks;
        Ok(Some(definition))
    }

    /// Which of these fields the schema of a definition lacks. It is read only if it has changed since the last time.
    async fn pruned(
        &mut self,
        api: &Api<CustomResourceDefinition>,
        name: &str,
        versions: (Option<String>, String),
        fields: &[&'static str],
    ) -> kube::Result<Option<BTreeSet<Need>>> {
        if let Some(known) = self.schemas.get(name)
            && known.versions == versions
        {
            return Ok(Some(known.lacks.clone()));
        }
        let Some(whole) = api.get_opt(name).await? else {
            return Ok(None);
        };
        let schema = schema_of(&whole, &versions.1);
        let lacking = |field: &&&str| !schema.is_some_and(|schema| has(schema, field));
        let lacking = fields.iter().filter(lacking);
        let lacks: BTreeSet<_> = lacking.map(|field| Need::Field(field)).collect();
        let known = Schema {
            versions,
            lacks: lacks.clone(),
        };
        self.schemas.insert(name.to_owned(), known);
        Ok(Some(lacks))
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

/// The schema of that version of a definition.
fn schema_of<'a>(
    definition: &'a CustomResourceDefinition,
    version: &str,
) -> Option<&'a JSONSchemaProps> {
    let mut versions = definition.spec.versions.iter();
    let found = versions.find(|found| found.name == version)?;
    found.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// Whether a schema has a field, by its path: `spec.rules[].retry`.
fn has(schema: &JSONSchemaProps, path: &str) -> bool {
    let mut at = schema;
    for part in path.split('.') {
        let (name, list) = match part.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (part, false),
        };
        let field = at.properties.as_ref().and_then(|fields| fields.get(name));
        let found = match field.map(|field| (list, field, &field.items)) {
            Some((false, field, _)) => Some(field),
            Some((true, _, Some(JSONSchemaPropsOrArray::Schema(item)))) => Some(&**item),
            _ => None,
        };
        match found {
            Some(found) => at = found,
            // Fields that no schema names are kept where it says so.
            None => return at.x_kubernetes_preserve_unknown_fields == Some(true),
        }
    }
    true
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
    fn a_field_is_found_in_a_schema_by_its_path() {
        let fields = |fields: serde_json::Value| serde_json::json!({ "type": "object", "properties": fields });
        let rule = fields(serde_json::json!({ "retry": { "type": "object" } }));
        let spec = fields(serde_json::json!({ "rules": { "type": "array", "items": rule } }));
        let schema = serde_json::from_value(fields(serde_json::json!({ "spec": spec })));
        let schema = schema.unwrap();
        assert!(has(&schema, "spec.rules[].retry") && has(&schema, "spec.rules[]"));
        for absent in [
            "spec.rules.retry",
            "spec.rules[].name",
            "spec[].rules",
            "retry",
            "spec.rules[].retry.codes",
        ] {
            assert!(!has(&schema, absent), "{absent}");
        }
        let open = serde_json::json!({ "x-kubernetes-preserve-unknown-fields": true });
        let schema = serde_json::from_value(fields(serde_json::json!({ "spec": open })));
        assert!(has(&schema.unwrap(), "spec.rules[].retry"));
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
