//! Redirects: an absolute `Location` made of the rule's parts and the request's.

use std::borrow::Cow;

use http::{HeaderValue, Response, header};
use ir::{PathRewrite, Redirect, RedirectPath};

use super::rewrite;

/// What a redirect takes from the request where the rule says nothing.
#[derive(Debug, Clone, Copy)]
pub struct RequestInfo<'a> {
    /// Whether it came over TLS.
    pub https: bool,
    /// Canonical host.
    pub host: &'a str,
    /// Port of the listener, as written there.
    pub listener_port: u16,
    /// Canonical path.
    pub path: &'a str,
    /// The path as a backend would get it, for redirects that keep it.
    pub sent: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
}

/// The answer.
#[must_use]
pub fn response(redirect: &Redirect, request: &RequestInfo<'_>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = redirect.status;
    response
        .headers_mut()
        .insert(header::LOCATION, location(redirect, request));
    response
}

/// `scheme://host[:port]/path[?query]`. Gateway API: no port given means the scheme's own when the scheme is given,
/// else the listener's; the scheme's own port is not written.
#[must_use]
pub fn location(redirect: &Redirect, request: &RequestInfo<'_>) -> HeaderValue {
    let https = redirect.https.unwrap_or(request.https);
    let scheme = if https { "https" } else { "http" };
    let own_port = if https { 443 } else { 80 };
    let port = redirect.port.unwrap_or(if redirect.https.is_some() {
        own_port
    } else {
        request.listener_port
    });
    let host = redirect.host.as_deref().unwrap_or(request.host);
    let path = path(redirect.path.as_ref(), request);
    let mut text = format!("{scheme}://{host}");
    if port != own_port {
        text.push_str(&format!(":{port}"));
    }
    text.push_str(&path);
    if let Some(query) = request.query {
        text.push('?');
        text.push_str(query);
    }
    // Host and path are canonical and hold no control bytes, and a query was parsed by `http`.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("/"))
}

fn path<'a>(change: Option<&'a RedirectPath>, request: &RequestInfo<'a>) -> Cow<'a, str> {
    match change {
        None => Cow::Borrowed(request.sent),
        Some(RedirectPath::Full(full)) => Cow::Borrowed(full),
        Some(RedirectPath::Prefix {
            matched,
            replacement,
        }) => {
            let change = PathRewrite::Prefix {
                matched: matched.clone(),
                replacement: replacement.clone(),
            };
            Cow::Owned(rewrite::rewrite(&change, request.path).into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use ir::{Redirect, RedirectPath};

    use super::{RequestInfo, location};

    fn check(change: impl FnOnce(&mut Redirect), https: bool, listener_port: u16, expected: &str) {
        let mut redirect = Redirect {
            status: StatusCode::FOUND,
            https: None,
            host: None,
            port: None,
            path: None,
        };
        change(&mut redirect);
        let request = RequestInfo {
            https,
            host: "a.com",
            listener_port,
            path: "/x/y",
            sent: "/x/y",
            query: Some("q=1"),
        };
        assert_eq!(location(&redirect, &request).to_str().unwrap(), expected);
    }

    #[test]
    fn parts_come_from_the_rule_or_the_request() {
        check(
            |r| r.host = Some("b.com".into()),
            false,
            80,
            "http://b.com/x/y?q=1",
        );
        check(
            |r| r.host = Some("b.com".into()),
            false,
            8080,
            "http://b.com:8080/x/y?q=1",
        );
        check(
            |r| r.https = Some(true),
            false,
            8080,
            "https://a.com/x/y?q=1",
        );
        check(|r| r.https = Some(false), true, 443, "http://a.com/x/y?q=1");
        check(
            |r| r.port = Some(8083),
            false,
            80,
            "http://a.com:8083/x/y?q=1",
        );
        check(|r| r.port = Some(443), true, 443, "https://a.com/x/y?q=1");
        check(
            |r| r.path = Some(RedirectPath::Full("/z".into())),
            true,
            443,
            "https://a.com/z?q=1",
        );
        let prefix = RedirectPath::Prefix {
            matched: "/x".into(),
            replacement: "/z".into(),
        };
        check(|r| r.path = Some(prefix), false, 80, "http://a.com/z/y?q=1");
    }
}
