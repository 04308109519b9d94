//! The table.

use super::{
    Foreign,
    Verdict::{self, Closed, Differs, Lost, NoEffect, Stricter},
};
use crate::annotations::Key;

/// The sentence about a key in the documentation.
macro_rules! becomes {
    (NoEffect, $why:literal) => {
        concat!("Nothing. No effect: ", $why, ".")
    };
    (Differs, $why:literal) => {
        concat!("Nothing. Approximated: ", $why, ".")
    };
    (Stricter, $why:literal) => {
        concat!("Nothing. Approximated: it is stricter here, as ", $why, ".")
    };
    ($verdict:ident, $why:literal) => {
        concat!("Nothing. Refused: ", $why, ".")
    };
}

/// A line for each key: name, doc, values that ask for nothing, verdict, why.
macro_rules! table {
    ($($name:literal, $doc:literal, [$($idle:literal),*], $verdict:ident, $why:literal;)*) => {
        pub(super) const KEYS: &[Key] = &[$(Key { name: $name, doc: $doc, becomes: becomes!($verdict, $why) }),*];
        pub(super) const FOREIGN: &[Foreign] = &[$(Foreign {
            name: $name,
            idle: &[$($idle),*],
            verdict: $verdict as Verdict,
            why: $why,
        }),*];
    };
}

