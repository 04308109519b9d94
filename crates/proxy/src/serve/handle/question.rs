//! What an external authenticator is told of a request, and where clients are sent who have to sign in.

use http::{HeaderMap, HeaderName, HeaderValue, header, uri::PathAndQuery};
use ir::{ExternalAuth, Template};

use crate::{
    http::view::{View, fields},
    policy::filter::compose::{self, Request},
    upstream::Head,
};

const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const BACK_TO: HeaderName = HeaderName::from_static("x-auth-request-redirect");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Path and query.
fn uri(view: &View) -> &str {
    view.target().as_str()
}

/// A template's text as a header's value; `None` if no header can hold it.
pub(super) fn fill(template: &Template, request: Request<'_>) -> Option<HeaderValue> {
    let text = request.text(template).ok()?;
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

/// The request to the authenticator, without body; `None` if its target cannot be one.
pub(super) fn question(request: Request<'_>, auth: &ExternalAuth) -> Option<Head> {
    let view = request.view;
    let target = request.text(&auth.target).ok()?;
    let mut headers = match &auth.sent {
        None => view.headers.clone(),
        Some(names) => chosen(&view.headers, names),
    };
    for name in [
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRAILER,
    ] {
        headers.remove(name);
    }
    // What the authenticator is to say of the client, the client does not say to it in another spelling.
    if let Some(copied) = &auth.copied {
        fields::remove_aliases(&mut headers, copied.iter());
    }
    view.add_forwarded(&mut headers);
    let authority = view.authority().to_str().unwrap_or_default();
    let url = format!("{}://{authority}{}", view.scheme(), uri(view));
    let method = HeaderValue::from_str(view.method.as_str()).ok()?;
    let uri = HeaderValue::try_from(uri(view)).ok()?;
    let told = [
        (ORIGINAL_URL, HeaderValue::try_from(url).ok()?),
        (ORIGINAL_METHOD, method.clone()),
        (ORIGINAL_URI, uri.clone()),
        (FORWARDED_METHOD, method),
        (FORWARDED_URI, uri),
        (BACK_TO, fill(&auth.back_to, request)?),
        (
            REAL_IP,
            HeaderValue::try_from(&*compose::client(view)).ok()?,
        ),
    ];
    fields::remove_aliases(&mut headers, told.iter().map(|(name, _)| name));
    for (name, value) in told {
        headers.insert(name, value);
    }
    Some(Head {
        method: auth.method.clone().unwrap_or_else(|| view.method.clone()),
        target: PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()?,
        host: auth
            .host
            .clone()
            .unwrap_or_else(|| view.authority().clone()),
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
