//! Windows of HTTP/2 (RFC 9113 section 5.2): what the other side may send before it is read.

/// The largest window there is (RFC 9113 section 6.9.1).
const LARGEST: u32 = (1 << 31) - 1;

/// What a connection begins with; nothing makes it smaller.
const LEAST: u32 = 65_535;

/// What a stream has at least, whatever it is to share.
const LEAST_STREAM: u32 = 1024;

/// The windows of a connection and of each of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Bytes of one stream that may wait to be read.
    pub(crate) stream: u32,
    /// Bytes of all streams that may wait to be read.
    pub(crate) connection: u32,
}

impl Windows {
    /// Windows for so many streams at a time, of `stream` bytes each. The connection's is larger than what its streams
    /// can hold together, so that streams that are not read hold up no other. Where that is more than a window can be,
    /// those of the streams are smaller, down to 1 KiB: two million streams.
    pub(crate) fn new(streams: u32, stream: u32) -> Self {
        // One more: what is on its way on a stream that was given up still counts.
        let shares = streams.saturating_add(1);
        let stream = stream.min(LARGEST / shares).max(LEAST_STREAM);
        Self {
            stream,
            connection: stream.saturating_mul(shares).clamp(LEAST, LARGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGEST, LEAST, LEAST_STREAM, Windows};

    #[test]
    fn all_streams_together_cannot_fill_a_connection() {
        for streams in [1, 2, 100, 10_000, 1_000_000] {
            let windows = Windows::new(streams, 256 * 1024);
            let held = u64::from(streams) * u64::from(windows.stream);
            assert!(
                u64::from(windows.connection) > held,
                "{streams}: {windows:?}"
            );
            assert!(windows.connection <= LARGEST && windows.stream > 0);
        }
    }

    #[test]
    fn a_stream_has_what_it_was_to_have_where_that_is_possible() {
        let windows = Windows::new(100, 1024);
        assert_eq!((windows.stream, windows.connection), (1024, 103_424));
        assert_eq!(Windows::new(1, 1024).connection, LEAST);
        let windows = Windows::new(u32::MAX, 1024);
        assert_eq!(
            (windows.stream, windows.connection),
            (LEAST_STREAM, LARGEST)
        );
    }
}
