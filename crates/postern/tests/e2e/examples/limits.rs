//! Limits that ingress-nginx has: for each client, and for bodies.

use std::time::Instant;

use testkit::{call::Call, wait::eventually};

use crate::support::Served;

const URL: &str = "http://example.com/test";

/// Each client address may ask twice a second, with bursts of eleven, and have two requests in flight.
pub(crate) fn clients(served: &Served<'_>) {
    let address = served.http;
    let slow = || {
        std::thread::spawn(move || {
            let call = Call::get(address, "http://example.com/test?delay=3000");
            call.send_blocking().unwrap().status.as_u16()
        })
    };
    let busy = [slow(), slow()];
    eventually("the slow requests arrive", || {
        served.hits("demo-service") == 2
    });
    let refused = served.get(URL);
    assert_eq!(refused.status.as_u16(), 429);
    assert_eq!(&refused.body[..], b"concurrency_limited");
    for busy in busy {
        assert_eq!(busy.join().unwrap(), 200);
    }
    let start = Instant::now();
    let mut passed = 0;
    for _ in 0..60 {
        let answer = served.get(URL);
        match answer.status.as_u16() {
            200 => passed += 1,
            429 => assert_eq!(&answer.body[..], b"rate_limited"),
            other => panic!("{other}"),
        }
    }
    let refilled = start.elapsed().as_secs_f64() * 2.0;
    assert!(passed >= 9, "{passed} passed");
    assert!(
        f64::from(passed) <= 12.0 + refilled,
        "{passed} passed, {refilled} came back"
    );
}

/// Request bodies may have 8 KiB; larger ones are answered with 413.
pub(crate) fn body_size(served: &Served<'_>) {
    for chunked in [false, true] {
        let post = |bytes: usize| {
            let call = served.call("POST", URL).body(vec![b'x'; bytes]);
            let call = if chunked { call.chunked() } else { call };
            call.send_blocking().unwrap()
        };
        assert_eq!(post(8192).backend(), "demo-service");
        let answer = post(8193);
        assert_eq!(answer.status.as_u16(), 413);
        assert_eq!(&answer.body[..], b"body_too_large");
    }
}
