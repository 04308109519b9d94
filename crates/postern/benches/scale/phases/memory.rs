//! What many routes take of memory: in a process that has seen them come, and in one that was started with them.

use std::time::{Duration, Instant};

use crate::{
    api, goal,
    probe::Probe,
    say, until,
    world::{PATIENCE, World, host},
};

/// MiB beyond the process without routes.
const MOST: u64 = 60;

/// After it, memory that was only used on the way has been given back.
const SETTLING: Duration = Duration::from_secs(5);

pub(crate) async fn run(world: &mut World, count: usize, empty: u64) -> anyhow::Result<()> {
    let list = format!("{}?limit=1", api::ROUTE.path(&world.app));
    let list = world.server.get(&list).await?.unwrap_or_default();
    let there = match list["items"].as_array().map_or(0, Vec::len) {
        0 => 0,
        shown => shown + list["metadata"]["remainingItemCount"].as_u64().unwrap_or(0) as usize,
    };
    let name = |at: usize| format!("more-{at}");
    let routes = (there..count).map(|at| world.route(&name(at), at));
    let routes: Vec<_> = routes.collect();
    let server = &world.server;
    server
        .create_all(api::ROUTE, &world.app, routes.into_iter())
        .await?;
    let last = host(&name(count - 1));
    is_served(world, &last).await?;
    tokio::time::sleep(SETTLING).await;
    let grown = world.gateway.resident()?;
    let start = Instant::now();
    world.gateway.restart()?;
    is_served(world, &last).await?;
    let took = start.elapsed();
    tokio::time::sleep(SETTLING).await;
    let fresh = world.gateway.resident()?;
    let more = |now: u64| goal(now.saturating_sub(empty).div_ceil(1024), MOST);
    say(
        "memory",
        &format!(
            "{count} routes; MiB beyond the {} of a process without: {}; started with them {}, serving after {took:.2?}",
            empty.div_ceil(1024),
            more(grown),
            more(fresh)
        ),
    )
}

async fn is_served(world: &World, host: &str) -> anyhow::Result<()> {
    until("a route that is served", PATIENCE, || async move {
        let Ok(mut probe) = Probe::connect(world.address).await else {
            return Ok(None);
        };
        Ok((probe.status(host).await? == 200).then_some(()))
    })
    .await
}
