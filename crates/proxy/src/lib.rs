//! The data plane: hyper and rustls, one worker per core.
//!
//! [`Proxy`] owns the workers. [`Proxy::swap`] makes an [`ir::Ir`] into a snapshot and stores it atomically: requests
//! in flight keep the one they began with, nothing is dropped. `serve/handle.rs` tells the life of a request phase by
//! phase; [`router`] decides which rule it meets, and [`filter`] holds what rules do to it.
//!
//! **Invariant:** this crate does not know Kubernetes. The hot path parses no configuration and takes no lock
//! (a rule with passwords: one, for reading).

mod client;
mod config;
mod http;
mod net;
mod observe;
mod policy;
pub mod router;
mod serve;
mod snapshot;
mod upstream;

pub use config::{Config, Deadlines, Limits};
pub use http::error::{ProxyError, Side};
pub use http::view::{BadHost, BadTarget, Client, Peer, Unreadable, View};
pub use net::anybody::Anybody;
pub use net::own::Loop;
pub use net::port::BindError;
pub use net::tls::TlsError;
pub use observe::Telemetry;
pub use policy::filter;
pub use serve::decision::explain::{Explained, Explainer, Outcome, Question};
pub use serve::proxy::{Drained, Proxy, StartError, Swapped};
