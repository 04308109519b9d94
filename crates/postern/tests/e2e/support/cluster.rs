//! The same checks on Postern as it is installed in a cluster, where the environment says how to get at one:
//! `cargo xtask cluster test examples`, which also has backends listen on the node's address, where pods find them.

use std::{
    env, fs,
    io::BufReader,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Gateway, Log, text};

/// Names the kubectl of a cluster that this machine is a node of, with one replica of Postern in it.
const VARIABLE: &str = "POSTERN_E2E_KUBECTL";

/// Where Postern is, and its Gateway for Ingresses.
const SYSTEM: (&str, &str) = ("postern-system", "postern");

/// Where the examples go: their own documents say so.
const NAMESPACE: &str = "default";

/// The longest that anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How long nothing new has to come until all has been seen: objects and what they refer to are watched one by one.
const QUIET: Duration = Duration::from_secs(1);

/// Examples in a cluster.
pub(super) struct Cluster {
    kubectl: PathBuf,
}

/// An example's objects, which go when this is dropped.
pub(super) struct Applied {
    cluster: Cluster,
    folder: PathBuf,
}

impl Cluster {
    /// The one that the environment names.
    pub(super) fn of_environment() -> Option<Self> {
        let kubectl = env::var_os(VARIABLE)?.into();
        Some(Self { kubectl })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(arguments);
        command
    }

    /// What kubectl prints.
    fn prints(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        text(&output.stdout)
    }

    fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        let printed = self.prints(&[arguments, &["-o", "json"]].concat());
        let list: Value = serde_json::from_str(&printed).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Applies everything in the folder, and waits until it is served.
    pub(super) fn serve(self, folder: &Path) -> (Gateway, Applied) {
        let gateway = self.pod();
        // What others refer to comes first.
        let mut files: Vec<(bool, PathBuf)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
            .map(|path| (!is_referred_to(&path), path))
            .collect();
        files.sort();
        let applied = Applied {
            cluster: self,
            folder: folder.to_owned(),
        };
        for (_, file) in files {
            let file = file.to_str().unwrap();
            let words = ["apply", "-n", NAMESPACE, "-f", file];
            applied.cluster.prints(&words);
        }
        let gateway = applied.cluster.until_served(gateway);
        (gateway, applied)
    }

    /// The one replica, whose log is followed.
    fn pod(&self) -> Gateway {
        let words = [
            "get",
            "pods",
            "-n",
            SYSTEM.0,
            "-l",
            "app.kubernetes.io/name=postern",
        ];
        let pod = until("single replica", || {
            let mut pods = self.objects(&words);
            (pods.len() == 1).then(|| pods.remove(0))
        });
        let address: IpAddr = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        let mut child = self
            .command(&["logs", "-f", "--tail=0", "-n", SYSTEM.0, name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let lines = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || log.read(lines)
        });
        Gateway {
            child,
            log,
            reader: Some(reader),
            admin: SocketAddr::from((address, 15000)),
            published: None,
        }
    }

    /// Waits for what a user waits for, a status of each object, and a little for what they refer to.
    fn until_served(&self, mut gateway: Gateway) -> Gateway {
        let own = self.objects(&["get", "gateways", "-n", NAMESPACE]);
        let own = own.first().map(|g| g["metadata"]["name"].as_str().unwrap());
        let (namespace, name) = own.map_or(SYSTEM, |name| (NAMESPACE, name));
        let address = until("an address of the Gateway", || {
            let gateways = self.objects(&["get", "gateways", "-n", namespace]);
            let gateway = gateways.iter().find(|g| g["metadata"]["name"] == name)?;
            gateway["status"]["addresses"][0]["value"]
                .as_str()?
                .parse()
                .ok()
        });
        gateway.published = Some(address);
        until("a status of each Ingress and HTTPRoute", || {
            let objects = self.objects(&["get", "ingresses,httproutes", "-n", NAMESPACE]);
            let has = |object: &Value| {
                let status = &object["status"];
                status["loadBalancer"]["ingress"][0].is_object() || status["parents"][0].is_object()
            };
            objects.iter().all(has).then_some(())
        });
        // Status is written once what it speaks of is served; what that refers to is fetched meanwhile.
        let mut seen = (gateway.generation(), Instant::now());
        until("end of changes", || {
            let now = gateway.generation();
            if now != seen.0 {
                seen = (now, Instant::now());
            }
            (seen.1.elapsed() > QUIET).then_some(())
        });
        gateway
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        let folder = self.folder.to_str().unwrap();
        let words = ["delete", "-n", NAMESPACE, "--ignore-not-found", "-f"];
        self.cluster.prints(&[&words[..], &[folder]].concat());
        if std::thread::panicking() {
            return;
        }
        // What Postern made of Ingresses goes with them.
        until("what was generated is gone", || {
            let left = [
                "get",
                "httproutes,backendpolicies,routepolicies,routefilters",
            ];
            let left = self
                .cluster
                .objects(&[&left[..], &["-n", NAMESPACE]].concat());
            left.is_empty().then_some(())
        });
    }
}

/// Services, their endpoints and Secrets.
fn is_referred_to(path: &Path) -> bool {
    let manifest = fs::read_to_string(path).unwrap();
    let mut kinds = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("kind: "));
    kinds.all(|kind| ["Service", "EndpointSlice", "Secret"].contains(&kind))
}

fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    waited(look).unwrap_or_else(|| panic!("no {what}"))
}

fn waited<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(PAUSE);
    }
    None
}
