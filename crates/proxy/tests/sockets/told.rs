//! What backends are told of clients, and clients of the gateway: forwarded fields, passwords, https, origins,
//! statuses, pages.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, StatusCode};
use ir::{
    Action, Allowed, AuthCookies, BasicAuth, ClientAddresses, ClusterKey, Cors, ExternalAuth,
    Fallback, ForwardedField, HeaderMods, OriginMatch, OwnStatuses, PasswordHash, Reason, Redacted,
    Redirect, StrictTransport, Target, Template, Told, Users, Variable,
};
use proxy::Proxy;
use serde_json::{Value, json};
use testkit::{
    call::{Answer, Call},
    certs::{Ca, Issued},
    echo::{Backend as Echo, unused_address},
};

use crate::support::{Config1, Phase, cluster, forward, http, https, route, serve, simple, start};

fn everything() -> Phase {
    Phase::Forwarded(ForwardedField::ALL.into_iter().collect())
}

fn to_a(phases: Vec<Phase>) -> ir::Route {
    route("/", phases, Action::Forward(forward("a")))
}

fn config(echo: &Echo, phases: Vec<Phase>) -> Config1 {
    let mut config = simple(echo.address());
    config.routes = vec![to_a(phases)];
    config
}

/// Headers that the backend saw.
fn seen(call: Call) -> Value {
    let answer = call.send_blocking().unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["headers"].clone()
}

const CLAIMS: [(&str, &str); 8] = [
    ("x-real-ip", "6.6.6.6"),
    ("x_real_ip", "6.6.6.6"),
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-scheme", "gopher"),
    ("x-scheme", "gopher"),
    ("x.scheme", "gopher"),
    ("x-original-forwarded-for", "7.7.7.7"),
];

fn claiming(call: Call) -> Call {
    CLAIMS
        .iter()
        .fold(call, |call, (name, value)| call.header(name, value))
}

#[test]
fn a_backend_is_told_who_asks_and_how() {
    let echo = Echo::start("a");
    let ca = Ca::new("test");
    let issued = ca.issue(&["a.com"]);
    let proxy = start(|_| ());
    for secure in [false, true] {
        let certificate = secure.then_some(&issued);
        let config = config(&echo, vec![everything()]);
        serve(&proxy, config.listeners(vec![("*", certificate)]));
        for http2 in [false, true] {
            let protocol = if http2 { "h2" } else { "http/1.1" };
            let call = match secure {
                false => Call::get(http(&proxy), "http://a.com/"),
                true => Call::get(https(&proxy), "https://a.com/")
                    .tls(Arc::new(ca.client_config(&[protocol])), "a.com"),
            };
            let call = if http2 { call.http2() } else { call };
            let told = seen(claiming(call));
            let (scheme, port) = if secure {
                ("https", "443")
            } else {
                ("http", "80")
            };
            for (name, value) in [
                ("x-real-ip", "127.0.0.1"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-host", "a.com"),
                ("x-forwarded-proto", scheme),
                ("x-forwarded-scheme", scheme),
                ("x-scheme", scheme),
                ("x-forwarded-port", port),
                ("x-original-forwarded-for", "6.6.6.6"),
            ] {
                assert_eq!(told[name], json!([value]), "{name} {secure} {http2}");
            }
            assert!(told["x_real_ip"].is_null() && told["x.scheme"].is_null());
            assert_eq!(told["x-request-id"][0].as_str().unwrap().len(), 32);
        }
    }
}

#[test]
fn a_trusted_proxy_may_say_it_and_a_rule_may_change_it() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let scheme = HeaderMods {
        set: vec![(
            HeaderName::from_static("x-scheme"),
            HeaderValue::from_static("ours"),
        )],
        ..HeaderMods::default()
    };
    let phases = vec![everything(), Phase::Request(scheme)];
    serve(&proxy, config(&echo, phases).ir());
    let told = seen(
        Call::get(http(&proxy), "http://a.com/")
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-port", "8443")
            .header("x-request-id", "theirs")
            .header("x-real-ip", "6.6.6.6"),
    );
    for (name, value) in [
        ("x-real-ip", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-original-forwarded-for", "203.0.113.7"),
        ("x-forwarded-scheme", "https"),
        ("x-forwarded-port", "8443"),
        ("x-request-id", "theirs"),
        ("x-scheme", "ours"),
    ] {
        assert_eq!(told[name], json!([value]), "{name}");
    }
}

#[test]
fn a_rule_that_says_nothing_tells_nothing_more() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, config(&echo, vec![]).ir());
    let told = seen(Call::get(http(&proxy), "http://a.com/").header("x-real-ip", "6.6.6.6"));
    for field in ForwardedField::ALL {
        let own = matches!(
            field,
            ForwardedField::ClientAlone | ForwardedField::HostAlone
        );
        assert_eq!(told[field.name().as_str()].is_null(), !own, "{field:?}");
    }
}

