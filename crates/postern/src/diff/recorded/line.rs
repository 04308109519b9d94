//! One line of a file of requests, in any of the formats that are read.

use serde_json::{Map, Value};

use super::format::Format;

/// What a line says of a request. What it does not say is absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) method: Option<String>,
    pub(super) https: Option<bool>,
    pub(super) host: Option<String>,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

/// Where JSON logs have the request's path, best first: some have it as it came, others as the server rewrote it.
const TARGETS: [&str; 7] = [
    "request_uri",
    ":path",
    "path",
    "target",
    "url",
    "uri",
    "request_path",
];
const QUERIES: [&str; 4] = ["query", "query_string", "args", "request_query"];
const METHODS: [&str; 5] = ["method", ":method", "request_method", "http_method", "verb"];
/// The server name of TLS comes last: it is a host in most logs only.
const HOSTS: [&str; 8] = [
    ":authority",
    "authority",
    "http_host",
    "host",
    "request_host",
    "vhost",
    "server_name",
    "requested_server_name",
];
const SCHEMES: [&str; 4] = ["scheme", ":scheme", "request_scheme", "pass_access_scheme"];
/// Of these, any value says that there was TLS, and an empty one that there was none.
const OF_TLS: [&str; 4] = [
    "ssl_protocol",
    "tls_version",
    "downstream_tls_version",
    "requested_server_name",
];
/// A port, or an address with one.
const PORTS: [&str; 3] = ["server_port", "port", "downstream_local_address"];

/// Reads a line: of the format, if one is given.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(line: &str, format: Option<&Format>) -> Result<Line, String> {
    let line = unwrapped(line);
    if let Some(format) = format {
        let fields = format.fields(line);
        return of_fields(&fields.ok_or("not of --log-format")?);
    }
    if line.starts_with('{') {
        return object(line);
    }
    text(line).ok_or_else(|| "neither JSON nor a line of an access log".to_owned())
}

/// Without what container runtimes and kubectl put before a line: the pod, the time, the stream.
fn unwrapped(line: &str) -> &str {
    let mut rest = line.trim();
    if rest.starts_with("[pod/") {
        rest = rest.split_once("] ").map_or(rest, |(_, rest)| rest);
    }
    if let Some((time, after)) = rest.split_once(' ')
        && time.len() >= 20
        && time.as_bytes().get(10) == Some(&b'T')
        && time.starts_with(|c: char| c.is_ascii_digit())
    {
        rest = after;
        for stream in ["stdout F ", "stderr F "] {
            rest = rest.strip_prefix(stream).unwrap_or(rest);
        }
    }
    rest
}

fn object(line: &str) -> Result<Line, String> {
    let fields: Map<String, Value> =
        serde_json::from_str(line).map_err(|error| format!("not a request: {error}"))?;
    // As a container runtime keeps lines.
    if let (Some(Value::String(inner)), true) = (fields.get("log"), fields.contains_key("stream")) {
        return read(inner, None);
    }
    of_fields(&fields)
}

fn of_fields(fields: &Map<String, Value>) -> Result<Line, String> {
    let fields = Fields(fields);
    let mut line = match (fields.text(&TARGETS), fields.text(&["request"])) {
        (Some(target), _) => Line {
            target: with_query(target, fields.text(&QUERIES)),
            ..Line::default()
        },
        (None, Some(request)) => requested(request).ok_or("no request line in `request`")?,
        (None, None) => return Err("not a request: it has no path".to_owned()),
    };
    split_url(&mut line);
    line.method = fields
        .text(&METHODS)
        .map(str::to_owned)
        .or(line.method.take());
    let name = fields.text(&HOSTS).filter(|name| *name != "_");
    line.host = name.map(str::to_owned).or(line.host.take());
    line.https = fields.https()?.or(line.https);
    line.headers = fields.headers()?;
    Ok(line)
}

