//! Which listener, route, rule and backend a request would meet, and what would become of it. Asks the data plane's own
//! decision.

pub(crate) mod looped;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request::Parts, uri::PathAndQuery};
use ipnet::IpNet;
use ir::{
    Action, Cluster, ClusterKey, Ir, Listener, Port, Protocol, RequestMatch, Rule, SocketKey,
    StreamHost, Target, VirtualHost,
};
use proxy::{Explained, Explainer, Outcome, Peer, Question};
use serde::Serialize;

/// More near misses than this help nobody.
const NEAR_MISSES: usize = 10;

/// A request that is only thought of.
#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    https: bool,
    port: u16,
    uri: Uri,
    headers: HeaderMap,
    client: IpAddr,
    trusted: Vec<IpNet>,
}

impl Request {
    /// Reads method, URL and headers. A URL without scheme is plain HTTP.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn new(
        method: &str,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        (client, trusted): (IpAddr, &[IpNet]),
    ) -> Result<Self, String> {
        let method = method
            .to_uppercase()
            .parse()
            .map_err(|_| format!("{method:?} is not a method such as GET"))?;
        let wrong = || format!("{url:?} is not a URL such as http://example.com/path");
        let absolute = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let uri: Uri = absolute.parse().map_err(|_| wrong())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let mut map: HeaderMap = headers.iter().cloned().collect();
        // As a client sends it: the host in `Host`, which -H may replace, and only the path in the request line.
        if let (Some(authority), false) = (uri.authority(), map.contains_key(http::header::HOST)) {
            map.insert(
                http::header::HOST,
                authority.as_str().parse().map_err(|_| wrong())?,
            );
        }
        let target = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self {
            method,
            https,
            port,
            uri: target.into(),
            headers: map,
            client,
            trusted: trusted.to_vec(),
        })
    }

    fn head(&self) -> Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = self.method.clone();
        head.uri = self.uri.clone();
        head.headers = self.headers.clone();
        head
    }
}

/// What a request would meet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// Host as every step sees it.
    pub(crate) host: String,
    /// Path as every step sees it.
    pub(crate) path: String,
    /// The port that takes the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<String>,
    /// Its [`ir::ListenerKey`], and its hostname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listener: Option<(String, String)>,
    /// The route, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<RouteMet>,
    /// What has to be asked before the results hold, which only traffic can be: `listener_external_auth`,
    /// `rate`, `concurrency`, `external_auth`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<&'static str>,
    /// What traffic gets: one for each backend, where the rule has several.
    pub(crate) results: Vec<End>,
    /// Why the request meets no route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Routes that match the path and ask for more than the request has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) near: Vec<NearMiss>,
}

/// The route that a request would meet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteMet {
    /// What the request had to look like, in words.
    pub(crate) matched: String,
    /// The rule, phase by phase.
    pub(crate) rule: Arc<Rule>,
    /// The clusters it may be sent to.
    pub(crate) clusters: BTreeMap<String, Arc<Cluster>>,
    /// Endpoints of theirs that are listeners of the gateway itself, and are not asked.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) loops: BTreeSet<SocketAddr>,
}

/// What a request comes to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct End {
    /// How many requests of a full round come to this; absent where all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<String>,
    /// The gateway's own answer as `STATUS REASON`, or what the backend sees as `METHOD HOST/PATH`.
    pub(crate) text: String,
    /// A backend is asked.
    pub(crate) forwarded: bool,
    /// Fields of the answer, or those that the backend sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<String>,
}

/// A route that nearly matched.
#[derive(Debug, Serialize)]
pub(crate) struct NearMiss {
    pub(crate) route: String,
    pub(crate) matched: String,
}

/// Asks the data plane. `listeners` are addresses that are known to be its own, beside those that the IR shows.
pub(crate) fn explain(
    ir: &Arc<Ir>,
    request: &Request,
    listeners: &BTreeSet<SocketAddr>,
) -> Explanation {
    let mut told = Explanation {
        host: String::new(),
        path: String::new(),
        port: None,
        listener: None,
        route: None,
        conditions: Vec::new(),
        results: Vec::new(),
        reason: None,
        near: Vec::new(),
    };
    if let Err(reason) = follow((ir, listeners), request, &mut told) {
        told.reason = Some(reason);
    }
    told
}

