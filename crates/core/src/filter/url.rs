//! Rewrites and redirects of URLs. Those of rules and those of backendRefs are of types that look alike.

use http::{HeaderValue, StatusCode};
use ir::{HostPattern, HostRewrite, Redirect, Rewrite};

use super::{path, unsupported};
use crate::fault::Fault;

/// A path modifier as declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewPath<'a> {
    pub(super) full: Option<&'a str>,
    pub(super) prefix: Option<&'a str>,
}

/// A URLRewrite as declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewUrl<'a> {
    pub(super) hostname: Option<&'a str>,
    pub(super) path: Option<NewPath<'a>>,
}

impl NewUrl<'_> {
    /// Whether it depends on what was matched.
    pub(super) fn replaces_prefix(&self) -> bool {
        self.path.is_some_and(|path| path.prefix.is_some())
    }
}

/// A RequestRedirect as declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere<'a> {
    pub(super) status: Option<i64>,
    pub(super) https: Option<bool>,
    pub(super) port: Option<i32>,
    pub(super) url: NewUrl<'a>,
}

impl Elsewhere<'_> {
    /// As [`NewUrl::replaces_prefix`].
    pub(super) fn replaces_prefix(&self) -> bool {
        self.url.replaces_prefix()
    }
}

/// A URLRewrite of one of the generated types.
macro_rules! rewrite_of {
    ($declared:expr) => {
        url::NewUrl {
            hostname: $declared.hostname.as_deref(),
            path: $declared.path.as_ref().map(|path| url::NewPath {
                full: path.replace_full_path.as_deref(),
                prefix: path.replace_prefix_match.as_deref(),
            }),
        }
    };
}

/// A RequestRedirect of one of the generated types; `$Scheme` is that of its scheme.
macro_rules! redirect_of {
    ($declared:expr, $Scheme:ty) => {{
        let https = |scheme: &$Scheme| *scheme == <$Scheme>::Https;
        url::Elsewhere {
            status: $declared.status_code,
            https: $declared.scheme.as_ref().map(https),
            port: $declared.port,
            url: url::rewrite_of!($declared),
        }
    }};
}

pub(super) use {redirect_of, rewrite_of};

/// A rewrite of what matched `prefix`.
pub(super) fn rewrite(declared: &NewUrl<'_>, prefix: Option<&str>) -> Result<Rewrite, Fault> {
    let host = declared.hostname.map(|text| {
        let host = exact_host("urlRewrite.hostname", text)?;
        HeaderValue::try_from(&*host)
            .map(HostRewrite)
            .map_err(|_| unsupported(format!("urlRewrite.hostname {text:?} is not legal")))
    });
    let path = declared.path;
    let path = path.map(|path| path::parse(path.full, path.prefix, prefix));
    Ok(Rewrite {
        host: host.transpose()?,
        path: path.transpose()?.map(path::Replacement::rewrite),
    })
}

/// A redirect of what matched `prefix`.
pub(super) fn redirect(declared: &Elsewhere<'_>, prefix: Option<&str>) -> Result<Redirect, Fault> {
    let status = declared.status.unwrap_or(302);
    let legal = [301, 302, 303, 307, 308].contains(&status);
    let status = u16::try_from(status)
        .ok()
        .filter(|_| legal)
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| {
            unsupported(format!(
                "requestRedirect.statusCode {status}: 301, 302, 303, 307 and 308 are possible"
            ))
        })?;
    let port = declared.port.map(|port| {
        u16::try_from(port)
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| unsupported(format!("requestRedirect.port {port} is not a port")))
    });
    let host = declared.url.hostname;
    let host = host.map(|text| exact_host("requestRedirect.hostname", text));
    let path = declared.url.path;
    let path = path.map(|path| path::parse(path.full, path.prefix, prefix));
    Ok(Redirect {
        status,
        https: declared.https,
        host: host.transpose()?,
        port: port.transpose()?,
        path: path.transpose()?.map(path::Replacement::redirect),
    })
}

fn exact_host(field: &str, text: &str) -> Result<Box<str>, Fault> {
    match HostPattern::parse(text) {
        Ok(HostPattern::Exact(host)) => Ok(host),
        _ => Err(unsupported(format!("{field} {text:?} is not a DNS name"))),
    }
}
