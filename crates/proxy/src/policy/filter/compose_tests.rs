use http::{HeaderName, Request as Head, StatusCode};
use ir::{AnswerHeaders, Composed, HeaderTemplates, Location, Pattern, Template};

use super::Request;
use crate::http::{
    error::ProxyError,
    view::{Peer, View},
};

/// The view of a GET over TLS from `9.9.9.9`, with fields `Name: value`.
fn view(target: &str, fields: &[&str]) -> View {
    let mut head = Head::builder().uri(target).header("Host", "A.com:8443");
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap();
        head = head.header(name, value);
    }
    let peer = Peer::new("9.9.9.9".parse().unwrap(), true, &[]);
    let head = head.body(()).unwrap().into_parts().0;
    View::new(&peer, &[], head).unwrap()
}

fn groups() -> Pattern {
    Pattern::in_path("(?i)^/old(.)?(?<rest>.*)").unwrap()
}

const FIELDS: &[&str] = &[
    "X-Tenant: blue",
    "X-Odd: a/b?c#d&e%f g",
    "X-Two: 1",
    "X-Two: 2",
    "Cookie: sid=1; Session=x=y; session=z",
];

fn of(view: &View) -> Request<'_> {
    Request {
        view,
        listener: 443,
    }
}

fn location(template: &str, target: &str) -> Result<String, ProxyError> {
    let location = Location {
        status: StatusCode::FOUND,
        groups: Some(groups()),
        location: Template::location(template, Some(&groups())).unwrap(),
        keeps_query: false,
    };
    let url = of(&view(target, FIELDS)).location(&location)?;
    Ok(url.to_str().unwrap().to_owned())
}

fn rewritten(path: Option<&str>, query: Option<&str>, target: &str) -> Result<String, ProxyError> {
    let groups = groups();
    let step = Composed {
        path: path.map(|text| Template::path(text, Some(&groups)).unwrap()),
        query: query.map(|text| Template::query(text, Some(&groups)).unwrap()),
        groups: Some(groups),
        ..Composed::default()
    };
    let change = of(&view(target, FIELDS)).change(&step)?;
    Ok(change.target.unwrap().to_string())
}

