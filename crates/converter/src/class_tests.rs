use api::{Resources, yaml};

use super::Class;
use crate::{Expansion, LeftOut, Options, Profile, expand};

/// An Ingress of a class, which it names by the field, or else by the annotation.
fn ingress(name: &str, class: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: a{}}}
spec:
  {}
  rules:
  - host: {name}.test
    http: {{paths: [{{path: /foo, pathType: ImplementationSpecific, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}
",
        match class.strip_prefix("annotation:") {
            Some(class) => format!(", annotations: {{kubernetes.io/ingress.class: {class}}}"),
            None => String::new(),
        },
        match class {
            "" => String::new(),
            class if class.starts_with("annotation:") => String::new(),
            class => format!("ingressClassName: {class}"),
        }
    )
}

fn class(name: &str, controller: &str, default: bool) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {name}, annotations: {{ingressclass.kubernetes.io/is-default-class: \"{default}\"}}}}
spec: {{controller: {controller}}}
"
    )
}

fn resources(text: &str) -> Resources {
    let read = yaml::read(text);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    read.into_resources()
}

fn expanded(text: &str, classes: &[&str]) -> Expansion {
    let options = Options {
        ingress_classes: classes.iter().map(|class| class.parse().unwrap()).collect(),
        ..Options::default()
    };
    expand(&resources(text), &options)
}

/// Whose rules the one Ingress was read by: in nginx alone a request body has a limit.
fn rules(text: &str, classes: &[&str]) -> Option<Profile> {
    let made = expanded(text, classes).generated;
    made.http_routes.values().next()?;
    let mut policies = made.route_policies.values();
    let limited = policies.any(|policy| policy.spec.max_request_body_bytes == Some(1 << 20));
    Some(if limited {
        Profile::Nginx
    } else {
        Profile::Higress
    })
}

#[test]
fn the_flag_then_the_controller_then_the_name_says_whose_rules_a_class_has() {
    use Profile::{Higress, Nginx};
    for (wanted, flag, controller) in [
        (Nginx, "nginx", None),
        (Higress, "higress", None),
        (Higress, "nginx-internal", None),
        (Nginx, "nginx-internal", Some("k8s.io/ingress-nginx")),
        (Nginx, "public", Some("k8s.io/internal-ingress-nginx")),
        (
            Nginx,
            "public",
            Some("webapprouting.kubernetes.azure.com/nginx"),
        ),
        (Nginx, "higress", Some("k8s.io/ingress-nginx")),
        (Higress, "nginx", Some("higress.io/higress-controller")),
        (Nginx, "nginx", Some("postern.dev/gateway-controller")),
        (Higress, "nginx=higress", Some("k8s.io/ingress-nginx")),
        (Nginx, "public=nginx", None),
        (Higress, "nginx=higress", None),
    ] {
        let name = flag.split('=').next().unwrap();
        let mut text = ingress("one", name);
        if let Some(controller) = controller {
            text += &class(name, controller, false);
        }
        assert_eq!(rules(&text, &[flag]), Some(wanted), "{flag} {controller:?}");
    }
}

#[test]
fn the_old_annotation_and_the_default_class_have_rules_too() {
    let controller = class("web", "k8s.io/ingress-nginx", true);
    let annotated = ingress("one", "annotation:web") + &controller;
    assert_eq!(rules(&annotated, &["web"]), Some(Profile::Nginx));
    let default = ingress("one", "") + &controller;
    assert_eq!(rules(&default, &["web"]), Some(Profile::Nginx));
    assert_eq!(rules(&default, &["web=higress"]), Some(Profile::Higress));
    assert_eq!(rules(&default, &["other"]), None);
}

#[test]
fn of_a_class_that_is_given_twice_the_one_with_rules_counts() {
    let text = ingress("one", "nginx");
    assert_eq!(
        rules(&text, &["nginx", "nginx=higress"]),
        Some(Profile::Higress)
    );
}

#[test]
fn an_ingress_class_that_comes_later_changes_the_rules() {
    let before = resources(&ingress("one", "web"));
    let after = resources(&(ingress("one", "web") + &class("web", "k8s.io/ingress-nginx", false)));
    let options = Options {
        ingress_classes: vec![Class::named("web")],
        ..Options::default()
    };
    let mut expander = crate::Expander::default();
    for resources in [&before, &after, &before] {
        let now = expander.expand(resources, &options).clone();
        assert_eq!(now, expand(resources, &options));
    }
    assert_ne!(
        expand(&before, &options).generated,
        expand(&after, &options).generated
    );
}

#[test]
fn what_is_not_ours_is_counted_by_class() {
    let text = ingress("one", "nginx-internal")
        + &ingress("two", "annotation:nginx-internal")
        + &ingress("three", "traefik")
        + &ingress("four", "")
        + &ingress("five", "nginx");
    let left_out = expanded(&text, &["nginx"]).left_out;
    let wanted = LeftOut {
        by_class: [("nginx-internal".to_owned(), 2), ("traefik".to_owned(), 1)].into(),
        without_class: 1,
    };
    assert_eq!((left_out.count(), left_out), (4, wanted));
    let all = ["nginx", "nginx-internal", "traefik"];
    let text = text + &class("traefik", "traefik.io/ingress-controller", true);
    assert_eq!(expanded(&text, &all).left_out, LeftOut::default());
}

#[test]
fn a_class_as_text() {
    for text in ["nginx", "nginx=higress", "a.b=nginx"] {
        assert_eq!(text.parse::<Class>().unwrap().to_string(), text);
    }
    for text in ["", "=nginx", "nginx=", "nginx=traefik", "a=b=nginx"] {
        assert!(text.parse::<Class>().is_err(), "{text}");
    }
}
