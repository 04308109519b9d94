use std::{num::NonZeroU32, sync::Arc};

use ir::{RateLimit, RateUnit};

use super::Bucket;
use crate::http::view::Client;

fn limit(requests: u32, burst: u32) -> RateLimit {
    RateLimit {
        requests: NonZeroU32::new(requests).unwrap(),
        unit: RateUnit::Hour,
        burst: NonZeroU32::new(burst).unwrap(),
        per_client: false,
        exempt: vec![],
    }
}

fn client(text: &str) -> Client {
    Client::peer(text.parse().unwrap())
}

#[test]
fn a_bucket_is_full_at_first_and_says_when_to_come_back() {
    let bucket = Bucket::new(&limit(60, 3));
    let ask = || bucket.take(client("10.0.0.1"));
    assert!((0..3).all(|_| ask().is_ok()));
    let wait = ask().unwrap_err().as_secs();
    assert!((55..=60).contains(&wait), "one token a minute: {wait}");
}

#[test]
fn extreme_limits_are_limits() {
    assert!(
        Bucket::new(&limit(1, u32::MAX))
            .take(client("10.0.0.1"))
            .is_ok()
    );
    assert!(
        Bucket::new(&limit(u32::MAX, 1))
            .take(client("10.0.0.1"))
            .is_ok()
    );
}

#[test]
fn clients_have_buckets_of_their_own() {
    let mut limit = limit(60, 1);
    limit.per_client = true;
    limit.exempt = vec!["192.168.0.0/16".parse().unwrap()];
    let bucket = Bucket::new(&limit);
    let ask = |address: &str| bucket.take(client(address)).is_ok();
    assert!(ask("10.0.0.1") && ask("10.0.0.2"));
    assert!(!ask("10.0.0.1") && !ask("10.0.0.2"));
    assert!(
        ask("2001:db8::1") && !ask("2001:db8::2"),
        "one /64 is one client"
    );
    assert!(ask("2001:db8:0:1::1"));
    assert!((0..9).all(|_| ask("192.168.1.1")), "exempt");
}

#[test]
fn workers_take_no_more_than_there_is() {
    let bucket = Arc::new(Bucket::new(&limit(1, 1_000)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let bucket = Arc::clone(&bucket);
            std::thread::spawn(move || {
                (0..1_000)
                    .filter(|_| bucket.take(client("10.0.0.1")).is_ok())
                    .count()
            })
        })
        .collect();
    let taken: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(taken, 1_000);
}
