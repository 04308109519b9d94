//! What a large fleet of Ingresses costs: time and memory, from scratch and after one change.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::Context as _;
use api::{Kind, Object, ObjectKey, ObjectRef, Resources};
use converter::Expander;
use gateway_core::Translator;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// How often one change is made.
const CHANGES: usize = 50;

/// How large.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Fleet {
    /// Ingresses, of four annotations and two paths each; five share a host, one in ten is a canary.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) ingresses: usize,
}

/// The four annotations of an Ingress. Together they reach every kind of object that is generated.
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
        ("nginx.ingress.kubernetes.io/rewrite-target", "/$1"),
        (
            "nginx.ingress.kubernetes.io/upstream-vhost",
            "internal.example.com",
        ),
        ("nginx.ingress.kubernetes.io/load-balance", "least_conn"),
        ("nginx.ingress.kubernetes.io/cors-max-age", "600"),
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

const CANARY: [(&str, &str); 4] = [
    ("higress.io/canary", "true"),
    ("higress.io/canary-weight", "10"),
    ("higress.io/canary-by-header", "x-canary"),
    ("higress.io/canary-by-header-value", "on"),
];

/// All steps, as the gateway runs them.
#[derive(Default)]
struct Steps {
    expander: Expander,
    translator: Translator,
}

/// What the steps took.
#[derive(Default, Clone, Copy)]
struct Took {
    expand: Duration,
    translate: Duration,
}

impl Took {
    fn together(self) -> Duration {
        self.expand + self.translate
    }
}

impl Steps {
    /// Runs them. The result is dropped when the clock has stopped.
    fn run(&mut self, input: &Resources) -> (Took, gateway_core::Translation) {
        let begin = clock();
        let expansion = self.expander.expand(input, &converter::Options::default());
        let expand = clock().saturating_sub(begin);
        let begin = clock();
        let generated = &expansion.generated;
        let options = gateway_core::Options::default();
        let (made, _) = self.translator.translate_joined(input, generated, &options);
        let took = Took {
            expand,
            translate: clock().saturating_sub(begin),
        };
        (took, made)
    }
}

impl Fleet {
    /// Measures, and says what came out.
    pub(crate) fn run(&self) -> anyhow::Result<String> {
        let mut input = self.resources()?;
        let before = peak_memory();
        let mut steps = Steps::default();
        let (scratch, made) = steps.run(&input);
        let routes = made.ir.ports.values().flat_map(|port| &port.listeners);
        let routes: usize = routes
            .flat_map(|listener| &listener.hosts)
            .map(|host| host.routes.len())
            .sum();
        let clusters = made.ir.clusters.len();
        drop(made);
        let mut text = format!(
            "{} Ingresses, {} annotations: {routes} routes, {clusters} clusters\n",
            self.ingresses,
            self.ingresses * 4
        );
        line(&mut text, "from scratch", &[scratch]);
        let (unchanged, _) = steps.run(&input);
        line(&mut text, "nothing changed", &[unchanged]);
        let mut changes = Vec::new();
        for at in 0..CHANGES {
            let at = at * self.ingresses / CHANGES;
            let path = format!("/edited-{at}");
            input.insert(object(ingress(at, &path))?);
            changes.push(steps.run(&input).0);
        }
        line(&mut text, "one Ingress changed", &changes);
        let mut changes = Vec::new();
        for at in 0..CHANGES {
            let at = at * self.ingresses / CHANGES;
            input.insert(object(slice(at, 9))?);
            changes.push(steps.run(&input).0);
        }
        line(&mut text, "one EndpointSlice changed", &changes);
        let key = ObjectKey::new("fleet", "s0");
        input.remove(&ObjectRef::new(Kind::Service, key));
        line(&mut text, "one Service gone", &[steps.run(&input).0]);
        if let (Some(before), Some(after)) = (before, peak_memory()) {
            let _ = writeln!(
                text,
                "peak memory {after} MiB, {before} MiB of it the objects themselves"
            );
        }
        Ok(text)
    }

    fn resources(&self) -> anyhow::Result<Resources> {
        let mut resources = Resources::default();
        for at in 0..self.ingresses {
            resources.insert(object(ingress(at, &format!("/{at}")))?);
            resources.insert(object(service(at))?);
            resources.insert(object(slice(at, 3))?);
        }
        Ok(resources)
    }
}

fn line(text: &mut String, what: &str, all: &[Took]) {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|took| took.together());
    let (Some(median), Some(worst)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
        return;
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{what:<26} expand {:>8.2} ms  translate {:>8.2} ms  together {:>8.2} ms",
        ms(median.expand),
        ms(median.translate),
        ms(median.together()),
    );
    if sorted.len() > 1 {
        let _ = write!(
            text,
            "  (median of {}; worst {:.2} ms)",
            sorted.len(),
            ms(worst.together())
        );
    }
    text.push('\n');
}

/// The processor time that this process has used, which other work on the machine does not make longer.
fn clock() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// Peak resident memory of this process in MiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

fn object(value: Value) -> anyhow::Result<Object> {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    let group = text("apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group);
    let kind = Kind::find(group, text("kind")).with_context(|| format!("{value} is of no kind"))?;
    Ok(Object::from_json(kind, value)?)
}

fn ingress(at: usize, path: &str) -> Value {
    let canary = at % 10 == 9;
    let (annotations, base) = if canary {
        (&CANARY, at - 1)
    } else {
        (&ANNOTATIONS[at % ANNOTATIONS.len()], at)
    };
    let annotations: serde_json::Map<_, _> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    // A canary has the paths of its base.
    let first = if canary {
        format!("/{base}")
    } else {
        path.to_owned()
    };
    let paths = [first, format!("/{base}/more")].map(|path| {
        let backend = json!({ "service": { "name": format!("s{at}"), "port": { "number": 80 } } });
        json!({ "path": path, "pathType": "Prefix", "backend": backend })
    });
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "namespace": "fleet", "name": format!("i{at}"), "annotations": annotations },
        "spec": {
            "ingressClassName": "higress",
            "rules": [{ "host": format!("host-{}.example.com", base / 5), "http": { "paths": paths } }],
        },
    })
}

fn service(at: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": "fleet", "name": format!("s{at}") },
        "spec": { "ports": [{ "name": "web", "port": 80, "targetPort": 8080 }] },
    })
}

fn slice(at: usize, endpoints: usize) -> Value {
    let address = |n: usize| format!("10.{}.{}.{n}", at / 250 % 250, at % 250);
    let endpoints: Vec<_> = (1..=endpoints)
        .map(|n| json!({ "addresses": [address(n)], "conditions": { "ready": true } }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "fleet", "name": format!("s{at}-x"),
            "labels": { "kubernetes.io/service-name": format!("s{at}") },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "web", "port": 8080 }],
        "endpoints": endpoints,
    })
}

#[cfg(test)]
mod tests {
    use super::Fleet;

    #[test]
    fn a_small_fleet_is_measured() {
        let text = Fleet { ingresses: 20 }.run().unwrap();
        assert!(text.starts_with("20 Ingresses, 80 annotations: "), "{text}");
        assert!(text.contains("one Ingress changed"), "{text}");
    }
}
