//! Class `nginx`: each host has a world of its own, and paths are decoded before anything is decided.

use testkit::call::Call;

use super::{both, ingress};
use crate::support::secret;

const CLASS: &str = "nginx";

#[test]
fn no_spelling_of_a_path_passes_by_its_annotations() {
    let users = secret(
        "users",
        &[("auth", "jane:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")],
    );
    let password = [("auth-type", "basic"), ("auth-secret", "users")];
    let addresses = [("whitelist-source-range", "10.0.0.0/8")];
    let at = (CLASS, "a.com");
    let manifests = [
        users + "---\n",
        ingress("open", at, &[], &[("Prefix", "/", "one")], ""),
        ingress("admin", at, &addresses, &[("Prefix", "/admin", "two")], ""),
        ingress("secret", at, &password, &[("Prefix", "/secret", "two")], ""),
    ]
    .concat();
    both(&[CLASS], &["one", "two"], &manifests, |site| {
        for (path, refused) in [("admin", "403"), ("secret", "401")] {
            for form in [
                "/PATH/x",
                "//PATH",
                "/.//PATH",
                "/%2fPATH",
                "/PATH%2fx",
                "/PATH//",
                "/x/../PATH",
                "/x//../PATH",
                "/x/..%2fPATH",
                "/x%2F%2e%2e%2fPATH",
                "/..%2fPATH",
                "/PATH/..;/x",
                "/PATH/x?to=/../y",
                "/%61dmin/../PATH",
            ] {
                let url = format!("http://a.com{}", form.replace("PATH", path));
                assert_eq!(site.get(&url), refused, "{url}");
                let call = Call::get(site.http, &url).http2();
                assert_eq!(site.ask(call), refused, "{url} by HTTP/2");
            }
        }
        assert_eq!(site.hits(1), 0);
        // What is not rewritten goes on as it came, unless others may resolve it in another way.
        for (sent, seen) in [
            ("//a%2Fb/%24?q=//", "one //a%2Fb/%24?q=//"),
            ("/admin/..%2fb", "one /b"),
            ("/%252fadmin", "one /%252fadmin"),
        ] {
            assert_eq!(site.get(&format!("http://a.com{sent}")), seen);
        }
    });
}

#[test]
fn hosts_are_alone_and_wildcards_have_one_label() {
    let at = |host| (CLASS, host);
    let rest = "  defaultBackend: {service: {name: three, port: {number: 80}}}\n";
    let everywhere = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: everywhere}\nspec:\n  \
        ingressClassName: nginx\n  defaultBackend: {service: {name: four, port: {number: 80}}}\n---\n";
    let manifests = [
        ingress(
            "one",
            at("one.example.com"),
            &[],
            &[("Prefix", "/only", "one")],
            "",
        ),
        ingress(
            "wild",
            at("*.example.com"),
            &[],
            &[("Prefix", "/", "two")],
            "",
        ),
        ingress(
            "rest",
            at("rest.example.com"),
            &[],
            &[("Prefix", "/only", "one")],
            rest,
        ),
        ingress(
            "higress",
            ("higress", "higress.com"),
            &[],
            &[("Prefix", "/only", "one")],
            "",
        ),
        everywhere.to_owned(),
    ]
    .concat();
    both(
        &[CLASS, "higress"],
        &["one", "two", "three", "four"],
        &manifests,
        |site| {
            for (url, seen) in [
                ("http://one.example.com/only/x", "one /only/x"),
                ("http://one.example.com/other", "404"),
                ("http://rest.example.com/only", "one /only"),
                ("http://rest.example.com/other", "three /other"),
                ("http://wild.example.com/other", "two /other"),
                ("http://deep.wild.example.com/other", "four /other"),
                ("http://example.com/other", "four /other"),
                ("http://elsewhere.org/other", "four /other"),
                ("http://higress.com/only", "one /only"),
                // The rules of ingress-nginx are for its own hosts.
                ("http://higress.com/other", "404"),
            ] {
                assert_eq!(site.get(url), seen, "{url}");
            }
        },
    );
}