fn users(kept_back: bool) -> Phase {
    // `secret`.
    let hash = PasswordHash::parse("$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0").unwrap();
    Phase::BasicAuth(Arc::new(BasicAuth {
        challenge: BasicAuth::challenge("r").unwrap(),
        source: "Secret/test/users".into(),
        users: Redacted::new(Users::new(vec![("john".into(), hash)]).unwrap()),
        kept_back,
    }))
}

fn authenticator(copied: &[&'static str]) -> Phase {
    Phase::ExternalAuth(Arc::new(ExternalAuth {
        cluster: ClusterKey("auth".into()),
        method: None,
        host: None,
        target: Template::prefixed("/?set=authorization:theirs", Variable::Query),
        sent: None,
        only_200: false,
        copied: Some(copied.iter().map(|n| HeaderName::from_static(n)).collect()),
        sign_in: None,
        back_to: Template::prefixed("", Variable::RequestUri),
        cookies: AuthCookies::Denials,
        timeout: std::time::Duration::from_secs(5),
    }))
}

#[test]
fn a_password_stays_here_where_the_rule_wants_that() {
    let (echo, auth) = (Echo::start("a"), Echo::start("auth"));
    let proxy = start(|_| ());
    let login = format!("Basic {}", STANDARD.encode("john:secret"));
    let get = || Call::get(http(&proxy), "http://a.com/").header("authorization", &login);
    for (phases, expected) in [
        (vec![users(false)], json!([login])),
        (vec![users(true)], Value::Null),
        (vec![users(true), authenticator(&[])], Value::Null),
        (
            vec![users(true), authenticator(&["authorization"])],
            json!(["theirs"]),
        ),
        (vec![users(false), authenticator(&[])], json!([login])),
    ] {
        let mut config = config(&echo, phases);
        config.clusters.push(cluster("auth", &[auth.address()]));
        serve(&proxy, config.ir());
        assert_eq!(seen(get())["authorization"], expected);
    }
    let asked = auth.seen();
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert_eq!(
            request.headers["authorization"],
            login.as_str(),
            "who asks decides"
        );
    }
}

#[test]
fn an_authenticator_knows_the_request_by_the_same_identity() {
    let (echo, auth) = (Echo::start("a"), Echo::start("auth"));
    let proxy = start(|_| ());
    let mut config = config(&echo, vec![everything(), authenticator(&[])]);
    config.clusters.push(cluster("auth", &[auth.address()]));
    serve(&proxy, config.ir());
    let told = seen(Call::get(http(&proxy), "http://a.com/"));
    let identity = auth.seen()[0].headers["x-request-id"].clone();
    assert_eq!(told["x-request-id"], json!([identity.to_str().unwrap()]));
}

fn strict() -> Phase {
    Phase::StrictTransport(StrictTransport::new(31_536_000, true, false))
}

const STRICT: &str = "max-age=31536000; includeSubDomains";

struct Secure {
    ca: Ca,
    issued: Issued,
    proxy: Proxy,
}

impl Secure {
    fn start() -> Self {
        let ca = Ca::new("test");
        let issued = ca.issue(&["a.com"]);
        let proxy = start(|_| ());
        Self { ca, issued, proxy }
    }

    fn serve(&self, config: &Config1) {
        serve(
            &self.proxy,
            config.listeners(vec![("*", Some(&self.issued))]),
        );
    }

    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let tls = Arc::new(self.ca.client_config(&["http/1.1"]));
        let url = format!("https://a.com{target}");
        let call = Call::new(https(&self.proxy), method, &url).tls(tls, "a.com");
        let add = |call: Call, (name, value): &(&str, &str)| call.header(name, value);
        fields.iter().fold(call, add).send_blocking().unwrap()
    }
}

