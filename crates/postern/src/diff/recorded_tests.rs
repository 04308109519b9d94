use super::{Otherwise, Recorded};

/// Only hosts that begin with `tls.` have TLS.
fn read(text: &str, host: Option<&str>, https: Option<bool>) -> Recorded {
    let otherwise = Otherwise {
        format: None,
        host,
        https,
        has_tls: &|host| host.starts_with("tls."),
    };
    super::read(text, &otherwise)
}

fn asks(recorded: &Recorded) -> Vec<String> {
    recorded.asks.iter().map(ToString::to_string).collect()
}

#[test]
fn objects_and_log_lines() {
    let text = r#"
{"method":"POST","scheme":"https","host":"a.test","path":"/x?y=1","headers":{"X-Stage":"c"},"status":200}
{"path":"/plain"}
192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326 "-" "curl/8"
192.0.2.7 - bob [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326
"#;
    let recorded = read(text, Some("b.test"), None);
    assert_eq!(recorded.unread, []);
    assert_eq!((recorded.lines, recorded.without_host), (4, 0));
    assert_eq!(
        asks(&recorded),
        [
            "POST https://a.test/x?y=1 -H 'x-stage: c'",
            "GET http://b.test/plain",
            "GET http://b.test/cart?id=1",
        ]
    );
}

#[test]
fn the_scheme_is_the_log_s_or_that_of_the_flag_or_follows_the_host() {
    let text = r#"
{"scheme":"http","host":"tls.test","path":"/a"}
{"host":"tls.test","path":"/b"}
{"host":"plain.test","path":"/c"}
"#;
    let recorded = read(text, None, None);
    assert_eq!(
        asks(&recorded),
        [
            "GET http://tls.test/a",
            "GET https://tls.test/b",
            "GET http://plain.test/c",
        ]
    );
    let counted: Vec<_> = recorded.schemes.into_iter().collect();
    assert_eq!(
        counted,
        [
            ("their host has TLS here", 1),
            ("their host has no TLS here", 1),
            ("their line says it", 1),
        ]
    );
    let all = read(text, None, Some(true));
    assert_eq!(
        asks(&all),
        [
            "GET http://tls.test/a",
            "GET https://tls.test/b",
            "GET https://plain.test/c",
        ]
    );
}

#[test]
fn what_is_somebodys_is_not_printed() {
    let long = "session=0123456789012345678901234567890123456789";
    let text = format!(
        r#"{{"host":"a","path":"/","headers":{{"Authorization":"Basic eDp5","cookie":"{long}","x-a":"b"}}}}"#
    );
    let ask = &read(&text, None, None).asks[0];
    let printed = format!("{ask}{}", serde_json::to_string(ask).unwrap());
    assert!(
        !printed.contains("eDp5") && !printed.contains("session"),
        "{printed}"
    );
    assert_eq!(printed.matches("[redacted]").count(), 4);
    assert_eq!(ask.headers[0].1, "Basic eDp5", "but it is sent");
}

#[test]
fn what_is_no_request_is_told() {
    let text = "{\"path\":\"/a\"}\n{\"path\":1}\nhello\n{\"host\":\"a\",\"path\":\"a\"}\n{\"host\":\"a\",\"path\":\"/\",\"scheme\":\"ftp\"}\n- \"\\x16\\x03\" 400";
    let recorded = read(text, None, None);
    let lines: Vec<usize> = recorded.unread.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6]);
    assert_eq!(recorded.unread[0].1, "no host: give one with --host");
    assert_eq!(recorded.without_host, 1);
    assert_eq!(
        recorded.unread[2].1,
        "neither JSON nor a line of an access log"
    );
}
