//! Bound ports: sockets, and what all workers count together.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ir::SocketKey;
use socket2::{Domain, Protocol, Socket, Type};
use telemetry::metrics::{ListenerMetrics, Metrics};

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;

/// A bound port, as all workers see it.
#[derive(Debug)]
pub(crate) struct PortHandle {
    /// As the listener wrote it.
    pub(crate) key: SocketKey,
    /// Where it is really bound.
    pub(crate) address: SocketAddr,
    /// Numbers of the port: its connections, and requests that belong to no listener.
    pub(crate) metrics: Arc<ListenerMetrics>,
    connections: AtomicUsize,
}

/// One of a port's connections; dropped, it is not counted any more.
pub(crate) struct Counted(Arc<PortHandle>);

impl PortHandle {
    /// Counts a connection in, unless there are `limit` already.
    pub(crate) fn count(self: &Arc<Self>, limit: usize) -> Option<Counted> {
        if self.connections.fetch_add(1, Relaxed) >= limit {
            self.connections.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Counted(Arc::clone(self)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A port that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listener port {port}): {why}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// As the listener wrote it.
    pub port: SocketKey,
    /// The system's error, and what to do about it.
    pub why: String,
}

impl BindError {
    fn new(port: SocketKey, address: SocketAddr, error: &io::Error) -> Self {
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
            _ => {
                return Self {
                    address,
                    port,
                    why: error.to_string(),
                };
            }
        };
        Self {
            address,
            port,
            why: format!("{error}; {advice}"),
        }
    }
}

/// Binds one socket for each worker to the same address.
pub(crate) fn bind(
    key: SocketKey,
    address: SocketAddr,
    workers: usize,
    metrics: &Metrics,
) -> Result<(Arc<PortHandle>, Vec<TcpListener>), BindError> {
    let error = |e: io::Error| BindError::new(key, address, &e);
    // With SO_REUSEPORT two gateways of one user would share a port without a word. Asking for it alone first shows
    // whether somebody is there.
    if address.port() != 0 {
        drop(socket(address, false).map_err(error)?);
    }
    let first = socket(address, true).map_err(error)?;
    let address = first.local_addr().map_err(error)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(socket(address, true).map_err(|e| BindError::new(key, address, &e))?);
    }
    let metrics = metrics.listener(&format!("port/{}", key.port));
    Ok((
        Arc::new(PortHandle {
            key,
            address,
            metrics,
            connections: AtomicUsize::new(0),
        }),
        sockets,
    ))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ir::SocketKey;

    use telemetry::metrics::Metrics;

    use super::bind;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let key = SocketKey {
            address: None,
            port: 80,
        };
        let (port, _sockets) = bind(
            key,
            SocketAddr::from(([127, 0, 0, 1], 0)),
            2,
            &Metrics::new(),
        )
        .unwrap();
        let error = bind(key, port.address, 2, &Metrics::new())
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
            key,
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
