//! What an API server would refuse in an object that can be read all the same, and how it is read. No cluster has such
//! an object, so its author may mean another one; a manifest that was taken out of a cluster has none of it.
//!
//! The rules are those of Kubernetes' validation of a new object. What the converter says of a path or host by itself
//! is left to it.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        core::v1::{Secret, Service},
        networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressRule},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::Object;

/// The older way to name a class.
const CLASS: &str = "kubernetes.io/ingress.class";

/// All keys and values of annotations together, in bytes.
const ANNOTATIONS: usize = 256 * 1024;

/// A line for each thing that is wrong.
pub(super) fn refused(object: &Object) -> Vec<String> {
    let mut said = Vec::new();
    metadata(object.metadata(), &mut said);
    match object {
        Object::Ingress(ingress) => of_ingress(ingress, &mut said),
        Object::Service(service) => of_service(service, &mut said),
        Object::Secret(secret) => of_secret(secret, &mut said),
        Object::Namespace(namespace) => {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            if !is_label(name) {
                said.push(format!("metadata.name {name:?} has a dot or more than 63 characters, and an API server refuses it for a Namespace; it is read as it stands"));
            }
        }
        _ => {}
    }
    said
}

fn metadata(metadata: &ObjectMeta, said: &mut Vec<String>) {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    if !namespace.is_empty() && !is_label(namespace) {
        said.push(format!("metadata.namespace {namespace:?} has a dot or more than 63 characters, and an API server refuses it; it is read as it stands"));
    }
    let annotations = metadata.annotations.iter().flatten();
    let mut size = 0;
    for (key, text) in annotations {
        size += key.len() + text.len();
        if !is_qualified(key) {
            said.push(format!(
                "{key:?} is no name of an annotation, and an API server refuses it; nothing reads it"
            ));
        }
    }
    if size > ANNOTATIONS {
        said.push(format!("annotations have {size} bytes, and an API server refuses more than {ANNOTATIONS}; they are read"));
    }
}

fn of_ingress(ingress: &Ingress, said: &mut Vec<String>) {
    let annotations = ingress.metadata.annotations.as_ref();
    let spec = ingress.spec.as_ref();
    let named = spec.and_then(|spec| spec.ingress_class_name.as_ref());
    let old = annotations.and_then(|all| all.get(CLASS));
    if let (Some(old), Some(named)) = (old, named) {
        let counts = match old == named {
            true => "they are the same".to_owned(),
            false => format!("{old:?} counts, and {named:?} does not"),
        };
        said.push(format!(
            "{CLASS} and spec.ingressClassName are both there, which an API server refuses for a new Ingress; {counts}"
        ));
    }
    let rules = || spec.iter().flat_map(|spec| spec.rules.iter().flatten());
    let default = spec.and_then(|spec| spec.default_backend.as_ref());
    if rules().next().is_none() && default.is_none() {
        said.push(
            "spec has neither rules nor defaultBackend, and an API server refuses it; nothing is served for it"
                .to_owned(),
        );
    }
    for (at, rule) in rules().enumerate() {
        of_rule(&format!("spec.rules[{at}]"), rule, said);
    }
    if let Some(backend) = default {
        of_backend("spec.defaultBackend", backend, said);
    }
    let tls = spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    for (at, entry) in tls.enumerate() {
        for (index, text) in entry.hosts.iter().flatten().enumerate() {
            host(&format!("spec.tls[{at}].hosts[{index}]"), text, said);
        }
    }
}

fn of_rule(field: &str, rule: &IngressRule, said: &mut Vec<String>) {
    if let Some(text) = &rule.host {
        host(&format!("{field}.host"), text, said);
    }
    let Some(http) = &rule.http else {
        return;
    };
    if http.paths.is_empty() {
        said.push(format!(
            "{field}.http.paths is empty, and an API server refuses it; nothing is served for the rule"
        ));
    }
    for (index, path) in http.paths.iter().enumerate() {
        of_path(&format!("{field}.http.paths[{index}]"), path, said);
    }
}

fn host(field: &str, text: &str, said: &mut Vec<String>) {
    let mut say = |what: &str| {
        said.push(format!("{field} {text:?} {what}"));
    };
    if text == "*" {
        say(
            "is no wildcard that an API server takes; it is read as every host, as if there were none",
        );
    } else if text.parse::<std::net::IpAddr>().is_ok() {
        say("is an address, and an API server takes names only; it is read as it stands");
    } else if text.bytes().any(|b| b.is_ascii_uppercase()) {
        say("has capital letters, and an API server refuses it; it is read in small ones");
    }
}

