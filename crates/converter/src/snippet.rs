//! Pieces of nginx configuration, as far as it takes to say what to write instead. Nothing of them is ever run.

mod advice;
mod token;

pub(crate) use advice::{Advice, advise};

/// A directive of nginx: `name args;` or `name args { block }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// In lower case.
    pub(crate) name: String,
    /// Without their quotes.
    pub(crate) args: Vec<String>,
    /// What stands between its braces.
    pub(crate) block: Vec<Directive>,
}

impl Directive {
    /// An argument; empty if there is none.
    fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }
}

#[cfg(test)]
#[path = "snippet_tests.rs"]
mod tests;
