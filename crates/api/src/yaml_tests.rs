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
