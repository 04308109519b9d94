//! Header control.

use http::StatusCode;
use testkit::call::Answer;

use crate::support::Served;

const URL: &str = "http://example.com/test";

/// "Add two headers to the request example.com/test: foo: bar and test: true." "If the header exists, its value is
/// appended to the original value."
pub(crate) fn request_add(served: &Served<'_>) {
    let headers = |answer: &Answer| answer.json()["headers"].clone();
    let plain = headers(&served.get(URL));
    assert_eq!(
        (plain["foo"].to_string(), plain["test"].to_string()),
        (r#"["bar"]"#.to_owned(), r#"["true"]"#.to_owned())
    );
    let extended = served
        .call("GET", URL)
        .header("foo", "old")
        .send_blocking()
        .unwrap();
    assert_eq!(headers(&extended)["foo"].to_string(), r#"["old,bar"]"#);
    let answer = served.get(URL);
    assert_eq!(answer.header("foo"), "", "the client does not see it");
    assert_eq!(
        served.get("http://example.com/other").status,
        StatusCode::NOT_FOUND
    );
}

/// "Remove the header req-cost-time from the response to the request example.com/test."
pub(crate) fn response_remove(served: &Served<'_>) {
    let answer =
        served.get("http://example.com/test?set=req-cost-time:3&set=Req-Cost-Time:4&set=kept:yes");
    assert_eq!(answer.backend(), "demo-service");
    assert_eq!(
        (answer.header("req-cost-time"), answer.header("kept")),
        ("", "yes")
    );
    let call = served.call("GET", URL).header("req-cost-time", "5");
    let told = call.send_blocking().unwrap().json();
    assert_eq!(
        told["headers"]["req-cost-time"][0], "5",
        "the request keeps it"
    );
}

/// "If the header exists, its value replaces the original value"; "Remove specified headers when forwarding requests",
/// "Multiple headers: Comma-separated".
pub(crate) fn request_update(served: &Served<'_>) {
    let call = served.call("GET", URL).header("stage", "old");
    let call = call.header("stage", "older").header("X-Debug", "1");
    let call = call.header("x-internal", "2").header("x-kept", "3");
    let told = call.send_blocking().unwrap().json();
    let headers = &told["headers"];
    assert_eq!(headers["stage"], serde_json::json!(["gray"]));
    assert_eq!(headers["user-agent"], serde_json::json!(["postern"]));
    assert_eq!(headers["x-kept"], serde_json::json!(["3"]));
    assert!(
        headers["x-debug"].is_null() && headers["x-internal"].is_null(),
        "{headers}"
    );
    let plain = served.get(URL);
    assert_eq!(
        plain.json()["headers"]["stage"],
        serde_json::json!(["gray"]),
        "set where there was none"
    );
    assert_eq!(plain.header("stage"), "", "the client does not see it");
}

/// "If the header exists, its value is appended to the original value" and "its value replaces the original value", for
/// responses.
pub(crate) fn response_update(served: &Served<'_>) {
    let all = |answer: &Answer, name: &str| {
        let values = answer.headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let answer = served.get(&format!(
        "{URL}?set=server:nginx&set=server:1.2&set=vary:Cookie"
    ));
    assert_eq!(answer.backend(), "demo-service");
    assert_eq!(all(&answer, "server"), "shop");
    assert_eq!(all(&answer, "vary"), "Cookie,Accept");
    assert_eq!(all(&answer, "x-served-by"), "postern");
    let answer = served.get(URL);
    assert_eq!(
        (all(&answer, "server"), all(&answer, "vary")),
        ("shop".to_owned(), "Accept".to_owned())
    );
    assert!(
        answer.json()["headers"]["x-served-by"].is_null(),
        "the backend does not see it"
    );
}
