//! What is wrong, in the form that a condition takes.

use api::Condition;

/// Longest condition message that an API server takes is 32768 bytes; nobody reads that many.
const MESSAGE_LIMIT: usize = 2000;

/// A reason and a message: everything of a condition but its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// A condition that does not hold.
    pub(crate) fn fails(&self, type_: &'static str) -> Condition {
        Condition::fails(type_, self.reason, self.message.clone())
    }

    /// One fault out of several: the first reason, all messages.
    pub(crate) fn join(faults: &[Self]) -> Option<Self> {
        let reason = faults.first()?.reason;
        Some(Self::new(
            reason,
            join(faults.iter().map(|fault| fault.message.as_str())),
        ))
    }
}

/// Distinct messages, joined and bounded.
pub(crate) fn join<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut text = String::new();
    let mut left_out = 0;
    for message in messages {
        if seen.contains(&message) {
            continue;
        }
        if !seen.is_empty() && text.len() + message.len() > MESSAGE_LIMIT {
            left_out += 1;
            continue;
        }
        if !seen.is_empty() {
            text.push_str("; ");
        }
        seen.push(message);
        text.extend(message.chars().take(MESSAGE_LIMIT));
    }
    if left_out > 0 {
        text.push_str(&format!("; and {left_out} more"));
    }
    text
}
