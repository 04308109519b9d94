use proptest::{prelude::*, sample::select};
use regex::Regex;

use super::Pattern;

#[test]
fn patterns_are_anchored_and_bounded() {
    assert!(Pattern::full("a|b").unwrap().is_match("b"));
    assert!(!Pattern::full("a|b").unwrap().is_match("ab"));
    assert!(Pattern::in_path("^/a").unwrap().is_match("/abc"));
    assert!(Pattern::full("a)|(b").is_err());
    let big = Pattern::full(r"\w{1000}{100}").unwrap_err();
    assert!(big.to_string().contains("larger than"), "{big}");
    assert_eq!(
        Pattern::full("(").unwrap_err().to_string(),
        "regular expression \"(\": unclosed group"
    );
}

#[test]
fn patterns_of_paths_mean_the_same_in_ascii() {
    for (pattern, path) in [
        ("/a/(.*)", "/a/b/c"),
        (r"/\w+/[^/]*", "/a_b/%C3%A9"),
        (r"/\p{L}+", "/abc"),
        ("(?i)/A[é]?", "/a"),
        ("/.", "/"),
    ] {
        let [text, path_only] =
            [Pattern::full, Pattern::full_path].map(|new| new(pattern).unwrap());
        assert_eq!(text.is_match(path), path_only.is_match(path), "{pattern}");
    }
    assert!(Pattern::full_path("a)|(b").is_err());
    let replaced = Pattern::in_path("^/v1/(.*)$").unwrap();
    assert_eq!(replaced.replace("/v1/x", "/$1/${1}"), "/x/x");
    assert_eq!(replaced.replace("/v2/x", "/$1"), "/v2/x");
}

#[test]
fn text_that_stands_for_itself_is_not_compiled() {
    for (source, prefix) in [
        ("/a/(.*)", "/a/"),
        ("/a/b", "/a/b"),
        ("^/a/.*$", "/a/"),
        ("/ab|/ac", ""),
        ("/a*", "/"),
        ("(/a)/b", ""),
        ("(?i)/ab", "/"),
        ("a|b", ""),
        // What follows looks back.
        (r"/a\b.*", ""),
        ("/a^b", ""),
        ("/é/.*", ""),
    ] {
        let pattern = Pattern::full_path(source).unwrap();
        assert_eq!(&*pattern.0.prefix, prefix, "{source}");
    }
    for (source, compiled) in [
        ("/a", false),
        ("(?:/a).*", false),
        ("^/a/.*$", false),
        ("/a$", false),
        ("/a/(.*)", true),
        ("/a.+", true),
        ("/a(?s:.*)", true),
    ] {
        let pattern = Pattern::full_path(source).unwrap();
        assert_eq!(pattern.0.rest.regex().is_some(), compiled, "{source}");
    }
}

const SOURCES: &[&str] = &[
    "/a/(.*)",
    "^/a/b$",
    "/a(/|$)(.*)",
    "/ab|/ac(b*)",
    "/a+(b?)",
    "(/a)/b",
    "(?i)/a/(?<rest>.*)",
    r"/a\b(.*)",
    "/a^b",
    "/a$|/ab",
    "(?m)/a$",
    "(?:/a).*",
    "/a.*$",
    "/ab",
    "/a(?s:.*)",
    "(?:/a){1,2}(.*?)b*",
    "/a/?(?P<x>[^/]+)?",
    "",
    "/",
    "(?s).*b",
    "(?x) /a / (b)",
];

proptest! {
    #[test]
    fn a_pattern_means_what_it_means_as_a_whole(
        source in select(SOURCES),
        text in "/a[/abA\n]{0,5}",
        replacement in select(&["/new/$1", "$0$2", "${0}x$1", "$rest${x}", "$$0", "plain"][..]),
    ) {
        let whole = Regex::new(&format!("^(?:{source})$")).unwrap();
        let pattern = Pattern::full_path(source).unwrap();
        prop_assert_eq!(pattern.is_match(&text), whole.is_match(&text));
        prop_assert_eq!(pattern.replace(&text, replacement), whole.replace(&text, replacement));
        prop_assert_eq!(pattern.group_count(), whole.captures_len());
        let groups = whole.captures(&text);
        prop_assert_eq!(pattern.groups(&text).is_some(), groups.is_some());
        if let (Some(groups), Some(ours)) = (groups, pattern.groups(&text)) {
            for at in 0..whole.captures_len() {
                let wanted = groups.get(at).map_or("", |group| group.as_str());
                prop_assert_eq!(ours.get(u16::try_from(at).unwrap()), wanted);
            }
        }
    }
}
