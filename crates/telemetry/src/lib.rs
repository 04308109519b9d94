//! Traces, metrics, access log and the program's own diagnostics.
//!
//! This crate must not know routing or Kubernetes: callers hand it plain text, addresses and
//! status codes. Everything a request touches here is wait-free: counters are sharded per thread,
//! spans and log lines go into bounded buffers and are dropped, and counted, when those are full.
//!
//! Start with [`trace::Tracing`], [`metrics::Metrics`] and [`access_log::AccessLog`]; the binary
//! makes one of each, the proxy gets clones.

pub mod access_log;
pub mod log;
pub mod metrics;
pub mod propagation;
mod shard;
pub mod trace;
