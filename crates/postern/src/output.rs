//! Writing to standard output and standard error: for people, with colours only on a terminal, or for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::Format;

/// Whether and how to colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::on(&io::stdout())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::on(&io::stderr())
    }

    /// No colours: for files and tests.
    pub(crate) const fn plain() -> Self {
        Self { colours: false }
    }

    /// <https://no-color.org>: "when present and not an empty string (regardless of its value), prevents the addition
    /// of ANSI color".
    fn on(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colours: stream.is_terminal() && !unwanted,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}

/// A value for programs; [`Format::Text`] is the caller's own business and gives YAML here.
///
/// # Errors
/// The value cannot be written.
pub(crate) fn structured(format: Format, value: &impl Serialize) -> anyhow::Result<String> {
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        Format::Yaml | Format::Text => {
            // By way of JSON, so that both formats name things alike.
            let value = serde_json::to_value(value)?;
            serde_saphyr::to_string(&value).map_err(|error| anyhow::anyhow!("{error}"))?
        }
    })
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// Any other failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes to standard error, where failure has nowhere to go.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
