use crate::yaml;

/// What is told where a text can be read.
fn told(text: &str) -> Vec<String> {
    let read = yaml::read(text);
    assert_eq!(read.errors, []);
    read.tolerated.into_iter().map(|told| told.what).collect()
}

/// Of an Ingress with this spec, in flow style.
fn of_spec(spec: &str) -> Vec<String> {
    told(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a}}\nspec: {spec}\n"
    ))
}

/// Of an Ingress with this path.
fn of_path(path: &str) -> Vec<String> {
    of_spec(&format!("{{rules: [{{http: {{paths: [{path}]}}}}]}}"))
}

const BACKEND: &str = "backend: {service: {name: s, port: {number: 80}}}";

#[test]
fn what_an_api_server_takes_is_not_told() {
    for spec in [
        format!(
            "{{rules: [{{host: '*.a.com', http: {{paths: [{{path: /a, pathType: Prefix, {BACKEND}}}]}}}}]}}"
        ),
        "{defaultBackend: {service: {name: s, port: {name: http-2}}}}".to_owned(),
        "{rules: [{host: a.com}]}".to_owned(),
        format!(
            "{{rules: [{{http: {{paths: [{{pathType: ImplementationSpecific, {BACKEND}}}]}}}}], tls: [{{hosts: [a.com]}}]}}"
        ),
        "{defaultBackend: {resource: {apiGroup: a.b, kind: C, name: d}}}".to_owned(),
    ] {
        assert_eq!(of_spec(&spec), [""; 0], "{spec}");
    }
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s, annotations: {a.b/C_d.e: x, e: z}}\nspec: {ports: [{port: 80, name: a}, {port: 81, name: b}]}\n";
    assert_eq!(told(service), [""; 0]);
}

#[test]
fn paths() {
    for (path, wanted) in [
        (
            format!("{{path: /, {BACKEND}}}"),
            "spec.rules[0].http.paths[0].pathType is missing, and an API server refuses that; it is read as ImplementationSpecific",
        ),
        (
            format!("{{pathType: Exact, {BACKEND}}}"),
            "spec.rules[0].http.paths[0].path is missing, and an API server refuses that for pathType Exact; it is read as /",
        ),
        (
            format!("{{path: /a%2Fb, pathType: Prefix, {BACKEND}}}"),
            "spec.rules[0].http.paths[0].path \"/a%2Fb\" holds %2f, and an API server refuses it for pathType Prefix; it is read as it stands",
        ),
        (
            format!("{{path: ^/a, pathType: ImplementationSpecific, {BACKEND}}}"),
            "spec.rules[0].http.paths[0].path \"^/a\" does not begin with a slash, and an API server refuses it; it counts only as a regular expression",
        ),
    ] {
        assert_eq!(of_path(&path), [wanted], "{path}");
    }
}

#[test]
fn backends() {
    let field = "spec.rules[0].http.paths[0].backend";
    for (backend, wanted) in [
        (
            "{service: {name: S_x, port: {number: 80}}}",
            ".service.name \"S_x\" is no name that a Service may have, and an API server refuses it; it is read as it stands",
        ),
        (
            "{service: {name: s, port: {number: 80, name: web}}}",
            ".service.port has the name \"web\" and the number 80, and an API server refuses that; the number counts",
        ),
        (
            "{service: {name: s, port: {name: '80'}}}",
            ".service.port.name \"80\" is no name of a port, and an API server refuses it; the port of that name is looked for (a number belongs into port.number)",
        ),
        (
            "{service: {name: s, port: {number: 80}}, resource: {kind: C, name: d}}",
            " has a service and a resource, and an API server refuses that; the service counts",
        ),
    ] {
        let path = format!("{{path: /, pathType: Prefix, backend: {backend}}}");
        assert_eq!(of_path(&path), [format!("{field}{wanted}")], "{backend}");
    }
}

