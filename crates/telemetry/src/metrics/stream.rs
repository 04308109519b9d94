//! What is counted of a listener that passes on streams or datagrams.

use super::{Counter, WordCounters};

/// The numbers of a listener with streams or datagrams.
#[derive(Debug)]
pub struct StreamMetrics {
    /// Streams, and sessions of datagrams, that are over, by how they ended.
    pub results: WordCounters,
    /// Bytes from clients.
    pub received: Counter,
    /// Bytes to clients.
    pub sent: Counter,
    /// Datagrams that went no further, by reason.
    pub dropped: WordCounters,
}

impl StreamMetrics {
    pub(super) fn new() -> Self {
        Self {
            results: WordCounters::new(),
            received: Counter::new(),
            sent: Counter::new(),
            dropped: WordCounters::new(),
        }
    }
}
