//! HTTPS of Ingresses of the class nginx: which certificate is shown for which name, and what plain HTTP gets
//! meanwhile.

use std::{fs, path::Path, sync::Arc};

use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use testkit::{
    call::{Answer, Call},
    certs::{Issued, self_signed},
    echo::Backend,
    handshake::{believing, shown},
    wait::eventually,
};

use crate::support::{Gateway, Start, postern, service, text};

/// An Ingress of one path.
fn ingress((class, name): (&str, &str), host: &str, path: &str, more: &str) -> String {
    let (annotations, tls) = more.split_once('|').unwrap_or(("", more));
    let host = match host {
        "" => String::new(),
        host => format!("host: '{host}', "),
    };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec:\n  \
         ingressClassName: {class}\n  rules: [{{{host}http: {{paths: [{{path: {path}, pathType: Prefix, backend: {{service: {{name: app, port: {{number: \
         80}}}}}}}}]}}}}]\n  tls: [{tls}]\n---\n"
    )
}

fn nginx(name: &str, host: &str, more: &str) -> String {
    ingress(("nginx", name), host, "/", more)
}

fn secret(name: &str, issued: &Issued) -> String {
    let entries = [
        ("tls.crt", &*issued.cert_pem),
        ("tls.key", &*issued.key_pem),
    ];
    crate::support::secret(name, &entries) + "---\n"
}

struct Estate {
    folder: TempDir,
    backend: Backend,
}

impl Estate {
    fn new(manifests: &[String]) -> Self {
        let estate = Self {
            folder: tempfile::tempdir().unwrap(),
            backend: Backend::start("app"),
        };
        estate.write("app.yaml", &service("app", &[&estate.backend]));
        estate.write("all.yaml", &manifests.concat());
        estate
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        let hidden = self.path().join(format!(".{name}.new"));
        fs::write(&hidden, text).unwrap();
        fs::rename(hidden, self.path().join(name)).unwrap();
    }

    /// Served as it stands, and as it is converted.
    fn both(&self, args: &[&str], check: impl Fn(&Gateway)) {
        let class = ["--ingress-class", "nginx"];
        let args: Vec<_> = class.iter().chain(args).copied().collect();
        check(&self.serve(&args));
        let path = self.path().to_str().unwrap();
        let convert = ["convert", "--all", "--report", "none", "-f", path];
        // What convert knows of the default certificate holds for the other process too.
        let known = args
            .iter()
            .filter(|arg| !arg.starts_with("--trusted-proxy"));
        let output = postern(&[&convert[..], &known.copied().collect::<Vec<_>>()].concat());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("converted.yaml"), output.stdout).unwrap();
        let start = args
            .iter()
            .fold(Start::default(), |start, arg| start.arg(arg));
        check(&start.serve(folder.path()));
    }

    fn serve(&self, args: &[&str]) -> Gateway {
        let start = args
            .iter()
            .fold(Start::default(), |start, arg| start.arg(arg));
        start.serve(self.path())
    }
}

fn leaf(gateway: &Gateway, name: Option<&str>) -> CertificateDer<'static> {
    shown(gateway.address(443), name).unwrap()
}

fn https(gateway: &Gateway, host: &str) -> Answer {
    over(gateway, host, host)
}

/// A request for a host on a connection that was made for a name; of an address nothing is said in the handshake.
fn over(gateway: &Gateway, name: &str, host: &str) -> Answer {
    let config = Arc::new(believing(&["http/1.1"]));
    let call = Call::get(gateway.address(443), &format!("https://{host}/"));
    call.tls(config, name).send_blocking().unwrap()
}

fn plain(gateway: &Gateway, url: &str) -> (u16, String) {
    let answer = Call::get(gateway.address(80), url).send_blocking().unwrap();
    let location = answer.headers.get("location");
    let location = location.map(|value| value.to_str().unwrap().to_owned());
    (answer.status.as_u16(), location.unwrap_or_default())
}

