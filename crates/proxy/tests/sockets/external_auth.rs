//! Somebody else decides: what is asked, what each answer leads to, and that silence is no consent.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, header};
use ir::{
    Action, Admission, Allowed, AuthCookies, ClientAddresses, ClusterKey, Cors, ExternalAuth,
    HeaderMatch, OriginMatch, Template, ValueMatch, Variable,
};
use proxy::{Proxy, Telemetry};
use testkit::{
    call::{Answer, Call},
    echo::{Backend as Echo, unused_address},
    wait::eventually,
};

use crate::{
    logged::Logged,
    support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with},
};

/// The authenticator answers as the request's query says.
fn auth() -> ExternalAuth {
    ExternalAuth {
        cluster: ClusterKey("auth".into()),
        method: Some(Method::GET),
        host: Some(HeaderValue::from_static("auth.test")),
        target: Template::parse("/check?$args", None).unwrap(),
        sent: None,
        only_200: false,
        copied: Some(vec![HeaderName::from_static("x-user")]),
        sign_in: None,
        back_to: Template::prefixed("", Variable::RequestUri),
        cookies: AuthCookies::Successes,
        timeout: Duration::from_secs(5),
    }
}

fn guarded(backend: &Echo, authenticator: std::net::SocketAddr, filters: Vec<Phase>) -> Config1 {
    Config1 {
        routes: vec![route("/", filters, Action::Forward(forward("a")))],
        clusters: vec![
            cluster("a", &[backend.address()]),
            cluster("auth", &[authenticator]),
        ],
    }
}

struct Setup {
    backend: Echo,
    authenticator: Echo,
    proxy: Proxy,
}

impl Setup {
    fn new(change: impl FnOnce(&mut ExternalAuth)) -> Self {
        let mut asked = auth();
        change(&mut asked);
        let (backend, authenticator) = (Echo::start("a"), Echo::start("auth"));
        let proxy = start(|_| ());
        let filters = vec![Phase::ExternalAuth(Arc::new(asked))];
        serve(
            &proxy,
            guarded(&backend, authenticator.address(), filters).ir(),
        );
        Self {
            backend,
            authenticator,
            proxy,
        }
    }

    fn call(&self, method: &str, target: &str) -> Call {
        Call::new(http(&self.proxy), method, &format!("http://a.com{target}"))
    }

    fn get(&self, target: &str) -> Answer {
        self.call("GET", target).send_blocking().unwrap()
    }
}

#[test]
fn a_yes_brings_headers_that_clients_cannot_claim() {
    let setup = Setup::new(|_| ());
    for http2 in [false, true] {
        let call = setup
            .call("POST", "/x/../page?set=x-user:jane&set=x-other:1")
            .header("x-user", "root")
            .header("x_user", "root")
            .header("x-original-url", "http://a.com/public")
            .header("x_original_url", "http://a.com/public")
            .header("x-original-method", "OPTIONS")
            .header("x-forwarded-uri", "/public")
            .header("x-forwarded-for", "9.9.9.9")
            .header("cookie", "a=b")
            .body("hello");
        let call = if http2 { call.http2() } else { call };
        let told = call.send_blocking().unwrap().json();
        assert_eq!(told["backend"], "a");
        assert_eq!(told["bodyBytes"], 5);
        let headers = &told["headers"];
        assert_eq!(headers["x-user"], serde_json::json!(["jane"]), "{headers}");
        assert!(
            headers["x_user"].is_null() && headers["x-other"].is_null(),
            "{headers}"
        );
        let asked = setup.authenticator.seen().pop().unwrap();
        assert_eq!((asked.method, asked.body), (Method::GET, 0));
        assert_eq!(asked.host, "auth.test");
        assert_eq!(asked.target, "/check?set=x-user:jane&set=x-other:1");
        let uri = "/page?set=x-user:jane&set=x-other:1";
        for (name, value) in [
            ("x-original-url", &*format!("http://a.com{uri}")),
            ("x-original-method", "POST"),
            ("x-original-uri", uri),
            ("x-forwarded-uri", uri),
            ("x-forwarded-method", "POST"),
            ("x-auth-request-redirect", uri),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-real-ip", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a.com"),
            ("cookie", "a=b"),
        ] {
            let all: Vec<_> = asked.headers.get_all(name).iter().collect();
            assert_eq!(all, [value], "{name}");
        }
        assert!(!asked.headers.contains_key("x_original_url"));
    }
    // A yes that says nothing of the user leaves nothing of what the client said.
    let told = setup
        .call("GET", "/?x")
        .header("x-user", "root")
        .send_blocking();
    assert!(told.unwrap().json()["headers"]["x-user"].is_null());
}

