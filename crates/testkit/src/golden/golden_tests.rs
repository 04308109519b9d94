use super::{Mode, check_dir, check_file, diff, prepend, run_dir};
use std::{cell::RefCell, ffi::OsStr, fs, path::Path};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn upper(input: &str) -> String {
    input.to_uppercase()
}

fn compare(dir: &Path) -> Result<(), String> {
    run_dir(dir, Mode::Compare, upper)
}

#[test]
fn equal_outputs_pass() {
    let dir = folder(&[
        ("a.in.yaml", "a: b\n"),
        ("a.out.yaml", "A: B\n"),
        ("deep/er/b.in.yaml", "c: d\n"),
        ("deep/er/b.out.yaml", "C: D\n"),
        ("README.md", "not a case"),
    ]);
    check_dir(dir.path(), upper);
}

#[test]
fn every_difference_is_listed_with_the_hint() {
    let dir = folder(&[
        ("a.in.yaml", "one\ntwo\nthree\n"),
        ("a.out.yaml", "ONE\n2\nTHREE\n"),
        ("b.in.yaml", "fine\n"),
        ("b.out.yaml", "FINE\n"),
        ("sub/c.in.yaml", "x\n"),
        ("sub/c.out.yaml", "Y\n"),
        ("sub/d.in.yaml", "new\n"),
    ]);
    let report = compare(dir.path()).unwrap_err();
    assert!(
        report.starts_with("3 golden problem(s), 4 case(s) run"),
        "{report}"
    );
    assert!(
        report.contains("a.out.yaml\n+++ actual\n@@ -1,3 +1,3 @@\n ONE\n-2\n+TWO\n THREE\n"),
        "{report}"
    );
    assert!(
        report.contains("sub/c.out.yaml\n+++ actual\n@@ -1 +1 @@\n-Y\n+X\n"),
        "{report}"
    );
    assert!(
        report.contains("sub/d.out.yaml (missing)\n+++ actual\n@@ -0,0 +1 @@\n+NEW\n"),
        "{report}"
    );
    assert!(!report.contains("b.out.yaml"), "{report}");
    assert!(report.contains("UPDATE_GOLDEN=1"), "{report}");
    assert!(
        !dir.path().join("sub/d.out.yaml").exists(),
        "comparing must not write"
    );
}

#[test]
#[should_panic(expected = "UPDATE_GOLDEN=1")]
fn a_difference_panics() {
    let dir = folder(&[("a.in.yaml", "a\n"), ("a.out.yaml", "a\n")]);
    check_dir(dir.path(), upper);
}

#[test]
#[should_panic(expected = "No such file")]
fn a_missing_folder_panics() {
    check_dir("testdata/there-is-no-such-folder", upper);
}

#[test]
fn an_empty_folder_fails() {
    let dir = folder(&[("_base.yaml", "a: b\n"), ("sub/notes.txt", "")]);
    let report = compare(dir.path()).unwrap_err();
    assert!(report.contains("no *.in.yaml"), "{report}");
    assert!(
        !report.contains("UPDATE_GOLDEN"),
        "an update cannot help: {report}"
    );
}

#[test]
fn orphans_and_strays_fail_in_both_modes() {
    let dir = folder(&[
        ("a.in.yaml", "a\n"),
        ("a.out.yaml", "A\n"),
        ("gone.out.yaml", "A\n"),
        ("typo.in.yml", "a\n"),
    ]);
    for mode in [Mode::Compare, Mode::Update] {
        let report = run_dir(dir.path(), mode, upper).unwrap_err();
        assert!(
            report.starts_with("2 golden problem(s), 1 case(s)"),
            "{report}"
        );
        assert!(
            report.contains("gone.out.yaml: has no .in.yaml"),
            "{report}"
        );
        assert!(report.contains("typo.in.yml: neither"), "{report}");
    }
    assert!(
        dir.path().join("gone.out.yaml").exists(),
        "an update must not delete"
    );
}

#[test]
fn an_update_rewrites_and_then_compares_equal() {
    let dir = folder(&[
        ("a.in.yaml", "a\n"),
        ("a.out.yaml", "old"),
        ("s/b.in.yaml", "b\n"),
    ]);
    run_dir(dir.path(), Mode::Update, upper).unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join("a.out.yaml")).unwrap(),
        "A\n"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("s/b.out.yaml")).unwrap(),
        "B\n"
    );
    compare(dir.path()).unwrap();
}

