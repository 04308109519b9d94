//! What runs in the local cluster, and with which arguments.

use super::{Layout, settings};

/// One program of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Containerd,
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Proxy,
    Kubelet,
}

/// In the order they are started, each once the one before is of use.
pub(super) const STARTED: &[Component] = &[
    Component::Containerd,
    Component::Etcd,
    Component::ApiServer,
    Component::ControllerManager,
    Component::Scheduler,
    Component::Proxy,
    Component::Kubelet,
];

impl Component {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Etcd => "etcd",
            Self::ApiServer => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Proxy => "proxy",
            Self::Kubelet => "kubelet",
        }
    }

    /// All of them; the first says which component of the one binary is meant.
    pub(super) fn arguments(self, layout: &Layout) -> Vec<String> {
        let at = |name: &str| layout.at(name).display().to_string();
        let kubeconfig = ("--kubeconfig", at("kubeconfig"));
        let options: Vec<(&str, String)> = match self {
            Self::Containerd => return vec!["-c".to_owned(), at("containerd.toml")],
            Self::Etcd => return vec![self.name().to_owned(), at("etcd")],
            Self::ApiServer => api_server(layout),
            Self::ControllerManager => vec![
                kubeconfig,
                ("--leader-elect", "false".to_owned()),
                ("--use-service-account-credentials", "true".to_owned()),
                ("--service-account-private-key-file", at("pki/accounts.key")),
                ("--root-ca-file", at("pki/apiserver.crt")),
            ],
            Self::Scheduler => vec![kubeconfig, ("--leader-elect", "false".to_owned())],
            Self::Proxy => vec![
                kubeconfig,
                ("--proxy-mode", "nftables".to_owned()),
                ("--hostname-override", settings::NODE.to_owned()),
                ("--cluster-cidr", settings::PODS.to_owned()),
                // Limits of the whole machine, not of this namespace: not to be touched.
                ("--conntrack-max-per-core", "0".to_owned()),
                ("--conntrack-tcp-timeout-established", "0".to_owned()),
                ("--conntrack-tcp-timeout-close-wait", "0".to_owned()),
            ],
            Self::Kubelet => vec![
                kubeconfig,
                ("--config", at("kubelet.yaml")),
                ("--root-dir", at("kubelet")),
                ("--hostname-override", settings::NODE.to_owned()),
                ("--node-ip", settings::NODE_ADDRESS.to_owned()),
            ],
        };
        let options = options
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        std::iter::once(self.name().to_owned())
            .chain(options)
            .collect()
    }
}

fn api_server(layout: &Layout) -> Vec<(&'static str, String)> {
    let at = |name: &str| layout.at(name).display().to_string();
    vec![
        ("--etcd-servers", "http://127.0.0.1:2379".to_owned()),
        ("--bind-address", settings::NODE_ADDRESS.to_owned()),
        ("--advertise-address", settings::NODE_ADDRESS.to_owned()),
        ("--secure-port", settings::API_PORT.to_string()),
        ("--cert-dir", at("pki")),
        ("--service-cluster-ip-range", settings::SERVICES.to_owned()),
        ("--authorization-mode", "Node,RBAC".to_owned()),
        ("--allow-privileged", "true".to_owned()),
        ("--token-auth-file", at("pki/tokens.csv")),
        (
            "--service-account-issuer",
            "https://kubernetes.default.svc".to_owned(),
        ),
        ("--service-account-key-file", at("pki/accounts.pub")),
        ("--service-account-signing-key-file", at("pki/accounts.key")),
        ("--audit-policy-file", at("audit.yaml")),
        ("--audit-log-path", at("audit.log")),
        ("--kubelet-preferred-address-types", "InternalIP".to_owned()),
        // Authorities that Gateway API 1.7 refers to, which this Kubernetes has behind a gate.
        ("--feature-gates", "ClusterTrustBundle=true".to_owned()),
        (
            "--runtime-config",
            "certificates.k8s.io/v1beta1/clustertrustbundles=true".to_owned(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Component, Layout, STARTED};

    #[test]
    fn every_component_is_told_where_its_files_are() {
        let layout = Layout::below(Path::new("/state"), "c");
        for component in STARTED {
            let line = component.arguments(&layout).join(" ");
            assert!(line.contains("/state/c/"), "{}: {line}", component.name());
        }
    }

    #[test]
    fn the_binary_is_told_which_component_it_is() {
        let layout = Layout::below(Path::new("/state"), "c");
        let line = Component::Scheduler.arguments(&layout).join(" ");
        assert_eq!(
            line,
            "scheduler --kubeconfig=/state/c/kubeconfig --leader-elect=false"
        );
    }
}
