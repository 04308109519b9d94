//! User name and password: who gets in, in which order things are asked, and that slow hashes hold up nobody else.

use std::{num::NonZeroU32, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use ir::{
    Action, Allowed, BasicAuth, ClientAddresses, Cors, OriginMatch, PasswordHash, RateLimit,
    RateUnit, Redacted, Redirect, Users,
};
use proxy::{Proxy, Telemetry};
use testkit::{
    call::{Answer, Call},
    echo::Backend as Echo,
    wait::eventually,
};

use crate::support::{Config1, Phase, cluster, forward, http, route, serve, start, start_with};

/// `secret`.
const STORED: &str = "$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0";

fn users(hash: &str) -> Phase {
    let john = ("john".into(), PasswordHash::parse(hash).unwrap());
    Phase::BasicAuth(Arc::new(BasicAuth {
        challenge: BasicAuth::challenge("The \"office\"").unwrap(),
        source: "Secret/test/users".into(),
        users: Redacted::new(Users::new(vec![john]).unwrap()),
        kept_back: false,
    }))
}

/// One route with these filters, and `/open` without any.
fn guarded(echo: &Echo, filters: Vec<Phase>) -> Config1 {
    Config1 {
        routes: vec![
            route("/", filters, Action::Forward(forward("a"))),
            route("/open", vec![], Action::Forward(forward("a"))),
        ],
        clusters: vec![cluster("a", &[echo.address()])],
    }
}

fn call(proxy: &Proxy, login: Option<&str>) -> Call {
    let call = Call::get(http(proxy), "http://a.com/");
    match login {
        None => call,
        Some(login) => call.header(
            "authorization",
            &format!("Basic {}", STANDARD.encode(login)),
        ),
    }
}

fn ask(proxy: &Proxy, login: Option<&str>) -> Answer {
    call(proxy, login).send_blocking().unwrap()
}

#[test]
fn only_users_get_in_and_the_backend_is_told_who_they_are() {
    let echo = Echo::start("a");
    let telemetry = Telemetry::default();
    let proxy = start_with(|_| (), &telemetry);
    serve(&proxy, guarded(&echo, vec![users(STORED)]).ir());
    for login in [
        None,
        Some("john:wrong"),
        Some("jane:secret"),
        Some("john:"),
        Some(":"),
    ] {
        for http2 in [false, true] {
            let call = call(&proxy, login);
            let answer = if http2 { call.http2() } else { call }
                .send_blocking()
                .unwrap();
            assert_eq!(answer.status, 401, "{login:?}");
            assert_eq!(
                answer.header("www-authenticate"),
                r#"Basic realm="The \"office\"""#
            );
            assert_eq!(answer.body, "unauthorized");
        }
    }
    assert_eq!(echo.hits(), 0, "nobody came through");
    for http2 in [false, true, false] {
        let call = call(&proxy, Some("john:secret")).body("hello");
        let answer = if http2 { call.http2() } else { call }
            .send_blocking()
            .unwrap();
        assert_eq!(answer.status, 200);
        let told = answer.json();
        assert_eq!(
            told["headers"]["authorization"][0],
            "Basic am9objpzZWNyZXQ="
        );
        assert_eq!(told["bodyBytes"], 5, "the body waited");
    }
    let both = call(&proxy, Some("john:secret")).header("authorization", "Bearer x");
    assert_eq!(
        both.send_blocking().unwrap().status,
        401,
        "one header, not two"
    );
    eventually("denials are counted", || {
        telemetry
            .metrics
            .encode()
            .contains("reason=\"unauthorized\"")
    });
}

#[test]
fn addresses_preflights_and_rate_limits_come_before_passwords() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let cors = Phase::Cors(Cors {
        origins: vec![OriginMatch::Exact("http://b.com".into())],
        credentials: true,
        literal_star: false,
        every_answer: false,
        methods: Allowed::Everything,
        headers: Allowed::Everything,
        expose: Allowed::Nothing,
        max_age: 5,
    });
    serve(&proxy, guarded(&echo, vec![cors, users(STORED)]).ir());
    let preflight = Call::new(http(&proxy), "OPTIONS", "http://a.com/")
        .header("origin", "http://b.com")
        .header("access-control-request-method", "GET");
    let answer = preflight.send_blocking().unwrap();
    assert!(
        answer.status.is_success(),
        "browsers send preflights without credentials"
    );
    let denied = call(&proxy, None)
        .header("origin", "http://b.com")
        .send_blocking();
    let denied = denied.unwrap();
    assert_eq!(denied.status, 401);
    assert_eq!(
        denied.header("access-control-allow-origin"),
        "http://b.com",
        "the script may read that it was denied"
    );
    // An OPTIONS that is no preflight is a request as any other.
    let options = Call::new(http(&proxy), "OPTIONS", "http://a.com/");
    assert_eq!(options.send_blocking().unwrap().status, 401);

    let nobody = Phase::Addresses(ClientAddresses {
        allow: vec![],
        deny: vec!["127.0.0.0/8".parse().unwrap()],
    });
    serve(&proxy, guarded(&echo, vec![nobody, users(STORED)]).ir());
    assert_eq!(ask(&proxy, Some("john:secret")).status, 403);
    assert_eq!(
        ask(&proxy, None).status,
        403,
        "no password is asked of whom it would not help"
    );

    let few = Phase::Rate(RateLimit {
        requests: NonZeroU32::MIN,
        unit: RateUnit::Hour,
        burst: NonZeroU32::new(3).unwrap(),
        per_client: false,
        exempt: vec![],
    });
    serve(&proxy, guarded(&echo, vec![few, users(STORED)]).ir());
    let statuses: Vec<u16> = (0..5)
        .map(|_| ask(&proxy, Some("john:guess")).status.as_u16())
        .collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429], "guesses are counted");
    assert_eq!(echo.hits(), 0);
}

