//! `rewrite-target`, `rewrite-path`, `upstream-vhost`.

use api::{Kind, RouteFilterSpec};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    effect::Written,
    native::{Rule, UrlRewrite},
    note::Outcome,
    profile::Profile,
    value,
    variable::{self, Location, Scope, Texts},
};

/// See [`Family`].
pub(super) const REWRITE: Family = Family {
    name: "rewrite",
    keys: &[
        Key {
            name: "rewrite-target",
            doc: "New path. With $1 to $9 the path is a regular expression and these are its groups; without, it replaces the matched path or prefix. In class nginx every path of the host is a regular expression then, and all of the request's path is replaced, unless the target is the path itself; a query goes before the request's own (in its place where the target ends in ?), a URL is redirected to with 302, and variables and named groups have their values.",
            becomes: "Without groups: URLRewrite, `ReplacePrefixMatch` or `ReplaceFullPath`. With groups: RegularExpression path matches and RouteFilter `regexRewrite`. In class nginx also RouteFilter `rewrite` and `redirect`. Approximated: rewrite-path or a redirect is set and wins; with groups, no leading slash, and one is put before it. Refused: a fragment, no leading slash, more than 1,024 characters, a variable that has no value here; but for class nginx a query, too.",
        },
        Key {
            name: "rewrite-path",
            doc: "Path that replaces the matched prefix, or an exact or regular-expression path as a whole; taken literally, wins over rewrite-target.",
            becomes: "URLRewrite, `ReplacePrefixMatch` or `ReplaceFullPath`. Refused: a query or fragment, no leading slash, more than 1,024 characters.",
        },
        Key {
            name: "upstream-vhost",
            doc: "Host that the backend sees; in class nginx with a port or without, and with variables.",
            becomes: "URLRewrite `hostname`, or RouteFilter `rewrite.host`. Refused: not a host name; a variable that has no value here.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if reader.profile() == Profile::Nginx {
        nginx(reader, settings);
    } else if let Some(target) = reader.parse("rewrite-target", target) {
        let (effect, message) = if has_captures(&target) {
            let effect = Effect::In(|written| written.has(Kind::RouteFilter));
            (effect, "RouteFilter regexRewrite")
        } else {
            (Effect::Rule(rewrites_path), "URLRewrite path")
        };
        match target.starts_with(['/', '$']) {
            true => reader.exact("rewrite-target", effect, message),
            false => {
                let message = format!("{message}; {}, so one is put before it", no_slash(&target));
                reader.close_to("rewrite-target", effect, message);
            }
        }
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
    let scope = reader.scope("upstream-vhost");
    let is_nginx = reader.profile() == Profile::Nginx;
    let host = reader.parse("upstream-vhost", |text| {
        vhost(text, is_nginx.then_some(&scope))
    });
    match host {
        Some(Vhost::Name(host)) => {
            let effect = Effect::Rule(rewrites_host);
            reader.exact("upstream-vhost", effect, "URLRewrite hostname");
            settings.rule.hostname = Some(host);
        }
        Some(Vhost::Text(host)) => {
            let effect = Effect::In(|written| {
                let mut rewrites = written
                    .route_filters()
                    .filter_map(|filter| filter.rewrite.as_ref());
                rewrites.any(|rewrite| rewrite.host.is_some())
            });
            reader.exact("upstream-vhost", effect, "RouteFilter rewrite.host");
            settings.texts_mut().host = Some(host);
        }
        None => {}
    }
}

/// The Host that a backend sees.
enum Vhost {
    Name(String),
    /// With variables or a port.
    Text(String),
}

/// `scope` is that of class nginx.
fn vhost(text: &str, scope: Option<&Scope>) -> Result<Vhost, String> {
    let name = value::precise_hostname(text);
    match (name, scope) {
        (Ok(name), _) => Ok(Vhost::Name(name)),
        (Err(why), None) => Err(why),
        (Err(_), Some(scope)) => {
            variable::check(text, scope)?;
            variable::check_host(text)?;
            Ok(Vhost::Text(text.to_owned()))
        }
    }
}

/// `rewrite-target` as class nginx reads it.
fn nginx(reader: &mut Reader<'_>, settings: &mut Settings) {
    const KEY: &str = "rewrite-target";
    let scope = reader.scope(KEY);
    let Some((target, texts)) = reader.parse(KEY, |text| nginx_target(text, &scope)) else {
        return;
    };
    let (effect, message) = if reader.has_only_path(&target) {
        (Effect::Default, "no rewrite: the target is the path itself")
    } else if texts.location.is_some() {
        let message = "RouteFilter redirect with 302, behind which the request's query follows";
        (
            Effect::In(|written| filters(written, |filter| filter.redirect.is_some())),
            message,
        )
    } else if texts.path.is_some() {
        (
            Effect::In(|written| filters(written, |filter| filter.rewrite.is_some())),
            "RouteFilter rewrite",
        )
    } else if has_captures(&target) {
        (
            Effect::In(|written| written.has(Kind::RouteFilter)),
            "RouteFilter regexRewrite",
        )
    } else {
        (Effect::Rule(rewrites_path), "URLRewrite path")
    };
    reader.exact(KEY, effect, message);
    if texts != Texts::default() {
        settings.texts = Some(Box::new(texts));
    }
    settings.rewrite_target = Some(target);
}

fn filters(written: &Written<'_>, is: fn(&RouteFilterSpec) -> bool) -> bool {
    written.route_filters().any(is)
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

/// A target of nginx' directive `rewrite`: a URL to redirect to, or a path with a query or without; a question mark at
/// the end drops the request's own query.
fn nginx_target(text: &str, scope: &Scope) -> Result<(String, Texts), String> {
    printable(text)?;
    variable::check(text, scope)?;
    let mut texts = Texts::default();
    let (bare, drops_query) = match text.strip_suffix('?') {
        Some(bare) => (bare, true),
        None => (text, false),
    };
    if variable::is_absolute(text) {
        variable::check_location(bare)?;
        texts.location = Some(Location {
            url: bare.to_owned(),
            code: 302,
            keeps_query: !drops_query,
        });
        return Ok((text.to_owned(), texts));
    }
    if text.contains('#') {
        return Err(format!("{text:?} has a fragment, which no backend is sent"));
    }
    if !bare.starts_with(['/', '$']) {
        return Err(format!("{text:?} does not begin with a slash"));
    }
    if text.contains('?') || variable::has_names(text) {
        let (path, query) = match bare.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (bare, None),
        };
        texts.path = Some(path.to_owned());
        texts.query = query;
        texts.drops_query = drops_query;
    }
    Ok((text.to_owned(), texts))
}

fn printable(text: &str) -> Result<(), String> {
    if text.len() > 1024 || !text.bytes().all(|b| b.is_ascii_graphic()) || text.is_empty() {
        return Err(format!(
            "{text:?} is not a path (1 to 1,024 printable characters)"
        ));
    }
    Ok(())
}

fn target(text: &str) -> Result<String, String> {
    printable(text)?;
    if !has_captures(text) && !text.starts_with('/') {
        return Err(no_slash(text));
    }
    if text.contains(['?', '#']) {
        return Err(format!(
            "{text:?} has a query or fragment; only the path can be rewritten"
        ));
    }
    Ok(text.replace('\\', "$"))
}

/// What is wrong with a target that is no path for certain.
fn no_slash(text: &str) -> String {
    let instead = match variable::is_absolute(text) {
        true => " (permanent-redirect and temporal-redirect send clients to a URL)",
        false => "",
    };
    format!("{text:?} does not begin with a slash{instead}")
}

/// Whether a target refers to groups: `$1` to `$9`, or `\1` which Higress takes too.
pub(crate) fn has_captures(target: &str) -> bool {
    target
        .as_bytes()
        .windows(2)
        .any(|pair| matches!(pair[0], b'$' | b'\\') && pair[1].is_ascii_digit())
}
