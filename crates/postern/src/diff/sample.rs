//! Texts that an expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Alternatives and optional parts are tried up to so many ways.
const WAYS: usize = 8;
/// A longer text shows nothing more.
const LONGEST: usize = 200;

/// Some texts that match the whole expression, without repetition. None if it cannot be read.
pub(super) fn samples(pattern: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::parse(pattern) else {
        return Vec::new();
    };
    let Ok(whole) = regex::Regex::new(&format!("^(?:{pattern})$")) else {
        return Vec::new();
    };
    let mut samples: Vec<String> = Vec::new();
    for way in 0..WAYS {
        for more in [false, true] {
            let mut text = String::new();
            write(&hir, way, more, &mut text);
            if whole.is_match(&text) && !samples.contains(&text) {
                samples.push(text);
            }
        }
    }
    samples
}

/// `way` chooses among alternatives, `more` has optional parts appear.
fn write(hir: &Hir, way: usize, more: bool, text: &mut String) {
    if text.len() > LONGEST {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => text.extend(one_of(class)),
        HirKind::Repetition(repetition) => {
            let least = if more {
                repetition.min.max(1)
            } else {
                repetition.min
            };
            let times = repetition.max.map_or(least, |most| least.min(most));
            for _ in 0..times {
                write(&repetition.sub, way, more, text);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, way, more, text),
        HirKind::Concat(parts) => {
            for part in parts {
                write(part, way, more, text);
            }
        }
        HirKind::Alternation(branches) => {
            if let Some(branch) = branches.get(way % branches.len().max(1)) {
                write(branch, way, more, text);
            }
        }
    }
}

/// A character of a class: one that needs no escape in a path if there is any.
fn one_of(class: &Class) -> Option<char> {
    let has = |wanted: char| match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&wanted)),
        Class::Bytes(class) => u8::try_from(wanted).is_ok_and(|byte| {
            let mut ranges = class.iter();
            ranges.any(|range| (range.start()..=range.end()).contains(&byte))
        }),
    };
    let plain = ('a'..='z').chain('0'..='9').chain('A'..='Z');
    plain.chain("-_./~ ".chars()).find(|c| has(*c))
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn samples_match() {
        assert_eq!(samples("/api(/|$)(.*)"), ["/api/", "/api/a", "/api"]);
        assert_eq!(
            samples("(?:/a|/b|/c).*"),
            ["/a", "/aa", "/b", "/ba", "/c", "/ca"]
        );
        assert_eq!(samples("(?i)/Shop/[0-9]{3}"), ["/shop/000"]);
        assert_eq!(
            samples(r"(?:.*;\s*)?demo=always\s*(?:;.*)?")[0],
            "demo=always"
        );
        assert_eq!(samples("("), [""; 0]);
    }
}
