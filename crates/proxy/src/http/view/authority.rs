//! Host and port that a request is for.

use http::{HeaderMap, HeaderValue, Uri, header};

/// A host that is refused: several `Host` fields, one that differs from the request's target, or one that is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is missing or ambiguous")]
pub struct BadHost;

/// Host and port of a request, in the one form that everything sees: the host in lower case and without trailing dot,
/// the port without leading zeros, and left out where it is the scheme's own (RFC 3986 section 6.2.3). Empty for a
/// request of HTTP/1.0 that names no host.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    text: HeaderValue,
    /// How many bytes of the text are the host.
    host: usize,
    port: Option<u16>,
}

impl Authority {
    /// That of a head. RFC 9112 section 3.2.2: the target wins; a client that sends a `Host` field too must mean the
    /// same.
    ///
    /// # Errors
    /// [`BadHost`].
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap, https: bool) -> Result<Self, BadHost> {
        let mut fields = headers.get_all(header::HOST).iter();
        let field = fields.next();
        if fields.next().is_some() {
            return Err(BadHost);
        }
        let Some(target) = uri.authority() else {
            return field.map_or_else(|| Ok(Self::empty()), |field| Self::parse(field, https));
        };
        let target = HeaderValue::from_str(target.as_str()).map_err(|_| BadHost)?;
        // What port a scheme means is a matter of the target's scheme here, whatever the connection is.
        let own = uri.scheme_str().map_or(https, |scheme| scheme == "https");
        if let Some(field) = field
            && Self::parse(field, own)?.text != Self::parse(&target, own)?.text
        {
            return Err(BadHost);
        }
        Self::parse(&target, https)
    }

    fn empty() -> Self {
        Self {
            text: HeaderValue::from_static(""),
            host: 0,
            port: None,
        }
    }

    /// That of a single value.
    ///
    /// # Errors
    /// [`BadHost`].
    pub(super) fn parse(raw: &HeaderValue, https: bool) -> Result<Self, BadHost> {
        if let Some((host, port)) = canonical(raw.as_bytes())
            && port != Some(default_port(https))
        {
            return Ok(Self {
                text: raw.clone(),
                host,
                port,
            });
        }
        let raw = raw.to_str().map_err(|_| BadHost)?;
        let (name, port) = split(raw).ok_or(BadHost)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let legal = |b: u8| {
            b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'\\' | b',' | b'%')
        };
        if !name.bytes().all(legal) {
            return Err(BadHost);
        }
        let port = match port {
            "" => None,
            digits => Some(digits.parse::<u16>().map_err(|_| BadHost)?),
        };
        let port = port.filter(|port| *port != default_port(https));
        let mut text = name.to_ascii_lowercase();
        let host = text.len();
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        let text = HeaderValue::try_from(text).map_err(|_| BadHost)?;
        Ok(Self { text, host, port })
    }

    /// The host: lower case, without port and trailing dot. An IPv6 address keeps its brackets.
    pub(crate) fn host(&self) -> &str {
        let text = self.text.to_str().unwrap_or_default();
        text.get(..self.host).unwrap_or_default()
    }

    /// The port, where the client named one that is not the scheme's own.
    pub(crate) const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Both, as `Host` and `:authority` have them.
    pub(crate) const fn text(&self) -> &HeaderValue {
        &self.text
    }
}

/// How long the host of an authority is, and its port, if all of it is in the one form already.
fn canonical(bytes: &[u8]) -> Option<(usize, Option<u16>)> {
    let plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let host = bytes.iter().take_while(|b| plain(b)).count();
    if bytes.get(..host)?.last() == Some(&b'.') {
        return None;
    }
    let Some((b':', digits)) = bytes.get(host..)?.split_first() else {
        return (host == bytes.len()).then_some((host, None));
    };
    let whole = digits.first().is_some_and(|b| (b'1'..=b'9').contains(b)) && digits.len() <= 5;
    let port = digits.iter().try_fold(0_u32, |port, b| {
        b.is_ascii_digit().then(|| port * 10 + u32::from(b - b'0'))
    });
    let port = port.filter(|_| whole)?;
    Some((host, Some(u16::try_from(port).ok()?)))
}

