//! A line diff for people: hunks with three lines of context, `-` expected, `+` actual.

use std::fmt::Write as _;

const CONTEXT: usize = 3;
/// Above this many table cells the changed middle is shown as replaced: a diff must not eat the memory.
const MAX_CELLS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Expected,
    Actual,
}

struct Line<'a> {
    side: Side,
    text: &'a str,
    /// How many lines of each text come before this one.
    before: (usize, usize),
}

/// The differing lines of the two texts; empty when they are equal.
pub(super) fn lines(expected: &str, actual: &str) -> String {
    let old: Vec<&str> = expected.split_inclusive('\n').collect();
    let new: Vec<&str> = actual.split_inclusive('\n').collect();
    let script = script(&old, &new);
    let mut shown = vec![false; script.len()];
    for (at, _) in script
        .iter()
        .enumerate()
        .filter(|(_, line)| line.side != Side::Both)
    {
        let end = (at + CONTEXT + 1).min(script.len());
        shown[at.saturating_sub(CONTEXT)..end].fill(true);
    }
    let mut text = String::new();
    for (at, line) in script.iter().enumerate().filter(|(at, _)| shown[*at]) {
        if at == 0 || !shown[at - 1] {
            let _ = writeln!(text, "@@ -{} +{} @@", line.before.0 + 1, line.before.1 + 1);
        }
        text.push(match line.side {
            Side::Both => ' ',
            Side::Expected => '-',
            Side::Actual => '+',
        });
        match line.text.strip_suffix('\n') {
            // `{:?}` would hide the text's shape; a lone CR is the one thing that must not be printed raw.
            Some(whole) => text.push_str(&whole.replace('\r', "\\r")),
            None => {
                let _ = write!(text, "{}\n\\ no newline at the end", line.text);
            }
        }
        text.push('\n');
    }
    text
}

fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (a, b) = (&old[head..old_end], &new[head..new_end]);

    let mut sides = vec![Side::Both; head];
    if a.len().saturating_mul(b.len()) > MAX_CELLS {
        sides.extend(a.iter().map(|_| Side::Expected));
        sides.extend(b.iter().map(|_| Side::Actual));
    } else {
        middle(a, b, &mut sides);
    }
    sides.extend(vec![Side::Both; tail]);

    let mut at = (0, 0);
    sides
        .into_iter()
        .map(|side| {
            let before = at;
            let text = if side == Side::Actual {
                new[at.1]
            } else {
                old[at.0]
            };
            at.0 += usize::from(side != Side::Actual);
            at.1 += usize::from(side != Side::Expected);
            Line { side, text, before }
        })
        .collect()
}

/// The longest common subsequence, by the textbook table.
fn middle(a: &[&str], b: &[&str], sides: &mut Vec<Side>) {
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i * width + j] = if a[i] == b[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            sides.push(Side::Both);
            (i, j) = (i + 1, j + 1);
        } else if i < a.len()
            && (j == b.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            sides.push(Side::Expected);
            i += 1;
        } else {
            sides.push(Side::Actual);
            j += 1;
        }
    }
}
