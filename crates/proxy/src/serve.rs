//! Workers, and the life of a request, a stream and a datagram.

pub(crate) mod body;
pub(crate) mod datagram;
pub(crate) mod decision;
pub(crate) mod exchange;
pub(crate) mod handle;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod worker;
