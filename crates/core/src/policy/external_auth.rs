//! Authenticators of RoutePolicies.

use std::{net::IpAddr, str::FromStr, time::Duration};

use api::{AuthCookies, ExternalAuth, ExternalAuthMethod, condition::reasons};
use http::{HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use ir::{HostPattern, Template, Variable};

use crate::{
    backend::{self, ClusterRef},
    fault::Fault,
    lookup::Lookup,
};

/// How long an authenticator may take unless the policy says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that say something about a message or a connection: nobody else may set them.
const OF_THE_MESSAGE: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(reasons::INVALID, message)
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) https: bool,
    /// Name or address, without brackets.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// Host and port as written.
    pub(crate) authority: &'a str,
    /// Path and query, with variables.
    target: String,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> Result<Self, String> {
        let (https, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            (None, None) => return Err("it has to begin with http:// or https://".to_owned()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('$') {
            return Err(
                "its host cannot be a variable: clients would choose who vouches for them"
                    .to_owned(),
            );
        }
        let parsed: http::uri::Authority = authority
            .parse()
            .map_err(|_| format!("{authority:?} is no host with an optional port"))?;
        let host = parsed.host().trim_start_matches('[').trim_end_matches(']');
        let named = matches!(HostPattern::parse(host), Ok(HostPattern::Exact(_)));
        if authority.contains('@') || !(named || host.parse::<IpAddr>().is_ok()) {
            return Err(format!("{authority:?} is no host with an optional port"));
        }
        let port = match (&authority[parsed.host().len()..], https) {
            ("", true) => 443,
            ("", false) => 80,
            (text, _) => text
                .strip_prefix(':')
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port != 0)
                .ok_or("its port is none")?,
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            https,
            host: host.to_ascii_lowercase().into(),
            port,
            authority,
            target: format!("{slash}{path}"),
        })
    }
}

/// An authenticator as the data plane has it, and where it is.
pub(crate) fn external_auth(
    declared: &ExternalAuth,
    lookup: &Lookup<'_>,
) -> Result<(ir::ExternalAuth, ClusterRef), Fault> {
    let url = &declared.url;
    let wrong = |why: String| invalid(format!("externalAuth.url {url:?}: {why}"));
    let place = Place::parse(url).map_err(wrong)?;
    let target =
        Template::location(&place.target, None).map_err(|error| wrong(error.to_string()))?;
    let tried = target.fill(|_, text| text.push('x'));
    if PathAndQuery::try_from(tried).is_err() || place.target.contains('#') {
        return Err(wrong(
            "its path or query has a character that none takes".to_owned(),
        ));
    }
    type Read = fn(&str, Option<&ir::Pattern>) -> Result<Template, ir::InvalidTemplate>;
    let template = |text: &str, field: &str, read: Read| {
        let wrong = |why: String| invalid(format!("externalAuth.{field} {text:?}: {why}"));
        let template = read(text, None).map_err(|error| wrong(error.to_string()))?;
        match HeaderValue::try_from(template.fill(|_, text| text.push('x'))) {
            Ok(_) => Ok(template),
            Err(_) => Err(wrong("it has a character that no header takes".to_owned())),
        }
    };
    let back_to = declared.request_redirect.as_deref();
    let auth = ir::ExternalAuth {
        cluster: ir::ClusterKey("".into()),
        method: Some(method(declared.method)),
        host: Some(
            HeaderValue::from_str(place.authority).map_err(|error| wrong(error.to_string()))?,
        ),
        target,
        sent: None,
        only_200: false,
        copied: Some(names(
            &declared.response_headers,
            "externalAuth.responseHeaders",
        )?),
        sign_in: declared
            .sign_in_url
            .as_deref()
            .map(|text| template(text, "signInUrl", Template::location))
            .transpose()?,
        back_to: match back_to {
            Some(text) => template(text, "requestRedirect", Template::parse)?,
            None => Template::prefixed("", Variable::RequestUri),
        },
        cookies: match declared.cookies {
            AuthCookies::Successes => ir::AuthCookies::Successes,
            AuthCookies::Always => ir::AuthCookies::Always,
        },
        timeout: declared.timeout.as_deref().map_or(Ok(TIMEOUT), duration)?,
    };
    let cluster = backend::at_place(&place, lookup)
        .map_err(|error| invalid(format!("externalAuth.url: {error}")))?;
    let auth = ir::ExternalAuth {
        cluster: cluster.key.clone(),
        ..auth
    };
    Ok((auth, cluster))
}

fn duration(text: &str) -> Result<Duration, Fault> {
    gateway_api::Duration::from_str(text)
        .ok()
        .map(|d| Duration::new(d.as_secs(), d.subsec_nanos()))
        .filter(|d| !d.is_zero())
        .ok_or_else(|| {
            invalid(format!(
                "externalAuth.timeout {text:?} is not a duration such as 500ms or 2s"
            ))
        })
}

const fn method(declared: ExternalAuthMethod) -> Method {
    match declared {
        ExternalAuthMethod::GET => Method::GET,
        ExternalAuthMethod::HEAD => Method::HEAD,
        ExternalAuthMethod::POST => Method::POST,
        ExternalAuthMethod::PUT => Method::PUT,
        ExternalAuthMethod::PATCH => Method::PATCH,
        ExternalAuthMethod::DELETE => Method::DELETE,
        ExternalAuthMethod::OPTIONS => Method::OPTIONS,
    }
}

/// Names of headers that may go from one message to another.
pub(crate) fn names(declared: &[String], field: &str) -> Result<Vec<HeaderName>, Fault> {
    let name = |text: &String| {
        let name = HeaderName::try_from(text.as_str());
        let name =
            name.map_err(|_| invalid(format!("{field}: {text:?} is no name of a header")))?;
        match OF_THE_MESSAGE.contains(&name) {
            false => Ok(name),
            true => Err(invalid(format!("{field}: {name} is not for others to set"))),
        }
    };
    declared.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn urls_lead_somewhere_or_are_refused() {
        let place = |url: &'static str| {
            let place = Place::parse(url)?;
            Ok::<_, String>((
                place.https,
                place.host.to_string(),
                place.port,
                place.target,
            ))
        };
        let to = |https, host: &str, port, target: &str| {
            Ok((https, host.to_owned(), port, target.to_owned()))
        };
        assert_eq!(
            place("http://a.b.svc:4180/x?y=$host"),
            to(false, "a.b.svc", 4180, "/x?y=$host")
        );
        assert_eq!(
            place("https://Login.example.com"),
            to(true, "login.example.com", 443, "/")
        );
        assert_eq!(place("http://a?b"), to(false, "a", 80, "/?b"));
        assert_eq!(place("http://[::1]:81/"), to(false, "::1", 81, "/"));
        assert_eq!(place("http://127.0.0.1/"), to(false, "127.0.0.1", 80, "/"));
        for bad in [
            "",
            "/auth",
            "ftp://a/",
            "//a/",
            "http://",
            "http:///x",
            "http://$host/",
            "https://a.$host/",
            "http://u:p@a/",
            "http://a:0/",
            "http://a:99999/",
            "http://a b/",
            "http://*.a/",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
