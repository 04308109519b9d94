//! A client's connection: what is known of it, what it reads, and on which terms it is served.

pub(crate) mod connection;
pub(crate) mod http2_stream;
pub(crate) mod io;
pub(crate) mod meter;
pub(crate) mod terms;
