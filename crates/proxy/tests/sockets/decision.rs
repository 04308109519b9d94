//! What traffic gets is what `explain` says: one decision, asked twice, over random routes, gates and requests.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use ir::{
    Action, Allowed, AnswerHeaders, Backend, BasicAuth, ClientAddresses, Composed, Cors,
    EscapedSlashes, ForwardedField, HeaderMatch, HeaderMods, HeaderTemplates, HostSettings,
    Location, OriginMatch, OwnStatuses, PasswordHash, PathMatch, PathRewrite, Paths, Reason,
    Redacted, Redirect, Rewrite, Route, Target, Template, Underscores, UrlChange, Users,
    ValueMatch,
};
use proptest::{prelude::*, test_runner::TestRunner};
use proxy::{Explainer, Outcome, Peer, Proxy, Question};
use testkit::{
    call::{Answer, Call},
    echo::Backend as Echo,
};

use crate::support::{Config1, HTTP, Phase, cluster, forward, http, route, serve, start};

/// `secret` as htpasswd has it with SHA-1, for the user `jane`.
const PASSWORD: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
const RIGHT: &str = "Basic amFuZTpzZWNyZXQ=";
const WRONG: &str = "Basic amFuZTp3cm9uZw==";

fn mods(name: &'static str, value: &'static str) -> HeaderMods {
    HeaderMods {
        set: vec![(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )],
        ..HeaderMods::default()
    }
}

