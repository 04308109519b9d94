//! `postern diff`: the same requests to a running gateway and to our translation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    io::Read,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use http::StatusCode;
use ir::Ir;
use proxy::{Config, Proxy};
use serde::Serialize;

use super::{Ended, Loaded, load};
use crate::{
    cli::{DiffArgs, Format},
    diff::{
        self, Ask, Both,
        client::{Answer, Gateway, UNREACHABLE},
        compare::{self, Difference, Looking},
        generate,
        oracle::{self, Oracle},
        recorded,
    },
    output::{self, Style},
    report::plural,
    serve,
};

/// So many requests of a group are shown to people.
const SHOWN: usize = 5;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    /// Requests that both gateways got.
    sent: usize,
    alike: usize,
    different: usize,
    /// Requests whose backend is chosen by weight: the backend was not compared.
    weighted: usize,
    /// Requests that a rate limit has refused here or there: how many of them there were before decides, so they are neither
    /// alike nor different.
    limited: usize,
    /// Requests that were not sent, by why.
    not_sent: BTreeMap<&'static str, usize>,
    /// Lines of the file that are no requests.
    unread: Vec<(usize, String)>,
    groups: Vec<Group>,
}

/// Requests that differ in the same way and meet the same rule.
#[derive(Debug, Serialize)]
struct Group {
    /// What differs, in words.
    what: String,
    /// The rule that they meet here.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    requests: Vec<Different>,
}

#[derive(Debug, Serialize)]
struct Different {
    request: Ask,
    differences: Vec<Difference>,
}

/// Sends, compares, tells.
pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<Ended> {
    let there = against(&args.against)?;
    let Loaded { update, made, .. } = load(&args.manifests)?;
    for problem in &update.problems {
        output::complain(&format!("{problem}\n"));
    }
    let mut found = Found::default();
    let asks = asks(args, &made.ir, &there, &mut found)?;
    if asks.is_empty() {
        bail!(
            "there is nothing to send: no route of the manifests has a scheme of --against, or the file holds no request"
        );
    }
    let both = serve::runtime()
        .context("cannot start")?
        .block_on(send(args, &made.ir, &there, asks))?;
    let unreachable = |both: &Both| {
        both.there
            .as_ref()
            .is_err_and(|e| e.starts_with(UNREACHABLE))
    };
    if let Some(Both {
        there: Err(why), ..
    }) = both.answers.first()
        && both.answers.iter().all(unreachable)
    {
        bail!("nobody answers at {}: {why}", args.against.join(" and "));
    }
    let looking = Looking {
        backend_header: args.backend_header.clone(),
        headers: args.headers.clone(),
        ports: both.ports,
    };
    found.compare(both.answers, &made.ir, &looking);
    output::print(&match args.output {
        Format::Text => found.text(Style::stdout()),
        format => output::structured(format, &found)?,
    })?;
    Ok(Ended::well_if(found.different == 0))
}

/// The running gateway: an address for each scheme that is given.
fn against(urls: &[String]) -> anyhow::Result<Gateway> {
    let (mut http, mut https) = (None, None);
    for url in urls {
        let wrong = || format!("--against {url}: give http://HOST:PORT or https://HOST:PORT");
        let uri: http::Uri = url.parse().with_context(wrong)?;
        let host = uri.host().with_context(wrong)?;
        let (place, usual) = match uri.scheme_str() {
            Some("http") => (&mut http, 80),
            Some("https") => (&mut https, 443),
            _ => bail!(wrong()),
        };
        if place.is_some() || uri.path().len() > 1 || uri.query().is_some() {
            bail!("{}, each once and without path", wrong());
        }
        *place = Some(format!("{host}:{}", uri.port_u16().unwrap_or(usual)));
    }
    Gateway::new(http, https)
}

/// What to send: generated or recorded, as far as it may be sent.
fn asks(args: &DiffArgs, ir: &Ir, there: &Gateway, found: &mut Found) -> anyhow::Result<Vec<Ask>> {
    let mut asks: Vec<Ask> = match &args.requests {
        None => generate::requests(ir).into_iter().collect(),
        Some(path) => {
            let recorded = recorded::read(&text(path)?, args.host.as_deref());
            found.unread = recorded.unread;
            recorded.asks
        }
    };
    let mut leave = |why: &'static str, keep: &dyn Fn(&Ask) -> bool| {
        let before = asks.len();
        asks.retain(|ask| keep(ask));
        if before > asks.len() {
            found.not_sent.insert(why, before - asks.len());
        }
    };
    leave("no --against of their scheme", &|ask| {
        there.address(ask.https).is_some()
    });
    leave("no listener of their scheme here", &|ask| {
        diff::entrance(ir, ask.https).is_some()
    });
    leave("not safe to repeat: see --all-methods", &|ask| {
        args.all_methods || ask.is_safe()
    });
    if asks.len() > args.limit {
        found
            .not_sent
            .insert("beyond --limit", asks.len() - args.limit);
        // Evenly spread, so that no host is left out altogether.
        let (all, limit) = (asks.len(), args.limit);
        let kept: BTreeSet<usize> = (0..limit).map(|n| n * all / limit).collect();
        let mut at = 0..all;
        asks.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    }
    Ok(asks)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .with_context(cannot)?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(cannot)
}

