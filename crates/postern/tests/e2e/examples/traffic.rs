//! Rewrite, redirect, retry, timeout, matching.

use http::StatusCode;
use testkit::call::Answer;

use crate::support::Served;

/// Host and path as the backend saw them.
fn seen(answer: &Answer) -> String {
    let told = answer.json();
    format!(
        "{}{}",
        told["host"].as_str().unwrap_or_default(),
        told["path"].as_str().unwrap_or_default()
    )
}

/// "Rewrite the request example.com/test to example.com/dev before forwarding to the backend service"
pub(crate) fn rewrite_path_exact(served: &Served<'_>) {
    assert_eq!(
        seen(&served.get("http://example.com/test")),
        "example.com/dev"
    );
    assert_eq!(
        seen(&served.get("http://example.com/test?a=b&c")),
        "example.com/dev?a=b&c"
    );
    for other in [
        "http://example.com/test/",
        "http://example.com/tests",
        "http://example.com/",
        "http://example.org/test",
    ] {
        assert_eq!(served.get(other).status, StatusCode::NOT_FOUND, "{other}");
    }
}

/// "Remove the path prefix /v1 from the request example.com/v1/app before forwarding to the backend service"
pub(crate) fn rewrite_path_remove_prefix(served: &Served<'_>) {
    assert_eq!(
        seen(&served.get("http://example.com/v1/app")),
        "example.com/app"
    );
    assert_eq!(
        seen(&served.get("http://example.com/v1/app/b?c=d")),
        "example.com/app/b?c=d"
    );
    assert_eq!(seen(&served.get("http://example.com/v1/")), "example.com/");
    assert_eq!(seen(&served.get("http://example.com/v1")), "example.com/");
    not_below_v1(served);
}

/// "Change the path prefix /v1 to /v2 for the request example.com/v1/app before forwarding to the backend service"
pub(crate) fn rewrite_path_change_prefix(served: &Served<'_>) {
    assert_eq!(
        seen(&served.get("http://example.com/v1/app")),
        "example.com/v2/app"
    );
    assert_eq!(
        seen(&served.get("http://example.com/v1")),
        "example.com/v2/"
    );
    assert_eq!(
        seen(&served.get("http://example.com/v1/v1/b")),
        "example.com/v2/v1/b"
    );
    not_below_v1(served);
}

fn not_below_v1(served: &Served<'_>) {
    for other in [
        "http://example.com/v1x",
        "http://example.com/",
        "http://example.com/app/v1",
        "http://www.example.com/v1/app",
    ] {
        assert_eq!(served.get(other).status, StatusCode::NOT_FOUND, "{other}");
    }
}

/// "Rewrite the request example.com/test to test.com/test before forwarding to the backend service"
pub(crate) fn rewrite_host(served: &Served<'_>) {
    let answer = served.get("http://example.com/test");
    assert_eq!(seen(&answer), "test.com/test");
    assert_eq!(
        answer.json()["headers"]["x-forwarded-host"][0],
        "example.com"
    );
    for other in ["http://test.com/test", "http://example.com/other"] {
        assert_eq!(served.get(other).status, StatusCode::NOT_FOUND, "{other}");
    }
}

fn redirected(served: &Served<'_>, status: u16, from_to: &[(&str, &str)]) {
    for (from, to) in from_to {
        let answer = served.get(from);
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (status, *to),
            "{from}"
        );
    }
    assert_eq!(
        served.get("http://example.com/other").status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        served.get("http://example.org/test").status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(served.hits("demo-service"), 0);
}

/// "Redirect the request http://example.com/test to https://example.com/test."
pub(crate) fn redirect_https(served: &Served<'_>) {
    let query = (
        "http://example.com/test?a=b",
        "https://example.com/test?a=b",
    );
    redirected(
        served,
        308,
        &[
            ("http://example.com/test", "https://example.com/test"),
            query,
        ],
    );
}

/// "Permanently redirect the request http://example.com/test to http://example.com/app." "default is 301"
pub(crate) fn redirect_permanent(served: &Served<'_>) {
    redirected(
        served,
        301,
        &[("http://example.com/test", "http://example.com/app")],
    );
}

/// "higress.io/permanent-redirect-code: HTTP status code for permanent redirect"; a target without path keeps the path.
pub(crate) fn redirect_permanent_code(served: &Served<'_>) {
    redirected(
        served,
        308,
        &[
            ("http://example.com/test", "https://example.org/test"),
            (
                "http://example.com/test?a=b",
                "https://example.org/test?a=b",
            ),
        ],
    );
}

/// "Temporarily redirect the request http://example.com/test to http://example.com/app."
pub(crate) fn redirect_temporary(served: &Served<'_>) {
    redirected(
        served,
        302,
        &[("http://example.com/test", "http://example.com/app")],
    );
}

/// "Set the maximum number of retries for the example/test request to 2, retry timeout to 5s, retry only when the
/// response status code is 502, and enable non-idempotent retries."
pub(crate) fn retry(served: &Served<'_>) {
    let attempts = |method: &str, query: &str| {
        let before = served.hits("demo-service");
        let answer = served
            .call(method, &format!("http://example.com/test?{query}"))
            .body("x")
            .send_blocking()
            .unwrap();
        (answer.status.as_u16(), served.hits("demo-service") - before)
    };
    assert_eq!(attempts("GET", "status=502&fail=2&id=get"), (200, 3));
    assert_eq!(
        attempts("POST", "status=502&fail=2&id=post"),
        (200, 3),
        "non_idempotent"
    );
    assert_eq!(
        attempts("GET", "status=502"),
        (502, 3),
        "two retries and no more"
    );
    assert_eq!(attempts("GET", "status=503"), (503, 1), "only 502");
    assert_eq!(attempts("GET", "status=500"), (500, 1), "only 502");
    assert_eq!(attempts("GET", ""), (200, 1));
    assert_eq!(
        attempts("GET", "delay=5500"),
        (504, 1),
        "five seconds for an attempt"
    );
}

/// "Set timeout to 5s"
pub(crate) fn timeout(served: &Served<'_>) {
    assert_eq!(
        served.get("http://example.com/test?delay=4000").status,
        StatusCode::OK
    );
    assert_eq!(
        served.get("http://example.com/test?delay=6000").status,
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(
        served.get("http://example.com/other").status,
        StatusCode::NOT_FOUND
    );
}

/// Reading, writing, and what a header or a query parameter says.
pub(crate) fn match_requests(served: &Served<'_>) {
    const URL: &str = "http://example.com/test";
    let who = |method: &str, url: &str| {
        let answer = served.call(method, url).send_blocking().unwrap();
        (answer.status.as_u16(), answer.backend().to_owned())
    };
    let found = |name: &str| (200, format!("demo-service-{name}"));
    assert_eq!(who("GET", URL), found("read"));
    assert_eq!(who("HEAD", URL), found("read"));
    assert_eq!(who("POST", URL), found("write"));
    assert_eq!(who("PUT", URL), found("write"));
    assert_eq!(who("DELETE", URL).0, 404);
    assert_eq!(
        served.who(URL, Some(("stage", "gray"))),
        "demo-service-gray"
    );
    assert_eq!(
        served.who(URL, Some(("stage", "Gray"))),
        "demo-service-read"
    );
    assert_eq!(who("POST", "http://example.com/test?v=2"), found("gray"));
    assert_eq!(who("PUT", "http://example.com/test?v=2"), found("write"));
}