/// Steps that make a value for each request.
fn composed() -> impl Strategy<Value = Phase> {
    let made = |name: &'static str, template: &str| {
        let template = Template::parse(template, None).unwrap();
        HeaderTemplates(vec![(HeaderName::from_static(name), template)])
    };
    let composed = Composed {
        path: Some(Template::path("/made$uri", None).unwrap()),
        query: Some(Template::query("for=$remote_addr", None).unwrap()),
        set: made("x-user", "$request_method $arg_q"),
        ..Composed::default()
    };
    // Only some requests have what is asked for.
    let host = Composed {
        host: Some(Template::host("$http_x_user", None).unwrap()),
        ..Composed::default()
    };
    let answers = AnswerHeaders {
        groups: None,
        set: made("x-answer", "$scheme $http_x_user"),
    };
    prop_oneof![
        Just(Phase::Composed(composed)),
        Just(Phase::Composed(host)),
        Just(Phase::Answers(answers)),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    let lists = |allow: &str, deny: &str| {
        let nets = |text: &str| {
            text.split_whitespace()
                .map(|net| net.parse().unwrap())
                .collect()
        };
        Phase::Addresses(ClientAddresses {
            allow: nets(allow),
            deny: nets(deny),
        })
    };
    let rewrite = |path: Option<PathRewrite>, host: Option<&'static str>| {
        Phase::Rewrite(Rewrite {
            host: host.map(|host| ir::HostRewrite(HeaderValue::from_static(host))),
            path,
        })
    };
    let users = Users::new(vec![(
        "jane".into(),
        PasswordHash::parse(PASSWORD).unwrap(),
    )]);
    let basic = BasicAuth {
        challenge: BasicAuth::challenge("test").unwrap(),
        source: "Secret/test/users".into(),
        users: Redacted::new(users.unwrap()),
        kept_back: false,
    };
    let kept_back = BasicAuth {
        kept_back: true,
        ..basic.clone()
    };
    let cors = Cors {
        origins: vec![OriginMatch::Exact("https://good.com".into())],
        credentials: true,
        literal_star: false,
        every_answer: false,
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        expose: Allowed::Nothing,
        max_age: 5,
    };
    let literal = Cors {
        origins: vec![OriginMatch::Any],
        literal_star: true,
        every_answer: true,
        ..cors.clone()
    };
    let statuses = OwnStatuses {
        connect_failed: None,
        invalid_backend: Some(StatusCode::SERVICE_UNAVAILABLE),
        no_backend: Some(StatusCode::NOT_FOUND),
        invalid_rule: Some(StatusCode::BAD_GATEWAY),
        forbidden: Some(StatusCode::SERVICE_UNAVAILABLE),
    };
    let prefix = PathRewrite::Prefix {
        matched: "/a".into(),
        replacement: "/z".into(),
    };
    prop_oneof![
        3 => composed(),
        1 => Just(lists("127.0.0.0/8", "")),
        1 => Just(lists("10.0.0.0/8", "")),
        1 => Just(lists("", "9.9.9.9/32")),
        1 => Just(Phase::BasicAuth(Arc::new(basic))),
        1 => Just(Phase::BasicAuth(Arc::new(kept_back))),
        1 => Just(Phase::Cors(cors)),
        1 => Just(Phase::Cors(literal)),
        1 => Just(Phase::Forwarded(ForwardedField::ALL.into_iter().collect())),
        1 => Just(Phase::Statuses(statuses)),
        1 => Just(Phase::Request(mods("x-user", "ours"))),
        1 => Just(Phase::Request(mods("x-forwarded-host", "set.com"))),
        1 => Just(Phase::Response(mods("x-answer", "ours"))),
        1 => Just(rewrite(Some(prefix), None)),
        1 => Just(rewrite(
            Some(PathRewrite::Full("/full".into())),
            Some("inner.com")
        )),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let own = |url: Option<UrlChange>, target: Target| {
        let mut forward = forward("a");
        forward.backends = vec![Backend {
            weight: std::num::NonZeroU32::MIN,
            target,
            request: vec![mods("x-backend-only", "1")],
            response: vec![mods("x-answer", "of-backend")],
            url: url.map(Box::new),
        }];
        Action::Forward(forward)
    };
    let to = |target: Target| own(None, target);
    let rewritten = UrlChange::Rewrite(Rewrite {
        host: Some(ir::HostRewrite(HeaderValue::from_static("backend.com"))),
        path: Some(PathRewrite::Prefix {
            matched: "/a".into(),
            replacement: "/backend".into(),
        }),
    });
    let sent_away = UrlChange::Redirect(Redirect {
        status: StatusCode::TEMPORARY_REDIRECT,
        https: None,
        host: Some("c.com".into()),
        port: Some(8443),
        path: None,
    });
    let redirect = |https: Option<bool>, host: Option<&str>| {
        Action::Redirect(Redirect {
            status: StatusCode::FOUND,
            https,
            host: host.map(Into::into),
            port: None,
            path: None,
        })
    };
    let location = |template: &str| {
        Action::Location(Box::new(Location {
            status: StatusCode::FOUND,
            groups: None,
            location: Template::location(template, None).unwrap(),
            keeps_query: false,
        }))
    };
    let key = |name: &str| Target::Cluster(ir::ClusterKey(name.into()));
    prop_oneof![
        4 => Just(to(key("a"))),
        2 => Just(own(Some(rewritten), key("a"))),
        1 => Just(own(Some(sent_away.clone()), key("empty"))),
        1 => Just(own(Some(sent_away), Target::Invalid(Reason::InvalidBackend))),
        1 => Just(to(key("empty"))),
        1 => Just(to(Target::Invalid(Reason::InvalidBackend))),
        1 => Just(redirect(Some(true), None)),
        1 => Just(redirect(None, Some("b.com"))),
        1 => Just(location("https://b.com$request_uri")),
        1 => Just(location("https://$http_x_user.b.com/")),
        1 => Just(Action::Respond { status: StatusCode::INTERNAL_SERVER_ERROR, reason: Reason::InvalidRule }),
    ]
}

