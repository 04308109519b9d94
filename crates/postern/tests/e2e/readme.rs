//! The README's tour is real: its commands print what it says.

use std::{fs, process::Command};

use crate::support::{self, text};

/// Commands that serve until they are told to stop have tests of their own.
const SERVING: &str = "postern run ";

/// A command of the tour, and the lines that follow it.
fn tour() -> Vec<(String, String)> {
    let readme = fs::read_to_string(support::examples().join("../README.md")).unwrap();
    let blocks = readme
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("console\n"));
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), String::new())),
            None => {
                let (_, output) = steps.last_mut().expect("a block begins with a command");
                output.push_str(line);
                output.push('\n');
            }
        }
    }
    steps.retain(|(command, _)| command.starts_with("postern ") && !command.starts_with(SERVING));
    steps
}

/// What a shell at the top of the repository shows of a command.
fn run(command: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_postern");
    let command = command.replacen("postern ", &format!("{binary} "), 1);
    let command = command.replace(" demo --once ", " demo --once --port 0 ");
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(support::examples().join(".."))
        .output()
        .unwrap();
    text(&output.stdout)
}

/// Any port will do in a test; the reader's is 8080.
fn with_port_8080(output: &str) -> String {
    let mut parts = output.split("localhost:");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told.push_str("localhost:8080");
        told.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    told
}

#[test]
fn the_tour_prints_what_it_says() {
    let steps = tour();
    assert!(steps.len() >= 4, "{steps:?}");
    for (command, wanted) in steps {
        let output = with_port_8080(&run(&command));
        assert!(
            output.starts_with(&wanted),
            "{command}\n{output}\ninstead of\n{wanted}"
        );
    }
}
