//! Flags of every command, as `--help` has them.

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::{cell, code, table};
use crate::cli::Cli;

/// `run` has a table for each of its headings, and the other commands have one each.
pub(super) fn tables() -> Vec<(String, String)> {
    let cli = Cli::command();
    let visible = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    visible.flat_map(of_command).collect()
}

fn of_command(command: &Command) -> Vec<(String, String)> {
    let arguments = command.get_arguments().filter(|a| !a.is_hide_set());
    let arguments: Vec<_> = arguments.filter(|a| a.get_id() != "help").collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in &arguments {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    let variables = arguments.iter().any(|a| a.get_env().is_some());
    let of_heading = |heading: Option<&str>| {
        let of = arguments.iter().filter(|a| a.get_help_heading() == heading);
        let mut head = vec!["flag", "variable", "default", "meaning"];
        let mut rows: Vec<_> = of.map(|argument| row(argument)).collect();
        if !variables {
            head.remove(1);
            rows.iter_mut().for_each(|row| drop(row.remove(1)));
        }
        let name = match heading {
            Some(heading) => format!("{} / {heading}", command.get_name()),
            None => command.get_name().to_owned(),
        };
        (name, table(&head, &rows))
    };
    headings.into_iter().map(of_heading).collect()
}

fn row(argument: &Arg) -> Vec<String> {
    let variable = argument.get_env().map(|name| code(&name.to_string_lossy()));
    let (default, meaning) = meaning(argument);
    vec![
        name(argument),
        variable.unwrap_or_default(),
        default,
        meaning,
    ]
}

/// As it is typed, with what follows.
fn name(argument: &Arg) -> String {
    let values: Vec<_> = argument.get_value_names().unwrap_or_default().to_vec();
    let value = match (argument.get_action(), &values[..]) {
        (ArgAction::Set | ArgAction::Append, [value]) => value.to_string(),
        (ArgAction::SetTrue, _) => String::new(),
        other => panic!("{}: nobody thought of {other:?}", argument.get_id()),
    };
    let optional = argument.get_num_args().is_some_and(|n| n.min_values() == 0);
    let value = match optional && !value.is_empty() {
        true => format!("[{value}]"),
        false => value,
    };
    let Some(long) = argument.get_long() else {
        return code(&value);
    };
    let long = code(format!("--{long} {value}").trim_end());
    match argument.get_short() {
        Some(short) => format!("`-{short}`, {long}"),
        None => long,
    }
}

/// The default, and everything else that the help says.
fn meaning(argument: &Arg) -> (String, String) {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.unwrap_or_else(|| panic!("{} has no help", argument.get_id()));
    let mut help = cell(&help.to_string());
    if !help.ends_with('.') {
        help.push('.');
    }
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| code(&value.to_string_lossy())).collect();
    let mut default = match takes_value {
        true => values.join(", "),
        false => String::new(),
    };
    if argument.is_required_set() {
        default = "required".to_owned();
    }
    // A default that is no value is told in words.
    if let Some((before, after)) = help.split_once("Default: ") {
        let (words, after) = after.split_once('.').unwrap_or((after, ""));
        assert_eq!(default, "", "{} has two defaults", argument.get_id());
        default = words.to_owned();
        help = format!("{}{after}", before.trim_end());
    }
    let possible = argument.get_possible_values();
    let unsaid = possible.iter().any(|value| {
        let name = code(value.get_name());
        !help.contains(&name)
    });
    if takes_value && unsaid {
        let names = possible.iter().map(|value| code(value.get_name()));
        let names: Vec<_> = names.collect();
        help = format!("{help} One of {}.", names.join(", "));
    }
    (default, help)
}
