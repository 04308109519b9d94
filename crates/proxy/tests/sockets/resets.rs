//! Clients of HTTP/2 that give up more requests than they let be answered.

use std::{thread, time::Duration};

use testkit::{echo::Backend as Echo, wait::eventually};

use crate::{
    logged::Logged,
    support::{http, serve, simple, start_with},
    wire::{CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Wire, frame, head},
};

const FLOOD: &str = "postern_connections_rejected_total{reason=\"flood\"}";

#[test]
fn requests_that_are_given_up_one_after_another_end_the_connection() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|config| config.limits.cancels = 50, &logged.telemetry);
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    for at in 0..3_000 {
        wire.get(2 * at + 1, "/?delay=60000");
        // Long enough to be accepted, and sent to a backend.
        thread::sleep(Duration::from_millis(1));
        wire.send(&frame(RST_STREAM, 0, 2 * at + 1, CANCEL));
        if logged.number(FLOOD) == Some(1) {
            break;
        }
    }
    assert!(wire.ends(), "GOAWAY comes first");
    eventually("it is counted", || logged.number(FLOOD) == Some(1));
    assert!(echo.hits() < 200, "{} reached the backend", echo.hits());
    // Others are served, and a connection of the same client too.
    let mut wire = Wire::open(http(&proxy), 65_535);
    wire.get(1, "/");
    wire.until("an answer", |frame| frame.kind == DATA);
}

#[test]
fn a_client_may_give_up_some_of_what_it_asks_for() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|config| config.limits.cancels = 20, &logged.telemetry);
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    wire.more(0, 10_000_000);
    let mut stream = 1;
    for turn in 0..200 {
        wire.get(stream, "/?delay=60000");
        eventually("it is asked", || echo.hits() == 2 * turn + 1);
        wire.send(&frame(RST_STREAM, 0, stream, CANCEL));
        wire.get(stream + 2, "/");
        wire.until("an answer", |frame| {
            frame.stream == stream + 2 && frame.flags & END_STREAM != 0
        });
        stream += 4;
    }
    assert_eq!(logged.number(FLOOD), Some(0));
}

#[test]
fn resets_before_a_request_is_looked_at_are_counted_too() {
    let echo = Echo::start("a");
    let logged = Logged::new();
    let proxy = start_with(|config| config.limits.resets = 20, &logged.telemetry);
    serve(&proxy, simple(echo.address()).ir());
    let mut wire = Wire::open(http(&proxy), 65_535);
    let mut burst = Vec::new();
    for at in 0..100 {
        let head = head("GET", "/", &[]);
        let stream = 2 * at + 1;
        burst.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        burst.extend(frame(RST_STREAM, 0, stream, CANCEL));
    }
    wire.send(&burst);
    assert!(wire.ends(), "GOAWAY comes first");
    eventually("it is counted", || logged.number(FLOOD) == Some(1));
}