#[test]
fn every_answer_over_tls_has_clients_keep_to_https() {
    let echo = Echo::start("a");
    let secure = Secure::start();
    let set = HeaderMods {
        set: vec![(
            HeaderName::from_static("strict-transport-security"),
            HeaderValue::from_static("max-age=1"),
        )],
        ..HeaderMods::default()
    };
    let nobody = Phase::Addresses(ClientAddresses {
        allow: vec![],
        deny: vec!["0.0.0.0/0".parse().unwrap()],
    });
    let redirect = Action::Redirect(Redirect {
        status: StatusCode::FOUND,
        https: None,
        host: Some("b.com".into()),
        port: None,
        path: None,
    });
    let down = Action::Forward(forward("down"));
    let broken = Action::Respond {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        reason: Reason::InvalidRule,
    };
    let to_a = || Action::Forward(forward("a"));
    for (phases, action, status, said) in [
        (vec![strict()], to_a(), 200, STRICT),
        (vec![strict(), nobody], to_a(), 403, STRICT),
        (vec![strict(), users(true)], to_a(), 401, STRICT),
        (vec![strict()], redirect, 302, STRICT),
        (vec![strict()], down, 503, STRICT),
        (vec![strict()], broken, 500, STRICT),
        (
            vec![strict(), Phase::Response(set)],
            to_a(),
            200,
            "max-age=1",
        ),
        (vec![], to_a(), 200, "backend"),
    ] {
        let mut config = config(&echo, vec![]);
        config.routes = vec![route("/", phases, action)];
        config.clusters.push(cluster("down", &[unused_address()]));
        secure.serve(&config);
        let answer = secure.ask("GET", "/?set=strict-transport-security:backend", &[]);
        assert_eq!(answer.status, status);
        let all = answer.headers.get_all("strict-transport-security");
        assert_eq!(all.iter().collect::<Vec<_>>(), [said], "{status}");
    }
    secure.serve(&config(&echo, vec![strict(), Phase::Cors(literal())]));
    let preflight = secure.ask("OPTIONS", "/", &[]);
    assert_eq!(
        (
            preflight.status.as_u16(),
            preflight.header("strict-transport-security")
        ),
        (204, STRICT)
    );
}

#[test]
fn plain_http_says_nothing_about_https() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    serve(&proxy, config(&echo, vec![strict()]).ir());
    for proto in ["http", "https"] {
        let call = Call::get(http(&proxy), "http://a.com/").header("x-forwarded-proto", proto);
        let answer = call.send_blocking().unwrap();
        assert_eq!(answer.header("strict-transport-security"), "", "{proto}");
    }
}

fn literal() -> Cors {
    Cors {
        origins: vec![OriginMatch::Any],
        credentials: true,
        literal_star: true,
        every_answer: true,
        methods: Allowed::These(HeaderValue::from_static("GET, PUT")),
        headers: Allowed::These(HeaderValue::from_static("DNT,Range")),
        expose: Allowed::Nothing,
        max_age: 1_728_000,
    }
}

#[test]
fn a_star_is_said_to_everybody_where_the_rule_wants_it() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let serve_with = |cors: Cors| serve(&proxy, config(&echo, vec![Phase::Cors(cors)]).ir());
    let fields = |answer: &Answer| {
        ["origin", "credentials", "methods", "headers"].map(|name| {
            answer
                .header(&format!("access-control-allow-{name}"))
                .to_owned()
        })
    };
    let ask = |method: &str, origin: Option<&str>, target: &str| {
        let call = Call::new(http(&proxy), method, &format!("http://a.com{target}"));
        let call = match origin {
            Some(origin) => call.header("origin", origin),
            None => call,
        };
        call.send_blocking().unwrap()
    };
    serve_with(literal());
    for (method, status) in [("GET", 200), ("OPTIONS", 204)] {
        for origin in [None, Some("https://evil.example")] {
            let answer = ask(method, origin, "/?set=access-control-allow-origin:x");
            assert_eq!(answer.status, status);
            assert_eq!(fields(&answer), ["*", "true", "GET, PUT", "DNT,Range"]);
            assert_eq!(answer.header("access-control-max-age"), "1728000");
            assert_eq!(answer.header("vary"), "");
        }
    }
    assert_eq!(echo.hits(), 2, "no OPTIONS came through");
    serve_with(Cors {
        origins: vec![OriginMatch::Exact("https://good.com".into())],
        ..literal()
    });
    let good = ask("GET", Some("https://good.com"), "/");
    assert_eq!(
        fields(&good),
        ["https://good.com", "true", "GET, PUT", "DNT,Range"]
    );
    for method in ["GET", "OPTIONS"] {
        let hits = echo.hits();
        let other = ask(method, Some("https://evil.example"), "/?set=x-own:1");
        assert_eq!(fields(&other), ["", "", "", ""], "{method}");
        assert_eq!((other.header("x-own"), echo.hits()), ("1", hits + 1));
    }
}

