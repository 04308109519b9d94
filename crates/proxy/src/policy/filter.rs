//! What rules do to requests and answers. Filters hold parsed values, so nothing here can fail.

pub(crate) mod compose;
pub mod cors;
pub mod headers;
pub mod redirect;
pub mod rewrite;
