use super::{Action, Engine, Request};

fn parse(line: &str) -> Result<Request, String> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Request::parse(&arguments)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn the_local_cluster_has_a_name_of_its_own() {
    let request = parse("up").unwrap();
    assert_eq!(request.engine, Engine::Local);
    assert_eq!(request.name, "postern");
    let request = parse("down --cluster kind --name mine-2").unwrap();
    assert_eq!(request.engine, Engine::Kind);
    assert_eq!(
        (request.name.as_str(), request.action),
        ("mine-2", Action::Down)
    );
}

#[test]
fn what_follows_two_hyphens_is_left_alone() {
    assert_eq!(
        parse("kubectl -- get pods --cluster x").map(|r| r.action),
        Ok(Action::Kubectl(words(&["get", "pods", "--cluster", "x"])))
    );
    assert_eq!(
        parse("exec --name a -- curl -- x").map(|r| (r.name, r.action)),
        Ok(("a".to_owned(), Action::Exec(words(&["curl", "--", "x"]))))
    );
}

#[test]
fn conformance_takes_a_test_and_flags_of_the_suite() {
    let parse = |line: &str| {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse_conformance(&arguments).map(|request| request.action)
    };
    let asked = |test: Option<&str>, flags: &[&str]| {
        let (test, flags) = (test.map(str::to_owned), words(flags));
        Ok(Action::Conformance { test, flags })
    };
    assert_eq!(parse(""), asked(None, &[]));
    assert_eq!(
        parse("--cluster kind GatewayModifyListeners -- -debug"),
        asked(Some("GatewayModifyListeners"), &["-debug"])
    );
    assert!(parse("A B").unwrap_err().contains("\"B\""));
}

#[test]
fn an_image_is_loaded_under_names() {
    assert_eq!(
        parse("load a.tar x:1 y:2").map(|r| r.action),
        Ok(Action::Load {
            archive: "a.tar".into(),
            names: words(&["x:1", "y:2"])
        })
    );
}

#[test]
fn postern_is_built_for_tests_unless_said_otherwise() {
    let request = parse("install").unwrap();
    assert_eq!(
        (request.profile.as_str(), request.action),
        ("dev", Action::Install)
    );
    let request = parse("image a.tar --profile release").unwrap();
    assert_eq!(request.profile, "release");
    assert_eq!(request.action, Action::Image("a.tar".into()));
    assert_eq!(parse("uninstall").map(|r| r.action), Ok(Action::Uninstall));
}

#[test]
fn errors_say_what_is_wrong() {
    for (line, expected) in [
        ("", "cluster wants to be told what to do"),
        ("fly", "cluster cannot \"fly\" like that"),
        ("up now", "cluster cannot \"up\" like that"),
        ("up -- x", "only kubectl and exec have something after --"),
        (
            "kubectl get pods",
            "cluster kubectl wants -- and what to run",
        ),
        ("exec --", "cluster exec wants -- and what to run"),
        ("load a.tar", "cluster load wants an archive and names"),
        ("up --cluster", "--cluster wants local or kind"),
        (
            "up --cluster eks",
            "--cluster is local or kind, not \"eks\"",
        ),
        ("up --force", "there is no option \"--force\""),
        (
            "up --name ../x",
            "\"../x\" is no name: up to 30 lower-case letters, digits and hyphens",
        ),
    ] {
        assert_eq!(parse(line), Err(expected.to_owned()), "{line}");
    }
}

#[test]
fn what_is_measured_is_a_release_build_and_the_benchmark_has_options_of_its_own() {
    let scale = |line: &str| {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse_scale(&arguments)
    };
    let request = scale("--name mine -- --only attach").unwrap();
    assert_eq!(
        (request.name, request.profile),
        ("mine".into(), "release".into())
    );
    assert_eq!(request.action, Action::Scale(words(&["--only", "attach"])));
    assert_eq!(scale("").map(|r| r.action), Ok(Action::Scale(Vec::new())));
    assert_eq!(scale("up").unwrap_err(), "bench scale does not take \"up\"");
}
