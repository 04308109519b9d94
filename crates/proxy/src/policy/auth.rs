//! Who a client says it is, and whether that is so.

mod basic;
pub(crate) mod external;
mod known;
mod md5_crypt;
mod password;

pub(crate) use basic::{Credentials, Verifier, is_right, user};
