//! Class `nginx`: paths and defaults of ingress-nginx.

use testkit::call::Call;

use super::{both, certificate, ingress};

const CLASS: &str = "nginx";

#[test]
fn paths() {
    let at = |host| (CLASS, host);
    let target = [("rewrite-target", "/$2")];
    let whole = [("rewrite-target", "/all")];
    let manifests = [
        ingress(
            "api",
            at("regex.com"),
            &target,
            &[("ImplementationSpecific", "/api(/|$)(.*)", "one")],
            "",
        ),
        ingress(
            "other",
            at("regex.com"),
            &[],
            &[
                ("Exact", "/exact", "two"),
                ("Prefix", "/exact/longer", "one"),
                ("Prefix", "/", "two"),
            ],
            "",
        ),
        ingress(
            "whole",
            at("whole.com"),
            &whole,
            &[("Prefix", "/some", "one")],
            "",
        ),
        ingress(
            "plain",
            at("plain.com"),
            &[],
            &[
                ("Prefix", "/x/", "one"),
                ("ImplementationSpecific", "/abc", "two"),
            ],
            "",
        ),
        ingress(
            "higress",
            ("higress", "higress.com"),
            &[],
            &[("Prefix", "/x/", "one")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS, "higress"], &["one", "two"], &manifests, |site| {
        assert_eq!(site.get("http://regex.com/API/x/y?q=1"), "one /x/y?q=1");
        assert_eq!(
            site.get("http://regex.com/ExactAndMore"),
            "two /ExactAndMore"
        );
        assert_eq!(
            site.get("http://regex.com/exact/longer"),
            "one /exact/longer"
        );
        assert_eq!(site.get("http://regex.com/else"), "two /else");
        assert_eq!(site.get("http://whole.com/some/thing"), "one /all");
        assert_eq!(
            site.get("http://plain.com/x?q=1"),
            "301 http://plain.com/x/?q=1"
        );
        assert_eq!(site.get("http://plain.com/x/y"), "one /x/y");
        assert_eq!(site.get("http://plain.com/X/y"), "404");
        assert_eq!(site.get("http://plain.com/abcdef/g"), "two /abcdef/g");
        assert_eq!(site.get("http://higress.com/x"), "one /x");
    });
}

#[test]
fn a_certificate_implies_https() {
    let (secret, client) = certificate("cert", &["tls.com"]);
    let tls = "  tls: [{hosts: [tls.com], secretName: cert}]\n";
    let off = [("ssl-redirect", "false")];
    let manifests = [
        secret,
        ingress(
            "tls",
            (CLASS, "tls.com"),
            &[],
            &[("Prefix", "/", "one")],
            tls,
        ),
        ingress(
            "off",
            (CLASS, "tls.com"),
            &off,
            &[("Prefix", "/off", "one")],
            "",
        ),
        ingress(
            "plain",
            (CLASS, "plain.com"),
            &[],
            &[("Prefix", "/", "one")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        assert_eq!(site.get("http://tls.com/a"), "308 https://tls.com/a");
        assert_eq!(
            site.get_tls("https://tls.com/a", &client, "tls.com"),
            "one /a"
        );
        assert_eq!(site.get("http://tls.com/off"), "one /off");
        assert_eq!(site.get("http://plain.com/a"), "one /a");
    });
}

#[test]
fn tries_are_attempts() {
    let two = [
        ("proxy-next-upstream", "http_502"),
        ("proxy-next-upstream-tries", "2"),
    ];
    let manifests = [
        ingress(
            "two",
            (CLASS, "two.com"),
            &two,
            &[("Prefix", "/", "one")],
            "",
        ),
        ingress(
            "none",
            (CLASS, "none.com"),
            &[],
            &[("Prefix", "/", "two")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        site.get("http://two.com/?status=502");
        assert_eq!(site.hits(0), 2, "the first counts");
        site.get("http://none.com/?status=502");
        assert_eq!(site.hits(1), 1, "an answer is no failure by default");
    });
}

#[test]
fn annotations_count_for_a_default_backend() {
    // Alone, it is neither redirected nor rewritten.
    let manifests = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: all\n  annotations:\n    \
         nginx.ingress.kubernetes.io/denylist-source-range: 127.0.0.2\n    \
         nginx.ingress.kubernetes.io/enable-cors: \"true\"\n    \
         nginx.ingress.kubernetes.io/permanent-redirect: http://elsewhere.com/\n    \
         nginx.ingress.kubernetes.io/rewrite-target: /x\nspec:\n  ingressClassName: nginx\n  \
         defaultBackend: {service: {name: one, port: {number: 80}}}\n";
    both(&[CLASS], &["one"], manifests, |site| {
        assert_eq!(site.get("http://any.com/a"), "one /a");
        let call = Call::get(site.http, "http://any.com/a").header("origin", "http://b.com");
        let shared = call.send_blocking().unwrap();
        assert_ne!(shared.header("access-control-allow-origin"), "");
    });
}
