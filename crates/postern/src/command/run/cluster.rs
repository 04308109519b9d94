//! `postern run` without files: serves the cluster that it runs in.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};

use anyhow::Context;
use api::ObjectKey;
use gateway_core::{Address, Topology};
use kube::Client;
use proxy::Proxy;

use crate::{
    admin::Admin,
    cli::{ClusterArgs, IngressTranslation, RunArgs, Switch},
    command::Ended,
    descriptor,
    event::Reporter,
    hostname::hostname,
    lease::Candidacy,
    live::{Live, Publisher},
    pipeline::Pipeline,
    provision,
    serve::{self, Signals, Telemetry},
    source::kube::{self as source, observed::Observed},
    status::writer::Writer,
    translated,
};

/// Runs until a signal comes.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Ended> {
    let runtime = serve::runtime().context("cannot start the control plane")?;
    let (telemetry, signals) = {
        let _entered = runtime.enter();
        let signals = Signals::new().context("cannot handle signals")?;
        let telemetry = Telemetry::start(&args.process)?;
        let signals = signals.with(telemetry.access_log());
        (telemetry, signals)
    };
    descriptor::raise();
    let ended = runtime.block_on(serve(args, &telemetry, signals));
    telemetry.finish();
    ended
}

async fn serve(
    args: &RunArgs,
    telemetry: &Telemetry,
    mut signals: Signals,
) -> anyhow::Result<Ended> {
    let live = Arc::new(Live::default());
    let mut admin = None;
    if let Some(address) = args.process.admin.0 {
        let (names, live) = (&args.process.admin_hosts, Arc::clone(&live));
        let endpoint = Admin::bind(address, names, live, telemetry.metrics()).await?;
        admin = Some(endpoint.address());
        tokio::spawn(endpoint.serve());
    }
    let (client, config) = source::client().await.context(
        "no manifests are given with -f, and there is no cluster: neither a pod's service account nor a kubeconfig",
    )?;
    let cluster = &args.cluster;
    let namespace = cluster
        .namespace
        .clone()
        .unwrap_or(config.default_namespace);
    tracing::info!(api = %config.cluster_url, %namespace, "following the cluster");
    let settings = proxy::Config {
        // Whoever may write a Service would reach our own admin endpoint through us, and the cloud's of this node.
        local_backends: false,
        private: admin_addresses(admin),
        ..args
            .proxy
            .config(args.process.drain_timeout, &args.ingress.trusted_proxies)
    };
    let proxy = Arc::new(Proxy::start(settings, telemetry.for_proxy())?);
    let pipeline = pipeline(args, &namespace);
    let default = converter::default_certificate(pipeline.options());
    let (updates, observed) = source::start(client.clone(), &cluster.controller_name, default);
    let mut first = updates.clone();
    tokio::select! {
        () = signals.end(None) => return Ok(Ended::Well),
        // The watch ends with the process only.
        _ = first.changed() => {}
    }
    let publisher = Publisher::new(
        pipeline,
        Arc::clone(&proxy),
        Arc::clone(&live),
        telemetry.metrics(),
    );
    serve::follow(publisher, updates, Arc::clone(&live))?;
    let identity = cluster.identity.clone().unwrap_or_else(identity);
    let candidacy = Candidacy::start(client.clone(), &namespace, &cluster.lease_name, &identity);
    let writing = Writing {
        client,
        live: Arc::clone(&live),
        observed,
        identity,
        data_plane: ObjectKey::new(&namespace, &cluster.data_plane_service),
        gateway: ObjectKey::new(&namespace, &cluster.gateway),
    };
    writing.start(cluster, &candidacy);
    signals.end(None).await;
    // Others take over while we finish what clients are waiting for.
    let left = tokio::spawn(candidacy.leave());
    serve::drain(&proxy, &live, &args.process, &mut signals).await;
    // It is bounded itself, and a panic there has been reported.
    let _ = left.await;
    Ok(Ended::Well)
}

/// What those who write have in common.
struct Writing {
    client: Client,
    live: Arc<Live>,
    observed: Observed,
    identity: String,
    data_plane: ObjectKey,
    /// The Gateway for Ingresses.
    gateway: ObjectKey,
}

