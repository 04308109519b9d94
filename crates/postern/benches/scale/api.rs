//! The API server, in as few words as this needs.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

/// Requests at the same time.
const WRITES: usize = 8;

/// A client that knows paths.
#[derive(Clone)]
pub(crate) struct Server(Client);

/// A kind: where its objects are, and what stands at their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    version: &'static str,
    name: &'static str,
    plural: &'static str,
    namespaced: bool,
}

const fn kind(version: &'static str, name: &'static str, plural: &'static str) -> Kind {
    Kind {
        version,
        name,
        plural,
        namespaced: true,
    }
}

pub(crate) const NAMESPACE: Kind = Kind {
    namespaced: false,
    ..kind("v1", "Namespace", "namespaces")
};
pub(crate) const NODE: Kind = Kind {
    namespaced: false,
    ..kind("v1", "Node", "nodes")
};
pub(crate) const CLASS: Kind = Kind {
    namespaced: false,
    ..kind(
        "gateway.networking.k8s.io/v1",
        "GatewayClass",
        "gatewayclasses",
    )
};
pub(crate) const SERVICE: Kind = kind("v1", "Service", "services");
pub(crate) const SLICE: Kind = kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices");
pub(crate) const GATEWAY: Kind = kind("gateway.networking.k8s.io/v1", "Gateway", "gateways");
pub(crate) const ROUTE: Kind = kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes");
pub(crate) const INGRESS: Kind = kind("networking.k8s.io/v1", "Ingress", "ingresses");

impl Kind {
    /// Where the objects are; without a namespace, all of them.
    pub(crate) fn path(self, namespace: &str) -> String {
        let group = match self.version {
            "v1" => "/api/v1".to_owned(),
            version => format!("/apis/{version}"),
        };
        match namespace {
            namespace if self.namespaced && !namespace.is_empty() => {
                format!("{group}/namespaces/{namespace}/{}", self.plural)
            }
            _ => format!("{group}/{}", self.plural),
        }
    }

    /// An object of that name; `rest` has its other fields.
    pub(crate) fn object(self, name: &str, rest: Value) -> Value {
        let mut object = rest;
        object["apiVersion"] = json!(self.version);
        object["kind"] = json!(self.name);
        object["metadata"]["name"] = json!(name);
        object
    }
}

impl Server {
    /// The one that `KUBECONFIG` names.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let client = Client::try_default().await;
        Ok(Self(client.context("KUBECONFIG names no cluster")?))
    }

    /// For what this type does not do.
    pub(crate) fn client(&self) -> &Client {
        &self.0
    }

    /// `None`: there is no such object.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Option<Value>> {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body)?;
        match self.0.request::<Value>(request).await {
            Ok(value) => Ok(Some(value)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| path.to_owned()),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn create(
        &self,
        kind: Kind,
        namespace: &str,
        object: &Value,
    ) -> anyhow::Result<()> {
        let path = kind.path(namespace);
        let made = self.call(Method::POST, &path, Some(object)).await?;
        made.with_context(|| format!("{path} is not there"))
            .map(drop)
    }

    /// Some at a time.
    pub(crate) async fn create_all(
        &self,
        kind: Kind,
        namespace: &str,
        objects: impl Iterator<Item = Value>,
    ) -> anyhow::Result<()> {
        let create = |object: Value| async move { self.create(kind, namespace, &object).await };
        let created = stream::iter(objects).map(create).buffer_unordered(WRITES);
        created.try_collect().await
    }

    /// Some at a time; one that is gone is well.
    pub(crate) async fn delete_all(
        &self,
        kind: Kind,
        namespace: &str,
        names: impl Iterator<Item = String>,
    ) -> anyhow::Result<()> {
        let delete = |name: String| async move {
            let path = format!("{}/{name}", kind.path(namespace));
            self.call(Method::DELETE, &path, None).await.map(drop)
        };
        let deleted = stream::iter(names).map(delete).buffer_unordered(WRITES);
        deleted.try_collect().await
    }
}