table! {
    // Buffers and connections of nginx.
    "proxy-buffering", "on or off: buffers answers. Not done.", ["off"], Differs, "answers pass as they come: a slow client keeps its backend busy for as long as it reads";
    "proxy-request-buffering", "on or off: buffers requests. Not done.", ["off"], Differs, "requests pass as they come: a slow upload keeps its backend busy, and one without length is passed on in chunks";
    "proxy-buffer-size", "Buffer for the head of an answer. No effect.", [], NoEffect, "there is no buffer to be sized";
    "proxy-buffers-number", "Buffers for an answer. No effect.", [], NoEffect, "bodies pass as they come, nothing is buffered";
    "proxy-busy-buffers-size", "Buffers in use. No effect.", [], NoEffect, "bodies pass as they come, nothing is buffered";
    "proxy-max-temp-file-size", "Size of temporary files. No effect.", [], NoEffect, "nothing is written to files";
    "client-body-buffer-size", "Buffer for a request's body. No effect.", [], NoEffect, "bodies pass as they come; `proxy-body-size` limits them";
    "proxy-http-version", "1.0 or 1.1 towards the backend: always 1.1, or HTTP/2 where `backend-protocol` says so.", ["1.1"], Differs, "backends are spoken to in HTTP/1.1, or HTTP/2 where `backend-protocol` says so";
    "connection-proxy-header", "Value of Connection towards the backend. Not honoured.", ["keep-alive"], Differs, "Connection is about one connection, and ours are kept alive";
    "ssl-prefer-server-ciphers", "true or false: whose order of cipher suites counts. No effect.", ["false"], NoEffect, "the client's order counts among the suites that are offered";
    "http2-push-preload", "true or false: server push. No effect.", ["false"], NoEffect, "browsers do not take pushed answers any more";
    "preserve-trailing-slash", "true or false: whether a redirect to https keeps a slash at the end. It does.", ["true"], Differs, "a redirect to https keeps the slash at the end of a path";
    "relative-redirects", "true or false: Location without host. Not done.", ["false"], Differs, "Location is absolute: it names the host and scheme that the client asked for";
    "enable-rewrite-log", "true or false: logs rewrites. No effect.", ["false"], NoEffect, "`postern explain` tells what becomes of a request";
    "lua-resty-waf", "active, inactive or simulate: a firewall that ingress-nginx had once. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "enable-influxdb", "true or false: figures for InfluxDB. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "influxdb-measurement", "Name of those figures. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "influxdb-port", "Port of InfluxDB. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "influxdb-host", "Host of InfluxDB. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "influxdb-server-name", "Name of those figures. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "session-cookie-hash", "How the affinity cookie was made. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "client-header-buffer-size", "Buffer for a request's head. No effect.", [], NoEffect, "ingress-nginx has it in its ConfigMap alone; `--max-header-bytes` limits heads";
    // Traces are set up for the gateway.
    "enable-opentelemetry", "true or false: traces. They are on or off for the gateway.", [], Differs, "traces are on or off for the whole gateway";
    "opentelemetry-trust-incoming-span", "true or false. Always so.", ["true"], Differs, "the caller's trace is continued";
    "opentelemetry-operation-name", "Name of spans. Not honoured.", [], Differs, "spans are named by method and route";
    "enable-opentracing", "true or false: traces of an older kind. No effect.", [], NoEffect, "ingress-nginx does not read it any more; traces are OpenTelemetry's";
    "opentracing-trust-incoming-span", "true or false. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    "opentracing-operation-name", "Name of spans. No effect.", [], NoEffect, "ingress-nginx does not read it any more";
    // Stricter here, or of no consequence.
    "satisfy", "all or any: whether address lists and authentication must both agree, or one of them. Both must.", ["all"], Stricter, "address list and authentication must both let a client in";
    "auth-tls-verify-client", "on, off, optional or optional_no_ca. Always on where auth-tls-secret is set.", ["on"], Stricter, "where auth-tls-secret is set, clients have to show a certificate";
    "auth-tls-verify-depth", "Length of a client's chain of certificates. Not honoured.", [], Differs, "chains are followed to the authority, whatever their length within reason";
    "auth-tls-error-page", "URL for clients without certificate. Refused: their handshake fails.", [], Lost, "clients without a good certificate are refused in the handshake, where there is no redirect";
    "proxy-ssl-verify-depth", "Length of a backend's chain of certificates. Not honoured.", [], Differs, "chains are followed to the authority, whatever their length within reason";
    "proxy-ssl-ciphers", "Cipher suites towards the backend. Not honoured.", [], Differs, "the suites with forward secrecy of TLS 1.2 and 1.3 are offered to backends";
    "proxy-ssl-protocols", "TLS versions towards the backend: 1.2 and 1.3.", ["TLSv1.2 TLSv1.3"], Differs, "backends are offered TLS 1.2 and 1.3";
    // Lost.
    "limit-rate", "Bytes a second for each answer. Refused.", ["0"], Lost, "answers are not slowed down";
    "limit-rate-after", "Bytes of an answer before limit-rate. Refused.", ["0"], Lost, "answers are not slowed down";
    "proxy-cookie-domain", "Changes the Domain of cookies. Refused.", ["off"], Lost, "cookies pass as the backend sets them";
    "proxy-cookie-path", "Changes the Path of cookies. Refused.", ["off"], Lost, "cookies pass as the backend sets them";
    "proxy-redirect-from", "What is replaced in Location. Refused.", ["off", "default"], Lost, "Location passes as the backend sets it";
    "proxy-redirect-to", "What replaces it in Location. Refused.", ["off", "default"], Lost, "Location passes as the backend sets it";
    "ssl-ciphers", "Cipher suites of the host. Refused: see ssl-cipher.", [], Lost, "write `ssl-cipher`; without it the suites of TLS 1.2 and 1.3 with forward secrecy are offered";
    "upstream-hash-by-subset", "true or false: hashes to a group of endpoints. Refused.", ["false"], Lost, "a hash leads to one endpoint, not to a group";
    "upstream-hash-by-subset-size", "Endpoints in a group. Refused.", [], Lost, "a hash leads to one endpoint, not to a group";
    "global-rate-limit", "Requests over all instances. Refused.", ["0"], Lost, "limits are counted by each gateway instance: write `limit-rps`, `limit-rpm` or `route-limit-rps`";
    "global-rate-limit-window", "Window of that limit. Refused.", [], Lost, "limits are counted by each gateway instance: write `limit-rps`, `limit-rpm` or `route-limit-rps`";
    "global-rate-limit-key", "What that limit counts by. Refused.", [], Lost, "limits are counted by each gateway instance: write `limit-rps`, `limit-rpm` or `route-limit-rps`";
    "global-rate-limit-ignored-cidrs", "Networks that limit does not count. Refused.", [], Lost, "limits are counted by each gateway instance; `limit-whitelist` exempts networks";
    "fastcgi-index", "Index of FastCGI. Refused.", [], Lost, "FastCGI is not spoken: put a server for it in front of the backend";
    "fastcgi-params-configmap", "Parameters of FastCGI. Refused.", [], Lost, "FastCGI is not spoken: put a server for it in front of the backend";
    // A firewall that by default only watches; its snippet says when it does not.
    "enable-modsecurity", "true or false: web application firewall. Refused: requests are not looked through.", ["false"], Lost, "there is no web application firewall: requests are not looked through";
    "enable-owasp-core-rules", "true or false: rules of that firewall. Refused.", ["false"], Lost, "there is no web application firewall: requests are not looked through";
    "modsecurity-transaction-id", "Id in that firewall's log. Refused.", [], Lost, "there is no web application firewall, and no log of it";
    "auth-tls-pass-certificate-to-upstream", "true or false: shows the backend a client's certificate. Refused; fields that pretend to are removed.", ["false"], Lost, "the backend is not told about a client's certificate, and ssl-client-* fields of clients are removed";
    // They keep somebody out.
    "auth-tls-match-cn", "Expression for the name in a client's certificate. Refused: nobody is let in.", [], Closed, "names in client certificates are not looked at";
    "ssl-passthrough", "true or false: TLS is the backend's. Refused: nobody is let in. Gateway API has TLSRoute.", ["false"], Closed, "an Ingress does not pass TLS through; a TLSRoute does";
}
