//! Two sequences side by side.

use std::cmp::Ordering;

/// Goes through two sequences in ascending order of their keys: each key once, with what the one and the other have for
/// it.
pub fn paired<K: Ord, V>(
    one: impl IntoIterator<Item = (K, V)>,
    other: impl IntoIterator<Item = (K, V)>,
) -> impl Iterator<Item = (K, Option<V>, Option<V>)> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    std::iter::from_fn(move || {
        let order = match (one.peek(), other.peek()) {
            (Some((key, _)), Some((theirs, _))) => key.cmp(theirs),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let mine = one.next_if(|_| order.is_le());
        let theirs = other.next_if(|_| order.is_ge());
        match (mine, theirs) {
            (Some((key, mine)), theirs) => Some((key, Some(mine), theirs.map(|(_, value)| value))),
            (None, theirs) => theirs.map(|(key, value)| (key, None, Some(value))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::paired;

    #[test]
    fn each_key_comes_once_with_what_both_have() {
        let pairs: Vec<_> = paired(
            [(1, 'a'), (3, 'c'), (4, 'd')],
            [(2, 'B'), (3, 'C'), (5, 'E')],
        )
        .collect();
        let wanted = [
            (1, Some('a'), None),
            (2, None, Some('B')),
            (3, Some('c'), Some('C')),
            (4, Some('d'), None),
            (5, None, Some('E')),
        ];
        assert_eq!(pairs, wanted);
        assert_eq!(
            paired([(1, 'a')], []).collect::<Vec<_>>(),
            [(1, Some('a'), None)]
        );
        assert_eq!(paired::<u8, char>([], []).count(), 0);
    }
}
