//! Several Ingresses, one host: who owns a path, which canaries belong to it, who brings the certificate.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use api::{ClientCertificate, ObjectKey, SecretRef};
use foldhash::{HashMap, HashMapExt as _, HashSet};

use crate::{
    annotations::{Canary, HttpsRedirect, Matching, Settings},
    ingress::{Backend, DEFAULT_BACKEND, Path, PathKind, Source},
    note::{Notes, Outcome},
};

/// One path of one host with everything that shares its requests.
#[derive(PartialEq)]
pub(crate) struct Owned {
    pub(crate) path: Arc<Path>,
    /// Oldest first.
    pub(crate) canaries: Vec<Attached>,
    /// Made from `spec.defaultBackend`.
    pub(crate) is_default: bool,
}

impl Owned {
    /// What the annotations of its Ingress say of it; `None` where they do not count.
    pub(crate) fn settings<'a>(&self, source: &'a Source) -> Option<Cow<'a, Settings>> {
        let settings = &source.settings;
        if !self.is_default {
            return Some(Cow::Borrowed(settings));
        }
        if !source.profile.default_backend_has_annotations() {
            return None;
        }
        // What a default backend answers is what nobody has a rule for, whatever it looks like.
        let mut settings = settings.clone();
        settings.matching = Matching::default();
        if self.is_catch_all(source) {
            settings.rule.redirect = None;
            settings.rewrite_target = None;
            settings.rewrite_path = None;
        }
        Some(Cow::Owned(settings))
    }

    /// Whether it is all that its Ingress has. ingress-nginx neither redirects nor rewrites there.
    fn is_catch_all(&self, source: &Source) -> bool {
        self.is_default && source.paths.is_empty()
    }
}

/// A canary's part in a path.
pub(crate) struct Attached {
    pub(crate) source: Arc<Source>,
    pub(crate) canary: Canary,
    pub(crate) backend: Backend,
    /// There are other bases at this place, which its conditions tell this one from.
    pub(crate) is_told_apart: bool,
}

impl PartialEq for Attached {
    /// The canary is what its source says, and the conditions of the base that it belongs to.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.backend == other.backend
            && self.is_told_apart == other.is_told_apart
    }
}

/// The paths of one Ingress for one host.
pub(crate) struct HostGroup {
    pub(crate) source: Arc<Source>,
    pub(crate) host: Arc<str>,
    pub(crate) paths: Vec<Owned>,
    /// The ListenerSet with the host's HTTPS listener.
    pub(crate) listener_set: Option<Arc<ObjectKey>>,
    /// Plain HTTP is sent to https.
    pub(crate) https: bool,
    /// The host's HTTPS listener asks clients for certificates.
    pub(crate) certificates: bool,
}

impl PartialEq for HostGroup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.host == other.host
            && self.paths == other.paths
            && self.listener_set == other.listener_set
            && self.https == other.https
            && self.certificates == other.certificates
    }
}

/// Whose certificate a host uses: the ListenerSet of an Ingress and Secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TlsOwner {
    pub(crate) ingress: ObjectKey,
    pub(crate) secret: String,
}

/// Groups by Ingress and host. Of two Ingresses with the same path of the same host and the same conditions the older one has
/// it.
pub(crate) fn groups(sources: &[Arc<Source>], notes: &mut Notes) -> Vec<HostGroup> {
    let count = sources.iter().map(|source| source.paths.len()).sum();
    let mut taken: HashMap<(&str, &PathKind, &Matching), &Source> = HashMap::with_capacity(count);
    let mut groups = Vec::with_capacity(sources.len());
    for source in sources
        .iter()
        .filter(|source| source.settings.canary.is_none())
    {
        for host in &source.hosts {
            let mut paths = Vec::new();
            for path in source.paths.iter().filter(|path| path.host == *host) {
                let slot = (&**host, &path.kind, &source.settings.matching);
                if let Some(owner) = taken.get(&slot) {
                    let owner = &owner.object;
                    let message =
                        format!("{owner} has the same path of the same host, and came first");
                    if !matches!(path.backend, Backend::Redirect(_)) {
                        notes.add(&source.object, Some(&path.field), Outcome::Dropped, message);
                    }
                    continue;
                }
                taken.insert(slot, source);
                paths.push(Owned {
                    path: Arc::clone(path),
                    canaries: Vec::new(),
                    is_default: false,
                });
            }
            if !paths.is_empty() {
                groups.push(HostGroup {
                    source: Arc::clone(source),
                    host: Arc::clone(host),
                    paths,
                    listener_set: None,
                    https: false,
                    certificates: false,
                });
            }
        }
    }
    attach(&mut groups, sources, notes);
    groups
}

