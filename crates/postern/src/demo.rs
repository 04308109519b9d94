//! The shipped examples, built in: each with its manifests, backends that answer for its Services, and requests to try.

mod backend;
mod client;
mod example;

pub(crate) use backend::start as start_backend;
pub(crate) use client::{Answer, send};
pub(crate) use example::{Example, all};
