//! Gateway API objects without any Ingress.

use http::StatusCode;

use crate::support::Served;

pub(crate) fn basic(served: &Served<'_>) {
    let canary = Some(("x-stage", "canary"));
    assert_eq!(
        served.who("http://example.com/api", canary),
        "demo-service-canary"
    );
    assert_eq!(
        served.who("http://example.com/api/x?stage=canary", None),
        "demo-service-canary"
    );
    let write = served
        .call("PUT", "http://example.com/items/7")
        .send_blocking()
        .unwrap();
    assert_eq!(
        (
            write.backend(),
            write.json()["headers"]["x-kind"][0].as_str()
        ),
        ("demo-service-canary", Some("write"))
    );
    let read = served.get("http://example.com/items/7");
    assert_eq!(
        read.json()["headers"]["x-kind"],
        serde_json::Value::Null,
        "GET is another rule's"
    );
    let before = (
        served.hits("demo-service"),
        served.hits("demo-service-canary"),
    );
    for _ in 0..80 {
        assert_eq!(
            served.get("http://example.com/apis").header("x-served-by"),
            "postern"
        );
    }
    let after = (
        served.hits("demo-service"),
        served.hits("demo-service-canary"),
    );
    assert_eq!(
        (after.0 - before.0, after.1 - before.1),
        (60, 20),
        "three of four"
    );
    assert_eq!(served.who("http://example.org/", None), "404");
}

pub(crate) fn filters(served: &Served<'_>) {
    let moved = served.get("http://example.com/old/a?q=1");
    assert_eq!(
        (moved.status.as_u16(), moved.header("location")),
        (301, "http://example.com/new/a?q=1")
    );
    assert_eq!(
        served.get("http://example.com/older").status,
        StatusCode::NOT_FOUND
    );
    let told = served.get("http://example.com/new/a").json();
    assert_eq!(
        (told["host"].as_str(), told["path"].as_str()),
        (Some("backend.example.com"), Some("/v2/a"))
    );
    assert_eq!(told["headers"]["x-backend-only"][0], "yes");
    for _ in 0..10 {
        assert_eq!(
            served.who("http://example.com/mirrored", None),
            "demo-service"
        );
    }
    let origin = served
        .call("GET", "http://example.com/shared")
        .header("origin", "https://a.b.example.com");
    assert_eq!(
        origin
            .send_blocking()
            .unwrap()
            .header("access-control-allow-origin"),
        "https://a.b.example.com"
    );
    let foreign = served
        .call("GET", "http://example.com/shared")
        .header("origin", "http://a.example.com");
    assert_eq!(
        foreign
            .send_blocking()
            .unwrap()
            .header("access-control-allow-origin"),
        ""
    );
    assert_eq!(
        served.get("http://example.com/careful?fail=2&id=a").status,
        StatusCode::OK
    );
    assert_eq!(
        served.get("http://example.com/careful?fail=3&id=b").status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        served.get("http://example.com/careful?delay=900").status,
        StatusCode::GATEWAY_TIMEOUT
    );
    // Mirrors go their own way; by now they have arrived, or the way is broken.
    assert_eq!(served.hits("demo-service-canary"), 5, "half of ten");
    assert_eq!(
        served.get("http://example.com/").status,
        StatusCode::NOT_FOUND
    );
}

/// A GRPCRoute.
pub(crate) fn calls(served: &Served<'_>) {
    let call = |path: &str| {
        served
            .call("POST", &format!("http://grpc.example.com/{path}"))
            .http2()
            .header("content-type", "application/grpc")
    };
    let add = call("shop.Cart/Add").send_blocking().unwrap();
    assert_eq!(add.backend(), "demo-service");
    assert_eq!(add.json()["proto"], "HTTP/2.0");
    let pay = call("shop.Cart/Pay").send_blocking().unwrap();
    let canary = call("shop.Cart/Add").header("x-stage", "canary");
    for answer in [pay, canary.send_blocking().unwrap()] {
        assert_eq!(answer.backend(), "demo-service-canary");
        assert_eq!(answer.json()["headers"]["x-kind"][0], "payment");
    }
    let none = call("shop.Stock/List").send_blocking().unwrap();
    assert_eq!(none.header("grpc-status"), "12");
    let get = served.get("http://grpc.example.com/shop.Cart/Add");
    assert_eq!(get.status, StatusCode::NOT_FOUND);
}
