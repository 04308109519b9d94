use super::{controller, misspelt};
use crate::annotations::NGINX;

#[test]
fn whose_a_prefix_is() {
    for (prefix, wanted) in [
        ("nginx.org", Some("NGINX Inc.'s controller")),
        ("cis.f5.com", Some("F5's controllers")),
        ("haproxy.org", Some("HAProxy's controller")),
        ("haproxy-ingress.github.io", Some("HAProxy Ingress")),
        ("traefik.ingress.kubernetes.io", Some("Traefik")),
        (
            "alb.ingress.kubernetes.io",
            Some("a cloud's ALB controller"),
        ),
        ("other.ingress.kubernetes.io", Some("older controllers")),
        (
            "mse.ingress.kubernetes.io",
            Some("Alibaba Cloud's gateways"),
        ),
        (
            "higress.ingress.kubernetes.io",
            Some("Alibaba Cloud's gateways"),
        ),
        ("konghq.com", Some("Kong")),
        ("configuration.konghq.com", Some("Kong")),
        ("k8s.apisix.apache.org", Some("APISIX")),
        ("projectcontour.io", Some("Contour")),
        // These are no controllers of Ingresses.
        ("cert-manager.io", None),
        ("acme.cert-manager.io", None),
        ("external-dns.alpha.kubernetes.io", None),
        ("kubernetes.io", None),
        ("kubectl.kubernetes.io", None),
        ("meta.helm.sh", None),
        ("argocd.argoproj.io", None),
        ("field.cattle.io", None),
        ("postern.dev", None),
        ("notkonghq.com", None),
    ] {
        assert_eq!(controller(prefix), wanted, "{prefix}");
        assert_eq!(misspelt(prefix), None, "{prefix}");
    }
}

#[test]
fn a_prefix_that_is_nearly_ours() {
    for prefix in [
        "nginx.ingress.kuberentes.io",
        "ngnix.ingress.kubernetes.io",
        "nginx.ingress.kubernetes",
        "nginx.ingres.kubernetes.io",
    ] {
        assert_eq!(misspelt(prefix), Some(NGINX), "{prefix}");
        assert_eq!(controller(prefix), None, "{prefix}");
    }
    assert_eq!(misspelt("higres.io"), Some("higress.io/"));
}

#[test]
fn what_may_have_been_written_for_that_controller_is_refused() {
    let text = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {haproxy.org/whitelist: 10.0.0.0/8, haproxy.org/timeout-server: 5s}}
spec: {ingressClassName: haproxy, rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}
";
    let resources = api::yaml::read(text).into_resources();
    let mse = text.replace("haproxy.org/whitelist", "mse.ingress.kubernetes.io/x");
    let mse = expand_as(&api::yaml::read(&mse).into_resources(), "haproxy=higress");
    assert!(
        mse[1].contains("mse.ingress.kubernetes.io/*: refused: 1 annotation of Alibaba"),
        "{mse:?}"
    );
    let notes = |class: &str| expand_as(&resources, class);
    assert_eq!(
        notes("haproxy"),
        [
            "Ingress/default/a haproxy.org/*: refused: 2 annotations of HAProxy's controller, of which nothing is done here"
        ]
    );
    assert_eq!(
        notes("haproxy=higress"),
        [
            "Ingress/default/a haproxy.org/*: no effect: 2 annotations of HAProxy's controller, which ingress-nginx and Higress do not read either"
        ]
    );
}

fn expand_as(resources: &api::Resources, class: &str) -> Vec<String> {
    let options = crate::Options {
        ingress_classes: vec![class.parse().unwrap()],
        ..crate::Options::default()
    };
    let expansion = crate::expand(resources, &options);
    expansion.notes.iter().map(ToString::to_string).collect()
}
