//! What bounds messages on the wire: a table of raw bytes, and what each side makes of them.

mod frames;
mod requests;
mod requests_http2;
mod wire;