/// What canaries are matched by: namespace, host, path and path type as written.
type Place<'a> = (&'a str, &'a str, &'a (String, String));

fn place<'a>(source: &'a Source, path: &'a Path) -> Place<'a> {
    (&source.object.key.namespace, &path.host, &path.written)
}

/// Gives each canary's paths to the base with the same host, path and path type in the same namespace. Of several bases it is
/// the one with the same conditions; a canary without any goes to the only one.
fn attach(groups: &mut [HostGroup], sources: &[Arc<Source>], notes: &mut Notes) {
    let canaries = || {
        let canaries = sources.iter().filter_map(|source| {
            let canary = source.settings.canary.as_ref()?;
            Some((source, canary))
        });
        canaries.flat_map(|(source, canary)| {
            let paths = source.paths.iter();
            paths.map(move |path| (source, canary, path))
        })
    };
    // Where the bases stand. Most paths have no canary, so only places that are asked for are kept.
    let mut bases: HashMap<Place<'_>, Vec<(usize, usize)>> = canaries()
        .map(|(source, _, path)| (place(source, path), Vec::new()))
        .collect();
    if bases.is_empty() {
        return;
    }
    for (at, group) in groups.iter().enumerate() {
        for (index, owned) in group.paths.iter().enumerate() {
            if let Some(bases) = bases.get_mut(&place(&group.source, &owned.path)) {
                bases.push((at, index));
            }
        }
    }
    let mut found = Vec::new();
    for (source, canary, path) in canaries() {
        let conditions = |(at, _): &(usize, usize)| &groups[*at].source.settings.matching;
        let own = &source.settings.matching;
        let same = bases.get(&place(source, path)).and_then(|bases| {
            let same = bases.iter().find(|base| conditions(base) == own);
            let only = match &**bases {
                [only] if *own == Matching::default() => Some(only),
                _ => None,
            };
            same.or(only)
        });
        if let Some(base) = same {
            let attached = Attached {
                source: Arc::clone(source),
                canary: without_clashes(canary, conditions(base), source, notes),
                backend: path.backend.clone(),
                is_told_apart: bases
                    .get(&place(source, path))
                    .is_some_and(|all| all.len() > 1),
            };
            found.push((*base, attached));
        } else {
            let message = "no other Ingress of the namespace has this host, path and path type (and match-* annotations); the canary is not served";
            notes.add(&source.object, Some(&path.field), Outcome::Dropped, message);
        }
    }
    for ((at, index), attached) in found {
        groups[at].paths[index].canaries.push(attached);
    }
}

/// The canary without a header or cookie that the base has a condition on: HTTPRoute compares each header once, and to drop
/// the base's condition would take requests that are not its own.
fn without_clashes(
    canary: &Canary,
    conditions: &Matching,
    source: &Source,
    notes: &mut Notes,
) -> Canary {
    let mut say = |header: &str, key: &str| {
        let message = format!(
            "the base has a condition on the header {header} already; the canary gets no requests by it"
        );
        notes.add(&source.object, canary.key(key), Outcome::Refused, message);
    };
    let mut canary = canary.clone();
    if let Some((header, _)) = &canary.header
        && conditions.headers.contains_key(header)
    {
        say(header, "/canary-by-header");
        canary.header = None;
    }
    if canary.cookie.is_some() && conditions.headers.contains_key("cookie") {
        say("cookie", "/canary-by-cookie");
        canary.cookie = None;
    }
    canary
}

/// Sends plain HTTP to https on hosts whose Ingresses, or the defaults of their class, ask for it.
pub(crate) fn redirect_to_https(
    groups: &mut [HostGroup],
    owners: &BTreeMap<Arc<str>, TlsOwner>,
    notes: &mut Notes,
) {
    // A host that is only there to be redirected goes to the other one at once.
    let leaves = |owned: &Owned| matches!(&owned.path.backend, Backend::Redirect(to) if to.hostname.is_some());
    for group in groups {
        let certificate = owners.contains_key(&group.host);
        let source = &group.source;
        let settings = &source.settings;
        if settings.matching.https == Some(true) && !certificate {
            let message = format!(
                "the scheme has to be https, and the host {:?} has no certificate",
                group.host
            );
            notes.add(&source.object, None, Outcome::Dropped, message);
        }
        let stays = |owned: &Owned| leaves(owned) || owned.is_catch_all(source);
        if settings.rule.redirect.is_some() || group.paths.iter().all(stays) {
            continue;
        }
        group.https = source
            .profile
            .redirects_to_https(settings.https, certificate);
        if group.https && settings.https == HttpsRedirect::default() {
            let message = "plain HTTP of hosts that have a certificate is answered with 308 to https, as class nginx does; ssl-redirect: \"false\" turns it off";
            notes.add(&source.object, Some("spec.tls"), Outcome::Exact, message);
        }
    }
}