#[test]
fn a_no_is_passed_on_and_anything_else_fails_closed() {
    let setup = Setup::new(|_| ());
    let no = setup.get("/?status=401&set=www-authenticate:Bearer&set=set-cookie:a=b");
    assert_eq!((no.status.as_u16(), no.backend()), (401, "auth"));
    assert_eq!(no.header("www-authenticate"), "Bearer");
    assert_eq!(no.header("set-cookie"), "");
    assert_eq!(setup.get("/?status=403").status, 403);
    for status in [302, 400, 404, 418, 429, 500, 503] {
        let answer = setup.get(&format!("/?status={status}&set=location:/x"));
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (500, &b"auth_failed"[..]),
            "{status}"
        );
        assert_eq!(answer.header("location"), "");
    }
    for status in [200, 202, 204] {
        assert_eq!(setup.get(&format!("/?status={status}")).backend(), "a");
    }
    assert_eq!(setup.backend.hits(), 3);
    let broken = setup.get("/?reset=1");
    assert_eq!(
        (broken.status.as_u16(), &broken.body[..]),
        (503, &b"auth_unreachable"[..])
    );
}

#[test]
fn who_is_not_there_and_who_does_not_answer_let_nobody_in() {
    let backend = Echo::start("a");
    let silent = Echo::builder().silent().start("silent");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    for (address, status, word) in [
        (unused_address(), 503, "auth_unreachable"),
        (silent.address(), 504, "auth_timeout"),
    ] {
        let asked = ExternalAuth {
            timeout: Duration::from_millis(300),
            ..auth()
        };
        let filters = vec![Phase::ExternalAuth(Arc::new(asked))];
        serve(&proxy, guarded(&backend, address, filters).ir());
        let answer = Call::get(http(&proxy), "http://a.com/")
            .send_blocking()
            .unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (status, word.as_bytes())
        );
        let counted = format!("reason=\"{word}\"");
        eventually("it is counted", || {
            telemetry.metrics.encode().contains(&counted)
        });
    }
    // An authenticator without endpoints, and one that there is no cluster for.
    let filters = vec![Phase::ExternalAuth(Arc::new(auth()))];
    let mut config = guarded(&backend, unused_address(), filters);
    config.clusters[1].endpoints = [].into();
    serve(&proxy, config.ir());
    let ask = || {
        Call::get(http(&proxy), "http://a.com/")
            .send_blocking()
            .unwrap()
            .status
    };
    assert_eq!(ask(), 503);
    config.clusters.pop();
    serve(&proxy, config.ir());
    assert_eq!(ask(), 503);
    assert_eq!(backend.hits(), 0);
}

#[test]
fn who_has_to_sign_in_is_sent_there() {
    let setup = Setup::new(|auth| {
        let text = "https://$host/start?rd=$scheme://$http_host$escaped_request_uri";
        auth.sign_in = Some(Template::parse(text, None).unwrap());
    });
    let answer = setup.get("/a%20b?status=401&set=set-cookie:csrf=1&c=%26");
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        "https://a.com/start?rd=http://a.com%2Fa%2520b%3Fstatus%3D401%26set%3Dset-cookie%3Acsrf%3D1%26c%3D%2526"
    );
    assert_eq!(answer.header("set-cookie"), "csrf=1");
    assert_eq!(answer.body.len(), 0);
    assert_eq!(
        setup.get("/?status=403").status,
        403,
        "signing in would not help"
    );
    assert_eq!(setup.backend.hits(), 0);
}

#[test]
fn cookies_of_the_authenticator_reach_the_client() {
    // The backend answers with that status too, after a yes.
    let target = |auth: &mut ExternalAuth| {
        auth.target = Template::parse("/?set=set-cookie:session=2", None).unwrap()
    };
    let sent = |setup: &Setup, query: &str| {
        let answer = setup.get(query);
        let all = answer.headers.get_all(header::SET_COOKIE).iter();
        let all: Vec<String> = all.map(|v| v.to_str().unwrap().to_owned()).collect();
        (answer.status.as_u16(), all)
    };
    let setup = Setup::new(target);
    let both = (200, vec!["own=1".to_owned(), "session=2".to_owned()]);
    assert_eq!(sent(&setup, "/?set=set-cookie:own=1"), both);
    assert_eq!(sent(&setup, "/?status=404"), (404, vec![]));
    let setup = Setup::new(|auth| {
        target(auth);
        auth.cookies = AuthCookies::Always;
    });
    assert_eq!(
        sent(&setup, "/?status=404"),
        (404, vec!["session=2".to_owned()])
    );
    let setup = Setup::new(|auth| auth.cookies = AuthCookies::Always);
    let no = (401, vec!["gone=1".to_owned()]);
    assert_eq!(sent(&setup, "/?status=401&set=set-cookie:gone=1"), no);
}

