//! `load-balance` over several endpoints: rounds, chance, and words that there are not.

use std::collections::{BTreeMap, BTreeSet};

use testkit::echo::Backend;

use super::{both_around, ingress};
use crate::support::service;

const CLASS: &str = "higress";

#[test]
fn rounds_and_chance() {
    let kinds = [
        ("none", None),
        ("round", Some("round_robin")),
        ("random", Some("random")),
        ("unknown", Some("fastest")),
    ];
    let manifests = |backends: &[Backend]| {
        let sites = kinds.map(|(name, value)| {
            // A Service for each: a round is the Service's.
            let backends: Vec<_> = backends.iter().collect();
            let annotations: Vec<_> = value
                .map(|value| ("load-balance", value))
                .into_iter()
                .collect();
            let site = ingress(
                name,
                (CLASS, &format!("{name}.com")),
                &annotations,
                &[("Prefix", "/", name)],
                "",
            );
            service(name, &backends) + &site
        });
        sites.concat()
    };
    both_around(&[CLASS], &["a", "b", "c"], manifests, |site| {
        let order = |name: &str, times: usize| {
            let url = format!("http://{name}.com/");
            (0..times).map(|_| site.get(&url)).collect::<Vec<_>>()
        };
        for name in ["none", "round", "unknown"] {
            let order = order(name, 12);
            assert!(
                order[..3].iter().collect::<BTreeSet<_>>().len() == 3,
                "{name}: {order:?}"
            );
            assert!(
                order.windows(4).all(|four| four[0] == four[3]),
                "{name}: {order:?}"
            );
        }
        let order = order("random", 150);
        let counts = order
            .iter()
            .fold(BTreeMap::<&str, usize>::new(), |mut counts, backend| {
                *counts.entry(backend).or_default() += 1;
                counts
            });
        // Less than one in a million million runs is further off.
        assert!(
            counts.len() == 3 && counts.values().all(|count| *count >= 10),
            "{counts:?}"
        );
        assert!(order.windows(4).any(|four| four[0] != four[3]), "{order:?}");
    });
}
