//! What an HTTP/2 client has said about its connection as a whole.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering::Relaxed};

use crate::net::clock::TICK;

/// Before the client says otherwise, for a stream and for all of them together (RFC 9113 section 6.9.2).
const WINDOW: u32 = 65_535;

/// So long it takes until as many requests may be given up again as at first.
const PERIOD: u64 = 60;

/// Only the connection's own thread writes here.
#[derive(Debug)]
pub(crate) struct Client {
    /// How many bytes of responses may be on their way on one stream, before the client says more about that stream.
    stream_window: AtomicU32,
    /// How many bytes more may go out, over all streams, less those that hyper holds already.
    room: AtomicI64,
    /// Since when part of a frame is there. 0: since never.
    part: AtomicU32,
    /// Requests that were given up, less those that were answered meanwhile, and less as many as time has forgiven.
    resets: AtomicU32,
    /// Up to when time has forgiven.
    forgiven: AtomicU32,
}

impl Client {
    pub(crate) const fn new() -> Self {
        Self {
            stream_window: AtomicU32::new(WINDOW),
            room: AtomicI64::new(WINDOW as i64),
            part: AtomicU32::new(0),
            resets: AtomicU32::new(0),
            forgiven: AtomicU32::new(0),
        }
    }

    /// The client takes so many bytes of each response without another word.
    pub(crate) fn sets_stream_window(&self, bytes: u32) {
        self.stream_window.store(bytes, Relaxed);
    }

    /// The client takes so many bytes more, or hyper has given some up.
    pub(crate) fn makes_room(&self, bytes: usize) {
        self.change_room(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So many bytes are given to hyper.
    pub(crate) fn takes_room(&self, bytes: usize) {
        self.change_room(i64::try_from(bytes).unwrap_or(i64::MAX).saturating_neg());
    }

    fn change_room(&self, bytes: i64) {
        let room = self.room.load(Relaxed).saturating_add(bytes);
        self.room.store(room, Relaxed);
    }

    /// Whether nothing more has to be heard from the client before the first `bytes` of a response can go out, and all
    /// that hyper holds of others.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        bytes <= u64::from(self.stream_window.load(Relaxed)) && self.room.load(Relaxed) >= 0
    }

    /// Part of a head, or of another frame that has to come as a whole, is there, or none.
    pub(crate) fn in_part(&self, part: bool, another: bool, now: u32) {
        let since = self.part.load(Relaxed);
        if !part && since != 0 {
            self.part.store(0, Relaxed);
        } else if part && (since == 0 || another) {
            self.part.store(now, Relaxed);
        }
    }

    /// Since when part of a frame is there, and not the rest. 0: there is none.
    pub(crate) fn in_part_since(&self) -> u32 {
        self.part.load(Relaxed)
    }

    /// A request was given up. Whether that is no more than `limit`: each answer allows one more, and so does time,
    /// `limit` of them in a minute.
    pub(crate) fn may_reset(&self, now: u32, limit: u32) -> bool {
        let ticks = u64::from(now.saturating_sub(self.forgiven.load(Relaxed)));
        let period = PERIOD * 1_000 / TICK.as_millis() as u64;
        let forgiven = ticks * u64::from(limit) / period;
        if forgiven > 0 {
            self.forgiven.store(now, Relaxed);
        }
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        let resets = self.resets.load(Relaxed).saturating_sub(forgiven) + 1;
        self.resets.store(resets, Relaxed);
        resets <= limit
    }

    /// A request was answered to its end.
    pub(crate) fn was_answered(&self) {
        let resets = self.resets.load(Relaxed);
        if resets > 0 {
            self.resets.store(resets - 1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn a_client_may_give_up_as_many_requests_as_are_answered_and_some_more() {
        let client = Client::new();
        assert!((0..20).all(|_| client.may_reset(1, 20)));
        assert!(!client.may_reset(1, 20));
        client.was_answered();
        client.was_answered();
        assert!(client.may_reset(1, 20));
        assert!(!client.may_reset(1, 20));
    }

    #[test]
    fn time_allows_a_client_to_give_up_more_requests() {
        // A minute has 240 ticks, so that one is forgiven every 12.
        let may = |pause: u32| {
            let client = Client::new();
            (1..400).all(|turn| client.may_reset(1 + turn * pause, 20))
        };
        assert!(may(12));
        assert!(!may(11));
    }

    #[test]
    fn there_is_room_for_what_the_windows_have_room_for() {
        let client = Client::new();
        assert!(client.has_room_for(65_535) && !client.has_room_for(65_536));
        client.sets_stream_window(100_000);
        client.takes_room(65_535);
        assert!(client.has_room_for(100_000));
        client.takes_room(1);
        assert!(!client.has_room_for(1), "of other streams");
        client.makes_room(1);
        assert!(client.has_room_for(1));
        client.sets_stream_window(0);
        assert!(!client.has_room_for(1) && client.has_room_for(0));
    }

    #[test]
    fn each_part_has_its_own_beginning() {
        let client = Client::new();
        client.in_part(false, true, 5);
        assert_eq!(client.in_part_since(), 0);
        client.in_part(true, false, 6);
        client.in_part(true, false, 7);
        assert_eq!(client.in_part_since(), 6);
        client.in_part(true, true, 8);
        assert_eq!(client.in_part_since(), 8, "another frame");
        client.in_part(false, true, 9);
        assert_eq!(client.in_part_since(), 0);
    }
}