#[test]
fn the_filter_of_gateway_api_sends_what_it_must_and_copies_everything() {
    let setup = Setup::new(|auth| {
        *auth = ExternalAuth {
            method: None,
            host: None,
            target: Template::prefixed("/verify", Variable::RequestUri),
            sent: Some(vec![HeaderName::from_static("x-tenant")]),
            only_200: true,
            copied: None,
            cookies: AuthCookies::Denials,
            ..auth.clone()
        };
    });
    let call = setup.call("DELETE", "/page?set=x-user:jane&set=x-role:admin");
    let call = call
        .header("x-tenant", "t")
        .header("x-secret", "s")
        .header("authorization", "Bearer x");
    let told = call
        .header("x-role", "root")
        .send_blocking()
        .unwrap()
        .json();
    assert_eq!(
        (&told["headers"]["x-user"][0], &told["headers"]["x-role"][0]),
        (&"jane".into(), &"admin".into())
    );
    let asked = setup.authenticator.seen().pop().unwrap();
    assert_eq!(
        (asked.method, asked.host.as_str()),
        (Method::DELETE, "a.com")
    );
    assert_eq!(
        asked.target,
        "/verify/page?set=x-user:jane&set=x-role:admin"
    );
    assert_eq!(asked.headers["x-tenant"], "t");
    assert_eq!(asked.headers["authorization"], "Bearer x");
    assert!(!asked.headers.contains_key("x-secret"));
    assert_eq!(setup.get("/?status=204").status, 500, "only 200 is a yes");
}

#[test]
fn addresses_and_preflights_come_first() {
    let (backend, authenticator) = (Echo::start("a"), Echo::start("auth"));
    let proxy = start(|_| ());
    let cors = Phase::Cors(Cors {
        origins: vec![OriginMatch::Any],
        credentials: false,
        literal_star: false,
        every_answer: false,
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        expose: Allowed::Nothing,
        max_age: 5,
    });
    let asked = || Phase::ExternalAuth(Arc::new(auth()));
    serve(
        &proxy,
        guarded(&backend, authenticator.address(), vec![cors, asked()]).ir(),
    );
    let preflight = Call::new(http(&proxy), "OPTIONS", "http://a.com/")
        .header("origin", "http://b.com")
        .header("access-control-request-method", "GET");
    assert!(preflight.send_blocking().unwrap().status.is_success());
    let nobody = Phase::Addresses(ClientAddresses {
        allow: vec![],
        deny: vec!["127.0.0.0/8".parse().unwrap()],
    });
    assert_eq!(authenticator.hits(), 0);
    let denied =
        Call::get(http(&proxy), "http://a.com/?status=403").header("origin", "http://b.com");
    let denied = denied.send_blocking().unwrap();
    assert_eq!(
        (
            denied.status.as_u16(),
            denied.header("access-control-allow-origin")
        ),
        (403, "*")
    );
    serve(
        &proxy,
        guarded(&backend, authenticator.address(), vec![nobody, asked()]).ir(),
    );
    let denied = Call::get(http(&proxy), "http://a.com/")
        .send_blocking()
        .unwrap();
    assert_eq!((denied.status.as_u16(), authenticator.hits()), (403, 1));
}

#[test]
fn connections_to_the_authenticator_may_end_at_any_time() {
    let backend = Echo::start("a");
    let authenticator = Echo::builder().close_idle_after(1).start("auth");
    let proxy = start(|config| config.workers = 1);
    let filters = vec![Phase::ExternalAuth(Arc::new(auth()))];
    serve(
        &proxy,
        guarded(&backend, authenticator.address(), filters).ir(),
    );
    for at in 0..50 {
        let answer = Call::get(http(&proxy), "http://a.com/")
            .send_blocking()
            .unwrap();
        assert_eq!(answer.status, 200, "request {at}: {answer:?}");
    }
}

/// A listener with these authenticators; whoever is `jane` meets backend `b`.
fn filtered(backends: [&Echo; 2], authenticators: [&Echo; 2], admission: Admission) -> ir::Ir {
    let mut jane = route("/", vec![], Action::Forward(forward("b")));
    jane.matches.headers = vec![HeaderMatch {
        name: HeaderName::from_static("x-user"),
        value: ValueMatch::Exact("jane".into()),
    }];
    let filters = vec![Phase::ExternalAuth(Arc::new(auth()))];
    let config = Config1 {
        routes: vec![
            jane,
            route("/", vec![], Action::Forward(forward("a"))),
            route("/twice", filters, Action::Forward(forward("a"))),
        ],
        clusters: vec![
            cluster("a", &[backends[0].address()]),
            cluster("b", &[backends[1].address()]),
            cluster("auth", &[authenticators[0].address()]),
            cluster("second", &[authenticators[1].address()]),
        ],
    };
    let mut ir = config.ir();
    for port in ir.ports.values_mut() {
        Arc::make_mut(&mut port.listeners[0]).admission = admission.clone();
    }
    ir
}