fn of_path(field: &str, path: &HTTPIngressPath, said: &mut Vec<String>) {
    let text = path.path.as_deref().unwrap_or_default();
    let typed = matches!(&*path.path_type, "Exact" | "Prefix");
    if path.path_type.is_empty() {
        said.push(format!(
            "{field}.pathType is missing, and an API server refuses that; it is read as ImplementationSpecific"
        ));
    }
    if typed && text.is_empty() {
        said.push(format!(
            "{field}.path is missing, and an API server refuses that for pathType {}; it is read as /",
            path.path_type
        ));
    }
    if typed && text.to_ascii_lowercase().contains("%2f") {
        said.push(format!(
            "{field}.path {text:?} holds %2f, and an API server refuses it for pathType {}; it is read as it stands",
            path.path_type
        ));
    }
    // Other paths without a slash are not served, which the converter says.
    if text.starts_with(['^', '(']) {
        said.push(format!(
            "{field}.path {text:?} does not begin with a slash, and an API server refuses it; it counts only as a regular expression"
        ));
    }
    of_backend(&format!("{field}.backend"), &path.backend, said);
}

fn of_backend(field: &str, backend: &IngressBackend, said: &mut Vec<String>) {
    let Some(service) = &backend.service else {
        return;
    };
    if backend.resource.is_some() {
        said.push(format!(
            "{field} has a service and a resource, and an API server refuses that; the service counts"
        ));
    }
    if !is_service(&service.name) {
        said.push(format!(
            "{field}.service.name {:?} is no name that a Service may have, and an API server refuses it; it is read as it stands",
            service.name
        ));
    }
    let Some(port) = &service.port else {
        return;
    };
    match (&port.name, port.number) {
        (Some(name), Some(number)) if number != 0 => said.push(format!(
            "{field}.service.port has the name {name:?} and the number {number}, and an API server refuses that; the number counts"
        )),
        (Some(name), None) if !is_port_name(name) => said.push(format!(
            "{field}.service.port.name {name:?} is no name of a port, and an API server refuses it; the port of that name is looked for (a number belongs into port.number)"
        )),
        _ => {}
    }
}

fn of_service(service: &Service, said: &mut Vec<String>) {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    if !is_service(name) {
        said.push(format!("metadata.name {name:?} has a dot, more than 63 characters or begins with a digit, and an API server refuses it for a Service; it is read as it stands"));
    }
    let ports = || {
        let spec = service.spec.iter();
        spec.flat_map(|spec| spec.ports.iter().flatten())
    };
    let mut names = BTreeSet::new();
    let several = ports().nth(1).is_some();
    for (at, port) in ports().enumerate() {
        let mut say = |what: &str| said.push(format!("spec.ports[{at}]{what}"));
        if !(1..=65_535).contains(&port.port) {
            say(&format!(
                ".port {} is no port, and an API server refuses it; nothing reaches it",
                port.port
            ));
        }
        match port.name.as_deref().filter(|name| !name.is_empty()) {
            None if several => say(
                " has no name beside other ports, and an API server refuses that; it is read as it stands",
            ),
            Some(name) if !names.insert(name) => say(&format!(
                ".name {name:?} is that of another port, and an API server refuses it; the first one counts"
            )),
            _ => {}
        }
    }
}

fn of_secret(secret: &Secret, said: &mut Vec<String>) {
    if secret.type_.as_deref() != Some("kubernetes.io/tls") {
        return;
    }
    for key in ["tls.crt", "tls.key"] {
        let data = secret.data.iter().any(|data| data.contains_key(key));
        let string = secret.string_data.iter().any(|data| data.contains_key(key));
        if !data && !string {
            said.push(format!(
                "the type kubernetes.io/tls wants {key}, and an API server refuses it without; it is read as it stands"
            ));
        }
    }
}

/// > at most 63 characters, only lowercase alphanumeric characters or '-', start and end with an alphanumeric character
///
/// That the letters are right is looked at before (RFC 1123 label, as Kubernetes has it).
fn is_label(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.')
}

/// The same, with a letter first (RFC 1035 label).
fn is_service(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bytes = name.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().copied().all(inside)
}

/// > at most 15 characters, contains at least one letter, only lowercase alphanumerics and '-', no '-' at either end or
/// > beside another one
fn is_port_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=15).contains(&name.len())
        && name.bytes().all(inside)
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// > an optional prefix and name, separated by a slash: the name at most 63 characters, beginning and ending with an
/// > alphanumeric character, with dashes, underscores, dots; the prefix a DNS subdomain
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let outside = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let bytes = name.as_bytes();
    // API servers look at the prefix in small letters.
    prefix.is_none_or(|prefix| super::is_name(&prefix.to_ascii_lowercase()))
        && bytes.len() <= 63
        && outside(bytes.first())
        && outside(bytes.last())
        && bytes.iter().copied().all(inside)
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
