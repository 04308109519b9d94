use super::{Command, usage, usage_error};
use crate::{
    bench::{Manifests, fleet::Fleet, policies::Policies},
    check::Step,
};

fn parse(line: &str) -> Result<Command, String> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Command::parse(&arguments)
}

fn check(steps: &[Step], require_deny: bool) -> Result<Command, String> {
    Ok(Command::Check {
        steps: steps.to_vec(),
        require_deny,
    })
}

#[test]
fn check_runs_every_step_unless_some_are_named() {
    assert_eq!(parse("check"), check(Step::ALL, false));
    assert_eq!(parse("check --require-deny"), check(Step::ALL, true));
    assert_eq!(parse("check lint"), check(&[Step::Lint], false));
}

#[test]
fn named_steps_run_once_and_in_the_usual_order() {
    assert_eq!(
        parse("check deny format deny --require-deny"),
        check(&[Step::Format, Step::Deny], true)
    );
}

#[test]
fn crds_writes_or_checks() {
    assert_eq!(parse("crds"), Ok(Command::Crds { check: false }));
    assert_eq!(parse("crds --check"), Ok(Command::Crds { check: true }));
    assert_eq!(parse("docs"), Ok(Command::Docs { check: false }));
    assert_eq!(parse("docs --check"), Ok(Command::Docs { check: true }));
    assert_eq!(parse("manifests"), Ok(Command::Manifests { check: false }));
}

#[test]
fn a_fleet_is_as_large_as_wanted() {
    let fleet = |ingresses| Ok(Command::BenchFleet(Fleet { ingresses }));
    assert_eq!(parse("bench fleet"), fleet(10_000));
    assert_eq!(parse("bench fleet --ingresses 20"), fleet(20));
}

#[test]
fn bench_policies_has_defaults_and_options() {
    let policies = |binary: &str, rounds, seconds| {
        Ok(Command::BenchPolicies(Policies {
            binary: binary.into(),
            rounds,
            seconds,
        }))
    };
    let defaults = policies("target/release/postern", 5, 3);
    assert_eq!(parse("bench policies"), defaults);
    assert_eq!(
        parse("bench policies --rounds 2 --binary p --seconds 1"),
        policies("p", 2, 1)
    );
    for wrong in ["--rounds 0", "--rounds", "--what 1"] {
        assert!(parse(&format!("bench policies {wrong}")).is_err());
    }
}

#[test]
fn bench_manifests_have_defaults_and_options() {
    let manifests = |routes, backend: &str| {
        Ok(Command::BenchManifests(Manifests {
            folder: "dir".into(),
            routes,
            backend: backend.to_owned(),
        }))
    };
    assert_eq!(
        parse("bench manifests dir"),
        manifests(1_000, "127.0.0.1:19001")
    );
    assert_eq!(
        parse("bench manifests dir --routes 5 --backend a:1"),
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
        "check no-such-step --help",
    ] {
        assert_eq!(parse(line), Ok(Command::Help), "{line}");
    }
}

#[test]
fn what_does_not_exist_is_named() {
    for (line, culprit) in [
        ("", "missing"),
        ("frobnicate", "\"frobnicate\""),
        ("frobnicate --help", "\"frobnicate\""),
        ("check everything", "\"everything\""),
        ("check --fast", "\"--fast\""),
        ("crds --force", "\"--force\""),
        ("bench", "manifests DIR"),
        ("bench fleet --ingresses many", "\"many\""),
        ("bench fleet --fast", "\"--fast\""),
        ("bench manifests dir --routes many", "\"many\""),
        ("bench manifests dir --fast", "\"--fast\""),
        ("crds --check twice", "\"twice\""),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(culprit), "{line}: {error}");
        assert_eq!(usage_error(&error).lines().count(), 2, "{line}: {error}");
    }
}

#[test]
fn the_usage_describes_every_step() {
    let usage = usage();
    for step in Step::ALL {
        let line = format!("  {:<20}{}", step.name(), step.about());
        assert!(usage.contains(&line), "{}: {usage}", step.name());
    }
}