/// GEP-5224: route matching sees the request as the filters leave it, each filter is asked once and in order, a no of
/// one keeps the others from being asked, and requests that no route is for are asked about too.
#[test]
fn filters_of_a_listener_come_before_routes() {
    let (a, b) = (Echo::start("a"), Echo::start("b"));
    let (first, second) = (Echo::start("first"), Echo::start("second"));
    let proxy = start(|_| ());
    let other = ExternalAuth {
        cluster: ClusterKey("second".into()),
        target: Template::parse("/second?status=$arg_second", None).unwrap(),
        copied: Some(Vec::new()),
        ..auth()
    };
    let asked = [auth(), other].map(Arc::new);
    let ir = filtered([&a, &b], [&first, &second], Admission::Ask(asked.into()));
    serve(&proxy, ir);
    let call = |target: &str| Call::get(http(&proxy), &format!("http://a.com{target}"));
    for http2 in [false, true] {
        let get = |target: &str| {
            let call = call(target).header("x-user", "jane").body("hello");
            let call = if http2 { call.http2() } else { call };
            call.send_blocking().unwrap()
        };
        let hits = (first.hits(), second.hits());
        let told = get("/?second=200&set=x-user:jane").json();
        assert_eq!(
            (&told["backend"], &told["bodyBytes"]),
            (&"b".into(), &5.into())
        );
        assert_eq!(
            get("/?second=200").backend(),
            "a",
            "nobody can claim to be jane"
        );
        assert_eq!((first.hits(), second.hits()), (hits.0 + 2, hits.1 + 2));
        assert_eq!(get("/?second=403").status, 403);
        let hits = (first.hits(), second.hits(), a.hits() + b.hits());
        assert_eq!(get("/?status=401&second=200").status, 401);
        assert_eq!(
            get("/?status=503&second=200").status,
            500,
            "neither yes nor no"
        );
        let now = (first.hits(), second.hits(), a.hits() + b.hits());
        assert_eq!(now, (hits.0 + 2, hits.1, hits.2), "a no ends it");
        assert_eq!(get("/twice?second=200").backend(), "a");
        assert_eq!(first.hits(), now.0 + 2, "the rule asks for itself");
    }
}

#[test]
fn a_listener_that_cannot_ask_answers_nobody() {
    let (a, first) = (Echo::start("a"), Echo::start("first"));
    let proxy = start(|_| ());
    let status = |target: &str| {
        let call = Call::get(http(&proxy), &format!("http://a.com{target}"));
        let answer = call.send_blocking().unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (answer.status.as_u16(), text)
    };
    serve(
        &proxy,
        filtered([&a, &a], [&first, &first], Admission::Closed),
    );
    assert_eq!(status("/"), (500, "invalid_rule".to_owned()));
    let nowhere = ExternalAuth {
        cluster: ClusterKey("nowhere".into()),
        ..auth()
    };
    let ask = Admission::Ask(vec![Arc::new(nowhere)]);
    serve(&proxy, filtered([&a, &a], [&first, &first], ask));
    assert_eq!(status("/").0, 503);
    assert_eq!((a.hits(), first.hits()), (0, 0));
    // The next configuration lets everybody in again.
    serve(
        &proxy,
        filtered([&a, &a], [&first, &first], Admission::Open),
    );
    assert_eq!(status("/").0, 200);
}

#[test]
fn a_request_that_its_listener_asks_about_is_told_once() {
    let (a, first) = (Echo::start("a"), Echo::start("first"));
    let logged = Logged::new();
    let proxy = start_with(|_| (), &logged.telemetry);
    let ask = Admission::Ask(vec![Arc::new(auth())]);
    serve(&proxy, filtered([&a, &a], [&first, &first], ask));
    for (path, status) in [("/yes", 200), ("/no", 403)] {
        let call = Call::get(http(&proxy), &format!("http://a.com{path}?status={status}"));
        assert_eq!(call.send_blocking().unwrap().status, status);
    }
    assert_eq!(logged.outcomes("/yes"), [(200, String::new())]);
    assert_eq!(logged.outcomes("/no"), [(403, "auth_denied".to_owned())]);
}
