//! How requests and answers are seen, and where they end on the wire.

pub(crate) mod error;
pub(crate) mod framing;
pub(crate) mod grpc;
pub(crate) mod http2;
pub(crate) mod target;
pub(crate) mod view;
