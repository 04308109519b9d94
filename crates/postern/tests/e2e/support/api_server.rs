//! As much of an API server as a client needs that only reads: groups and kinds, lists in pages, single objects, and
//! refusals. It answers nothing else, and remembers what it was asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A kind as the API server's paths have it.
struct Resource {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
}

const fn resource(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Resource {
    Resource {
        group,
        version,
        kind,
        plural,
        namespaced,
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Those that the tests are about.
const RESOURCES: [Resource; 13] = [
    resource("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    resource(
        "networking.k8s.io",
        "v1",
        "IngressClass",
        "ingressclasses",
        false,
    ),
    resource("", "v1", "Service", "services", true),
    resource(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        true,
    ),
    resource("", "v1", "Secret", "secrets", true),
    resource("", "v1", "ConfigMap", "configmaps", true),
    resource("", "v1", "Namespace", "namespaces", false),
    resource(GATEWAY_API, "v1", "GatewayClass", "gatewayclasses", false),
    resource(GATEWAY_API, "v1", "Gateway", "gateways", true),
    resource(GATEWAY_API, "v1", "ListenerSet", "listenersets", true),
    resource(GATEWAY_API, "v1", "HTTPRoute", "httproutes", true),
    resource(
        "postern.dev",
        "v1alpha1",
        "RouteFilter",
        "routefilters",
        true,
    ),
    resource(
        "networking.higress.io",
        "v1",
        "McpBridge",
        "mcpbridges",
        true,
    ),
];

/// What is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    /// Resources that may not be read, by plural.
    pub(crate) denied: BTreeSet<&'static str>,
    /// Groups that it does not have.
    pub(crate) lacking: BTreeSet<&'static str>,
    /// So many first questions are answered with 429.
    pub(crate) busy: usize,
    /// Once, it has forgotten what the second page of a list is to go on from.
    pub(crate) forgetful: bool,
}

/// Dropped, it takes no more connections than one.
pub(crate) struct ApiServer {
    kubeconfig: NamedTempFile,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// By plural; in order of namespace and name.
    objects: BTreeMap<&'static str, Vec<Value>>,
    wrong: Mutex<Wrong>,
    asked: Mutex<Vec<String>>,
    page: usize,
}

impl ApiServer {
    /// One that has the objects of manifests, and gives so many of them in a page.
    pub(crate) fn start(manifests: &str, page: usize, wrong: Wrong) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut kubeconfig = NamedTempFile::new().unwrap();
        let context = |cluster: &str| json!({ "cluster": cluster, "user": "reader" });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [
                { "name": "test", "cluster": { "server": format!("http://{address}") } },
                { "name": "gone", "cluster": { "server": "http://127.0.0.1:1" } },
            ],
            "users": [{ "name": "reader", "user": {} }],
            "contexts": [
                { "name": "test", "context": context("test") },
                { "name": "gone", "context": context("gone") },
            ],
        });
        kubeconfig.write_all(config.to_string().as_bytes()).unwrap();
        let state = Arc::new(State {
            objects: objects(manifests),
            wrong: Mutex::new(wrong),
            asked: Mutex::default(),
            page,
        });
        std::thread::spawn({
            let state = Arc::clone(&state);
            move || {
                // The test holds the other one.
                while Arc::strong_count(&state) > 1 {
                    let Ok((stream, _)) = listener.accept() else {
                        break;
                    };
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || state.serve(stream));
                }
            }
        });
        Self {
            kubeconfig,
            address,
            state,
        }
    }

    /// For `--kubeconfig`.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.kubeconfig.path().to_str().unwrap()
    }

    /// What was asked, as method and target.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().clone()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // It waits for a connection; this is the last.
        let _ = TcpStream::connect(self.address);
    }
}

fn objects(manifests: &str) -> BTreeMap<&'static str, Vec<Value>> {
    let mut objects: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    for document in manifests
        .split("\n---\n")
        .filter(|text| !text.trim().is_empty())
    {
        let mut object: Value = serde_saphyr::from_str(document).unwrap();
        let kind = object["kind"].as_str().unwrap();
        let resource = RESOURCES.iter().find(|resource| resource.kind == kind);
        let resource = resource.unwrap_or_else(|| panic!("the test server has no {kind}"));
        let metadata = &mut object["metadata"];
        if resource.namespaced && metadata["namespace"].is_null() {
            metadata["namespace"] = json!("default");
        }
        metadata["uid"] = json!(format!("uid-{}", metadata["name"]));
        metadata["resourceVersion"] = json!("1");
        if let Some(texts) = object.as_object_mut().unwrap().remove("stringData") {
            let texts = texts.as_object().unwrap().iter();
            let encoded = texts.map(|(key, text)| (key.clone(), base64(text.as_str().unwrap())));
            object["data"] = encoded.collect();
        }
        objects.entry(resource.plural).or_default().push(object);
    }
    objects
}

