//! A running data plane for tests: an IR built by hand, real sockets, real backends.

use std::{
    net::{SocketAddr, TcpStream},
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use ir::{
    Action, AnswerHeaders, Backend, BackendTimeouts, Balance, BasicAuth, Certificate,
    ClientAddresses, ClientAuth, Cluster, ClusterKey, Composed, ConcurrencyLimit, Cors, Endpoint,
    ExternalAuth, Forward, ForwardedFields, HeaderMods, HostPattern, Ir, Listener, ListenerKey,
    Mirror, OwnStatuses, PathMatch, Port, Protocol, RateLimit, Redacted, RequestMatch, RequestStep,
    Rewrite, Route, Rule, RuleKey, SocketKey, StrictTransport, Target, Timeouts, TlsTermination,
    TlsVersions, Underscores, Upstream, VirtualHost,
};
use proxy::{Config, Proxy, Telemetry};
use testkit::certs::{Ca, Issued};

pub(crate) const HTTP: SocketKey = SocketKey {
    address: None,
    port: 80,
};
pub(crate) const HTTPS: SocketKey = SocketKey {
    address: None,
    port: 443,
};

/// A data plane on loopback, with ports that the system chose.
pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Proxy {
    start_with(change, &Telemetry::default())
}

pub(crate) fn start_with(change: impl FnOnce(&mut Config), telemetry: &Telemetry) -> Proxy {
    let mut config = Config {
        bind: [127, 0, 0, 1].into(),
        port_map: [(80, 0), (443, 0)].into(),
        workers: 2,
        ..Config::default()
    };
    change(&mut config);
    Proxy::start(config, telemetry).unwrap()
}

pub(crate) fn serve(proxy: &Proxy, ir: Ir) {
    let swapped = proxy.swap(Arc::new(ir));
    assert!(
        swapped.bind_errors.is_empty() && swapped.tls_errors.is_empty(),
        "{swapped:?}"
    );
}

pub(crate) fn http(proxy: &Proxy) -> SocketAddr {
    proxy.addresses()[&HTTP]
}

pub(crate) fn https(proxy: &Proxy) -> SocketAddr {
    proxy.addresses()[&HTTPS]
}

/// An IR in the making: routes of one listener on port 80, for every host.
#[derive(Default, Clone)]
pub(crate) struct Config1 {
    pub(crate) routes: Vec<Route>,
    pub(crate) clusters: Vec<Cluster>,
}

pub(crate) fn forward(cluster: &str) -> Forward {
    Forward {
        backends: vec![Backend {
            weight: NonZeroU32::MIN,
            target: Target::Cluster(ClusterKey(cluster.into())),
            request: vec![],
            response: vec![],
            url: None,
        }],
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
        fallback: None,
    }
}

/// One thing that a rule does beside its action.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Addresses(ClientAddresses),
    MaxBody(u64),
    Rate(RateLimit),
    Concurrency(ConcurrencyLimit),
    BasicAuth(Arc<BasicAuth>),
    ExternalAuth(Arc<ExternalAuth>),
    Cors(Cors),
    Forwarded(ForwardedFields),
    Statuses(OwnStatuses),
    StrictTransport(StrictTransport),
    Request(HeaderMods),
    Rewrite(Rewrite),
    Mirror(Mirror),
    Response(HeaderMods),
    /// With values that are made for each request.
    Composed(Composed),
    Answers(AnswerHeaders),
}

/// Puts it where it belongs.
pub(crate) fn add(rule: &mut Rule, phase: Phase) {
    let gates = &mut rule.gates;
    match phase {
        Phase::Addresses(addresses) => gates.addresses = Some(addresses),
        Phase::MaxBody(limit) => gates.max_body = NonZeroU64::new(limit),
        Phase::Rate(limit) => gates.rates.push(limit),
        Phase::Concurrency(limit) => gates.concurrency = Some(limit),
        Phase::BasicAuth(auth) => gates.basic_auth = Some(auth),
        Phase::ExternalAuth(auth) => gates.external_auths.push(auth),
        Phase::Cors(cors) => rule.cors = Some(cors),
        Phase::Forwarded(fields) => rule.forwarded = fields,
        Phase::Statuses(statuses) => rule.statuses = statuses,
        Phase::StrictTransport(strict) => rule.strict_transport = Some(Box::new(strict)),
        Phase::Request(mods) => rule.request.push(RequestStep::Headers(mods)),
        Phase::Rewrite(rewrite) => rule.request.push(RequestStep::Rewrite(rewrite)),
        Phase::Mirror(mirror) => rule.mirrors.push(mirror),
        Phase::Response(mods) => rule.response.push(mods),
        Phase::Composed(step) => rule.request.push(RequestStep::Composed(Box::new(step))),
        Phase::Answers(headers) => rule.answer_headers = Box::new([headers]),
    }
}

