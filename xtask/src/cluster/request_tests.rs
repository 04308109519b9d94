use clap::Parser;

use super::{
    Action, ClusterArgs, Conformance, ConformanceArgs, Engine, Request, ScaleArgs, Version, Wanted,
};

/// A command line of this alone.
#[derive(Debug, Parser)]
struct Line<A: clap::Args> {
    #[command(flatten)]
    asked: A,
}

fn read<A: clap::Args + Into<Request>>(line: &str) -> Result<Request, String> {
    let words = std::iter::once("xtask").chain(line.split_whitespace());
    let line = Line::<A>::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(line.asked.into())
}

fn parse(line: &str) -> Result<Request, String> {
    read::<ClusterArgs>(line)
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
        Ok(Action::Kubectl {
            arguments: words(&["get", "pods", "--cluster", "x"])
        })
    );
    assert_eq!(
        parse("exec --name a -- curl -- x").map(|r| (r.name, r.action)),
        Ok((
            "a".to_owned(),
            Action::Exec {
                command: words(&["curl", "--", "x"])
            }
        ))
    );
}

fn conformance(line: &str) -> Result<Conformance, String> {
    match read::<ConformanceArgs>(line)?.action {
        Action::Conformance(asked) => Ok(asked),
        other => panic!("{other:?}"),
    }
}

fn runs(line: &str) -> Vec<String> {
    let asked = conformance(line).unwrap();
    asked.bundles.iter().map(ToString::to_string).collect()
}

#[test]
fn conformance_runs_for_every_version_and_channel_that_is_not_ruled_out() {
    assert_eq!(
        runs(""),
        [
            "v1.6.3 standard",
            "v1.6.3 experimental",
            "v1.7.0 standard",
            "v1.7.0 experimental"
        ]
    );
    assert_eq!(
        runs("--version 1.7.0"),
        ["v1.7.0 standard", "v1.7.0 experimental"]
    );
    assert_eq!(
        runs("--channel standard"),
        ["v1.6.3 standard", "v1.7.0 standard"]
    );
    assert_eq!(
        runs("--version=v1.6.3 --channel=experimental"),
        ["v1.6.3 experimental"]
    );
    assert_eq!(runs("HTTPRouteWeight"), ["v1.7.0 experimental"]);
    assert_eq!(
        runs("--run-test HTTPRouteWeight --version 1.6.3"),
        ["v1.6.3 experimental"]
    );
}

#[test]
fn conformance_takes_a_test_profiles_a_folder_and_flags_of_the_suite() {
    let asked = conformance("").unwrap();
    assert_eq!(
        (asked.profiles.len(), asked.test, asked.said),
        (5, None, false)
    );
    let asked = conformance("--profile udp,GATEWAY-HTTP --report out -- -debug").unwrap();
    assert_eq!(asked.profiles, ["GATEWAY-HTTP", "GATEWAY-UDP"]);
    assert_eq!(
        (asked.report, asked.flags),
        (Some("out".into()), words(&["-debug"]))
    );
    let asked = conformance("--cluster current GatewayModifyListeners").unwrap();
    assert_eq!(asked.test.as_deref(), Some("GatewayModifyListeners"));
    for (line, culprit) in [
        ("A B", "'B'"),
        ("A --run-test B", "'[TEST]'"),
        ("--version 1.5.0", "1.6.3 or 1.7.0"),
        ("--channel nightly", "standard or experimental"),
        ("--profile release", "--cargo-profile"),
        ("--report", "'--report <DIR>'"),
        ("--cluster eks", "local or kind or current"),
        ("--fast", "'--fast'"),
    ] {
        let error = conformance(line).unwrap_err();
        assert!(error.contains(culprit), "{line}: {error}");
    }
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
        ("dev", Action::Install(Wanted::default()))
    );
    let request = parse("image a.tar --profile release").unwrap();
    assert_eq!(request.profile, "release");
    let archive = "a.tar".into();
    assert_eq!(request.action, Action::Image { archive });
    let wanted = Wanted {
        version: Some(Version::V1_6_3),
        channel: None,
    };
    let request = parse("install --version 1.6.3").unwrap();
    assert_eq!(request.action, Action::Install(wanted));
    let request = parse("definitions --version=1.6.3").unwrap();
    assert_eq!(request.action, Action::Definitions(wanted));
    assert_eq!(parse("list").map(|r| r.action), Ok(Action::List));
    assert_eq!(parse("status").map(|r| r.action), Ok(Action::Status));
    assert_eq!(parse("uninstall").map(|r| r.action), Ok(Action::Uninstall));
}

#[test]
fn errors_say_what_is_wrong() {
    for (line, culprit) in [
        ("fly", "'fly'"),
        ("up now", "'now'"),
        ("up -- x", "'x'"),
        ("kubectl get pods", "'get'"),
        ("exec --", "<COMMAND>"),
        ("load a.tar", "<NAME>"),
        ("up --cluster", "'--cluster <local|kind>'"),
        ("up --version 1.7.0", "'--version'"),
        ("up --report x", "'--report'"),
        ("status --cluster current", "local or kind"),
        ("up --cluster eks", "local or kind"),
        ("up --force", "'--force'"),
        (
            "up --name ../x",
            "up to 30 lower-case letters, digits and hyphens",
        ),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(culprit), "{line}: {error}");
    }
}

#[test]
fn what_is_measured_is_a_release_build_and_the_benchmark_has_options_of_its_own() {
    let scale = read::<ScaleArgs>;
    let request = scale("--name mine -- --only attach").unwrap();
    assert_eq!(
        (request.name, request.profile),
        ("mine".into(), "release".into())
    );
    assert_eq!(request.action, Action::Scale(words(&["--only", "attach"])));
    assert_eq!(scale("").map(|r| r.action), Ok(Action::Scale(Vec::new())));
    assert!(scale("up").unwrap_err().contains("'up'"));
}
