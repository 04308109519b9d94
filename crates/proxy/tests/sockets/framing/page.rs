//! `docs/http.md`, held to the tests.

/// Every row of `docs/http.md` names tests that exist, or says why there is none.
#[test]
fn the_page_about_the_standards_names_tests_that_exist() {
    let page = include_str!("../../../../../docs/http.md");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "{line}");
        let tests: Vec<&str> = cells[3]
            .split('`')
            .filter(|span| span.contains("::"))
            .collect();
        let told = cells[2].contains("Not kept") || cells[2].contains("Does not apply");
        let head = cells[0].trim() == "section" || cells[0].trim() == "---";
        assert!(head || told || !tests.is_empty(), "no test: {line}");
        for test in tests {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = format!("{}.rs", module.replace("::", "/"));
            let found = ["tests/sockets", "src"].iter().any(|folder| {
                let text = std::fs::read_to_string(root.join(folder).join(&file));
                text.is_ok_and(|text| is_test(&text, name))
            });
            assert!(found, "no such test: {test}");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}

/// Whether a source has a function of this name with `#[test]` or `#[tokio::test]` right above.
fn is_test(source: &str, name: &str) -> bool {
    let mut before = "";
    source.lines().map(str::trim).any(|line| {
        let test = before.starts_with('#') && before.contains("test");
        before = line;
        test && line
            .trim_start_matches("async ")
            .starts_with(&format!("fn {name}("))
    })
}
