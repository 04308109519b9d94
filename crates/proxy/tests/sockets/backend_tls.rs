//! Whom a backend's certificate has to be for.

use std::sync::Arc;

use http::StatusCode;
use ir::{Authorities, Ir, SubjectName, Upstream, UpstreamName, UpstreamTls, Verify};
use testkit::{
    call::Call,
    certs::{AskedNames, Ca, recording_names},
    echo::Backend as Echo,
};

use crate::support::{http, serve, simple, start};

const URI: &str = "spiffe://a.com/backend";

/// A backend with a certificate for a host, for everything under another one, and for a URI.
struct Setting {
    ca: Ca,
    echo: Echo,
    asked: AskedNames,
}

impl Setting {
    fn new() -> Self {
        let ca = Ca::new("backends");
        let issued = ca.issue(&["a.com", "*.b.com", URI]);
        let (config, asked) = recording_names(issued.server_config(&["http/1.1"]));
        Self {
            echo: Echo::builder().tls(config).start("a"),
            ca,
            asked,
        }
    }

    fn ir(&self, verify: Verify, server: &str, names: Vec<SubjectName>) -> Ir {
        let mut config = simple(self.echo.address());
        config.clusters[0].upstream = Upstream::Http1;
        config.clusters[0].tls = Some(Arc::new(UpstreamTls {
            name: UpstreamName::Fixed(server.into()),
            send_name: true,
            verify,
            names,
            certificate: None,
        }));
        config.ir()
    }
}

fn authorities(ca: &Ca) -> Verify {
    Verify::Authorities(Authorities {
        source: "ConfigMap/test/ca".into(),
        pem: ca.pem().into(),
    })
}

fn dns(name: &str) -> SubjectName {
    SubjectName::Dns(name.into())
}

fn uri(name: &str) -> SubjectName {
    SubjectName::Uri(name.into())
}

fn status(proxy: &proxy::Proxy) -> (u16, Option<String>) {
    let answer = Call::get(http(proxy), "http://a.com/")
        .send_blocking()
        .unwrap();
    let why =
        (answer.status != StatusCode::OK).then(|| String::from_utf8_lossy(&answer.body).into());
    (answer.status.as_u16(), why)
}

#[test]
fn a_certificate_has_one_of_the_names_or_nothing_is_sent() {
    let setting = Setting::new();
    let proxy = start(|_| ());
    let cases: &[(&str, Vec<SubjectName>, bool)] = &[
        // The server name, while there is nothing else.
        ("a.com", vec![], true),
        ("x.b.com", vec![], true),
        ("c.com", vec![], false),
        // With names, the server name is for the choice of a certificate alone.
        ("c.com", vec![dns("a.com")], true),
        ("c.com", vec![dns("x.b.com")], true),
        ("c.com", vec![uri(URI)], true),
        ("c.com", vec![dns("d.com"), uri(URI)], true),
        (
            "c.com",
            vec![uri("spiffe://a.com/other"), dns("a.com")],
            true,
        ),
        ("a.com", vec![dns("d.com")], false),
        ("a.com", vec![uri("spiffe://a.com/other")], false),
        ("a.com", vec![uri("spiffe://a.com/backend/more")], false),
        ("a.com", vec![dns("d.com"), uri("spiffe://a.com/")], false),
        // A wildcard is that wildcard, and not whatever is under it, nor is a name of another kind one.
        ("c.com", vec![dns("*.b.com")], true),
        ("c.com", vec![dns("*.com")], false),
        ("c.com", vec![uri("a.com")], false),
        ("a.com", vec![dns(URI)], false),
    ];
    for (server, names, good) in cases {
        serve(
            &proxy,
            setting.ir(authorities(&setting.ca), server, names.clone()),
        );
        let (status, why) = status(&proxy);
        let expected = if *good { 200 } else { 502 };
        assert_eq!(status, expected, "{server} {names:?}: {why:?}");
        assert_eq!(setting.asked.take(), [Some((*server).to_owned())]);
    }
}

#[test]
fn names_count_for_nothing_without_the_authority() {
    let setting = Setting::new();
    let proxy = start(|_| ());
    let names = || vec![dns("a.com"), uri(URI)];
    let stranger = Ca::new("backends");
    for verify in [authorities(&stranger), Verify::System] {
        serve(&proxy, setting.ir(verify, "a.com", names()));
        assert_eq!(status(&proxy).0, 502);
    }
    serve(
        &proxy,
        setting.ir(authorities(&setting.ca), "a.com", names()),
    );
    assert_eq!(status(&proxy).0, 200);
    assert_eq!(setting.echo.hits(), 1);
}

#[test]
fn a_certificate_that_has_run_out_is_none_whatever_its_names() {
    let ca = Ca::new("backends");
    let expired = ca.issue_expired(&["a.com", URI]);
    let mut setting = Setting::new();
    setting.echo = Echo::builder()
        .tls(expired.server_config(&["http/1.1"]))
        .start("a");
    let proxy = start(|_| ());
    for names in [vec![], vec![uri(URI)]] {
        serve(&proxy, setting.ir(authorities(&ca), "a.com", names));
        assert_eq!(status(&proxy).0, 502);
    }
}
