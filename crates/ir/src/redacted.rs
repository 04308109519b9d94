//! Secrets that cannot be printed by accident.

use std::{cell::Cell, fmt};

use serde::{Serialize, Serializer};

/// What stands for what is not shown.
const REDACTED: &str = "[redacted]";

thread_local! {
    static SHOWN: Cell<bool> = const { Cell::new(false) };
}

/// Serialises with the values of headers and queries that rules set or look for, and with the queries of the addresses
/// that they ask. Any may be a password or a token, so [`Serialize`] leaves them out: whoever reads `/config` need not
/// know what those know who may read the objects. For what such readers see (`explain`), and for tests. A [`Redacted`]
/// stays what it is.
pub fn with_values<R>(serialise: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            SHOWN.set(self.0);
        }
    }
    let _before = Before(SHOWN.replace(true));
    serialise()
}

/// A value that may be a secret, if it is to be shown.
pub(crate) fn value(text: &str) -> &str {
    if SHOWN.get() { text } else { REDACTED }
}

/// An address whose query may be a secret.
pub(crate) fn query(address: &str) -> String {
    match address.split_once('?') {
        Some((path, query)) if !query.is_empty() => format!("{path}?{}", value(query)),
        _ => address.to_owned(),
    }
}

/// A value whose `Debug` and `Serialize` forms say `[redacted]`, so that `/config`, goldens and logs never show it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Every call is a place to review.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use http::HeaderValue;
    use serde::Serialize;

    use super::{Redacted, with_values};
    use crate::{HeaderMods, Pattern, QueryMatch, Template, ValueMatch};

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn values_are_shown_where_somebody_asks_for_them_alone() {
        let set = HeaderValue::from_static("Bearer hunter2");
        let mods = HeaderMods {
            remove: vec![],
            set: vec![(http::header::AUTHORIZATION, set.clone())],
            add: vec![(http::header::COOKIE, set)],
        };
        let exact = QueryMatch {
            name: "token".into(),
            value: ValueMatch::Exact("hunter2".into()),
        };
        let regex = ValueMatch::Regex(Pattern::full("hunter2|x").unwrap());
        let target = Template::parse("/check?key=hunter2&rd=$host", None).unwrap();
        let all = (&mods, &exact, &regex, &target);
        let hidden = json(&all);
        assert!(!hidden.contains("hunter2"), "{hidden}");
        for name in [
            "authorization: [redacted]",
            "cookie: [redacted]",
            "/check?[redacted]",
        ] {
            assert!(hidden.contains(name), "{hidden}");
        }
        let shown = with_values(|| json(&all));
        assert_eq!(shown.matches("hunter2").count(), 5, "{shown}");
        assert_eq!(json(&all), hidden);
        let panic = AssertUnwindSafe(|| with_values(|| panic!("on the way")));
        assert!(catch_unwind(panic).is_err());
        assert_eq!(json(&all), hidden);
        let secret = Redacted::new("hunter2");
        assert_eq!(with_values(|| json(&secret)), "\"[redacted]\"");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Redacted::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
