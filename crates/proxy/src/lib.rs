//! The data plane: hyper and rustls, one worker per core.
//!
//! [`Proxy`] owns the workers. [`Proxy::swap`] makes an [`ir::Ir`] into a snapshot and stores it atomically: requests in
//! flight keep the one they began with, nothing is dropped. The life of a request is told phase by phase in `handle.rs`; [`router`] decides which rule it meets, and [`filter`] holds what rules do to it.
//!
//! **Invariant:** this crate does not know Kubernetes. The hot path parses no configuration and takes no lock
//! (a rule with passwords: one, for reading).

mod anybody;
mod auth;
mod balance;
mod body;
mod clock;
mod config;
mod connection;
mod datagram;
mod decision;
mod error;
mod exchange;
pub mod filter;
mod framing;
mod grpc;
mod handle;
mod http2;
mod io;
mod limit;
mod meter;
mod names;
mod observe;
mod own;
mod port;
mod proxy;
mod rejection;
mod roots;
pub mod router;
mod server;
mod session;
mod silence;
mod snapshot;
mod socket;
mod stream;
mod target;
mod terms;
mod tls;
mod up_body;
mod upstream;
mod view;
mod window;
mod worker;

pub use anybody::Anybody;
pub use config::{Config, Deadlines, Limits};
pub use decision::explain::{Explained, Explainer, Outcome, Question};
pub use error::{ProxyError, Side};
pub use observe::Telemetry;
pub use own::Loop;
pub use port::BindError;
pub use proxy::{Drained, Proxy, StartError, Swapped};
pub use tls::TlsError;
pub use view::{BadHost, BadTarget, Client, Peer, Unreadable, View};
