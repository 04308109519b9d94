//! Many routes come and go: how soon the Gateway's status says so, and how often it is written on the way.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    api, goal, say,
    watch::Watch,
    world::{GATEWAY, PATIENCE, World},
};

/// From the last write until `attachedRoutes` is right.
const DELAY: Duration = Duration::from_secs(2);

/// Writes of the Gateway's status, for all routes.
const WRITES: usize = 100;

pub(crate) async fn run(world: &World, count: usize) -> anyhow::Result<()> {
    let mut watch = Watch::start(&world.server, api::GATEWAY, &world.app).await?;
    let name = |at: usize| format!("attached-{at}");
    let start = Instant::now();
    let routes = (0..count).map(|at| world.route(&name(at), at));
    let server = &world.server;
    server.create_all(api::ROUTE, &world.app, routes).await?;
    let (written, took) = (Instant::now(), start.elapsed());
    let attached = counted(&mut watch, count).await?;
    let writes = watch.changes();
    say(
        "attached",
        &format!(
            "{count} routes written in {took:.1?}; the count is right after {}, with {writes} writes of status",
            goal(attached.saturating_duration_since(written), DELAY)
        ),
    )?;
    let start = Instant::now();
    let names = (0..count).map(name);
    server.delete_all(api::ROUTE, &world.app, names).await?;
    let (written, took) = (Instant::now(), start.elapsed());
    let detached = counted(&mut watch, 0).await?;
    // What was under way then, and more than one pace of the writer.
    tokio::time::sleep(DELAY).await;
    let writes = watch.changes();
    say(
        "detached",
        &format!(
            "{count} routes deleted in {took:.1?}; the count is right after {}, with {} writes of status in all",
            goal(detached.saturating_duration_since(written), DELAY),
            goal(writes, WRITES)
        ),
    )
}

/// When the Gateway's only listener is said to have so many routes.
async fn counted(watch: &mut Watch, count: usize) -> anyhow::Result<Instant> {
    let right =
        |gateway: &Value| gateway["status"]["listeners"][0]["attachedRoutes"] == json!(count);
    let when = timeout(PATIENCE, watch.until(GATEWAY, right)).await;
    when.with_context(|| format!("attachedRoutes does not become {count}"))?
}
