use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use ir::{SessionLifetime, SessionToken};

use super::{Claim, SKEW, claim_at};
use crate::upstream::balance::hash;

fn cookie() -> SessionToken {
    SessionToken::in_cookie("route", "; Path=/; HttpOnly")
}

fn read(text: &'static str, ours: impl Fn(&Claim) -> bool) -> Option<Claim> {
    let mut headers = HeaderMap::new();
    headers.append(header::COOKIE, HeaderValue::from_static("z=1"));
    headers.append(header::COOKIE, HeaderValue::from_static(text));
    claim_at(0, &cookie(), &headers, ours)
}

const fn made(client: u64, backend: u64, endpoint: Option<u64>) -> Claim {
    Claim::Made {
        client,
        backend,
        endpoint,
        end: 0,
    }
}

#[test]
fn values_of_ours() {
    let text = "a=b; route=00000000000000ab.0000000000000007;c=d";
    assert_eq!(read(text, |_| true), Some(made(0xab, 7, None)));
    let text = "route=00000000000000ab.0000000000000007.00000000000000cd";
    assert_eq!(read(text, |_| false), Some(made(0xab, 7, Some(0xcd))));
}

#[test]
fn values_of_others_are_kept() {
    for other in [
        "ab",
        "00000000000000ab.7",
        "00000000000000ab.0000000000000007.",
        "00000000000000ab.0000000000000007.x",
        "00000000000000ab.0000000000000007.0000000000000001.0000000000000001",
        "zzzzzzzzzzzzzzzz",
        "+0000000000000ab",
        "1732.44.123.456|0123456789abcdef0123456789abcdef",
    ] {
        let text: &'static str = format!("route={other}").leak();
        let wanted = Some(Claim::Foreign(hash(other.as_bytes())));
        assert_eq!(read(text, |_| false), wanted, "{other}");
    }
    for nothing in ["route=", "route", "xroute=00000000000000ab", "Route=a"] {
        assert_eq!(read(nothing, |_| true), None, "{nothing}");
    }
}

#[test]
fn earlier_values_name_an_endpoint_or_nothing() {
    let text = "route=00000000000000ab";
    assert_eq!(read(text, |_| true), Some(Claim::Named(0xab)));
    assert_eq!(read(text, |_| false), None);
}

/// A browser sends the cookie of the longest path first; whichever is of a backend of the rule counts.
#[test]
fn of_several_values_the_own_one_counts() {
    let text =
        "route=x; route=00000000000000ab.0000000000000007; route=00000000000000cd.0000000000000008";
    let of = |wanted: u64| move |claim: &Claim| matches!(claim, Claim::Made { backend, .. } if *backend == wanted);
    assert_eq!(read(text, of(7)), Some(made(0xab, 7, None)));
    assert_eq!(read(text, of(8)), Some(made(0xcd, 8, None)));
    assert_eq!(read(text, of(9)), Some(Claim::Foreign(hash(b"x"))));
}

#[test]
fn only_so_many_values_are_looked_at() {
    let own = "route=00000000000000ab.0000000000000007";
    for (others, wanted) in [(15, made(0xab, 7, None)), (16, Claim::Foreign(hash(b"x")))] {
        let text: &'static str = format!("{}{own}", "route=x;".repeat(others)).leak();
        let is_own = |claim: &Claim| matches!(claim, Claim::Made { .. });
        assert_eq!(read(text, is_own), Some(wanted), "{others}");
    }
}

/// What a value says at a time to a rule whose sessions last for 100 s, and for 10 s without a request.
fn lasting(value: &str, now: u64) -> Option<Claim> {
    let token = SessionToken {
        lifetime: SessionLifetime {
            absolute: Some(Duration::from_secs(100)),
            idle: Some(Duration::from_secs(10)),
        },
        ..cookie()
    };
    let mut headers = HeaderMap::new();
    let text = format!("route={value}");
    headers.append(header::COOKIE, HeaderValue::from_str(&text).unwrap());
    claim_at(now, &token, &headers, |_| false)
}

#[test]
fn sessions_end_to_the_millisecond() {
    let value =
        |end: u64, idle: u64| format!("{:016x}.{:016x}.{:016x}.{end:016x}.{idle:016x}", 1, 2, 3);
    let made = |end| Claim::Made {
        client: 1,
        backend: 2,
        endpoint: Some(3),
        end,
    };
    // Made 100 ms before a full second; it is good for all of its 10 s.
    let now = 1_000_900;
    let idle = now + 10_000;
    let all = value(1_050_000, idle);
    for at in [now, now + 200, idle - 1] {
        assert_eq!(lasting(&all, at), Some(made(1_050_000)), "{at}");
    }
    assert_eq!(lasting(&all, idle), None, "no request for 10 s");
    let late = value(1_005_000, 1_010_000);
    assert_eq!(lasting(&late, 1_004_999), Some(made(1_005_000)));
    assert_eq!(lasting(&late, 1_005_000), None, "the whole session is over");
    let endless = [value(0, idle), value(1_050_000, 0)];
    let others = ["00000000000000ab", "00000000000000ab.0000000000000007", "x"];
    for value in endless.iter().map(String::as_str).chain(others) {
        assert_eq!(lasting(value, now), None, "{value}");
    }
}

#[test]
fn a_clock_that_is_ahead_ends_no_session() {
    let value =
        |end: u64, idle: u64| format!("{:016x}.{:016x}.{:016x}.{end:016x}.{idle:016x}", 1, 2, 3);
    let now = 1_000_000;
    let (end, idle) = (now + 100_000, now + 10_000);
    for ahead in [1, 1_000, SKEW] {
        assert!(
            lasting(&value(end + ahead, idle + ahead), now).is_some(),
            "{ahead} ms"
        );
    }
    let beyond = SKEW + 1;
    assert_eq!(
        lasting(&value(end + beyond, idle), now),
        None,
        "longer than a new session"
    );
    assert_eq!(lasting(&value(end, idle + beyond), now), None, "likewise");
}