fn one_route() -> impl Strategy<Value = Route> {
    let path = prop_oneof![Just("/"), Just("/a"), Just("/a/b"), Just("/%C3%A9")];
    let method =
        prop_oneof![3 => Just(None), 1 => Just(Some(Method::GET)), 1 => Just(Some(Method::PUT))];
    let header = prop::option::weighted(0.2, prop_oneof![Just("x-user"), Just("x-forwarded-for")]);
    let scheme = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let phases = prop::collection::vec(phase(), 0..4);
    (path, method, header, scheme, phases, action()).prop_map(
        |(path, method, header, scheme, phases, action)| {
            let mut made = route(path, phases, action);
            made.matches.method = method;
            made.https = scheme;
            made.matches.headers = header
                .map(|name| HeaderMatch {
                    name: HeaderName::from_static(name),
                    value: ValueMatch::Exact("root".into()),
                })
                .into_iter()
                .collect();
            made
        },
    )
}

/// What a listener, or a host, says before any route is asked.
fn settings() -> impl Strategy<Value = HostSettings> {
    let underscores = prop_oneof![
        Just(Underscores::Allow),
        Just(Underscores::Drop),
        Just(Underscores::Refuse),
    ];
    let escaped_slashes = prop_oneof![
        Just(EscapedSlashes::Keep),
        Just(EscapedSlashes::Decode),
        Just(EscapedSlashes::Refuse),
    ];
    let paths = (any::<bool>(), escaped_slashes, any::<bool>());
    (underscores, paths).prop_map(|(underscores, (merge_slashes, escaped_slashes, decoded))| {
        HostSettings {
            underscores,
            paths: Paths {
                merge_slashes,
                escaped_slashes,
                decoded,
            },
            ..HostSettings::default()
        }
    })
}

/// Method, target and fields.
type Asked = (Method, &'static str, Vec<(&'static str, &'static str)>);

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        4 => Just(Method::GET),
        1 => Just(Method::PUT),
        2 => Just(Method::OPTIONS),
        1 => Just(Method::TRACE),
    ];
    let target = prop_oneof![
        Just("/"),
        Just("/a"),
        Just("/a/../a/b?q=1"),
        Just("/%61/x"),
        Just("/%c3%a9"),
        Just("//a%2fb"),
        Just("/x//..%2Fa?q=//"),
        Just("/%2fa/%2e/b"),
        Just("/a%00"),
        Just("/none"),
    ];
    let field = prop_oneof![
        Just(("x-user", "root")),
        Just(("x_user", "root")),
        Just(("my_own", "1")),
        Just(("x-forwarded-for", "9.9.9.9")),
        Just(("x-forwarded-for", "root")),
        Just(("x-request-id", "mine")),
        Just(("x-real-ip", "root")),
        Just(("x_scheme", "root")),
        Just(("x-forwarded-proto", "https")),
        Just(("connection", "x-user")),
        Just(("origin", "https://good.com")),
        Just(("origin", "https://bad.com")),
        Just(("access-control-request-method", "PUT")),
        Just(("authorization", RIGHT)),
        Just(("authorization", WRONG)),
        Just(("postern-hops", "8")),
    ];
    (method, target, prop::collection::vec(field, 0..4))
}

struct Served {
    echo: Echo,
    plain: Proxy,
    trusting: Proxy,
}

impl Served {
    /// What traffic gets must be one of the ends that were foretold, and there is one.
    fn check(&self, config: &Config1, (all, own): (HostSettings, HostSettings), asked: &Asked) {
        let mut ir = config.ir();
        for port in ir.ports.values_mut() {
            for listener in &mut port.listeners {
                let listener = Arc::make_mut(listener);
                (listener.underscores, listener.paths) = (all.underscores, all.paths);
                for host in &mut listener.hosts {
                    Arc::make_mut(host).settings = own;
                }
            }
        }
        let ir = Arc::new(ir);
        for (proxy, trusted) in [
            (&self.plain, vec![]),
            (&self.trusting, vec!["127.0.0.0/8".parse().unwrap()]),
        ] {
            let swapped = proxy.swap(Arc::clone(&ir));
            assert!(swapped.bind_errors.is_empty());
            let head = head(asked);
            let explained = Explainer::new(Arc::clone(&ir)).ask(Question {
                port: HTTP,
                peer: Peer::new([127, 0, 0, 1].into(), false, &trusted),
                trusted: &trusted,
                head,
            });
            assert_eq!(explained.outcomes.len(), 1, "{explained:?}");
            let hits = self.echo.hits();
            let answer = call(proxy, asked).send_blocking().unwrap();
            let reached = self.echo.hits() > hits;
            agree(&explained.outcomes[0].1, &answer, reached, asked);
        }
    }
}

