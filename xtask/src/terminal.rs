//! What goes to standard output.

use std::io::{self, IsTerminal as _, Write as _};

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The heading of a step.
    Heading,
    /// It passed.
    Good,
    /// It was skipped: somebody should know.
    Caution,
    /// It failed.
    Bad,
}

impl Style {
    const fn escape(self) -> &'static str {
        match self {
            Self::Heading => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Caution => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
        }
    }
}

/// Standard output, coloured when a person looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colour: bool,
}

impl Terminal {
    /// Colours on a terminal only, and not when `NO_COLOR` or a `dumb` terminal asks for none.
    pub(crate) fn stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self {
            colour: io::stdout().is_terminal() && !plain,
        }
    }

    /// A terminal that shows no colours, or always does.
    #[cfg(test)]
    pub(crate) const fn with_colour(colour: bool) -> Self {
        Self { colour }
    }

    /// The text in that style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        if self.colour {
            format!("{}{text}\x1b[0m", style.escape())
        } else {
            text.to_owned()
        }
    }

    /// Prints a line. It is flushed: programs that a step starts write to the same place.
    pub(crate) fn line(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Style, Terminal};

    #[test]
    fn only_a_terminal_gets_colours() {
        let plain = Terminal::with_colour(false);
        let colourful = Terminal::with_colour(true);
        assert_eq!(plain.paint(Style::Bad, "no"), "no");
        assert_eq!(colourful.paint(Style::Good, "yes"), "\x1b[32myes\x1b[0m");
    }
}
