use super::{documents, read, write};
use crate::Resources;

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
fn an_unknown_field_is_named_with_its_line_and_the_object_is_not_used() {
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
        1,
        "what a status holds is nobody's mistake"
    );
    let [error] = &read.errors[..] else {
        panic!("{:?}", read.errors)
    };
    assert_eq!(error.line, 6, "{error}");
    assert_eq!(error.object.as_deref(), Some("HTTPRoute/a"));
    let fields = "unknown fields spec.rules[0].match, spec.rules[0].backendRefs[0].wait: ";
    assert!(error.why.starts_with(fields), "{}", error.why);
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
