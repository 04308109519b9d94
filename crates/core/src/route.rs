//! Routes of every kind: what one comes to, apart from where it attaches, and what is kept of that.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    Condition, GATEWAY_GROUP, Kind, ObjectKey, ObjectRef, Stored,
    condition::{reasons, types},
    gateway::{
        GrpcRoute, HttpRoute, TcpRoute, TlsRoute, UdpRoute,
        grpcroutes::GrpcRouteUseDefaultGateways, httproutes::HttpRouteUseDefaultGateways,
        tlsroutes::TlsRouteUseDefaultGateways,
    },
};
use ir::{HostPattern, HostSettings, Route};
use tracked::{Changes, Topic, View};

use crate::{
    attach::Place,
    backend::ClusterRef,
    changes::spare_listeners,
    fault::{self, Fault},
    grpc_route, http_route,
    identity::Variant,
    lookup::Lookup,
    precedence::{Age, Precedence},
    status::ParentRef,
    stream_route::{self, Stream},
};

/// A route as somebody wrote it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Declared<'a> {
    Http(&'a HttpRoute),
    Grpc(&'a GrpcRoute),
    Tls(&'a TlsRoute),
    Tcp(&'a TcpRoute),
    Udp(&'a UdpRoute),
}

/// parentRefs of one of the generated types, with the defaults of group and kind filled in.
macro_rules! parents {
    ($declared:expr) => {
        $declared
            .iter()
            .map(|parent| ParentRef {
                group: parent
                    .group
                    .clone()
                    .unwrap_or_else(|| GATEWAY_GROUP.to_owned()),
                kind: parent.kind.clone().unwrap_or_else(|| "Gateway".to_owned()),
                namespace: parent.namespace.clone(),
                name: parent.name.clone(),
                section_name: parent.section_name.clone(),
                port: parent.port,
            })
            .collect()
    };
}

impl<'a> Declared<'a> {
    fn find(view: &View<'a>, route: &ObjectRef) -> Option<Self> {
        let key = &route.key;
        match route.kind {
            Kind::HttpRoute => view.get(key).map(|route| Self::Http(route)),
            Kind::GrpcRoute => view.get(key).map(|route| Self::Grpc(route)),
            Kind::TlsRoute => view.get(key).map(|route| Self::Tls(route)),
            Kind::TcpRoute => view.get(key).map(|route| Self::Tcp(route)),
            Kind::UdpRoute => view.get(key).map(|route| Self::Udp(route)),
            _ => None,
        }
    }

    /// What it wants to attach to.
    pub(crate) fn parents(self) -> Vec<ParentRef> {
        match self {
            Self::Http(route) => parents!(route.spec.parent_refs.as_deref().unwrap_or_default()),
            Self::Grpc(route) => parents!(route.spec.parent_refs.as_deref().unwrap_or_default()),
            Self::Tls(route) => parents!(route.spec.parent_refs.as_deref().unwrap_or_default()),
            Self::Tcp(route) => parents!(route.spec.parent_refs),
            Self::Udp(route) => parents!(route.spec.parent_refs),
        }
    }

    fn translate(self, reference: &ObjectRef, lookup: &Lookup<'_>) -> TranslatedRoute {
        let translated = match self {
            Self::Http(route) => http_route::translate(reference, route, lookup),
            Self::Grpc(route) => grpc_route::translate(reference, route, lookup),
            Self::Tls(route) => stream_route::tls(reference, route, lookup),
            Self::Tcp(route) => stream_route::bare(reference, route, &route.spec.rules, lookup),
            Self::Udp(route) => stream_route::bare(reference, route, &route.spec.rules, lookup),
        };
        match self.asks_for_defaults() {
            true => translated.warned("useDefaultGateways is not supported and is not used"),
            false => translated,
        }
    }

    /// Whether it wants to attach to Gateways that it does not name.
    fn asks_for_defaults(self) -> bool {
        let of_stream = |scope: Option<&str>| scope.is_some_and(|scope| scope != "None");
        match self {
            Self::Http(route) => {
                route.spec.use_default_gateways == Some(HttpRouteUseDefaultGateways::All)
            }
            Self::Grpc(route) => {
                route.spec.use_default_gateways == Some(GrpcRouteUseDefaultGateways::All)
            }
            Self::Tls(route) => {
                route.spec.use_default_gateways == Some(TlsRouteUseDefaultGateways::All)
            }
            Self::Tcp(route) => of_stream(route.spec.use_default_gateways.as_deref()),
            Self::Udp(route) => of_stream(route.spec.use_default_gateways.as_deref()),
        }
    }
}

/// Every route that there is.
fn all(view: &View<'_>) -> BTreeSet<ObjectRef> {
    fn keys<T: Stored>(view: &View<'_>) -> impl Iterator<Item = ObjectRef> {
        let keys = view.all::<T>().keys();
        keys.map(|key| ObjectRef::new(T::KIND, key.clone()))
    }
    let http = keys::<HttpRoute>(view).chain(keys::<GrpcRoute>(view));
    let streams = keys::<TlsRoute>(view).chain(keys::<TcpRoute>(view));
    http.chain(streams).chain(keys::<UdpRoute>(view)).collect()
}

/// A match of a route, ready to be sorted into virtual hosts.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) precedence: Precedence,
    pub(crate) route: Route,
}

/// A listener of a ListenerSet that a route waits for.
#[derive(Debug, Clone)]
pub(crate) struct Awaited {
    pub(crate) set: ObjectKey,
    pub(crate) listener: Box<str>,
}

/// What a route comes to.
#[derive(Debug, Default)]
pub(crate) struct TranslatedRoute {
    pub(crate) entries: Vec<Entry>,
    /// For routes that look at no request: where everything goes.
    pub(crate) stream: Option<Stream>,
    pub(crate) clusters: Vec<Arc<ClusterRef>>,
    /// Hosts, sorted; `None`: those of the listener.
    pub(crate) hosts: Option<Vec<HostPattern>>,
    /// Of routes for requests, what holds for their hosts as a whole.
    pub(crate) host_settings: HostSettings,
    /// Of routes for requests, that which keeps others away: see [`Age::vouched`].
    pub(crate) age: Age,
    /// It attaches to nothing while this listener is not served.
    pub(crate) awaits: Option<Box<Awaited>>,
    /// Why no parent can accept it.
    pub(crate) rejected: Option<Fault>,
    pub(crate) partially_invalid: Option<Fault>,
    pub(crate) unresolved: Option<Fault>,
    /// Instead of that on listeners where what comes is in the open, if that makes a difference.
    pub(crate) unresolved_open: Option<Fault>,
    pub(crate) warnings: String,
    /// In addition to those on listeners where what comes is in the open.
    pub(crate) warnings_open: String,
}

impl TranslatedRoute {
    /// A route that no parent can accept.
    pub(crate) fn rejected(why: Fault) -> Self {
        Self {
            rejected: Some(why),
            ..Self::default()
        }
    }

    /// The hostname of the route's own for which it is served at a host that it has in common with a listener: the most
    /// specific one that covers the host. A route without hostnames is served for whatever the listener serves.
    ///
    /// It says so for every listener alike: unless the route names the host itself, the host is the listener's.
    pub(crate) fn own_host(&self, host: &HostPattern) -> &HostPattern {
        // Hosts are sorted, more specific ones first.
        let own = self.hosts.as_deref().unwrap_or_default();
        let mut covering = own.iter().filter(|own| own.covers(host));
        match own.binary_search(host) {
            Ok(at) => &own[at],
            Err(_) => covering.next().unwrap_or(&HostPattern::Any),
        }
    }

    /// The same, with another value that was not honoured.
    fn warned(mut self, warning: &str) -> Self {
        self.warnings = joined([warning, &*self.warnings].into_iter());
        self
    }

    /// Whether nothing in the route itself keeps it from being accepted.
    pub(crate) const fn acceptable(&self) -> bool {
        self.rejected.is_none()
    }

    /// Conditions for a parent to which the route does or does not attach; if it does, with what is to be said of that.
    /// `open`: what comes by it is in the open here.
    pub(crate) fn conditions(
        &self,
        attached: Result<&[String], &Fault>,
        open: bool,
    ) -> Vec<Condition> {
        let accepted = match (attached, &self.rejected) {
            (Err(fault), _) | (Ok(_), Some(fault)) => fault.fails(types::ACCEPTED),
            (Ok(here), None) => {
                let here = here.iter().map(String::as_str);
                let of_open = if open { &*self.warnings_open } else { "" };
                let warnings = joined(here.chain([&*self.warnings, of_open]));
                Condition::holds(types::ACCEPTED, reasons::ACCEPTED, warnings)
            }
        };
        let instead = self.unresolved_open.as_ref().filter(|_| open);
        let resolved = match instead.or(self.unresolved.as_ref()) {
            Some(fault) => fault.fails(types::RESOLVED_REFS),
            None => Condition::ok(types::RESOLVED_REFS),
        };
        let partial = self.partially_invalid.as_ref().map(|fault| {
            Condition::holds(
                types::PARTIALLY_INVALID,
                fault.reason,
                fault.message.clone(),
            )
        });
        [accepted, resolved].into_iter().chain(partial).collect()
    }
}

/// Those that are not empty. One alone may be as long as it is.
fn joined<'a>(warnings: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = warnings.filter(|text| !text.is_empty()).collect();
    match all[..] {
        [one] => one.to_owned(),
        _ => fault::join(all.into_iter()),
    }
}

/// What came of routes, for as long as they and all that was read for them stay the same.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    known: tracked::Memo<ObjectRef, Known>,
}

#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Services that it leads to, or would, each with the port.
    services: Box<[(ObjectKey, u16)]>,
    pub(crate) outcome: Arc<TranslatedRoute>,
    /// Where it attaches, for as long as listeners stay the same; without any parent of ours, nowhere.
    pub(crate) place: Option<Place>,
    /// What it comes to instead where it attaches to Gateways with an identity.
    pub(crate) variants: Vec<Variant>,
}

