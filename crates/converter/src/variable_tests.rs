use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;

use super::{Place, Scope, Templates, check, check_host, check_location, has_names};

fn scope(host: &str) -> Scope {
    let ingress: Ingress = serde_json::from_value(json!({
        "metadata": { "name": "a" },
        "spec": { "rules": [{
            "host": host,
            "http": { "paths": [
                { "path": "/n/(?<Rest>.*)", "pathType": "Exact", "backend": {} },
                { "path": "/plain", "pathType": "Exact", "backend": {} },
            ] },
        }] },
    }))
    .unwrap();
    Scope::of(&ingress)
}

fn made(pattern: Option<&str>, text: &str) -> (String, bool) {
    let mut templates = Templates::of(Place {
        pattern,
        host: "a.test",
        namespace: "shop",
        service: "shop",
        path: "/written",
        ingress: "web",
    });
    let template = templates.template(text);
    (template, templates.used)
}

#[test]
fn what_has_no_value_is_named() {
    let scope = scope("a.test");
    for text in [
        "/$1/${9}",
        "/$rest$REST",
        "$Host$http_x$arg_a$cookie_b",
        "$namespace$server_name$service_name$location_path",
        "$remote_user$req_id$best_http_host",
        "${literal_dollar}",
    ] {
        assert_eq!(check(text, &scope), Ok(()), "{text}");
    }
    for (text, named) in [
        ("/$upstream_addr", "$upstream_addr"),
        ("/$other", "$other"),
        ("/$0", "$0"),
        ("/a$", "dollar"),
        ("/$service_port", "$service_port"),
    ] {
        let why = check(text, &scope).unwrap_err();
        assert!(why.contains(named), "{text}: {why}");
    }
    assert!(check("$1", &Scope::default()).is_err(), "no path, no group");
    assert!(check("$server_name", &super::Scope::of(&Ingress::default())).is_ok());
    for host in ["", "*.test"] {
        assert!(check("$server_name", &self::scope(host)).is_err(), "{host}");
    }
}

#[test]
fn a_group_that_is_not_there_is_nothing() {
    let pattern = Some("^(?:(?i:/n/(?<rest>.*)).*)$");
    assert_eq!(
        made(pattern, "/$1/$2/$Rest"),
        ("/${1}//${Rest}".to_owned(), true)
    );
    assert_eq!(made(pattern, "/$1a"), ("/${1}a".to_owned(), true));
    assert_eq!(made(None, "/$1/$rest"), ("//".to_owned(), false));
    assert_eq!(
        made(None, "$Scheme://$server_name/$namespace.$ingress_name"),
        ("${scheme}://a.test/shop.web".to_owned(), false)
    );
    assert!(!has_names("/a/$1/$2b") && has_names("/$host") && has_names("/${1}"));
}

#[test]
fn locations_and_hosts() {
    for text in [
        "https://a.test",
        "HTTP://a.test:80/x",
        "$scheme://$host/x",
        "https://a.test$request_uri",
        "/x?y#z",
        "$uri",
        "https://$1.a.test/",
    ] {
        assert_eq!(check_location(text), Ok(()), "{text}");
    }
    for text in [
        "",
        "a.test",
        "//a.test",
        "ftp://a.test",
        "$http_referer",
        "https://",
        "https://u@a.test/",
        "https://a.test/b c",
        "/a\\b",
    ] {
        assert!(check_location(text).is_err(), "{text}");
    }
    for text in ["a.test", "a.test:80", "$host", "${http_x}.svc", "a_b"] {
        assert_eq!(check_host(text), Ok(()), "{text}");
    }
    for text in ["", "a/b", "a b", ":80", "u@a"] {
        assert!(check_host(text).is_err(), "{text}");
    }
}
