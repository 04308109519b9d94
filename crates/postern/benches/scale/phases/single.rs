//! Routes are created one by one: how soon each is served, compared with how soon a watch tells of it.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{
    api, goal,
    probe::Probe,
    quantile, say,
    watch::Watch,
    world::{World, host},
};

/// For half of the routes, beyond the watch.
const MEDIAN: Duration = Duration::from_millis(10);

/// For all but one in a hundred.
const MOST: Duration = Duration::from_millis(50);

/// Between two requests.
const PAUSE: Duration = Duration::from_micros(500);

/// The longest that one route may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(world: &World, count: usize) -> anyhow::Result<()> {
    let mut watch = Watch::start(&world.server, api::ROUTE, &world.app).await?;
    let mut probe = Probe::connect(world.address).await?;
    let (mut watched, mut beyond) = (Vec::new(), Vec::new());
    let mut not_found = 0;
    for at in 0..count {
        let name = format!("single-{at}");
        let route = world.route(&name, at);
        let start = Instant::now();
        let (created, served) = tokio::join!(
            world.server.create(api::ROUTE, &world.app, &route),
            served(&mut probe, &name)
        );
        created?;
        let (served, before) = served?;
        not_found += before;
        let told = watch.first(&name).await?;
        watched.push(told - start);
        beyond.push(served.saturating_duration_since(told));
    }
    ensure!(not_found > 0, "no request came before its route");
    let median = quantile(&mut watched, 0.5);
    say(
        "one by one",
        &format!(
            "{count} routes; a watch tells after {median:.2?} (median), and what follows takes: p50 {}, p99 {}, worst {:.2?}; \
             {not_found} times 404, then 200",
            goal(quantile(&mut beyond, 0.5), MEDIAN),
            goal(quantile(&mut beyond, 0.99), MOST),
            quantile(&mut beyond, 1.0),
        ),
    )
}

/// When the first request is served, and how many were answered with 404 before. Nothing else may be answered.
async fn served(probe: &mut Probe, name: &str) -> anyhow::Result<(Instant, usize)> {
    let (start, host) = (Instant::now(), host(name));
    let mut before = 0;
    loop {
        match probe.status(&host).await? {
            200 => return Ok((Instant::now(), before)),
            404 => before += 1,
            other => anyhow::bail!("{host}: {other}"),
        }
        ensure!(start.elapsed() < PATIENCE, "{host} is not served");
        tokio::time::sleep(PAUSE).await;
    }
}
