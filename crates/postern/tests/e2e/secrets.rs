//! What Secrets hold, and what clients prove themselves with, stays where it is: no command, page or log line shows it,
//! neither of what is whole nor of what is broken.

use std::{fs, path::Path, sync::Arc};

use testkit::{
    call::Call,
    certs::{Ca, Issued},
    echo::Backend,
};

use crate::support::{Gateway, Start, postern, secret, service, text};

/// Stands in every broken Secret.
const WORD: &str = "Hunter2";
/// `john`, `secret`: stored, and as a client sends it.
const STORED: &str = "$apr1$salt$VEpBc9VHGUKwI9.yg13Iu0";
const LOGIN: &str = "am9objpzZWNyZXQ=";

/// Manifests of Secrets that cannot be read, or not be used.
const BROKEN: &[&str] = &[
    "stringData: {auth: \"john:Hunter2",
    "stringData: {auth: Hunter2, auth: Hunter2}",
    "stringData: [Hunter2]",
    "stringData: {auth: {john: Hunter2}}",
    "stringData: Hunter2",
    "data: {auth: Hunter2!}",
    "data: Hunter2",
    "immutable: Hunter2",
    "type: [Hunter2]",
    "stringData: {auth: 'john:Hunter2'}",
    "stringData: {tls.crt: Hunter2, tls.key: Hunter2, ca.crt: Hunter2}",
];

/// Everything that looks at a Secret, for a host of its own.
fn ingress(name: &str, annotations: &str, more: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n  \
         ingressClassName: higress\n  rules: [{{host: {name}.com, http: {{paths: [{{path: /, pathType: Prefix, backend: \
         {{service: {{name: one, port: {{number: 80}}}}}}}}]}}}}]\n{more}---\n"
    )
}

/// The users of every broken Secret.
fn uses(at: usize) -> String {
    let tls = format!("  tls: [{{hosts: [tls-{at}.com], secretName: broken-{at}}}]\n");
    [
        ingress(
            &format!("basic-{at}"),
            &format!("higress.io/auth-type: basic, higress.io/auth-secret: broken-{at}"),
            "",
        ),
        ingress(
            &format!("mutual-{at}"),
            &format!("higress.io/proxy-ssl-secret: default/broken-{at}"),
            "",
        ),
        ingress(&format!("tls-{at}"), "", &tls),
    ]
    .concat()
}

fn pair(name: &str, issued: &Issued, authority: &Ca) -> String {
    let entries = [
        ("tls.crt", issued.cert_pem.as_str()),
        ("tls.key", issued.key_pem.as_str()),
        ("ca.crt", authority.pem()),
    ];
    secret(name, &entries) + "---\n"
}

/// A line of a private key that no certificate has.
fn heart(issued: &Issued) -> &str {
    issued.key_pem.lines().nth(1).unwrap()
}

/// Everything that the pages, the log and the commands say, and where.
fn told(gate: &Gateway, folder: &Path) -> Vec<(String, String)> {
    let path = folder.to_str().unwrap();
    let mut told: Vec<(String, String)> = ["/config", "/status", "/metrics"]
        .map(|page| (page.to_owned(), text(&gate.page(page).body)))
        .into();
    told.push(("log".to_owned(), format!("{:?}", gate.lines())));
    for command in [
        &["check", "-f", path][..],
        &["check", "-f", path, "-o", "json"],
        &["convert", "-f", path],
        &[
            "explain",
            "-f",
            path,
            "GET",
            "http://whole.com/",
            "-H",
            "authorization: Basic x",
        ],
    ] {
        let output = postern(command);
        told.push((
            command.join(" "),
            text(&output.stdout) + &text(&output.stderr),
        ));
    }
    told
}

#[test]
fn nobody_tells_them() {
    let backend = Backend::start("one");
    let ca = Ca::new("test");
    let (server, gateway) = (ca.issue(&["whole.com"]), ca.issue_client("gateway"));
    let folder = tempfile::tempdir().unwrap();
    let tls = "  tls: [{hosts: [whole.com], secretName: server}]\n";
    let whole = [
        service("one", &[&backend]),
        pair("server", &server, &ca),
        pair("gateway", &gateway, &ca),
        secret("users", &[("auth", &format!("john:{STORED}"))]) + "---\n",
        ingress(
            "whole",
            "higress.io/auth-type: basic, higress.io/auth-secret: users",
            tls,
        ),
        ingress("mutual", "higress.io/proxy-ssl-secret: gateway", ""),
    ];
    fs::write(folder.path().join("whole.yaml"), whole.concat()).unwrap();
    for (at, broken) in BROKEN.iter().enumerate() {
        let broken =
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: broken-{at}}}\n{broken}\n");
        fs::write(folder.path().join(format!("broken-{at}.yaml")), broken).unwrap();
        fs::write(folder.path().join(format!("uses-{at}.yaml")), uses(at)).unwrap();
    }
    let gate = Start::default()
        .arg("--log-level")
        .arg("trace")
        .serve(folder.path());
    let client = Arc::new(ca.client_config(&["http/1.1"]));
    for (login, status) in [(LOGIN, 200), ("SHVudGVyMjpIdW50ZXIy", 401)] {
        let call =
            Call::get(gate.address(443), "https://whole.com/").tls(client.clone(), "whole.com");
        let call = call
            .header("authorization", &format!("Basic {login}"))
            .header("cookie", "session=Hunter2");
        assert_eq!(call.send_blocking().unwrap().status.as_u16(), status);
    }
    for at in 0..BROKEN.len() {
        for host in ["basic", "mutual"] {
            let answer = Call::get(gate.address(80), &format!("http://{host}-{at}.com/"));
            assert_eq!(
                answer.send_blocking().unwrap().status.as_u16(),
                500,
                "{host}-{at}"
            );
        }
    }
    let secrets = [
        WORD,
        STORED,
        LOGIN,
        "SHVudGVyMjpIdW50ZXIy",
        heart(&server),
        heart(&gateway),
    ];
    silent(&told(&gate, folder.path()), &secrets);
    // Commands end with the files that cannot be read at all; without those they say more.
    let path = folder.path().to_str().unwrap();
    let check = || postern(&["check", "-f", path]);
    assert_eq!(check().status.code(), Some(1));
    for line in text(&check().stderr).lines() {
        let line = line.strip_prefix("postern: ").unwrap_or(line);
        fs::remove_file(line.split(':').next().unwrap()).unwrap();
    }
    assert_eq!(check().status.code(), Some(3));
    silent(&told(&gate, folder.path()), &secrets);
}

/// Nothing that is told has a secret in it.
fn silent(told: &[(String, String)], secrets: &[&str]) {
    for (place, said) in told {
        assert!(said.len() > 20, "{place}: {said}");
        for secret in secrets {
            let at = said.find(secret);
            let around = at.map(|at| &said[at.saturating_sub(200)..(at + 40).min(said.len())]);
            assert!(at.is_none(), "{place} shows {secret}: {around:?}");
        }
    }
}
