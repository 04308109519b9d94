//! Exact shares: canary weights with totals of their own, as weights of one split.

use crate::annotations::Weight;

/// Gateway API's largest weight.
pub(crate) const MOST: u64 = 1_000_000;

/// The weights of a split.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) base: u64,
    /// In the order of the canaries.
    pub(crate) canaries: Vec<u64>,
}

/// Brings all shares to one total; what the canaries leave is the base's. Together they cannot take more than all: then
/// the base gets nothing, and they share by weight. Where the common total is larger than Gateway API's weights, shares
/// are rounded to a millionth.
pub(crate) fn split(weights: &[Weight]) -> Split {
    let total = weights.iter().try_fold(1_u128, |lcm, weight| {
        let next = u128::from(weight.total);
        let common = lcm / gcd(lcm, next) * next;
        (common <= u128::from(u64::MAX)).then_some(common)
    });
    let total = total.unwrap_or(u128::from(MOST));
    let scaled: Vec<u128> = weights
        .iter()
        .map(|w| u128::from(w.part) * total / u128::from(w.total.max(1)))
        .collect();
    let sum: u128 = scaled.iter().sum();
    let mut all = vec![total.saturating_sub(sum)];
    all.extend(scaled);
    let most = u128::from(MOST);
    // 30 of 100 is better read as 30 and 70 than as 3 and 7.
    let divisor = if total <= most {
        1
    } else {
        all.iter().copied().fold(0, gcd).max(1)
    };
    let largest = all.iter().copied().max().unwrap_or(1) / divisor;
    let fit = |weight: u128| {
        let weight = weight / divisor;
        let weight = if largest > most {
            weight * most / largest
        } else {
            weight
        };
        u64::try_from(weight).unwrap_or(MOST)
    };
    Split {
        base: fit(all[0]),
        canaries: all[1..].iter().map(|weight| fit(*weight)).collect(),
    }
}

const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::annotations::Weight;

    fn check(weights: &[(u64, u64)], base: u64, canaries: &[u64]) {
        let weights: Vec<_> = weights
            .iter()
            .map(|(part, total)| Weight {
                part: *part,
                total: *total,
            })
            .collect();
        let got = split(&weights);
        assert_eq!((got.base, &*got.canaries), (base, canaries), "{weights:?}");
    }

    #[test]
    fn shares_are_exact() {
        check(&[(30, 100), (20, 100)], 50, &[30, 20]);
        check(&[(1, 1000)], 999, &[1]);
        check(&[(53, 100)], 47, &[53]);
        check(&[(0, 100)], 100, &[0]);
        check(&[(100, 100)], 0, &[100]);
        check(&[(60, 100), (60, 100)], 0, &[60, 60]);
        check(&[(1, 3), (1, 4)], 5, &[4, 3]);
        check(&[(1, 1_000_000_000)], 1_000_000, &[0]);
        check(&[(500_000_000, 1_000_000_000)], 1, &[1]);
    }
}
