//! `postern demo`: the shipped examples, served as `run` would serve them, with backends and requests to try.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Response;
use proxy::{Config, Proxy};

use super::Ended;
use crate::{
    cli::DemoArgs,
    demo::{self, Answer, Example},
    output::{self, Style},
    pipeline::{Made, Pipeline},
    serve::{self, Signals},
};

/// Requests in flight when the demo ends are nobody's business.
const DRAIN: Duration = Duration::from_secs(1);

/// The port that listeners of examples name.
const PORT: u16 = 80;

/// An example with a gateway of its own.
struct Serving {
    example: Example,
    made: Made,
    proxy: Proxy,
    port: u16,
}

/// Serves until a signal comes, or sends the requests itself.
pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<Ended> {
    let examples = chosen(&args.examples)?;
    if args.list {
        let width = examples
            .iter()
            .map(|example| example.name.len())
            .max()
            .unwrap_or_default();
        let lines = examples
            .iter()
            .map(|example| format!("{:<width$}  {}\n", example.name, example.summary));
        output::print(&lines.collect::<String>())?;
        return Ok(Ended::Well);
    }
    if args.show {
        let texts: Vec<_> = examples.iter().map(Example::manifests).collect();
        output::print(&texts.join("---\n"))?;
        return Ok(Ended::Well);
    }
    serve::runtime()
        .context("cannot start")?
        .block_on(serve(args, examples))
}

/// The examples named, or all.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Example>> {
    let mut examples = demo::all();
    if names.is_empty() {
        return Ok(examples);
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| examples.iter().all(|example| example.name != name.as_str()))
    {
        bail!("there is no example {unknown:?}; `postern demo --list` names them all");
    }
    examples.retain(|example| names.iter().any(|name| name == example.name));
    Ok(examples)
}

async fn serve(args: &DemoArgs, examples: Vec<Example>) -> anyhow::Result<Ended> {
    let mut signals = Signals::new().context("cannot handle signals")?;
    let style = Style::stdout();
    let (mut serving, mut waiting) = (Vec::new(), Vec::new());
    for example in examples {
        let made = prepare(&example)?;
        if example.requests.is_empty() && args.examples.is_empty() {
            waiting.push(example.name);
        } else {
            serving.push(Serving::start(example, made, args.port, serving.len())?);
        }
    }
    for each in &serving {
        output::print(&each.heading(style))?;
        each.requests(args.once, style).await?;
    }
    if !waiting.is_empty() {
        let names = waiting.join(" ");
        output::print(&style.dim(&format!(
            "\nThese need certificates, and are served only when named; see their READMEs: {names}\n"
        )))?;
    }
    if !args.once {
        output::print("\nServing until Ctrl-C.\n")?;
        signals.end(None).await;
    }
    let drains: Vec<_> = serving
        .into_iter()
        .map(|each| tokio::spawn(async move { each.proxy.drain(DRAIN).await }))
        .collect();
    for drain in drains {
        drain.await.context("a gateway did not end well")?;
    }
    Ok(Ended::Well)
}

/// Starts backends and runs the pipeline.
fn prepare(example: &Example) -> anyhow::Result<Made> {
    // Several slices of one Service are several backends.
    let resources = example
        .resources(demo::start_backend)
        .context("cannot start a backend")?;
    Ok(Pipeline::new(converter::Options::default()).run(&resources))
}

impl Serving {
    fn start(example: Example, made: Made, first: u16, at: usize) -> anyhow::Result<Self> {
        let wanted = match first {
            0 => 0,
            first => u16::try_from(usize::from(first) + at)
                .context("--port is too high for so many examples")?,
        };
        let config = Config {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            // Nothing is served over TLS so far that could not wait; any port will do.
            port_map: BTreeMap::from([(PORT, wanted), (443, 0)]),
            workers: 1,
            ..Config::default()
        };
        let proxy = Proxy::start(config, &proxy::Telemetry::default())?;
        let swapped = proxy.swap(Arc::clone(&made.ir));
        if let Some(error) = swapped.bind_errors.into_iter().next() {
            return Err(
                anyhow::Error::new(error).context("choose other ports with --port, or --port 0")
            );
        }
        let bound = proxy
            .addresses()
            .into_iter()
            .find(|(key, _)| key.port == PORT);
        let port = bound.map_or(wanted, |(_, address)| address.port());
        Ok(Self {
            example,
            made,
            proxy,
            port,
        })
    }

    fn heading(&self, style: Style) -> String {
        let mut text = format!(
            "\n{}  http://localhost:{}\n",
            style.bold(self.example.name),
            self.port
        );
        let _ = writeln!(text, "  {}", self.example.summary);
        let lossy = self
            .made
            .notes
            .iter()
            .filter(|note| note.outcome.is_lossy());
        for note in lossy {
            let _ = writeln!(text, "  {}", style.yellow(&note.to_string()));
        }
        text
    }

    /// Prints the requests, with their answers if they are to be sent.
    async fn requests(&self, send: bool, style: Style) -> anyhow::Result<()> {
        for request in &self.example.requests {
            let command = request.command_for(self.port);
            output::print(&format!(
                "  $ {command}\n    {}\n",
                style.dim(&format!("# {}", request.expected))
            ))?;
            if send {
                let answer = demo::send(&command)
                    .await
                    .with_context(|| command.clone())?;
                output::print(&shown(&answer))?;
            }
        }
        Ok(())
    }
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Many(counts) => counts
            .iter()
            .map(|(who, count)| format!("    {count} x {who}\n"))
            .collect(),
        Answer::One(head, answer) => {
            let head = if *head {
                head_lines(answer)
            } else {
                String::new()
            };
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
            head + &body
        }
    }
}

fn head_lines(answer: &Response<Bytes>) -> String {
    let mut text = format!("    {:?} {}\n", answer.version(), answer.status());
    for (name, value) in answer.headers() {
        let _ = writeln!(
            text,
            "    {name}: {}",
            String::from_utf8_lossy(value.as_bytes())
        );
    }
    text
}
