use super::{documents, read, write};
use crate::{Kind, ObjectKey, ObjectRef, Resources};

const INGRESS: &str = r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: demo
  annotations:
    higress.io/canary: "true"
    higress.io/request-header-control-add: |
      foo bar
      test true
spec:
  ingressClassName: higress
  rules:
  - http:
      paths:
      - path: /v1(/|$)(.*)
        pathType: ImplementationSpecific
        backend:
          service:
            name: demo-service
            port: {number: 80}
"#;

fn resources(text: &str) -> Resources {
    let manifests = read(text);
    assert_eq!(manifests.errors, vec![]);
    manifests.into_resources()
}

#[test]
fn documents_and_lines() {
    let text =
        "# only a comment\n---\na: 1\n--- # two\nb: 2\n...\n---\nc: |\n  ---\n  -----BEGIN\n";
    let found: Vec<_> = documents(text)
        .into_iter()
        .map(|(line, d)| (line, d.trim().to_owned()))
        .collect();
    assert_eq!(
        found,
        vec![
            (2, "a: 1".to_owned()),
            (4, "# two\nb: 2".to_owned()),
            (7, "c: |\n  ---\n  -----BEGIN".to_owned()),
        ]
    );
}

#[test]
fn what_is_written_reads_back_equal() {
    let before = resources(INGRESS);
    let text = write(&before);
    assert_eq!(resources(&text), before, "{text}");
    assert!(text.contains("namespace: default"), "{text}");
}

#[test]
fn json_and_lists() {
    let text = r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}},
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}},
        {"apiVersion":"v1","kind":"Service","metadata":{"name":"b"},"spec":{"ports":[{"port":"x"}]}}]}"#;
    let manifests = read(text);
    assert_eq!(manifests.objects.len(), 1);
    assert_eq!(manifests.skipped[0].kind, "Pod");
    assert!(
        manifests.errors[0].to_string().contains("Service/b"),
        "{}",
        manifests.errors[0]
    );
}

#[test]
fn a_broken_document_names_its_line_and_object() {
    let text = format!(
        "{INGRESS}---\napiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  ports: 7\n"
    );
    let manifests = read(&text);
    assert_eq!(
        manifests.objects.len(),
        1,
        "the good document is still read"
    );
    let error = &manifests.errors[0];
    assert_eq!(error.line, 26, "{error}");
    assert_eq!(error.why, "expected sequence start");
    assert_eq!(error.object.as_deref(), Some("Service/s"));
}

#[test]
fn syntax_errors_and_foreign_text() {
    let error = &read("a: [1\nb: 2\n").errors[0];
    assert!(error.line >= 1 && !error.why.is_empty());
    assert!(read("just: data\n").errors[0].why.contains("apiVersion"));
    assert!(
        read("apiVersion: v1\nkind: Service\nmetadata: {}\n").errors[0]
            .why
            .contains("metadata.name")
    );
}

/// A Secret of such a name would be found from files, and could not be in a cluster.
#[test]
fn a_name_that_no_api_server_takes_is_refused() {
    for name in ["' users '", "\"a\\tb\"", "a/b", "Users", "-a", "a_b"] {
        let text = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n");
        let read = read(&text);
        assert_eq!(read.objects.len(), 0, "{name}");
        assert!(
            read.errors[0].why.contains("is no name"),
            "{}",
            read.errors[0]
        );
        assert!(!read.errors[0].unread);
    }
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: ' b'}\n";
    assert!(
        read(text).errors[0]
            .why
            .starts_with("metadata.namespace \" b\"")
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_mutation_of_a_manifest_panics(at in 0..INGRESS.len(), with in "[-:|#{}\\[\\]\\n a\"']{0,4}") {
        let mut text = INGRESS.to_owned();
        text.insert_str(at, &with);
        let _ = read(&text);
        let _ = read(&text[..at]);
    }
}

#[test]
fn an_unknown_field_is_named_with_its_line_and_the_object_read_with_it() {
    let text = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a}
spec:
  rules:
  - match:
    - path: {value: /admin}
    backendRefs: [{name: app, port: 80, wait: 1}]
