//! What differs between two texts, for people: hunks with three lines of context, `-` expected, `+` actual.

use std::time::Duration;

use similar::TextDiff;

const CONTEXT: usize = 3;

/// After so long a diff need not be the shortest.
const PATIENCE: Duration = Duration::from_secs(2);

/// The differing lines of the two texts; empty when they are equal.
pub(super) fn lines(expected: &str, actual: &str) -> String {
    let diff = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(expected, actual);
    let text = diff
        .unified_diff()
        .context_radius(CONTEXT)
        .missing_newline_hint(true)
        .to_string();
    // A carriage return is the one thing that must not be printed raw.
    text.replace('\r', "\\r")
}
