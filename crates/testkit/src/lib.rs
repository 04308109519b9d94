//! Echo backends, certificates and the golden-file harness. For tests only.
//!
//! Nothing here knows the product's crates, so each of them can use it:
//!
//! - [`golden`] compares what a step made with `testdata/<topic>/<case>.out.yaml`;
//! - [`certs`] makes certificates and rustls configurations.

pub mod certs;
pub mod golden;
