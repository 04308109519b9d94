use std::{fs, process::Command, time::Duration};

use tempfile::TempDir;

use super::{Layout, Process, Processes, started};

fn layout() -> (TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::below(folder.path(), "test");
    fs::create_dir_all(layout.state()).unwrap();
    (folder, layout)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_process_is_found_again_and_ended() {
    let (_folder, layout) = layout();
    let processes = Processes(&layout);
    processes
        .start("sleeper", &shell("exec sleep 600"))
        .unwrap();
    assert!(Processes(&layout.clone()).runs("sleeper"));
    processes.stop("sleeper");
    assert!(!processes.runs("sleeper"));
    processes.stop("sleeper");
}

#[test]
fn a_later_process_of_the_same_number_is_none_of_ours() {
    let (_folder, layout) = layout();
    let note = format!("{} 1\n", std::process::id());
    layout.write("other.pid", &note).unwrap();
    assert!(!Processes(&layout).runs("other"));
}

#[test]
fn waiting_shows_what_a_program_said_before_it_ended() {
    let (_folder, layout) = layout();
    let processes = Processes(&layout);
    let script = "echo no such luck >&2; sleep 0.2; exit 1";
    processes.start("loser", &shell(script)).unwrap();
    let limit = Duration::from_mins(1);
    let error = processes.wait("loser", limit, || Ok(false)).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("loser has ended"), "{text}");
    assert!(text.contains("no such luck"), "{text}");
}

#[test]
fn processes_are_found_by_an_argument() {
    let (_folder, layout) = layout();
    let processes = Processes(&layout);
    let unusual = layout.at("socket").display().to_string();
    layout.write("socket", "").unwrap();
    let mut command = Command::new("tail");
    command.args(["-f", &unusual]);
    processes.start("shim", &command).unwrap();
    let found = || Process::with_argument(&unusual);
    processes
        .wait("shim", Duration::from_mins(1), || Ok(found().len() == 1))
        .unwrap();
    for process in found() {
        process.end();
    }
    assert!(!processes.runs("shim"));
}

#[test]
fn the_start_time_is_the_22nd_field_whatever_the_name() {
    let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
    assert_eq!(started(&format!("12 (a) b) {fields}")), Some(4711));
    assert_eq!(
        started(&format!("12 (a) {}", fields.replace('S', "Z"))),
        None
    );
    assert_eq!(started("12 (a"), None);
}