---
apiVersion: v1
kind: Service
metadata: {name: app}
status: {invented: true}
";
    let read = read(text);
    assert_eq!(
        read.objects.len(),
        2,
        "what a status holds is nobody's mistake"
    );
    let [error] = &read.errors[..] else {
        panic!("{:?}", read.errors)
    };
    assert_eq!(error.line, 6, "{error}");
    assert_eq!(error.object.as_deref(), Some("HTTPRoute/a"));
    let fields = "unknown fields spec.rules[0].match, spec.rules[0].backendRefs[0].wait: ";
    assert!(error.why.starts_with(fields), "{}", error.why);
    assert!(error.taken);
    let resources = read.into_resources();
    let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("default", "a"));
    let beyond = resources.beyond(&route).unwrap();
    assert_eq!(beyond.unknown().len(), 2);
    let service = ObjectRef::new(Kind::Service, ObjectKey::new("default", "app"));
    assert_eq!(resources.beyond(&service), None);
}

#[test]
fn an_object_with_an_unknown_value_is_read_with_it() {
    let route = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME}
spec:
  rules:
  - filters:
    - {type: JWT, name: 1}
";
    let list = route.replace("NAME", "listed").replace('\n', "\n  ");
    let text = format!(
        "{}---\napiVersion: v1\nkind: List\nitems:\n- {list}",
        route.replace("NAME", "alone")
    );
    let read = read(&text);
    assert_eq!(read.objects.len(), 2, "{:?}", read.errors);
    let why = "unknown variant `JWT`, expected one of ";
    let end = "what has it is closed where it could restrict anything";
    for error in &read.errors {
        assert!(
            error.taken && error.why.starts_with(why) && error.why.ends_with(end),
            "{error}"
        );
    }
    assert_eq!((read.errors.len(), read.errors[0].line), (2, 7));
    let resources = read.into_resources();
    for name in ["alone", "listed"] {
        let route = ObjectRef::new(Kind::HttpRoute, ObjectKey::new("default", name));
        let beyond = resources.beyond(&route).unwrap();
        let said: Vec<_> = beyond.unknown().iter().map(ToString::to_string).collect();
        let value = "value \"JWT\" of spec.rules[0].filters[0].type";
        assert_eq!(said, ["field spec.rules[0].filters[0].name", value]);
    }
    // What an object says beyond its type goes with it.
    let mut again = Resources::default();
    again.join(&resources, &Resources::default());
    assert_eq!(again, resources);
    let other = resources.get(&ObjectRef::new(
        Kind::HttpRoute,
        ObjectKey::new("default", "alone"),
    ));
    again.insert(other.unwrap());
    assert_eq!(again.beyond.len(), 1);
}

#[test]
fn a_field_of_a_newer_release_that_is_known_is_no_mistake() {
    let text = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: postern
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    filters:
      requests:
      - type: ExternalAuth
        externalAuth: {protocol: HTTP, backendRef: {name: auth, port: 80}}
";
    let resources = resources(text);
    let gateway = ObjectRef::new(Kind::Gateway, ObjectKey::new("default", "gw"));
    let beyond = resources.beyond(&gateway).unwrap();
    assert!(beyond.is_known());
    let filters = beyond.listener_filters(0).unwrap();
    assert_eq!(filters.requests.len(), 1);
    assert_eq!(
        self::resources(&write(&resources)),
        resources,
        "nothing is lost"
    );
}

#[test]
fn unknown_fields_of_list_items_are_found_too() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
      {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": []}},
      {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}]}"#;
    let read = read(text);
    assert_eq!(read.objects.len(), 1);
    assert!(read.errors[0].why.starts_with("unknown field spec.port: "));
}

/// A List as `kubectl get -o yaml` writes it: its own kind comes last.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut text = "apiVersion: v1\nitems:\n".to_owned();
    text.extend(items);
    text + "kind: List\nmetadata:\n  resourceVersion: \"\"\n"
}

fn item(n: usize) -> String {
    format!(
        "- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      a/one: \"1\"
      a/two: \"2\"
    creationTimestamp: \"2024-01-01T00:00:00Z\"
    labels:
      app: app-{n}
    name: app-{n}
    namespace: shop
    resourceVersion: \"7\"
    uid: 0b3c6f0e-0000-4000-8000-{n:012}
  spec:
    clusterIP: 10.0.0.1
    clusterIPs:
    - 10.0.0.1
    internalTrafficPolicy: Cluster
    ports:
    - name: http
      port: 80
      protocol: TCP
      targetPort: http
    selector:
      app: app-{n}
    sessionAffinity: None
    type: ClusterIP
"
    )
}

