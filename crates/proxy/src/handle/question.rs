//! What an external authenticator is told of a request, and where clients are sent who have to sign in.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts, uri::PathAndQuery};
use ir::{ExternalAuth, Template, Variable};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Routed, request};
use crate::{auth::external, canonical, server::Conn, upstream::Head};

/// Everything but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const BACK_TO: HeaderName = HeaderName::from_static("x-auth-request-redirect");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// A request as the variables of templates see it: the canonical view of it, as everywhere.
pub(super) struct View<'a> {
    conn: &'a Conn,
    parts: &'a Parts,
    path: &'a str,
    host: String,
    authority: HeaderValue,
}

impl<'a> View<'a> {
    pub(super) fn of(conn: &'a Conn, routed: &'a Routed, parts: &'a Parts) -> Self {
        // It was read once already, so it can be read.
        let host = canonical::host(&parts.uri, &parts.headers).unwrap_or_default();
        Self {
            conn,
            parts,
            path: request::path(routed, parts),
            host: host.into_owned(),
            authority: request::authority(parts),
        }
    }

    fn scheme(&self) -> &str {
        request::scheme(self.conn, &self.parts.headers)
    }

    fn query(&self) -> Option<&str> {
        self.parts.uri.query()
    }

    fn uri(&self, text: &mut String) {
        text.push_str(self.path);
        if let Some(query) = self.query() {
            text.push('?');
            text.push_str(query);
        }
    }

    fn write(&self, variable: Variable, text: &mut String) {
        match variable {
            Variable::Host => text.push_str(&self.host),
            Variable::Authority => text.push_str(self.authority.to_str().unwrap_or(&self.host)),
            Variable::Scheme => text.push_str(self.scheme()),
            Variable::RequestUri => self.uri(text),
            Variable::EscapedRequestUri => {
                let mut uri = String::new();
                self.uri(&mut uri);
                text.extend(utf8_percent_encode(&uri, ESCAPED));
            }
            Variable::Path => text.push_str(self.path),
            Variable::Query => text.push_str(self.query().unwrap_or_default()),
            Variable::QuestionMark => text.push_str(self.query().map_or("", |_| "?")),
            Variable::Method => text.push_str(self.parts.method.as_str()),
            Variable::ClientAddress => {
                // Writing to a text cannot fail.
                let _ = write!(text, "{}", self.conn.client(&self.parts.headers));
            }
        }
    }

    /// A template's text as a header's value; `None` if no header can hold it.
    pub(super) fn fill(&self, template: &Template) -> Option<HeaderValue> {
        let text = template.fill(|variable, text| self.write(variable, text));
        HeaderValue::try_from(text).ok()
    }
}

/// The request to the authenticator, without body; `None` if its target cannot be one.
pub(super) fn question(view: &View<'_>, auth: &ExternalAuth) -> Option<Head> {
    let parts = view.parts;
    let target = auth
        .target
        .fill(|variable, text| view.write(variable, text));
    let mut headers = match &auth.sent {
        None => parts.headers.clone(),
        Some(names) => chosen(&parts.headers, names),
    };
    request::strip_hop_by_hop(&mut headers);
    for name in [
        header::HOST,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRAILER,
    ] {
        headers.remove(name);
    }
    request::join_cookies(&mut headers);
    request::forwarded(view.conn, &view.authority, &mut headers);
    let mut url = format!("{}://", view.scheme());
    view.write(Variable::Authority, &mut url);
    let mut uri = String::new();
    view.uri(&mut uri);
    url.push_str(&uri);
    let mut client = String::new();
    view.write(Variable::ClientAddress, &mut client);
    let told = [
        (ORIGINAL_URL, HeaderValue::try_from(url).ok()?),
        (
            ORIGINAL_METHOD,
            HeaderValue::from_str(parts.method.as_str()).ok()?,
        ),
        (ORIGINAL_URI, HeaderValue::try_from(uri.as_str()).ok()?),
        (
            FORWARDED_METHOD,
            HeaderValue::from_str(parts.method.as_str()).ok()?,
        ),
        (FORWARDED_URI, HeaderValue::try_from(uri).ok()?),
        (BACK_TO, view.fill(&auth.back_to)?),
        (REAL_IP, HeaderValue::try_from(client).ok()?),
    ];
    let names = told.each_ref().map(|(name, _)| name.clone());
    external::without_aliases(&mut headers, &names);
    for (name, value) in told {
        headers.insert(name, value);
    }
    Some(Head {
        method: auth.method.clone().unwrap_or_else(|| parts.method.clone()),
        target: PathAndQuery::try_from(target).ok()?,
        host: auth.host.clone().unwrap_or_else(|| view.authority.clone()),
        headers,
    })
}

/// These headers, and `Authorization`, which every authenticator needs.
fn chosen(all: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let wanted = names.iter().chain([&header::AUTHORIZATION]);
    let mut some = HeaderMap::new();
    for name in wanted.filter(|name| all.contains_key(*name)) {
        some.remove(name);
        for value in all.get_all(name) {
            some.append(name.clone(), value.clone());
        }
    }
    some
}
