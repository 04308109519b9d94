use super::canonical_path as path;

#[test]
fn paths() {
    for (raw, expected) in [
        ("/", Some("/")),
        ("/a/b", Some("/a/b")),
        ("/a/../b", Some("/b")),
        ("/a/./b/.", Some("/a/b/")),
        ("/a/..", Some("/")),
        ("/../../etc", Some("/etc")),
        ("/a/%2e%2e/b", Some("/b")),
        ("/a/%2E./b", Some("/b")),
        ("/%61dmin", Some("/admin")),
        ("/a%2fb", Some("/a%2Fb")),
        ("/a%2Fb/..%2fc", Some("/a%2Fb/..%2Fc")),
        ("/a//b", Some("/a//b")),
        ("//admin", Some("//admin")),
        ("/.well-known/x", Some("/.well-known/x")),
        ("/a;b/..;/c", Some("/a;b/..;/c")),
        ("/a%00b", None),
        ("/a%0ab", None),
        ("/a%5cb", None),
        ("/a\\b", None),
        ("/a%zz", None),
        ("/a%2", None),
        ("/a%", None),
        ("/%E4%b8", Some("/%E4%B8")),
        ("/é", Some("/%C3%A9")),
        ("/%c3%a9/é", Some("/%C3%A9/%C3%A9")),
        ("*", Some("*")),
    ] {
        assert_eq!(path(raw).ok().as_deref(), expected, "{raw}");
    }
}

#[test]
fn canonical_paths_are_borrowed() {
    assert!(matches!(
        path("/a/b.c/d%20e"),
        Ok(std::borrow::Cow::Borrowed(_))
    ));
    assert!(matches!(path("/a/.b"), Ok(std::borrow::Cow::Borrowed(_))));
}

proptest::proptest! {
    #[test]
    fn canonical_is_a_fixed_point(raw in "/[a-z./%2eE5cfé]{0,30}") {
        if let Ok(once) = path(&raw) {
            let twice = path(&once);
            proptest::prop_assert_eq!(twice.as_deref(), Ok(&*once));
            proptest::prop_assert!(!once.split('/').any(|s| s == ".." || s == "."));
        }
    }
}