fn header(template: &str, target: &str) -> Option<String> {
    let groups = groups();
    let template = Template::parse(template, Some(&groups)).unwrap();
    let set = HeaderTemplates(vec![(HeaderName::from_static("x-made"), template)]);
    let step = AnswerHeaders {
        groups: Some(groups),
        set,
    };
    let made = of(&view(target, FIELDS)).answer_headers(&[step]).unwrap();
    let value = made.into_iter().next().unwrap().1;
    value.map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn every_variable_has_its_value() {
    let target = "/old/a/b?Q=1%202&x=&q=3";
    for (template, wanted) in [
        (
            "$host|$http_host|$scheme|$https",
            "a.com|a.com:8443|https|on",
        ),
        (
            "$server_port|$server_protocol|$request_method",
            "443|HTTP/1.1|GET",
        ),
        ("$remote_addr|$realip_remote_addr", "9.9.9.9|9.9.9.9"),
        ("$request_uri", target),
        ("$uri$is_args$args", target),
        (
            "$escaped_request_uri",
            "%2Fold%2Fa%2Fb%3FQ%3D1%25202%26x%3D%26q%3D3",
        ),
        ("$arg_q|$arg_x|$arg_none", "1%202||"),
        ("$http_x_tenant|$http_x_two", "blue|1, 2"),
        ("$cookie_session|$cookie_SID|$cookie_s", "x=y|1|"),
        ("$1|$rest|$2", "/|a/b|a/b"),
        ("${host}x${literal_dollar}host", "a.comx$host"),
        ("$http_x_odd", "a/b?c#d&e%f g"),
    ] {
        assert_eq!(
            header(template, target).as_deref(),
            Some(wanted),
            "{template}"
        );
    }
    assert_eq!(
        header("$http_none$arg_none", target),
        None,
        "nothing: taken off"
    );
    assert_eq!(header("[$is_args$args]", "/a?").as_deref(), Some("[]"));
    assert_eq!(header("[$1]", "/other").as_deref(), Some("[]"), "no match");
}

#[test]
fn a_url_is_sent_as_it_is_written() {
    for (template, target, wanted) in [
        ("https://new.test", "/x?y", "https://new.test"),
        (
            "https://new.test/a%20b?c=d#e",
            "/x?y",
            "https://new.test/a%20b?c=d#e",
        ),
        (
            "https://new.test$request_uri",
            "/x%20y?z=1",
            "https://new.test/x%20y?z=1",
        ),
        (
            "https://new.test$uri$is_args$args",
            "/x?y",
            "https://new.test/x?y",
        ),
        (
            "https://new.test/$2",
            "/old/a%26b",
            "https://new.test/a%26b",
        ),
        ("https://$http_x_tenant.test/", "/", "https://blue.test/"),
        (
            "$scheme://$http_host/login$is_args$args",
            "/?a=b",
            "https://a.com:8443/login?a=b",
        ),
        ("/login?next=1", "/?a=b", "/login?next=1"),
        (
            "/t/$http_x_odd?x=$http_x_odd",
            "/",
            "/t/a/b%3Fc%23d&e%25f%20g?x=a/b?c%23d%26e%f%20g",
        ),
        ("/in?p=$2", "/old/a&b+c", "/in?p=a%26b%2Bc"),
    ] {
        assert_eq!(
            location(template, target).as_deref(),
            Ok(wanted),
            "{template} {target}"
        );
    }
}

#[test]
fn a_value_makes_no_other_host() {
    for (template, target) in [
        ("https://new.test$2", "/old/.evil.test/"),
        ("https://new.test$2", "/old/@evil.test/"),
        ("https://new.test$2", "/old/:80@evil.test/"),
        ("https://$2/x", "/old/evil.test/y"),
        ("https://$2.new.test/x", "/old/evil.test/"),
        ("https://$2.new.test/x", "/old/"),
        ("https://$2.new.test/x", "/old/evil.test%2F"),
        ("https://$http_x_odd.new.test/", "/"),
    ] {
        assert_eq!(
            location(template, target),
            Err(ProxyError::BadValue),
            "{template} {target}"
        );
    }
    for (template, target, wanted) in [
        (
            "https://new.test$2",
            "/oldx/@evil.test",
            "https://new.test/@evil.test",
        ),
        ("https://new.test$2", "/old", "https://new.test"),
        (
            "https://$2.new.test/x",
            "/old/shop",
            "https://shop.new.test/x",
        ),
        // Two slashes at the start would be a host.
        ("/$2", "/old//evil.test", "https://a.com:8443//evil.test"),
        (
            "$request_uri",
            "//evil.test/x",
            "https://a.com:8443//evil.test/x",
        ),
    ] {
        assert_eq!(
            location(template, target).as_deref(),
            Ok(wanted),
            "{template} {target}"
        );
    }
}

#[test]
fn a_query_goes_before_that_of_the_request() {
    let index = (Some("/index.php"), Some("path=$2"));
    for ((path, query), target, wanted) in [
        (index, "/old/a/b", "/index.php?path=a/b"),
        (index, "/old/a?x=1", "/index.php?path=a&x=1"),
        (index, "/old/a?", "/index.php?path=a"),
        (index, "/old/a&admin=1", "/index.php?path=a%26admin=1"),
        (index, "/old/a%26b", "/index.php?path=a%26b"),
        ((None, Some("a=$arg_b")), "/x?b=%26", "/x?a=%26&b=%26"),
        (
            (Some("/$host$request_uri"), None),
            "/v?q=1",
            "/a.com/v%3Fq=1?q=1",
        ),
        (
            (Some("/t/$http_x_odd"), None),
            "/",
            "/t/a/b%3Fc%23d&e%25f%20g",
        ),
        ((Some("/b/../$2"), None), "/old/c", "/c"),
        ((Some("$2"), None), "/old/c", "/c"),
    ] {
        assert_eq!(
            rewritten(path, query, target).as_deref(),
            Ok(wanted),
            "{target}"
        );
    }
}

#[test]
fn what_no_path_can_hold_is_refused() {
    let template = Template::path("/t/$http_x_odd", None).unwrap();
    let step = Composed {
        path: Some(template),
        ..Composed::default()
    };
    for odd in ["a\tb", "a\\b"] {
        let view = view("/", &[&format!("X-Odd: {odd}")]);
        let change = of(&view).change(&step);
        assert_eq!(change.err(), Some(ProxyError::BadValue), "{odd:?}");
    }
}

#[test]
fn a_host_is_a_host() {
    let host = |template: &str| {
        let step = Composed {
            host: Some(Template::host(template, None).unwrap()),
            ..Composed::default()
        };
        let change = of(&view("/", FIELDS)).change(&step);
        change.map(|change| change.host.unwrap().to_str().unwrap().to_owned())
    };
    assert_eq!(host("$http_x_tenant.svc:80").as_deref(), Ok("blue.svc:80"));
    assert_eq!(host("$http_host").as_deref(), Ok("a.com:8443"));
    for template in ["$http_x_odd", "$http_none", "$http_none:80", "$arg_h"] {
        assert_eq!(host(template), Err(ProxyError::BadValue), "{template}");
    }
}
