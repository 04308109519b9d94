//! `rewrite-target`, `rewrite-path`, `upstream-vhost`.

use api::Kind;

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native::{Rule, UrlRewrite},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const REWRITE: Family = Family {
    name: "rewrite",
    keys: &[
        Key {
            name: "rewrite-target",
            doc: "New path. With $1 to $9 the path is a regular expression and these are its groups; without, it replaces the matched path or prefix. In class nginx every path of the host is a regular expression then, and all of the request's path is replaced.",
            becomes: "Without groups: URLRewrite, `ReplacePrefixMatch` or `ReplaceFullPath`. With groups: RegularExpression path matches and RouteFilter `regexRewrite`. Approximated: rewrite-path is set and wins. Refused: a query or fragment, no leading slash, more than 1,024 characters.",
        },
        Key {
            name: "rewrite-path",
            doc: "Path that replaces the matched prefix, or an exact or regular-expression path as a whole; taken literally, wins over rewrite-target.",
            becomes: "URLRewrite, `ReplacePrefixMatch` or `ReplaceFullPath`. Refused: a query or fragment, no leading slash, more than 1,024 characters.",
        },
        Key {
            name: "upstream-vhost",
            doc: "Host that the backend sees.",
            becomes: "URLRewrite `hostname`. Refused: not a host name.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if let Some(target) = reader.parse("rewrite-target", target) {
        let (effect, message) = if has_captures(&target) {
            let effect = Effect::In(|written| written.has(Kind::RouteFilter));
            (effect, "RouteFilter regexRewrite")
        } else {
            (Effect::Rule(rewrites_path), "URLRewrite path")
        };
        reader.exact("rewrite-target", effect, message);
        settings.rewrite_target = Some(target);
    }
    if let Some(path) = reader.parse("rewrite-path", value::path) {
        let same = settings.rewrite_target.as_ref() == Some(&path);
        let effect = match (same, reader.profile().rewrites_whole_path()) {
            (true, false) => Effect::Default,
            // The other one replaces all of a path.
            (true, true) => Effect::InOrDefault(|written| written.rules().any(rewrites_prefix)),
            (false, _) => Effect::Rule(rewrites_path),
        };
        reader.exact("rewrite-path", effect, "URLRewrite path");
        let message = "rewrite-path is set and wins; whether paths are regular expressions is decided as before";
        reader.say("rewrite-target", Outcome::Approximated, message);
        settings.rewrite_path = Some(path);
    }
    if let Some(host) = reader.parse("upstream-vhost", value::precise_hostname) {
        reader.exact(
            "upstream-vhost",
            Effect::Rule(rewrites_host),
            "URLRewrite hostname",
        );
        settings.rule.hostname = Some(host);
    }
}

fn rewrites(rule: &Rule) -> impl Iterator<Item = &UrlRewrite> {
    let filters = rule.filters.iter().flatten();
    filters.filter_map(|filter| filter.url_rewrite.as_ref())
}

fn rewrites_path(rule: &Rule) -> bool {
    rewrites(rule).any(|rewrite| rewrite.path.is_some())
}

fn rewrites_prefix(rule: &Rule) -> bool {
    let mut paths = rewrites(rule).filter_map(|rewrite| rewrite.path.as_ref());
    paths.any(|path| path.replace_prefix_match.is_some())
}

/// Whether a rule gives its backend another host.
pub(super) fn rewrites_host(rule: &Rule) -> bool {
    rewrites(rule).any(|rewrite| rewrite.hostname.is_some())
}

fn target(text: &str) -> Result<String, String> {
    if text.len() > 1024 || !text.bytes().all(|b| b.is_ascii_graphic()) || text.is_empty() {
        return Err(format!(
            "{text:?} is not a path (1 to 1,024 printable characters)"
        ));
    }
    if !has_captures(text) && !text.starts_with('/') {
        return Err(format!("{text:?} does not begin with a slash"));
    }
    if text.contains(['?', '#']) {
        return Err(format!(
            "{text:?} has a query or fragment; only the path can be rewritten"
        ));
    }
    Ok(text.replace('\\', "$"))
}

/// Whether a target refers to groups: `$1` to `$9`, or `\1` which Higress takes too.
pub(crate) fn has_captures(target: &str) -> bool {
    target
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair[0], b'$' | b'\\') && pair[1].is_ascii_digit())
}