fn follow(
    (ir, listeners): (&Arc<Ir>, &BTreeSet<SocketAddr>),
    request: &Request,
    told: &mut Explanation,
) -> Result<(), String> {
    let (key, port) = port(ir, request)?;
    told.port = Some(key.to_string());
    let explained = Explainer::new(Arc::clone(ir)).ask(Question {
        port: *key,
        peer: Peer::new(request.client, request.https, &request.trusted),
        trusted: &request.trusted,
        head: request.head(),
    });
    let Explained {
        target,
        listener,
        route,
        conditions,
        outcomes,
    } = explained;
    told.conditions = conditions;
    let loops = |cluster: &Cluster| looped::endpoints(ir, listeners, cluster);
    told.results = results(outcomes, |cluster| {
        let cluster = ir.clusters.get(cluster);
        cluster.is_some_and(|of| !of.endpoints.is_empty() && loops(of).len() == of.endpoints.len())
    });
    let Some((host, path)) = target else {
        return Err("host or path can be read in more than one way".to_owned());
    };
    (told.host, told.path) = (host, path);
    let Some(listener) = listener.and_then(|at| port.listeners.get(at)) else {
        return Err(no_listener(port, *key, &told.host));
    };
    told.listener = Some((listener.key.to_string(), listener.hostname.to_string()));
    if let Some(hosts) = &listener.streams {
        told.results.clear();
        return Err(passed_on(hosts, &told.host));
    }
    let Some(route) = route else {
        told.near = near(listener, &told.host, &told.path);
        return Err(no_route(listener, &told.host));
    };
    let clusters = clusters(ir, &route.rule);
    told.route = Some(RouteMet {
        matched: words(&route.matches),
        loops: clusters
            .values()
            .flat_map(|cluster| loops(cluster))
            .collect(),
        clusters,
        rule: route.rule,
    });
    Ok(())
}

fn no_listener(port: &Port, key: SocketKey, host: &str) -> String {
    let mut listeners = port.listeners.iter();
    if listeners.any(|listener| listener.hostname.matches(host)) {
        return "it is refused before a listener is asked".to_owned();
    }
    let names = port.listeners.iter();
    let names: Vec<_> = names
        .map(|listener| listener.hostname.to_string())
        .collect();
    format!(
        "no listener of port {} serves this host; they serve {}",
        key.port,
        names.join(", ")
    )
}

/// The ends of a request in words. `round` tells of a backend whether all of it is the gateway itself.
fn results(outcomes: Vec<(u64, Outcome)>, round: impl Fn(&ClusterKey) -> bool) -> Vec<End> {
    let total: u64 = outcomes.iter().map(|(weight, _)| weight).sum();
    let several = outcomes.len() > 1;
    let end = |outcome: Outcome| match &outcome {
        Outcome::Forwarded { cluster, .. } if round(cluster) => End {
            share: None,
            text: "503 backend_loop".to_owned(),
            forwarded: false,
            headers: Vec::new(),
        },
        _ => result(outcome),
    };
    outcomes
        .into_iter()
        .map(|(weight, outcome)| End {
            share: several.then(|| format!("{weight} of {total}")),
            ..end(outcome)
        })
        .collect()
}

fn result(outcome: Outcome) -> End {
    let lines = |headers: &HeaderMap| {
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        headers.iter().map(line).collect()
    };
    match outcome {
        Outcome::Answered {
            status,
            reason,
            headers,
        } => End {
            share: None,
            text: format!("{} {reason}", status.as_u16()),
            forwarded: false,
            headers: lines(&headers),
        },
        Outcome::Forwarded {
            method,
            host,
            target,
            headers,
            ..
        } => End {
            share: None,
            text: format!(
                "the backend sees {method} {}{target}",
                String::from_utf8_lossy(host.as_bytes())
            ),
            forwarded: true,
            headers: lines(&headers),
        },
    }
}