#[test]
fn each_name_is_shown_the_certificate_that_fits() {
    let wild = self_signed(&["*.example.com", "example.com"]);
    let shop = self_signed(&["shop.example.org", "www.shop.example.org"]);
    let default = self_signed(&["default.example.net"]);
    let alias = "nginx.ingress.kubernetes.io/server-alias: 'other.test,www.shop.example.org'";
    let estate = Estate::new(&[
        nginx("no-hosts", "one.example.com", "{secretName: wild}"),
        nginx("no-secret", "two.example.com", "{hosts: [two.example.com]}"),
        nginx(
            "wildcard",
            "three.example.com",
            "{hosts: ['*.example.com'], secretName: wild}",
        ),
        nginx(
            "unfit",
            "four.example.net",
            "{hosts: [four.example.net], secretName: wild}",
        ),
        nginx("none", "five.example.net", ""),
        nginx("any", "", "{secretName: wild}"),
        nginx("wild", "*.wild.example.com", ""),
        nginx(
            "alias",
            "shop.example.org",
            &format!("{alias}|{{hosts: [shop.example.org], secretName: shop}}"),
        ),
        secret("wild", &wild),
        secret("shop", &shop),
        secret("default", &default),
    ]);
    let args = ["--default-certificate", "default/default"];
    estate.both(&args, |gateway| {
        for (name, issued) in [
            ("one.example.com", &wild),
            ("two.example.com", &default),
            ("three.example.com", &wild),
            ("four.example.net", &default),
            ("five.example.net", &default),
            ("a.wild.example.com", &default),
            ("shop.example.org", &shop),
            ("www.shop.example.org", &shop),
            ("other.test", &default),
        ] {
            assert_eq!(leaf(gateway, Some(name)), issued.leaf(), "{name}");
            assert_eq!(https(gateway, name).backend(), "app", "{name}");
        }
        assert_eq!(leaf(gateway, Some("nobody.test")), default.leaf());
        assert_eq!(leaf(gateway, None), default.leaf());
        for (host, to_https) in [
            ("one.example.com", true),
            ("two.example.com", true),
            ("three.example.com", true),
            ("four.example.net", true),
            ("five.example.net", false),
            ("www.shop.example.org", true),
            ("other.test", false),
        ] {
            let url = format!("http://{host}/x?y=1");
            let expected = match to_https {
                true => (308, format!("https://{host}/x?y=1")),
                false => (200, String::new()),
            };
            assert_eq!(plain(gateway, &url), expected, "{host}");
        }
    });
    assert!(estate.backend.hits() > 0);
}

/// Hosts are found by `Host`, whatever TLS was made for, unless that would lead round a client's certificate or weaken
/// TLS.
#[test]
fn a_host_is_found_whatever_name_the_connection_was_made_for() {
    let one = self_signed(&["one.example.com"]);
    let two = self_signed(&["two.example.org"]);
    let strict = "nginx.ingress.kubernetes.io/ssl-cipher: ECDHE-ECDSA-AES128-GCM-SHA256";
    let asks = "nginx.ingress.kubernetes.io/auth-tls-secret: default/clients";
    let estate = Estate::new(&[
        nginx("one", "one.example.com", "{secretName: one}"),
        nginx("two", "two.example.org", "{secretName: two}"),
        nginx("default", "default.example.net", ""),
        nginx(
            "strict",
            "strict.test",
            &format!("{strict}|{{hosts: [strict.test], secretName: strict}}"),
        ),
        nginx(
            "asks",
            "asks.test",
            &format!("{asks}|{{hosts: [asks.test], secretName: asks}}"),
        ),
        secret("one", &one),
        secret("two", &two),
        secret("strict", &self_signed(&["strict.test"])),
        secret("asks", &self_signed(&["asks.test"])),
        crate::support::secret("clients", &[("ca.crt", &*one.cert_pem)]) + "---\n",
    ]);
    estate.both(&[], |gateway| {
        for (name, host, status) in [
            ("one.example.com", "one.example.com", 200),
            ("127.0.0.1", "one.example.com", 200),
            ("127.0.0.1", "default.example.net", 200),
            ("one.example.com", "two.example.org", 200),
            ("one.example.com", "default.example.net", 200),
            ("nobody.test", "two.example.org", 200),
            ("one.example.com", "nobody.test", 404),
            ("127.0.0.1", "nobody.test", 404),
            ("strict.test", "one.example.com", 200),
            ("strict.test", "strict.test", 200),
            ("one.example.com", "strict.test", 421),
            ("127.0.0.1", "asks.test", 421),
            ("one.example.com", "asks.test", 421),
            ("strict.test", "asks.test", 421),
        ] {
            let got = over(gateway, name, host).status.as_u16();
            assert_eq!(got, status, "{host} over {name}");
        }
        assert_eq!(leaf(gateway, None), leaf(gateway, Some("nobody.test")));
    });
}

