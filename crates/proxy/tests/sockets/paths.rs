//! Paths that are read as one where a listener or a host says so: no spelling of a path passes by the rule of that
//! path.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use ir::{
    Action, BasicAuth, ClientAddresses, EscapedSlashes, HostPattern, HostSettings, Ir,
    PasswordHash, PathMatch, PathRewrite, Paths, Pattern, Redacted, Redirect, RedirectPath,
    Rewrite, Underscores, Users,
};
use proxy::Proxy;
use serde_json::Value;
use testkit::{
    call::{Call, raw},
    echo::Backend as Echo,
};

use crate::{
    logged::Logged,
    support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with},
};

/// Ways to say `/PATH/x`, `/PATH` or `/PATH/` to whom slashes in a row are one and `%2F` is a slash.
const FORMS: &[&str] = &[
    "/PATH/x",
    "//PATH",
    "///PATH//x",
    "/.//PATH",
    "/./PATH",
    "/%2e/PATH",
    "/%2fPATH",
    "/%2F%2f/PATH/x",
    "/PATH%2fx",
    "/PATH%2F",
    "/PATH//",
    "/PATH/.//x",
    "/x/../PATH",
    "/x/..//PATH",
    "/x//../PATH",
    "/x/%2e%2e/PATH",
    "/x/.%2E/PATH/x",
    "/x/..%2fPATH",
    "/x%2f../PATH",
    "/x%2F..%2FPATH%2fx",
    "/x/%2e%2e%2f/PATH",
    "/x/y/..%2f..%2fPATH",
    "/..%2fPATH",
    "/PATH/x;y=1",
    "/PATH/..;/x",
    "/PATH/x?to=//../y",
    "/PATH/%252e%252e/x",
    "/PATH/x%252f..",
    "http://a.com//PATH",
    "http://a.com/x/..%2FPATH",
];

/// What is something else to nginx as well.
const OTHERS: &[&str] = &[
    "/x/PATH",
    "/PATH.",
    "/PATHx",
    "/PATH;x",
    "/PATH%3f",
    "/PATH%20",
    "/..%252fPATH",
    "/%252fPATH",
    "/PATH/../x",
    "/PATH%2f..%2fx",
    "/PATH//..//x",
];

const MERGED: Paths = Paths {
    merge_slashes: true,
    escaped_slashes: EscapedSlashes::Decode,
    decoded: false,
};

/// An open rule for everything, and three for those who may.
fn guarded(echo: &Echo) -> Config1 {
    let users = Users::new(vec![(
        "jane".into(),
        PasswordHash::parse("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=").unwrap(),
    )]);
    let users = Phase::BasicAuth(Arc::new(BasicAuth {
        challenge: BasicAuth::challenge("test").unwrap(),
        source: "Secret/test/users".into(),
        users: Redacted::new(users.unwrap()),
        kept_back: false,
    }));
    let nobody = Phase::Addresses(ClientAddresses {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        deny: vec![],
    });
    let to = || Action::Forward(forward("a"));
    let mut regex = route("/hidden", vec![nobody.clone()], to());
    regex.matches.path = PathMatch::Regex(Pattern::full_path("(?i:/hidden).*").unwrap());
    Config1 {
        routes: vec![
            route("/admin", vec![nobody], to()),
            route("/secret", vec![users], to()),
            regex,
            route("/", vec![], to()),
        ],
        clusters: vec![cluster("a", &[echo.address()])],
    }
}

/// The listener's paths, and what is said for the host.
fn with(config: &Config1, paths: Paths, host: HostSettings) -> Ir {
    let mut ir = config.ir();
    for port in ir.ports.values_mut() {
        for listener in &mut port.listeners {
            let listener = Arc::make_mut(listener);
            listener.paths = paths;
            for entry in &mut listener.hosts {
                Arc::make_mut(entry).settings = host;
            }
        }
    }
    ir
}

fn decoded() -> HostSettings {
    HostSettings {
        paths: Paths::DECODED,
        ..HostSettings::default()
    }
}

/// Sends a GET and gives status and body.
fn get(proxy: &Proxy, target: &str) -> (String, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n");
    let bytes = raw(http(proxy), request.as_bytes(), Duration::from_secs(5));
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

/// The target that the backend saw.
fn seen(proxy: &Proxy, target: &str) -> String {
    let (status, body) = get(proxy, target);
    assert_eq!(status, "200", "{target}: {body}");
    let told: Value = serde_json::from_str(&body).unwrap();
    let query = told["query"].as_str().filter(|query| !query.is_empty());
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{}{query}", told["path"].as_str().unwrap())
}

#[test]
fn no_spelling_of_a_path_passes_by_its_gates() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let config = guarded(&echo);
    for (listener, host) in [
        (Paths::default(), decoded()),
        (MERGED, HostSettings::default()),
        (MERGED, decoded()),
    ] {
        serve(&proxy, with(&config, listener, host));
        let hits = echo.hits();
        for (path, refused) in [("admin", "403"), ("secret", "401"), ("hidden", "403")] {
            for form in FORMS {
                let target = form.replace("PATH", path);
                assert_eq!(get(&proxy, &target).0, refused, "{target} {listener:?}");
            }
        }
        assert_eq!(echo.hits(), hits);
        for form in OTHERS {
            let target = form.replace("PATH", "admin");
            assert_eq!(get(&proxy, &target).0, "200", "{target} {listener:?}");
        }
    }
}