pub(crate) fn route(path: &str, phases: Vec<Phase>, action: Action) -> Route {
    let key = RuleKey(format!("HTTPRoute/test/test/{path}").into());
    let mut rule = Rule::new(key, "HTTPRoute/test/test".into(), action);
    for phase in phases {
        add(&mut rule, phase);
    }
    Route {
        matches: RequestMatch {
            path: PathMatch::prefix(path),
            method: None,
            headers: vec![],
            query: vec![],
        },
        host_fallthrough: false,
        https: None,
        rule: Arc::new(rule),
    }
}

pub(crate) fn cluster(name: &str, addresses: &[SocketAddr]) -> Cluster {
    Cluster {
        key: ClusterKey(name.into()),
        service: None,
        endpoints: addresses
            .iter()
            .map(|address| Endpoint::Address(*address))
            .collect(),
        upstream: Upstream::Http1,
        tls: None,
        balance: Balance::RoundRobin,
        timeouts: BackendTimeouts::default(),
    }
}

/// Everything to one backend.
pub(crate) fn simple(address: SocketAddr) -> Config1 {
    Config1 {
        routes: vec![route("/", vec![], Action::Forward(forward("a")))],
        clusters: vec![cluster("a", &[address])],
    }
}

impl Config1 {
    pub(crate) fn ir(&self) -> Ir {
        self.listeners(vec![("*", None)])
    }

    /// One port: 443 if any listener has a certificate, else 80. Listeners have to come most specific first.
    pub(crate) fn listeners(&self, listeners: Vec<(&str, Option<&Issued>)>) -> Ir {
        let tls = listeners
            .iter()
            .any(|(_, certificate)| certificate.is_some());
        let mut routes = self.routes.clone();
        routes.sort_by_key(|route| match &route.matches.path {
            PathMatch::Prefix(path) | PathMatch::PrefixAnyCase(path) => usize::MAX - path.len(),
            PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) | PathMatch::Regex(_) => 0,
        });
        let listeners = listeners.into_iter().map(|(name, issued)| {
            Arc::new(Listener {
                key: ListenerKey::of_gateway("test", "test", name),
                others: vec![],
                hostname: HostPattern::parse(name).unwrap(),
                tls: issued.map(|issued| TlsTermination {
                    certificates: vec![certificate(name, issued)],
                    versions: TlsVersions::All,
                    ciphers: None,
                    clients: ClientAuth::None,
                }),
                hosts: vec![Arc::new(VirtualHost {
                    host: HostPattern::Any,
                    settings: ir::HostSettings::default(),
                    routes: routes.clone(),
                })],
                streams: None,
                underscores: Underscores::Allow,
                paths: ir::Paths::default(),
                admission: ir::Admission::Open,
            })
        });
        let port = Port {
            protocol: if tls { Protocol::Https } else { Protocol::Http },
            advertised: None,
            listeners: listeners.collect(),
        };
        Ir {
            ports: [(if tls { HTTPS } else { HTTP }, port)].into(),
            datagrams: [].into(),
            clusters: self
                .clusters
                .iter()
                .map(|c| (c.key.clone(), Arc::new(c.clone())))
                .collect(),
        }
    }
}

pub(crate) fn certificate(name: &str, issued: &Issued) -> Arc<Certificate> {
    Arc::new(Certificate {
        source: format!("Secret/test/{name}").into(),
        names: vec![name.into()],
        chain: issued.cert_pem.as_str().into(),
        key: Redacted::new(issued.key_pem.as_str().into()),
    })
}

/// A connection to `a.com` that has not shaken hands yet.
pub(crate) fn secured(
    proxy: &Proxy,
    ca: &Ca,
    protocol: &str,
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    let client = Arc::new(ca.client_config(&[protocol]));
    let name = rustls::pki_types::ServerName::try_from("a.com").unwrap();
    let connection = rustls::ClientConnection::new(client, name).unwrap();
    let stream = TcpStream::connect(https(proxy)).unwrap();
    let patience = Some(Duration::from_secs(5));
    stream.set_read_timeout(patience).unwrap();
    rustls::StreamOwned::new(connection, stream)
}
