//! Fields that our types do not have: what they close, and what is said about them.
//!
//! Whoever writes a field expects what it says. A field that is not known may be the one that keeps somebody out, so
//! what has it is closed: a listener, a rule, a policy, or all of them where it stands above. Only few parts of an
//! object are known to keep nobody out; unknown fields in them are named, and nothing is closed.

use api::{Beyond, Kind, ObjectKey, Step, UnknownField};
use tracked::View;

use crate::fault::Fault;

/// How many are named in one message.
const NAMED: usize = 5;

/// Parts of a rule that say how often and for how long a backend is asked, and which one again. None keeps a request
/// out.
const OF_SENDING: &[&str] = &["name", "retry", "sessionPersistence", "timeouts"];

/// The unknown fields of one object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unknown<'a>(Option<&'a Beyond>);

impl<'a> Unknown<'a> {
    pub(crate) fn of(view: &View<'a>, kind: Kind, key: &ObjectKey) -> Self {
        let beyond = view.beyond(kind, key);
        Self(beyond.filter(|beyond| !beyond.is_known()))
    }

    /// All of them, wherever they stand.
    pub(crate) fn anywhere(self, reason: &'static str) -> Option<Fault> {
        self.fault(reason, |_| true)
    }

    /// Those that close a rule, by its place.
    pub(crate) fn rule(self, place: usize, reason: &'static str) -> Option<Fault> {
        self.fault(reason, |field| match item(field, "rules") {
            Some(of) => of == place && !is_of_sending(field),
            None => true,
        })
    }

    /// Those in rules that close nothing.
    pub(crate) fn unused_in_rules(self) -> Option<String> {
        let unused = |field: &UnknownField| item(field, "rules").is_some() && is_of_sending(field);
        let text = self.named(unused, 0)?;
        Some(format!("{text} not known and not used"))
    }

    /// Those of a listener, by its place.
    pub(crate) fn listener(self, place: usize, reason: &'static str) -> Option<Fault> {
        self.fault(reason, |field| item(field, "listeners") == Some(place))
    }

    /// Those that stand in none of these parts of `spec`.
    pub(crate) fn outside(self, parts: &[&str], reason: &'static str) -> Option<Fault> {
        self.fault(reason, |field| !parts.iter().any(|part| is_in(field, part)))
    }

    /// Those in a part of `spec`.
    pub(crate) fn inside(self, part: &str, reason: &'static str) -> Option<Fault> {
        self.fault(reason, |field| is_in(field, part))
    }

    fn fault(self, reason: &'static str, which: impl Fn(&UnknownField) -> bool) -> Option<Fault> {
        // What is not kept by name may be anywhere.
        let omitted = self.0.map_or(0, Beyond::omitted);
        let text = self.named(which, omitted)?;
        let message = format!("{text} not known here: misspelt, or of a newer version of the kind");
        Some(Fault::new(reason, message))
    }

    /// `field spec.a and value "B" of spec.c are`; `None`: there are none.
    fn named(self, which: impl Fn(&UnknownField) -> bool, omitted: usize) -> Option<String> {
        let all = self.0.map(Beyond::unknown).unwrap_or_default();
        let texts = all.iter().filter(|field| which(field));
        let mut texts: Vec<_> = texts.map(ToString::to_string).collect();
        let count = texts.len() + omitted;
        texts.truncate(NAMED);
        let more = count - texts.len();
        if more > 0 {
            texts.push(format!("{more} more"));
        }
        let last = texts.pop()?;
        let (before, verb) = match texts.is_empty() {
            true => (String::new(), if count == 1 { "is" } else { "are" }),
            false => (format!("{} and ", texts.join(", ")), "are"),
        };
        Some(format!("{before}{last} {verb}"))
    }
}

/// The place of the item of a list of `spec` in which the field stands.
fn item(field: &UnknownField, list: &str) -> Option<usize> {
    is_in(field, list).then(|| field.path.get(2)?.item())?
}

fn is_in(field: &UnknownField, part: &str) -> bool {
    let name = |at: usize| field.path.get(at).and_then(Step::field);
    name(0) == Some("spec") && name(1) == Some(part)
}

/// Whether it stands in a part of its rule that keeps nothing out. A value that is not known is read as another one, so
/// that it closes wherever it is.
fn is_of_sending(field: &UnknownField) -> bool {
    let part = field.path.get(3).and_then(Step::field);
    field.value.is_none()
        && field.path.len() > 4
        && part.is_some_and(|part| OF_SENDING.contains(&part))
}

#[cfg(test)]
#[path = "unknown_tests.rs"]
mod tests;