/// A wildcard stands for one label, of the name in the handshake as of `Host`.
#[test]
fn what_has_more_labels_than_a_wildcard_is_not_its_host() {
    let wild = self_signed(&["*.example.com"]);
    let default = self_signed(&["default.example.net"]);
    let manifests = [
        nginx("wild", "*.example.com", "{secretName: wild}"),
        secret("wild", &wild),
        secret("default", &default),
    ];
    let args = ["--default-certificate", "default/default"];
    Estate::new(&manifests).both(&args, |gateway| {
        assert_eq!(leaf(gateway, Some("a.example.com")), wild.leaf());
        assert_eq!(leaf(gateway, Some("a.b.example.com")), default.leaf());
        assert_eq!(https(gateway, "a.example.com").status, 200);
        assert_eq!(https(gateway, "a.b.example.com").status, 404);
    });
    let any = nginx("any", "", "");
    Estate::new(&[&manifests[..], &[any]].concat()).both(&args, |gateway| {
        assert_eq!(leaf(gateway, Some("a.b.example.com")), default.leaf());
        assert_eq!(https(gateway, "a.b.example.com").status, 200);
    });
}

#[test]
fn without_any_certificate_one_is_made() {
    let estate = Estate::new(&[nginx("plain", "plain.example.com", "")]);
    let gateway = estate.serve(&["--ingress-class", "nginx"]);
    gateway.wait_for("postern-system/postern-default-certificate is no certificate, or not there");
    assert_eq!(https(&gateway, "plain.example.com").backend(), "app");
    assert_eq!(plain(&gateway, "http://plain.example.com/").0, 200);
    let made = leaf(&gateway, Some("plain.example.com"));
    assert_eq!(made, leaf(&gateway, None));
    let again = estate.serve(&["--ingress-class", "nginx"]);
    assert_ne!(made, leaf(&again, None), "its key is in no file");
    let path = estate.path().to_str().unwrap();
    let args = ["-f", path, "--ingress-class", "nginx"];
    let output = postern(&[&["convert", "--all"][..], &args].concat());
    let (objects, report) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{report}");
    let needs = "Secret postern-system/postern-default-certificate, which is not among the input";
    assert!(objects.starts_with("# Hosts without"), "{objects}");
    assert!(
        report.contains(needs) && !objects.contains("kind: Secret"),
        "{objects}{report}"
    );
    let output = postern(&[&["check"][..], &args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("signed itself"));
}

#[test]
fn a_default_certificate_that_is_not_there_is_told_and_comes_later() {
    let estate = Estate::new(&[nginx("plain", "plain.example.com", "")]);
    let args = [
        "--ingress-class",
        "nginx",
        "--default-certificate",
        "default/late",
    ];
    let gateway = estate.serve(&args);
    gateway.wait_for("Secret default/late is no certificate, or not there");
    assert_eq!(https(&gateway, "plain.example.com").backend(), "app");
    let output = postern(&[&["check", "-f", estate.path().to_str().unwrap()][..], &args].concat());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("Secret default/late does not exist"));
    let (first, second) = (self_signed(&["a.test"]), self_signed(&["b.test"]));
    for issued in [&first, &second] {
        estate.write("late.yaml", &secret("late", issued));
        eventually("the certificate is shown", || {
            leaf(&gateway, Some("plain.example.com")) == issued.leaf()
        });
    }
    // Broken, it is as if it were not there.
    estate.write("late.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: late}\nstringData: {tls.crt: x, tls.key: y}\n");
    eventually("another one is shown", || {
        leaf(&gateway, Some("plain.example.com")) != second.leaf()
    });
    assert_eq!(https(&gateway, "plain.example.com").backend(), "app");
}