fn head((method, target, fields): &Asked) -> http::request::Parts {
    let mut request = http::Request::builder().method(method).uri(*target);
    request = request.header("host", "a.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn call(proxy: &Proxy, (method, target, fields): &Asked) -> Call {
    let url = format!("http://a.com{target}");
    let call = Call::new(http(proxy), method.as_str(), &url);
    let add = |call: Call, (name, value): &(&str, &str)| call.header(name, value);
    fields.iter().fold(call, add)
}

fn agree(outcome: &Outcome, answer: &Answer, reached: bool, asked: &Asked) {
    match outcome {
        Outcome::Answered {
            status,
            reason,
            headers,
        } => {
            assert!(!reached, "{asked:?}: {outcome:?}");
            assert_eq!(answer.status, *status, "{asked:?}: {outcome:?}");
            let own = matches!(*reason, "redirect" | "cors_preflight");
            let word = if own { "" } else { reason };
            assert_eq!(answer.body, word, "{asked:?}: {outcome:?}");
            for (name, value) in headers {
                assert!(
                    answer.headers.get_all(name).iter().any(|had| had == value),
                    "{asked:?}: {outcome:?}: {name}"
                );
            }
        }
        Outcome::Forwarded {
            method,
            host,
            target,
            headers,
            ..
        } => {
            assert!(reached, "{asked:?}: {outcome:?}: {answer:?}");
            let told = answer.json();
            assert_eq!(told["method"], method.as_str(), "{asked:?}");
            assert_eq!(told["path"], target.as_str(), "{asked:?}");
            assert_eq!(told["host"], host.to_str().unwrap(), "{asked:?}");
            let seen = told["headers"].as_object().unwrap();
            let mut names: Vec<_> = seen.keys().filter(|name| *name != "host").collect();
            let mut foretold: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
            names.sort();
            foretold.sort_unstable();
            assert_eq!(names, foretold, "{asked:?}");
            let made = |name: &HeaderName| {
                *name == ForwardedField::RequestId.name() && asked.2.iter().all(|(n, _)| n != name)
            };
            for name in headers.keys().filter(|name| !made(name)) {
                let values = headers.get_all(name).iter();
                let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
                assert_eq!(
                    seen[name.as_str()],
                    serde_json::json!(values),
                    "{asked:?}: {name}"
                );
            }
        }
    }
}

#[test]
fn traffic_gets_what_explain_says() {
    let echo = Echo::start("a");
    let address = echo.address();
    let served = Served {
        echo,
        plain: start(|_| ()),
        trusting: start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]),
    };
    let config = Config1 {
        routes: vec![],
        clusters: vec![cluster("a", &[address])],
    };
    serve(&served.plain, config.ir());
    let case = (
        prop::collection::vec(one_route(), 1..5),
        (settings(), settings()),
        asked(),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    });
    let checked = runner.run(&case, |(routes, settings, asked)| {
        let mut routes = routes;
        // A rule is known by its key; two of one path have different ones.
        for (at, route) in routes.iter_mut().enumerate() {
            let rule = Arc::make_mut(&mut route.rule);
            rule.key = ir::RuleKey(format!("{at}").into());
            if let PathMatch::Prefix(path) = &route.matches.path
                && path.len() % 2 == at % 2
            {
                route.matches.path = PathMatch::Exact(if path.is_empty() {
                    "/".into()
                } else {
                    path.clone()
                });
            }
        }
        let config = Config1 {
            routes,
            clusters: vec![cluster("a", &[address]), cluster("empty", &[])],
        };
        served.check(&config, settings, &asked);
        Ok(())
    });
    checked.unwrap();
}
