//! `postern explain`: the way of one request, without sending it.

use std::fmt::Write;

use anyhow::anyhow;
use api::Resources;
use ir::{Action, Backend, Cluster, Endpoint, Forward, Rule, Target};

use super::{Ended, Loaded, load};
use crate::{
    cli::{ExplainArgs, Format},
    explain::{self, Explanation, Request, RouteMet},
    output::{self, Style},
    report,
};

/// Reads, translates, asks the router, tells.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<Ended> {
    let trusted = &args.manifests.ingress.trusted_proxies;
    let request = Request::new(
        &args.method,
        &args.url,
        &args.headers,
        (args.client, trusted),
    )
    .map_err(|why| anyhow!(why))?;
    let Loaded { update, made } = load(&args.manifests, args.manifests.ingress.serving())?;
    report::complain(&update, &made);
    let listeners = explain::looped::listeners(&update.resources);
    let explanation = explain::explain(&made.ir, &request, &listeners);
    // Whoever runs it has the manifests.
    let told = ir::with_values(|| match args.output {
        Format::Text => Ok(text(&explanation, &made.generated, Style::stdout())),
        format => output::structured(format, &explanation),
    });
    output::print(&told?)?;
    // A request that may come to a backend, for some share, is well.
    let forwarded = explanation.results.iter().any(|result| result.forwarded);
    Ok(Ended::well_if(forwarded))
}

fn text(told: &Explanation, generated: &Resources, style: Style) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{}  {value}", style.dim(&format!("{label:<8}")));
    };
    line("request", &format!("{}{}", told.host, told.path));
    if let Some(port) = &told.port {
        line("port", port);
    }
    if let Some((name, hostname)) = &told.listener {
        line("listener", &format!("{name}, for host {hostname}"));
    }
    if let Some(met) = &told.route {
        line(
            "route",
            &format!(
                "{}{}",
                style.bold(&met.rule.route),
                origin(&met.rule.route, generated)
            ),
        );
        line("rule", &met.rule.key.to_string());
        line("match", &met.matched);
        phases(&met.rule, &mut line);
        if let Action::Forward(forward) = &met.rule.action {
            forward_lines(forward, met, &mut line);
        }
        for address in &met.loops {
            let round = "is a listener of this gateway: it is not asked, 503 backend_loop";
            line("loop", &format!("{address} {round}"));
        }
    }
    for condition in &told.conditions {
        line("provided", words_of(condition));
    }
    if let Some(reason) = &told.reason {
        line("why", &style.red(reason));
    }
    for result in &told.results {
        result_lines(result, style, &mut line);
    }
    for near in &told.near {
        line("near", &format!("{}: {}", near.route, near.matched));
    }
    text
}

/// What only traffic can be asked, in words.
fn words_of(condition: &str) -> &'static str {
    match condition {
        "listener_external_auth" => {
            "the external authenticator of the listener lets the request pass, before any route is looked for"
        }
        "rate" => "the rate limit has a token left",
        "concurrency" => "the client has not too many requests in flight",
        _ => "the external authenticator lets the request pass",
    }
}

fn result_lines(result: &explain::End, style: Style, line: &mut impl FnMut(&str, &str)) {
    let share = result.share.as_ref().map(|share| format!("{share}: "));
    let text = format!("{}{}", share.unwrap_or_default(), result.text);
    let text = match result.forwarded {
        true => style.green(&text),
        false => style.red(&text),
    };
    line("result", &text);
    for header in &result.headers {
        line("", header);
    }
}

/// What the rule does beside its action, in the order in which it is done.
fn phases(rule: &Rule, line: &mut impl FnMut(&str, &str)) {
    if !rule.gates.is_open() {
        line("gates", &json(&rule.gates));
    }
    if let Some(cors) = &rule.cors {
        line("cors", &json(cors));
    }
    rule.request
        .iter()
        .for_each(|step| line("request", &json(step)));
    rule.mirrors
        .iter()
        .for_each(|mirror| line("mirror", &json(mirror)));
    rule.response
        .iter()
        .for_each(|mods| line("response", &json(mods)));
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The Ingress that a generated route comes from.
fn origin(route: &str, generated: &Resources) -> String {
    let objects = generated.iter();
    let found = objects
        .map(|object| (object.reference().to_string(), object))
        .find(|(reference, _)| reference == route);
    found
        .and_then(|(_, object)| object.origin().map(|origin| format!(", from {origin}")))
        .unwrap_or_default()
}

fn forward_lines(forward: &Forward, met: &RouteMet, line: &mut impl FnMut(&str, &str)) {
    let total: u64 = forward
        .backends
        .iter()
        .map(|backend| u64::from(backend.weight.get()))
        .sum();
    for backend in &forward.backends {
        line("backend", &backend_line(backend, total, met));
        for (label, changes) in [
            ("  request", &backend.request),
            ("  response", &backend.response),
        ] {
            changes.iter().for_each(|mods| line(label, &json(mods)));
        }
    }
    let timeouts = [
        ("request", forward.timeouts.request),
        ("attempt", forward.timeouts.attempt),
    ];
    for (of, time) in timeouts
        .iter()
        .filter_map(|(of, time)| Some((of, (*time)?)))
    {
        line("timeout", &format!("{of} {time:?}"));
    }
    if let Some(retry) = &forward.retry {
        line("retry", &serde_json::to_string(retry).unwrap_or_default());
    }
}

fn backend_line(backend: &Backend, total: u64, met: &RouteMet) -> String {
    let share = if u64::from(backend.weight.get()) == total {
        String::new()
    } else {
        format!(", {} of {total}", backend.weight)
    };
    match &backend.target {
        Target::Invalid(reason) => format!("500, because of {}{share}", reason.as_str()),
        Target::Cluster(_) if backend.redirect().is_some() => {
            let redirect = serde_json::to_string(&backend.redirect()).unwrap_or_default();
            format!("redirect {redirect}{share}")
        }
        Target::Cluster(key) => {
            let endpoints = met
                .clusters
                .get(&key.to_string())
                .map(|cluster| endpoints(cluster))
                .unwrap_or_default();
            format!("{key}{share}, {endpoints}")
        }
    }
}

fn endpoints(cluster: &Cluster) -> String {
    if cluster.endpoints.is_empty() {
        return "no endpoint is ready: 503".to_owned();
    }
    let names: Vec<_> = cluster
        .endpoints
        .iter()
        .take(8)
        .map(|endpoint| match endpoint {
            Endpoint::Address(address) => address.to_string(),
            Endpoint::Name { host, port } => format!("{host}:{port}"),
        })
        .collect();
    let more = cluster.endpoints.len() - names.len();
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("at {}{rest}", names.join(" "))
}
