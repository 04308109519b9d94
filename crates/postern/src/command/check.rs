//! `postern check`: what would be served, and what is wrong.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::{Ended, Loaded, load};
use crate::{
    cli::{CheckArgs, Format},
    output::{self, Style},
    pipeline::{self, Made},
    report::{self, plural},
    source::{Problem, Update},
};

/// What programs get.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked<'a> {
    ok: bool,
    files: &'a [Problem],
    notes: &'a converter::Report,
    clashes: &'a [api::ObjectRef],
    conditions: Vec<String>,
    skipped_kinds: &'a BTreeMap<String, usize>,
    status: &'a gateway_core::Status,
}

/// Reads, translates, tells.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Ended> {
    let Loaded { update, made, .. } = load(&args.manifests, args.manifests.ingress.serving())?;
    let ok = update.problems.is_empty() && made.findings().is_empty();
    output::print(&match args.output {
        Format::Text => text(&update, &made, Style::stdout()),
        format => {
            let checked = Checked {
                ok,
                files: &update.problems,
                notes: &made.notes,
                clashes: &made.clashes,
                conditions: pipeline::problems(&made.status).collect(),
                skipped_kinds: &update.skipped,
                status: &made.status,
            };
            output::structured(format, &checked)?
        }
    })?;
    Ok(Ended::well_if(ok))
}

fn text(update: &Update, made: &Made, style: Style) -> String {
    let mut text = String::new();
    for (key, port) in &made.ir.ports {
        let protocol = format!("{:?}", port.protocol).to_uppercase();
        let _ = writeln!(text, "{}  {protocol}", style.bold(&key.to_string()));
        for listener in &port.listeners {
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
    for (kind, count) in &update.skipped {
        let _ = writeln!(
            text,
            "{}",
            style.dim(&format!(
                "passed over: {} of {kind}",
                plural(*count, "object")
            ))
        );
    }
    if let Some(secret) = &made.stand_in {
        let _ = writeln!(text, "{}", style.dim(&pipeline::stands_in(secret)));
    }
    text.push_str(&report::files(&update.problems, style));
    for clash in &made.clashes {
        let _ = writeln!(text, "{} {}", style.yellow("!"), pipeline::clash(clash));
    }
    let lossy = made.notes.iter().filter(|note| note.outcome.is_lossy());
    text.push_str(&report::notes(lossy.clone(), update, style));
    let conditions: Vec<_> = pipeline::problems(&made.status).collect();
    for condition in &conditions {
        let _ = writeln!(text, "{} {condition}", style.red("x"));
    }
    let count = update.problems.len() + made.clashes.len() + lossy.count() + conditions.len();
    let verdict = if count == 0 {
        style.green("no problems")
    } else {
        style.red(&plural(count, "problem"))
    };
    let _ = writeln!(
        text,
        "{} read, {verdict}",
        plural(update.resources.iter().count(), "object")
    );
    text
}
