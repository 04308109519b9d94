//! Shares of requests, exact and without a lock.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use ir::Fraction;

/// Walks 0..total so that each run of `total` steps meets every point once and neighbours lie far apart. Shares are
/// therefore exact over every `total` requests, and near to exact over few, for all workers together, without a lock.
pub(super) struct Spread {
    total: u64,
    stride: u64,
    pub(super) share: u64,
}

impl Spread {
    pub(super) fn new(total: u64, share: u64) -> Self {
        let total = total.max(1);
        // The golden section, moved to the next number that shares no divisor with the total.
        let mut stride = ((total as f64) * 0.618_033_988_75) as u64;
        stride = stride.max(1);
        while gcd(stride, total) != 1 {
            stride += 1;
        }
        Self {
            total,
            stride,
            share,
        }
    }

    pub(super) fn of(fraction: Fraction) -> Self {
        let divisor = gcd(
            u64::from(fraction.numerator()),
            u64::from(fraction.denominator()),
        )
        .max(1);
        Self::new(
            u64::from(fraction.denominator()) / divisor,
            u64::from(fraction.numerator()) / divisor,
        )
    }

    pub(super) fn at(&self, turn: u64) -> u64 {
        // Both factors are below 2^37 (at most 16 weights of 32 bits), so the product needs 128 bits.
        let product = u128::from(turn % self.total) * u128::from(self.stride);
        u64::try_from(product % u128::from(self.total)).unwrap_or(0)
    }

    pub(super) fn next(&self, position: &AtomicU64) -> u64 {
        self.at(position.fetch_add(1, Relaxed))
    }
}

/// Of weights one after another, the place of the one that a point falls in.
pub(super) fn share(weights: impl Iterator<Item = NonZeroU32>, mut point: u64) -> Option<usize> {
    let mut weights = weights.map(|weight| u64::from(weight.get()));
    weights.position(|weight| {
        let here = point < weight;
        point = point.saturating_sub(weight);
        here
    })
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn shares_are_exact_over_the_total_and_near_over_few() {
        for (total, share) in [
            (100, 30),
            (100, 1),
            (1000, 1),
            (7, 3),
            (1, 1),
            (16_000_000, 4_000_000),
        ] {
            let spread = Spread::new(total, share);
            let run = total.min(10_000);
            let hits = (0..run).filter(|turn| spread.at(*turn) < share).count() as u64;
            let expected = share * run / total;
            assert!(
                hits.abs_diff(expected) <= 3,
                "{share} of {total}: {hits} in {run}"
            );
            if run == total {
                assert_eq!(hits, share);
            }
        }
    }

    #[test]
    fn neighbours_are_spread() {
        let spread = Spread::new(100, 50);
        let longest =
            (0..100u64)
                .map(|t| u64::from(spread.at(t) < 50))
                .fold((0, 0), |(run, max), hit| {
                    let run = if hit == 1 { run + 1 } else { 0 };
                    (run, max.max(run))
                });
        assert!(
            longest.1 <= 3,
            "half of the traffic came {} times in a row",
            longest.1
        );
    }
}
