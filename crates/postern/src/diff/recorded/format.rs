//! A format of nginx' `log_format`, by which lines are read that have one of their own.

use std::str::FromStr;

use serde_json::{Map, Value};

/// A format, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    /// What lines begin with.
    first: String,
    /// Each variable with the text that follows it.
    variables: Vec<(String, String)>,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.trim().split('$');
        let first = parts.next().unwrap_or_default().to_owned();
        let variables: Vec<(String, String)> = parts.map(variable).collect();
        let inner = variables.len().saturating_sub(1);
        let runs_on = |(name, after): &&(String, String)| name.is_empty() || after.is_empty();
        if let Some((name, _)) = variables.iter().take(inner).find(runs_on) {
            return Err(format!("where ${name} ends cannot be told"));
        }
        let wanted = ["request", "request_uri", "uri"];
        if !variables.iter().any(|(name, _)| wanted.contains(&&**name)) {
            return Err("it has neither $request nor $request_uri nor $uri".to_owned());
        }
        Ok(Self { first, variables })
    }
}

/// `name` or `{name}`, and what follows.
fn variable(part: &str) -> (String, String) {
    if let Some((name, after)) = part.strip_prefix('{').and_then(|part| part.split_once('}')) {
        return (name.to_owned(), after.to_owned());
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = part.find(|c| !word(c)).unwrap_or(part.len());
    let (name, after) = part.split_at(end);
    (name.to_owned(), after.to_owned())
}

impl Format {
    /// The values of a line's variables, if it has the format.
    pub(super) fn fields(&self, line: &str) -> Option<Map<String, Value>> {
        let mut rest = line.strip_prefix(self.first.as_str())?;
        let mut fields = Map::new();
        for (name, after) in &self.variables {
            let end = if after.is_empty() {
                rest.len()
            } else {
                rest.find(after.as_str())?
            };
            let (value, tail) = rest.split_at(end);
            fields.insert(name.clone(), Value::String(value.to_owned()));
            rest = tail.get(after.len()..)?;
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn lines_are_taken_apart() {
        let format: Format = r#"$remote_addr - [${time_local}] "$request" $status $host"#
            .parse()
            .unwrap();
        let fields = format
            .fields(r#"192.0.2.7 - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 a.test"#);
        let fields = fields.unwrap();
        assert_eq!(fields["request"], "GET / HTTP/1.1");
        assert_eq!(fields["time_local"], "10/Oct/2026:13:55:36 +0000");
        assert_eq!(fields["host"], "a.test");
        assert_eq!(format.fields("hello"), None);
    }

    #[test]
    fn formats_that_cannot_be_read_say_why() {
        for (format, why) in [
            ("$host$request_uri x", "$host ends"),
            ("$host $scheme", "neither $request"),
            ("", "neither $request"),
        ] {
            let said = format.parse::<Format>().unwrap_err();
            assert!(said.contains(why), "{format}: {said}");
        }
    }
}
