use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Difference, Looking, absolute, differences};
use crate::diff::{Ask, Both, client::Answer};

fn ask() -> Ask {
    Ask {
        host: "a.test".to_owned(),
        target: "/x".to_owned(),
        method: "GET".to_owned(),
        https: false,
        headers: Vec::new(),
    }
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Answer, String> {
    let pairs = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(name, value);
    }
    Ok(Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
        certificate_fits: None,
    })
}

fn told(
    here: Result<Answer, String>,
    there: Result<Answer, String>,
    weighted: bool,
) -> Vec<String> {
    let looking = Looking {
        backend_header: HeaderName::from_static("x-backend"),
        headers: vec![HeaderName::from_static("x-more")],
        ports: vec![8080],
    };
    let both = Both {
        ask: ask(),
        here,
        there,
    };
    differences(&both, weighted, &looking)
        .into_iter()
        .map(|Difference { what, here, there }| format!("{what}: {here} | {there}"))
        .collect()
}

#[test]
fn a_status_says_it_all() {
    let here = answer(200, &[("x-backend", "a")], "");
    assert_eq!(
        told(here, answer(404, &[], "no"), false),
        ["status: 200 | 404"]
    );
    let down = || Err("cannot connect: refused".to_owned());
    assert_eq!(
        told(answer(200, &[], ""), down(), false),
        ["answer: 200 | cannot connect: refused"]
    );
    assert_eq!(told(down(), down(), false), [""; 0]);
}

#[test]
fn a_failure_of_ours_says_why() {
    let down = answer(503, &[("content-type", "text/plain")], "connect_failed");
    assert_eq!(
        told(down, answer(200, &[], ""), false),
        ["status: 503 (connect_failed) | 200"]
    );
}

#[test]
fn a_certificate_that_clients_would_refuse_is_a_difference() {
    let with = |fits| {
        let answer = answer(200, &[], "").unwrap();
        Ok(Answer {
            certificate_fits: Some(fits),
            ..answer
        })
    };
    assert_eq!(told(with(true), with(true), false), [""; 0]);
    assert_eq!(
        told(with(false), with(true), false),
        ["certificate: for other names | for the host"]
    );
}

#[test]
fn backends_are_compared_by_what_they_tell() {
    let one = || answer(200, &[], r#"{"backend":"a","host":"a.test","path":"/x"}"#);
    let other = || answer(200, &[], r#"{"backend":"b","host":"a.test","path":"/y"}"#);
    assert_eq!(told(one(), one(), false), [""; 0]);
    assert_eq!(
        told(one(), other(), false),
        ["backend: a | b", "path: /x | /y"]
    );
    assert_eq!(told(one(), other(), true), [""; 0], "chance chose");
    assert_eq!(
        told(one(), answer(200, &[], "hello"), false),
        [""; 0],
        "nothing told"
    );
}

#[test]
fn headers_are_compared() {
    let here = answer(
        200,
        &[("x-more", "1"), ("set-cookie", "a=1"), ("date", "x")],
        "",
    );
    let there = answer(
        200,
        &[("set-cookie", "a=2"), ("www-authenticate", "Basic")],
        "",
    );
    assert_eq!(
        told(here, there, false),
        ["www-authenticate: none | Basic", "x-more: 1 | none"]
    );
}

#[test]
fn locations_are_compared_as_browsers_read_them() {
    for (location, wanted) in [
        ("/y?z", "http://a.test/y?z"),
        ("http://a.test:8080/y", "http://a.test/y"),
        ("http://a.test:80/y", "http://a.test/y"),
        ("https://b.test:443", "https://b.test/"),
        ("https://b.test:8443/", "https://b.test:8443/"),
    ] {
        assert_eq!(absolute(&ask(), location, &[8080]), wanted);
    }
}
