//! Requests from a file: a JSON object a line, or lines of an access log in the common or combined format.
//!
//! ```text
//! {"method":"GET","scheme":"https","host":"shop.example.com","path":"/cart?id=1","headers":{"x-stage":"canary"}}
//! 192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326 "-" "curl/8"
//! ```
//!
//! Of the object only `path` must be there: the method is GET, the scheme `http`, the host that of `--host`. What else it
//! holds does not count, so lines of Postern's own access log will do. A log line has no host: it takes `--host`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Ask;

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) asks: Vec<Ask>,
    /// Numbers of lines that are no request, and why.
    pub(crate) unread: Vec<(usize, String)>,
}

#[derive(Deserialize)]
struct Line {
    method: Option<String>,
    scheme: Option<String>,
    host: Option<String>,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// Reads every line; blank ones do not count. The same request twice is one.
pub(crate) fn read(text: &str, host: Option<&str>) -> Recorded {
    let mut recorded = Recorded::default();
    let mut seen = std::collections::BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match request(line, host) {
            Ok(ask) => {
                if seen.insert(ask.clone()) {
                    recorded.asks.push(ask);
                }
            }
            Err(why) => recorded.unread.push((at + 1, why)),
        }
    }
    recorded
}

fn request(line: &str, host: Option<&str>) -> Result<Ask, String> {
    let read = if line.starts_with('{') {
        serde_json::from_str(line).map_err(|error| format!("not a request: {error}"))?
    } else {
        logged(line).ok_or("neither JSON nor a line of an access log")?
    };
    let https = match read.scheme.as_deref() {
        None | Some("http") => false,
        Some("https") => true,
        Some(other) => return Err(format!("the scheme {other:?} is neither http nor https")),
    };
    let host = read.host.or_else(|| host.map(str::to_owned));
    let ask = Ask {
        host: host.ok_or("no host: give one with --host")?,
        target: read.path,
        method: read.method.unwrap_or_else(|| "GET".to_owned()),
        https,
        headers: read
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
    };
    if ask.is_sound() {
        Ok(ask)
    } else {
        Err("a method, path, host or header that no request has".to_owned())
    }
}

/// The request line is the first text in quotes.
fn logged(line: &str) -> Option<Line> {
    let request = line.split('"').nth(1)?;
    let mut words = request.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    (version.starts_with("HTTP/") && words.next().is_none()).then(|| Line {
        method: Some(method.to_owned()),
        scheme: None,
        host: None,
        path: path.to_owned(),
        headers: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn objects_and_log_lines() {
        let text = r#"
{"method":"POST","scheme":"https","host":"a.test","path":"/x?y=1","headers":{"X-Stage":"c"},"status":200}
{"path":"/plain"}
192.0.2.7 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326 "-" "curl/8"
192.0.2.7 - bob [10/Oct/2026:13:55:36 +0000] "GET /cart?id=1 HTTP/1.1" 200 2326
"#;
        let recorded = read(text, Some("b.test"));
        assert_eq!(recorded.unread, []);
        let asks: Vec<String> = recorded.asks.iter().map(ToString::to_string).collect();
        assert_eq!(
            asks,
            [
                "POST https://a.test/x?y=1 -H 'x-stage: c'",
                "GET http://b.test/plain",
                "GET http://b.test/cart?id=1",
            ]
        );
    }

    #[test]
    fn what_is_somebodys_is_not_printed() {
        let long = "session=0123456789012345678901234567890123456789";
        let text = format!(
            r#"{{"host":"a","path":"/","headers":{{"Authorization":"Basic eDp5","cookie":"{long}","x-a":"b"}}}}"#
        );
        let ask = &read(&text, None).asks[0];
        let printed = format!("{ask}{}", serde_json::to_string(ask).unwrap());
        assert!(
            !printed.contains("eDp5") && !printed.contains("session"),
            "{printed}"
        );
        assert_eq!(printed.matches("[redacted]").count(), 4);
        assert_eq!(ask.headers[0].1, "Basic eDp5", "but it is sent");
    }

    #[test]
    fn what_is_no_request_is_told() {
        let text = "{\"path\":\"/a\"}\n{\"path\":1}\nhello\n{\"host\":\"a\",\"path\":\"a\"}\n{\"host\":\"a\",\"path\":\"/\",\"scheme\":\"ftp\"}\n- \"\\x16\\x03\" 400";
        let unread = read(text, None).unread;
        let lines: Vec<usize> = unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6]);
        assert_eq!(unread[0].1, "no host: give one with --host");
        assert_eq!(unread[2].1, "neither JSON nor a line of an access log");
    }
}
