//! The real binary, on ports that the system chose, with real backends.

pub(crate) mod api_server;
mod cluster;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Condvar},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{
    call::{Answer, Call},
    echo::Backend,
};

use self::cluster::{Applied, Cluster};

/// Backends by the names of their EndpointSlices.
pub(crate) type Backends = BTreeMap<String, Backend>;

/// The longest that any step of the binary may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The folder of all examples.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .canonicalize()
        .unwrap()
}

/// Runs the binary to its end.
pub(crate) fn postern(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    // What the caller's shell says must not change what a test sees.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("OTEL_") || name.starts_with("POSTERN_"))
    {
        command.env_remove(name);
    }
    command
}

/// Lines of the log, and a way to wait for one.
#[derive(Default)]
struct Log {
    // A condition variable of the standard library goes with its mutex only.
    #[allow(clippy::disallowed_types, reason = "Condvar wants it")]
    lines: std::sync::Mutex<(Vec<Value>, bool)>,
    news: Condvar,
}

/// `postern run`, running.
pub(crate) struct Gateway {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    pub(crate) admin: SocketAddr,
    /// Where it is found, if not where it is bound.
    published: Option<IpAddr>,
}

/// How to start it.
#[derive(Default)]
pub(crate) struct Start<'a> {
    args: Vec<&'a str>,
    env: Vec<(&'a str, String)>,
}

impl<'a> Start<'a> {
    pub(crate) fn arg(mut self, arg: &'a str) -> Self {
        self.args.push(arg);
        self
    }

    pub(crate) fn env(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn serve(self, manifests: &Path) -> Gateway {
        let mut command = command();
        command.args([
            "run",
            "--bind",
            "127.0.0.1",
            "--port-map",
            "80=0",
            "--port-map",
            "443=0",
            "--admin",
            "127.0.0.1:0",
        ]);
        command
            .args(["--workers", "2", "--log-format", "json", "-f"])
            .arg(manifests)
            .args(self.args);
        if !command.get_args().any(|arg| arg == "--access-log") {
            command.args(["--access-log", "off"]);
        }
        command
            .envs(self.env)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || log.read(stderr)
        });
        let mut gateway = Gateway {
            child,
            log,
            reader: Some(reader),
            admin: SocketAddr::from(([0, 0, 0, 0], 0)),
            published: None,
        };
        gateway.admin = field(&gateway.wait_for("admin endpoint"), "address")
            .parse()
            .unwrap();
        gateway.wait_for("configuration is live");
        gateway
    }
}

impl Log {
    fn read(&self, stderr: impl BufRead) {
        for line in stderr.lines() {
            let Ok(line) = line else { break };
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            self.lines.lock().unwrap().0.push(value);
            self.news.notify_all();
        }
        self.lines.lock().unwrap().1 = true;
        self.news.notify_all();
    }

    fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let end = Instant::now() + DEADLINE;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(|line| wanted(line)) {
                return Some(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if lines.1 || left.is_zero() {
                return None;
            }
            lines = self.news.wait_timeout(lines, left).unwrap().0;
        }
    }
}

