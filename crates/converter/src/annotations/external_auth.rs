//! `auth-url` and what goes with it: somebody else decides who comes in.

use api::{
    AuthCookies, ExternalAuth, ExternalAuthMethod, RoutePolicySpec,
    template::{self, Part},
};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value, variable};

/// See [`Family`].
pub(super) const EXTERNAL_AUTH: Family = Family {
    name: "external-auth",
    keys: &[
        Key {
            name: "auth-url",
            doc: "URL that is asked about each request: 2xx lets it pass, 401 and 403 are answered to the client, anything else is 5xx. Variables may stand in path and query, $host also for the host. One that cannot be used lets nobody in.",
            becomes: "RoutePolicy `externalAuth.url`. Approximated: certificates behind https are verified; a variable for the host stands for the host of the rule, which must be neither a wildcard nor none. Refused: what is not absolute, and unknown variables; nobody is let in.",
        },
        Key {
            name: "auth-method",
            doc: "Method that auth-url is asked with. Default GET.",
            becomes: "RoutePolicy `externalAuth.method`. No effect: without auth-url. Refused: anything but GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS; nobody is let in.",
        },
        Key {
            name: "auth-signin",
            doc: "URL that a client is sent to (302) instead of being answered 401. What it asked for goes along as the query parameter rd, unless the URL has one.",
            becomes: "RoutePolicy `externalAuth.signInUrl`. No effect: without auth-url. Refused: what is neither an http or https URL nor a path, and unknown variables; nobody is let in.",
        },
        Key {
            name: "auth-signin-redirect-param",
            doc: "Name of that query parameter. Default rd.",
            becomes: "RoutePolicy `externalAuth.signInUrl`. No effect: without auth-signin. Refused: what is no name of a query parameter; nobody is let in.",
        },
        Key {
            name: "auth-response-headers",
            doc: "Headers of the answer of auth-url, separated by commas, that go to the backend; what clients send under these names does not.",
            becomes: "RoutePolicy `externalAuth.responseHeaders`. No effect: without auth-url. Refused: what is no name of a header; nobody is let in.",
        },
        Key {
            name: "auth-request-redirect",
            doc: "What auth-url is told in X-Auth-Request-Redirect. Default: path and query of the request.",
            becomes: "RoutePolicy `externalAuth.requestRedirect`. No effect: without auth-url. Refused: unknown variables; nobody is let in.",
        },
        Key {
            name: "auth-always-set-cookie",
            doc: "true: cookies that auth-url sets go to the client with every answer. Default false: with successful ones and redirects.",
            becomes: "RoutePolicy `externalAuth.cookies`. No effect: without auth-url.",
        },
        Key {
            name: "auth-cache-key",
            doc: "Not honoured: auth-url is asked about every request.",
            becomes: "Nothing. Approximated: answers are not remembered, so that a no counts at once.",
        },
        Key {
            name: "auth-cache-duration",
            doc: "Not honoured: auth-url is asked about every request.",
            becomes: "Nothing. Approximated: answers are not remembered, so that a no counts at once.",
        },
        Key {
            name: "auth-keepalive",
            doc: "Not needed: connections to auth-url are kept and used again.",
            becomes: "Nothing. No effect: connections are kept in any case.",
        },
        Key {
            name: "auth-keepalive-requests",
            doc: "Not needed: connections to auth-url are kept and used again.",
            becomes: "Nothing. No effect: connections are kept in any case.",
        },
        Key {
            name: "auth-keepalive-timeout",
            doc: "Not needed: connections to auth-url are kept and used again.",
            becomes: "Nothing. No effect: connections are kept in any case.",
        },
        Key {
            name: "auth-proxy-set-headers",
            doc: "Refused: nobody is let in. auth-url gets the headers of the request.",
            becomes: "Nothing. Refused: without these headers auth-url might decide otherwise; nobody is let in.",
        },
        Key {
            name: "enable-global-auth",
            doc: "false, as there is no authentication that holds for all Ingresses.",
            becomes: "Nothing, for false. Approximated: with true, auth-url of the Ingress counts alone.",
        },
    ],
    apply,
};

/// What only has a meaning with `auth-url`.
const BESIDE: &[&str] = &[
    "auth-method",
    "auth-signin",
    "auth-signin-redirect-param",
    "auth-response-headers",
    "auth-request-redirect",
    "auth-always-set-cookie",
    "auth-cache-key",
    "auth-cache-duration",
    "auth-keepalive",
    "auth-keepalive-requests",
    "auth-keepalive-timeout",
    "auth-proxy-set-headers",
];