/// The members of a JSON object.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The first of these that has a text. Logs write `-` for what is not there.
    fn text(&self, names: &[&str]) -> Option<&'a str> {
        let texts = names.iter().filter_map(|name| self.0.get(*name)?.as_str());
        texts
            .map(str::trim)
            .find(|text| !text.is_empty() && *text != "-")
    }

    /// What the log says of TLS, from what says it best.
    fn https(&self) -> Result<Option<bool>, String> {
        if let Some(scheme) = self.text(&SCHEMES) {
            return match scheme.to_ascii_lowercase().as_str() {
                "https" | "wss" => Ok(Some(true)),
                "http" | "ws" => Ok(Some(false)),
                other => Err(format!("the scheme {other:?} is neither http nor https")),
            };
        }
        let told = match self.0.get("https") {
            Some(Value::Bool(on)) => Some(*on),
            Some(Value::String(word)) => Some(word.eq_ignore_ascii_case("on") || word == "true"),
            _ => None,
        };
        let tls = self.text(&OF_TLS).map(|_| true);
        // Envoy writes null for what is not there, and has the field all the same.
        let has = OF_TLS.iter().any(|name| self.0.contains_key(*name));
        let forwarded = || {
            let proto = self.text(&["x_forwarded_proto", "http_x_forwarded_proto"])?;
            Some(proto.eq_ignore_ascii_case("https"))
        };
        let told = told.or(tls).or_else(|| self.port());
        Ok(told.or(has.then_some(false)).or_else(forwarded))
    }

    fn port(&self) -> Option<bool> {
        PORTS.iter().find_map(|name| {
            let port = match self.0.get(*name)? {
                Value::Number(number) => number.as_u64()?.to_string(),
                Value::String(text) => text.clone(),
                _ => return None,
            };
            of_port(&port)
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>, String> {
        let headers = match self.0.get("headers") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Object(headers)) => headers,
            Some(_) => return Err("not a request: `headers` is no object".to_owned()),
        };
        let of = |(name, value): (&String, &Value)| {
            let value = value.as_str();
            let value =
                value.ok_or_else(|| format!("not a request: the header {name:?} is no text"))?;
            Ok((name.to_ascii_lowercase(), value.to_owned()))
        };
        headers.iter().map(of).collect()
    }
}

fn with_query(target: &str, query: Option<&str>) -> String {
    match query.map(|query| query.trim_start_matches('?')) {
        Some(query) if !query.is_empty() && !target.contains('?') => format!("{target}?{query}"),
        _ => target.to_owned(),
    }
}

/// The port of a port or address, where it is one that tells the scheme.
fn of_port(address: &str) -> Option<bool> {
    let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
    match port {
        "443" | "8443" => Some(true),
        "80" | "8080" => Some(false),
        _ => None,
    }
}

/// `GET /path HTTP/1.1`
fn requested(request: &str) -> Option<Line> {
    let mut words = request.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let whole = version.starts_with("HTTP/") && words.next().is_none();
    let mut line = whole.then(|| Line {
        method: Some(method.to_owned()),
        target: target.to_owned(),
        ..Line::default()
    })?;
    split_url(&mut line);
    Some(line)
}

/// A target that is an URL has scheme and host in it.
fn split_url(line: &mut Line) {
    let https = match line.target.split_once("://") {
        Some(("https", _)) => true,
        Some(("http", _)) => false,
        _ => return,
    };
    let rest = line.target.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let (host, target) = (host.to_owned(), format!("{slash}{target}"));
    *line = Line {
        https: Some(https),
        host: Some(host).filter(|host| !host.is_empty()),
        target,
        ..std::mem::take(line)
    };
}

/// A line of a log in text: the request line is the first text in quotes.
fn text(line: &str) -> Option<Line> {
    let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
    let mut read = requested(quoted.first()?)?;
    let before = line.split('"').next()?.trim();
    if before.starts_with('[') && before.ends_with(']') {
        envoy(line, &quoted, &mut read);
    } else {
        virtual_host(before, &mut read);
    }
    Some(read)
}

/// Apache's `vhost_combined`, which nginx is often taught, begins with the host and perhaps its port.
fn virtual_host(before: &str, read: &mut Line) {
    let mut words = before.split(' ');
    let (Some(host), Some(client)) = (words.next(), words.next()) else {
        return;
    };
    if client.parse::<std::net::IpAddr>().is_err() || host.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    match host.rsplit_once(':') {
        Some((name, port)) => {
            read.host = Some(name.to_owned());
            read.https = of_port(port);
        }
        None => read.host = Some(host.to_owned()),
    }
}

/// Envoy's own format and Istio's: the host is the last text in quotes but one, and behind the last one Istio has
/// addresses and the server name of TLS.
fn envoy(line: &str, quoted: &[&str], read: &mut Line) {
    if let [.., host, _] = quoted
        && quoted.len() >= 5
        && *host != "-"
    {
        read.host = Some((*host).to_owned());
    }
    let behind = line
        .rsplit('"')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    // The cluster, three addresses, of which the second is the listener's, the server name, the route.
    if let [_, _, own, _, name, ..] = behind.collect::<Vec<_>>()[..] {
        read.https = if name == "-" {
            of_port(own).or(Some(false))
        } else {
            Some(true)
        };
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