#[test]
fn a_panicking_case_is_named_and_the_others_still_run() {
    let dir = folder(&[
        ("a.in.yaml", "boom"),
        ("b.in.yaml", "b"),
        ("b.out.yaml", "B"),
    ]);
    let ran = RefCell::new(0);
    let report = run_dir(dir.path(), Mode::Update, |input| {
        *ran.borrow_mut() += 1;
        assert_ne!(input, "boom", "cannot take it");
        upper(input)
    })
    .unwrap_err();
    assert_eq!(*ran.borrow(), 2);
    assert!(report.contains("a.in.yaml: panicked: "), "{report}");
    assert!(report.contains("cannot take it"), "{report}");
    assert!(!dir.path().join("a.out.yaml").exists());
}

#[test]
fn the_base_of_the_same_folder_comes_first() {
    let dir = folder(&[
        ("_base.yaml", "top: 1\n"),
        ("a.in.yaml", "a: 1\n"),
        ("sub/_base.yaml", "sub: 1"),
        ("sub/b.in.yaml", "b: 1\n"),
        ("bare/c.in.yaml", "c: 1\n"),
    ]);
    let seen = RefCell::new(Vec::new());
    run_dir(dir.path(), Mode::Update, |input| {
        seen.borrow_mut().push(input.to_owned());
        String::new()
    })
    .unwrap();
    assert_eq!(
        seen.into_inner(),
        ["top: 1\n---\na: 1\n", "c: 1\n", "sub: 1\n---\nb: 1\n"]
    );
}

#[test]
fn joining_makes_no_empty_document() {
    for (base, input, joined) in [
        ("a\n", "b\n", "a\n---\nb\n"),
        ("a", "---\nb\n", "a\n---\nb\n"),
        ("a\n---\n", "b\n", "a\n---\nb\n"),
        ("a\n---\n", "# why\n---\nb\n", "a\n# why\n---\nb\n"),
        ("a\n", "# why\n\nb\n", "a\n---\n# why\n\nb\n"),
        ("# nothing\n", "b\n", "b\n"),
        ("a\n", "", "a\n"),
    ] {
        assert_eq!(prepend(base, input), joined, "{base:?} + {input:?}");
    }
}

#[test]
fn only_one_means_update() {
    assert_eq!(Mode::parse(Some(OsStr::new("1"))), Mode::Update);
    for value in [None, Some(""), Some("0"), Some("true")] {
        assert_eq!(
            Mode::parse(value.map(OsStr::new)),
            Mode::Compare,
            "{value:?}"
        );
    }
}

#[test]
fn single_files_compare() {
    let dir = folder(&[("x.txt", "same\n")]);
    check_file(dir.path().join("x.txt"), "same\n");
    let other = dir.path().join("x.txt");
    let panic = std::panic::catch_unwind(|| check_file(&other, "other\n")).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("-same\n+other\n") && text.contains("UPDATE_GOLDEN=1"),
        "{text}"
    );
}

#[test]
fn diffs_are_minimal_and_hunked() {
    let old: String = (1..=30).map(|n| format!("{n}\n")).collect();
    let new = old
        .replace("\n5\n", "\nfive\n")
        .replace("\n20\n", "\n")
        .replace("\n25\n", "\n25\nx\n");
    let expected = "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n\
                    @@ -17,12 +17,12 @@\n 17\n 18\n 19\n-20\n 21\n 22\n 23\n 24\n 25\n+x\n 26\n 27\n 28\n";
    assert_eq!(diff::lines(&old, &new), expected);
    assert_eq!(diff::lines(&old, &old), "");
}

#[test]
fn invisible_differences_are_shown() {
    assert_eq!(
        diff::lines("a\n", "a"),
        "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"
    );
    assert_eq!(diff::lines("a\r\n", "a\n"), "@@ -1 +1 @@\n-a\\r\n+a\n");
}

#[test]
fn huge_differences_stay_bounded() {
    let old: String = (0..3000).map(|n| format!("a{n}\n")).collect();
    let new: String = (0..3000).map(|n| format!("b{n}\n")).collect();
    assert_eq!(diff::lines(&old, &new).lines().count(), 6001);
}