impl Writing {
    /// Everything that is written, for as long as the Lease is held.
    fn start(self, args: &ClusterArgs, candidacy: &Candidacy) {
        let keeper = provision::Keeper {
            client: self.client.clone(),
            live: Arc::clone(&self.live),
            leader: candidacy.leader(),
            options: provision::Options {
                service_type: args.gateway_service_type.name(),
                ports: args.container_ports.clone(),
                data_plane: self.data_plane,
                controller: args.controller_name.clone(),
                traffic_policy: args.external_traffic_policy,
                for_ingresses: provision::ForIngresses {
                    gateway: self.gateway.clone(),
                    labels: args.gateway_labels.iter().cloned().collect(),
                    annotations: args.gateway_annotations.iter().cloned().collect(),
                },
            },
        };
        tokio::spawn(keeper.run());
        let keeper = translated::Keeper {
            client: self.client.clone(),
            live: Arc::clone(&self.live),
            observed: self.observed.clone(),
            leader: candidacy.leader(),
            controller: args.controller_name.clone(),
            objects: args.ingress_translation == IngressTranslation::Objects,
        };
        tokio::spawn(keeper.run());
        let reporter = Reporter {
            client: self.client.clone(),
            live: Arc::clone(&self.live),
            leader: candidacy.leader(),
            controller: args.controller_name.clone(),
            identity: self.identity,
        };
        tokio::spawn(reporter.run());
        let writer = Writer {
            client: self.client,
            live: self.live,
            observed: self.observed,
            leader: candidacy.leader(),
            controller: args.controller_name.clone(),
            gateway: self.gateway,
        };
        tokio::spawn(writer.run());
    }
}

/// Where the admin endpoint is found from outside: at the addresses that this machine, or pod, has on its way to
/// others.
fn admin_addresses(bound: Option<SocketAddr>) -> Vec<SocketAddr> {
    let Some(bound) = bound else {
        return Vec::new();
    };
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    // Addresses of documentation: connecting a datagram socket sends nothing, and chooses an address of ours.
    let ways = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let own = ways.into_iter().filter_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(SocketAddr::new(
            socket.local_addr().ok()?.ip(),
            bound.port(),
        ))
    });
    own.collect()
}

/// The name of the host, which is that of the pod, and of the process in it.
fn identity() -> String {
    let host = hostname().unwrap_or_else(|| "postern".to_owned());
    format!("{host}_{}", std::process::id())
}

fn pipeline(args: &RunArgs, namespace: &str) -> Pipeline {
    let cluster = &args.cluster;
    let converter = converter::Options {
        gateway: ObjectKey::new(namespace, &cluster.gateway),
        gateway_class: cluster.gateway_class.clone(),
        controller_name: cluster.controller_name.clone(),
        ..args.ingress.serving()
    };
    let core = gateway_core::Options {
        controller_name: cluster.controller_name.clone(),
        implied_class: Some(cluster.gateway_class.clone()),
        topology: match cluster.gateway_service_type.name() {
            Some(_) => Topology::Services,
            None => Topology::AsWritten,
        },
        published: cluster
            .publish_addresses
            .iter()
            .map(|text| Address::from(text.as_str()))
            .collect(),
        ..gateway_core::Options::default()
    };
    let places = cluster.publish_ingress_status == Switch::On;
    Pipeline::new(converter).in_cluster(core).placing(places)
}

#[cfg(test)]
mod tests {
    use super::admin_addresses;

    #[test]
    fn the_admin_endpoint_is_where_it_is_bound_or_at_every_own_address() {
        assert_eq!(admin_addresses(None), []);
        let one = "192.0.2.7:15000".parse().unwrap();
        assert_eq!(admin_addresses(Some(one)), [one]);
        let all = admin_addresses(Some("0.0.0.0:15000".parse().unwrap()));
        for address in all {
            assert!(
                !address.ip().is_unspecified() && address.port() == 15000,
                "{address}"
            );
        }
    }
}
