//! CORS.

use http::StatusCode;

use crate::support::Served;

/// "Cross-origin requests are restricted to only come from the example.com domain, HTTP methods can only be GET and
/// POST, allowed request header is X-Foo-Bar, and credentials are not allowed."
pub(crate) fn seed(served: &Served<'_>) {
    const URL: &str = "http://api.example.net/hello";
    let preflight = |origin: &str| {
        let call = served.call("OPTIONS", URL).header("origin", origin);
        call.header("access-control-request-method", "POST")
            .send_blocking()
            .unwrap()
    };
    for origin in ["http://example.com", "https://example.com"] {
        let answer = preflight(origin);
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(
            answer.header("access-control-allow-headers").to_lowercase(),
            "x-foo-bar"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert_eq!(answer.header("access-control-max-age"), "1728000");
    }
    assert_eq!(
        served.hits("demo-service"),
        0,
        "the gateway answers preflights itself"
    );
    for origin in [
        "https://example.org",
        "https://www.example.com",
        "https://example.com.evil.org",
        "null",
    ] {
        let answer = preflight(origin);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    let with_origin = |origin: &str| {
        served
            .call("GET", URL)
            .header("origin", origin)
            .send_blocking()
            .unwrap()
    };
    let allowed = with_origin("https://example.com");
    assert_eq!(allowed.backend(), "demo-service");
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://example.com"
    );
    let other = with_origin("https://example.org");
    assert_eq!(
        (other.status, other.header("access-control-allow-origin")),
        (StatusCode::OK, "")
    );
    assert_eq!(served.get(URL).header("access-control-allow-origin"), "");
}

/// "Whether to allow credentials", "Response headers allowed to be exposed to the browser", "Maximum cache time for
/// preflight results, in seconds", and a wildcard domain.
pub(crate) fn credentials(served: &Served<'_>) {
    const URL: &str = "http://example.com/test";
    let ask = |method: &str, origin: &str| {
        let call = served.call(method, URL).header("origin", origin);
        let call = call.header("access-control-request-method", "DELETE");
        call.send_blocking().unwrap()
    };
    for origin in ["https://shop.example.com", "http://a.b.example.com"] {
        let preflight = ask("OPTIONS", origin);
        assert_eq!(served.hits("demo-service"), 0, "{origin}");
        assert!(preflight.status.is_success(), "{preflight:?}");
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-max-age", "600"),
            // The default.
            (
                "access-control-allow-methods",
                "GET, PUT, POST, DELETE, PATCH, OPTIONS",
            ),
        ] {
            assert_eq!(preflight.header(name), value, "{origin} {name}");
        }
    }
    let actual = ask("GET", "https://shop.example.com");
    assert_eq!(actual.backend(), "demo-service");
    for (name, value) in [
        ("access-control-allow-origin", "https://shop.example.com"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "X-Request-Id, X-Total"),
    ] {
        assert_eq!(actual.header(name), value, "{name}");
    }
    for origin in [
        "https://example.com",
        "https://shop.example.com.evil.org",
        "https://shopexample.com",
    ] {
        for method in ["OPTIONS", "GET"] {
            let answer = ask(method, origin);
            let told: Vec<_> = answer
                .headers
                .keys()
                .filter(|name| name.as_str().starts_with("access-control-"))
                .collect();
            assert!(told.is_empty(), "{method} {origin}: {told:?}");
        }
    }
}