#[test]
fn a_list_may_have_as_many_objects_as_its_text_holds() {
    let text = list((0..6000).map(item));
    let lines = item(0).lines().count();
    let read = read(&text);
    assert_eq!(read.errors, vec![]);
    assert_eq!(read.objects.len(), 6000);
    let places = read.objects.iter().map(|(_, line)| *line);
    assert!(
        places.eq((0..6000).map(|n| 3 + n * lines)),
        "each has its line"
    );
}

#[test]
fn a_field_named_items_makes_no_list() {
    for items in [
        "7", "[{a: 1}]", "{a: 1}", "text", "true", "1.5", "null", "-1",
    ] {
        let text = format!(
            "apiVersion: example.com/v1\nkind: Basket\nmetadata: {{name: b}}\nitems: {items}\n"
        );
        let read = read(&text);
        assert_eq!(read.errors, vec![], "{items}");
        assert_eq!((read.objects.len(), read.skipped.len()), (0, 1), "{items}");
    }
}

#[test]
fn a_list_that_breaks_off_is_not_read_at_all_and_says_so() {
    let good = list((0..3).map(item));
    let text = good.replace("    name: app-2", "    name: \"app-2");
    let read = read(&text);
    assert_eq!(read.objects.len(), 0, "nobody knows what it was to hold");
    let [error] = &read.errors[..] else {
        panic!("{:?}", read.errors)
    };
    assert!(error.unread, "{error}");
    let one = list([item(0), "- {}\n".to_owned()].into_iter());
    let read = super::read(&one);
    assert_eq!(read.objects.len(), 1);
    assert!(!read.errors[0].unread, "{}", read.errors[0]);
}

#[test]
fn what_would_make_more_of_a_text_than_it_is_has_its_bounds() {
    let head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n";
    let mut laughs =
        format!("{head}data:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..12 {
        let before = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs += &format!("  a{n}: &a{n} [{before}]\n");
    }
    let long = "x".repeat(1 << 20);
    let copies = vec!["*long"; 90].join(", ");
    let copies = format!("{head}data: {{a: &long {long}}}\nother: [{copies}]\n");
    let deep = format!("{head}data: {}", "[".repeat(200));
    let deep_block: String = (0..200).map(|n| " ".repeat(n) + "a:\n").collect();
    let deep_block = format!("{deep_block}---\n{head}");
    let in_a_list = list(
        [laughs
            .replace('\n', "\n  ")
            .replacen("apiVersion", "- apiVersion", 1)
            + "\n"]
        .into_iter(),
    );
    for (text, objects) in [
        (laughs, 0),
        (copies, 0),
        (deep, 0),
        (deep_block, 1),
        (in_a_list, 0),
    ] {
        let read = read(&text);
        assert_eq!(read.objects.len(), objects, "{:.200}", text);
        let [error] = &read.errors[..] else {
            panic!("{:?}", read.errors)
        };
        assert!(error.unread, "{error}");
    }
}

/// Where, what, and what is told.
fn tolerated(text: &str) -> Vec<String> {
    let read = read(text);
    assert_eq!(read.errors, vec![]);
    let told = read.tolerated.into_iter();
    told.map(|told| format!("{}: {}: {}", told.line, told.object, told.what))
        .collect()
}

#[test]
fn a_value_without_quotes_that_is_no_text_is_read_and_told() {
    let text = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  annotations:
    nginx.ingress.kubernetes.io/ssl-redirect: true
    x/number: 60   # a comment
    x/yes: yes
    x/empty:
    x/null: null
    x/quoted: \"true\"
    x/word: truely
data: {a: 1.5, 2: b, c: 0x10}
";
    let wanted = |line: usize, key: &str, value: &str| {
        format!(
            "{line}: ConfigMap/default/a: {key}: {value} without quotes is no text, and an API server refuses it; it is read as the text {value:?}"
        )
    };
    assert_eq!(
        tolerated(text),
        [
            wanted(6, "nginx.ingress.kubernetes.io/ssl-redirect", "true"),
            wanted(7, "x/number", "60"),
            wanted(8, "x/yes", "yes"),
            wanted(13, "a", "1.5"),
            wanted(13, "c", "0x10"),
        ]
    );
    let object = resources(text);
    let map = object.config_maps.values().next().unwrap();
    let annotations = map.metadata.annotations.as_ref().unwrap();
    let values: Vec<_> = annotations.values().map(String::as_str).collect();
    assert_eq!(values, ["true", "", "", "60", "true", "truely", "yes"]);
    let data: Vec<_> = map.data.as_ref().unwrap().iter().collect();
    let pair = |(key, value): (&'static str, &'static str)| (key.to_owned(), value.to_owned());
    let pairs = [("2", "b"), ("a", "1.5"), ("c", "0x10")].map(pair);
    assert_eq!(data, pairs.iter().map(|(k, v)| (k, v)).collect::<Vec<_>>());
}

