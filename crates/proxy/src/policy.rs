//! What rules ask of requests and answers: limits, authentication, filters, sessions.

pub(crate) mod auth;
pub mod filter;
pub(crate) mod limit;
pub(crate) mod session;
