//! `docs/annotations.md`.

use std::fmt::Write as _;

use converter::annotations::{FAMILIES, Family};

use super::cell;

/// What stands before the families.
const BEGINNING: &str = include_str!("annotations.md");

/// The page as it should be.
pub(super) fn page() -> String {
    let mut text = BEGINNING.to_owned();
    let keys: usize = FAMILIES.iter().map(|family| family.keys.len()).sum();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{keys} keys in {} families:", FAMILIES.len());
    for family in FAMILIES {
        let _ = write!(text, "\n## {}\n\n{}", family.name, table(family));
    }
    text
}

fn table(family: &Family) -> String {
    let mut text =
        "| key | values, default, meaning | becomes | no effect | approximated | refused or dropped |\n\
                    | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for key in family.keys {
        let [becomes, no_effect, approximated, refused] = parts(key.becomes);
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            key.name,
            cell(key.doc),
            cell(&becomes),
            cell(&no_effect),
            cell(&approximated),
            cell(&refused)
        );
    }
    text
}

/// What it becomes; what has no effect; what is approximated; what is refused or dropped. Sentences after such a word
/// belong to it.
pub(super) fn parts(becomes: &str) -> [String; 4] {
    const WORDS: [(&str, usize); 4] = [
        ("No effect: ", 1),
        ("Approximated: ", 2),
        ("Refused: ", 3),
        ("Dropped: ", 3),
    ];
    let mut parts = [const { String::new() }; 4];
    let mut at = 0;
    let mut rest = becomes;
    while !rest.is_empty() {
        if let Some((word, part)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            (rest, at) = (&rest[word.len()..], *part);
        }
        let next = WORDS.iter().filter_map(|(word, _)| {
            let before = format!(". {word}");
            rest.find(&before).map(|found| found + 2)
        });
        let (sentence, more) = rest.split_at(next.min().unwrap_or(rest.len()));
        if !parts[at].is_empty() {
            parts[at].push(' ');
        }
        parts[at].push_str(sentence.trim_end());
        rest = more;
    }
    parts
}
