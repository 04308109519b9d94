//! What bounds messages on the wire, in both directions: a table of raw bytes, and what each side makes of them.

mod connections;
mod frames;
mod http;
mod http2;
mod page;
mod requests;
mod requests_http2;
mod responses;
mod responses_http2;
mod wire;
