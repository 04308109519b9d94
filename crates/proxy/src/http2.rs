//! What is known of HTTP/2 clients beside what hyper does: their frames as they pass, and how far each stream has come.
//!
//! hyper shows neither. Frames that cost us and nothing else are counted (`frames.rs`), and streams that flow control holds up
//! are found by a worker's watch and ended (`stream.rs`). Nothing here has a timer for each request.

mod client;
mod frames;
mod stream;

pub(crate) use client::Client;
pub(crate) use frames::{FORBIDDEN, Frames, Seen};
pub(crate) use stream::{Stream, StreamWatch};
