//! What an Ingress says about its hosts as a whole: `app-root`, `server-alias`, `from-to-www-redirect`.

use super::{Family, Key, Reader, Settings};
use crate::value;

/// See [`Family`].
pub(super) const HOST: Family = Family {
    name: "host",
    keys: &[
        Key {
            name: "app-root",
            doc: "Path that exactly / of the hosts is redirected to, with 302. Of several Ingresses of a host the newest wins.",
            becomes: "Match of exactly / with RequestRedirect 302. Approximated: a newer Ingress of the host has it too, or the host has a rule for exactly /. Refused: not a path.",
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
    if let Some(path) = reader.parse("app-root", value::path) {
        reader.exact("app-root", "RequestRedirect 302 from exactly /");
        host.app_root = reader.key("app-root").map(|key| (key, path));
    }
    if let Some(aliases) = reader.parse("server-alias", aliases) {
        reader.exact(
            "server-alias",
            "hostnames of their own, with the same rules",
        );
        host.aliases = reader.key("server-alias").map(|key| (key, aliases));
    }
    match reader.parse("from-to-www-redirect", value::boolean) {
        Some(true) => {
            reader.exact(
                "from-to-www-redirect",
                "RequestRedirect 308 to the host that has rules",
            );
            host.www = reader.key("from-to-www-redirect");
        }
        Some(false) => reader.exact("from-to-www-redirect", "off"),
        None => {}
    }
    if canary {
        settings.host = HostSettings::default();
    }
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