#[test]
fn a_rule_says_with_which_status_it_fails() {
    let (echo, page) = (Echo::start("a"), Echo::start("page"));
    let proxy = start(|_| ());
    let own = || {
        Phase::Statuses(OwnStatuses {
            connect_failed: Some(StatusCode::BAD_GATEWAY),
            invalid_backend: Some(StatusCode::SERVICE_UNAVAILABLE),
            ..OwnStatuses::default()
        })
    };
    let mut missing = forward("a");
    missing.backends[0].target = Target::Invalid(Reason::InvalidBackend);
    let mut quarantined = forward("a");
    quarantined.backends[0].target = Target::Invalid(Reason::InvalidRule);
    let mut paged = forward("down");
    paged.fallback = Some(Fallback {
        clusters: vec![ClusterKey("page".into())],
        statuses: vec![StatusCode::BAD_GATEWAY],
        told: None,
        refusals: false,
    });
    for (action, by_default, with_own) in [
        (forward("down"), 503, 502),
        (missing, 500, 503),
        (quarantined, 500, 500),
        (forward("empty"), 503, 503),
        // 502 has a page, 503 has none.
        (paged, 503, 200),
    ] {
        for (phases, expected) in [(vec![], by_default), (vec![own()], with_own)] {
            let mut config = config(&echo, vec![]);
            config.routes = vec![route("/", phases, Action::Forward(action.clone()))];
            config.clusters.push(cluster("down", &[unused_address()]));
            config.clusters.push(cluster("empty", &[]));
            config.clusters.push(cluster("page", &[page.address()]));
            serve(&proxy, config.ir());
            let call = Call::get(http(&proxy), "http://a.com/");
            assert_eq!(call.send_blocking().unwrap().status, expected);
        }
    }
    assert_eq!(page.seen()[0].headers["x-code"], "502");
}

#[test]
fn a_rule_says_with_which_status_it_refuses() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let own = Phase::Statuses(OwnStatuses {
        no_backend: Some(StatusCode::NOT_FOUND),
        invalid_rule: Some(StatusCode::SERVICE_UNAVAILABLE),
        forbidden: Some(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS),
        ..OwnStatuses::default()
    });
    let respond = |reason| Action::Respond {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        reason,
    };
    let denied = || {
        Phase::Addresses(ClientAddresses {
            allow: vec![],
            deny: vec!["127.0.0.0/8".parse().unwrap()],
        })
    };
    let mut quarantined = forward("a");
    quarantined.backends[0].target = Target::Invalid(Reason::InvalidRule);
    for (action, closed, by_default, with_own) in [
        (respond(Reason::NoBackend), false, 500, 404),
        (respond(Reason::InvalidRule), false, 500, 503),
        (Action::Forward(quarantined), false, 500, 503),
        (Action::Forward(forward("a")), true, 403, 451),
        (respond(Reason::NoBackend), true, 403, 451),
    ] {
        for (own, expected) in [(None, by_default), (Some(own.clone()), with_own)] {
            let mut phases: Vec<_> = own.into_iter().collect();
            phases.extend(closed.then(denied));
            let mut config = config(&echo, vec![]);
            config.routes = vec![route("/", phases, action.clone())];
            serve(&proxy, config.ir());
            let answer = Call::get(http(&proxy), "http://a.com/").send_blocking();
            let answer = answer.unwrap();
            assert_eq!((answer.status.as_u16(), answer.backend()), (expected, ""));
            assert_eq!(answer.header("retry-after"), "", "it lasts");
        }
    }
}