/// Answers, and the ports of both gateways.
struct Answered {
    answers: Vec<Both>,
    ports: Vec<u16>,
}

/// Starts our gateway on loopback, sends everything to both, ends it.
async fn send(
    args: &DiffArgs,
    ir: &Ir,
    there: &Gateway,
    asks: Vec<Ask>,
) -> anyhow::Result<Answered> {
    let mut served = Ir {
        clusters: ir.clusters.clone(),
        ..Ir::default()
    };
    let mut config = Config {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        workers: 1,
        ..Config::default()
    };
    for https in [false, true] {
        if let Some((key, port)) = diff::entrance(ir, https) {
            // Addresses of a Gateway are those of other machines.
            let key = ir::SocketKey {
                address: None,
                ..key
            };
            served.ports.insert(key, port.clone());
            config.port_map.insert(key.port, 0);
        }
    }
    let proxy = Proxy::start(config, &proxy::Telemetry::default())?;
    let swapped = proxy.swap(Arc::new(served));
    if let Some(error) = swapped.bind_errors.into_iter().next() {
        return Err(error.into());
    }
    let bound = proxy.addresses();
    let address = |https: bool| {
        let (key, _) = diff::entrance(ir, https)?;
        let bound = bound.iter().find(|(known, _)| known.port == key.port);
        bound.map(|(_, address)| address.to_string())
    };
    let here = Gateway::new(address(false), address(true))?;
    let port = |address: &String| address.rsplit_once(':')?.1.parse().ok();
    let ports = [&here, there]
        .into_iter()
        .flat_map(|gateway| [&gateway.http, &gateway.https])
        .filter_map(|address| port(address.as_ref()?))
        .collect();
    let pair = (here, there.clone());
    let answers = diff::send_all(asks, pair, args.concurrency.into(), args.timeout).await;
    proxy.drain(Duration::from_secs(1)).await;
    Ok(Answered { answers, ports })
}

impl Found {
    fn compare(&mut self, answers: Vec<Both>, ir: &Arc<Ir>, looking: &Looking) {
        let oracle = Oracle::new(ir);
        let mut groups: BTreeMap<(String, Option<String>), Vec<Different>> = BTreeMap::new();
        for both in answers {
            self.sent += 1;
            let limited = |side: &Result<Answer, String>| {
                let status = side.as_ref().map(|answer| answer.status);
                status == Ok(StatusCode::TOO_MANY_REQUESTS)
            };
            if limited(&both.here) || limited(&both.there) {
                self.limited += 1;
                continue;
            }
            let rule = oracle.rule(&both.ask);
            let weighted = rule.as_ref().is_some_and(|rule| oracle::is_weighted(rule));
            self.weighted += usize::from(weighted);
            let differences = compare::differences(&both, weighted, looking);
            if differences.is_empty() {
                self.alike += 1;
                continue;
            }
            self.different += 1;
            let key = (words(&differences), rule.map(|rule| rule.key.to_string()));
            groups.entry(key).or_default().push(Different {
                request: both.ask,
                differences,
            });
        }
        self.groups = groups
            .into_iter()
            .map(|((what, rule), requests)| Group {
                what,
                rule,
                requests,
            })
            .collect();
        self.groups
            .sort_by_key(|group| std::cmp::Reverse(group.requests.len()));
    }

    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for group in &self.groups {
            let rule = group.rule.as_deref().unwrap_or("no rule here");
            let _ = writeln!(text, "{}  {}", style.bold(&group.what), style.dim(rule));
            for different in group.requests.iter().take(SHOWN) {
                let _ = writeln!(text, "  {}", different.request);
                for Difference { what, here, there } in &different.differences {
                    let _ = writeln!(
                        text,
                        "    {what}: {} here, {} there",
                        style.green(here),
                        style.red(there)
                    );
                }
            }
            if group.requests.len() > SHOWN {
                let _ = writeln!(text, "  and {} more", group.requests.len() - SHOWN);
            }
        }
        for (line, why) in self.unread.iter().take(SHOWN) {
            let _ = writeln!(text, "line {line}: {why}");
        }
        if !self.unread.is_empty() {
            let _ = writeln!(text, "{} not read", plural(self.unread.len(), "line"));
        }
        for (why, count) in &self.not_sent {
            let _ = writeln!(text, "{} not sent: {why}", plural(*count, "request"));
        }
        if self.weighted > 0 {
            let _ = writeln!(
                text,
                "{} to weighted backends: which one answered was not compared",
                plural(self.weighted, "request")
            );
        }
        if self.limited > 0 {
            let _ = writeln!(
                text,
                "{} answered with 429, a rate limit's, here or there: not compared",
                plural(self.limited, "request")
            );
        }
        let _ = writeln!(
            text,
            "{} sent: {} alike, {} different",
            plural(self.sent, "request"),
            self.alike,
            self.different
        );
        text
    }
}

/// What a group has in common: the statuses, or the names of what differs.
fn words(differences: &[Difference]) -> String {
    let word = |difference: &Difference| match difference.what.as_str() {
        "status" => format!(
            "status {} here, {} there",
            difference.here, difference.there
        ),
        other => other.to_owned(),
    };
    differences.iter().map(word).collect::<Vec<_>>().join(", ")
}
