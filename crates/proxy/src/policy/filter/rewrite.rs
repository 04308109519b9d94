//! Path rewriting.

use std::borrow::Cow;

use ir::PathRewrite;

/// The path after the change. It is canonical again: a rewrite must not make `/../` out of what a capture held.
#[must_use]
pub fn rewrite<'a>(change: &'a PathRewrite, path: &'a str) -> Cow<'a, str> {
    match change {
        PathRewrite::Full(full) => Cow::Borrowed(full),
        PathRewrite::Prefix {
            matched,
            replacement,
        } => match path.split_at_checked(matched.len()) {
            // The rule matched this prefix, maybe whatever its case: what it meant then is what goes now.
            Some((head, rest)) if head.eq_ignore_ascii_case(matched) => {
                clean(join(replacement, rest))
            }
            _ => Cow::Borrowed(path),
        },
        PathRewrite::Regex {
            pattern,
            replacement,
        } => match pattern.replace(path, replacement) {
            Cow::Borrowed(same) => Cow::Borrowed(same),
            Cow::Owned(new) => clean(if new.starts_with('/') {
                new
            } else {
                format!("/{new}")
            }),
        },
    }
}

/// Exactly one slash between the two parts; nothing at all is `/`.
fn join(replacement: &str, rest: &str) -> String {
    let head = replacement.trim_end_matches('/');
    match (head, rest) {
        ("", "") => "/".to_owned(),
        (_, "") => replacement.to_owned(),
        (_, rest) if rest.starts_with('/') => format!("{head}{rest}"),
        (_, rest) => format!("{head}/{rest}"),
    }
}

fn clean(path: String) -> Cow<'static, str> {
    let legal = escape(path);
    Cow::Owned(match ir::canonical_path(&legal) {
        Ok(path) => path.into_owned(),
        // What cannot be read in one way only is sent nowhere but to the root's resolution.
        Err(ir::BadPath) => ir::resolve_dots(&legal.replace(['%', '\\'], "")),
    })
}

/// Escapes what may not stand in a path: a substitution may hold anything.
fn escape(path: String) -> String {
    let illegal = |b: u8| {
        b <= 0x20 || b >= 0x7f || matches!(b, b'?' | b'#' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}')
    };
    if !path.bytes().any(illegal) {
        return path;
    }
    let mut out = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        if illegal(byte) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ir::{PathRewrite, Pattern};

    use super::rewrite;

    fn prefix(matched: &str, replacement: &str, path: &str) -> String {
        rewrite(
            &PathRewrite::Prefix {
                matched: matched.into(),
                replacement: replacement.into(),
            },
            path,
        )
        .into_owned()
    }

    fn regex(pattern: &str, replacement: &str, path: &str) -> String {
        let pattern = Pattern::full(pattern).unwrap();
        rewrite(
            &PathRewrite::Regex {
                pattern,
                replacement: replacement.into(),
            },
            path,
        )
        .into_owned()
    }

    #[test]
    fn prefixes() {
        assert_eq!(prefix("/v1", "/v2", "/v1/app"), "/v2/app");
        assert_eq!(prefix("/v1", "/v2", "/v1"), "/v2");
        assert_eq!(prefix("/v1", "", "/v1/app"), "/app");
        assert_eq!(prefix("/v1", "", "/v1"), "/");
        assert_eq!(prefix("/v1", "", "/v1/"), "/");
        assert_eq!(prefix("", "/dev", "/abc"), "/dev/abc");
        assert_eq!(prefix("/v1", "/v2/", "/v1"), "/v2/");
        assert_eq!(prefix("/v1", "/v2/", "/v1/a"), "/v2/a");
        assert_eq!(prefix("/Shop", "/", "/sHOP/Cart"), "/Cart");
        assert_eq!(prefix("/shop", "/", "/shö"), "/shö");
    }

    #[test]
    fn expressions() {
        assert_eq!(regex("/v1(/|$)(.*)", "/$2", "/v1/app"), "/app");
        assert_eq!(regex("/v1(/|$)(.*)", "/$2", "/v1"), "/");
        assert_eq!(regex("/v1(/|$)(.*)", "/v2/$2", "/v1/app"), "/v2/app");
        assert_eq!(
            regex("/v1(/|$)(.*)", "/$2", "/v2/app"),
            "/v2/app",
            "no match, no change"
        );
        assert_eq!(
            regex("/a/(.*)", "$1", "/a/b"),
            "/b",
            "a leading slash is put there"
        );
    }

    #[test]
    fn rewrites_cannot_climb_or_break_out() {
        assert_eq!(regex("/a/(.*)", "/b/../$1", "/a/c"), "/c");
        assert_eq!(regex("/a/(.)(.)/(.*)", "/$1$2/$3", "/a/../x"), "/x");
        assert_eq!(regex("/a", "/b?c=d e", "/a"), "/b%3Fc=d%20e");
    }
}
