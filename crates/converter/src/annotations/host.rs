//! What an Ingress says about its hosts as a whole: `app-root`, `server-alias`, `from-to-www-redirect`.

use api::TemplateRedirect;

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native::{self, RequestRedirect, Rule},
    profile::Profile,
    value,
    variable::{self, Scope},
};

/// See [`Family`].
pub(super) const HOST: Family = Family {
    name: "host",
    keys: &[
        Key {
            name: "app-root",
            doc: "Path that exactly / of the hosts is redirected to, with 302; in class nginx with query, fragment and variables as they are written, and without the request's query. Of several Ingresses of a host the newest wins.",
            becomes: "Match of exactly / with RequestRedirect 302, in class nginx with RouteFilter `redirect`. Approximated: a newer Ingress of the host has it too, or the host has a rule for exactly /. Refused: not a path; a variable that has no value here.",
        },
        Key {
            name: "server-alias",
            doc: "Further hosts, separated by commas, for all rules of the Ingress' first host. One that an Ingress has rules for is refused.",
            becomes: "An HTTPRoute for each alias. Approximated: with several hosts the aliases are for the first. Refused: a host that an Ingress has rules for or that is an alias already; not a host name.",
        },
        Key {
            name: "from-to-www-redirect",
            doc: "true: www.HOST is redirected to HOST, or HOST to www.HOST, with 308: to the one that has rules.",
            becomes: "An HTTPRoute for the other host with RequestRedirect 308. Approximated: not where both hosts have rules.",
        },
    ],
    apply,
};

/// What the family asks for, with the annotation that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostSettings {
    /// A path.
    pub(crate) app_root: Option<(String, String)>,
    /// Hosts in lower case.
    pub(crate) aliases: Option<(String, Vec<String>)>,
    pub(crate) www: Option<String>,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let canary = settings.canary.is_some();
    let host = &mut settings.host;
    let scope = reader.scope("app-root");
    let nginx = reader.profile() == Profile::Nginx;
    let path = reader.parse("app-root", |text| match nginx {
        true => root(text, &scope),
        false => value::path(text),
    });
    if let Some(path) = path {
        if nginx {
            let effect = Effect::In(|written| {
                let mut filters = written.route_filters();
                filters.any(|filter| filter.redirect.as_ref().is_some_and(|to| leads_to_root(to)))
            });
            let message = "RouteFilter redirect with 302 from exactly /";
            reader.exact("app-root", effect, message);
        } else {
            let effect = Effect::In(|written| {
                let app_root = written.source.settings.host.app_root.as_ref();
                let root = app_root.map(|(_, path)| native::full_path(path));
                let leads = |to: &RequestRedirect| to.status_code == Some(302) && to.path == root;
                written.rules().any(|rule| redirects(rule).any(leads))
            });
            reader.exact("app-root", effect, "RequestRedirect 302 from exactly /");
        }
        host.app_root = reader.key("app-root").map(|key| (key, path));
    }
    if let Some(aliases) = reader.parse("server-alias", aliases) {
        let effect = Effect::In(|written| {
            let aliases = written.source.settings.host.aliases.as_ref();
            let mut names = aliases.iter().flat_map(|(_, names)| names);
            names.any(|name| {
                let mut hosts = written
                    .routes()
                    .flat_map(|route| route.spec.hostnames.iter().flatten());
                hosts.any(|host| host == name)
            })
        });
        let message = "hostnames of their own, with the same rules";
        reader.exact("server-alias", effect, message);
        host.aliases = reader.key("server-alias").map(|key| (key, aliases));
    }
    match reader.parse("from-to-www-redirect", value::boolean) {
        Some(true) => {
            let effect = Effect::In(|written| {
                let hosts = &written.source.hosts;
                let known = |name: &String| hosts.iter().any(|host| **host == **name);
                let leads = |to: &RequestRedirect| to.hostname.as_ref().is_some_and(known);
                written.rules().any(|rule| redirects(rule).any(leads))
            });
            let message = "RequestRedirect 308 to the host that has rules";
            reader.exact("from-to-www-redirect", effect, message);
            host.www = reader.key("from-to-www-redirect");
        }
        Some(false) => reader.exact("from-to-www-redirect", Effect::Default, "off"),
        None => {}
    }
    if canary {
        settings.host = HostSettings::default();
    }
}

fn redirects(rule: &Rule) -> impl Iterator<Item = &RequestRedirect> {
    let filters = rule.filters.iter().flatten();
    filters.filter_map(|filter| filter.request_redirect.as_ref())
}

/// Whether a redirect is what an `app-root` of class nginx becomes.
fn leads_to_root(to: &TemplateRedirect) -> bool {
    to.location.starts_with("${scheme}://${http_host}/") && to.status_code == Some(302)
}

/// What class nginx puts behind scheme and host, with its variables.
fn root(text: &str, scope: &Scope) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("{text:?} does not begin with a slash"));
    }
    variable::check(text, scope)?;
    variable::check_location(text)?;
    Ok(text.to_owned())
}

fn aliases(text: &str) -> Result<Vec<String>, String> {
    let hosts = value::list(text);
    if hosts.is_empty() {
        return Err("names no host".to_owned());
    }
    hosts
        .into_iter()
        .map(|host| {
            let lower = host.to_ascii_lowercase();
            let bare = lower.strip_prefix("*.").unwrap_or(&lower);
            value::precise_hostname(bare)
                .map(|_| lower.clone())
                .map_err(|_| format!("{host:?} is not a host name, nor a wildcard such as *.example.com; no alias is served"))
        })
        .collect()
}
