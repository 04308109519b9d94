//! What policies cost a request: the same gateway, the same load, a bare route and one with policies by turns.
//!
//! Generator and backend are threads of this process, so that nothing else need be installed. They cost more than the
//! gateway does, which is why its processor time is compared and not how many requests there are.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

/// Connections of the load; as many requests are in flight.
const CONNECTIONS: usize = 32;
/// How long the gateway may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The annotations whose cost is asked for: rate limit, CORS, header control, least requests.
const POLICIES: &[(&str, &str)] = &[
    ("route-limit-rps", "1000000"),
    ("enable-cors", "true"),
    ("cors-allow-origin", "https://example.com"),
    ("request-header-control-update", "x-team payments"),
    ("response-header-control-add", "x-served-by postern"),
    ("load-balance", "least_conn"),
];

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Policies {
    /// The gateway: a release build.
    #[arg(long, value_name = "PATH", default_value = crate::command::RELEASE_BUILD)]
    pub(crate) binary: PathBuf,
    /// How often each route has its turn; the median counts.
    #[arg(long, value_name = "N", default_value = "5", value_parser = crate::command::positive::<usize>)]
    pub(crate) rounds: usize,
    /// How long a turn is.
    #[arg(long, value_name = "N", default_value = "3", value_parser = crate::command::positive::<u64>)]
    pub(crate) seconds: u64,
}

impl Policies {
    /// Measures with one worker and with two, and says what came out.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        ensure!(
            self.rounds > 0 && self.seconds > 0,
            "rounds and seconds have to be at least 1"
        );
        let mut text = String::new();
        for workers in [1, 2] {
            let gateway = Gateway::start(&self.binary, workers)?;
            let (mut bare, mut policies) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                bare.push(gateway.turn("bare.test", self.seconds)?);
                policies.push(gateway.turn("policies.test", self.seconds)?);
            }
            let cost = [&bare, &policies].map(|turns| median(turns.iter().map(|turn| turn.cost)));
            let rate = [&bare, &policies].map(|turns| median(turns.iter().map(|turn| turn.rate)));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{workers} worker(s)  bare route {:>6.2} us/request {:>6.0} requests/s  \
                 with policies {:>6.2} us/request {:>6.0} requests/s  ratio of cost {:.3}",
                cost[0],
                rate[0],
                cost[1],
                rate[1],
                cost[1] / cost[0]
            );
        }
        let _ = writeln!(
            text,
            "median of {} turns of {} s each, no errors",
            self.rounds, self.seconds
        );
        Ok(text)
    }
}

/// What one turn has shown.
struct Turn {
    /// Microseconds of the gateway's processor time for each request.
    cost: f64,
    /// Requests in a second.
    rate: f64,
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A gateway that runs, with its backends. Ends with the value.
struct Gateway {
    process: Child,
    address: SocketAddr,
    /// The manifests; removed at the end.
    folder: PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself, which the turn has said then.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Gateway {
    fn start(binary: &Path, workers: usize) -> anyhow::Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("postern-bench-{}-{workers}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(folder.join("all.yaml"), manifests([backend()?, backend()?]))?;
        // The port is free a moment from now, too, unless somebody takes it just then; the gateway says so.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new(binary)
            .args([
                "run",
                "--bind",
                "127.0.0.1",
                "--admin",
                "off",
                "--access-log",
                "off",
            ])
            .args(["--log-level", "warn", "--workers", &workers.to_string()])
            .args(["--port-map", &format!("80={}", address.port()), "-f"])
            .arg(&folder)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {}; cargo build --release -p postern makes it",
                    binary.display()
                )
            })?;
        let mut gateway = Self {
            process,
            address,
            folder,
        };
        let begin = Instant::now();
        // Ports are open once they have routes.
        while TcpStream::connect(address).is_err() {
            if let Some(status) = gateway.process.try_wait()? {
                bail!("the gateway ended: {status}");
            }
            ensure!(
                begin.elapsed() < START,
                "the gateway does not listen on {address}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    /// Asks for a host for so many seconds.
    fn turn(&self, host: &str, seconds: u64) -> anyhow::Result<Turn> {
        let request =
            format!("GET /bench HTTP/1.1\r\nhost: {host}\r\norigin: https://example.com\r\n\r\n");
        let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let used = thread::scope(|scope| -> anyhow::Result<Duration> {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|_| scope.spawn(|| client(self.address, request.as_bytes(), &over, &done)))
                .collect();
            // Connections are made, memory is warm.
            thread::sleep(Duration::from_millis(300));
            let (before, count) = (self.processor_time()?, done.load(Relaxed));
            thread::sleep(Duration::from_secs(seconds));
            let (after, now) = (self.processor_time()?, done.load(Relaxed));
            over.store(true, Relaxed);
            for client in clients {
                client
                    .join()
                    .map_err(|_| anyhow::anyhow!("a client panicked"))??;
            }
            done.store(now - count, Relaxed);
            Ok(after.saturating_sub(before))
        })?;
        let count = done.load(Relaxed);
        ensure!(count > 0, "no request was answered");
        Ok(Turn {
            cost: used.as_secs_f64() * 1e6 / count as f64,
            rate: count as f64 / seconds as f64,
        })
    }

    /// What all threads have used.
    fn processor_time(&self) -> anyhow::Result<Duration> {
        let tasks = format!("/proc/{}/task", self.process.id());
        let mut sum = 0;
        for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let used: u64 = text.split_whitespace().next().unwrap_or_default().parse()?;
            sum += used;
        }
        Ok(Duration::from_nanos(sum))
    }
}

