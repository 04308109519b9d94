//! Where messages end: what HTTP/1.1 and HTTP/2 fields say about it, and what of that can be read in one way only
//! (RFC 9112 section 6, RFC 9110 sections 6.5 and 8.6).

mod answer;
mod length;
mod scanner;
pub(crate) mod trailers;

pub(crate) use answer::{Reuse, settle};
pub(crate) use length::{is_one_length, is_trimmed};
pub(crate) use scanner::{Fault, HeadScanner};
