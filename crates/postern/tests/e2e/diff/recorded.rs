//! Requests from a file: logs in several formats, and what their answers prove.

use std::fs;

use testkit::{call::Call, certs::Ca, echo::unused_address, wait::eventually};

use super::{Nginx, RIGHT, Scene, WRONG};
use crate::support::text;

/// As nginx writes them, and ingress-nginx by default: neither host nor scheme.
const COMBINED: &str = r#"192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /shop/cart?id=1 HTTP/1.1" 200 2326 "-" "curl/8"
192.0.2.7 - - [10/Oct/2026:13:55:37 +0000] "GET /shoppers HTTP/1.1" 200 2326 "-" "curl/8" 79 0.001 [default-shop-80] [] 10.0.0.7:80 2326 0.001 200 5b5f
"#;

#[test]
fn recorded_requests_are_sent_again() {
    let scene = Scene::new();
    let nginx = scene.nginx(WRONG);
    let lines = COMBINED.to_owned()
        + r#"{"scheme":"http","host":"shop.example.com","path":"/exact"}
{"scheme":"http","host":"shop.example.com","path":"/exact"}
{"host":"new.example.com","path":"/x","headers":{"stage":"always"}}
{"host":"new.example.com","path":"/x","method":"DELETE"}
what is this
"#;
    let output = scene.replay(&nginx, &lines, &["--host", "shop.example.com"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stdout),
        "status 404 here, 200 there  no rule here
  GET https://shop.example.com/shoppers
    status: 404 here, 200 there
line 7: neither JSON nor a line of an access log
1 line not read
6 lines read, 5 different requests; scheme: 2 because their host has TLS here, 2 because their host has no TLS here, 2 because their line says it
1 request not sent: not safe to repeat: see --all-methods (DELETE 1)
4 requests sent: 3 alike, 1 different; 3 of those alike prove that both do the same
"
    );
    let plain = ["--host", "shop.example.com", "--scheme", "http"];
    let output = scene.replay(&nginx, COMBINED, &plain);
    let told = text(&output.stdout);
    assert!(
        told.contains("\n  GET http://shop.example.com/shoppers\n")
            && told.contains(
                "2 lines read, 2 different requests; scheme: 2 because --scheme says it\n"
            ),
        "{told}"
    );
}

