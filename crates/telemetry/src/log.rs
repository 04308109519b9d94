//! The program's own diagnostics, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::trace::Tracing;

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
    /// Text for people; coloured only on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// The word given is not a log format.
#[derive(Debug, thiserror::Error)]
#[error("unknown log format {0:?}: use auto, text or json")]
pub struct UnknownFormat(String);

impl std::str::FromStr for LogFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// Why diagnostics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is not valid: {source}; use for example info or proxy=debug")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// A subscriber is already installed in this process.
    #[error("diagnostics are already set up: {0}")]
    Installed(#[from] TryInitError),
}

/// Installs the subscriber for the whole process. `filter` is a level or a list of
/// `target=level` directives; empty means `info`. Spans with the target
/// [`crate::trace::TARGET`] also go to `tracing`'s collector, if there is one.
pub fn init(format: LogFormat, filter: &str, tracing: &Tracing) -> Result<(), LogError> {
    let terminal = std::io::stderr().is_terminal();
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let output = output_layer(text, colours, parse_filter(filter)?, std::io::stderr);
    tracing_subscriber::registry()
        .with(output)
        .with(tracing.layer())
        .try_init()?;
    Ok(())
}

/// Lines of the client for the API server about each request that failed: neither which nor why, which whoever has sent
/// it says. Whoever names the target gets them.
const QUIET: &str = "kube_client::client::builder=off";

fn parse_filter(filter: &str) -> Result<EnvFilter, LogError> {
    let directives = if filter.trim().is_empty() {
        "info"
    } else {
        filter
    };
    EnvFilter::builder()
        .parse(format!("{QUIET},{directives}"))
        .map_err(|source| LogError::Filter {
            filter: filter.to_owned(),
            source,
        })
}

fn output_layer<W>(
    text: bool,
    colours: bool,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    if text {
        layer.with_ansi(colours).with_filter(filter).boxed()
    } else {
        layer
            .with_ansi(false)
            .json()
            .flatten_event(true)
            .with_filter(filter)
            .boxed()
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
