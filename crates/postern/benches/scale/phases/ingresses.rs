//! Annotated Ingresses are applied with kubectl: how soon after the last is stored all are served.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{
    api, goal,
    probe::Probe,
    say,
    watch::Watch,
    world::{PATIENCE, World, backend, host, reached},
};

/// From the last that is stored until all are served.
const DELAY: Duration = Duration::from_secs(10);

/// What Ingresses have, by turns.
const ANNOTATIONS: &[[(&str, &str); 4]] = &[
    [
        ("higress.io/route-limit-rps", "100"),
        ("higress.io/route-limit-burst-multiplier", "2"),
        ("higress.io/enable-cors", "true"),
        ("higress.io/cors-allow-origin", "https://example.com"),
    ],
    [
        ("higress.io/timeout", "30"),
        ("higress.io/proxy-next-upstream-tries", "2"),
        ("higress.io/request-header-control-add", "x-team payments"),
        ("higress.io/response-header-control-remove", "server"),
    ],
    [
        ("nginx.ingress.kubernetes.io/rewrite-target", "/app"),
        (
            "nginx.ingress.kubernetes.io/upstream-vhost",
            "inside.example.com",
        ),
        ("nginx.ingress.kubernetes.io/load-balance", "least_conn"),
        ("nginx.ingress.kubernetes.io/enable-cors", "true"),
    ],
    [
        ("nginx.ingress.kubernetes.io/affinity", "cookie"),
        ("nginx.ingress.kubernetes.io/session-cookie-name", "route"),
        ("nginx.ingress.kubernetes.io/session-cookie-max-age", "3600"),
        (
            "nginx.ingress.kubernetes.io/whitelist-source-range",
            "10.0.0.0/8",
        ),
    ],
];

pub(crate) async fn run(world: &World, count: usize, kubectl: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    let names: Vec<String> = (0..count).map(|at| format!("ingress-{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "---\n{}", ingress(world, name, at));
    }
    let watch = Watch::start(&world.server, api::INGRESS, &world.app).await?;
    let start = Instant::now();
    apply(world, kubectl, &text).await?;
    let took = start.elapsed();
    ensure!(
        watch.objects() == count,
        "{} Ingresses were told of",
        watch.objects()
    );
    let stored = watch.last().context("no Ingress was told of")?;
    let address = reached(&world.server, &world.names.system, "postern").await?;
    let mut probe = Probe::connect(address).await?;
    for name in &names {
        until_served(&mut probe, &host(name), stored).await?;
    }
    let delay = Instant::now().saturating_duration_since(stored);
    say(
        "Ingresses",
        &format!(
            "{count} applied with kubectl in {took:.1?}; all are served {} after the last was stored",
            goal(delay, DELAY)
        ),
    )
}

fn ingress(world: &World, name: &str, at: usize) -> Value {
    let annotations: serde_json::Map<_, _> = ANNOTATIONS[at % ANNOTATIONS.len()]
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    let service = json!({ "service": { "name": backend(at), "port": { "number": 80 } } });
    let path = json!({ "path": "/", "pathType": "Prefix", "backend": service });
    let rest = json!({
        "metadata": { "annotations": annotations },
        "spec": {
            "ingressClassName": world.names.class,
            "rules": [{ "host": host(name), "http": { "paths": [path] } }],
        },
    });
    api::INGRESS.object(name, rest)
}

async fn apply(world: &World, kubectl: &Path, text: &str) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, text)?;
    let mut command = Command::new(kubectl);
    command
        .args(["apply", "-n", &world.app, "-f"])
        .arg(file.path());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = tokio::task::spawn_blocking(move || command.status()).await?;
    let status = status.with_context(|| format!("{} cannot be started", kubectl.display()))?;
    ensure!(status.success(), "kubectl apply failed");
    Ok(())
}

/// Only 404 may come before 200. The wait counts from when the last was stored.
async fn until_served(probe: &mut Probe, host: &str, stored: Instant) -> anyhow::Result<()> {
    loop {
        match probe.status(host).await? {
            200 => return Ok(()),
            404 => {}
            other => anyhow::bail!("{host}: {other}"),
        }
        ensure!(stored.elapsed() < PATIENCE, "{host} is not served");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
