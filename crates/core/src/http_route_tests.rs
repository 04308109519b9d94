use api::gateway::httproutes::HttpRouteRules;

fn ids(yaml: &str) -> Vec<String> {
    let rules: Vec<HttpRouteRules> = serde_saphyr::from_str(yaml).unwrap();
    super::ids(&rules)
}

#[test]
fn rules_keep_their_identity_when_others_come_and_go() {
    let (a, b) = (
        "{matches: [{path: {value: /a}}]}",
        "{matches: [{path: {value: /b}}], timeouts: {request: 1s}}",
    );
    let both = ids(&format!("[{a}, {b}]"));
    assert_ne!(both[0], both[1]);
    assert_eq!(ids(&format!("[{b}, {{name: new}}, {a}]"))[0], both[1]);
    assert_eq!(ids(&format!("[{b}, {{name: new}}, {a}]"))[2], both[0]);
    // Written down: a hash that changed with a build would lose all state kept under it.
    assert_eq!(both[0], "a266eea1cf");
}

#[test]
fn equal_rules_are_told_apart() {
    assert_eq!(
        ids("[{name: x}, {name: x}, {name: y}, {name: x}]"),
        ["x", "x~2", "y", "x~3"]
    );
    let unnamed = ids("[{}, {}, {name: \"x@/a/\"}]");
    assert_eq!(unnamed[1], format!("{}~2", unnamed[0]));
    assert_eq!(
        unnamed[2],
        format!("{}~3", unnamed[0]),
        "an illegal name is none"
    );
}
