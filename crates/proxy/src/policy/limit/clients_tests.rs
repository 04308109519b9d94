use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{Quota, RateLimiter, clock::FakeRelativeClock, middleware::NoOpMiddleware};

use super::{CLIENTS_PER_SHARD, Clients, SHARDS, SWEEP};

fn client(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
}

#[test]
fn a_flood_of_addresses_shares_and_is_forgotten() {
    let period = Duration::from_secs(60);
    let clock = FakeRelativeClock::default();
    let quota = Quota::with_period(period)
        .unwrap()
        .allow_burst(NonZeroU32::MIN);
    let limiter: RateLimiter<_, _, _, NoOpMiddleware<_>> =
        RateLimiter::new(quota, Clients::new(period), clock.clone());
    let room = SHARDS * CLIENTS_PER_SHARD;
    let let_through = (0..2 * room)
        .filter(|number| limiter.check_key(&client(*number)).is_ok())
        .count();
    assert!(
        (room..=room + SHARDS).contains(&let_through),
        "one bucket each, and one that the others of a part share: {let_through}"
    );
    assert!(
        limiter.check_key(&client(0)).is_err(),
        "who was first is still known"
    );
    clock.advance(period);
    let later = (2 * room..2 * room + SHARDS * SWEEP * 3)
        .filter(|number| limiter.check_key(&client(*number)).is_ok())
        .count();
    assert!(
        later > SHARDS * SWEEP,
        "full buckets make room for new clients: {later}"
    );
}