#[test]
fn a_log_that_names_no_host_is_refused() {
    let scene = Scene::new();
    let output = scene.replay(&scene.nginx(RIGHT), COMBINED, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    for wanted in [
        "no line says for which host it was",
        "--host NAME",
        "log-format-upstream: '{",
        "\"host\":\"$host\"",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert_eq!(scene.shop.hits(), 0, "nothing is sent");
}

/// nginx with the log format that is advised, and with one of its own that `--log-format` is told.
#[test]
fn logs_that_nginx_writes_as_advised_are_read() {
    let scene = Scene::new();
    let refused = scene.replay(&scene.nginx(RIGHT), COMBINED, &[]);
    let said = text(&refused.stderr);
    let advised = said.split("log-format-upstream: '").nth(1).unwrap();
    let advised = advised.split('\'').next().unwrap();
    let own = r#"$remote_addr [$time_local] "$request" $status $https "$http_user_agent" $host"#;
    let nginx = Nginx::start((&scene.pair.0, &scene.pair.1), |http, https, folder| {
        format!(
            "log_format advised escape=json '{advised}';
             log_format own '{own}';
             server {{
                 access_log {0}/advised.log advised; access_log {0}/own.log own;
                 listen {http}; listen {https} ssl; server_name shop.example.com;
                 ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;
                 location / {{ return 404; }}
             }}",
            folder.display(),
        )
    });
    let get = |address, url: &str| Call::get(address, url);
    let trust = scene.ca.client_config(&["http/1.1"]);
    let plain = get(nginx.http, "http://shop.example.com/shop/a?b=c");
    assert_eq!(plain.send_blocking().unwrap().status.as_u16(), 404);
    let over_tls = get(nginx.https, "https://shop.example.com/exact?%22q%22");
    let over_tls = over_tls.tls(trust.into(), "shop.example.com");
    assert_eq!(over_tls.send_blocking().unwrap().status.as_u16(), 404);
    let wanted = [
        "http://shop.example.com/shop/a?b=c",
        "https://shop.example.com/exact?%22q%22",
    ];
    // Both before either is replayed: what is replayed is logged, too.
    let written = |log: &str| {
        let path = nginx.folder.path().join(log);
        let mut lines = String::new();
        eventually("nginx has written its log", || {
            lines = fs::read_to_string(&path).unwrap();
            lines.contains("/shop/a") && lines.contains("/exact")
        });
        lines
    };
    let own_args = ["--log-format", own];
    let logs = [
        (written("advised.log"), &[][..]),
        (written("own.log"), &own_args[..]),
    ];
    for (lines, args) in logs {
        let output = scene.replay(&nginx, &lines, args);
        let told = text(&output.stdout);
        assert!(
            told.contains(
                "2 lines read, 2 different requests; scheme: 2 because their line says it\n"
            ),
            "{told}{}",
            text(&output.stderr)
        );
        for wanted in wanted {
            assert!(told.contains(wanted), "{wanted}: {told}\n{lines}");
        }
    }
}

#[test]
fn what_proves_nothing_is_said() {
    let scene = Scene::new();
    let nginx = scene.nginx(RIGHT);
    let replay = |lines: &str| {
        let output = scene.replay(&nginx, lines, &[]);
        (output.status.code(), text(&output.stdout))
    };
    let none = "none of them proves that both do the same\n";
    // The whole of secure.example.com is redirected on both sides.
    let (code, told) = replay(
        r#"{"scheme":"http","host":"secure.example.com","path":"/a"}
{"scheme":"http","host":"secure.example.com","path":"/b?c"}"#,
    );
    assert_eq!(code, Some(3), "{told}");
    let wanted =
        "! 2 requests prove nothing: redirected to https alike, and what is behind was not asked";
    assert!(told.contains(wanted) && told.ends_with(none), "{told}");
    let (code, told) = replay(r#"{"scheme":"http","host":"stranger.example.com","path":"/a"}"#);
    assert_eq!(code, Some(3), "{told}");
    let wanted = "! 1 request proves nothing: 404 on both sides, for hosts that have no route here (stranger.example.com)\n";
    assert!(told.contains(wanted) && told.ends_with(none), "{told}");
    let missing = r#"{"scheme":"http","host":"shop.example.com","path":"/a"}"#;
    let (code, told) = replay(missing);
    assert_eq!(code, Some(3), "{told}");
    let wanted = "404 on both sides, for hosts of which nothing else was answered";
    assert!(told.contains(wanted) && told.ends_with(none), "{told}");
    // The same, where another answer shows that both know the host.
    let shop = r#"{"scheme":"http","host":"shop.example.com","path":"/shop"}"#;
    let (code, told) = replay(&format!("{missing}\n{shop}\n"));
    assert_eq!(code, Some(0), "{told}");
    let wanted =
        "2 requests sent: 2 alike, 0 different; 2 of those alike prove that both do the same\n";
    assert!(told.ends_with(wanted), "{told}");
    let unsafe_alone =
        r#"{"scheme":"http","host":"shop.example.com","path":"/shop","method":"PUT"}"#;
    let output = scene.replay(&nginx, unsafe_alone, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let wanted = "there is nothing to send: 1 request not sent: not safe to repeat";
    assert!(said.contains(wanted), "{said}");
    let output = scene.replay(&nginx, "hello", &[]);
    let said = text(&output.stderr);
    let wanted = "the file holds no request: line 1: neither JSON nor a line of an access log";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn what_cannot_be_asked_here_is_not_well() {
    let scene = Scene::new();
    let path = scene.folder.path().join("all.yaml");
    let manifests = fs::read_to_string(&path).unwrap();
    let tls = "  tls:\n  - hosts: [shop.example.com]\n    secretName: shop-tls\n";
    assert!(manifests.contains(tls));
    fs::write(&path, manifests.replace(tls, "")).unwrap();
    let lines = r#"{"scheme":"http","host":"shop.example.com","path":"/exact"}
{"scheme":"https","host":"shop.example.com","path":"/exact"}
"#;
    let output = scene.replay(&scene.nginx(RIGHT), lines, &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("1 request not sent: no listener of their scheme here")
            && told.contains("1 alike, 0 different"),
        "{told}"
    );
}

#[test]
fn a_certificate_for_other_names_is_a_difference() {
    let mut scene = Scene::new();
    let other = Ca::new("servers").issue(&["other.example.com"]);
    scene.pair = (other.cert_pem, other.key_pem);
    let line = r#"{"scheme":"https","host":"shop.example.com","path":"/exact"}"#;
    let output = scene.replay(&scene.nginx(RIGHT), line, &[]);
    assert_eq!(output.status.code(), Some(3));
    let told = text(&output.stdout);
    let wanted = "certificate: for the host here, for other names there\n";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn backends_that_this_machine_cannot_reach_are_told() {
    let scene = Scene::new();
    let manifests = fs::read_to_string(scene.folder.path().join("all.yaml")).unwrap();
    let gone = unused_address().to_string();
    let manifests = manifests.replace(&scene.canary.address().to_string(), &gone);
    fs::write(scene.folder.path().join("all.yaml"), manifests).unwrap();
    let line = r#"{"scheme":"http","host":"shop.example.com","path":"/exact"}"#;
    let output = scene.replay(&scene.nginx(RIGHT), line, &[]);
    let told = text(&output.stdout);
    for wanted in [
        "status: 503 (connect_failed) here, 200 there\n",
        "1 request for which this machine reached no backend: run diff where",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}
