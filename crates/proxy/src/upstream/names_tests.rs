use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use telemetry::metrics::Metrics;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::Instant,
};

use super::{Answer, Found, GRACE, HOLDS, Name, Names, OLDEST, PAUSE, Weak};

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn found(texts: &[&str], holds: u64) -> Found {
    Found::Addresses(ips(texts), Duration::from_secs(holds))
}

fn after(before: Option<&Answer>, found: Found, now: Instant) -> Answer {
    Answer::after(before, found, now, "a.test")
}

/// Names, and what the thread that asks would get.
fn names() -> (Names, UnboundedReceiver<Weak<Name>>) {
    let names = Names::new(&[], &Metrics::new());
    let (asking, asked) = mpsc::unbounded_channel();
    names.asking.to.set(asking).unwrap();
    (names, asked)
}

#[test]
fn connections_are_tried_over_both_families_by_turns_and_spread_over_addresses() {
    let all = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "2001:db8::1",
        "2001:db8::2",
    ];
    let answer = after(None, found(&all, 60), Instant::now());
    let order = |turn, v4| -> Vec<String> {
        let order = answer.in_order(turn, v4).into_iter();
        order.map(|ip| ip.to_string()).collect()
    };
    let first = [
        "2001:db8::1",
        "192.0.2.1",
        "2001:db8::2",
        "192.0.2.2",
        "192.0.2.3",
    ];
    assert_eq!(order(0, false), first);
    let next = [
        "2001:db8::2",
        "192.0.2.2",
        "2001:db8::1",
        "192.0.2.3",
        "192.0.2.1",
    ];
    assert_eq!(order(1, false), next);
    let v4 = [
        "192.0.2.3",
        "2001:db8::1",
        "192.0.2.1",
        "2001:db8::2",
        "192.0.2.2",
    ];
    assert_eq!(order(2, true), v4);
    let turned: Vec<_> = answer.from(7).collect();
    assert_eq!((turned.len(), turned[0]), (5, answer.addresses[2]));
}

#[test]
fn an_answer_holds_as_long_as_it_says_within_bounds() {
    let now = Instant::now();
    let until = |holds| after(None, found(&["192.0.2.1"], holds), now).until - now;
    assert_eq!(until(0), HOLDS.0);
    assert_eq!(until(30), Duration::from_secs(30));
    assert_eq!(until(86_400), HOLDS.1);
    let many: Vec<_> = (0..200).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(
        after(None, found(&many, 1), now).addresses.len(),
        super::ADDRESSES
    );
}

#[test]
fn old_addresses_stay_while_lookups_fail_and_not_when_there_are_none() {
    let now = Instant::now();
    let failed = || Found::Failed("no way".to_owned());
    let first = after(None, found(&["192.0.2.1"], 30), now);
    let later = now + Duration::from_secs(40);
    let stale = after(Some(&first), failed(), later);
    assert_eq!((&stale.addresses, stale.said), (&first.addresses, now));
    assert_eq!(stale.until, later + PAUSE);
    let still = after(Some(&stale), failed(), now + OLDEST);
    assert_eq!(still.addresses, first.addresses);
    let ended = after(Some(&still), failed(), now + OLDEST + PAUSE);
    assert!(ended.addresses.is_empty(), "it is too old");
    let gone = after(Some(&stale), Found::Nothing, later);
    assert!(
        gone.addresses.is_empty() && !gone.failing,
        "that is an answer"
    );
    assert_eq!(gone.until, later + PAUSE);
    let again = after(Some(&ended), found(&["192.0.2.2"], 30), later);
    assert_eq!(&*again.addresses, ips(&["192.0.2.2"]));
    assert!(!again.failing);
}

#[test]
fn an_answer_is_used_for_a_while_beyond_its_time() {
    let now = Instant::now();
    let answer = after(None, found(&["192.0.2.1"], 30), now);
    assert!(answer.is_usable(answer.until + GRACE - Duration::from_secs(1)));
    assert!(!answer.is_usable(answer.until + GRACE));
}

#[test]
fn a_name_is_known_once_and_for_as_long_as_somebody_has_it() {
    let (names, _asked) = names();
    let (a, b) = (names.get("a.test"), names.get("b.test"));
    assert!(Arc::ptr_eq(&a, &names.get("a.test")));
    drop(b);
    names.forget();
    let left: Vec<_> = names.known.lock().keys().cloned().collect();
    assert_eq!(left, ["a.test".into()]);
}

#[test]
fn a_name_is_asked_for_once_until_it_rests() {
    let (names, mut asked) = names();
    let name = names.get("a.test");
    assert!(asked.try_recv().is_err(), "nobody has used it");
    for _ in 0..3 {
        assert!(name.known().is_none());
    }
    assert!(Weak::ptr_eq(
        &asked.try_recv().unwrap(),
        &Arc::downgrade(&name)
    ));
    assert!(asked.try_recv().is_err(), "once");
    name.learn(found(&["192.0.2.1"], 30));
    assert!(!name.rests(), "it was used meanwhile");
    assert!(name.known().is_some());
    assert!(!name.rests(), "again");
    assert!(name.rests(), "not any more");
    assert!(!name.kept.load(SeqCst));
    assert!(
        name.known().is_some() && asked.try_recv().is_ok(),
        "it is asked for anew"
    );
}

#[test]
fn the_family_that_answers_is_tried_first() {
    let (names, _asked) = names();
    let name = names.get("a.test");
    let [v4, v6] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
    let both = after(
        None,
        found(&["192.0.2.1", "2001:db8::1"], 30),
        Instant::now(),
    );
    assert!(!name.prefers_v4());
    name.reached(v4, &both);
    assert!(name.prefers_v4());
    name.reached(
        v6,
        &after(None, found(&["2001:db8::1"], 30), Instant::now()),
    );
    assert!(name.prefers_v4(), "there was no choice");
    name.reached(v6, &both);
    assert!(!name.prefers_v4());
}
