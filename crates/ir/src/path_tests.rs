use super::{EscapedSlashes, Paths, canonical_path as path};

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

/// Raw path, and what it is: with merged slashes; with escaped slashes undone; as nginx reads it.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const READ: &[Row] = &[
    ("/admin", "/admin", "/admin", Some("/admin")),
    ("//admin", "/admin", "//admin", Some("/admin")),
    ("/.//admin", "/admin", "//admin", Some("/admin")),
    ("/admin%2fx", "/admin%2Fx", "/admin/x", Some("/admin/x")),
    ("/admin%2F", "/admin%2F", "/admin/", Some("/admin/")),
    ("%2fadmin", "/%2Fadmin", "/admin", Some("/admin")),
    ("/%2fadmin", "/%2Fadmin", "//admin", Some("/admin")),
    ("/x/..%2fadmin", "/x/..%2Fadmin", "/admin", Some("/admin")),
    (
        "/x%2f..%2fadmin",
        "/x%2F..%2Fadmin",
        "/admin",
        Some("/admin"),
    ),
    (
        "/x%2f%2e%2e/admin",
        "/x%2F../admin",
        "/admin",
        Some("/admin"),
    ),
    (
        "/x/%2e%2e%2f%2fadmin",
        "/x/..%2F%2Fadmin",
        "//admin",
        Some("/admin"),
    ),
    ("/a//../b", "/b", "/a/b", Some("/b")),
    ("/a/.//../b", "/b", "/a/b", Some("/b")),
    ("/a/b/..//c", "/a/c", "/a//c", Some("/a/c")),
    ("///", "/", "///", Some("/")),
    ("/a//", "/a/", "/a//", Some("/a/")),
    ("/a//.", "/a/", "/a//", Some("/a/")),
    // An escape is undone once.
    (
        "/admin%252fx",
        "/admin%252fx",
        "/admin%252fx",
        Some("/admin%252fx"),
    ),
    (
        "/%252e%252e/a",
        "/%252e%252e/a",
        "/%252e%252e/a",
        Some("/%252e%252e/a"),
    ),
    // Reserved characters have one spelling as nginx reads them.
    (
        "/%24metadata",
        "/%24metadata",
        "/%24metadata",
        Some("/$metadata"),
    ),
    (
        "/a%3Bb%40c%3a",
        "/a%3Bb%40c%3A",
        "/a%3Bb%40c%3A",
        Some("/a;b@c:"),
    ),
    ("/a|b", "/a|b", "/a|b", Some("/a%7Cb")),
    ("/a%7cb", "/a%7Cb", "/a%7Cb", Some("/a%7Cb")),
    (
        "/a%3f%23%25%20",
        "/a%3F%23%25%20",
        "/a%3F%23%25%20",
        Some("/a%3F%23%25%20"),
    ),
    ("/a;b/..;/c", "/a;b/..;/c", "/a;b/..;/c", Some("/a;b/..;/c")),
    ("/admin.", "/admin.", "/admin.", Some("/admin.")),
    ("/...", "/...", "/...", Some("/...")),
    (
        "/%c3%a9/é",
        "/%C3%A9/%C3%A9",
        "/%C3%A9/%C3%A9",
        Some("/%C3%A9/%C3%A9"),
    ),
];

const MERGED: Paths = Paths {
    merge_slashes: true,
    escaped_slashes: EscapedSlashes::Keep,
    decoded: false,
};

const SLASHES: Paths = Paths {
    merge_slashes: false,
    escaped_slashes: EscapedSlashes::Decode,
    decoded: false,
};

#[test]
fn more_is_read_as_one_where_that_is_asked_for() {
    for (raw, merged, slashes, decoded) in READ {
        let read = |paths: Paths| paths.read(raw).map(|read| read.path.into_owned());
        assert_eq!(read(MERGED).as_deref(), Ok(*merged), "{raw} merged");
        assert_eq!(read(SLASHES).as_deref(), Ok(*slashes), "{raw} slashes");
        let got = read(Paths::DECODED).ok();
        assert_eq!(got.as_deref(), *decoded, "{raw} decoded");
    }
    for raw in ["/a%00", "/a%5c", "/a\\b", "/a%0d%0a", "/a%zz", "/a%2"] {
        assert_eq!(Paths::DECODED.read(raw), Err(super::BadPath), "{raw}");
    }
}

#[test]
fn escaped_slashes_can_be_refused() {
    let refuse = Paths {
        escaped_slashes: EscapedSlashes::Refuse,
        ..Paths::DECODED
    };
    for (raw, refused) in [
        ("/a%2fb", true),
        ("/a%2F", true),
        ("/a%252f", false),
        ("/a/b", false),
    ] {
        assert_eq!(refuse.read(raw).is_err(), refused, "{raw}");
    }
}

#[test]
fn dot_segments_are_told() {
    for (raw, dots) in [
        ("/a/b", false),
        ("//a%2fb", false),
        ("/.well-known", false),
        ("/a/./b", true),
        ("/a%2f..%2fb", true),
        ("/a/%2e%2E", true),
        ("/a%252f..%252fb", false),
    ] {
        assert_eq!(Paths::DECODED.read(raw).unwrap().dots, dots, "{raw}");
    }
}

#[test]
fn the_safe_side_of_two_wins() {
    let refuse = Paths {
        escaped_slashes: EscapedSlashes::Refuse,
        ..Paths::default()
    };
    let both = Paths::DECODED.and(refuse);
    assert_eq!(both, refuse.and(Paths::DECODED));
    assert_eq!(
        both,
        Paths {
            escaped_slashes: EscapedSlashes::Refuse,
            ..Paths::DECODED
        }
    );
    assert!(Paths::default().and(Paths::default()).is_default());
}

/// Any way of reading paths.
fn any_paths() -> impl proptest::strategy::Strategy<Value = Paths> {
    use proptest::prelude::*;
    let slashes = prop_oneof![
        Just(EscapedSlashes::Keep),
        Just(EscapedSlashes::Decode),
        Just(EscapedSlashes::Refuse),
    ];
    (any::<bool>(), slashes, any::<bool>()).prop_map(|(merge_slashes, escaped_slashes, decoded)| {
        Paths {
            merge_slashes,
            escaped_slashes,
            decoded,
        }
    })
}

proptest::proptest! {
    #[test]
    fn what_was_read_reads_as_itself(raw in "/[a./%2eE5cfF$;|é]{0,30}", paths in any_paths()) {
        if let Ok(once) = paths.read(&raw) {
            let twice = paths.read(&once.path).map(|read| read.path);
            proptest::prop_assert_eq!(twice.as_deref(), Ok(&*once.path));
            proptest::prop_assert!(!once.path.split('/').any(|s| s == ".." || s == "."));
            proptest::prop_assert!(!paths.merge_slashes || !once.path.contains("//"));
            let escaped = once.path.contains("%2F");
            proptest::prop_assert!(!escaped || paths.escaped_slashes == EscapedSlashes::Keep);
        }
    }
}