/// Adds `spec.defaultBackend`: to each host of its Ingress that nobody has `/` of, and once for all hosts. Where hosts are alone
/// it is with their paths already, and one without rules is for all other hosts.
pub(crate) fn default_backends(
    groups: &mut Vec<HostGroup>,
    sources: &[Arc<Source>],
    notes: &mut Notes,
) {
    let root = PathKind::Prefix("/".to_owned());
    let mut rooted: HashSet<Arc<str>> = groups
        .iter()
        .filter(|group| group.paths.iter().any(|owned| owned.path.kind == root))
        .map(|group| Arc::clone(&group.host))
        .collect();
    let mut everywhere: Option<String> = rooted
        .contains("")
        .then(|| "another Ingress without host and with the path /".to_owned());
    let mut places = Places::default();
    for source in sources {
        let Some(backend) = &source.default_backend else {
            continue;
        };
        let rules = source.ingress.spec.as_ref();
        let rules = rules.and_then(|spec| spec.rules.as_ref());
        if source.profile.hosts_are_alone() && rules.is_some_and(|rules| !rules.is_empty()) {
            continue;
        }
        let owned = |host: &Arc<str>| Owned {
            path: Arc::new(Path {
                host: Arc::clone(host),
                written: ("/".to_owned(), "Prefix".to_owned()),
                kind: root.clone(),
                backend: backend.clone(),
                field: DEFAULT_BACKEND.to_owned(),
            }),
            canaries: Vec::new(),
            is_default: true,
        };
        for host in source.hosts.iter().filter(|host| !host.is_empty()) {
            if rooted.insert(Arc::clone(host)) {
                places.add(groups, source, owned(host));
            }
        }
        match &everywhere {
            Some(owner) => {
                let message = format!("for hosts of other Ingresses {owner} answers already");
                notes.add(
                    &source.object,
                    Some(DEFAULT_BACKEND),
                    Outcome::Approximated,
                    message,
                );
            }
            None => {
                everywhere = Some(source.object.to_string());
                places.add(groups, source, owned(&Arc::from("")));
            }
        }
    }
}

/// Where the group of an Ingress and host stands; looked for once anybody asks.
#[derive(Default)]
struct Places(Option<HashMap<(ObjectKey, Arc<str>), usize>>);

impl Places {
    fn add(&mut self, groups: &mut Vec<HostGroup>, source: &Arc<Source>, owned: Owned) {
        let place = |group: &HostGroup| (group.source.object.key.clone(), Arc::clone(&group.host));
        let places = self.0.get_or_insert_with(|| {
            let groups = groups.iter().enumerate();
            groups.map(|(at, group)| (place(group), at)).collect()
        });
        let group = HostGroup {
            source: Arc::clone(source),
            host: Arc::clone(&owned.path.host),
            paths: vec![owned],
            listener_set: None,
            https: false,
            certificates: false,
        };
        match places.get(&place(&group)) {
            Some(at) => groups[*at].paths.extend(group.paths),
            None => {
                places.insert(place(&group), groups.len());
                groups.push(group);
            }
        }
    }
}

/// Who brings the certificate of each host: the oldest Ingress that names one. Hosts are compared as written, without
/// wildcards, as Higress does.
pub(crate) fn tls_owners(
    sources: &[Arc<Source>],
    notes: &mut Notes,
) -> BTreeMap<Arc<str>, TlsOwner> {
    let mut owners: BTreeMap<Arc<str>, TlsOwner> = BTreeMap::new();
    for source in sources {
        let entries = source
            .ingress
            .spec
            .iter()
            .flat_map(|spec| spec.tls.iter().flatten());
        for (at, entry) in entries.enumerate() {
            let field = format!("spec.tls[{at}]");
            let mut say = |message: String| {
                notes.add(&source.object, Some(&field), Outcome::Dropped, message)
            };
            if source.settings.canary.is_some() {
                say("a canary brings no certificate".to_owned());
                continue;
            }
            let Some(secret) = entry.secret_name.as_deref().filter(|name| !name.is_empty()) else {
                say("no secretName: HTTPS is not served for these hosts".to_owned());
                continue;
            };
            let hosts = entry
                .hosts
                .clone()
                .filter(|hosts| !hosts.is_empty())
                .unwrap_or_else(|| vec![String::new()]);
            for host in hosts.iter().map(|host| host.to_ascii_lowercase()) {
                let host = if host == "*" { String::new() } else { host };
                let Some(host) = source.hosts.iter().find(|known| ***known == *host) else {
                    say(format!(
                        "no rule has the host {host:?}; HTTPS is not served for it"
                    ));
                    continue;
                };
                let owner = TlsOwner {
                    ingress: source.object.key.clone(),
                    secret: secret.to_owned(),
                };
                let first = owners
                    .entry(Arc::clone(host))
                    .or_insert_with(|| owner.clone());
                if *first != owner {
                    say(format!(
                        "Ingress {} brings the certificate of {host:?} already",
                        first.ingress
                    ));
                }
            }
        }
    }
    owners
}

