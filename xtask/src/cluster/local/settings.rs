//! Addresses and settings files of the local cluster.

use std::{fmt::Write as _, fs::File, io::Read as _};

use anyhow::Context as _;

use super::{Layout, images};

/// The only node.
pub(super) const NODE: &str = "node";

/// Where it is, in the cluster's network namespace.
pub(super) const NODE_ADDRESS: &str = "10.89.0.2";

/// Where the API server listens. Not 6443: a test of conformance has a listener there.
pub(super) const API_PORT: u16 = 6444;

/// Addresses of pods.
pub(super) const PODS: &str = "10.244.0.0/16";

/// Addresses of Services.
pub(super) const SERVICES: &str = "10.96.0.0/16";

/// First and last address for Services of type LoadBalancer, in the node's network.
pub(crate) const BALANCED: (&str, &str) = ("10.89.0.100", "10.89.0.199");

/// Everything that is only reachable through the node.
pub(crate) const NETWORKS: &[&str] = &["10.89.0.0/24", SERVICES, PODS];

/// Something nobody can guess.
pub(super) fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Who may do everything.
pub(super) fn tokens(token: &str) -> String {
    format!("{token},admin,admin,system:masters\n")
}

/// How clients find the API server and show who they are. Its certificate is made when it starts for the first time.
pub(super) fn kubeconfig(layout: &Layout, token: &str) -> String {
    let authority = layout.at("pki/apiserver.crt");
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://{NODE_ADDRESS}:{API_PORT}
    certificate-authority: {}
users:
- name: admin
  user:
    token: {token}
contexts:
- name: local
  context:
    cluster: local
    user: admin
current-context: local
",
        authority.display()
    )
}

/// What Postern's service accounts do is written down, so that a test can compare it with what they may do.
pub(super) const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ['system:serviceaccounts:postern-system']
- level: None
";

/// The network of the pods: a bridge, on which a pod reaches itself too.
pub(super) fn network(layout: &Layout) -> String {
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": {{
        "type": "host-local",
        "dataDir": "{}",
        "ranges": [[{{"subnet": "{PODS}"}}]],
        "routes": [{{"dst": "0.0.0.0/0"}}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
"#,
        layout.at("cni/state").display()
    )
}

/// containerd, all of its files in the cluster's folder.
pub(super) fn containerd(layout: &Layout) -> String {
    let at = |name: &str| layout.at(name).display().to_string();
    format!(
        r#"version = 2
root = "{}"
state = "{}"

[grpc]
  address = "{}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{}"
  # Otherwise the network namespaces of pods would be beside those of other clusters.
  netns_mounts_under_state_dir = true
  # A root without CAP_SYS_RESOURCE may not lower the score, and every pod would fail: "can't get final child's PID".
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{}"
"#,
        at("containerd"),
        at("run"),
        at("containerd.sock"),
        images::PAUSE,
        at("cni"),
        at("opt"),
    )
}

/// The kubelet: content with cgroup v1 and a full disk, and asked by nobody from outside.
pub(super) fn kubelet(layout: &Layout) -> String {
    format!(
        "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: true
  webhook:
    enabled: false
authorization:
  mode: AlwaysAllow
cgroupDriver: cgroupfs
cgroupsPerQOS: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://{}
enforceNodeAllocatable: []
evictionHard:
  memory.available: 100Mi
  nodefs.available: 0%
  nodefs.inodesFree: 0%
  imagefs.available: 0%
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
podLogsDir: {}
resolvConf: ''
",
        layout.at("containerd.sock").display(),
        // In the usual place, the kubelet of another cluster would remove them: it knows none of these pods.
        layout.at("pods").display()
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Layout, containerd, kubeconfig, kubelet, network, token};

    #[test]
    fn settings_are_well_formed_and_name_the_cluster_s_folder() {
        let layout = Layout::below(Path::new("/state"), "c");
        let network: serde_json::Value = serde_json::from_str(&network(&layout)).unwrap();
        assert_eq!(
            network["plugins"][0]["ipam"]["dataDir"],
            "/state/c/cni/state"
        );
        let yaml = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
        let kubelet = yaml(&kubelet(&layout));
        assert_eq!(
            kubelet["containerRuntimeEndpoint"],
            "unix:///state/c/containerd.sock"
        );
        assert_eq!(kubelet["podLogsDir"], "/state/c/pods");
        let kubeconfig = yaml(&kubeconfig(&layout, "secret"));
        assert_eq!(kubeconfig["users"][0]["user"]["token"], "secret");
        assert!(containerd(&layout).contains("address = \"/state/c/containerd.sock\""));
    }

    #[test]
    fn tokens_differ() {
        let (first, second) = (token().unwrap(), token().unwrap());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
    }
}
