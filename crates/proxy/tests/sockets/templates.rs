//! Values that are made for each request: where clients are sent, and what backends and clients are told.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, StatusCode};
use ir::{
    Action, AnswerHeaders, BasicAuth, Composed, ForwardedField, HeaderTemplates, Location,
    PasswordHash, Pattern, Redacted, RequestStep, Route, Rule, Template, Users,
};
use proxy::Proxy;
use serde_json::json;
use testkit::{
    call::{Call, raw},
    echo::Backend as Echo,
};

use crate::support::{Config1, cluster, forward, http, route, serve, start};

fn groups() -> Pattern {
    Pattern::in_path("^/(?:r|go)/(?<rest>.*)").unwrap()
}

fn changed(path: &str, action: Action, change: impl FnOnce(&mut Rule)) -> Route {
    let mut route = route(path, vec![], action);
    change(Arc::get_mut(&mut route.rule).unwrap());
    route
}

fn header(name: &'static str, template: &str) -> HeaderTemplates {
    let template = Template::parse(template, Some(&groups())).unwrap();
    HeaderTemplates(vec![(HeaderName::from_static(name), template)])
}

fn answers(name: &'static str, template: &str) -> Box<[AnswerHeaders]> {
    Box::new([AnswerHeaders {
        groups: Some(groups()),
        set: header(name, template),
    }])
}

fn to(template: &str) -> Action {
    Action::Location(Box::new(Location {
        status: StatusCode::MOVED_PERMANENTLY,
        groups: Some(groups()),
        location: Template::location(template, Some(&groups())).unwrap(),
        keeps_query: false,
    }))
}

fn gateway(echo: &Echo) -> Proxy {
    let proxy = start(|_| ());
    let composed = Composed {
        groups: Some(groups()),
        host: Some(Template::host("$http_x_tenant.internal", None).unwrap()),
        path: Some(Template::path("/index.php", None).unwrap()),
        query: Some(Template::query("path=$rest", Some(&groups())).unwrap()),
        drops_query: false,
        set: header("x-was", "$request_uri"),
    };
    let config = Config1 {
        routes: vec![
            changed("/r", Action::Forward(forward("a")), |rule| {
                let step = RequestStep::Composed(Box::new(composed));
                rule.request.push(step);
                rule.answer_headers = answers("x-answer", "$remote_addr $cookie_sid");
            }),
            changed("/go", to("https://new.test$uri$is_args$args"), |rule| {
                rule.answer_headers = answers("x-answer", "$rest");
            }),
            changed("/as-written", to("https://new.test/a%20b?c#d"), |_| ()),
            changed("/tail", to("https://new.test$arg_to"), |_| ()),
        ],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    serve(&proxy, config.ir());
    proxy
}

#[test]
fn backends_see_what_was_made_for_them() {
    let echo = Echo::start("a");
    let proxy = gateway(&echo);
    let answer = Call::get(http(&proxy), "http://a.com/r/a%20b&c?x=1")
        .header("X-Tenant", "blue")
        .header("X_Was", "forged")
        .header("X-Was", "forged")
        .header("Cookie", "sid=7")
        .send_blocking()
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["path"], "/index.php?path=a%20b%26c&x=1");
    assert_eq!(told["headers"]["host"], json!(["blue.internal"]));
    assert_eq!(told["headers"]["x-was"], json!(["/r/a%20b&c?x=1"]));
    assert!(told["headers"]["x_was"].is_null());
    assert_eq!(answer.headers["x-answer"], "127.0.0.1 7");
}

