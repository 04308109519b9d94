//! Session cookies: which endpoint a client belongs to.

use http::{HeaderMap, HeaderValue, header};
use ir::SessionCookie;

/// The endpoint that the client's cookie names, whether or not there is such an endpoint.
pub(crate) fn mark(cookie: &SessionCookie, headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(header::COOKIE).iter();
    let pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let mut ours = pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == &*cookie.name).then_some(value)
    });
    let value = ours.next()?;
    (value.len() == 16)
        .then(|| u64::from_str_radix(value, 16).ok())
        .flatten()
}

/// The header that ties a client to an endpoint.
pub(crate) fn set_cookie(cookie: &SessionCookie, mark: u64) -> Option<HeaderValue> {
    let text = format!("{}={mark:016x}{}", cookie.name, cookie.attributes);
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use ir::SessionCookie;

    use super::{mark, set_cookie};

    #[test]
    fn what_is_set_is_read() {
        let cookie = SessionCookie {
            name: "route".into(),
            attributes: "; Path=/; HttpOnly".into(),
            after_weights: false,
            kept_on_failure: false,
        };
        let set = set_cookie(&cookie, 0xab).unwrap();
        assert_eq!(set, "route=00000000000000ab; Path=/; HttpOnly");
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static("z=1"));
            headers.append(header::COOKIE, HeaderValue::from_static(text));
            mark(&cookie, &headers)
        };
        assert_eq!(read("a=b; route=00000000000000ab;c=d"), Some(0xab));
        for other in [
            "route=ab",
            "route=",
            "xroute=00000000000000ab",
            "route=zzzzzzzzzzzzzzzz",
            "route",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