#[test]
fn hosts_and_what_is_left_out() {
    for (spec, wanted) in [
        (
            "{rules: []}",
            "spec has neither rules nor defaultBackend, and an API server refuses it; nothing is served for it",
        ),
        (
            "{rules: [{http: {paths: []}}]}",
            "spec.rules[0].http.paths is empty, and an API server refuses it; nothing is served for the rule",
        ),
        (
            "{rules: [{host: '*'}]}",
            "spec.rules[0].host \"*\" is no wildcard that an API server takes; it is read as every host, as if there were none",
        ),
        (
            "{rules: [{host: A.com}]}",
            "spec.rules[0].host \"A.com\" has capital letters, and an API server refuses it; it is read in small ones",
        ),
        (
            "{rules: [{host: 10.0.0.1}]}",
            "spec.rules[0].host \"10.0.0.1\" is an address, and an API server takes names only; it is read as it stands",
        ),
        (
            "{rules: [{}], tls: [{hosts: [B.com]}]}",
            "spec.tls[0].hosts[0] \"B.com\" has capital letters, and an API server refuses it; it is read in small ones",
        ),
    ] {
        assert_eq!(of_spec(spec), [wanted], "{spec}");
    }
}

#[test]
fn both_ways_to_name_a_class() {
    let text = |old: &str, new: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: a, annotations: {{kubernetes.io/ingress.class: {old}}}}}\nspec: {{ingressClassName: {new}, rules: [{{}}]}}\n"
        )
    };
    let both = "kubernetes.io/ingress.class and spec.ingressClassName are both there, which an API server refuses for a new Ingress";
    assert_eq!(
        told(&text("one", "two")),
        [format!("{both}; \"one\" counts, and \"two\" does not")]
    );
    assert_eq!(
        told(&text("one", "one")),
        [format!("{both}; they are the same")]
    );
}

#[test]
fn names() {
    let long = "a".repeat(64);
    let object = |kind: &str, metadata: &str| {
        told(&format!(
            "apiVersion: v1\nkind: {kind}\nmetadata: {metadata}\n"
        ))
    };
    assert_eq!(
        object("Service", "{name: a.b}"),
        [
            "metadata.name \"a.b\" has a dot, more than 63 characters or begins with a digit, and an API server refuses it for a Service; it is read as it stands"
        ]
    );
    assert_eq!(object("Service", "{name: 1a}").len(), 1);
    assert_eq!(
        object("ConfigMap", "{name: a, namespace: b.c}"),
        [
            "metadata.namespace \"b.c\" has a dot or more than 63 characters, and an API server refuses it; it is read as it stands"
        ]
    );
    assert_eq!(object("Namespace", &format!("{{name: {long}}}")).len(), 1);
    assert_eq!(
        object(
            "ConfigMap",
            "{name: a, annotations: {a/b/c: x, /d: x, -e: x, f.: x}}"
        )
        .len(),
        4
    );
    let large = format!(
        "{{name: a, annotations: {{b: {}}}}}",
        "x".repeat(256 * 1024)
    );
    assert_eq!(
        object("ConfigMap", &large),
        [
            "annotations have 262145 bytes, and an API server refuses more than 262144; they are read"
        ]
    );
}

#[test]
fn ports_of_services_and_secrets_of_certificates() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 0, name: a}, {port: 81, name: a}, {port: 82}]}\n";
    assert_eq!(
        told(service),
        [
            "spec.ports[0].port 0 is no port, and an API server refuses it; nothing reaches it",
            "spec.ports[1].name \"a\" is that of another port, and an API server refuses it; the first one counts",
            "spec.ports[2] has no name beside other ports, and an API server refuses that; it is read as it stands",
        ]
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\nstringData: {tls.crt: x}\n";
    assert_eq!(
        told(secret),
        [
            "the type kubernetes.io/tls wants tls.key, and an API server refuses it without; it is read as it stands"
        ]
    );
}