#[test]
fn a_guarded_redirect_tells_strangers_nothing() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    let redirect = Action::Redirect(Redirect {
        status: http::StatusCode::FOUND,
        https: None,
        host: Some("secret.example.com".into()),
        port: None,
        path: None,
    });
    let mut config = guarded(&echo, vec![]);
    config.routes = vec![route("/", vec![users(STORED)], redirect)];
    serve(&proxy, config.ir());
    let denied = ask(&proxy, None);
    assert_eq!(
        (denied.status.as_u16(), denied.header("location")),
        (401, "")
    );
    let passed = ask(&proxy, Some("john:secret"));
    assert_eq!(passed.header("location"), "http://secret.example.com/");
}

#[test]
fn a_slow_hash_holds_up_nobody_else() {
    let echo = Echo::start("a");
    let proxy = start(|config| config.workers = 1);
    let slow = "$2b$11$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    serve(&proxy, guarded(&echo, vec![users(slow)]).ir());
    let login = std::thread::spawn({
        let call = call(&proxy, Some("john:secret"));
        move || call.send_blocking()
    });
    let mut meanwhile = 0;
    while !login.is_finished() {
        let open = Call::get(http(&proxy), "http://a.com/open").send_blocking();
        assert_eq!(open.unwrap().status, 200);
        meanwhile += 1;
    }
    assert!(
        meanwhile > 5,
        "the worker served {meanwhile} others meanwhile"
    );
    // The hash is that of cost 5, so it was computed in vain.
    assert_eq!(login.join().unwrap().unwrap().status, 401);
}

#[test]
fn a_changed_password_is_valid_at_once_and_the_old_one_no_longer() {
    let echo = Echo::start("a");
    let proxy = start(|_| ());
    serve(&proxy, guarded(&echo, vec![users(STORED)]).ir());
    assert_eq!(ask(&proxy, Some("john:secret")).status, 200);
    serve(
        &proxy,
        guarded(&echo, vec![users("{SHA}0JQeaNqPOBUf+Gph/Fn3xc+fyqI=")]).ir(),
    );
    assert_eq!(ask(&proxy, Some("john:secret")).status, 401);
    assert_eq!(ask(&proxy, Some("john:other")).status, 200);
}
