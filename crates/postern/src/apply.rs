//! Objects that are ours to keep: whether one is as it should be, and making it so with server-side apply.

use std::{hash::Hasher as _, time::Duration};

use api::{Kind, ObjectRef};
use fnv::FnvHasher;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    core::{ApiResource, DynamicObject, GroupVersionKind, Status},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::source::kube::MANAGER;

/// On an object of ours, a hash of what was applied last: fields that we do not set any more show by it.
const HASH: &str = "postern.dev/hash";
/// A write that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(10);

/// What to do about an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Make it so; with a `resourceVersion` ([`onto`]) only if it is of that version still.
    Apply(ObjectRef, Value),
    /// Delete it, if it is still the object of this uid.
    Delete(ObjectRef, String),
    /// Have it hang on nothing but these, if it is still of this version.
    Release(ObjectRef, String, Box<[OwnerReference]>),
}

impl Step {
    /// What it is about.
    pub(crate) const fn object(&self) -> &ObjectRef {
        match self {
            Self::Apply(object, _) | Self::Delete(object, _) | Self::Release(object, ..) => object,
        }
    }
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The API server does not take it.
    #[error("the API server answers {}: {}", .0.code, .0.message)]
    Refused(Box<Status>),
    /// It does not get that far.
    #[error(transparent)]
    Failed(kube::Error),
    /// No answer within the deadline.
    #[error("the API server does not answer")]
    Late,
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            error => Self::Failed(error),
        }
    }
}

/// Whether nothing can be written there any more because the whole namespace goes.
fn is_ending(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// Marks an object with the hash of what it should be. `body` is complete but for that.
pub(crate) fn marked(mut body: Value) -> Value {
    let hash = format!("{:016x}", hash(body.to_string().as_bytes()));
    body["metadata"]["annotations"][HASH] = hash.into();
    body
}

/// The body of an object that is applied only if it is of this version still; an empty version stands for any. A label
/// that was taken off meanwhile would else be put on again.
pub(crate) fn onto(mut body: Value, version: &str) -> Value {
    if !version.is_empty() {
        body["metadata"]["resourceVersion"] = version.into();
    }
    body
}

/// FNV-1a: the same on every replica and in every version, which the standard library's hashes do not promise.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Whether a live object is what was asked for: everything that we set is there. What the API server adds is its own.
pub(crate) fn holds(wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let same = |(field, wanted): (&String, &Value)| match (field.as_str(), live.get(field))
            {
                // A list by key, in no particular order.
                ("ports" | "ownerReferences", Some(live)) => same_set(wanted, live),
                (_, Some(live)) => holds(wanted, live),
                (_, None) => wanted.is_null() || wanted.as_array().is_some_and(Vec::is_empty),
            };
            wanted.iter().all(same)
        }
        (Value::Array(wanted), Value::Array(live)) => {
            let mut pairs = wanted.iter().zip(live);
            wanted.len() == live.len() && pairs.all(|(wanted, live)| holds(wanted, live))
        }
        _ => wanted == live,
    }
}

fn same_set(wanted: &Value, live: &Value) -> bool {
    let (Value::Array(wanted), Value::Array(live)) = (wanted, live) else {
        return false;
    };
    let there = |wanted: &Value| live.iter().any(|live| holds(wanted, live));
    wanted.len() == live.len() && wanted.iter().all(there)
}

/// The kind as the API server's paths have it.
fn resource(kind: Kind, version: Option<&str>) -> ApiResource {
    let ours = kind.api_version();
    let (group, ours) = ours.split_once('/').unwrap_or(("", ours));
    let version = version.unwrap_or(ours);
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.as_str()))
}

/// The objects of a kind in one namespace, or all of a kind that has none; in the version that is ours, or another one.
pub(crate) fn api(
    client: &Client,
    object: &ObjectRef,
    version: Option<&str>,
) -> Api<DynamicObject> {
    let resource = resource(object.kind, version);
    if object.kind.namespaced() {
        Api::namespaced_with(client.clone(), &object.key.namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

/// Takes a step. An object to be deleted that is gone is well deleted.
///
/// # Errors
/// See [`WriteError`].
pub(crate) async fn take(client: &Client, step: &Step) -> Result<(), WriteError> {
    match step {
        Step::Apply(object, body) => {
            let parameters = PatchParams::apply(MANAGER).force();
            let (api, patch) = (api(client, object, None), Patch::Apply(body));
            let answer = api.patch(&object.key.name, &parameters, &patch);
            let answer = timeout(DEADLINE, answer).await;
            match answer.map_err(|_| WriteError::Late)? {
                Ok(_) => tracing::info!(%object, "applied"),
                // Changed since it was looked at: another look follows.
                Err(kube::Error::Api(status))
                    if status.code == 409 && !body["metadata"]["resourceVersion"].is_null() => {}
                Err(error) if is_ending(&error) => {
                    tracing::debug!(%object, "not applied, since its namespace is being deleted");
                }
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
        Step::Release(object, version, owners) => {
            let body =
                json!({ "metadata": { "resourceVersion": version, "ownerReferences": owners } });
            let parameters = PatchParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let (api, patch) = (api(client, object, None), Patch::Merge(&body));
            let answer = api.patch(&object.key.name, &parameters, &patch);
            match timeout(DEADLINE, answer)
                .await
                .map_err(|_| WriteError::Late)?
            {
                Ok(_) => {
                    tracing::info!(%object, "its label is taken off: it does not hang on its Ingress any more")
                }
                // Gone, or changed: then another look follows.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
        Step::Delete(object, uid) => {
            let parameters = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: Some(uid.clone()),
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            let api = api(client, object, None);
            let answer = timeout(DEADLINE, api.delete(&object.key.name, &parameters)).await;
            match answer.map_err(|_| WriteError::Late)? {
                Ok(_) => tracing::info!(%object, "deleted"),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_adds_is_no_difference_and_what_is_missing_or_other_is() {
        let wanted = json!({ "spec": { "rules": [{ "name": "a" }], "ports": [{ "port": 1 }, { "port": 2 }], "none": [] } });
        let check = |live: Value, same| assert_eq!(holds(&wanted, &live), same, "{live}");
        check(wanted.clone(), true);
        let rules = json!([{ "name": "a", "weight": 1 }]);
        let ports = json!([{ "port": 2, "nodePort": 30000 }, { "port": 1 }]);
        check(
            json!({ "spec": { "rules": rules, "ports": ports, "more": 1 }, "status": {} }),
            true,
        );
        check(
            json!({ "spec": { "rules": [{ "name": "b" }], "ports": ports } }),
            false,
        );
        check(
            json!({ "spec": { "rules": [{ "name": "a" }, { "name": "b" }], "ports": ports } }),
            false,
        );
        check(
            json!({ "spec": { "rules": rules, "ports": [{ "port": 1 }] } }),
            false,
        );
        check(json!({ "spec": { "ports": ports } }), false);
    }

    #[test]
    fn the_mark_changes_with_the_object_alone() {
        let body =
            json!({ "metadata": { "name": "a", "annotations": { "x": "y" } }, "spec": { "a": 1 } });
        let first = marked(body.clone());
        assert_eq!(first, marked(body.clone()));
        assert!(holds(&body, &first));
        let mut less = body;
        less["spec"] = json!({});
        assert!(
            !holds(&marked(less), &first),
            "a field that we set no more shows by the hash"
        );
    }
}
