//! Who the binary is to the API server: a ServiceAccount that may do what the chart's may, and nothing else.

use std::{
    fs,
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::SubjectAccessReview,
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::Kubeconfig,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testkit::wait::DEADLINE;

/// What the roles of the chart are made of.
const PERMISSIONS: &str = "../../deploy/charts/postern/files/permissions.yaml";
/// Name of the account and of all that it needs in its namespace.
const NAME: &str = "postern";
/// Between looks.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Account {
    kubeconfig: NamedTempFile,
    /// What the binary says.
    log: NamedTempFile,
}

impl Drop for Account {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

impl Account {
    /// An account in that namespace. `name` is that of its roles in the cluster.
    pub(crate) async fn new(client: &Client, namespace: &str, name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PERMISSIONS);
        let permissions: Value =
            serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let subjects = json!([{ "kind": "ServiceAccount", "name": NAME, "namespace": namespace }]);
        let reference = |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        let cluster = json!({ "rules": permissions["cluster"] });
        let bound = json!({ "subjects": subjects, "roleRef": reference("ClusterRole", name) });
        put::<ClusterRole>(Api::all(client.clone()), name, cluster).await;
        put::<ClusterRoleBinding>(Api::all(client.clone()), name, bound).await;
        let here = json!({ "rules": permissions["namespace"] });
        let bound = json!({ "subjects": subjects, "roleRef": reference("Role", NAME) });
        put::<Role>(Api::namespaced(client.clone(), namespace), NAME, here).await;
        put::<RoleBinding>(Api::namespaced(client.clone(), namespace), NAME, bound).await;
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
        put(accounts.clone(), NAME, json!({})).await;
        let asked = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3_600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let parameters = PostParams::default();
        let answer = accounts.create_token_request(NAME, &parameters, &asked);
        let token = answer.await.unwrap().status.unwrap().token.unwrap();
        let account = Self {
            kubeconfig: kubeconfig(&token),
            log: NamedTempFile::new().unwrap(),
        };
        until_bound(client, namespace).await;
        account
    }

    /// Removes what is not in the namespace.
    pub(crate) async fn clear(client: &Client, name: &str) {
        let parameters = DeleteParams::default();
        // What is not there need not go.
        let _ = Api::<ClusterRoleBinding>::all(client.clone())
            .delete(name, &parameters)
            .await;
        let _ = Api::<ClusterRole>::all(client.clone())
            .delete(name, &parameters)
            .await;
    }

    /// For the binary's KUBECONFIG.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.path().to_owned()
    }

    /// For the binary's standard error.
    pub(crate) fn log(&self) -> Stdio {
        let log = fs::OpenOptions::new().append(true).open(self.log.path());
        log.unwrap().into()
    }

    /// All that the binary has said so far.
    pub(crate) fn said(&self) -> String {
        let mut text = String::new();
        let mut log = self.log.reopen().unwrap();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        text
    }

    /// Fails if the binary asked for something that the role does not allow. (A namespace on its way out forbids too,
    /// in other words.)
    pub(crate) fn assert_nothing_was_denied(&self) {
        let said = self.said();
        let denied: Vec<_> = said
            .lines()
            .filter(|line| line.contains("is forbidden: User "))
            .collect();
        assert!(denied.is_empty(), "{denied:#?}");
    }
}

async fn put<K>(api: Api<K>, name: &str, mut body: Value)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    body["apiVersion"] = K::api_version(&()).into();
    body["kind"] = K::kind(&()).into();
    body["metadata"] = json!({ "name": name });
    let parameters = PatchParams::apply("test").force();
    api.patch(name, &parameters, &Patch::Apply(&body))
        .await
        .unwrap();
}

/// The one that there is, with the token.
fn kubeconfig(token: &str) -> NamedTempFile {
    let mut config = serde_json::to_value(Kubeconfig::read().unwrap()).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"] = json!({ "token": token });
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(config.to_string().as_bytes()).unwrap();
    file
}

/// It takes the API server a moment to learn of roles.
async fn until_bound(client: &Client, namespace: &str) {
    let start = std::time::Instant::now();
    for (group, resource, verb) in [
        ("networking.k8s.io", "ingresses", "list"),
        ("coordination.k8s.io", "leases", "create"),
    ] {
        let review = json!({ "spec": {
            "user": format!("system:serviceaccount:{namespace}:{NAME}"),
            "resourceAttributes": {
                "group": group, "resource": resource, "verb": verb, "namespace": namespace,
            },
        }});
        let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
        let reviews = Api::<SubjectAccessReview>::all(client.clone());
        loop {
            let answer = reviews.create(&PostParams::default(), &review).await;
            if answer.unwrap().status.is_some_and(|status| status.allowed) {
                break;
            }
            assert!(start.elapsed() < DEADLINE, "{resource} may not be had");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
