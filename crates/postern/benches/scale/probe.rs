//! Requests over one connection that is kept, with as little work of our own as can be.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The longest that an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A connection to the gateway.
pub(crate) struct Probe(TcpStream);

impl Probe {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("nobody listens at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The status of the answer to a `GET /` for this host.
    pub(crate) async fn status(&mut self, host: &str) -> anyhow::Result<u16> {
        let answer = timeout(ANSWER, self.exchange(host)).await;
        answer.with_context(|| format!("no answer for {host} within {ANSWER:?}"))?
    }

    async fn exchange(&mut self, host: &str) -> anyhow::Result<u16> {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
        self.0.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(4096);
        let end = loop {
            ensure!(
                self.0.read_buf(&mut answer).await? > 0,
                "the connection ended"
            );
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let Some(length) = length.and_then(|length| length.trim().parse::<usize>().ok()) else {
            bail!("an answer without a length: {head}");
        };
        while answer.len() < end + length {
            ensure!(
                self.0.read_buf(&mut answer).await? > 0,
                "the connection ended"
            );
        }
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.with_context(|| format!("no status: {head}"))
    }
}