fn field(line: &Value, name: &str) -> String {
    match line.get(name).or_else(|| line.get("fields")?.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

impl Gateway {
    /// Waits for a line of the log whose message has this in it.
    pub(crate) fn wait_for(&self, message: &str) -> Value {
        let found = self
            .log
            .wait_for(|line| field(line, "message").contains(message));
        found.unwrap_or_else(|| panic!("no line with {message:?} in {:#?}", self.lines()))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().0.clone()
    }

    /// Waits until a change made since `generation` is live.
    pub(crate) fn wait_beyond(&self, generation: i64) {
        let found = self.log.wait_for(|line| {
            field(line, "message") == "configuration is live"
                && field(line, "generation")
                    .parse::<i64>()
                    .is_ok_and(|n| n > generation)
        });
        assert!(
            found.is_some(),
            "no generation after {generation}: {:#?}",
            self.lines()
        );
    }

    pub(crate) fn generation(&self) -> i64 {
        self.status()["generation"].as_i64().unwrap()
    }

    /// A page of the admin endpoint.
    pub(crate) fn page(&self, path: &str) -> Answer {
        Call::get(self.admin, &format!("http://{}{path}", self.admin))
            .send_blocking()
            .unwrap()
    }

    pub(crate) fn status(&self) -> Value {
        self.page("/status").json()
    }

    /// Where a listener's port is really bound.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        if let Some(published) = self.published {
            return SocketAddr::new(published, port);
        }
        let status = self.status();
        let address = status["addresses"][format!("*:{port}")].as_str();
        address
            .unwrap_or_else(|| panic!("port {port} is not bound: {status:#}"))
            .parse()
            .unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end, and gives the exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end: {:#?}", self.lines());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A copy of an example whose endpoints are backends of ours.
pub(crate) struct Example {
    pub(crate) folder: TempDir,
    pub(crate) backends: Backends,
}

impl Example {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, Backend::start)
    }

    /// With backends of a particular kind.
    pub(crate) fn with(name: &str, start: impl Fn(&str) -> Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut backends = BTreeMap::new();
        let example = examples().join(name);
        let folders = [example.clone(), example.join("local")];
        let entries = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|ending| ending == "yaml") {
                let text =
                    with_backends(&fs::read_to_string(&path).unwrap(), &mut backends, &start);
                fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
            }
        }
        assert!(!backends.is_empty(), "{name} has no backend");
        Self { folder, backends }
    }

    /// Adds a manifest, or replaces one.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Everything that `convert` makes of it, in a folder of its own.
    pub(crate) fn converted(&self) -> TempDir {
        let output = postern(&[
            "convert",
            "--all",
            "--report",
            "none",
            "-f",
            self.folder.path().to_str().unwrap(),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let yaml = text(&output.stdout);
        assert!(!yaml.contains("kind: Ingress\n"), "{yaml}");
        fs::write(folder.path().join("converted.yaml"), yaml).unwrap();
        folder
    }
}

/// Whether examples are served by Postern as it is installed in a cluster, where it translates Ingresses by itself.
pub(crate) fn in_cluster() -> bool {
    Cluster::of_environment().is_some()
}

/// Runs a check over an example as it stands and, but in a cluster, over its translation.
pub(crate) fn both(example: &Example, check: impl Fn(&Served<'_>)) {
    check(&Served::new(example.folder.path(), &example.backends));
    if !in_cluster() {
        check(&Served::new(example.converted().path(), &example.backends));
    }
}

/// Starts a backend for each EndpointSlice and has its document name the backend's port.
fn with_backends(text: &str, backends: &mut Backends, start: &impl Fn(&str) -> Backend) -> String {
    let documents = text.split("---\n").map(|document| {
        if !document.contains("kind: EndpointSlice") {
            return document.to_owned();
        }
        let line = |start: &str| {
            document
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(start))
                .unwrap()
        };
        let name = line("name: ").to_owned();
        let old = format!("port: {}", line("port: "));
        let backend = start(&name);
        let new = format!("port: {}", backend.address().port());
        let host = backend.address().ip().to_string();
        backends.insert(name, backend);
        document.replace(&old, &new).replace("127.0.0.1", &host)
    });
    documents.collect::<Vec<_>>().join("---\n")
}

/// A gateway with backends.
pub(crate) struct Served<'a> {
    pub(crate) gateway: Gateway,
    pub(crate) http: SocketAddr,
    pub(crate) backends: &'a Backends,
    /// In a cluster, the objects.
    _applied: Option<Applied>,
}

impl<'a> Served<'a> {
    pub(crate) fn new(manifests: &Path, backends: &'a Backends) -> Self {
        let (gateway, applied) = match Cluster::of_environment() {
            Some(cluster) => {
                let (gateway, applied) = cluster.serve(manifests);
                (gateway, Some(applied))
            }
            None => (Start::default().serve(manifests), None),
        };
        let http = gateway.address(80);
        Self {
            gateway,
            http,
            backends,
            _applied: applied,
        }
    }

    /// A request for an absolute URL.
    pub(crate) fn call(&self, method: &str, url: &str) -> Call {
        Call::new(self.http, method, url)
    }

    pub(crate) fn get(&self, url: &str) -> Answer {
        self.call("GET", url).send_blocking().unwrap()
    }

    /// Which backend answers a GET with this header, or which status the gateway answers itself.
    pub(crate) fn who(&self, url: &str, header: Option<(&str, &str)>) -> String {
        let mut call = self.call("GET", url);
        if let Some((name, value)) = header {
            call = call.header(name, value);
        }
        let answer = call.send_blocking().unwrap();
        match answer.backend() {
            "" => answer.status.as_u16().to_string(),
            backend => backend.to_owned(),
        }
    }

    pub(crate) fn hits(&self, backend: &str) -> usize {
        self.backends[backend].hits()
    }
}

/// A Secret of PEM texts.
pub(crate) fn secret(name: &str, entries: &[(&str, &str)]) -> String {
    let mut text =
        format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n");
    for (key, pem) in entries {
        text.push_str(&format!("  {key}: |\n"));
        for line in pem.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// A Service whose endpoints are these backends.
pub(crate) fn service(name: &str, backends: &[&Backend]) -> String {
    let endpoints: Vec<_> = backends
        .iter()
        .map(|backend| backend.address().to_string())
        .collect();
    let endpoints = endpoints.join(",");
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{postern.dev/endpoints: {endpoints:?}}}}}\n\
         spec: {{ports: [{{port: 80}}]}}\n---\n"
    )
}