/// Hosts of which not every path has a rule.
fn with_gaps() -> String {
    let users = secret(
        "users",
        &[("auth", "jane:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")],
    );
    let password = [("auth-type", "basic"), ("auth-secret", "users")];
    let addresses = [("whitelist-source-range", "10.0.0.0/8")];
    let at = |host| (CLASS, host);
    let admin = &[("Prefix", "/admin", "one")];
    let bare = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: bare}\nspec:\n  \
        ingressClassName: nginx\n  rules: [{host: bare.wild.com}]\n---\n";
    let bare_rest = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: bare-rest}\nspec:\n  \
        ingressClassName: nginx\n  rules: [{host: rest.wild.com}]\n  \
        defaultBackend: {service: {name: three, port: {number: 80}}}\n---\n";
    [
        users + "---\n",
        ingress("password", at("password.com"), &password, admin, ""),
        ingress("addresses", at("addresses.com"), &addresses, admin, ""),
        ingress(
            "root",
            at("root.com"),
            &addresses,
            &[("Prefix", "/", "one")],
            "",
        ),
        ingress(
            "a-open",
            at("shared.com"),
            &[],
            &[("Prefix", "/open", "two")],
            "",
        ),
        ingress("b-closed", at("shared.com"), &addresses, admin, ""),
        ingress("a-closed", at("other.com"), &addresses, admin, ""),
        ingress(
            "b-open",
            at("other.com"),
            &[],
            &[("Prefix", "/open", "two")],
            "",
        ),
        ingress(
            "moved",
            at("moved.com"),
            &[("permanent-redirect", "https://new.com/x")],
            admin,
            "",
        ),
        ingress(
            "denied",
            at("denied.com"),
            &[("auth-type", "basic"), ("auth-secret", "lost")],
            admin,
            "",
        ),
        ingress("wild", at("*.wild.com"), &[], &[("Prefix", "/", "two")], ""),
        bare.to_owned(),
        bare_rest.to_owned(),
    ]
    .concat()
}

/// ingress-nginx makes a location for what no rule of a host matches, of the first Ingress that names the host.
#[test]
fn what_no_rule_matches_is_behind_the_same_guards() {
    both(&[CLASS], &["one", "two", "three"], &with_gaps(), |site| {
        for (url, seen) in [
            ("http://password.com/admin", "401"),
            ("http://password.com/else", "401"),
            ("http://password.com/", "401"),
            ("http://addresses.com/admin", "403"),
            ("http://addresses.com/else", "403"),
            ("http://root.com/else", "403"),
            ("http://shared.com/open", "two /open"),
            ("http://shared.com/admin", "403"),
            ("http://shared.com/else", "404"),
            ("http://other.com/open", "two /open"),
            ("http://other.com/else", "403"),
            ("http://moved.com/else", "301 https://new.com/x"),
            ("http://denied.com/admin", "503"),
            ("http://denied.com/else", "503"),
            ("http://bare.wild.com/", "404"),
            ("http://rest.wild.com/x", "three /x"),
            ("http://any.wild.com/x", "two /x"),
        ] {
            assert_eq!(site.get(url), seen, "{url}");
        }
        let call = |path: &str| {
            let url = format!("http://password.com{path}");
            site.get_with(&url, &[("authorization", "Basic amFuZTpzZWNyZXQ=")])
        };
        assert_eq!((&*call("/admin"), &*call("/else")), ("one /admin", "404"));
    });
}

#[test]
fn fields_with_underscores_do_not_get_in() {
    let manifests = [
        ingress(
            "plain",
            (CLASS, "a.com"),
            &[],
            &[("Prefix", "/", "one")],
            "",
        ),
        ingress(
            "other",
            ("higress", "b.com"),
            &[],
            &[("Prefix", "/", "one")],
            "",
        ),
    ]
    .concat();
    both(&[CLASS, "higress"], &["one"], &manifests, |site| {
        for (host, passes) in [("a.com", false), ("b.com", true)] {
            let call = Call::get(site.http, &format!("http://{host}/"));
            let answer = call.header("my_own", "1").send_blocking().unwrap();
            let seen = !answer.json()["headers"]["my_own"].is_null();
            assert_eq!(seen, passes, "{host}");
        }
    });
}
