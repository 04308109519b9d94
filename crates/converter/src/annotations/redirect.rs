//! Redirects: `ssl-redirect`, `force-ssl-redirect`, `permanent-redirect`, `temporal-redirect`, and their codes.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native::{self, RedirectScheme, RequestRedirect, Rule},
    note::Outcome,
    profile::Profile,
    value,
    variable::{self, Location},
};

/// See [`Family`].
pub(super) const REDIRECT: Family = Family {
    name: "redirect",
    keys: &[
        Key {
            name: "ssl-redirect",
            doc: "true: plain HTTP is answered with 308 to https, once the certificate of the host is there. In class nginx this is the default for hosts with TLS in an Ingress, holds for no others, and not for paths that begin with /.well-known/acme-challenge.",
            becomes: "RequestRedirect to https with 308, in a route of the HTTP listener alone; with `postern.dev/with-listener` where it waits for a certificate. No effect: a redirect of everything is set and wins, or force-ssl-redirect wins over false.",
        },
        Key {
            name: "force-ssl-redirect",
            doc: "true: plain HTTP is answered with 308 to https, certificate or not. Except in class nginx, a certificate that is named and not there yet is waited for.",
            becomes: "As ssl-redirect.",
        },
        Key {
            name: "permanent-redirect",
            doc: "URL that every request is sent to; without a path the request's own is kept. In class nginx it is sent as it is written, with nothing of the request added but what its variables and groups ask for, and a path on the same host will do.",
            becomes: "RequestRedirect; in class nginx RouteFilter `redirect`. Approximated: but for class nginx, query and fragment of the URL are dropped, the request's query is kept. No effect: temporal-redirect is set and wins. Refused: not an absolute http or https URL; a variable that has no value here.",
        },
        Key {
            name: "permanent-redirect-code",
            doc: "301, 302, 303, 307 or 308. Default 301.",
            becomes: "`statusCode` of that redirect. No effect: without permanent-redirect. Refused: other codes; then 301 counts.",
        },
        Key {
            name: "temporal-redirect",
            doc: "URL that every request is sent to with 302; wins over permanent-redirect. In class nginx as permanent-redirect.",
            becomes: "RequestRedirect with 302; in class nginx RouteFilter `redirect`. Approximated: but for class nginx, query and fragment of the URL are dropped, the request's query is kept. Refused: not an absolute http or https URL; a variable that has no value here.",
        },
        Key {
            name: "temporal-redirect-code",
            doc: "301, 302, 303, 307 or 308, in class nginx alone. Default 302.",
            becomes: "`statusCode` of that redirect. No effect: without temporal-redirect, or in another class. Refused: other codes; then 302 counts.",
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
    settings.https = https(reader);
    if reader.profile() == Profile::Nginx {
        return locations(reader, settings);
    }
    let message = "Higress answers temporal-redirect with 302, whatever this says";
    reader.say("temporal-redirect-code", Outcome::NoEffect, message);
    let code = code(reader);
    if let Some(filter) = url(reader, "permanent-redirect", code.unwrap_or(301)) {
        overridden(reader, settings, "permanent-redirect");
        settings.rule.redirect = Some(Box::new(filter));
    } else {
        reader.pointless("permanent-redirect-code", "permanent-redirect");
    }
    if let Some(filter) = url(reader, "temporal-redirect", 302) {
        for key in ["permanent-redirect", "permanent-redirect-code"] {
            reader.beaten(key, "temporal-redirect");
        }
        overridden(reader, settings, "temporal-redirect");
        settings.rule.redirect = Some(Box::new(filter));
    }
}

/// Each of the two annotations may ask for what the other one, or the class, asks for anyway.
fn https(reader: &mut Reader<'_>) -> HttpsRedirect {
    let asked = HttpsRedirect {
        ssl: reader.parse(SSL, value::boolean),
        force: reader.parse(FORCE, value::boolean) == Some(true),
    };
    let nginx = reader.profile() == Profile::Nginx;
    let on = "308 to https on the HTTP listener";
    match asked.ssl {
        Some(true) if nginx => {
            let message = "308 to https on the HTTP listener, for hosts that have a certificate";
            reader.exact(SSL, Effect::Default, message);
        }
        Some(true) if asked.force => {
            reader.exact(SSL, Effect::Default, "force-ssl-redirect asks for it too");
        }
        Some(true) => reader.exact(SSL, Effect::Rule(leads_to_https), on),
        Some(false) if asked.force => reader.beaten(SSL, FORCE),
        Some(false) if nginx => {
            let effect = Effect::InOrDefault(|written| {
                let mut groups = written.groups.iter();
                let settings = &written.source.settings;
                let plain = settings.matching.https != Some(true) && !settings.redirects();
                plain && groups.any(|group| group.https != group.https_by_default)
            });
            reader.exact(SSL, effect, "off");
        }
        Some(false) => reader.exact(SSL, Effect::Default, "off"),
        None => {}
    }
    let effect = match (asked.force, asked.ssl, nginx) {
        (false, ..) => Effect::Default,
        (true, Some(true), false) => Effect::Default,
        (true, Some(false), true) | (true, _, false) => Effect::Rule(leads_to_https),
        // Hosts with a certificate are redirected anyway.
        (true, _, true) => Effect::InOrDefault(|written| {
            let mut groups = written.groups.iter();
            groups.any(|group| group.https != group.https_by_default)
        }),
    };
    reader.exact(FORCE, effect, if asked.force { on } else { "off" });
    asked
}

const SSL: &str = "ssl-redirect";
const FORCE: &str = "force-ssl-redirect";

fn redirects(rule: &Rule) -> impl Iterator<Item = &RequestRedirect> {
    let filters = rule.filters.iter().flatten();
    filters.filter_map(|filter| filter.request_redirect.as_ref())
}

fn leads_to_https(rule: &Rule) -> bool {
    redirects(rule).any(|to| to.scheme == Some(RedirectScheme::Https) && to.hostname.is_none())
}

fn leads_elsewhere(rule: &Rule) -> bool {
    redirects(rule).any(|to| to.hostname.is_some())
}

/// A RouteFilter that sends clients elsewhere.
fn sends_elsewhere() -> Effect {
    Effect::In(|written| {
        written
            .route_filters()
            .any(|filter| filter.redirect.is_some())
    })
}

/// Redirects of class nginx, whose URLs are sent as they are written. The temporal one wins.
fn locations(reader: &mut Reader<'_>, settings: &mut Settings) {
    let mut winner = None;
    let rewritten = settings.redirects();
    for (key, code_key, default) in [
        ("permanent-redirect", "permanent-redirect-code", 301),
        ("temporal-redirect", "temporal-redirect-code", 302),
    ] {
        let code = nginx_code(reader, code_key, default);
        let scope = reader.scope(key);
        let url = reader.parse(key, |text| {
            variable::check(text, &scope)?;
            variable::check_location(text)?;
            Ok(text.to_owned())
        });
        let Some(url) = url else {
            reader.pointless(code_key, key);
            continue;
        };
        let message = format!("RouteFilter redirect with {code}");
        reader.exact(key, sends_elsewhere(), message);
        if let Some(earlier) = winner.replace(key) {
            reader.beaten(earlier, key);
            let code_key = "permanent-redirect-code";
            reader.beaten(code_key, key);
        }
        settings.texts_mut().location = Some(Location {
            url,
            code,
            keeps_query: false,
        });
    }
    if let Some(winner) = winner {
        if rewritten {
            reader.beaten("rewrite-target", winner);
        }
        overridden(reader, settings, winner);
    }
}

/// The status of a redirect of class nginx, which takes its default for what is none from 300 to 308.
fn nginx_code(reader: &mut Reader<'_>, key: &str, default: u16) -> u16 {
    let code = reader.parse(key, |text| match value::number(text)? {
        code @ (301 | 302 | 303 | 307 | 308) => Ok(u16::try_from(code).ok()),
        code @ 300..=308 => Err(format!(
            "{code} cannot be answered, but 301, 302, 303, 307 and 308 can; {default} is used"
        )),
        _ => Ok(None),
    });
    match code {
        Some(Some(code)) => {
            let effect = match code == default {
                true => Effect::Default,
                false => sends_elsewhere(),
            };
            reader.exact(key, effect, "statusCode");
            code
        }
        Some(None) => {
            let message = format!(
                "statusCode {default}, as class nginx has it for codes that are not from 300 to 308"
            );
            reader.exact(key, Effect::Default, message);
            default
        }
        None => default,
    }
}

fn overridden(reader: &mut Reader<'_>, settings: &Settings, by: &str) {
    if settings.rule.redirect.is_none()
        && (settings.https.force || settings.https.ssl == Some(true))
    {
        for key in ["ssl-redirect", "force-ssl-redirect"] {
            reader.beaten(key, by);
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
    if let Some(code) = code {
        let effect = match code {
            301 => Effect::Default,
            _ => Effect::Rule(leads_elsewhere),
        };
        reader.exact("permanent-redirect-code", effect, "statusCode");
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
        reader.close_to(key, Effect::Rule(leads_elsewhere), message);
    } else {
        let message = format!("RequestRedirect {code}");
        reader.exact(key, Effect::Rule(leads_elsewhere), message);
    }
    Some(filter)
}
