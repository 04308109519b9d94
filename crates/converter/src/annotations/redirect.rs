//! Redirects: `ssl-redirect`, `force-ssl-redirect`, `permanent-redirect`, `permanent-redirect-code`, `temporal-redirect`.

use super::{Family, Key, Reader, Settings};
use crate::{
    native::{self, RedirectScheme, RequestRedirect},
    note::Outcome,
    profile::Profile,
    value,
};

/// See [`Family`].
pub(super) const REDIRECT: Family = Family {
    name: "redirect",
    keys: &[
        Key {
            name: "ssl-redirect",
            doc: "true: plain HTTP is answered with 308 to https. In class nginx this is the default for hosts that have a certificate, and holds for no others.",
            becomes: "RequestRedirect to https with 308, in a route of the HTTP listener alone. Approximated: a redirect of everything is set and wins.",
        },
        Key {
            name: "force-ssl-redirect",
            doc: "true: plain HTTP is answered with 308 to https, certificate or not.",
            becomes: "As ssl-redirect.",
        },
        Key {
            name: "permanent-redirect",
            doc: "URL that every request is sent to; without a path the request's own is kept.",
            becomes: "RequestRedirect. Approximated: query and fragment of the URL are dropped, the request's query is kept; or temporal-redirect is set and wins. Refused: not an absolute http or https URL.",
        },
        Key {
            name: "permanent-redirect-code",
            doc: "301, 302, 303, 307 or 308. Default 301.",
            becomes: "`statusCode` of that RequestRedirect. Approximated: without permanent-redirect it has no effect. Refused: other codes; then 301 counts.",
        },
        Key {
            name: "temporal-redirect",
            doc: "URL that every request is sent to with 302; wins over permanent-redirect.",
            becomes: "RequestRedirect with 302. Approximated: query and fragment of the URL are dropped, the request's query is kept. Refused: not an absolute http or https URL.",
        },
    ],
    apply,
};

/// Whether plain HTTP is sent to https; [`Profile`](crate::profile::Profile) says what it comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HttpsRedirect {
    /// `ssl-redirect`.
    pub(crate) ssl: Option<bool>,
    /// `force-ssl-redirect`.
    pub(crate) force: bool,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let nginx = reader.profile() == Profile::Nginx;
    let mut flag = |key: &str, on: &str| {
        let value = reader.parse(key, value::boolean);
        match value {
            Some(true) => reader.exact(key, on),
            Some(false) => reader.exact(key, "off"),
            None => {}
        }
        value
    };
    let on = "308 to https on the HTTP listener";
    let ssl = if nginx {
        "308 to https on the HTTP listener, for hosts that have a certificate"
    } else {
        on
    };
    settings.https = HttpsRedirect {
        ssl: flag("ssl-redirect", ssl),
        force: flag("force-ssl-redirect", on) == Some(true),
    };
    let code = code(reader);
    if let Some(filter) = url(reader, "permanent-redirect", code.unwrap_or(301)) {
        overridden(reader, settings, "permanent-redirect");
        settings.rule.redirect = Some(Box::new(filter));
    } else {
        let message = "has no effect without a permanent-redirect";
        reader.say("permanent-redirect-code", Outcome::Approximated, message);
    }
    if let Some(filter) = url(reader, "temporal-redirect", 302) {
        let message = "temporal-redirect is set and wins";
        reader.say("permanent-redirect", Outcome::Approximated, message);
        overridden(reader, settings, "temporal-redirect");
        settings.rule.redirect = Some(Box::new(filter));
    }
}

fn overridden(reader: &mut Reader<'_>, settings: &Settings, by: &str) {
    if settings.rule.redirect.is_none()
        && (settings.https.force || settings.https.ssl == Some(true))
    {
        for key in ["ssl-redirect", "force-ssl-redirect"] {
            reader.say(key, Outcome::Approximated, format!("{by} is set and wins"));
        }
    }
}

fn code(reader: &mut Reader<'_>) -> Option<i64> {
    let code = reader.parse("permanent-redirect-code", |text| {
        match value::number(text)? {
            code @ (301 | 302 | 303 | 307 | 308) => Ok(code),
            other => Err(format!(
                "{other} is not 301, 302, 303, 307 or 308; 301 is used"
            )),
        }
    });
    if code.is_some() {
        reader.exact("permanent-redirect-code", "statusCode");
    }
    code
}

/// A RequestRedirect filter for an absolute URL.
fn url(reader: &mut Reader<'_>, key: &'static str, code: i64) -> Option<RequestRedirect> {
    let parsed = reader.parse(key, |text| {
        let wrong = || format!("{text:?} is not a URL such as https://example.com/path");
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let scheme = match uri.scheme_str() {
            Some("http") => RedirectScheme::Http,
            Some("https") => RedirectScheme::Https,
            _ => return Err(wrong()),
        };
        let authority = uri
            .authority()
            .filter(|a| !a.as_str().contains('@'))
            .ok_or_else(wrong)?;
        let host = value::precise_hostname(authority.host()).map_err(|_| wrong())?;
        // `http://a.com` keeps the request's path, `http://a.com/` does not.
        let with_path = text.splitn(4, '/').nth(3).is_some() && !uri.path().is_empty();
        let filter = RequestRedirect {
            scheme: Some(scheme),
            hostname: Some(host),
            port: authority.port_u16().map(i32::from),
            path: with_path.then(|| native::full_path(uri.path())),
            status_code: Some(code),
        };
        Ok((filter, uri.query().is_some() || text.contains('#')))
    });
    let (filter, more) = parsed?;
    if more {
        let message = "RequestRedirect; the query and fragment of the URL are dropped, the request's query is kept";
        reader.say(key, Outcome::Approximated, message);
    } else {
        reader.exact(key, format!("RequestRedirect {code}"));
    }
    Some(filter)
}
