//! Part of a response, and the account of what became of it.

use std::rc::Rc;

use bytes::{Buf, Bytes};

use crate::{client::http2_stream::Stream, serve::exchange::Exchange};

/// Part of a response on its way out. hyper takes from it what the client takes, and drops it when that was all, or
/// when the client has gone.
pub(crate) struct Piece {
    bytes: Bytes,
    /// Of HTTP/2: where this is accounted for.
    stream: Option<Rc<Stream>>,
    /// With the last piece: the account of the request, which ends when this has gone out.
    account: Exchange,
}

impl Piece {
    /// Part of a response on this stream.
    pub(crate) fn new(bytes: Bytes, stream: Option<&Rc<Stream>>) -> Self {
        if let Some(stream) = stream {
            stream.gives(bytes.len());
        }
        Self {
            bytes,
            stream: stream.cloned(),
            account: Exchange::none(),
        }
    }

    /// It is the last one.
    pub(crate) fn carries(&mut self, account: Exchange) {
        self.account = account;
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        if let Some(stream) = &self.stream {
            stream.takes(bytes);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let rest = self.bytes.len();
        if rest == 0 {
            return;
        }
        if let Some(stream) = &self.stream {
            stream.loses(rest);
        }
        self.account.cut(rest);
    }
}
