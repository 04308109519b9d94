//! Header changes.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ir::HeaderMods;

use crate::http::view::fields;

/// Applies changes in the order in which they stand.
pub fn apply_all(changes: &[HeaderMods], map: &mut HeaderMap) {
    for mods in changes {
        apply(mods, map);
    }
}

/// [`apply`] for a request. Fields that a backend may take for those that are changed go, too: a client must not
/// contradict the rule with `X_User` beside its `X-User`.
pub fn apply_to_request(mods: &HeaderMods, map: &mut HeaderMap) {
    fields::remove_aliases(map, mods.names());
    apply(mods, map);
}

/// Removes, sets, adds: in this order.
pub fn apply(mods: &HeaderMods, map: &mut HeaderMap) {
    for name in &mods.remove {
        map.remove(name);
    }
    for (name, value) in &mods.set {
        map.insert(name, value.clone());
    }
    for (name, value) in &mods.add {
        add(map, name, value);
    }
}

/// An existing value becomes `old,new`, as Gateway API has it. Cookies that are set cannot be joined (RFC 6265
/// section 3) and stay fields of their own.
fn add(map: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    let Some(old) = map.get(name).filter(|_| *name != header::SET_COOKIE) else {
        map.append(name, value.clone());
        return;
    };
    let mut joined = old.as_bytes().to_vec();
    for more in map.get_all(name).iter().skip(1) {
        joined.push(b',');
        joined.extend_from_slice(more.as_bytes());
    }
    joined.push(b',');
    joined.extend_from_slice(value.as_bytes());
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        Ok(joined) => drop(map.insert(name, joined)),
        // Two legal values joined by a comma are legal; were they not, both would still be sent.
        Err(_) => drop(map.append(name, value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use ir::HeaderMods;

    use super::apply;

    fn pair(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    }

    #[test]
    fn remove_then_set_then_add() {
        let mut map: HeaderMap = [
            pair("a", "1"),
            pair("b", "1"),
            pair("c", "1"),
            pair("d", "1"),
        ]
        .into_iter()
        .collect();
        map.append("c", HeaderValue::from_static("2"));
        let mods = HeaderMods {
            remove: vec![
                HeaderName::from_static("a"),
                HeaderName::from_static("gone"),
            ],
            set: vec![pair("b", "2"), pair("new", "1")],
            add: vec![
                pair("a", "3"),
                pair("c", "3"),
                pair("set-cookie", "x=1"),
                pair("set-cookie", "y=2"),
            ],
        };
        apply(&mods, &mut map);
        assert_eq!(map["a"], "3", "removed first, then added");
        assert_eq!(map["b"], "2");
        assert_eq!(map["c"], "1,2,3");
        assert_eq!(map["d"], "1");
        assert_eq!(map["new"], "1");
        assert_eq!(map.get_all("set-cookie").iter().count(), 2);
    }
}
