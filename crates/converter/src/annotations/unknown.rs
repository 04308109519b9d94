//! Keys with a prefix of ours that there are not: perhaps one is only misspelt.

use super::{FAMILIES, find};

/// What to say of a key that there is not.
pub(super) fn message(name: &str) -> String {
    match meant(name) {
        Some(meant) => format!("unknown annotation; did you mean {meant}?"),
        None => "unknown annotation".to_owned(),
    }
}

/// The key that a name nearly is: the same in small letters, or with one or two letters more, fewer or other.
fn meant(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase().replace('_', "-");
    if find(&lower).is_some() {
        return Some(lower);
    }
    // In a short name two letters are too many.
    let most = if lower.len() < 8 { 1 } else { 2 };
    let keys = FAMILIES.iter().flat_map(|family| family.keys);
    let near = keys.filter_map(|key| {
        let (start, rest) = match key.prefix() {
            None => (lower.as_str(), ""),
            // The name of the user's stays.
            Some(prefix) => lower.split_at_checked(prefix.len())?,
        };
        let known = key.prefix().unwrap_or(key.name);
        let distance = strsim::damerau_levenshtein(start, known);
        (distance <= most).then(|| (distance, format!("{known}{rest}")))
    });
    near.min().map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn a_misspelt_key_is_told_what_is_near() {
        for (name, wanted) in [
            ("whitelist-source-rangee", Some("whitelist-source-range")),
            ("Auth-Type", Some("auth-type")),
            ("auth_url", Some("auth-url")),
            ("rewrite-taregt", Some("rewrite-target")),
            ("ssl-redirct", Some("ssl-redirect")),
            (
                "exact-match-haeder-x-stage",
                Some("exact-match-header-x-stage"),
            ),
            ("no-such-key", None),
            ("x", None),
            ("\u{e4}\u{f6}\u{fc}-match", None),
        ] {
            assert_eq!(meant(name).as_deref(), wanted, "{name}");
        }
    }
}