#[test]
fn who_asks_and_for_what_has_names() {
    let echo = Echo::start("a");
    let john = PasswordHash::parse("$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0").unwrap();
    let text = "$remote_user $best_http_host $pass_port";
    let named = |kept_back| {
        let auth = BasicAuth {
            challenge: BasicAuth::challenge("office").unwrap(),
            source: "Secret/test/users".into(),
            users: Redacted::new(Users::new(vec![("john".into(), john.clone())]).unwrap()),
            kept_back,
        };
        changed("/", Action::Forward(forward("a")), |rule| {
            rule.gates.basic_auth = Some(Arc::new(auth));
            rule.forwarded = [ForwardedField::RequestId].into_iter().collect();
            let mut set = header("x-named", text);
            set.0.extend(header("x-id", "$req_id $request_id").0);
            let step = Composed {
                groups: None,
                host: None,
                path: None,
                query: None,
                drops_query: false,
                set,
            };
            rule.request.push(RequestStep::Composed(Box::new(step)));
        })
    };
    for trusted in [true, false] {
        let proxy = start(|config| {
            config.trusted_proxies = trusted
                .then(|| "127.0.0.0/8".parse().unwrap())
                .into_iter()
                .collect();
        });
        for kept_back in [true, false] {
            let config = Config1 {
                routes: vec![named(kept_back)],
                clusters: vec![cluster("a", &[echo.address()])],
            };
            serve(&proxy, config.ir());
            let call = Call::get(http(&proxy), "http://a.com/")
                .header("authorization", "Basic am9objpzZWNyZXQ=")
                .header("x-forwarded-host", "pub.com:81, in.com")
                .header("x-request-id", "7");
            let answer = call.send_blocking().unwrap();
            let seen = &answer.json()["headers"];
            let host = if trusted { "pub.com:81" } else { "a.com" };
            assert_eq!(seen["x-named"], json!([format!("john {host} 80")]));
            assert_eq!(seen["x-id"], json!(["7 7"]));
            assert_eq!(seen["authorization"].is_null(), kept_back);
        }
    }
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    let echo = Echo::start("a");
    let proxy = gateway(&echo);
    let tenant = |value: &str| {
        let call = Call::get(http(&proxy), "http://a.com/r/x");
        call.header("X-Tenant", value).send_blocking().unwrap()
    };
    assert_eq!(tenant("blue").status, 200);
    for bad in ["a/b", "a@b", "a b"] {
        let answer = tenant(bad);
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (400, &b"bad_value"[..]),
            "{bad}"
        );
    }
    let answer = Call::get(http(&proxy), "http://a.com/tail?to=.evil.test");
    let answer = answer.send_blocking().unwrap();
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (400, &b"bad_value"[..])
    );
    assert_eq!(echo.hits(), 1);
}

#[test]
fn clients_are_sent_to_what_was_written() {
    let echo = Echo::start("a");
    let proxy = gateway(&echo);
    let to = |target: &str| {
        let answer = Call::get(http(&proxy), &format!("http://a.com{target}"));
        let answer = answer.send_blocking().unwrap();
        assert_eq!(answer.status, 301, "{target}: {answer:?}");
        answer
    };
    let answer = to("/go/x?y=1");
    assert_eq!(answer.headers["location"], "https://new.test/go/x?y=1");
    assert_eq!(answer.headers["x-answer"], "x");
    for target in ["/as-written", "/as-written/x?y=1"] {
        assert_eq!(to(target).headers["location"], "https://new.test/a%20b?c#d");
    }
    assert_eq!(to("/tail?to=/x").headers["location"], "https://new.test/x");
}

#[test]
fn no_answer_is_split() {
    let echo = Echo::start("a");
    let proxy = gateway(&echo);
    for target in [
        "/go/%0d%0aSet-Cookie:%20a=b",
        "/go/x%0ay",
        "/go/%00",
        "/go/x?y=%0d%0aSet-Cookie:%20a=b",
        "/tail?to=/%0d%0aSet-Cookie:%20a=b",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n");
        let bytes = raw(http(&proxy), request.as_bytes(), Duration::from_secs(5));
        let text = String::from_utf8_lossy(&bytes);
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(
            !head.to_lowercase().contains("\nset-cookie"),
            "{target}: {text}"
        );
        assert!(
            !head.replace("\r\n", "").contains(['\r', '\n', '\0']),
            "{target}: {text}"
        );
        let status = &head[9..12];
        assert!(["301", "400"].contains(&status), "{target}: {text}");
    }
}