/// What the authenticator would have to be told, and is not: it might decide otherwise.
const REFUSED: &[&str] = &["auth-proxy-set-headers", "auth-snippet"];

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    global(reader);
    if !reader.has("auth-url") {
        for key in BESIDE {
            reader.pointless(key, "auth-url");
        }
        return;
    }
    match external(reader) {
        Ok(auth) => settings.route_policy_mut().external_auth = Some(auth),
        Err(key) => {
            let message = format!("{key} cannot be honoured; nobody is let in");
            for other in ["auth-url"].iter().chain(BESIDE) {
                reader.say(other, Outcome::Refused, message.clone());
            }
            settings.deny();
        }
    }
}

fn global(reader: &mut Reader<'_>) {
    match reader.parse("enable-global-auth", value::boolean) {
        Some(false) => reader.exact("enable-global-auth", Effect::Default, "there is none"),
        Some(true) => {
            let message = "there is no authentication that holds for all Ingresses; auth-url of this one counts alone";
            reader.say("enable-global-auth", Outcome::Approximated, message);
        }
        None => {}
    }
}

/// A RoutePolicy's `externalAuth`, or the annotation that is in the way.
fn external(reader: &mut Reader<'_>) -> Result<ExternalAuth, &'static str> {
    if let Some(key) = REFUSED.iter().find(|key| reader.has(key)) {
        let message =
            "cannot be honoured, and without it auth-url might decide otherwise; nobody is let in";
        reader.say(key, Outcome::Refused, message);
        return Err(key);
    }
    let url = reader.parse("auth-url", url).ok_or("auth-url")?;
    told(reader, &url);
    let method = required(reader, ("auth-method", "method"), method)?;
    let response_headers = required(
        reader,
        ("auth-response-headers", "responseHeaders"),
        headers,
    )?;
    let redirect = required(
        reader,
        ("auth-request-redirect", "requestRedirect"),
        |text| template(text).map(Some),
    )?;
    let mut auth = ExternalAuth {
        url,
        method,
        response_headers,
        request_redirect: redirect,
        sign_in_url: sign_in(reader)?,
        ..ExternalAuth::default()
    };
    if let Some(always) = reader.parse("auth-always-set-cookie", value::boolean) {
        let effect = if always {
            auth.cookies = AuthCookies::Always;
            Effect::RoutePolicy(asks)
        } else {
            Effect::Default
        };
        let message = "RoutePolicy externalAuth.cookies";
        reader.exact("auth-always-set-cookie", effect, message);
    }
    for key in ["auth-cache-key", "auth-cache-duration"] {
        reader.say(
            key,
            Outcome::Approximated,
            "nothing is remembered: auth-url is asked about every request",
        );
    }
    for key in [
        "auth-keepalive",
        "auth-keepalive-requests",
        "auth-keepalive-timeout",
    ] {
        reader.say(
            key,
            Outcome::NoEffect,
            "connections to auth-url are kept and used again, whatever this says",
        );
    }
    Ok(auth)
}

/// A field without which the authenticator might decide otherwise: where it cannot be had, the annotation is in the
/// way.
fn required<T: Default + PartialEq>(
    reader: &mut Reader<'_>,
    (key, field): (&'static str, &str),
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, &'static str> {
    if !reader.has(key) {
        return Ok(T::default());
    }
    let parsed = reader.parse(key, parse).ok_or(key)?;
    let effect = if parsed == T::default() {
        Effect::Default
    } else {
        Effect::RoutePolicy(asks)
    };
    reader.exact(key, effect, format!("RoutePolicy externalAuth.{field}"));
    Ok(parsed)
}

/// Whether somebody else is asked about requests.
fn asks(policy: &RoutePolicySpec) -> bool {
    policy.external_auth.is_some()
}

/// What is said about a URL that can be used.
fn told(reader: &mut Reader<'_>, url: &str) {
    let mut differs = Vec::new();
    if authority(url).contains('$') {
        differs.push("the host of each rule stands for the variable, and a rule without one, or with a wildcard, lets nobody in");
    }
    if url.starts_with("https://") {
        differs.push("the certificate is verified, which ingress-nginx does not do");
    }
    if differs.is_empty() {
        let message = "RoutePolicy externalAuth.url";
        reader.exact("auth-url", Effect::RoutePolicy(asks), message);
    } else {
        let message = format!("RoutePolicy externalAuth.url; {}", differs.join("; "));
        reader.close_to("auth-url", Effect::RoutePolicy(asks), message);
    }
}

/// The query parameter that says what a client asked for.
const DEFAULT_PARAM: &str = "rd";

/// Where a client is sent, with what it asked for.
fn sign_in(reader: &mut Reader<'_>) -> Result<Option<String>, &'static str> {
    const PARAM: &str = "auth-signin-redirect-param";
    if reader
        .text("auth-signin")
        .is_none_or(|text| text.is_empty())
    {
        for key in ["auth-signin", PARAM] {
            reader.pointless(key, "auth-signin");
        }
        return Ok(None);
    }
    let token = |text: &str| match value::header_name(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "{text:?} is no name of a query parameter; nobody is let in"
        )),
    };
    let param = match reader.has(PARAM) {
        false => DEFAULT_PARAM.to_owned(),
        true => reader.parse(PARAM, token).ok_or(PARAM)?,
    };
    let url = reader
        .parse("auth-signin", signin_url)
        .ok_or("auth-signin")?;
    let message = "RoutePolicy externalAuth.signInUrl";
    reader.exact("auth-signin", Effect::RoutePolicy(asks), message);
    let effect = match &*param {
        DEFAULT_PARAM => Effect::Default,
        _ => Effect::RoutePolicy(asks),
    };
    reader.exact(PARAM, effect, message);
    let query = url.split_once('?').map(|(_, query)| query);
    let named = |query: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.any(|(name, value)| name == param && !value.is_empty())
    };
    let asked = "$pass_access_scheme://$http_host$escaped_request_uri";
    Ok(Some(match query {
        Some(query) if named(query) => url,
        None => format!("{url}?{param}={asked}"),
        Some("") => format!("{url}{param}={asked}"),
        Some(_) => format!("{url}&{param}={asked}"),
    }))
}

