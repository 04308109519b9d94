//! Commands as a page of the documentation has them.

use anyhow::{Context as _, ensure};

/// The words of the first command of a page that begins like that. Lines that end in a backslash go on; what follows a
/// pipe, a redirection or a comment is the shell's.
///
/// # Errors
/// There is none, or it has a variable, which only the reader knows.
pub(super) fn command(page: &str, start: &str) -> anyhow::Result<Vec<String>> {
    let begin = format!("$ {start}");
    let mut lines = page.lines().skip_while(|line| !line.starts_with(&begin));
    let mut text = String::new();
    for line in lines.by_ref() {
        let more = line.trim_end().strip_suffix('\\');
        text.push_str(more.unwrap_or(line));
        text.push(' ');
        if more.is_none() {
            break;
        }
    }
    let text = text.strip_prefix("$ ");
    let text = text.with_context(|| format!("the page has no command: {start}"))?;
    let words = words(text);
    ensure!(
        !words.iter().any(|word| word.contains('$')),
        "the command has a variable: {text}"
    );
    Ok(words)
}

/// As a shell would take it apart.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '|' | '>' | '#') if word.is_none() => return words,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::command;

    const PAGE: &str = "\
Words that say `kubectl get x`.

```console
$ kubectl get a,b -A -o yaml > all.yaml
$ kubectl label a \\
    -l 'x=1,!y' z-   # three words
$ kubectl get c -n $PLACE
```
";

    #[test]
    fn a_command_is_what_its_shell_would_run() {
        let read = |start: &str| command(PAGE, start).ok();
        let words = |text: &str| Some(text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("kubectl get a"), words("kubectl get a,b -A -o yaml"));
        assert_eq!(read("kubectl label"), words("kubectl label a -l x=1,!y z-"));
        assert_eq!(read("kubectl get c"), None, "who knows the place?");
        assert_eq!(read("kubectl delete"), None);
    }
}
