//! Which rule a request meets: listener by host, virtual host, then the first route in order of precedence.
//!
//! The IR brings each host's routes sorted. The router keeps that order and adds an index over it: exact paths and
//! prefixes are looked up instead of walked past, so a thousand routes cost what ten do. Nothing is allocated.

mod index;
mod matching;

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, Method};
use ir::{HostPattern, HostSettings, Port, Route, Rule, StrictTransport, VirtualHost};

use index::Index;
pub(crate) use matching::query_value;

/// Keys come from configuration; requests only look up, so a fixed fast hash cannot be made to collide by them.
type Table<V> = HashMap<Box<str>, V, foldhash::fast::FixedState>;

/// The listeners of one port, each with its hosts and routes. `T` is what a rule has become, for the user's ends.
#[derive(Debug)]
pub struct PortRouter<T> {
    listeners: Vec<ListenerRouter<T>>,
    by_host: Hosts,
}

/// One listener.
#[derive(Debug)]
pub struct ListenerRouter<T> {
    /// Its [`ir::ListenerKey`] as text, for logs.
    pub name: Arc<str>,
    /// Hosts it serves.
    pub hostname: HostPattern,
    hosts: Vec<Arc<Host<T>>>,
    by_host: Hosts,
    /// Whether one of the hosts is a wildcard that stands for one label.
    one_label: bool,
}

/// The routes of one host, in order of precedence, and an index over them.
#[derive(Debug)]
struct Host<T> {
    host: Arc<VirtualHost>,
    /// Parallel to the routes.
    payloads: Box<[T]>,
    index: Index,
    /// All of its rules have clients keep to https, in the same words as the first.
    strict: bool,
}

/// Hosts that were built before, by where their routes lie; they keep them, so that no address comes to mean another.
type Built<'a, T> = HashMap<*const VirtualHost, &'a Arc<Host<T>>, foldhash::fast::RandomState>;

/// What of a request takes part in matching.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// Canonical host: lower case, no port.
    pub host: &'a str,
    /// Canonical path.
    pub path: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
    /// The client asks over TLS.
    pub https: bool,
    /// Method.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// A route that was met.
#[derive(Debug)]
pub struct Found<'a, T> {
    /// What its rule has become.
    pub payload: &'a T,
    /// The route.
    pub route: &'a Route,
}

impl<T: Clone> PortRouter<T> {
    /// Builds the router of a port. `payload` is called once for each rule, however many routes share it.
    pub fn build(port: &Port, payload: &mut dyn FnMut(&Arc<Rule>) -> T) -> Self {
        Self::rebuild(port, None, &|_| false, payload)
    }

    /// [`Self::build`], where much is as it was: a virtual host that is the same [`Arc`] as in `before`, and all of
    /// whose payloads are to `keep`, is taken over.
    pub fn rebuild(
        port: &Port,
        before: Option<&Self>,
        keep: &dyn Fn(&T) -> bool,
        payload: &mut dyn FnMut(&Arc<Rule>) -> T,
    ) -> Self {
        let mut made: HashMap<*const Rule, T, foldhash::fast::RandomState> = HashMap::default();
        let mut payload = |rule: &Arc<Rule>| {
            made.entry(Arc::as_ptr(rule))
                .or_insert_with(|| payload(rule))
                .clone()
        };
        let built = before.map(Self::built).unwrap_or_default();
        let mut host = |host: &Arc<VirtualHost>| match built.get(&Arc::as_ptr(host)) {
            Some(known) if known.payloads.iter().all(keep) => Arc::clone(known),
            _ => Arc::new(Host::build(host, &mut payload)),
        };
        let listeners: Vec<_> = port
            .listeners
            .iter()
            .map(|listener| ListenerRouter {
                name: listener.key.to_string().into(),
                hostname: listener.hostname.clone(),
                hosts: listener.hosts.iter().map(&mut host).collect(),
                by_host: Hosts::build(listener.hosts.iter().map(|host| &host.host)),
                one_label: listener.hosts.iter().any(|host| host.settings.one_label),
            })
            .collect();
        Self {
            listeners,
            by_host: Hosts::build(port.listeners.iter().map(|listener| &listener.hostname)),
        }
    }
}

impl<T> Host<T> {
    fn build(host: &Arc<VirtualHost>, payload: &mut impl FnMut(&Arc<Rule>) -> T) -> Self {
        let routes = &host.routes;
        Self {
            host: Arc::clone(host),
            payloads: routes.iter().map(|route| payload(&route.rule)).collect(),
            index: Index::build(routes),
            strict: one_word(routes).is_some(),
        }
    }
}

