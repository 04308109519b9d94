//! Bound ports: sockets, and what all workers count together.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ir::{SocketKey, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use telemetry::metrics::{ListenerMetrics, Metrics};

use crate::net::socket::keepalive;

/// Connections that the kernel holds for us while we are busy.
pub(crate) const BACKLOG: i32 = 4096;

/// A bound port, as all workers see it.
#[derive(Debug)]
pub(crate) struct PortHandle {
    /// A number may be bound once for each.
    pub(crate) transport: Transport,
    /// As the listener wrote it.
    pub(crate) key: SocketKey,
    /// Where it is really bound.
    pub(crate) address: SocketAddr,
    /// Numbers of the port: its connections, and requests that belong to no listener.
    pub(crate) metrics: Arc<ListenerMetrics>,
    connections: Arc<Count>,
}

/// How many there are of something, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicUsize);

/// One of them; dropped, it is not counted any more.
pub(crate) struct Counted(Arc<Count>);

impl PortHandle {
    /// Counts a connection in, or a client address, unless there are `limit` already.
    pub(crate) fn count(&self, limit: usize) -> Option<Counted> {
        self.connections.enter(limit)
    }
}

impl Count {
    /// Counts one in, unless there are `limit` already.
    pub(crate) fn enter(self: &Arc<Self>, limit: usize) -> Option<Counted> {
        if self.0.fetch_add(1, Relaxed) >= limit {
            self.0.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Counted(Arc::clone(self)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// A port that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listener port {port}, {transport}): {why}")]
pub struct BindError {
    /// For what.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// As the listener wrote it.
    pub port: SocketKey,
    /// The system's error, and what to do about it.
    pub why: String,
}

impl BindError {
    fn new((transport, port): PortKey, address: SocketAddr, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another process has it; stop that, or move this with --port-map FROM=TO"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a privilege; use --port-map 80=8080"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; see --bind and the Gateway's spec.addresses"
            }
            _ => "",
        };
        let why = match advice {
            "" => error.to_string(),
            advice => format!("{error}; {advice}"),
        };
        Self {
            transport,
            address,
            port,
            why,
        }
    }
}

/// What a port is known by.
pub(crate) type PortKey = (Transport, SocketKey);

/// Sockets of a port, one for each worker.
#[derive(Debug)]
pub(crate) enum Sockets {
    Tcp(Vec<TcpListener>),
    Udp(Vec<UdpSocket>),
}

/// Binds one socket for each worker to the same address.
pub(crate) fn bind(
    key: PortKey,
    address: SocketAddr,
    workers: usize,
    metrics: &Metrics,
) -> Result<(Arc<PortHandle>, Sockets), BindError> {
    let bound = match key.0 {
        Transport::Tcp => shared(address, workers, socket)
            .map(|(address, sockets)| (address, Sockets::Tcp(sockets))),
        Transport::Udp => shared(address, workers, datagram_socket)
            .map(|(address, sockets)| (address, Sockets::Udp(sockets))),
    };
    let (address, sockets) = bound.map_err(|error| BindError::new(key, address, &error))?;
    let (transport, key) = key;
    Ok((
        Arc::new(PortHandle {
            transport,
            key,
            address,
            metrics: metrics.listener(&format!("port/{}", key.port)),
            connections: Arc::default(),
        }),
        sockets,
    ))
}

/// Sockets that share an address, and the address.
fn shared<S: From<Socket>>(
    address: SocketAddr,
    workers: usize,
    make: fn(SocketAddr, bool) -> io::Result<Socket>,
) -> io::Result<(SocketAddr, Vec<S>)> {
    // With SO_REUSEPORT two gateways of one user would share a port without a word. Asking for it alone first shows
    // whether somebody is there.
    if address.port() != 0 {
        drop(make(address, false)?);
    }
    let first = make(address, true)?;
    let address = first.local_addr()?;
    let address = address.as_socket().unwrap_or(([0, 0, 0, 0], 0).into());
    let mut sockets = vec![S::from(first)];
    for _ in 1..workers {
        sockets.push(S::from(make(address, true)?));
    }
    Ok((address, sockets))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Connections that are accepted have it from here: no call for each of them.
    socket.set_tcp_keepalive(&keepalive())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Without SO_REUSEADDR, which would let anybody have a share of a UDP port.
fn datagram_socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ir::{SocketKey, Transport};

    use telemetry::metrics::Metrics;

    use super::bind;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let key = SocketKey {
            address: None,
            port: 80,
        };
        let (port, _sockets) = bind(
            (Transport::Tcp, key),
            SocketAddr::from(([127, 0, 0, 1], 0)),
            2,
            &Metrics::new(),
        )
        .unwrap();
        let error = bind((Transport::Tcp, key), port.address, 2, &Metrics::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&port.address.to_string()) && error.contains("--port-map"),
            "{error}"
        );
    }

    #[test]
    fn connections_are_bounded() {
        let key = SocketKey {
            address: None,
            port: 80,
        };
        let (port, _sockets) = bind(
            (Transport::Tcp, key),
            SocketAddr::from(([127, 0, 0, 1], 0)),
            1,
            &Metrics::new(),
        )
        .unwrap();
        let first = port.count(1);
        assert!(first.is_some() && port.count(1).is_none());
        drop(first);
        assert!(port.count(1).is_some());
    }
}
