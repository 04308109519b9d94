//! What the rules of our Ingresses say, path by path.

mod sources;

use std::{collections::BTreeMap, sync::Arc};

use api::{Kind, ObjectKey, ObjectRef};
use k8s_openapi::{
    api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    annotations::{self, Destination, Joined, Settings},
    class::Rules,
    controllers,
    lookup::Lookup,
    native::RequestRedirect,
    note::{Note, Notes, Outcome},
    profile::Profile,
    service::ServiceRef,
    tls::{self, SourceTls},
    value,
    variable::Location,
};

pub(crate) use sources::{Change, Memo, is_ours};

/// An Ingress of ours, read.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) object: ObjectRef,
    pub(crate) ingress: Arc<Ingress>,
    /// The rules that its class has.
    pub(crate) profile: Profile,
    /// See [`Rules::native`].
    pub(crate) native: bool,
    pub(crate) settings: Settings,
    /// Paths of all rules, hosts in lower case; the empty host is every host.
    pub(crate) paths: Vec<Arc<Path>>,
    /// Hosts of all rules, without repetition, in order; then those that annotations add.
    pub(crate) hosts: Vec<Arc<str>>,
    /// What HTTPS of its hosts depends on, where it depends on anything.
    pub(crate) tls: Option<Box<SourceTls>>,
    /// `spec.defaultBackend`; none of a canary.
    pub(crate) default_backend: Option<Backend>,
    /// What was said while it was read, apart from other Ingresses.
    pub(crate) notes: Option<Arc<[Note]>>,
}

/// One path of one host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) host: Arc<str>,
    /// As written: what canaries are matched by.
    pub(crate) written: (String, String),
    pub(crate) kind: PathKind,
    pub(crate) backend: Backend,
    /// `spec.rules[0].http.paths[1]`.
    pub(crate) field: String,
}

/// How a path is matched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PathKind {
    Exact(String),
    /// Without trailing slash unless it is `/`.
    Prefix(String),
    /// Whatever begins with these characters, not only whole elements; no trailing slash.
    StringPrefix(String),
    /// An expression for the whole path.
    Regex(String),
}

