//! `postern run`: serve, follow changes, end well. Here from files; [`cluster`] does it in a cluster.

mod cluster;

use std::sync::Arc;

use anyhow::{Context, bail};
use proxy::{BindError, Proxy};

use super::Ended;
use crate::{
    admin::Admin,
    cli::RunArgs,
    descriptor,
    live::{Live, Publisher},
    pipeline::Pipeline,
    serve::{self, Signals, Telemetry},
    source::{file::Files, watch},
};

/// Runs until a signal comes.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Ended> {
    if args.files.is_empty() {
        return cluster::run(args);
    }
    if args.files.iter().any(|path| path.as_os_str() == "-") {
        bail!("run follows files, and standard input is none: give a directory or file with -f");
    }
    let runtime = serve::runtime().context("cannot start the control plane")?;
    let (files, telemetry, signals) = {
        let _entered = runtime.enter();
        let signals = Signals::new().context("cannot handle signals")?;
        let files = Files::open(&args.files)?;
        let telemetry = Telemetry::start(&args.process)?;
        let signals = signals.with(telemetry.access_log());
        (files, telemetry, signals)
    };
    descriptor::raise();
    let live = Arc::new(Live::default());
    let ended = runtime.block_on(serve(args, files, &live, (&telemetry, signals)));
    telemetry.finish();
    ended
}

async fn serve(
    args: &RunArgs,
    files: Files,
    live: &Arc<Live>,
    (telemetry, mut signals): (&Telemetry, Signals),
) -> anyhow::Result<Ended> {
    if let Some(address) = args.process.admin.0 {
        let names = &args.process.admin_hosts;
        let admin = Admin::bind(address, names, Arc::clone(live), telemetry.metrics()).await?;
        tokio::spawn(admin.serve());
    }
    let proxy = Arc::new(Proxy::start(
        args.proxy
            .config(args.process.drain_timeout, &args.ingress.trusted_proxies),
        telemetry.for_proxy(),
    )?);
    let (mut updates, reload) = watch::start(files).context("cannot follow files")?;
    let pipeline = Pipeline::new(args.ingress.serving());
    let mut publisher = Publisher::new(
        pipeline,
        Arc::clone(&proxy),
        Arc::clone(live),
        telemetry.metrics(),
    );
    let first = Arc::clone(&updates.borrow());
    if first.resources.is_empty() {
        tracing::warn!("there is nothing to serve yet: no manifest was found");
    }
    refuse(publisher.publish(&first).bind_errors)?;
    updates.mark_unchanged();
    serve::follow(publisher, updates, Arc::clone(live))
        .context("cannot follow what the files become")?;
    signals.end(Some(&reload)).await;
    serve::drain(&proxy, live, &args.process, &mut signals).await;
    Ok(Ended::Well)
}

/// A port that cannot be had at the start is a mistake somebody is there to see; later it is a problem like any other.
fn refuse(errors: Vec<BindError>) -> anyhow::Result<()> {
    let more = errors.len().saturating_sub(1);
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) if more == 0 => Err(error.into()),
        Some(error) => Err(anyhow::anyhow!("{error} (and {more} more ports)")),
    }
}
