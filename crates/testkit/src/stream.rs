//! Backends for streams and datagrams: each says who it is, and gives back what it gets.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{echo::any, wait::DEADLINE};

/// A TCP backend. It speaks first: its name and a newline. Then it gives back what it gets, and when the client has
/// ended, it says `bye` and ends too. It serves until the process ends.
#[derive(Debug)]
pub struct TcpBackend {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl TcpBackend {
    /// Without TLS.
    ///
    /// # Panics
    /// The machine has no free port.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::start_at(any(), name)
    }

    /// The same at an address.
    ///
    /// # Panics
    /// It cannot be bound.
    #[must_use]
    pub fn start_at(address: SocketAddr, name: &str) -> Self {
        Self::serve(address, name, |name, mut stream| {
            talk(&name, &mut stream)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Inside TLS.
    ///
    /// # Panics
    /// The machine has no free port.
    #[must_use]
    pub fn start_tls(name: &str, config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::serve(any(), name, move |name, stream| {
            let connection = ServerConnection::new(Arc::clone(&config));
            let connection = connection.map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            talk(&name, &mut stream)?;
            stream.conn.send_close_notify();
            stream.flush()?;
            stream.sock.shutdown(Shutdown::Write)
        })
    }

    fn serve(
        address: SocketAddr,
        name: &str,
        each: impl Fn(String, TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("there is a free port");
        let address = { listener.local_addr() }.expect("a bound socket has an address");
        let connections = Arc::<AtomicUsize>::default();
        let (name, counted, each) = (name.to_owned(), Arc::clone(&connections), Arc::new(each));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, Relaxed);
                // A socket that refuses the option only waits longer.
                let _ = stream.set_read_timeout(Some(DEADLINE));
                let (name, each) = (name.clone(), Arc::clone(&each));
                // A client that breaks off is the test's affair.
                std::thread::spawn(move || drop(each(name, stream)));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has had.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

fn talk(name: &str, stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(format!("{name}\n").as_bytes())?;
    stream.flush()?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            stream.write_all(b"bye")?;
            return stream.flush();
        }
        stream.write_all(&buffer[..read])?;
        stream.flush()?;
    }
}

/// A UDP backend: it answers each datagram with its name, a colon, and the datagram. It serves until the process ends.
#[derive(Debug)]
pub struct UdpBackend {
    address: SocketAddr,
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl UdpBackend {
    /// On an address of the system's choice.
    ///
    /// # Panics
    /// The machine has no free port.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::start_at(any(), name)
    }

    /// The same at an address.
    ///
    /// # Panics
    /// It cannot be bound.
    #[must_use]
    pub fn start_at(address: SocketAddr, name: &str) -> Self {
        let socket = UdpSocket::bind(address).expect("there is a free port");
        let address = { socket.local_addr() }.expect("a bound socket has an address");
        let peers = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let (known, name) = (Arc::clone(&peers), name.to_owned());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok((read, peer)) = socket.recv_from(&mut buffer) {
                known.lock().push(peer);
                let answer = [name.as_bytes(), b":", &buffer[..read]].concat();
                // A datagram that does not arrive is what UDP is about.
                drop(socket.send_to(&answer, peer));
            }
        });
        Self { address, peers }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom each datagram came from, in order.
    #[must_use]
    pub fn peers(&self) -> Vec<SocketAddr> {
        self.peers.lock().clone()
    }
}
