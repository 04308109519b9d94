//! Sockets, ports and TLS, and the clock that waits are counted by.

pub(crate) mod anybody;
pub(crate) mod clock;
pub(crate) mod own;
pub(crate) mod port;
pub(crate) mod rejection;
pub(crate) mod roots;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod window;
