//! Changes of manifests while traffic flows.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::support::{Start, examples};
use testkit::{call::Call, echo::Backend};

fn gateway_yaml() -> String {
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: gw\nspec:\n  gatewayClassName: postern\n  \
     listeners:\n  - {name: http, port: 80, protocol: HTTP}\n"
        .to_owned()
}

fn service_yaml(backend: &Backend) -> String {
    let address = backend.address();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: app\n  annotations: {{postern.dev/endpoints: '{address}'}}\nspec:\n  \
         ports:\n  - port: 80\n"
    )
}

/// A route for `/stable` and for a path that says which edit this is.
fn route_yaml(edit: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: edited\nspec:\n  parentRefs:\n  - name: gw\n  \
         rules:\n  - matches:\n    - path: {{type: PathPrefix, value: /stable}}\n    - path: {{type: Exact, value: /edit/{edit}}}\n    \
         backendRefs:\n    - {{name: app, port: 80}}\n"
    )
}

/// As `kubectl cp`, editors and configuration management do it: a new file, then a rename.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, path).unwrap();
}

/// Sends requests from two threads until told to stop or so many are done. Gives what failed.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: std::net::SocketAddr, most: usize) -> Self {
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let threads = (0..2)
            .map(|_| {
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let mut failed = Vec::new();
                        while !stop.load(Relaxed) && done.fetch_add(1, Relaxed) < most {
                            match Call::get(address, "http://any.example.com/stable")
                                .send()
                                .await
                            {
                                Ok(answer) if answer.backend() == "app" => {}
                                other => failed.push(format!("{other:?}")),
                            }
                        }
                        failed
                    })
                })
            })
            .collect();
        Self {
            stop,
            done,
            threads,
        }
    }

    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Relaxed);
        let failed = self
            .threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        (self.done.load(Relaxed), failed)
    }
}

#[test]
fn a_thousand_edits_under_load_cost_no_request() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.yaml"), gateway_yaml()).unwrap();
    fs::write(folder.path().join("service.yaml"), service_yaml(&backend)).unwrap();
    let route = folder.path().join("route.yaml");
    replace(&route, &route_yaml(0));
    let gateway = Start::default().serve(folder.path());
    let address = gateway.address(80);
    let first = gateway.generation();
    let load = Load::start(address, 200_000);
    for edit in 1..=1_000 {
        replace(&route, &route_yaml(edit));
        // SIGHUP looks at once: each edit is seen for itself, not some of them together.
        gateway.signal("HUP");
        gateway.wait_beyond(first + i64::try_from(edit).unwrap() - 1);
    }
    let answer = Call::get(address, "http://any.example.com/edit/1000")
        .send_blocking()
        .unwrap();
    assert_eq!(answer.backend(), "app", "the last edit is live");
    let (requests, failed) = load.end();
    assert_eq!(failed, Vec::<String>::new());
    assert!(requests > 1_000, "{requests} requests are no load");
    assert_eq!(gateway.generation(), first + 1_000);
}

#[test]
fn a_broken_file_takes_nothing_else_down() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("gateway.yaml"),
        gateway_yaml() + "---\n" + &service_yaml(&backend),
    )
    .unwrap();
    let route = folder.path().join("route.yaml");
    replace(&route, &route_yaml(1));
    let gateway = Start::default().serve(folder.path());
    let address = gateway.address(80);
    let who = |path: &str| {
        let answer = Call::get(address, &format!("http://any.example.com{path}"))
            .send_blocking()
            .unwrap();
        (answer.backend().to_owned(), answer.status.as_u16())
    };
    replace(&route, &(route_yaml(2) + "  broken: [\n"));
    let line = gateway.wait_for("route.yaml:");
    let said = line.to_string();
    assert!(
        said.contains("the last good state of this file stays in use"),
        "{said}"
    );
    assert_eq!(
        who("/edit/1").0,
        "app",
        "the last good state of the broken file"
    );
    // Another file goes on being followed.
    let other = route_yaml(3).replace("name: edited", "name: other");
    fs::write(folder.path().join("other.yaml"), other).unwrap();
    gateway.wait_beyond(gateway.generation().min(2));
    assert_eq!(who("/edit/3").0, "app");
    let problems = gateway.status()["problems"]["files"].to_string();
    assert!(problems.contains("route.yaml"), "{problems}");
    replace(&route, &route_yaml(4));
    gateway.wait_for("problems are gone");
    assert_eq!(who("/edit/4").0, "app");
    assert_eq!(who("/edit/1").1, 404);
}

#[test]
fn a_broken_object_is_quarantined_and_says_why() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    let broken = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: broken\nspec:\n  parentRefs:\n  \
                  - name: gw\n  rules:\n  - matches:\n    - path: {type: PathPrefix, value: /broken}\n    backendRefs:\n    \
                  - {name: missing, port: 80}\n";
    let text = [
        &gateway_yaml(),
        service_yaml(&backend).as_str(),
        &route_yaml(1),
        broken,
    ]
    .join("---\n");
    fs::write(folder.path().join("all.yaml"), text).unwrap();
    let gateway = Start::default().serve(folder.path());
    let address = gateway.address(80);
    let get = |path: &str| {
        Call::get(address, &format!("http://any.example.com{path}"))
            .send_blocking()
            .unwrap()
    };
    assert_eq!(get("/broken").status.as_u16(), 500);
    assert_eq!(get("/stable").backend(), "app");
    let line = gateway.wait_for("HTTPRoute/default/broken").to_string();
    assert!(line.contains("missing"), "{line}");
    let status = gateway.status()["problems"]["conditions"].to_string();
    assert!(
        status.contains("HTTPRoute/default/broken") && status.contains("BackendNotFound"),
        "{status}"
    );
}

#[test]
fn a_config_map_volume_may_be_swapped_under_load() {
    let backend = Backend::start("app");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let version = |name: &str, edit: usize| {
        fs::create_dir(path.join(name)).unwrap();
        let text = [gateway_yaml(), service_yaml(&backend), route_yaml(edit)].join("---\n");
        fs::write(path.join(name).join("all.yaml"), text).unwrap();
    };
    version("..1", 1);
    std::os::unix::fs::symlink("..1", path.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/all.yaml", path.join("all.yaml")).unwrap();
    let gateway = Start::default().serve(path);
    let address = gateway.address(80);
    let load = Load::start(address, 100_000);
    for edit in 2..=10 {
        let before = gateway.generation();
        version(&format!("..{edit}"), edit);
        std::os::unix::fs::symlink(format!("..{edit}"), path.join("..next")).unwrap();
        fs::rename(path.join("..next"), path.join("..data")).unwrap();
        fs::remove_dir_all(path.join(format!("..{}", edit - 1))).unwrap();
        gateway.wait_beyond(before);
        let answer = Call::get(address, &format!("http://any.example.com/edit/{edit}"))
            .send_blocking()
            .unwrap();
        assert_eq!(answer.backend(), "app", "edit {edit}");
    }
    assert_eq!(load.end().1, Vec::<String>::new());
}

#[test]
fn an_example_as_shipped_loads_without_a_file_problem() {
    let gateway = Start::default().serve(&examples().join("canary-by-weight"));
    assert_eq!(gateway.status()["problems"]["files"], serde_json::json!([]));
}