fn base64(text: &str) -> Value {
    use base64::Engine as _;
    json!(base64::engine::general_purpose::STANDARD.encode(text))
}

impl State {
    fn serve(&self, stream: TcpStream) {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut lines = BufReader::new(&stream).lines();
        let Some(Ok(first)) = lines.next() else {
            return;
        };
        // The rest of the head; questions have no body.
        while lines
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let asked = first.trim_end_matches(" HTTP/1.1").to_owned();
        self.asked.lock().push(asked.clone());
        let (status, body) = self.answer(&asked);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        // A client that has left does not matter.
        let _ = (&stream).write_all((head + &body).as_bytes());
    }

    fn answer(&self, asked: &str) -> (u16, Value) {
        let Some(target) = asked.strip_prefix("GET ") else {
            return failed(405, "only reading is known here");
        };
        {
            let mut wrong = self.wrong.lock();
            if wrong.busy > 0 {
                wrong.busy -= 1;
                return failed(429, "too much to do");
            }
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts[..] {
            ["apis"] => (200, self.groups()),
            ["apis", group, version] => (200, self.kinds(group, version)),
            ["api", _, ref rest @ ..] | ["apis", _, _, ref rest @ ..] => self.objects(rest, query),
            _ => failed(404, "no such path"),
        }
    }

    fn has(&self, resource: &Resource) -> bool {
        !self.wrong.lock().lacking.contains(resource.group)
    }

    fn groups(&self) -> Value {
        let named = RESOURCES
            .iter()
            .filter(|r| !r.group.is_empty() && self.has(r));
        let groups: BTreeSet<_> = named.map(|r| (r.group, r.version)).collect();
        let group = |(group, version): (&str, &str)| {
            let version =
                json!({ "groupVersion": format!("{group}/{version}"), "version": version });
            json!({ "name": group, "versions": [version], "preferredVersion": version })
        };
        let groups: Vec<_> = groups.into_iter().map(group).collect();
        json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
    }

    fn kinds(&self, group: &str, version: &str) -> Value {
        let of_group = RESOURCES.iter().filter(|r| r.group == group);
        let kinds = of_group.map(|r| {
            json!({
                "name": r.plural, "singularName": "", "namespaced": r.namespaced, "kind": r.kind,
                "verbs": ["get", "list", "watch"],
            })
        });
        json!({
            "kind": "APIResourceList", "groupVersion": format!("{group}/{version}"),
            "resources": kinds.collect::<Vec<_>>(),
        })
    }

    /// `plural`, `namespaces/NAMESPACE/plural` or the latter with a name.
    fn objects(&self, path: &[&str], query: &str) -> (u16, Value) {
        let (namespace, plural, name) = match *path {
            ["namespaces", namespace, plural] => (Some(namespace), plural, None),
            ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
            [plural] => (None, plural, None),
            _ => return failed(404, "no such path"),
        };
        let Some(resource) = RESOURCES.iter().find(|r| r.plural == plural && self.has(r)) else {
            return failed(404, "no such resource");
        };
        if self.wrong.lock().denied.contains(plural) {
            let verb = if name.is_some() { "get" } else { "list" };
            return failed(
                403,
                &format!(
                    "{plural} is forbidden: User \"reader\" cannot {verb} resource \"{plural}\""
                ),
            );
        }
        let all = self.objects.get(plural).into_iter().flatten();
        let mut all = all.filter(|object| {
            let metadata = &object["metadata"];
            namespace.is_none_or(|namespace| metadata["namespace"] == namespace)
        });
        match name {
            Some(name) => match all.find(|object| object["metadata"]["name"] == name) {
                Some(object) => (200, object.clone()),
                None => failed(404, "not found"),
            },
            None => self.page(resource, &all.cloned().collect::<Vec<_>>(), query),
        }
    }

    fn page(&self, resource: &Resource, all: &[Value], query: &str) -> (u16, Value) {
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let start: usize = parameter("continue").map_or(0, |token| token.parse().unwrap());
        if start > 0 && std::mem::take(&mut self.wrong.lock().forgetful) {
            return failed(410, "the continue parameter is too old");
        }
        let asked: usize = parameter("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let end = all.len().min(start.saturating_add(asked.min(self.page)));
        let more = (end < all.len()).then(|| end.to_string());
        let version = format!("{}/{}", resource.group, resource.version);
        let list = json!({
            "apiVersion": version.trim_start_matches('/'), "kind": format!("{}List", resource.kind),
            "metadata": { "resourceVersion": "1", "continue": more.unwrap_or_default() },
            "items": &all[start..end],
        });
        (200, list)
    }
}

fn failed(code: u16, message: &str) -> (u16, Value) {
    let reason = match code {
        403 => "Forbidden",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "NotFound",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code,
    });
    (code, status)
}
