//! A request that lasts for as long as a test wants: its body is one byte, which is sent last.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A POST over HTTP/1.1 whose backend waits for the body.
#[derive(Debug)]
pub struct Held(TcpStream);

impl Held {
    /// Sends the head of a request to this host and target.
    ///
    /// # Panics
    ///
    /// If nothing listens at the address.
    #[must_use]
    pub fn begin(address: SocketAddr, host: &str, target: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("something listens");
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("the head is sent");
        Self(stream)
    }

    /// Sends the body, and returns the name of the echo backend that answered.
    ///
    /// # Panics
    ///
    /// If no echo backend answers within 10 s.
    #[must_use]
    pub fn end(mut self) -> String {
        let limit = Some(Duration::from_secs(10));
        let stream = &mut self.0;
        stream.set_read_timeout(limit).expect("a socket takes one");
        stream.write_all(b"x").expect("the body is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let name = |line: &str| line.strip_prefix("x-backend: ").map(str::to_owned);
        answer.lines().find_map(name).expect("an echo backend")
    }
}
