use http::{HeaderMap, HeaderValue, header};
use ir::{SessionCookie, VaryingAttributes};

use super::{Claim, claim};
use crate::balance::hash;

fn cookie() -> SessionCookie {
    SessionCookie {
        name: "route".into(),
        attributes: "; Path=/; HttpOnly".into(),
        varying: VaryingAttributes::default(),
        after_weights: false,
        kept_on_failure: false,
        rebalanced: false,
        header: None,
    }
}

fn read(text: &'static str, ours: impl Fn(&Claim) -> bool) -> Option<Claim> {
    let mut headers = HeaderMap::new();
    headers.append(header::COOKIE, HeaderValue::from_static("z=1"));
    headers.append(header::COOKIE, HeaderValue::from_static(text));
    claim(&cookie(), &headers, ours)
}

const fn made(client: u64, backend: u64, endpoint: Option<u64>) -> Claim {
    Claim::Made {
        client,
        backend,
        endpoint,
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
