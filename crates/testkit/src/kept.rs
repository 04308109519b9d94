//! A client of HTTP/1.1 that keeps its connection, as pools of clients do: it looks whether the other side has closed
//! before it asks, and asks nothing twice. A request that gets no answer is lost.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::call::DEADLINE;

/// The client.
#[derive(Debug)]
pub struct Kept {
    request: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Kept {
    /// One that will ask for a path of a host. It has no connection yet.
    #[must_use]
    pub fn new(host: &str, path: &str) -> Self {
        Self {
            request: format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            connection: None,
        }
    }

    /// Whether there is a connection, and the other side has not closed it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let socket = connection.get_ref();
            let peeked = socket
                .set_nonblocking(true)
                .and_then(|()| socket.peek(&mut [0]));
            let open = peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
            open && socket.set_nonblocking(false).is_ok()
        })
    }

    /// Asks over the connection that there is, or a new one to `address`. The answer is its status.
    ///
    /// # Errors
    /// The request is lost, as text.
    pub fn ask(&mut self, address: SocketAddr) -> Result<u16, String> {
        if !self.is_connected() {
            self.connection = Some(connect(address).map_err(|error| format!("connect: {error}"))?);
        }
        let Some(mut connection) = self.connection.take() else {
            return Err("no connection".to_owned());
        };
        let lost = |error: std::io::Error| format!("lost: {error}");
        { connection.get_mut().write_all(self.request.as_bytes()) }.map_err(lost)?;
        let (status, stays) = answer(&mut connection).map_err(lost)?;
        self.connection = stays.then_some(connection);
        Ok(status)
    }
}

fn connect(address: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// The status, and whether the connection can be used again.
fn answer(connection: &mut BufReader<TcpStream>) -> std::io::Result<(u16, bool)> {
    let wrong = |what: String| std::io::Error::new(ErrorKind::InvalidData, what);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head)? == 0 {
            return Err(wrong(format!("closed after {head:?}")));
        }
    }
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(field, _)| *field == name);
        found.next().map(|(_, value)| value.trim())
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let length = length.ok_or_else(|| wrong(format!("no length: {head}")))?;
    connection.read_exact(&mut vec![0; length])?;
    let mut words = head.split(' ');
    let status = words.nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong(format!("no status: {head}")))?;
    Ok((status, field("connection") != Some("close")))
}
