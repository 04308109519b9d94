//! What is known of HTTP/2 clients beside what hyper does: the frames that they send, as they pass.
//!
//! hyper does not show them. Frames that cost us and nothing else are counted (`frames.rs`). How far each stream has
//! come is in `client/http2_stream.rs`.

mod client;
mod frames;

pub(crate) use client::Client;
pub(crate) use frames::{FORBIDDEN, Frames, Seen};
