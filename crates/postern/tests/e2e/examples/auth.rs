//! Who has to say who they are.

use crate::support::{self, Example, Served, secret, text};

/// What no output may have in it: the stored password of the example.
const STORED: &str = "OQiyCxlgf";

/// User name and password: 401 without them, the backend with them.
pub(crate) fn basic(served: &Served<'_>) {
    const URL: &str = "http://example.com/test";
    let ask = |login: Option<&str>| {
        let call = served.call("GET", URL);
        let call = match login {
            Some(login) => call.header("authorization", login),
            None => call,
        };
        call.send_blocking().unwrap()
    };
    for login in [
        None,
        Some("Basic am9objp3cm9uZw=="),
        Some("Basic x"),
        Some("Bearer x"),
    ] {
        let answer = ask(login);
        assert_eq!(answer.status.as_u16(), 401, "{login:?}");
        assert_eq!(
            answer.header("www-authenticate"),
            "Basic realm=\"The office\""
        );
    }
    assert_eq!(served.hits("demo-service"), 0);
    let answer = ask(Some("Basic am9objpzZWNyZXQ="));
    assert_eq!(
        (answer.status.as_u16(), answer.backend()),
        (200, "demo-service")
    );
    for page in ["/config", "/status", "/metrics"] {
        let page = served.gateway.page(page);
        let text = String::from_utf8_lossy(&page.body);
        assert!(!text.contains(STORED), "{text}");
    }
    let lines = format!("{:?}", served.gateway.lines());
    assert!(
        !lines.contains(STORED) && !lines.contains("am9objp"),
        "{lines}"
    );
}

/// Somebody else decides: yes with a header for the backend, no, "sign in first", and nothing at all.
pub(crate) fn external(served: &Served<'_>) {
    let url = |query: &str| format!("http://example.com/page?{query}");
    let ask = |query: &str| {
        let call = served.call("GET", &url(query));
        let call = call.header("x-user", "root").header("x-groups", "all");
        call.header("x_user", "root")
            .header("cookie", "session=1")
            .send_blocking()
            .unwrap()
    };
    let passed = ask("a=b");
    assert_eq!(
        (passed.status.as_u16(), passed.backend()),
        (200, "demo-service")
    );
    let headers = &passed.json()["headers"];
    assert_eq!(headers["x-user"], serde_json::json!(["jane"]));
    assert!(
        headers["x-groups"].is_null() && headers["x_user"].is_null(),
        "{headers}"
    );
    let asked = served.backends["auth-service"].seen().pop().unwrap();
    assert_eq!(asked.target, "/check?set=x-user:jane&a=b");
    assert_eq!(asked.host, "auth-service.default.svc.cluster.local");
    for (name, value) in [
        ("x-original-url", "http://example.com/page?a=b"),
        ("x-original-method", "GET"),
        ("x-auth-request-redirect", "/page?a=b"),
        ("x-forwarded-host", "example.com"),
        ("cookie", "session=1"),
    ] {
        assert_eq!(asked.headers[name], value, "{name}");
    }
    let hits = served.hits("demo-service");
    let sent_away = ask("status=401");
    assert_eq!(sent_away.status.as_u16(), 302);
    let start = "https://login.example.com/start?rd=http://example.com%2Fpage%3Fstatus%3D401";
    assert_eq!(sent_away.header("location"), start);
    assert_eq!(ask("status=403").status.as_u16(), 403);
    for status in [404, 500, 302, 429] {
        let answer = ask(&format!("status={status}"));
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (500, &b"auth_failed"[..]),
            "{status}"
        );
    }
    assert_eq!(
        served.hits("demo-service"),
        hits,
        "nobody else came through"
    );
}

#[test]
fn no_command_shows_what_is_stored() {
    let folder = support::examples().join("auth-basic");
    let folder = folder.to_str().unwrap();
    for command in [
        &["check", "-f", folder][..],
        &["explain", "-f", folder, "GET", "http://example.com/"],
        &["convert", "-f", folder],
    ] {
        let output = support::postern(command);
        let told = text(&output.stdout) + &text(&output.stderr);
        assert!(
            !told.is_empty() && !told.contains(STORED),
            "{command:?}: {told}"
        );
    }
}

/// A Secret that cannot be used lets nobody in, and says so; the next good one lets its users in.
#[test]
fn a_broken_secret_closes_the_rule_until_it_is_whole() {
    let example = Example::new("auth-basic");
    let served = Served::new(example.folder.path(), &example.backends);
    let ask = |login: &str| {
        let call = served.call("GET", "http://example.com/");
        let call = call.header("authorization", login).send_blocking();
        call.unwrap().status.as_u16()
    };
    let change = |text: &str| {
        let generation = served.gateway.generation();
        example.write("users.yaml", text);
        served.gateway.wait_beyond(generation);
    };
    let (secret_word, other_word) = ("Basic am9objpzZWNyZXQ=", "Basic am9objpvdGhlcg==");
    assert_eq!([ask(secret_word), ask(other_word)], [200, 401]);
    change(&secret(
        "users",
        &[("auth", "john:plain text that is no hash")],
    ));
    assert_eq!([ask(secret_word), ask(other_word)], [500, 500]);
    let status = served.gateway.status().to_string();
    assert!(
        status.contains("cannot log in") && !status.contains("plain text"),
        "{status}"
    );
    change(&secret(
        "others",
        &[("auth", "john:{SHA}0JQeaNqPOBUf+Gph/Fn3xc+fyqI=")],
    ));
    assert_eq!(
        [ask(secret_word), ask(other_word)],
        [500, 500],
        "there is no such Secret any more"
    );
    change(&secret(
        "users",
        &[("auth", "john:{SHA}0JQeaNqPOBUf+Gph/Fn3xc+fyqI=")],
    ));
    assert_eq!([ask(secret_word), ask(other_word)], [401, 200]);
}

/// Nobody is asked for a password over plain HTTP who is sent to HTTPS anyway.
#[test]
fn https_comes_before_passwords() {
    let example = Example::new("auth-basic");
    let ingress = std::fs::read_to_string(example.folder.path().join("ingress.yaml")).unwrap();
    let line = "    nginx.ingress.kubernetes.io/ssl-redirect: \"true\"\n  name: demo\n";
    example.write("ingress.yaml", &ingress.replacen("  name: demo\n", line, 1));
    let served = Served::new(example.folder.path(), &example.backends);
    let answer = served.get("http://example.com/x");
    assert_eq!(answer.status.as_u16(), 308);
    assert_eq!(answer.header("location"), "https://example.com/x");
    assert_eq!(answer.header("www-authenticate"), "");
}