/// One connection, one request after another, until it is over. Anything but 200 is an error.
fn client(
    address: SocketAddr,
    request: &[u8],
    over: &AtomicBool,
    done: &AtomicU64,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let mut answer = Vec::with_capacity(1024);
    while !over.load(Relaxed) {
        stream.write_all(request)?;
        answer.clear();
        while !answer.ends_with(BODY) {
            let mut part = [0; 1024];
            let read = stream.read(&mut part)?;
            ensure!(read > 0, "the gateway closed a connection");
            answer.extend_from_slice(&part[..read]);
        }
        let good = answer.starts_with(b"HTTP/1.1 200 ");
        ensure!(good, "the answer was {}", String::from_utf8_lossy(&answer));
        done.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// What every answer ends with.
const BODY: &[u8] = b"bench-is-over";

/// Answers everything the same, until the process ends.
fn backend() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    let answer: Arc<[u8]> = [head.as_bytes(), BODY].concat().into();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            // A connection that fails is the gateway's to notice.
            thread::spawn(move || drop(serve(stream, &answer)));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(1024);
    loop {
        let mut part = [0; 1024];
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&part[..read]);
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(answer)?;
            request.clear();
        }
    }
}

/// Two Ingresses of one Service with two endpoints.
fn manifests(backends: [SocketAddr; 2]) -> String {
    let [one, two] = backends;
    let mut text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: app\n  annotations:\n    postern.dev/endpoints: '{one},{two}'\n\
         spec:\n  ports:\n  - port: 80\n"
    );
    for (name, annotations) in [("bare", &[][..]), ("policies", POLICIES)] {
        let _ = write!(
            text,
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  annotations:\n    \
             kubernetes.io/ingress.class: higress\n"
        );
        for (key, value) in annotations {
            let _ = writeln!(text, "    higress.io/{key}: '{value}'");
        }
        let _ = write!(
            text,
            "spec:\n  rules:\n  - host: {name}.test\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        \
             backend: {{service: {{name: app, port: {{number: 80}}}}}}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use converter::Outcome;

    use super::{backend, client, manifests};

    #[test]
    fn every_policy_is_honoured_as_written() {
        let backends = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        let read = api::yaml::read(&manifests(backends));
        assert_eq!(read.errors, []);
        let mut resources = api::Resources::default();
        for (object, _) in read.objects {
            resources.insert(object);
        }
        let expansion = converter::expand(&resources, &converter::Options::default());
        let notes: Vec<_> = expansion.notes.iter().collect();
        assert!(
            notes.iter().all(|note| note.outcome == Outcome::Exact),
            "{notes:?}"
        );
        assert_eq!(expansion.generated.http_routes.len(), 2);
        assert_eq!(expansion.generated.route_policies.len(), 1);
        assert_eq!(expansion.generated.backend_policies.len(), 1);
    }

    #[test]
    fn load_and_backend_understand_each_other() {
        use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
        let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        let address = backend().unwrap();
        std::thread::scope(|scope| {
            let client = scope.spawn(|| client(address, b"GET / HTTP/1.1\r\n\r\n", &over, &done));
            while done.load(Relaxed) < 3 && !client.is_finished() {
                std::thread::yield_now();
            }
            over.store(true, Relaxed);
            client.join().unwrap().unwrap();
        });
        assert!(done.load(Relaxed) >= 3);
    }
}
