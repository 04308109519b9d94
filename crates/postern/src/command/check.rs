//! `postern check`: what would be served, and what is wrong.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::{Ended, Loaded, load};
use crate::{
    cli::{CheckArgs, Format},
    fault,
    output::{self, Style},
    pipeline::{self, Made},
    report::{Findings, LeftOut, plural},
    source::{Problem, Update},
};

/// So many listeners of a port are named.
const NAMED: usize = 20;

/// What programs get.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    ok: bool,
    files: &'a [Problem],
    /// What an API server would refuse, and was read.
    tolerated: &'a [Problem],
    notes: &'a converter::Report,
    clashes: &'a [api::ObjectRef],
    conditions: Vec<String>,
    left_out: &'a LeftOut<'a>,
    skipped_kinds: &'a BTreeMap<String, usize>,
    status: &'a gateway_core::Status,
}

/// Reads, translates, tells.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Ended> {
    let Loaded { update, made } = load(&args.manifests, args.manifests.ingress.serving())?;
    let findings = Findings::new(&update, &made);
    let left_out = LeftOut::new(&update, &made);
    let ok = findings.count() == 0 && !left_out.is_all();
    output::print(&match args.output {
        Format::Text => text(&update, &made, (&findings, &left_out), Style::stdout()),
        format => {
            let faults = fault::all(&made, &update.resources);
            let checked = Checked {
                ok,
                files: &update.problems,
                tolerated: &update.tolerated,
                notes: &made.notes,
                clashes: &made.clashes,
                conditions: faults.iter().map(ToString::to_string).collect(),
                left_out: &left_out,
                skipped_kinds: &update.skipped,
                status: &made.status,
            };
            output::structured(format, &checked)?
        }
    })?;
    Ok(Ended::well_if(ok))
}

fn text(
    update: &Update,
    made: &Made,
    (findings, left_out): (&Findings<'_>, &LeftOut<'_>),
    style: Style,
) -> String {
    let mut text = served(made, style);
    for (kind, count) in update.foreign() {
        let passed = format!("passed over: {} of {kind}", plural(count, "object"));
        let _ = writeln!(text, "{}", style.dim(&passed));
    }
    if let Some(secret) = &made.stand_in {
        let _ = writeln!(text, "{}", style.dim(&pipeline::stands_in(secret)));
    }
    text.push_str(&left_out.text(style));
    text.push_str(&findings.text(style));
    let verdict = match findings.count() {
        0 if left_out.is_all() => style.red("no Ingress is ours"),
        0 => style.green("no problems"),
        count => style.red(&plural(count, "problem")),
    };
    let read = plural(update.resources.iter().count(), "object");
    let _ = writeln!(text, "{read} read, {verdict}");
    text
}

/// Ports, their listeners, and how much they serve.
fn served(made: &Made, style: Style) -> String {
    let mut text = String::new();
    for (key, port) in &made.ir.ports {
        let protocol = format!("{:?}", port.protocol).to_uppercase();
        let _ = writeln!(text, "{}  {protocol}", style.bold(&key.to_string()));
        for listener in port.listeners.iter().take(NAMED) {
            let (routes, hosts): (usize, usize) = match &listener.streams {
                None => {
                    let routes = listener.hosts.iter().map(|host| host.routes.len());
                    (routes.sum(), listener.hosts.len())
                }
                Some(hosts) => (hosts.len(), hosts.len()),
            };
            let served = format!("{} for {}", plural(routes, "route"), plural(hosts, "host"));
            let _ = writeln!(
                text,
                "  {}  host {}  {served}",
                listener.key, listener.hostname
            );
        }
        let more = port.listeners.len().saturating_sub(NAMED);
        if more > 0 {
            let _ = writeln!(text, "  and {}", plural(more, "more listener"));
        }
    }
    for (key, port) in &made.ir.datagrams {
        let route = port.rule.as_ref().map_or("no route", |rule| &rule.route);
        let key = style.bold(&key.to_string());
        let _ = writeln!(text, "{key}  UDP\n  {}  {route}", port.listener);
    }
    if made.ir.ports.is_empty() && made.ir.datagrams.is_empty() {
        let _ = writeln!(
            text,
            "{} nothing is served: there is no Gateway of class postern, and no Ingress of ours",
            style.yellow("!")
        );
    }
    text
}