impl PathKind {
    /// A prefix of elements.
    pub(crate) fn prefix(text: &str) -> Self {
        let bare = text.trim_end_matches('/');
        Self::Prefix(if bare.is_empty() { "/" } else { bare }.to_owned())
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Backend {
    Service(ServiceRef),
    /// Hosts outside of the cluster, and Services, by share.
    Outside(Vec<Destination>),
    /// Nowhere: clients are sent elsewhere.
    Redirect(Box<RequestRedirect>),
    /// Nowhere either: they are sent to a URL that is made for each request.
    Location(Box<Location>),
    /// It cannot be used, and why; requests are answered with the class' status for that.
    Broken(Arc<str>),
    /// Nowhere: what no rule of the host matches, in the Ingress that named it first, is not found.
    Unmatched,
}

impl Backend {
    /// The Services that it leads to.
    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceRef> {
        let (one, several) = match self {
            Self::Service(service) => (Some(service), &[][..]),
            Self::Outside(destinations) => (None, &destinations[..]),
            Self::Redirect(_) | Self::Location(_) | Self::Broken(_) | Self::Unmatched => {
                (None, &[][..])
            }
        };
        let several = several.iter().map(|destination| &destination.reference);
        one.into_iter().chain(several)
    }
}

impl Source {
    /// Age, then name: the order in which Ingresses win.
    pub(crate) fn order(&self) -> (bool, Option<&Time>, &ObjectKey) {
        let created = self.ingress.metadata.creation_timestamp.as_ref();
        (created.is_none(), created, &self.object.key)
    }
}

/// Reads one Ingress.
fn source(
    key: &ObjectKey,
    ingress: &Arc<Ingress>,
    (lookup, rules): (&Lookup<'_>, Rules),
) -> Source {
    let Rules { profile, native } = rules;
    let mut said = Notes::default();
    let notes = &mut said;
    let object = ObjectRef::new(Kind::Ingress, key.clone());
    let none = BTreeMap::new();
    let annotations = ingress.metadata.annotations.as_ref().unwrap_or(&none);
    controllers::note(&object, annotations, native, notes);
    let settings = annotations::read(&object, annotations, (lookup, profile), notes);
    let tls = tls::read(ingress, &object, (&settings, profile), lookup);
    let (mut paths, mut joined, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
    let rules = ingress
        .spec
        .iter()
        .flat_map(|spec| spec.rules.iter().flatten())
        .enumerate();
    for (at, rule) in rules {
        let field = format!("spec.rules[{at}]");
        let host: Arc<str> = match host(rule.host.as_deref().unwrap_or_default()) {
            Ok(host) => host.into(),
            Err(why) => {
                notes.add(
                    &object,
                    Some(&format!("{field}.host")),
                    Outcome::Dropped,
                    why,
                );
                continue;
            }
        };
        if !hosts.contains(&host) {
            hosts.push(Arc::clone(&host));
        }
        let has_paths = { rule.http.iter() }.any(|http| !http.paths.is_empty());
        if !has_paths && !profile.hosts_are_alone() {
            let message = "a rule without paths is passed over, as in Higress: requests for its host go where they would go without it";
            notes.add(&object, Some(&field), Outcome::NoEffect, message);
        }
        for (index, path) in rule.http.iter().flat_map(|http| &http.paths).enumerate() {
            let mut reading = Reading {
                object: &object,
                settings: &settings,
                profile,
                lookup,
                notes,
            };
            if settings.matching.nothing {
                continue;
            }
            match reading.path(&host, path, format!("{field}.http.paths[{index}]")) {
                Some((path, true)) => joined.push(Arc::new(path)),
                Some((path, false)) => paths.push(Arc::new(path)),
                None => {}
            }
        }
    }
    // One that is written as it is goes before one that has become the same.
    paths.extend(joined);
    let default_backend = default_backend(&object, ingress, &settings, (lookup, notes));
    Source {
        object,
        ingress: Arc::clone(ingress),
        profile,
        native,
        settings,
        paths,
        hosts,
        tls,
        default_backend,
        notes: said.into_lists().next(),
    }
}

/// The field of an Ingress's default backend.
pub(crate) const DEFAULT_BACKEND: &str = "spec.defaultBackend";

fn default_backend(
    object: &ObjectRef,
    ingress: &Ingress,
    settings: &Settings,
    (lookup, notes): (&Lookup<'_>, &mut Notes),
) -> Option<Backend> {
    let backend = ingress.spec.as_ref()?.default_backend.as_ref()?;
    let mut say = |message: String| {
        notes.add(object, Some(DEFAULT_BACKEND), Outcome::Dropped, message);
    };
    if settings.canary.is_some() {
        say("a canary has no default backend".to_owned());
        return None;
    }
    let found = resolve(backend, &object.key.namespace, lookup);
    Some(found.unwrap_or_else(|why| Backend::Broken(why.into())))
}

fn host(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() || lower == "*" {
        return Ok(String::new());
    }
    let bare = lower.strip_prefix("*.").unwrap_or(&lower);
    value::precise_hostname(bare).map_err(|_| {
        format!("{text:?} is not a host name, nor a wildcard such as *.example.com")
    })?;
    Ok(lower)
}

struct Reading<'a> {
    object: &'a ObjectRef,
    settings: &'a Settings,
    profile: Profile,
    lookup: &'a Lookup<'a>,
    notes: &'a mut Notes,
}

impl Reading<'_> {
    /// The path, and whether annotations have made another one of it.
    fn path(
        &mut self,
        host: &Arc<str>,
        path: &HTTPIngressPath,
        field: String,
    ) -> Option<(Path, bool)> {
        let text = path
            .path
            .as_deref()
            .filter(|text| !text.is_empty())
            .unwrap_or("/");
        let kind = match kind((self.settings, self.profile), text, &path.path_type) {
            Ok(kind) => kind,
            Err(why) => {
                self.notes
                    .add(self.object, Some(&field), Outcome::Dropped, why);
                return None;
            }
        };
        let (kind, joined) = match self.joined(kind) {
            Ok(joined) => joined,
            Err(why) => {
                let message = format!("the path {text:?} is not served: {why}");
                self.notes
                    .add(self.object, Some(&field), Outcome::Dropped, message);
                return None;
            }
        };
        if let PathKind::Regex(pattern) = &kind {
            check_regex(text, pattern, (self.object, &field), self.notes);
        }
        let backend = self.backend(&path.backend);
        let written = (text.to_owned(), path.path_type.clone());
        let path = Path {
            host: Arc::clone(host),
            written,
            kind,
            backend,
            field,
        };
        Some((path, joined))
    }

    /// The path together with what annotations ask of it, and whether that makes another of it.
    fn joined(&self, kind: PathKind) -> Result<(PathKind, bool), &'static str> {
        let Some(rule) = &self.settings.matching.path else {
            return Ok((kind, false));
        };
        match rule.join(&kind, self.settings) {
            Joined::Same => Ok((kind, false)),
            Joined::Other(kind) => Ok((kind, true)),
            Joined::Nothing => {
                Err("nothing is both below it and what match-pseudo-header-path asks for")
            }
            Joined::Unclear(why) => Err(why),
        }
    }

    fn backend(&self, backend: &IngressBackend) -> Backend {
        if is_bridge(backend) && !self.settings.destinations.is_empty() {
            return Backend::Outside(self.settings.destinations.clone());
        }
        resolve(backend, &self.object.key.namespace, self.lookup)
            .unwrap_or_else(|why| Backend::Broken(why.into()))
    }
}

/// How a path is matched: expressions where annotations ask for them; otherwise what the type says.
pub(crate) fn kind(
    (settings, profile): (&Settings, Profile),
    text: &str,
    path_type: &str,
) -> Result<PathKind, String> {
    let rewritten = settings
        .rewrite_target
        .as_deref()
        .is_some_and(|target| profile.rewrite_makes_regex(target, text, path_type));
    if settings.use_regex || settings.full_path_regex || rewritten {
        let pattern = profile.expression(text, settings.full_path_regex);
        return Ok(PathKind::Regex(pattern));
    }
    if !text.starts_with('/') || text.len() > 1024 {
        return Err(format!(
            "the path {text:?} does not begin with a slash, or is longer than 1,024 characters"
        ));
    }
    if text.contains("//")
        || text.split('/').any(|s| s == "." || s == "..")
        || text.contains(['#', '?'])
    {
        return Err(format!(
            "the path {text:?} holds //, a dot segment, a query or a fragment, which no request path does"
        ));
    }
    let text = value::escaped_path(text);
    match path_type {
        "Exact" => Ok(PathKind::Exact(text.into_owned())),
        "Prefix" => Ok(PathKind::prefix(&text)),
        "ImplementationSpecific" | "" => Ok(profile.untyped(&text)),
        other => Err(format!(
            "pathType {other:?} is not Exact, Prefix or ImplementationSpecific"
        )),
    }
}

/// Whether the gateway can compile the expression that a path has become; if not, it is noted.
pub(crate) fn check_regex(
    text: &str,
    pattern: &str,
    (object, field): (&ObjectRef, &str),
    notes: &mut Notes,
) -> bool {
    let Err(why) = value::path_regex(pattern) else {
        return true;
    };
    let message =
        format!("the path {text:?} is not a usable regular expression ({why}); it matches nothing");
    notes.add(object, Some(field), Outcome::Refused, message);
    false
}

/// Service and port number of a backend; a port's name is looked up in the Service.
pub(crate) fn resolve(
    backend: &IngressBackend,
    namespace: &str,
    lookup: &Lookup<'_>,
) -> Result<Backend, String> {
    let Some(service) = &backend.service else {
        return Err(
            "only Services can be backends, and a McpBridge with the annotation destination"
                .to_owned(),
        );
    };
    let name = &service.name;
    let to = |port: i32| match u16::try_from(port) {
        Ok(port @ 1..) => Ok(Backend::Service(ServiceRef {
            name: name.clone(),
            namespace: None,
            port,
        })),
        _ => Err(format!("{port} is not a port")),
    };
    let port = service.port.as_ref();
    if let Some(number) = port.and_then(|port| port.number) {
        return to(number);
    }
    let Some(wanted) = port.and_then(|port| port.name.as_deref()) else {
        return Err("the backend names no port".to_owned());
    };
    let object = lookup.service(&ObjectKey::new(namespace, name));
    let ports = object
        .and_then(|service| service.spec.as_ref())
        .and_then(|spec| spec.ports.as_deref());
    let found = ports
        .unwrap_or_default()
        .iter()
        .find(|port| port.name.as_deref() == Some(wanted));
    match found {
        Some(found) => to(found.port),
        None if object.is_none() => Err(format!(
            "Service {namespace}/{name} does not exist, so its port {wanted:?} cannot be found"
        )),
        None => Err(format!(
            "Service {namespace}/{name} has no port named {wanted:?}"
        )),
    }
}

/// Every backend of an Ingress.
pub(crate) fn backends(ingress: &Ingress) -> impl Iterator<Item = &IngressBackend> {
    let spec = ingress.spec.iter();
    spec.flat_map(|spec| {
        let rules = spec.rules.iter().flatten();
        let paths = rules.flat_map(|rule| rule.http.iter().flat_map(|http| &http.paths));
        paths.map(|path| &path.backend).chain(&spec.default_backend)
    })
}

/// Whether a backend is Higress' resource for what is no Service.
pub(crate) fn is_bridge(backend: &IngressBackend) -> bool {
    let resource = backend
        .resource
        .as_ref()
        .filter(|_| backend.service.is_none());
    resource.is_some_and(|resource| {
        resource.kind == "McpBridge"
            && resource.api_group.as_deref() == Some("networking.higress.io")
    })
}
