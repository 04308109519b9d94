//! `postern diff`: the same requests to a running gateway and to our translation.

mod found;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use ir::Ir;
use proxy::{Config, Proxy};

use super::{Ended, Loaded, load};
use crate::{
    cli::{DiffArgs, Format, Scheme},
    diff::{
        self, Ask, Both,
        client::{Gateway, UNREACHABLE},
        compare::Looking,
        generate, oracle,
        recorded::{self, Otherwise, Recorded},
    },
    output::{self, Style},
    report, serve,
};
use found::{Found, NO_LISTENER, UNSAFE};

/// Said of a file of requests without a host in any of them.
const NO_HOSTS: &str = "no line says for which host it was, and hosts decide. Give --host NAME if all of them were for that one. Else \
have the log say it (or say with --log-format where in its lines it is); for ingress-nginx, in the ConfigMap of its controller:
  log-format-escape-json: \"true\"
  log-format-upstream: '{\"method\":\"$request_method\",\"scheme\":\"$scheme\",\"host\":\"$host\",\"path\":\"$request_uri\"}'";

/// Sends, compares, tells.
pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<Ended> {
    let there = against(&args.against)?;
    let Loaded { update, made } = load(&args.manifests, args.manifests.ingress.serving())?;
    report::complain(&update, &made);
    let mut found = Found::default();
    let asks = asks(args, &made.ir, &there, &mut found)?;
    if asks.is_empty() {
        bail!("there is nothing to send: {}", found.left_out());
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
    Ok(Ended::well_if(found.is_well()))
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
            let recorded = recorded(args, path, ir)?;
            found.unread = recorded.unread;
            found.lines = Some(recorded.lines);
            found.asks = recorded.asks.len();
            found.schemes = recorded.schemes;
            recorded.asks
        }
    };
    let mut left_out = BTreeMap::new();
    if !args.all_methods {
        for ask in asks.iter().filter(|ask| !ask.is_safe()) {
            *left_out.entry(ask.method.clone()).or_default() += 1;
        }
    }
    let mut leave = |why: &'static str, keep: &dyn Fn(&Ask) -> bool| {
        let before = asks.len();
        asks.retain(|ask| keep(ask));
        if before > asks.len() {
            found.not_sent.insert(why, before - asks.len());
        }
    };
    leave(UNSAFE, &|ask| args.all_methods || ask.is_safe());
    leave("their scheme is https, and no --against is", &|ask| {
        !ask.https || there.address(true).is_some()
    });
    leave("their scheme is http, and no --against is", &|ask| {
        ask.https || there.address(false).is_some()
    });
    leave(NO_LISTENER, &|ask| diff::entrance(ir, ask.https).is_some());
    found.methods_not_sent = left_out;
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

/// The requests of a file.
///
/// # Errors
/// It cannot be read, or nothing in it says for which hosts its requests were.
fn recorded(args: &DiffArgs, path: &Path, ir: &Ir) -> anyhow::Result<Recorded> {
    let otherwise = Otherwise {
        format: args.log_format.as_ref(),
        host: args.host.as_deref(),
        https: args.scheme.map(Scheme::is_https),
        has_tls: &|host| oracle::has_tls(ir, host),
    };
    let recorded = recorded::read(&text(path)?, &otherwise);
    if recorded.asks.is_empty() && recorded.without_host > 0 {
        bail!("{}: {NO_HOSTS}", path.display());
    }
    Ok(recorded)
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
