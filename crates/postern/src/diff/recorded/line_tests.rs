use super::{Line, read};

/// `GET https://host/target`, with `?` for what the line does not say.
fn told(line: &str) -> String {
    let read = read(line, None).unwrap_or_else(|why| panic!("{line}: {why}"));
    let Line {
        method,
        https,
        host,
        target,
        ..
    } = read;
    let scheme = https.map_or("?", |https| if https { "https" } else { "http" });
    format!(
        "{} {scheme}://{}{target}",
        method.unwrap_or_else(|| "?".to_owned()),
        host.unwrap_or_else(|| "?".to_owned())
    )
}

#[test]
fn logs_of_nginx() {
    for (line, wanted) in [
        // The default of nginx, and that of ingress-nginx: neither host nor scheme.
        (
            r#"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326 "https://other.test/" "curl/8""#,
            "GET ?://?/cart?id=1",
        ),
        (
            r#"192.0.2.7 - bob [10/Oct/2026:13:55:36 +0000] "POST /cart HTTP/2.0" 200 2326 "-" "curl/8" 412 0.003 [shop-cart-80] [] 10.0.0.7:8080 2326 0.002 200 5b5f"#,
            "POST ?://?/cart",
        ),
        // A target that is an URL.
        (
            r#"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET https://a.test/cart HTTP/1.1" 200 1 "-" "-""#,
            "GET https://a.test/cart",
        ),
        (
            r#"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET http://a.test?x HTTP/1.1" 200 1 "-" "-""#,
            "GET http://a.test/?x",
        ),
        // Apache's vhost_combined.
        (
            r#"shop.test:443 192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#,
            "GET https://shop.test/",
        ),
        (
            r#"shop.test 2001:db8::7 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#,
            "GET ?://shop.test/",
        ),
        (
            r#"{"time":"2026","request_method":"GET","scheme":"https","host":"a.test","request_uri":"/x?y","uri":"/rewritten","status":200}"#,
            "GET https://a.test/x?y",
        ),
        (
            r#"{"request":"GET /x?y HTTP/1.1","http_host":"a.test:8443","https":"on"}"#,
            "GET https://a.test:8443/x?y",
        ),
        (
            r#"{"method":"GET","vhost":"a.test","path":"/x","request_query":"y=1","https":""}"#,
            "GET http://a.test/x?y=1",
        ),
        (
            r#"{"method":"GET","server_name":"_","uri":"/x","args":"-","server_port":"443"}"#,
            "GET https://?/x",
        ),
        (
            r#"{"url":"https://a.test:8443/x","ssl_protocol":"TLSv1.3"}"#,
            "? https://a.test:8443/x",
        ),
    ] {
        assert_eq!(told(line), wanted, "{line}");
    }
}

#[test]
fn logs_of_envoy_higress_and_our_own() {
    for (line, wanted) in [
        (
            r#"{"authority":"a.test","method":"GET","path":"/x?y","protocol":"HTTP/2","requested_server_name":"a.test","downstream_local_address":"10.0.0.9:8443","response_code":200}"#,
            "GET https://a.test/x?y",
        ),
        (
            r#"{"authority":"a.test","method":"GET","path":"/x","requested_server_name":null,"downstream_local_address":"10.0.0.9:80"}"#,
            "GET http://a.test/x",
        ),
        (
            r#"{":authority":"a.test",":method":"GET",":path":"/x","downstream_tls_version":"-"}"#,
            "GET http://a.test/x",
        ),
        (
            r#"[2026-10-10T13:55:36.000Z] "GET /x HTTP/1.1" 200 - 0 5 2 1 "192.0.2.7" "curl/8" "5b5f" "a.test" "10.0.0.7:8080""#,
            "GET ?://a.test/x",
        ),
        (
            r#"[2026-10-10T13:55:36.000Z] "GET /x HTTP/2" 200 - via_upstream - "-" 0 5 2 1 "192.0.2.7" "curl/8" "5b5f" "a.test" "10.0.0.7:8080" outbound|80||shop 10.0.0.9:4 10.0.0.9:8443 192.0.2.7:5 a.test -"#,
            "GET https://a.test/x",
        ),
        (
            r#"[2026-10-10T13:55:36.000Z] "GET /x HTTP/2" 200 - via_upstream - "-" 0 5 2 1 "192.0.2.7" "curl/8" "5b5f" "a.test" "10.0.0.7:8080" outbound|80||shop 10.0.0.9:4 10.0.0.9:80 192.0.2.7:5 - -"#,
            "GET http://a.test/x",
        ),
        (
            r#"{"timestamp":"2026-10-10T13:55:36.000Z","method":"GET","path":"/x","host":"a.test","scheme":"https","protocol":"HTTP/2","status":200}"#,
            "GET https://a.test/x",
        ),
    ] {
        assert_eq!(told(line), wanted, "{line}");
    }
}

#[test]
fn what_is_put_before_lines_is_taken_off() {
    let inner = r#"{"method":"GET","scheme":"https","host":"a.test","path":"/x"}"#;
    let kept = serde_json::json!({ "log": format!("{inner}\n"), "stream": "stdout", "time": "" });
    for line in [
        format!("[pod/ingress-nginx-controller-7/controller] {inner}"),
        format!("2026-10-10T13:55:36.123456789Z {inner}"),
        format!("2026-10-10T13:55:36.123456789Z stdout F {inner}"),
        kept.to_string(),
    ] {
        assert_eq!(told(&line), "GET https://a.test/x", "{line}");
    }
}

#[test]
fn what_is_no_request_says_why() {
    for (line, why) in [
        ("hello", "neither JSON nor a line of an access log"),
        (
            r#"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "\x16\x03" 400"#,
            "neither",
        ),
        (r#"{"host":"a.test"}"#, "it has no path"),
        (r#"{"path":1}"#, "it has no path"),
        (
            r#"{"path":"/","scheme":"ftp"}"#,
            "\"ftp\" is neither http nor https",
        ),
        (r#"{"path":"/","headers":{"a":1}}"#, "\"a\" is no text"),
        ("{", "not a request"),
    ] {
        let said = read(line, None).unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
    }
}

#[test]
fn lines_of_a_format_of_their_own() {
    let format = r#"$remote_addr "$request" $status "$http_user_agent" $host $https"#
        .parse()
        .unwrap();
    let told = |line| {
        let read = read(line, Some(&format))?;
        Ok::<_, String>((read.target, read.host, read.https))
    };
    assert_eq!(
        told(r#"192.0.2.7 "GET /x?y HTTP/2.0" 200 "curl/8" a.test on"#),
        Ok(("/x?y".to_owned(), Some("a.test".to_owned()), Some(true)))
    );
    assert_eq!(told("hello"), Err("not of --log-format".to_owned()));
}
