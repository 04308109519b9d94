//! What is measured, one after the other.

pub(crate) mod attach;
pub(crate) mod ingresses;
pub(crate) mod memory;
pub(crate) mod single;
