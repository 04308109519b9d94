//! Echo backends, certificates and the golden-file harness. For tests only.
//!
//! Nothing here knows the product's crates, so each of them can use it:
//!
//! - [`golden`] compares what a step made with `testdata/<topic>/<case>.out.yaml`;
//! - [`certs`] makes certificates and rustls configurations;
//! - [`echo`] is a real HTTP server that tells what it got, and fails on demand;
//! - [`stream`] has servers for TCP, TLS and UDP that say who they are and give back what they get;
//! - [`dns`] answers for names as it is told to, and counts what it is asked;
//! - [`call`] sends a request and tells everything that came back;
//! - [`held`] is a request that lasts for as long as a test wants;
//! - [`kept`] is a client that keeps its connection and repeats nothing;
//! - [`wait`] looks again until something holds.

pub mod call;
pub mod certs;
pub mod dns;
pub mod echo;
pub mod golden;
pub mod handshake;
pub mod held;
pub mod kept;
pub mod stream;
pub mod wait;

#[cfg(test)]
mod echo_tests;