impl<T> PortRouter<T> {
    fn built(&self) -> Built<'_, T> {
        let hosts = self.listeners.iter().flat_map(|listener| &listener.hosts);
        hosts.map(|host| (Arc::as_ptr(&host.host), host)).collect()
    }

    /// What the rules have become, each at least once.
    #[cfg(test)]
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &T> {
        let hosts = self.listeners.iter().flat_map(|listener| &listener.hosts);
        hosts.flat_map(|host| &host.payloads)
    }

    /// The most specific listener whose hostname covers `host`: a request's, or a TLS server name. One goes to the next
    /// wider listener, if there is one, where it would meet only wildcards that stand for fewer labels
    /// ([`HostSettings::one_label`]).
    #[must_use]
    pub fn listener_for(&self, host: &str) -> Option<usize> {
        let leaves = |at: &usize| self.listeners.get(*at).is_some_and(|l| l.leaves(host));
        let mut covering = self.by_host.widening(host);
        let first = covering.next()?;
        if !leaves(&first) {
            return Some(first);
        }
        covering.find(|at| !leaves(at)).or(Some(first))
    }

    /// The listener with this very hostname.
    #[must_use]
    pub fn listener_named(&self, hostname: &HostPattern) -> Option<usize> {
        self.by_host.of(hostname)
    }

    /// A listener by its place.
    #[must_use]
    pub fn listener(&self, at: usize) -> Option<&ListenerRouter<T>> {
        self.listeners.get(at)
    }

    /// The most specific host of a listener that covers `host`, and what holds there.
    #[must_use]
    pub fn host(&self, listener: usize, host: &str) -> Option<(usize, HostSettings)> {
        let listener = self.listeners.get(listener)?;
        let (at, found) = listener.covering(host).next()?;
        Some((at, found.host.settings))
    }

    /// What clients of a host are told of https where none of its routes matches: what all of them say.
    #[must_use]
    pub fn strict_transport(&self, (listener, host): (usize, usize)) -> Option<&StrictTransport> {
        let host = self.listeners.get(listener)?.hosts.get(host)?;
        let first = host.host.routes.first().filter(|_| host.strict)?;
        first.rule.strict_transport.as_deref()
    }

    /// The first route that matches, of a listener and the host that [`Self::host`] has found there. Wider hosts are
    /// asked only for routes that allow it ([`Route::host_fallthrough`]), and not at all where the host is alone.
    #[must_use]
    pub fn find<'a>(
        &'a self,
        (listener, host): (usize, usize),
        request: &RequestView<'_>,
    ) -> Option<Found<'a, T>> {
        let listener = self.listeners.get(listener)?;
        let own = listener.hosts.get(host)?;
        let found = own.find(request, |_| true);
        if found.is_some() || own.host.settings.isolated {
            return found;
        }
        let wider = listener.covering(request.host).skip(1);
        { wider }.find_map(|(_, host)| host.find(request, |route| route.host_fallthrough))
    }
}

/// What all of these routes say of https to their clients, where they agree.
fn one_word(routes: &[Route]) -> Option<&StrictTransport> {
    let mut words = routes
        .iter()
        .map(|route| route.rule.strict_transport.as_deref());
    let first = words.next()??;
    words.all(|word| word == Some(first)).then_some(first)
}

impl<T> ListenerRouter<T> {
    /// Whether all hosts of the listener take requests of connections that were made for another name, and there is
    /// one.
    #[must_use]
    pub fn takes_any_server_name(&self) -> bool {
        let mut hosts = self.hosts.iter();
        !self.hosts.is_empty() && hosts.all(|host| host.host.settings.any_server_name)
    }

    /// Whether `host` has more labels than all wildcards here that it ends in.
    fn leaves(&self, host: &str) -> bool {
        self.one_label && self.by_host.first(host).is_some() && self.covering(host).next().is_none()
    }

    /// The hosts that cover `host`, most specific first.
    fn covering<'a, 'h>(
        &'a self,
        host: &'h str,
    ) -> impl Iterator<Item = (usize, &'a Host<T>)> + use<'a, 'h, T> {
        let hosts = self.by_host.widening(host);
        let hosts = hosts.filter_map(|at| Some((at, &**self.hosts.get(at)?)));
        hosts.filter(move |(_, found)| !found.host.settings.one_label || found.host.covers(host))
    }
}

impl<T> Host<T> {
    fn find(
        &self,
        request: &RequestView<'_>,
        allowed: impl Fn(&Route) -> bool,
    ) -> Option<Found<'_, T>> {
        let routes = &*self.host.routes;
        let at = self.index.first(request.path, |at| {
            routes.get(at).is_some_and(|route| {
                allowed(route)
                    && route.https.is_none_or(|https| https == request.https)
                    && matching::matches(&route.matches, request)
            })
        })?;
        let (route, payload) = routes.get(at).zip(self.payloads.get(at))?;
        Some(Found { payload, route })
    }
}

/// Hostnames and where they lead.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    exact: Table<usize>,
    wildcard: Table<usize>,
    any: Option<usize>,
}

impl Hosts {
    pub(crate) fn build<'a>(patterns: impl ExactSizeIterator<Item = &'a HostPattern>) -> Self {
        let mut hosts = Self::default();
        // Nearly all are exact, and growing step by step would take twice as long.
        hosts.exact.reserve(patterns.len());
        for (at, pattern) in patterns.enumerate() {
            // Patterns are distinct; should they not be, the first one counts.
            match pattern {
                HostPattern::Exact(name) => {
                    hosts.exact.entry(name.clone()).or_insert(at);
                }
                HostPattern::Wildcard(suffix) => {
                    hosts.wildcard.entry(suffix.clone()).or_insert(at);
                }
                HostPattern::Any => hosts.any = hosts.any.or(Some(at)),
            }
        }
        hosts
    }

    /// Where this very pattern leads.
    fn of(&self, pattern: &HostPattern) -> Option<usize> {
        match pattern {
            HostPattern::Exact(name) => self.exact.get(name).copied(),
            HostPattern::Wildcard(suffix) => self.wildcard.get(suffix).copied(),
            HostPattern::Any => self.any,
        }
    }

    /// The most specific that covers `host`.
    pub(crate) fn first(&self, host: &str) -> Option<usize> {
        self.widening(host).next()
    }

    /// Everything that covers `host`, most specific first.
    fn widening<'a, 'h>(&'a self, host: &'h str) -> impl Iterator<Item = usize> + use<'a, 'h> {
        let suffixes = (!self.wildcard.is_empty())
            .then_some(host)
            .into_iter()
            .flat_map(|host| {
                host.match_indices('.')
                    .filter(|(at, _)| *at > 0)
                    .map(move |(at, _)| &host[at + 1..])
            });
        let exact = self.exact.get(host).copied();
        exact
            .into_iter()
            .chain(suffixes.filter_map(|suffix| self.wildcard.get(suffix).copied()))
            .chain(self.any)
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