#[test]
fn the_host_is_the_one_that_a_trusted_proxy_says() {
    let echo = Echo::start("a");
    let trusting = start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]);
    let plain = start(|_| ());
    let alone = [ForwardedField::HostAlone].into_iter().collect();
    for (proxy, told, phases, host, forwarded) in [
        (
            &trusting,
            Some("Pub.test, in.test"),
            true,
            "pub.test",
            "pub.test",
        ),
        (
            &trusting,
            Some("pub.test:8443"),
            true,
            "pub.test:8443",
            "pub.test:8443",
        ),
        (&trusting, Some("no host!"), true, "a.com", "a.com"),
        (&trusting, Some(""), true, "a.com", "a.com"),
        (&trusting, None, true, "a.com", "a.com"),
        (&trusting, Some("pub.test"), false, "a.com", "pub.test"),
        (&plain, Some("pub.test"), true, "a.com", "a.com"),
    ] {
        let phases: Vec<_> = phases
            .then_some(Phase::Forwarded(alone))
            .into_iter()
            .collect();
        serve(proxy, config(&echo, phases).ir());
        let call = Call::get(http(proxy), "http://a.com/");
        let call = match told {
            Some(told) => call.header("x-forwarded-host", told),
            None => call,
        };
        let answer = call.send_blocking().unwrap();
        let seen = &echo.seen()[echo.hits() - 1];
        assert_eq!(&*seen.host, host, "{told:?}");
        assert_eq!(
            answer.json()["headers"]["x-forwarded-host"],
            json!([forwarded])
        );
    }
}

#[test]
fn who_stands_in_is_told_why() {
    let (echo, base, page) = (Echo::start("a"), Echo::start("base"), Echo::start("page"));
    let proxy = start(|_| ());
    let told = Told(vec![
        (
            HeaderName::from_static("x-namespace"),
            HeaderValue::from_static("shop"),
        ),
        (
            HeaderName::from_static("x-service-name"),
            HeaderValue::from_static("cart"),
        ),
    ]);
    let ask = |main: &str, others: &[&str], told: Option<&Told>, target: &str| {
        let mut action = forward(main);
        action.fallback = Some(Fallback {
            clusters: others.iter().map(|n| ClusterKey((*n).into())).collect(),
            statuses: vec![StatusCode::NOT_FOUND],
            told: told.cloned().map(Box::new),
            refusals: false,
        });
        let mut config = simple(echo.address());
        config.routes = vec![route("/", vec![], Action::Forward(action))];
        config.clusters.push(cluster("empty", &[]));
        config.clusters.push(cluster("base", &[base.address()]));
        config.clusters.push(cluster("page", &[page.address()]));
        serve(&proxy, config.ir());
        let call = Call::new(http(&proxy), "POST", &format!("http://a.com{target}"))
            .header("accept", "text/html")
            .header("x-code", "999")
            .header("x_namespace", "evil")
            .body("hello");
        let answer = call.send_blocking().unwrap();
        let headers = answer.json()["headers"].clone();
        let seen = ["x-code", "x-format", "x-namespace", "x-service-name"]
            .map(|name| headers[name][0].as_str().unwrap_or("").to_owned());
        (
            answer.backend().to_owned(),
            seen,
            headers["x_namespace"].is_null(),
        )
    };
    let why = |code: &str| [code, "text/html", "shop", "cart"].map(str::to_owned);
    let unsaid = ["999", "", "", ""].map(str::to_owned);
    let all = ["base", "page"];
    // No endpoints: the request as it is.
    let (who, seen, cleaned) = ask("empty", &["page"], Some(&told), "/x");
    assert_eq!((&*who, seen, cleaned), ("page", why("503"), true));
    // Another status: a page.
    let (who, seen, _) = ask("a", &["page"], Some(&told), "/?status=404");
    assert_eq!((&*who, seen), ("page", why("404")));
    // Whoever comes before the last is a backend as any other, and so is the rule's own.
    let (who, seen, _) = ask("empty", &all, Some(&told), "/x");
    assert_eq!((&*who, seen), ("base", unsaid.clone()));
    let (who, seen, _) = ask("page", &["page"], Some(&told), "/x");
    assert_eq!((&*who, seen), ("page", unsaid.clone()));
    let (who, seen, _) = ask("empty", &["page"], None, "/x");
    assert_eq!((&*who, seen), ("page", unsaid));
}
