//! What a real API server and many objects cost: `cargo xtask bench scale` builds this and runs it where the cluster
//! can be reached. Results that are wrong are errors; a goal that is missed is said, and no error.

mod api;
mod gateway;
mod phases;
mod probe;
mod watch;
mod world;

use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;

use crate::world::World;

/// What can be measured, in this order.
const PARTS: [&str; 4] = ["attach", "single", "memory", "ingresses"];

/// What to measure, and with what.
#[derive(Debug, Parser)]
struct Args {
    /// The gateway: a release build.
    #[arg(long)]
    binary: PathBuf,
    /// kubectl, for what a user would apply with it.
    #[arg(long)]
    kubectl: PathBuf,
    /// Routes that are attached and detached.
    #[arg(long, default_value_t = 1_000)]
    attached: usize,
    /// Routes that are created one by one.
    #[arg(long, default_value_t = 3_000)]
    single: usize,
    /// Routes whose memory is measured: those before, and more.
    #[arg(long, default_value_t = 5_000)]
    routes: usize,
    /// Annotated Ingresses that are applied.
    #[arg(long, default_value_t = 2_000)]
    ingresses: usize,
    /// Only this part; repeatable.
    #[arg(long, value_name = "PART", value_parser = PARTS)]
    only: Vec<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Args {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run(&args))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut world = World::new(&args.binary).await?;
    let measured = phases(args, &mut world).await;
    let cleared = world.end().await;
    measured.and(cleared)
}

async fn phases(args: &Args, world: &mut World) -> anyhow::Result<()> {
    let empty = world.gateway.resident()?;
    if args.wants("attach") {
        let before = world.gateway.processor()?;
        phases::attach::run(world, args.attached).await?;
        cost(world, before, 2 * args.attached)?;
    }
    if args.wants("single") {
        let before = world.gateway.processor()?;
        phases::single::run(world, args.single).await?;
        cost(world, before, args.single)?;
    }
    if args.wants("memory") {
        phases::memory::run(world, args.routes, empty).await?;
    }
    if args.wants("ingresses") {
        let before = world.gateway.processor()?;
        phases::ingresses::run(world, args.ingresses, &args.kubectl).await?;
        cost(world, before, args.ingresses)?;
    }
    Ok(())
}

/// What the gateway has used since then, all of it: watching, translating, serving, writing.
fn cost(world: &World, before: Duration, changes: usize) -> anyhow::Result<()> {
    let used = world.gateway.processor()?.saturating_sub(before);
    let each = used.checked_div(u32::try_from(changes)?);
    let each = each.unwrap_or_default();
    say(
        "",
        &format!("processor time of the gateway: {used:.1?}, {each:.2?} for each change"),
    )
}

/// Says what was measured.
fn say(what: &str, figures: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{what:<22}{figures}")?)
}

/// A goal beside its figure.
fn goal<T: PartialOrd + std::fmt::Debug>(figure: T, most: T) -> String {
    let missed = if figure > most { ", MISSED" } else { "" };
    format!("{figure:.2?} (at most {most:.0?}{missed})")
}

/// The share `part` of sorted figures is no larger than this.
fn quantile(figures: &mut [Duration], part: f64) -> Duration {
    figures.sort_unstable();
    let at = (figures.len() as f64 * part).ceil() as usize;
    figures
        .get(at.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Looks again and again until there is something, for a bounded time.
async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        anyhow::ensure!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
