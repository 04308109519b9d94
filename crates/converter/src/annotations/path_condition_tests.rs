use super::{Joined, PathRule, Settings, literal_start};
use crate::ingress::PathKind;

fn exact(text: &str) -> PathKind {
    PathKind::Exact(text.to_owned())
}

fn starting(text: &str) -> PathKind {
    PathKind::StringPrefix(text.to_owned())
}

fn expression(text: &str) -> PathKind {
    PathKind::Regex(text.to_owned())
}

fn join(rule: PathRule, kind: &PathKind) -> Joined {
    rule.join(kind, &Settings::default())
}

#[test]
fn an_exact_condition() {
    let rule = || PathRule::Exact("/a/b".to_owned());
    let narrowed = Joined::Other(exact("/a/b"));
    assert_eq!(join(rule(), &exact("/a/b")), Joined::Same);
    assert_eq!(join(rule(), &exact("/a")), Joined::Nothing);
    for prefix in ["/", "/a", "/a/b/"] {
        assert_eq!(
            join(rule(), &PathKind::prefix(prefix)),
            narrowed,
            "{prefix}"
        );
    }
    for prefix in ["/a/bc", "/a/b/c", "/b"] {
        assert_eq!(
            join(rule(), &PathKind::prefix(prefix)),
            Joined::Nothing,
            "{prefix}"
        );
    }
    assert_eq!(join(rule(), &starting("/a/")), narrowed);
    assert_eq!(join(rule(), &expression("/a/.*")), narrowed);
    assert_eq!(join(rule(), &expression("/b/.*")), Joined::Nothing);
}

#[test]
fn a_condition_on_the_beginning() {
    let rule = |text: &str| PathRule::Prefix(text.to_owned());
    assert_eq!(join(rule("/a"), &exact("/ab")), Joined::Same);
    assert_eq!(join(rule("/ab"), &exact("/a")), Joined::Nothing);
    for wider in ["/", "/f", "/foo"] {
        assert_eq!(
            join(rule(wider), &PathKind::prefix("/foo")),
            Joined::Same,
            "{wider}"
        );
    }
    let below = Joined::Other(starting("/foo/b"));
    assert_eq!(join(rule("/foo/b"), &PathKind::prefix("/foo")), below);
    assert_eq!(join(rule("/foo/b"), &PathKind::prefix("/")), below);
    assert_eq!(join(rule("/foo/b"), &starting("/fo")), below);
    let slash = Joined::Other(expression("/foo/.*"));
    assert_eq!(join(rule("/foo/"), &PathKind::prefix("/foo")), slash);
    for beside in ["/food", "/bar"] {
        assert_eq!(
            join(rule(beside), &PathKind::prefix("/foo")),
            Joined::Nothing,
            "{beside}"
        );
    }
    assert!(matches!(
        join(rule("/"), &expression("/a")),
        Joined::Unclear(_)
    ));
}

#[test]
fn an_expression() {
    let rule = |text: &str| PathRule::Regex(text.to_owned());
    assert_eq!(join(rule("/a|/b"), &exact("/b")), Joined::Same);
    assert_eq!(join(rule("/a|/b"), &exact("/ab")), Joined::Nothing);
    let own = |text: &str| Joined::Other(expression(text));
    assert_eq!(
        join(rule("/v[12]/.*"), &PathKind::prefix("/")),
        own("/v[12]/.*")
    );
    assert_eq!(
        join(rule("/api/v[12]"), &PathKind::prefix("/api")),
        own("/api/v[12]")
    );
    assert_eq!(
        join(rule("/api/v[12]"), &starting("/api/")),
        own("/api/v[12]")
    );
    for beside in ["/apis/v[12]", "/b.*"] {
        assert_eq!(
            join(rule(beside), &PathKind::prefix("/api")),
            Joined::Nothing,
            "{beside}"
        );
    }
    for unclear in ["/api.*", ".*", "/(api|b)/.*", "/a.*"] {
        let joined = join(rule(unclear), &PathKind::prefix("/api"));
        assert!(
            matches!(joined, Joined::Unclear(_)),
            "{unclear}: {joined:?}"
        );
    }
}

#[test]
fn what_is_rewritten_or_matches_in_any_case_is_not_joined() {
    let rule = PathRule::Prefix("/foo/b".to_owned());
    let settings = Settings {
        rewrite_target: Some("/x".to_owned()),
        ..Settings::default()
    };
    let foo = PathKind::prefix("/foo");
    assert!(matches!(rule.join(&foo, &settings), Joined::Unclear(_)));
    assert_eq!(rule.join(&exact("/foo/bar"), &settings), Joined::Same);
    let mut settings = Settings::default();
    settings.route_policy_mut().ignore_path_case = Some(true);
    assert!(matches!(
        rule.join(&exact("/foo/bar"), &settings),
        Joined::Unclear(_)
    ));
}

#[test]
fn beginnings_of_expressions() {
    for (pattern, start) in [
        ("/api/v[12]", "/api/v"),
        ("^/a(/b)c?", "/a/b"),
        ("/a|/b", ""),
        ("(?i)/a", "/"),
        (".*", ""),
        ("(", ""),
    ] {
        assert_eq!(literal_start(pattern), start, "{pattern}");
    }
}