#[test]
fn http2_has_no_other_spelling() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, with(&guarded(&echo), Paths::default(), decoded()));
    for form in FORMS.iter().filter(|form| form.starts_with('/')) {
        let url = format!("http://a.com{}", form.replace("PATH", "admin"));
        let answer = Call::get(http(&proxy), &url).http2().send_blocking();
        assert_eq!(answer.unwrap().status, StatusCode::FORBIDDEN, "{url}");
    }
    assert_eq!(echo.hits(), 0);
}

#[test]
fn without_a_word_slashes_are_what_they_are() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, guarded(&echo).ir());
    for (target, status) in [
        ("/admin", "403"),
        ("/x/%2e%2e/admin", "403"),
        ("//admin", "200"),
        ("/admin%2fx", "200"),
        ("/x/..%2fadmin", "200"),
    ] {
        assert_eq!(get(&proxy, target).0, status, "{target}");
    }
}

#[test]
fn what_no_rule_rewrites_goes_on_as_it_came() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, with(&guarded(&echo), Paths::default(), decoded()));
    for (sent, forwarded) in [
        ("/a", "/a"),
        ("//a//b/", "//a//b/"),
        ("/group%2fproject?q=%2f//", "/group%2fproject?q=%2f//"),
        ("/%7Ejane/%24x/caf%c3%a9", "/%7Ejane/%24x/caf%c3%a9"),
        ("/a|b", "/a|b"),
        ("http://a.com//a%2Fb", "//a%2Fb"),
        // Others may resolve these in another way: they get what rules were matched with.
        ("/a/../b", "/b"),
        ("/a//../b", "/b"),
        ("/admin%2f..%2fx%2Fy//z", "/x/y/z"),
        ("/admin/..%2fx", "/x"),
        ("/x%2f.", "/x/"),
    ] {
        assert_eq!(seen(&proxy, sent), forwarded, "{sent}");
    }
}

#[test]
fn for_a_listener_the_backend_sees_what_rules_are_matched_with() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let config = guarded(&echo);
    for (paths, sent, forwarded) in [
        (MERGED, "//a%2fb//c?q=//", "/a/b/c?q=//"),
        (MERGED, "/%24x", "/%24x"),
        (
            Paths {
                merge_slashes: false,
                ..MERGED
            },
            "//a%2f/b",
            "//a//b",
        ),
        (
            Paths {
                escaped_slashes: EscapedSlashes::Keep,
                ..MERGED
            },
            "//a%2fb//c",
            "/a%2Fb/c",
        ),
    ] {
        serve(&proxy, with(&config, paths, HostSettings::default()));
        assert_eq!(seen(&proxy, sent), forwarded, "{sent} {paths:?}");
    }
    let refuse = Paths {
        escaped_slashes: EscapedSlashes::Refuse,
        ..Paths::default()
    };
    // The listener is stricter than the host.
    for host in [HostSettings::default(), decoded()] {
        serve(&proxy, with(&config, refuse, host));
        let hits = echo.hits();
        for target in ["/a%2fb", "/a%2F", "/x%2f..%2fadmin"] {
            assert_eq!(get(&proxy, target), ("400".into(), "bad_request".into()));
        }
        assert_eq!(echo.hits(), hits);
        assert_eq!(seen(&proxy, "/a%252fb"), "/a%252fb");
    }
}

#[test]
fn rewrites_and_redirects_begin_with_the_merged_path() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let rewrite = |path: PathRewrite| {
        vec![Phase::Rewrite(Rewrite {
            host: None,
            path: Some(path),
        })]
    };
    let prefix = PathRewrite::Prefix {
        matched: "/a".into(),
        replacement: "/z".into(),
    };
    let expression = PathRewrite::Regex {
        pattern: Pattern::full_path("/b(/|$)(.*)").unwrap(),
        replacement: "/$2".into(),
    };
    let redirect = |path: Option<RedirectPath>| {
        Action::Redirect(Redirect {
            status: StatusCode::FOUND,
            https: None,
            host: Some("b.com".into()),
            port: None,
            path,
        })
    };
    let other = RedirectPath::Prefix {
        matched: "/d".into(),
        replacement: "/z".into(),
    };
    let to = || Action::Forward(forward("a"));
    let config = Config1 {
        routes: vec![
            route("/a", rewrite(prefix), to()),
            route("/b", rewrite(expression), to()),
            route("/c", vec![], redirect(None)),
            route("/d", vec![], redirect(Some(other))),
        ],
        clusters: vec![cluster("a", &[echo.address()])],
    };
    serve(&proxy, with(&config, Paths::default(), decoded()));
    for (sent, forwarded) in [
        ("//a//x%2fy", "/z/x/y"),
        ("/a%2f..%2fa/x?q=//", "/z/x?q=//"),
        ("//b%2fadmin//x", "/admin/x"),
        ("/b/%24x%20y", "/$x%20y"),
        ("/b", "/"),
    ] {
        assert_eq!(seen(&proxy, sent), forwarded, "{sent}");
    }
    for (sent, location) in [
        ("//c%2fx//y?q=1", "http://b.com//c%2fx//y?q=1"),
        ("/x/../c/%24", "http://b.com/c/$"),
        ("//d//x%2fy", "http://b.com/z/x/y"),
    ] {
        let url = format!("http://a.com{sent}");
        let answer = Call::get(http(&proxy), &url).send_blocking().unwrap();
        assert_eq!(answer.header("location"), location, "{sent}");
    }
}