/// What the HTTPS listener of a host asks of clients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientTls {
    pub(crate) tls: api::ClientTls,
    /// Whose annotations these are, as `Ingress/namespace/name`.
    pub(crate) origin: String,
}

impl ClientTls {
    /// Whether clients are asked for certificates.
    pub(crate) fn asks_clients(&self) -> bool {
        self.tls.client_certificate.is_some()
    }
}

/// Settings for HTTPS of each host that has a certificate: those of the oldest Ingress of the host that has any, all
/// together, as in Higress. Only certificates of clients are asked for as soon as any Ingress of the host says so.
pub(crate) fn client_tls(
    sources: &[Arc<Source>],
    owners: &BTreeMap<Arc<str>, TlsOwner>,
    notes: &mut Notes,
) -> BTreeMap<Arc<str>, ClientTls> {
    let mut found: BTreeMap<Arc<str>, ClientTls> = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| source.settings.canary.is_none())
    {
        let Some(settings) = &source.settings.downstream_tls else {
            continue;
        };
        for host in &source.hosts {
            let mut say = |message: String, but: Option<&str>| {
                let keys = settings.keys.iter().map(String::as_str);
                for key in keys.filter(|key| Some(*key) != but) {
                    notes.add(&source.object, Some(key), Outcome::Approximated, &*message);
                }
            };
            let Some(owner) = owners.get(host) else {
                let message = format!(
                    "settings for TLS have no effect on the host {host:?}, which has no certificate"
                );
                say(message, None);
                continue;
            };
            let new = !found.contains_key(host);
            let chosen = found.entry(Arc::clone(host)).or_insert_with(|| ClientTls {
                tls: settings.tls.clone(),
                origin: source.object.to_string(),
            });
            let asks = settings.auth_secret.is_some() && !chosen.asks_clients();
            if !new {
                let message = format!(
                    "{} brings the settings for TLS of the host {host:?}; these are not used",
                    chosen.origin
                );
                say(message, settings.auth_key().filter(|_| asks));
            }
            if let Some(secret) = settings.auth_secret.as_ref().filter(|_| asks) {
                let (name, wrong) = authority(secret.as_ref(), source, owner);
                chosen.tls.client_certificate = Some(ClientCertificate {
                    ca_certificate_ref: SecretRef {
                        name,
                        namespace: None,
                    },
                    optional: false,
                });
                if let Some(message) = wrong {
                    let key = settings.auth_key();
                    notes.add(&source.object, key, Outcome::Refused, message);
                }
            }
        }
    }
    found
}

/// A Secret that is nowhere: whoever refers to it is closed.
const NOWHERE: &str = "auth-tls-secret-refused";

/// The Secret that clients' certificates are looked at with. The seed wants the name of the certificate's Secret with
/// `-cacert` behind it; Higress takes that Secret itself, too.
fn authority(
    secret: Option<&(Option<String>, String)>,
    source: &Source,
    owner: &TlsOwner,
) -> (String, Option<String>) {
    let Some((namespace, name)) = secret else {
        return (NOWHERE.to_owned(), None);
    };
    let namespace = namespace.as_deref().unwrap_or(&source.object.key.namespace);
    let fits = *name == format!("{}-cacert", owner.secret) || *name == owner.secret;
    if fits && *namespace == *owner.ingress.namespace {
        return (name.clone(), None);
    }
    let message = format!(
        "auth-tls-secret {namespace}/{name} does not belong to the certificate {}/{}: it has to be {}-cacert there; every TLS handshake for its hosts is refused",
        owner.ingress.namespace, owner.secret, owner.secret
    );
    (NOWHERE.to_owned(), Some(message))
}