/// As cert-manager goes about it: the Ingress names a Secret that is yet to be made, and a solver's Ingress has the
/// challenge.
#[test]
fn a_first_certificate_is_waited_for_over_plain_http() {
    let challenge = "/.well-known/acme-challenge/TOKEN";
    let app = nginx(
        "app",
        "new.example.com",
        "{hosts: [new.example.com], secretName: new-tls}",
    );
    let solver = ingress(("nginx", "solver"), "new.example.com", challenge, "");
    let estate = Estate::new(&[app, solver]);
    let (page, token) = (
        "http://new.example.com/",
        format!("http://new.example.com{challenge}"),
    );
    estate.both(&[], |gateway| {
        assert_eq!(plain(gateway, page).0, 200);
        assert_eq!(plain(gateway, &token).0, 200);
        assert_eq!(https(gateway, "new.example.com").backend(), "app");
    });
    let gateway = estate.serve(&["--ingress-class", "nginx"]);
    assert_eq!(plain(&gateway, page).0, 200);
    let (issued, other) = (self_signed(&["new.example.com"]), self_signed(&["x.test"]));
    estate.write("new.yaml", &secret("new-tls", &issued));
    eventually("it is shown", || {
        leaf(&gateway, Some("new.example.com")) == issued.leaf()
    });
    let to_https = (308, "https://new.example.com/".to_owned());
    assert_eq!(plain(&gateway, page), to_https);
    assert_eq!(
        plain(&gateway, &token).0,
        200,
        "challenges stay where they are"
    );
    let mixed = Issued {
        key_pem: other.key_pem,
        ..issued
    };
    estate.write("new.yaml", &secret("new-tls", &mixed));
    eventually("plain HTTP is served again", || {
        plain(&gateway, page).0 == 200
    });
    assert_eq!(https(&gateway, "new.example.com").backend(), "app");
}

/// Converted objects wait for the certificate as well, whoever made them.
#[test]
fn converted_objects_wait_for_a_certificate_too() {
    let redirect =
        "higress.io/ssl-redirect: 'true'|{hosts: [new.example.com], secretName: new-tls}";
    let manifests = [ingress(
        ("higress", "app"),
        "new.example.com",
        "/",
        redirect,
    )];
    let estate = Estate::new(&manifests);
    let path = estate.path().to_str().unwrap();
    let output = postern(&["convert", "--all", "--report", "none", "-f", path]);
    let converted = Estate::new(&[text(&output.stdout)]);
    let gateway = converted.serve(&[]);
    let page = "http://new.example.com/";
    assert_eq!(plain(&gateway, page).0, 200);
    let issued = self_signed(&["new.example.com"]);
    let generation = gateway.generation();
    converted.write("new.yaml", &secret("new-tls", &issued));
    gateway.wait_beyond(generation);
    assert_eq!(plain(&gateway, page).0, 308);
    assert_eq!(leaf(&gateway, Some("new.example.com")), issued.leaf());
    fs::remove_file(converted.path().join("new.yaml")).unwrap();
    eventually("it is served", || plain(&gateway, page).0 == 200);
}

/// TLS ends at a load balancer in front, which says so.
#[test]
fn behind_a_trusted_proxy_nothing_is_sent_round_in_circles() {
    let force = "nginx.ingress.kubernetes.io/force-ssl-redirect: 'true'";
    let www = format!("{force}, nginx.ingress.kubernetes.io/from-to-www-redirect: 'true'");
    let tls = "{hosts: [shop.test, www.shop.test], secretName: t}";
    let issued = self_signed(&["shop.test", "www.shop.test"]);
    let estate = Estate::new(&[
        nginx("lb", "lb.example.com", &format!("{force}|")),
        nginx("www", "shop.test", &format!("{www}|{tls}")),
        nginx(
            "pending",
            "pending.test",
            "{hosts: [pending.test], secretName: gone}",
        ),
        secret("t", &issued),
    ]);
    let gateway = estate.serve(&[
        "--ingress-class",
        "nginx",
        "--trusted-proxy",
        "127.0.0.1/32",
    ]);
    let ask = |scheme: &str, host: &str| {
        let call = Call::get(gateway.address(80), &format!("http://{host}/a"));
        let answer = call
            .header("x-forwarded-proto", scheme)
            .send_blocking()
            .unwrap();
        let location = answer.headers.get("location");
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (answer.status.as_u16(), location.unwrap_or_default())
    };
    let served = (200, String::new());
    assert_eq!(ask("https", "lb.example.com"), served);
    assert_eq!(ask("https", "shop.test"), served);
    assert_eq!(ask("https", "pending.test"), served);
    assert_eq!(ask("http", "pending.test"), served);
    let to = |status, url: &str| (status, url.to_owned());
    assert_eq!(
        ask("https", "www.shop.test"),
        to(308, "https://shop.test/a")
    );
    assert_eq!(
        ask("http", "lb.example.com"),
        to(308, "https://lb.example.com/a")
    );
    assert_eq!(ask("http", "shop.test"), to(308, "https://shop.test/a"));
}
