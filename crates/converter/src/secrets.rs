//! Which Secrets and ConfigMaps an Ingress names: for whoever has to fetch them before anything can be made of it.

use std::collections::BTreeSet;

use api::ObjectKey;
use k8s_openapi::api::networking::v1::Ingress;

use crate::{
    annotations::{self, HIGRESS, NGINX},
    value,
};

/// The Secrets that an Ingress names, in `spec.tls` and in annotations: those under which its translation looks for
/// them.
#[must_use]
pub fn secrets(ingress: &Ingress) -> BTreeSet<ObjectKey> {
    let namespace = ingress.metadata.namespace.as_deref().unwrap_or_default();
    let spec = ingress.spec.iter();
    let tls = spec.flat_map(|spec| spec.tls.iter().flatten());
    let tls = tls.filter_map(|tls| tls.secret_name.as_deref());
    let tls = tls.map(|name| ObjectKey::new(namespace, name));
    let annotations = ingress.metadata.annotations.iter().flatten();
    let named = annotations.filter_map(|(key, text)| {
        let name = key
            .strip_prefix(HIGRESS)
            .or_else(|| key.strip_prefix(NGINX))?;
        if !name.ends_with("secret") {
            return None;
        }
        let (of, name) = value::object_ref(&annotations::text_of(text)).ok()?;
        Some(ObjectKey::new(of.as_deref().unwrap_or(namespace), name))
    });
    tls.chain(named).collect()
}

/// The ConfigMaps that the annotations of an Ingress name.
#[must_use]
pub fn config_maps(ingress: &Ingress) -> BTreeSet<ObjectKey> {
    let annotations = ingress.metadata.annotations.iter().flatten();
    let named = annotations.filter_map(|(key, text)| {
        let name = key
            .strip_prefix(HIGRESS)
            .or_else(|| key.strip_prefix(NGINX))?;
        let (namespace, named) = value::object_ref(&annotations::text_of(text)).ok()?;
        let key = ObjectKey::new(namespace?, named);
        (name == "custom-headers").then_some(key)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{config_maps, secrets};
    use crate::annotations::FAMILIES;

    fn named(key: &str, value: &str) -> Vec<String> {
        let ingress = json!({
            "metadata": { "namespace": "shop", "name": "a", "annotations": { key: value } },
            "spec": { "tls": [{ "secretName": "web" }] },
        });
        let found = secrets(&serde_json::from_value(ingress).unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_read_as_the_translation_reads_them() {
        for value in [
            "users",
            " users ",
            "\n  users\n",
            "shop/users",
            " shop/users\t",
        ] {
            for key in [
                "higress.io/auth-secret",
                "nginx.ingress.kubernetes.io/auth-secret",
            ] {
                assert_eq!(named(key, value), ["shop/users", "shop/web"], "{value:?}");
            }
        }
        for value in ["", " ", "a/b/c", "a b", "us\ners", "shop / users", "Users"] {
            assert_eq!(
                named("higress.io/auth-secret", value),
                ["shop/web"],
                "{value:?}"
            );
        }
        assert_eq!(named("example.com/auth-secret", "users"), ["shop/web"]);
        assert_eq!(named("higress.io/rewrite-target", "/secret"), ["shop/web"]);
    }

    #[test]
    fn config_maps_are_named_with_their_namespace() {
        for (value, wanted) in [
            ("shop/headers", Some("shop/headers")),
            ("headers", None),
            ("", None),
        ] {
            let ingress = json!({ "metadata": {
                "namespace": "shop", "name": "a",
                "annotations": { "nginx.ingress.kubernetes.io/custom-headers": value },
            } });
            let found = config_maps(&serde_json::from_value(ingress).unwrap());
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, wanted.into_iter().collect::<Vec<_>>(), "{value:?}");
        }
    }

    #[test]
    fn every_annotation_that_names_a_secret_is_known() {
        let keys = FAMILIES.iter().flat_map(|family| family.keys);
        let naming = keys.filter(|key| key.doc.starts_with("Secret "));
        let names: Vec<_> = naming.map(|key| key.name).collect();
        assert!(names.len() >= 3, "{names:?}");
        for name in names {
            assert_eq!(
                named(&format!("higress.io/{name}"), "infra/other"),
                ["infra/other", "shop/web"],
                "{name}"
            );
        }
    }
}
