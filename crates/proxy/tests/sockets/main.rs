//! The data plane over real sockets, with real TLS and real backends.
#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod auth;
mod backend_tls;
mod backend_url;
mod clients;
mod datagrams;
mod decision;
mod drain;
mod edge;
mod elsewhere;
mod external_auth;
mod fallback;
mod forwarding;
mod framing;
mod http2_peer;
mod http2_upstream;
mod http2_windows;
mod limits;
mod logged;
mod loops;
mod names;
mod paths;
mod resets;
mod sessions;
mod silence;
mod stalls;
mod state;
mod streams;
mod support;
mod templates;
mod terms;
mod tls_streams;
mod told;
mod tunnels;
mod view;
mod wire;