#[test]
fn the_same_in_a_list_and_in_json() {
    let text = r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"x/a":true,"x/b":null}},"data":{"c":5}}]}"#;
    assert_eq!(
        tolerated(text),
        [
            "2: ConfigMap/default/a: x/a: true without quotes is no text, and an API server refuses it; it is read as the text \"true\"",
            "2: ConfigMap/default/a: c: 5 without quotes is no text, and an API server refuses it; it is read as the text \"5\"",
        ]
    );
    let alone = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"c":5}}"#;
    assert_eq!(tolerated(alone).len(), 1);
}

#[test]
fn what_a_secret_holds_is_not_told() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {pin: 4711}\n";
    let told = tolerated(text);
    assert!(told[0].contains("pin: a value without quotes"), "{told:?}");
    assert!(!told[0].contains("4711"), "{told:?}");
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {pin: 4711}}\n";
    assert!(!tolerated(list)[0].contains("4711"));
}

#[test]
fn as_many_as_there_are() {
    let lines: String = (0..60).map(|at| format!("  k{at}: {at}\n")).collect();
    let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{lines}");
    let object = resources(&text);
    let map = object.config_maps.values().next().unwrap();
    assert_eq!(map.data.as_ref().unwrap()["k59"], "59");
}

#[test]
fn base64_may_have_line_ends() {
    let text = "\
apiVersion: v1
kind: Secret
metadata: {name: a}
data:
  one: |
    aGVs
    bG8=
  two: \"aGVs\\r\\nbG8=\\n\"
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: b}, data: {one: \"aGVs\\nbG8=\"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, binaryData: {one: \"aGVs\\nbG8=\"}}
- {apiVersion: v1, kind: Secret, metadata: {name: d}, data: null}
";
    let all = resources(text);
    for secret in all.secrets.values() {
        for value in secret.data.iter().flatten() {
            assert_eq!(value.1.0, b"hello", "{}", value.0);
        }
    }
    assert_eq!(all.secrets.len(), 3);
    let map = all.config_maps.values().next().unwrap();
    assert_eq!(map.binary_data.as_ref().unwrap()["one"].0, b"hello");
}

#[test]
fn what_is_no_base64_is_told_by_its_key() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {auth: 'a*b'}\n";
    let errors = read(text).errors;
    assert!(errors[0].why.starts_with("auth is no base64"), "{errors:?}");
    assert_eq!(errors[0].object.as_deref(), Some("Secret/a"));
}

#[test]
fn status_of_any_shape_is_not_read() {
    for kind in crate::Kind::ALL {
        // The least that the kind has to have.
        let spec = match kind.as_str() {
            "Gateway" => "spec: {gatewayClassName: a, listeners: []}",
            "GatewayClass" => "spec: {controllerName: a}",
            "ListenerSet" => "spec: {parentRef: {name: a}, listeners: []}",
            "HTTPRoute" | "GRPCRoute" | "McpBridge" => "spec: {}",
            "TLSRoute" => "spec: {hostnames: [], rules: []}",
            "TCPRoute" | "UDPRoute" => "spec: {rules: []}",
            "BackendTLSPolicy" => "spec: {targetRefs: [], validation: {hostname: a}}",
            "XBackend" => "spec: {type: ExternalHostname, port: {}}",
            "ReferenceGrant" => "spec: {from: [], to: []}",
            "RoutePolicy" | "BackendPolicy" | "ClientPolicy" => "spec: {targetRefs: []}",
            "RouteFilter" => "spec: {regexRewrite: {pattern: a, substitution: b}}",
            "EndpointSlice" => "addressType: IPv4\nendpoints: []",
            _ => "",
        };
        let version = kind.api_version();
        let document = |status: &str| {
            format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n{spec}\n{status}")
        };
        let bare = read(&document(""));
        assert_eq!(bare.errors, vec![], "{kind}");
        let bare = bare.into_resources();
        for status in [
            "null",
            "{parents: null}",
            "[]",
            "7",
            "true",
            "{x: {y: [z]}}",
            "text",
        ] {
            let status = format!("status: {status}\n");
            assert_eq!(resources(&document(&status)), bare, "{kind} {status}");
            let item = document(&status).replace('\n', "\n  ");
            let list = format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n");
            assert_eq!(resources(&list), bare, "{kind} {status} in a list");
        }
    }
}