#[test]
fn the_log_has_the_path_that_rules_are_matched_with() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|_| (), &logged.telemetry);
    serve(&proxy, with(&guarded(&echo), Paths::default(), decoded()));
    assert_eq!(get(&proxy, "//x%2fy").0, "200");
    assert_eq!(get(&proxy, "//admin%2fy").0, "403");
    testkit::wait::eventually("both are logged", || logged.lines().len() == 2);
    assert_eq!(logged.outcomes("/x/y"), [(200, String::new())]);
    assert_eq!(logged.outcomes("/admin/y"), [(403, "forbidden".to_owned())]);
}

/// Names of hosts, with what is said for each, and the routes that each has.
fn hosts(config: &Config1, hosts: &[(&str, HostSettings, &[&str])]) -> Ir {
    let mut ir = config.ir();
    for port in ir.ports.values_mut() {
        for listener in &mut port.listeners {
            let listener = Arc::make_mut(listener);
            let entry = |(name, settings, paths): &(&str, HostSettings, &[&str])| {
                let mut entry = ir::VirtualHost::clone(&listener.hosts[0]);
                entry.host = HostPattern::parse(name).unwrap();
                entry.settings = *settings;
                let prefixes: Vec<_> = paths.iter().map(|path| PathMatch::prefix(path)).collect();
                entry
                    .routes
                    .retain(|route| prefixes.contains(&route.matches.path));
                entry
                    .routes
                    .iter_mut()
                    .for_each(|route| route.host_fallthrough = true);
                Arc::new(entry)
            };
            listener.hosts = hosts.iter().map(entry).collect();
        }
    }
    ir
}

fn ask(proxy: &Proxy, host: &str, path: &str) -> u16 {
    let url = format!("http://{host}{path}");
    let call = Call::get(http(proxy), &url).header("my_own", "1");
    let answer = call.send_blocking().unwrap();
    answer.status.as_u16()
}

#[test]
fn a_host_that_is_alone_asks_no_wider_one() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = guarded(&echo);
    config.routes = ["/", "/only"]
        .map(|path| route(path, vec![], Action::Forward(forward("a"))))
        .into();
    let alone = HostSettings {
        isolated: true,
        one_label: true,
        ..HostSettings::default()
    };
    let ir = hosts(
        &config,
        &[
            ("a.example.com", alone, &["/only"]),
            ("b.example.com", HostSettings::default(), &["/only"]),
            ("*.example.com", alone, &["/only"]),
            ("*", HostSettings::default(), &["/"]),
        ],
    );
    serve(&proxy, ir);
    for (host, path, status) in [
        ("a.example.com", "/only/x", 200),
        ("a.example.com", "/other", 404),
        ("b.example.com", "/only/x", 200),
        ("b.example.com", "/other", 200),
        ("c.example.com", "/only/x", 200),
        ("c.example.com", "/other", 404),
        // Not of one label more: an unknown host.
        ("c.d.example.com", "/only", 200),
        ("c.d.example.com", "/other", 200),
        ("example.com", "/other", 200),
        ("elsewhere.org", "/other", 200),
    ] {
        assert_eq!(ask(&proxy, host, path), status, "{host}{path}");
    }
}

#[test]
fn settings_of_a_host_hold_for_that_host() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let mut config = guarded(&echo);
    config.routes = vec![route("/", vec![], Action::Forward(forward("a")))];
    let fields = |underscores| HostSettings {
        underscores,
        ..HostSettings::default()
    };
    let ir = hosts(
        &config,
        &[
            ("drop.com", fields(Underscores::Drop), &["/"]),
            ("refuse.com", fields(Underscores::Refuse), &["/"]),
            ("*", HostSettings::default(), &["/"]),
        ],
    );
    serve(&proxy, ir);
    for (host, status, passes) in [
        ("drop.com", 200, false),
        ("refuse.com", 400, false),
        ("other.com", 200, true),
    ] {
        let hits = echo.hits();
        assert_eq!(ask(&proxy, host, "/"), status, "{host}");
        let reached = echo.hits() > hits;
        assert_eq!(reached, status == 200, "{host}");
        if let Some(seen) = echo.seen().last().filter(|_| reached) {
            assert_eq!(seen.headers.contains_key("my_own"), passes, "{host}");
        }
    }
}