/// The port that a scheme means.
pub(crate) const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// Host and port, which may be empty.
fn split(raw: &str) -> Option<(&str, &str)> {
    let (name, port) = match raw.strip_prefix('[') {
        Some(rest) => raw.split_at(rest.find(']')? + 2),
        None => raw.find(':').map_or((raw, ""), |at| raw.split_at(at)),
    };
    let digits = match port.strip_prefix(':') {
        Some(digits) => digits,
        None if port.is_empty() => "",
        None => return None,
    };
    let digits = digits.trim_start_matches('0');
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then_some((name, digits))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri, header};

    use super::Authority;

    fn of(uri: &str, fields: &[&str], https: bool) -> Option<(String, String)> {
        let uri: Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::HOST, HeaderValue::from_str(field).unwrap());
        }
        let found = Authority::of(&uri, &headers, https).ok()?;
        let text = found.text().to_str().unwrap().to_owned();
        Some((found.host().to_owned(), text))
    }

    /// Target and `Host` fields, whether over TLS, and host and text of the authority; `None` is refused.
    type Row = (
        &'static str,
        &'static [&'static str],
        bool,
        Option<(&'static str, &'static str)>,
    );

    const ROWS: &[Row] = &[
        (
            "/",
            &["Example.COM:8080"],
            false,
            Some(("example.com", "example.com:8080")),
        ),
        (
            "/",
            &["example.com."],
            false,
            Some(("example.com", "example.com")),
        ),
        (
            "/",
            &["example.com.:80"],
            false,
            Some(("example.com", "example.com")),
        ),
        (
            "/",
            &["example.com:80"],
            true,
            Some(("example.com", "example.com:80")),
        ),
        (
            "/",
            &["example.com:443"],
            true,
            Some(("example.com", "example.com")),
        ),
        (
            "/",
            &["example.com:00080"],
            false,
            Some(("example.com", "example.com")),
        ),
        (
            "/",
            &["example.com:"],
            false,
            Some(("example.com", "example.com")),
        ),
        ("/", &["[::1]:80"], false, Some(("[::1]", "[::1]"))),
        (
            "/",
            &["[FE80::1]:81"],
            false,
            Some(("[fe80::1]", "[fe80::1]:81")),
        ),
        ("/", &["a.com", "a.com"], false, None),
        ("/", &["a.com:x"], false, None),
        ("/", &["a.com:99999"], false, None),
        ("/", &["[::1]x"], false, None),
        ("/", &["a.com/b"], false, None),
        ("/", &["a.com@b.com"], false, None),
        ("/", &["a.com, b.com"], false, None),
        ("/", &["a%2ecom"], false, None),
        ("/", &[], false, Some(("", ""))),
        ("http://a.com/", &["a.com"], false, Some(("a.com", "a.com"))),
        (
            "http://a.com:80/",
            &["A.com"],
            false,
            Some(("a.com", "a.com")),
        ),
        (
            "http://a.com/",
            &["a.com.:80"],
            false,
            Some(("a.com", "a.com")),
        ),
        (
            "https://a.com:443/",
            &["a.com"],
            true,
            Some(("a.com", "a.com")),
        ),
        ("http://a.com:81/", &["a.com"], false, None),
        ("http://a.com/", &[], false, Some(("a.com", "a.com"))),
        ("http://a.com/", &["b.com"], false, None),
        ("http://u@a.com/", &[], false, None),
    ];

    #[test]
    fn hosts_have_one_form() {
        for (uri, fields, https, expected) in ROWS {
            let got = of(uri, fields, *https);
            let got = got.as_ref().map(|(host, text)| (&**host, &**text));
            assert_eq!(got, *expected, "{uri} {fields:?} {https}");
        }
    }
}
