//! Flags of `postern run` in a cluster: what stands where, and how Gateways are reached.

use std::{ops::RangeInclusive, time::Duration};

use clap::{Args, ValueEnum};

/// Settings that count without `-f`.
#[derive(Debug, Args)]
#[command(next_help_heading = "In a cluster")]
pub(crate) struct ClusterArgs {
    /// Namespace of Postern's own objects: its Lease and the Gateway for Ingresses. Default: the pod's, or that of the
    /// kubeconfig's context.
    #[arg(long, value_name = "NAME", env = "POSTERN_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Name by which GatewayClasses and status entries know this installation; another one in the cluster needs
    /// another.
    #[arg(long, value_name = "NAME", env = "POSTERN_CONTROLLER_NAME", default_value = api::CONTROLLER_NAME)]
    pub(crate) controller_name: String,
    /// The Gateway that Ingresses are served by, in --namespace. It is made when there are Ingresses and no such
    /// Gateway.
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTERN_GATEWAY",
        default_value = "postern"
    )]
    pub(crate) gateway: String,
    /// Class of that Gateway. Gateways of a class of this name are ours even where there is no such GatewayClass.
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTERN_GATEWAY_CLASS",
        default_value = "postern"
    )]
    pub(crate) gateway_class: String,
    /// The Lease that says which replica writes.
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTERN_LEASE",
        default_value = "postern"
    )]
    pub(crate) lease_name: String,
    /// This replica's name in the Lease, unlike that of any other. Default: the host's name.
    #[arg(long, value_name = "NAME", env = "POSTERN_IDENTITY")]
    pub(crate) identity: Option<String>,
    /// Which Services Gateways get. `none` is for pods on the host's network: listeners are bound as written, and
    /// --publish-address says where that is.
    #[arg(
        long,
        value_name = "TYPE",
        env = "POSTERN_GATEWAY_SERVICE_TYPE",
        default_value = "load-balancer"
    )]
    pub(crate) gateway_service_type: ServiceType,
    /// Ports of the pod that listeners are given, one for each Gateway and port. A NetworkPolicy has to let them in.
    #[arg(long, value_name = "FIRST-LAST", env = "POSTERN_CONTAINER_PORTS", default_value = "10000-14999", value_parser = ports)]
    pub(crate) container_ports: RangeInclusive<u16>,
    /// The Service in --namespace that selects the pods of this installation. Its endpoints are those of every
    /// Gateway's Service.
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTERN_DATA_PLANE_SERVICE",
        default_value = "postern"
    )]
    pub(crate) data_plane_service: String,
    /// Address or name that Gateways are found at, with Services of type node-port or none. Repeatable.
    #[arg(
        long = "publish-address",
        value_name = "ADDR",
        env = "POSTERN_PUBLISH_ADDRESS",
        value_delimiter = ','
    )]
    pub(crate) publish_addresses: Vec<String>,
    /// What Ingresses become: `objects` in the cluster, to be seen and taken over, or only `memory`, for very large
    /// fleets. What is served is the same.
    #[arg(
        long,
        value_name = "WHERE",
        env = "POSTERN_INGRESS_TRANSLATION",
        default_value = "objects"
    )]
    pub(crate) ingress_translation: IngressTranslation,
    /// Whether the address of that Gateway is put into the status of the Ingresses that are served, where external-dns
    /// and people look for it. `off` is for as long as another controller serves them too: its entries are let alone
    /// either way. Our own entry is taken back when this is switched off, or an Ingress is ours no more.
    #[arg(
        long,
        value_name = "WHETHER",
        env = "POSTERN_PUBLISH_INGRESS_STATUS",
        default_value = "off"
    )]
    pub(crate) publish_ingress_status: Switch,
    /// Which nodes take traffic for the Services of Gateways: `cluster`, any, at the price of the client's address; or
    /// `local`, those with a replica, so that the client's address stays. Needs Services of type load-balancer or
    /// node-port.
    #[arg(
        long,
        value_name = "POLICY",
        env = "POSTERN_EXTERNAL_TRAFFIC_POLICY",
        default_value = "cluster"
    )]
    pub(crate) external_traffic_policy: TrafficPolicy,
    /// Label of the Service of the Gateway for Ingresses, beside those of the Gateway's own `spec.infrastructure`,
    /// which count first. Repeatable.
    #[arg(long = "gateway-label", value_name = "KEY=VALUE", env = "POSTERN_GATEWAY_LABELS", value_delimiter = '\n', value_parser = pair)]
    pub(crate) gateway_labels: Vec<(String, String)>,
    /// Annotation of that Service, such as those by which a cloud makes its load balancer. Repeatable.
    #[arg(long = "gateway-annotation", value_name = "KEY=VALUE", env = "POSTERN_GATEWAY_ANNOTATIONS", value_delimiter = '\n', value_parser = pair)]
    pub(crate) gateway_annotations: Vec<(String, String)>,
}

/// `postern withdraw`
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// Namespace of the installation. Default: the pod's, or that of the kubeconfig's context.
    #[arg(long, value_name = "NAME", env = "POSTERN_NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Name of the installation, as its replicas have it.
    #[arg(long, value_name = "NAME", env = "POSTERN_CONTROLLER_NAME", default_value = api::CONTROLLER_NAME)]
    pub(crate) controller_name: String,
    /// The Lease of its replicas.
    #[arg(
        long,
        value_name = "NAME",
        env = "POSTERN_LEASE",
        default_value = "postern"
    )]
    pub(crate) lease_name: String,
    /// How long it may take.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = super::value::deadline)]
    pub(crate) timeout: Duration,
}

/// `off` or `on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// It is not done.
    Off,
    /// It is.
    On,
}

/// `spec.externalTrafficPolicy` of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrafficPolicy {
    /// All nodes.
    Cluster,
    /// Nodes with a replica.
    Local,
}

impl TrafficPolicy {
    /// As the Service has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// Services of Gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceType {
    /// Type LoadBalancer.
    LoadBalancer,
    /// Type NodePort.
    NodePort,
    /// Type ClusterIP.
    ClusterIp,
    /// No Service at all.
    None,
}

impl ServiceType {
    /// `spec.type`, if there is a Service.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::LoadBalancer => Some("LoadBalancer"),
            Self::NodePort => Some("NodePort"),
            Self::ClusterIp => Some("ClusterIP"),
            Self::None => None,
        }
    }
}

/// Where what Ingresses become is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IngressTranslation {
    /// In the cluster.
    Objects,
    /// In every replica.
    Memory,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE".to_owned()),
    }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let range = text.split_once('-').and_then(|(first, last)| {
        let range = first.trim().parse().ok()?..=last.trim().parse().ok()?;
        (*range.start() > 0 && !range.is_empty()).then_some(range)
    });
    range.ok_or_else(|| "give FIRST-LAST, two ports in ascending order".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{pair, ports};

    #[test]
    fn a_value_may_have_anything_in_it() {
        let told = pair("example.com/lb=a=b,c");
        assert_eq!(told, Ok(("example.com/lb".to_owned(), "a=b,c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        for bad in ["", "a", "=a"] {
            assert!(pair(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn port_ranges_are_read() {
        assert_eq!(ports("10000-14999"), Ok(10000..=14999));
        assert_eq!(ports("80-80"), Ok(80..=80));
        for bad in ["", "80", "0-5", "9-5", "1-65536", "a-b"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
