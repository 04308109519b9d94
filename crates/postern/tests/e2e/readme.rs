//! The README's tour and the pages on migration are real: their commands print what they say.

use std::{fs, process::Command};

use crate::support::{self, Start, text};

/// Commands that serve until they are told to stop have tests of their own.
const SERVING: &str = "postern run ";

/// Where the pages say that the gateway is which is to be replaced.
const RUNNING: &str = "http://192.0.2.10";

/// The commands of a page, each with the lines that follow it.
fn tour(page: &str) -> Vec<(String, String)> {
    let readme = fs::read_to_string(support::examples().join("..").join(page)).unwrap();
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
    let steps = tour("README.md");
    assert!(steps.len() >= 4, "{steps:?}");
    for (command, wanted) in steps {
        let output = with_port_8080(&run(&command));
        assert!(
            output.starts_with(&wanted),
            "{command}\n{output}\ninstead of\n{wanted}"
        );
    }
}

/// Runs the commands of a page on migration. `diff` is run against a gateway that serves the same manifests.
fn migrate(page: &str) {
    let steps = tour(page);
    for word in ["convert --report", "check", "explain", "diff"] {
        assert!(
            steps
                .iter()
                .any(|(command, _)| command.contains(&format!("postern {word} "))),
            "{page} has no {word}"
        );
    }
    for (command, wanted) in steps {
        let (command, _gateway) = if command.contains(RUNNING) {
            let folder = command
                .split(" -f ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next());
            let folder = support::examples().join("..").join(folder.unwrap());
            let mut start = Start::default();
            if let Some(class) = command.split(" --ingress-class ").nth(1) {
                start = start
                    .arg("--ingress-class")
                    .arg(class.split(' ').next().unwrap());
            }
            let gateway = start.serve(&folder);
            let address = format!("http://{}", gateway.address(80));
            (command.replace(RUNNING, &address), Some(gateway))
        } else {
            (command, None)
        };
        let output = run(&command);
        assert!(
            output.starts_with(&wanted) && !output.is_empty(),
            "{command}\n{output}\ninstead of\n{wanted}"
        );
    }
}

#[test]
fn the_page_for_higress_prints_what_it_says() {
    migrate("docs/migrate-from-higress.md");
}

#[test]
fn the_page_for_ingress_nginx_prints_what_it_says() {
    migrate("docs/migrate-from-ingress-nginx.md");
}
