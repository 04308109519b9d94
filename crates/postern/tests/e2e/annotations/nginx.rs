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
            "shared",
            (CLASS, "tls.com"),
            &[("enable-cors", "true")],
            &[("Prefix", "/shared", "one")],
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
        assert_eq!(
            site.get("http://tls.com/shared"),
            "308 https://tls.com/shared"
        );
        assert_eq!(
            site.send("OPTIONS", "http://tls.com/shared"),
            "204",
            "preflights are answered before"
        );
        assert_eq!(
            site.send("OPTIONS", "http://tls.com/a"),
            "308 https://tls.com/a"
        );
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

#[test]
fn a_target_is_what_nginx_reads_in_it() {
    let one = |name: &str, target: &str, path: (&str, &str)| {
        let host = format!("{name}.com");
        let (kind, path) = path;
        let target = [("rewrite-target", target)];
        ingress(name, (CLASS, &host), &target, &[(kind, path, "one")], "")
    };
    let groups = |path| ("ImplementationSpecific", path);
    let manifests = [
        one("query", "/index.php?path=$1", groups("/r/(.*)")),
        one("drop", "/x/$1?", groups("/r/(.*)")),
        one("itself", "/", ("Prefix", "/")),
        one("named", "/$rest", groups("/n/(?<rest>.*)")),
        one("variables", "/$host$request_uri", ("Prefix", "/v")),
        one("away", "https://bar.example.org/$1", groups("/old/(.*)")),
        one("lost", "https://bar.example.org/$1", ("Prefix", "/old")),
        one("unknown", "/$upstream_addr", ("Prefix", "/u")),
        ingress(
            "vhost",
            (CLASS, "vhost.com"),
            &[("upstream-vhost", "$http_x_tenant.internal:80")],
            &[("Prefix", "/", "one")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (url, wanted) in [
            (
                "http://query.com/r/a%20b?x=1",
                "one /index.php?path=a%20b&x=1",
            ),
            (
                "http://query.com/r/a&admin=1",
                "one /index.php?path=a%26admin=1",
            ),
            ("http://drop.com/r/a?x=1", "one /x/a"),
            ("http://itself.com/x/y?z", "one /x/y?z"),
            ("http://named.com/n/a/b", "one /a/b"),
            (
                "http://variables.com/v/x?q=1",
                "one /variables.com/v/x%3Fq=1?q=1",
            ),
            (
                "http://away.com/old/a/b?q=1",
                "302 https://bar.example.org/a/b?q=1",
            ),
            ("http://lost.com/old/a", "302 https://bar.example.org/"),
            ("http://unknown.com/u/x", "one /u/x"),
            ("http://vhost.com/", "one /"),
        ] {
            let tenant = [("x-tenant", "blue")];
            assert_eq!(site.get_with(url, &tenant), wanted, "{url}");
        }
        let host = |seen: &testkit::echo::Seen| seen.host.clone();
        let hosts: Vec<_> = site.backends[0].seen().iter().map(host).collect();
        assert!(hosts.contains(&"blue.internal:80".to_owned()), "{hosts:?}");
        let odd = [("x-tenant", "a/b")];
        assert_eq!(site.get_with("http://vhost.com/", &odd), "400");
    });
}

#[test]
fn redirects_are_sent_as_they_are_written() {
    let (secret, client) = certificate("cert", &["root.com"]);
    let one = |name: &str, key: &str, to: &str| {
        let host = format!("{name}.com");
        ingress(
            name,
            (CLASS, &host),
            &[(key, to)],
            &[("Prefix", "/", "one")],
            "",
        )
    };
    let root = [
        ("app-root", "/login$is_args$args"),
        ("force-ssl-redirect", "true"),
    ];
    let group = [
        ("use-regex", "true"),
        ("permanent-redirect", "https://new.test/$1"),
    ];
    let manifests = [
        secret,
        one("uri", "permanent-redirect", "https://new.test$request_uri"),
        one("bare", "temporal-redirect", "https://new.test"),
        one(
            "whole",
            "permanent-redirect",
            "https://new.test/IT%20OPS/a?b=c#d",
        ),
        one("relative", "permanent-redirect", "/relative"),
        one("scheme", "permanent-redirect", "$scheme://new.test/x"),
        one("app", "app-root", "/login?next=1"),
        ingress(
            "group",
            (CLASS, "group.com"),
            &group,
            &[("ImplementationSpecific", "/(.*)", "one")],
            "",
        ),
        ingress(
            "root",
            (CLASS, "root.com"),
            &root,
            &[("Prefix", "/", "one")],
            "  tls: [{hosts: [root.com], secretName: cert}]\n",
        ),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        for (url, wanted) in [
            ("http://uri.com/a%20b?c=d", "301 https://new.test/a%20b?c=d"),
            (
                "http://uri.com//evil.test/x",
                "301 https://new.test//evil.test/x",
            ),
            ("http://bare.com/a?b", "302 https://new.test"),
            (
                "http://whole.com/x?y",
                "301 https://new.test/IT%20OPS/a?b=c#d",
            ),
            ("http://relative.com/x?y", "301 /relative"),
            ("http://scheme.com/y", "301 http://new.test/x"),
            ("http://app.com/?a=b", "302 http://app.com/login?next=1"),
            ("http://app.com/x?a=b", "one /x?a=b"),
            ("http://group.com/a/b", "301 https://new.test/a/b"),
            ("http://root.com/?a=b", "302 http://root.com/login?a=b"),
            ("http://root.com/login", "308 https://root.com/login"),
        ] {
            assert_eq!(site.get(url), wanted, "{url}");
        }
        let secured = site.get_tls("https://root.com/", &client, "root.com");
        assert_eq!(secured, "302 https://root.com/login");
    });
}

#[test]
fn headers_of_answers_come_from_a_config_map() {
    let headers = |name, map| {
        let host = format!("{name}.com");
        let key = [("custom-headers", map)];
        ingress(name, (CLASS, &host), &key, &[("Prefix", "/", "one")], "")
    };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: headers, namespace: default}\ndata: {X-Frame-Options: DENY, X-Client: $remote_addr}\n---\n";
    let manifests = [
        headers("set", "default/headers"),
        headers("absent", "default/nowhere"),
        map.to_owned(),
    ]
    .concat();
    both(&[CLASS], &["one"], &manifests, |site| {
        let answer = Call::get(site.http, "http://set.com/")
            .send_blocking()
            .unwrap();
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(
            answer.header("x-client"),
            "$remote_addr",
            "as ingress-nginx sends it"
        );
        assert_eq!(site.get("http://absent.com/"), "503");
    });
}