/// The port that the URL leads to; one bound to every address comes first.
fn port<'a>(ir: &'a Ir, request: &Request) -> Result<(&'a SocketKey, &'a Port), String> {
    let found = ir.ports.iter().find(|(key, _)| key.port == request.port);
    let Some((key, port)) = found else {
        let known: Vec<_> = ir.ports.keys().map(ToString::to_string).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        return Err(format!(
            "no connection: nothing listens on port {}; ports are: {known}",
            request.port
        ));
    };
    let spoken = match port.protocol {
        Protocol::Http if request.https => Some("plain HTTP"),
        Protocol::Https | Protocol::Tls if !request.https => Some("TLS"),
        // Whatever is sent there is passed on.
        _ => None,
    };
    if let Some(spoken) = spoken {
        return Err(format!(
            "no connection: port {} speaks {spoken}",
            request.port
        ));
    }
    Ok((key, port))
}

/// Where a listener passes on what it does not look into.
fn passed_on(hosts: &[Arc<StreamHost>], host: &str) -> String {
    match hosts.iter().find(|candidate| candidate.host.matches(host)) {
        Some(found) => format!(
            "no request is looked at: the connection is passed on to the backends of {}",
            found.rule.route
        ),
        None => "the connection is closed: no route of the listener has this host".to_owned(),
    }
}

/// Hosts of a listener that are asked for `host`, most specific first.
fn hosts<'a>(listener: &'a Listener, host: &'a str) -> impl Iterator<Item = &'a VirtualHost> {
    let all = listener.hosts.iter().map(AsRef::as_ref);
    let mut alone = false;
    all.filter(move |candidate: &&VirtualHost| candidate.covers(host))
        .take_while(move |candidate| {
            let asked = !alone;
            alone |= candidate.settings.isolated;
            asked
        })
}

fn no_route(listener: &Listener, host: &str) -> String {
    match hosts(listener, host).next() {
        Some(found) => format!(
            "no route of host {} matches, of {}",
            found.host,
            found.routes.len()
        ),
        None => {
            let known: Vec<_> = listener
                .hosts
                .iter()
                .take(NEAR_MISSES)
                .map(|host| host.host.to_string())
                .collect();
            format!(
                "no route has this host; there are routes for {}",
                known.join(", ")
            )
        }
    }
}

fn near(listener: &Listener, host: &str, path: &str) -> Vec<NearMiss> {
    let routes = hosts(listener, host).flat_map(|host| &host.routes);
    let missed = routes.filter(|route| route.matches.path.matches(path));
    missed
        .take(NEAR_MISSES)
        .map(|route| NearMiss {
            route: route.rule.route.to_string(),
            matched: words(&route.matches),
        })
        .collect()
}

/// A match as a person would say it.
fn words(matches: &RequestMatch) -> String {
    use ir::{PathMatch, ValueMatch};
    let value = |value: &ValueMatch| match value {
        ValueMatch::Exact(text) => format!("= {text}"),
        ValueMatch::Regex(pattern) => format!("~ {}", pattern.as_str()),
    };
    let mut words = vec![match &matches.path {
        PathMatch::Exact(path) => format!("path = {path}"),
        PathMatch::Prefix(prefix) => format!(
            "path below {}",
            if prefix.is_empty() { "/" } else { prefix }
        ),
        PathMatch::ExactAnyCase(path) => format!("path = {path} in any case"),
        PathMatch::PrefixAnyCase(prefix) => format!("path below {prefix} in any case"),
        PathMatch::Regex(pattern) => format!("path ~ {}", pattern.as_str()),
    }];
    words.extend(
        matches
            .method
            .iter()
            .map(|method| format!("method = {method}")),
    );
    words.extend(
        matches
            .headers
            .iter()
            .map(|header| format!("header {} {}", header.name, value(&header.value))),
    );
    words.extend(
        matches
            .query
            .iter()
            .map(|query| format!("query {} {}", query.name, value(&query.value))),
    );
    words.join(", ")
}

fn clusters(ir: &Ir, rule: &Rule) -> BTreeMap<String, Arc<Cluster>> {
    let Action::Forward(forward) = &rule.action else {
        return BTreeMap::new();
    };
    let keys = forward
        .backends
        .iter()
        .filter_map(|backend| match &backend.target {
            Target::Cluster(key) => Some(key),
            Target::Invalid(_) => None,
        });
    let standing_by = forward.fallback.iter().flat_map(|f| &f.clusters);
    keys.chain(standing_by)
        .filter_map(|key| Some((key.to_string(), Arc::clone(ir.clusters.get(key)?))))
        .collect()
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
