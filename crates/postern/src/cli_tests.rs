use clap::{CommandFactory, Parser};

use super::{Cli, Command};

fn run(args: &[&str]) -> Result<Command, String> {
    let args = ["postern", "run"].iter().chain(args);
    Cli::try_parse_from(args)
        .map(|cli| cli.command)
        .map_err(|e| e.to_string())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_is_documented() {
    for command in Cli::command().get_subcommands() {
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
    }
}

#[test]
fn defaults_are_those_of_the_proxy() {
    let Ok(Command::Run(args)) = run(&[]) else {
        panic!("run")
    };
    let config = args
        .proxy
        .config(args.process.drain_timeout, &args.ingress.trusted_proxies);
    let mut expected = proxy::Config::default();
    // This one is the machine's.
    if let Some(descriptors) = crate::descriptor::limit() {
        expected.limits.all_sessions = descriptors / 2;
    }
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
    assert_eq!(args.ingress.options(), converter::Options::default());
}

#[test]
fn values() {
    let Ok(Command::Run(args)) = run(&[
        "--port-map",
        "80=0",
        "--port-map",
        "443=8443",
        "--header-timeout",
        "250ms",
        "--replay-buffer",
        "1MiB",
        "--max-all-sessions",
        "7",
        "--trusted-proxy",
        "10.0.0.0/8",
        "--admin",
        "off",
        "--access-log",
        "off",
        "--ingress-class",
        "a",
        "--ingress-class",
        "b=higress",
    ]) else {
        panic!("run")
    };
    let config = args
        .proxy
        .config(args.process.drain_timeout, &args.ingress.trusted_proxies);
    assert_eq!(config.port_map.get(&80), Some(&0));
    assert_eq!(config.port_map.get(&443), Some(&8443));
    assert_eq!(config.deadlines.header.as_millis(), 250);
    assert_eq!(config.limits.replay_bytes, 1024 * 1024);
    assert_eq!(config.limits.all_sessions, 7);
    assert_eq!(config.trusted_proxies.len(), 1);
    assert_eq!(args.process.admin.0, None);
    let classes = args.ingress.classes.iter().map(ToString::to_string);
    assert_eq!(classes.collect::<Vec<_>>(), ["a", "b=higress"]);
    let names = args.ingress.classes.iter().map(|class| class.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn bad_values_say_what_is_wanted() {
    for (flag, value, wanted) in [
        ("--port-map", "80", "FROM=TO"),
        ("--port-map", "80=70000", "FROM=TO"),
        ("--header-timeout", "soon", "500ms"),
        ("--header-timeout", "0s", "zero"),
        ("--drain-timeout", "99999999999999h", "500ms"),
        ("--max-header-bytes", "64 KB", "64KiB"),
        ("--admin", "here", "ADDRESS:PORT"),
        ("--log-format", "xml", "auto, text or json"),
        ("--workers", "0", "1"),
    ] {
        let error = run(&[flag, value]).expect_err(flag);
        assert!(error.contains(wanted), "{flag} {value}: {error}");
    }
}
