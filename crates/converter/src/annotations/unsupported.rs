//! Annotations that are known but not done yet. Each leaves this list when its family comes.

use super::{Family, Key, Reader, Settings};
use crate::note::Outcome;

/// See [`Family`].
pub(super) const UNSUPPORTED: Family = Family {
    name: "unsupported",
    keys: KEYS,
    apply,
};

macro_rules! keys {
    ($($name:literal: $doc:literal,)*) => { &[$(Key { name: $name, doc: $doc }),*] };
}

const KEYS: &[Key] = keys! {
    "route-limit-rpm": "Requests a minute for each path of the Ingress and gateway instance.",
    "route-limit-rps": "Requests a second for each path of the Ingress and gateway instance.",
    "route-limit-burst-multiplier": "Burst as a multiple of the limit. Default 5.",
    "backend-protocol": "HTTP, HTTP2, HTTPS, GRPC or GRPCS towards the backend.",
    "load-balance": "round_robin, least_conn or random.",
    "upstream-hash-by": "Consistent hash by $request_uri, $host, $remote_addr, $http_NAME or $arg_NAME.",
    "affinity": "cookie: requests with the same cookie go to the same endpoint.",
    "affinity-mode": "Only balanced: the cookie decides.",
    "session-cookie-name": "Name of the affinity cookie. Default INGRESSCOOKIE.",
    "session-cookie-path": "Path of the affinity cookie. Default /.",
    "session-cookie-max-age": "Lifetime of the affinity cookie in seconds.",
    "session-cookie-expires": "Lifetime of the affinity cookie in seconds, if max-age is absent.",
    "auth-tls-secret": "CA that client certificates must chain to.",
    "proxy-ssl-secret": "Certificate that the gateway shows to the backend.",
    "proxy-ssl-name": "Server name towards the backend.",
    "proxy-ssl-server-name": "on or off: whether to send the server name.",
    "proxy-ssl-verify": "on or off: whether to verify the backend's certificate.",
    "tls-min-protocol-version": "Lowest TLS version of the host.",
    "tls-max-protocol-version": "Highest TLS version of the host.",
    "ssl-cipher": "Cipher suites of the host for TLS 1.2.",
    "app-root": "Path that / of the host is redirected to.",
    "use-regex": "true: paths are regular expressions.",
    "full-path-regex": "true: paths are regular expressions for the whole path.",
    "rewrite-path": "Path that replaces the matched path or prefix.",
    "ignore-path-case": "true: paths match whatever their case.",
    "match-method": "Methods, separated by blanks.",
    "whitelist-source-range": "Networks that may ask.",
    "denylist-source-range": "Networks that may not ask.",
    "default-backend": "Service that answers when the backend has no endpoints.",
    "custom-http-errors": "Statuses that the default backend answers instead.",
    "mirror-target-service": "Service that gets a copy of each request.",
    "mirror-percentage": "Share of requests that are copied.",
    "mirror-target-fqdn": "Name of a host that gets a copy of each request.",
    "mirror-target-fqdn-port": "Port of that host. Default 80.",
    "destination": "Weighted destinations outside the cluster.",
    "rpc-destination-name": "Http2Rpc object for calls to Dubbo.",
    "mcp-sse-stateful-param-name": "Query parameter of the MCP session.",
    "mcp-server": "true: registers an MCP server.",
    "mcp-server-match-rule-domains": "Domains of the MCP server.",
    "mcp-server-match-rule-type": "Match type of the MCP server.",
    "mcp-server-match-rule-value": "Match value of the MCP server.",
    "mcp-server-upstream-type": "rest, sse or streamable.",
    "mcp-server-enable-path-rewrite": "true: rewrites the path of the MCP server.",
    "mcp-server-path-rewrite-prefix": "Prefix of that rewrite.",
    "auth-type": "basic: user name and password.",
    "auth-secret": "Secret with users and passwords.",
    "auth-secret-type": "auth-file or auth-map.",
    "auth-realm": "Realm shown in the password prompt.",
};

/// Keys that carry a name of the user's in them.
const PREFIXES: &[&str] = &[
    "exact-match-header-",
    "prefix-match-header-",
    "regex-match-header-",
    "exact-match-pseudo-header-",
    "prefix-match-pseudo-header-",
    "regex-match-pseudo-header-",
    "exact-match-query-",
    "prefix-match-query-",
    "regex-match-query-",
];

fn apply(reader: &mut Reader<'_>, _: &mut Settings) {
    for key in KEYS {
        reader.say(
            key.name,
            Outcome::NotSupportedYet,
            "known, but this version does not do it yet",
        );
    }
    reader.say_prefixed(
        PREFIXES,
        Outcome::NotSupportedYet,
        "known, but this version does not do it yet",
    );
}