impl Known {
    /// Services that it leads to, or would, each with the port.
    pub(crate) fn services(&self) -> impl Iterator<Item = (&ObjectKey, u16)> {
        self.services.iter().map(|(service, port)| (service, *port))
    }
}

/// Which routes are not what they were, or not where they were.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Listeners have changed, so all of them.
    All,
    /// These, each with what it was.
    Some(Vec<(ObjectRef, Option<Known>)>),
}

impl Memo {
    /// Brings what is known up to date. `place` says where a route attaches, and what it is there; it is given what the
    /// same route was before.
    pub(crate) fn update(
        &mut self,
        lookup: &Lookup<'_>,
        changes: &Changes,
        place: impl Fn(
            (&ObjectRef, Declared<'_>),
            &TranslatedRoute,
            &[Variant],
        ) -> (Option<Place>, Vec<Variant>),
    ) -> Moved {
        let view = lookup.view();
        let stale = self.stale(view, changes);
        let listeners_stay = spare_listeners(changes);
        let mut moved = Vec::with_capacity(stale.len());
        for key in stale {
            let before = self.translate(&key, lookup);
            if listeners_stay
                && let Some(route) = Declared::find(view, &key)
                && let Some(known) = self.known.get_mut(&key)
            {
                (known.place, known.variants) = place((&key, route), &known.outcome, &[]);
            }
            moved.push((key, before));
        }
        if listeners_stay {
            return Moved::Some(moved);
        }
        for (key, known) in self.known.iter_mut() {
            if let Some(route) = Declared::find(view, key) {
                (known.place, known.variants) =
                    place((key, route), &known.outcome, &known.variants);
            }
        }
        Moved::All
    }

    /// Translates a route anew, or lets it go. Gives what it was. It has no place yet.
    fn translate(&mut self, key: &ObjectRef, lookup: &Lookup<'_>) -> Option<Known> {
        if Declared::find(lookup.view(), key).is_none() {
            return self.known.forget(key);
        }
        self.known.keep(key.clone(), lookup.view(), |view| {
            lookup.take_services();
            let translated = Declared::find(view, key).map(|route| route.translate(key, lookup));
            Known {
                outcome: Arc::new(translated.unwrap_or_default()),
                services: lookup.take_services(),
                place: None,
                variants: Vec::new(),
            }
        })
    }

    fn stale(&self, view: &View<'_>, changes: &Changes) -> BTreeSet<ObjectRef> {
        let Changes::Some(changed) = changes else {
            return all(view);
        };
        let mut stale = self.known.stale(changes, view);
        let own = changed.iter().map(|change| &change.reference);
        let own = own.filter(|reference| Kind::ROUTES.contains(&reference.kind));
        stale.extend(own.cloned());
        stale
    }

    /// Has a route find its place anew.
    pub(crate) fn replace(
        &mut self,
        key: &ObjectRef,
        lookup: &Lookup<'_>,
        place: impl FnOnce((&ObjectRef, Declared<'_>), &Known) -> Option<Place>,
    ) {
        let route = Declared::find(lookup.view(), key);
        if let (Some(route), Some(known)) = (route, self.known.get_mut(key)) {
            known.place = place((key, route), known);
        }
    }

    /// A route that was translated.
    pub(crate) fn get(&self, key: &ObjectRef) -> Option<&Known> {
        self.known.get(key)
    }

    /// Routes that lead to a Service, or would.
    pub(crate) fn users_of(&self, service: &ObjectKey) -> impl Iterator<Item = &Known> {
        let service = ObjectRef::new(Kind::Service, service.clone());
        let topic = Topic::Policies(Kind::BackendPolicy, service);
        let routes = self.known.readers(&topic).iter();
        routes.filter_map(|route| self.known.get(route))
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ObjectRef, &Known)> {
        self.known.iter()
    }
}
