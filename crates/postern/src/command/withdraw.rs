//! `postern withdraw`: no Ingress names us any more.

use std::time::Duration;

use anyhow::Context as _;
use api::annotation;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::networking::v1::Ingress;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::Ended;
use crate::{
    cli::WithdrawArgs,
    hostname::hostname,
    lease::seized::Seized,
    output, serve,
    source::kube::{self as source, MANAGER},
    status::published::{self, Change, Known},
};

/// Ingresses that are listed at a time.
const PAGE: u32 = 500;
/// Writes at the same time.
const WRITES: usize = 8;
/// Between looks at what is left.
const PAUSE: Duration = Duration::from_secs(1);

/// Withdraws.
pub(super) fn withdraw(args: &WithdrawArgs) -> anyhow::Result<Ended> {
    let runtime = serve::runtime().context("cannot start")?;
    runtime.block_on(async {
        let all = timeout(args.timeout, from_all(args)).await;
        let ended = all.context("the API server takes longer than --timeout allows")?;
        let count = ended?;
        output::print(&format!("{count} Ingresses have our addresses no more\n"))?;
        Ok(Ended::Well)
    })
}

/// Gives how many Ingresses were changed.
async fn from_all(args: &WithdrawArgs) -> anyhow::Result<usize> {
    let (client, config) = source::client()
        .await
        .context("there is no cluster: neither a pod's service account nor a kubeconfig")?;
    let namespace = (args.namespace.clone()).unwrap_or(config.default_namespace);
    let host = hostname().unwrap_or_else(|| "postern".to_owned());
    let identity = format!("{host}_{}_withdraws", std::process::id());
    // Should we be lost, replicas go on after that.
    let span = args.timeout + PAUSE;
    let lease = (&*namespace, &*args.lease_name);
    let seized = Seized::take(client.clone(), lease, &identity, span)
        .await
        .with_context(|| format!("the Lease {namespace}/{} cannot be taken", args.lease_name))?;
    let quiet = Instant::now() + seized.quiet_after();
    let mut changed = 0;
    loop {
        let late = Instant::now() >= quiet;
        let (found, written) = from_those_that_have_them(&client, &args.controller_name).await?;
        changed += written;
        // A replica that held the Lease may have written after our look, unless it was late enough.
        if late && found == 0 {
            break;
        }
        sleep(PAUSE).await;
    }
    let given = seized.give_back().await;
    given.context("the Lease cannot be given back; it runs out")?;
    Ok(changed)
}

/// Gives how many Ingresses had our addresses, and from how many they were taken.
async fn from_those_that_have_them(
    client: &Client,
    controller: &str,
) -> anyhow::Result<(usize, usize)> {
    let all = Api::<Ingress>::all(client.clone());
    let mut page = ListParams::default().limit(PAGE);
    let (mut found, mut written) = (0, 0);
    loop {
        let list = all
            .list(&page)
            .await
            .context("Ingresses cannot be listed")?;
        let next = list.metadata.continue_.filter(|token| !token.is_empty());
        let changes = list.items.iter().filter_map(|i| body(i, controller));
        let changes: Vec<_> = changes.collect();
        found += changes.len();
        let writes = stream::iter(changes).map(|change| write(client, change));
        let ended: Vec<_> = writes.buffer_unordered(WRITES).collect().await;
        for ended in ended {
            written += usize::from(ended?);
        }
        match next {
            Some(token) => page = page.continue_token(&token),
            None => return Ok((found, written)),
        }
    }
}

/// An Ingress to be changed.
struct Withdrawal {
    namespace: String,
    name: String,
    body: Value,
}

/// What is to be written, if the Ingress has an address of ours.
fn body(ingress: &Ingress, controller: &str) -> Option<Withdrawal> {
    let annotations = ingress.annotations();
    let annotation = annotations.get(annotation::PUBLISHED)?;
    if !published::is_published(annotation, controller) {
        return None;
    }
    let known = Known {
        status: &serde_json::to_value(ingress.status.as_ref()).ok()?,
        published: Some(annotation),
        placed: false,
        here: &[],
        controller,
    };
    let Change {
        status,
        annotations,
        ..
    } = published::change(&known, &[])?;
    Some(Withdrawal {
        namespace: ingress.namespace()?,
        name: ingress.name_any(),
        body: json!({
            "metadata": { "resourceVersion": ingress.resource_version(), "annotations": annotations },
            "status": status,
        }),
    })
}

/// Whether it was written: not if it has changed meanwhile, or is gone.
async fn write(client: &Client, change: Withdrawal) -> anyhow::Result<bool> {
    let api = Api::<Ingress>::namespaced(client.clone(), &change.namespace);
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&change.body);
    match api.patch_status(&change.name, &parameters, &patch).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => {
            let object = format!("Ingress {}/{}", change.namespace, change.name);
            Err(error).context(object)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_have_put_there_is_taken_away() {
        let ingress = |published: &str| -> Ingress {
            let entries = json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.9" }]);
            serde_json::from_value(json!({
                "metadata": {
                    "namespace": "shop", "name": "web", "resourceVersion": "7",
                    "annotations": { annotation::PUBLISHED: published },
                },
                "status": { "loadBalancer": { "ingress": entries } },
            }))
            .unwrap()
        };
        let change = body(&ingress(r#"{"c":["192.0.2.9"]}"#), "c").unwrap();
        let wanted = json!({
            "metadata": { "resourceVersion": "7", "annotations": { annotation::PUBLISHED: null } },
            "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } },
        });
        assert_eq!((&*change.name, change.body), ("web", wanted));
        assert!(body(&ingress(r#"{"other":["192.0.2.9"]}"#), "c").is_none());
    }
}