/// Kinds and versions that are served by older releases, and the document of each.
#[test]
fn older_versions_with_the_same_fields_are_read() {
    let policy = "spec: {targetRefs: [{group: '', kind: Service, name: s}], validation: {hostname: a.com, wellKnownCACertificates: System}}";
    let tls = "spec: {hostnames: [a.com], rules: [{backendRefs: [{name: s, port: 443}]}]}";
    let route = "spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s, port: 80}]}]}";
    let grant =
        "spec: {from: [{group: '', kind: A, namespace: b}], to: [{group: '', kind: Secret}]}";
    for (version, kind, spec) in [
        (
            "gateway.networking.k8s.io/v1alpha3",
            "BackendTLSPolicy",
            policy,
        ),
        ("gateway.networking.k8s.io/v1alpha2", "TLSRoute", tls),
        ("gateway.networking.k8s.io/v1alpha3", "TLSRoute", tls),
        ("gateway.networking.k8s.io/v1alpha2", "GRPCRoute", route),
        ("gateway.networking.k8s.io/v1alpha2", "HTTPRoute", route),
        ("gateway.networking.k8s.io/v1beta1", "HTTPRoute", route),
        (
            "gateway.networking.k8s.io/v1alpha2",
            "ReferenceGrant",
            grant,
        ),
        (
            "gateway.networking.k8s.io/v1alpha2",
            "Gateway",
            "spec: {gatewayClassName: a, listeners: [{name: h, port: 80, protocol: HTTP}]}",
        ),
        (
            "gateway.networking.k8s.io/v1alpha2",
            "GatewayClass",
            "spec: {controllerName: a.b/c}",
        ),
        (
            "networking.k8s.io/v1beta1",
            "IngressClass",
            "spec: {controller: a.b/c}",
        ),
    ] {
        let document = |version: &str| {
            format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n{spec}\n")
        };
        let (group, _) = version.split_once('/').unwrap();
        let now = resources(&document(&format!("{group}/v1")));
        assert!(!now.is_empty(), "{version} {kind}");
        assert_eq!(resources(&document(version)), now, "{version} {kind}");
    }
}

#[test]
fn older_versions_with_other_fields_are_refused() {
    for (version, kind, now) in [
        (
            "gateway.networking.k8s.io/v1alpha2",
            "BackendTLSPolicy",
            "BackendTLSPolicy of gateway.networking.k8s.io/v1",
        ),
        (
            "gateway.networking.k8s.io/v1alpha1",
            "HTTPRoute",
            "HTTPRoute of gateway.networking.k8s.io/v1",
        ),
        (
            "gateway.networking.k8s.io/v1alpha2",
            "ReferencePolicy",
            "ReferenceGrant of gateway.networking.k8s.io/v1",
        ),
        (
            "gateway.networking.x-k8s.io/v1alpha1",
            "XListenerSet",
            "ListenerSet of gateway.networking.k8s.io/v1",
        ),
        (
            "networking.x-k8s.io/v1alpha1",
            "HTTPRoute",
            "HTTPRoute of gateway.networking.k8s.io/v1",
        ),
        (
            "discovery.k8s.io/v1beta1",
            "EndpointSlice",
            "EndpointSlice of discovery.k8s.io/v1",
        ),
        (
            "postern.dev/v1",
            "RoutePolicy",
            "RoutePolicy of postern.dev/v1alpha1",
        ),
    ] {
        let text =
            format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\n");
        let why = format!(
            "1: {kind}/b/a: {version} is not read, as its fields are others: write it as {now}"
        );
        let told: Vec<_> = read(&text).errors.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("line {why}")]);
    }
}

#[test]
fn versions_of_other_kinds_are_counted_as_left_out() {
    for (version, kind) in [
        ("networking.k8s.io/v1beta1", "Ingress"),
        ("extensions/v1beta1", "Ingress"),
        ("networking.istio.io/v1", "Gateway"),
        ("gateway.networking.x-k8s.io/v1alpha1", "XMesh"),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
        let read = read(&text);
        assert_eq!(
            (read.errors.len(), read.skipped.len()),
            (0, 1),
            "{version} {kind}"
        );
    }
}