/// A text whose variables are all known.
fn template(text: &str) -> Result<String, String> {
    let legal = value::header_value(text).is_ok() && text.is_ascii() && text.len() <= 2048;
    if !legal {
        return Err(format!(
            "{text:?} is no text of up to 2,048 ASCII characters; nobody is let in"
        ));
    }
    variable::check(text, &variable::Scope::default())
        .map_err(|why| format!("{why}; nobody is let in"))?;
    Ok(text.to_owned())
}

/// Whether nothing in a host is what a client sends, but the host that it asks for.
fn is_known_host(host: &str) -> bool {
    let known = ["host", "http_host", "best_http_host", "server_port"];
    let parts = template::parts(host).unwrap_or_default();
    parts.iter().all(|part| match part {
        Part::Text(_) => true,
        Part::Name(name) => known.iter().any(|known| name.eq_ignore_ascii_case(known)),
    })
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn url(text: &str) -> Result<String, String> {
    let url = template(text)?;
    let absolute = ["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    if !absolute || authority(&url).is_empty() || url.contains([' ', '#']) {
        return Err(format!(
            "{text:?} is not an absolute http or https URL; nobody is let in"
        ));
    }
    Ok(url)
}

fn signin_url(text: &str) -> Result<String, String> {
    let url = template(text)?;
    let starts = [
        "http://",
        "https://",
        "$scheme://",
        "$pass_access_scheme://",
        "/",
    ];
    if !starts.iter().any(|start| url.starts_with(start)) || url.contains([' ', '#']) {
        return Err(format!(
            "{text:?} is neither an http or https URL nor a path; nobody is let in"
        ));
    }
    if !url.starts_with('/') && !is_known_host(authority(&url)) {
        return Err(format!(
            "{text:?} has a host that clients would choose; nobody is let in"
        ));
    }
    Ok(url)
}

fn method(text: &str) -> Result<ExternalAuthMethod, String> {
    match text {
        "GET" => Ok(ExternalAuthMethod::GET),
        "HEAD" => Ok(ExternalAuthMethod::HEAD),
        "POST" => Ok(ExternalAuthMethod::POST),
        "PUT" => Ok(ExternalAuthMethod::PUT),
        "PATCH" => Ok(ExternalAuthMethod::PATCH),
        "DELETE" => Ok(ExternalAuthMethod::DELETE),
        "OPTIONS" => Ok(ExternalAuthMethod::OPTIONS),
        other => Err(format!(
            "{other:?} is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS; nobody is let in"
        )),
    }
}

fn headers(text: &str) -> Result<Vec<String>, String> {
    let names = value::list(text)
        .into_iter()
        .map(|name| value::header_name(name).map_err(|why| format!("{why}; nobody is let in")));
    names.collect()
}

/// A RoutePolicy's `externalAuth` for the rules of one host: a URL that has a variable for its host gets this one. A
/// host that is none leaves the variable where it is, and a RoutePolicy closes its rules for that.
pub(crate) fn for_host(auth: &mut ExternalAuth, host: &str) {
    if let Some((scheme, rest)) = auth.url.split_once("://")
        && !host.is_empty()
        && !host.starts_with("*.")
    {
        let (name, path) = rest.split_at(authority(&auth.url).len());
        let name = ["host", "http_host", "best_http_host"].iter().fold(
            name.to_owned(),
            |name, variable| {
                let braced = name.replace(&format!("${{{variable}}}"), host);
                match braced.strip_prefix(&format!("${variable}")) {
                    Some(rest)
                        if !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') =>
                    {
                        format!("{host}{rest}")
                    }
                    _ => braced,
                }
            },
        );
        auth.url = format!("{scheme}://{name}{path}");
    }
}
