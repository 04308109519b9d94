use clap::CommandFactory as _;

use super::{Bench, Command, Line, is_help, usage_error};
use crate::{
    bench::{Manifests, fleet::Fleet, policies::Policies},
    check::Step,
};

fn parse(line: &str) -> Result<Command, clap::Error> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Command::parse(&arguments)
}

fn good(line: &str) -> Command {
    parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn steps(line: &str) -> (Vec<Step>, bool) {
    match good(line) {
        Command::Check(asked) => (asked.steps(), asked.require_deny),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_clap_asserts_holds() {
    Line::command().debug_assert();
}

#[test]
fn check_runs_every_step_unless_some_are_named() {
    assert_eq!(steps("check"), (Step::ALL.to_vec(), false));
    assert_eq!(steps("check --require-deny"), (Step::ALL.to_vec(), true));
    assert_eq!(steps("check lint"), (vec![Step::Lint], false));
}

#[test]
fn named_steps_run_once_and_in_the_usual_order() {
    let wanted = vec![Step::Format, Step::Deny];
    let line = "check deny format deny --require-deny";
    assert_eq!(steps(line), (wanted, true));
}

#[test]
fn files_are_written_or_checked() {
    for (line, check) in [
        ("crds", false),
        ("crds --check", true),
        ("docs", false),
        ("docs --check", true),
        ("manifests", false),
        ("manifests --check", true),
    ] {
        let (Command::Crds(asked) | Command::Docs(asked) | Command::Manifests(asked)) = good(line)
        else {
            panic!("{line}");
        };
        assert_eq!(asked.check, check, "{line}");
    }
}

#[test]
fn benchmarks_have_defaults_and_options() {
    let bench = |line: &str| match good(line) {
        Command::Bench(bench) => bench,
        other => panic!("{other:?}"),
    };
    let fleet = |ingresses| Bench::Fleet(Fleet { ingresses });
    assert_eq!(bench("bench fleet"), fleet(10_000));
    assert_eq!(bench("bench fleet --ingresses 20"), fleet(20));
    let policies = |binary: &str, rounds, seconds| {
        Bench::Policies(Policies {
            binary: binary.into(),
            rounds,
            seconds,
        })
    };
    assert_eq!(
        bench("bench policies"),
        policies("target/release/postern", 5, 3)
    );
    assert_eq!(
        bench("bench policies --rounds 2 --binary p --seconds 1"),
        policies("p", 2, 1)
    );
    let manifests = |routes, backend: &str| {
        Bench::Manifests(Manifests {
            folder: "dir".into(),
            routes,
            backend: backend.to_owned(),
        })
    };
    assert_eq!(
        bench("bench manifests dir"),
        manifests(1_000, "127.0.0.1:19001")
    );
    assert_eq!(
        bench("bench manifests dir --routes 5 --backend a:1"),
        manifests(5, "a:1")
    );
}

#[test]
fn help_is_found_before_and_after_a_command() {
    for line in [
        "help",
        "--help",
        "-h",
        "check --help",
        "crds -h",
        "help bench",
    ] {
        assert!(is_help(&parse(line).unwrap_err()), "{line}");
    }
}

#[test]
fn what_does_not_exist_is_named_in_two_lines() {
    for (line, culprit) in [
        ("", "a command is missing"),
        ("frobnicate", "'frobnicate'"),
        ("check everything", "'everything'"),
        ("check --fast", "'--fast'"),
        ("crds --force", "'--force'"),
        ("bench", "a command is missing"),
        ("bench fleet --ingresses many", "'many'"),
        ("bench fleet --fast", "'--fast'"),
        ("bench manifests", "<DIR>"),
        ("bench manifests dir --routes many", "'many'"),
        ("bench policies --rounds 0", "no number above 0"),
        ("bench policies --rounds", "'--rounds <N>'"),
        ("crds --check twice", "'twice'"),
        ("cluster", "a command is missing"),
        ("cluster load a.tar", "<NAME>"),
    ] {
        let error = usage_error(&parse(line).unwrap_err());
        assert!(error.contains(culprit), "{line}: {error}");
        assert_eq!(error.lines().count(), 2, "{line}: {error}");
    }
}

#[test]
fn the_help_describes_every_step() {
    let help = parse("check --help").unwrap_err().to_string();
    for step in Step::ALL {
        assert!(help.contains(step.name()), "{help}");
    }
}
