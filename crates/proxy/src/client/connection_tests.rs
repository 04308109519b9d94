use super::{
    Clock,
    Command::{self, Close, Drain, HangUp, Leave, Serve},
    ConnState,
};
use crate::{config::Deadlines, net::rejection::Rejection};

fn state(ticks: u32, prepare: impl Fn(&ConnState)) -> ConnState {
    let clock = Clock::new();
    let state = ConnState::new(clock.clone());
    prepare(&state);
    for _ in 0..ticks {
        clock.advance();
    }
    state.check(&Deadlines::default());
    state
}

fn after(ticks: u32, prepare: impl Fn(&ConnState)) -> Command {
    state(ticks, prepare).commanded_now()
}

#[test]
fn a_head_that_does_not_end_is_closed() {
    assert_eq!(after(40, |_| {}), Serve, "10 s are allowed");
    let closed = state(41, |_| {});
    assert_eq!(closed.commanded_now(), Close);
    assert_eq!(closed.ended(), Some(Rejection::HeaderTimeout));
    let head = |s: &ConnState| {
        s.established();
        s.bytes_read(true);
    };
    assert_eq!(after(41, head), Close);
    let part = |s: &ConnState| {
        s.established();
        s.request_begins();
        s.http2.in_part(true, false, 1);
    };
    assert_eq!(after(40, part), Serve);
    assert_eq!(after(41, part), Close, "beside other streams too");
}

#[test]
fn a_handshake_has_a_deadline_of_its_own() {
    assert_eq!(after(100_000, ConnState::handshake_begins), Serve);
    let shaken = |s: &ConnState| {
        s.handshake_begins();
        s.handshake_ends();
    };
    assert_eq!(after(41, shaken), Close, "a preface has to follow");
}

#[test]
fn an_idle_connection_is_closed_once_nothing_is_in_flight() {
    assert_eq!(
        after(300, ConnState::established),
        Serve,
        "75 s are allowed"
    );
    let idle = state(301, ConnState::established);
    assert_eq!((idle.commanded_now(), idle.ended()), (HangUp, None));
    let answered = |s: &ConnState| {
        s.request_begins();
        s.request_ends();
    };
    assert_eq!(after(301, answered), HangUp);
    let hung_up = |s: &ConnState| {
        s.established();
        s.command(HangUp);
    };
    assert_eq!(after(40, hung_up), HangUp, "the client may say so");
    assert_eq!(after(41, hung_up), Close);
}

#[test]
fn a_client_that_is_told_of_the_end_has_time_to_ask_once_more() {
    let told = |command: Command| {
        move |s: &ConnState| {
            s.established();
            s.command(command);
        }
    };
    assert_eq!(after(300, told(Leave)), Leave, "as long as ever");
    assert_eq!(after(301, told(Leave)), HangUp);
    assert_eq!(after(40, told(Drain)), Drain, "as long as a head may take");
    assert_eq!(after(41, told(Drain)), HangUp);
    let busy = |s: &ConnState| {
        s.request_begins();
        s.command(Drain);
    };
    assert_eq!(after(100_000, busy), Drain);
    let late = state(100, |s| {
        s.established();
        s.clock.advance();
    });
    late.command(Drain);
    late.check(&Deadlines::default());
    assert_eq!(late.commanded_now(), Drain, "from when it is told");
}

#[test]
fn a_backend_may_take_its_time_but_a_client_may_not() {
    assert_eq!(after(100_000, ConnState::request_begins), Serve);
    let read = state(1201, |s| {
        s.request_begins();
        s.read_waits();
    });
    assert_eq!(read.commanded_now(), Close);
    assert_eq!(read.ended(), Some(Rejection::Stalled));
    let write = |s: &ConnState| {
        s.request_begins();
        s.write_waits();
    };
    assert_eq!(after(1201, write), Close);
    let goes_on = |s: &ConnState| {
        s.request_begins();
        s.write_waits();
        s.bytes_written();
        s.read_waits();
        s.read_goes_on();
    };
    assert_eq!(after(1201, goes_on), Serve);
}

#[test]
fn tunnels_are_left_alone() {
    let tunnel = |s: &ConnState| {
        s.becomes_tunnel();
        s.write_waits();
    };
    assert_eq!(after(100_000, tunnel), Serve);
}
