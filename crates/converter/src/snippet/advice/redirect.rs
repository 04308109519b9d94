//! `return` and `rewrite`, where they send clients elsewhere or change the path.

use super::{super::Directive, has_variable, short};

/// What to write instead of a redirect, an answer or a rewrite.
pub(super) fn instead(directive: &Directive) -> Option<String> {
    match directive.name.as_str() {
        "return" => returned(directive.arg(0), directive.arg(1)),
        "rewrite" => Some(rewritten(directive)),
        _ => None,
    }
}

fn returned(first: &str, second: &str) -> Option<String> {
    if !first.is_empty() && !first.bytes().all(|b| b.is_ascii_digit()) {
        // `return URL;` is 302.
        return Some(redirect(302, first));
    }
    match first.parse().ok()? {
        code @ (301 | 302 | 303 | 307 | 308) => Some(redirect(code, second)),
        code @ 200..=299 => Some(format!("a backend that answers {code}")),
        _ => None,
    }
}

fn redirect(code: u16, url: &str) -> String {
    // A target without path keeps the path of the request, which is what is meant here.
    let target = url
        .strip_suffix("$request_uri")
        .or_else(|| url.strip_suffix("$uri"))
        .unwrap_or(url);
    if target == "https://$host"
        || target == "https://$http_host"
        || target == "https://$server_name"
    {
        return "`ssl-redirect: \"true\"`".to_owned();
    }
    if has_variable(target) {
        return format!(
            "an HTTPRoute with the filter RequestRedirect for {}",
            short(url)
        );
    }
    let target = short(target);
    match code {
        301 => format!("`permanent-redirect: \"{target}\"`"),
        302 => format!("`temporal-redirect: \"{target}\"`"),
        _ => {
            format!("`permanent-redirect: \"{target}\"` and `permanent-redirect-code: \"{code}\"`")
        }
    }
}

/// `rewrite EXPRESSION TARGET [FLAG]`.
fn rewritten(directive: &Directive) -> String {
    let (pattern, target) = (directive.arg(0), directive.arg(1));
    match directive.arg(2) {
        "permanent" => redirect(301, target),
        "redirect" => redirect(302, target),
        _ if target.starts_with("http://") || target.starts_with("https://") => {
            redirect(302, target)
        }
        _ => format!(
            "`rewrite-target: \"{}\"` on a path with the expression {}",
            short(target),
            short(pattern)
        ),
    }
}
