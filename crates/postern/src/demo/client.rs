//! Sends what a `curl` line of an example says, without curl.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// For one request with its answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// A line asks for no more requests than this.
const MOST_REQUESTS: u32 = 10_000;

/// What came back for a line.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One request: whether its head is to be shown, and the answer.
    One(bool, Response<Bytes>),
    /// Several: how often each backend, or status, has answered.
    Many(BTreeMap<String, u32>),
}

/// A `curl` line, understood as far as the examples need it.
#[derive(Debug)]
struct Line {
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    show_head: bool,
    port: u16,
    host: String,
    target: String,
    /// `[1-100]` in the URL: one request for each number.
    numbers: Option<(u32, u32)>,
}

/// Sends the requests of a line.
///
/// # Errors
/// The line is not understood, or somebody did not answer.
pub(crate) async fn send(command: &str) -> anyhow::Result<Answer> {
    let line = Line::parse(command).with_context(|| format!("cannot send `{command}`"))?;
    let Some((first, last)) = line.numbers else {
        let answer = line.send(&line.target).await?;
        return Ok(Answer::One(line.show_head, answer));
    };
    let mut counts = BTreeMap::new();
    for number in first..=last {
        let target = line.target.replace("[]", &number.to_string());
        let answer = line.send(&target).await?;
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        let who = body
            .split_whitespace()
            .next()
            .filter(|_| answer.status().is_success());
        *counts
            .entry(who.map_or_else(|| answer.status().to_string(), str::to_owned))
            .or_default() += 1;
    }
    Ok(Answer::Many(counts))
}

impl Line {
    fn parse(command: &str) -> anyhow::Result<Self> {
        let words = shlex::split(command).context("a quote is missing")?;
        let mut words = words.iter().skip(1);
        let (mut method, mut headers, mut show_head, mut url) =
            (Method::GET, Vec::new(), false, None);
        let mut body = Bytes::new();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} wants a value"))
            };
            match word.as_str() {
                "-H" => {
                    let (name, value) = value()?
                        .split_once(": ")
                        .context("-H wants 'Name: value'")?;
                    headers.push((name.parse()?, value.parse()?));
                }
                "-u" => {
                    let encoded = format!("Basic {}", STANDARD.encode(value()?));
                    headers.push((header::AUTHORIZATION, encoded.parse()?));
                }
                "-b" => headers.push((header::COOKIE, value()?.parse()?)),
                "-d" | "--data-binary" => {
                    body = data(value()?)?;
                    method = Method::POST;
                }
                "-X" => method = value()?.parse()?,
                "-i" => show_head = true,
                "-s" => {}
                flag if flag.starts_with('-') => bail!("{flag} is not known here"),
                word => url = Some(word),
            }
        }
        let url = url.context("there is no URL")?;
        let (authority, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        let port = authority
            .strip_prefix("localhost:")
            .context("only localhost:PORT is known here")?
            .parse()?;
        let (target, numbers) = glob(if path.is_empty() { "/" } else { path })?;
        Ok(Self {
            method,
            headers,
            body,
            show_head,
            port,
            host: authority.to_owned(),
            target,
            numbers,
        })
    }

    async fn send(&self, target: &str) -> anyhow::Result<Response<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.parse()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.parse()?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("postern-demo"));
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (Some(name.clone()), value.clone())),
        );
        let exchange = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let driven = tokio::spawn(connection);
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            driven.abort();
            anyhow::Ok(Response::from_parts(head, body))
        };
        timeout(DEADLINE, exchange)
            .await
            .context("no answer in time")?
    }
}

/// A body, or with `@` the file that holds it.
fn data(text: &str) -> anyhow::Result<Bytes> {
    match text.strip_prefix('@') {
        None => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Some(path) => {
            let content = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
            Ok(content.into())
        }
    }
}

/// Splits `/a?n=[1-9]` into `/a?n=[]` and the numbers.
fn glob(target: &str) -> anyhow::Result<(String, Option<(u32, u32)>)> {
    let Some((before, rest)) = target.split_once('[') else {
        return Ok((target.to_owned(), None));
    };
    let (range, after) = rest.split_once(']').context("[ without ]")?;
    let (first, last) = range.split_once('-').context("[ ] wants FIRST-LAST")?;
    let (first, last): (u32, u32) = (first.parse()?, last.parse()?);
    if last
        .checked_sub(first)
        .is_none_or(|more| more >= MOST_REQUESTS)
    {
        bail!("[{range}] is no range of up to {MOST_REQUESTS} numbers");
    }
    Ok((format!("{before}[]{after}"), Some((first, last))))
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines_are_understood() {
        let line =
            Line::parse("curl -i -X PUT -H 'Host: example.com' -b a=b 'localhost:80/x?n=[1-100]'")
                .unwrap();
        assert_eq!(
            (line.method.as_str(), line.port, line.show_head),
            ("PUT", 80, true)
        );
        assert_eq!(line.headers.len(), 2);
        assert_eq!(
            (line.target.as_str(), line.numbers),
            ("/x?n=[]", Some((1, 100)))
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (line, why) in [
            ("curl --data x localhost:80/", "--data is not known here"),
            ("curl example.com/", "only localhost:PORT"),
            ("curl localhost:80/[9-1]", "no range"),
            ("curl localhost:80/[1-99999]", "no range"),
            ("curl 'localhost:80/", "quote"),
            ("curl", "no URL"),
            ("curl -H nothing localhost:80/", "'Name: value'"),
        ] {
            let error = format!("{:#}", Line::parse(line).unwrap_err());
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn every_line_of_the_examples_is_understood() {
        let examples = crate::demo::all();
        let lines: Vec<_> = examples
            .iter()
            .flat_map(|example| &example.requests)
            .collect();
        assert!(lines.len() > 40, "{}", lines.len());
        for line in lines {
            Line::parse(line.command).unwrap_or_else(|error| panic!("{}: {error:#}", line.command));
        }
    }
}
