//! The commands that end by themselves: what they print, and how they exit.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{examples, postern, text};
use serde_json::Value;

fn example(name: &str) -> String {
    examples().join(name).to_str().unwrap().to_owned()
}

/// An Ingress that asks for something that nobody has.
fn lossy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(examples().join("cors/ingress.yaml")).unwrap();
    let text = text.replace(
        "    higress.io/enable-cors",
        "    higress.io/no-such-thing: \"1\"\n    higress.io/enable-cors",
    );
    fs::write(folder.path().join("ingress.yaml"), text).unwrap();
    fs::copy(
        examples().join("cors/services.yaml"),
        folder.path().join("services.yaml"),
    )
    .unwrap();
    folder
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", text(bytes)))
}

#[test]
fn exit_codes_are_as_documented() {
    let help = postern(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = text(&help.stdout);
    for line in [
        "Exit codes:",
        "  0  all is well",
        "  1  the command could not run",
        "  2  the command line is wrong",
        "  3  the command ran",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let good = example("canary-by-header");
    let folder = lossy();
    let lossy = folder.path().to_str().unwrap().to_owned();
    for (args, code) in [
        (vec!["check", "-f", &good], 0),
        (vec!["check", "-f", &lossy], 3),
        (vec!["check", "-f", "/does/not/exist"], 1),
        (vec!["check"], 2),
        (vec!["convert", "-f", &good], 0),
        (vec!["convert", "-f", &lossy], 3),
        (vec!["explain", "-f", &good, "GET", "http://a/hello"], 0),
        (vec!["explain", "-f", &good, "GET", "http://a/nothing"], 3),
        (vec!["explain", "-f", &good, "GET", "ftp://a/"], 1),
        (vec!["convert", "--report", "-f", &lossy], 3),
        (vec!["diff", "-f", &good], 2),
        (vec!["diff", "-f", &good, "--against", "ftp://a/"], 1),
        (vec!["run"], 1),
        (vec!["run", "--workers", "none"], 2),
        (vec!["demo", "--list"], 0),
        (vec!["demo", "nonsense"], 1),
        (vec!["nonsense"], 2),
    ] {
        assert_eq!(postern(&args).status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn an_error_is_one_line_with_what_to_do() {
    let output = postern(&["check", "-f", "/does/not/exist"]);
    let said = text(&output.stderr);
    assert_eq!(
        said,
        "postern: cannot read /does/not/exist: No such file or directory (os error 2); give a directory or file of manifests with -f\n"
    );
    assert!(output.stdout.is_empty());
}

/// What cannot be read at all may hold anything: whatever were said of the rest might be wrong.
#[test]
fn a_file_that_is_not_read_ends_every_command_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    fs::copy(
        examples().join("cors/ingress.yaml"),
        folder.path().join("good.yaml"),
    )
    .unwrap();
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n- {broken: [\n";
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n".to_owned()
        + &"c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n".repeat(200);
    let deep = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: ".to_owned()
        + &"[".repeat(300);
    let against = "http://127.0.0.1:9";
    for (bad, line) in [
        (list.as_bytes(), ":"),
        (bomb.as_bytes(), ":"),
        (deep.as_bytes(), ":"),
        (&b"kind: \xff"[..], ""),
    ] {
        fs::write(folder.path().join("bad.yaml"), bad).unwrap();
        for args in [
            vec!["convert", "-f", &path],
            vec!["convert", "--report", "-f", &path],
            vec!["check", "-f", &path],
            vec!["check", "-o", "json", "-f", &path],
            vec!["explain", "-f", &path, "GET", "http://a/"],
            vec!["diff", "-f", &path, "--against", against],
        ] {
            let output = postern(&args);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(output.stdout.is_empty(), "{args:?}");
            let place = format!("postern: {path}/bad.yaml:{}", line.trim_end_matches(':'));
            assert!(said.starts_with(&place), "{args:?}: {said}");
            assert!(said.contains(" cannot be read: "), "{args:?}: {said}");
        }
    }
}

/// More YAML nodes than a library thinks good for anybody: an estate of some size, as kubectl writes it.
#[test]
fn an_estate_in_one_list_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("estate.yaml");
    let mut list = "apiVersion: v1\nitems:\n".to_owned();
    let annotations: String = (0..100).map(|n| format!("      x/{n}: v\n")).collect();
    for n in 0..1300 {
        let head =
            "- apiVersion: networking.k8s.io/v1\n  kind: Ingress\n  metadata:\n    namespace: a\n";
        list += &format!("{head}    name: i{n}\n    annotations:\n{annotations}");
        list += "  spec: {ingressClassName: other}\n";
    }
    list += "kind: List\n";
    fs::write(&path, list).unwrap();
    let output = postern(&["convert", "--report", "-f", path.to_str().unwrap()]);
    let said = text(&output.stdout);
    // None of them is of our classes.
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        said.contains("left out: 1300 Ingresses of the class \"other\""),
        "{said}"
    );
    assert!(said.contains("1300 Ingresses -> 0 objects"), "{said}");
}

#[test]
fn convert_writes_manifests_to_stdout_and_the_report_to_stderr() {
    let output = postern(&["convert", "-f", &example("cors")]);
    let yaml = text(&output.stdout);
    assert!(
        yaml.contains("kind: HTTPRoute") && !yaml.contains("kind: Service\n"),
        "{yaml}"
    );
    assert!(
        !yaml.contains('\u{1b}'),
        "no colours where there is no terminal"
    );
    let report = text(&output.stderr);
    assert!(
        report.contains("exact") && report.contains("higress.io/cors-allow-origin"),
        "{report}"
    );
    assert!(
        report.contains("1 Ingress -> 3 objects: 5 exact"),
        "{report}"
    );
    let list = postern(&[
        "convert",
        "-f",
        &example("cors"),
        "-o",
        "json",
        "--report",
        "none",
    ]);
    let list = json(&list.stdout);
    let kinds: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        (list["kind"].as_str(), kinds),
        (Some("List"), vec!["GatewayClass", "Gateway", "HTTPRoute"])
    );
}

#[test]
fn the_report_alone_goes_to_stdout() {
    let folder = lossy();
    let path = folder.path().to_str().unwrap();
    let output = postern(&["convert", "--report", "-f", path]);
    let report = text(&output.stdout);
    assert!(
        report.contains("higress.io/no-such-thing") && !report.contains("kind: HTTPRoute"),
        "{report}"
    );
    assert!(output.stderr.is_empty());
    let output = postern(&["convert", "-f", path, "-o", "json", "--report"]);
    let report = json(&output.stdout);
    assert_eq!(report["keys"][0]["key"], "higress.io/no-such-thing");
    assert_eq!(
        report["keys"][0]["findings"][0]["message"],
        "unknown annotation"
    );
}

#[test]
fn the_report_may_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let output = postern(&[
        "convert",
        "-f",
        &example("tls-version"),
        "--report",
        path.to_str().unwrap(),
    ]);
    assert!(output.stderr.is_empty());
    let report = json(&fs::read(&path).unwrap());
    assert_eq!(report["summary"]["exact"], 2, "{report:#}");
    assert_eq!(report["notes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_was_converted_needs_no_conversion() {
    let output = postern(&[
        "convert",
        "--all",
        "--report",
        "none",
        "-f",
        &example("canary-by-weight"),
    ]);
    let mut again = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["convert", "--all", "--report", "none", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    again
        .stdin
        .take()
        .unwrap()
        .write_all(&output.stdout)
        .unwrap();
    let second = again.wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(0));
    assert_eq!(
        text(&second.stdout),
        text(&output.stdout),
        "loaded back, it stays what it is"
    );
}

#[test]
fn check_names_object_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: demo\n  annotations:\n    \
                   higress.io/timeout: soon\n    higress.io/enable-cros: 'true'\nspec:\n  ingressClassName: higress\n  rules:\n  - http:\n      \
                   paths:\n      - {path: /, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}}\n";
    let text_of = format!(
        "# a comment\n{ingress}---\nkind: Service\napiVersion: v1\nmetadata: {{name: s}}\nspec: 5\n"
    );
    fs::write(folder.path().join("a.yaml"), text_of).unwrap();
    let output = postern(&["check", "-f", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stdout);
    for wanted in [
        "a.yaml:19: Service/s",
        "higress.io/timeout",
        "soon",
        "higress.io/enable-cros",
        "a.yaml:1\n",
        "missing",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let output = postern(&["check", "-o", "json", "-f", folder.path().to_str().unwrap()]);
    let checked = json(&output.stdout);
    assert_eq!(checked["ok"], false);
    assert_eq!(
        checked["files"].as_array().map(Vec::len),
        Some(1),
        "{checked:#}"
    );
}

#[test]
fn explain_names_the_way_of_a_request() {
    let path = example("canary-by-header");
    let output = postern(&[
        "explain",
        "-f",
        &path,
        "GET",
        "http://shop.example.com/hello",
        "-H",
        "higress: always",
    ]);
    let said = text(&output.stdout);
    for wanted in [
        "shop.example.com/hello",
        "postern-system/postern/http",
        "from Ingress/default/demo",
        "header higress = always",
        "demo-service-canary:80",
        "127.0.0.1:18081",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    let output = postern(&[
        "explain",
        "-f",
        &path,
        "GET",
        "http://a/hello",
        "-o",
        "json",
    ]);
    let told = json(&output.stdout);
    assert_eq!(
        told["results"][0]["text"], "the backend sees GET a/hello",
        "{told:#}"
    );
}

#[test]
fn the_demo_answers_every_request_of_an_example() {
    let output = postern(&[
        "demo",
        "--once",
        "--port",
        "0",
        "canary-by-header",
        "canary-by-weight",
        "retry",
        "redirect-https",
        "gateway-api-basic",
    ]);
    let said = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}\n{}",
        text(&output.stderr)
    );
    for wanted in [
        "demo-service-canary got GET localhost:",
        "    50 x demo-service\n    30 x demo-service-canary-v1\n    20 x demo-service-canary-v2\n",
        "HTTP/1.1 308 Permanent Redirect",
        "location: https://example.com/test?a=b",
        "demo-service got POST example.com/test?fail=2&status=502",
        "HTTP/1.1 502 Bad Gateway",
        "x-served-by: postern",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
}

#[test]
fn the_demo_shows_manifests() {
    let output = postern(&["demo", "--show", "cors"]);
    assert!(text(&output.stdout).contains("higress.io/enable-cors: \"true\""));
    let list = text(&postern(&["demo", "--list"]).stdout);
    assert!(
        list.lines().count() >= 32 && list.contains("canary-by-weight"),
        "{list}"
    );
}
