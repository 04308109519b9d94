//! Several Ingresses, one host: who owns a path, and which canaries belong to it.

use std::{borrow::Cow, sync::Arc};

use api::ObjectKey;
use foldhash::{HashMap, HashMapExt as _, HashSet};

use crate::{
    annotations::{Canary, Matching, Settings},
    ingress::{Backend, DEFAULT_BACKEND, Path, PathKind, Source},
    note::{Notes, Outcome},
    tls::{Listening, Redirect},
};

/// One path of one host with everything that shares its requests.
#[derive(PartialEq)]
pub(crate) struct Owned {
    pub(crate) path: Arc<Path>,
    /// Oldest first.
    pub(crate) canaries: Vec<Attached>,
    /// It is for what no rule matches: made from `spec.defaultBackend`, or of the host alone.
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
            if let Some(texts) = &mut settings.texts {
                texts.stays();
            }
            settings.rewrite_target = None;
            settings.rewrite_path = None;
        }
        Some(Cow::Owned(settings))
    }

    /// Whether it is all that its Ingress has. ingress-nginx neither redirects nor rewrites there.
    pub(crate) fn is_catch_all(&self, source: &Source) -> bool {
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
    /// See [`Path::field`].
    pub(crate) field: String,
}

impl PartialEq for Attached {
    /// The canary is what its source says, and the conditions of the base that it belongs to.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.backend == other.backend
            && self.is_told_apart == other.is_told_apart
            && self.field == other.field
    }
}

/// The paths of one Ingress for one host.
pub(crate) struct HostGroup {
    pub(crate) source: Arc<Source>,
    pub(crate) host: Arc<str>,
    pub(crate) paths: Vec<Owned>,
    /// The ListenerSet with an HTTPS listener for the host alone.
    pub(crate) listener_set: Option<Arc<ObjectKey>>,
    /// An HTTPS listener for more hosts, where this one is served while it has none of its own.
    pub(crate) wider: Option<Arc<Listening>>,
    /// Whether plain HTTP is sent to https.
    pub(crate) https: Redirect,
    /// Whether it would be without an annotation.
    pub(crate) https_by_default: Redirect,
    /// These are the paths of challenges by HTTP, which are not sent to https as the others are.
    pub(crate) challenges: bool,
    /// This is what no rule of the host matches, and has no backend.
    pub(crate) unmatched: bool,
    /// The host's HTTPS listener asks clients for certificates.
    pub(crate) certificates: bool,
}

impl HostGroup {
    /// Served over plain HTTP alone, so far.
    pub(crate) fn new(source: &Arc<Source>, host: &Arc<str>, paths: Vec<Owned>) -> Self {
        Self {
            source: Arc::clone(source),
            host: Arc::clone(host),
            paths,
            listener_set: None,
            wider: None,
            https: Redirect::Never,
            https_by_default: Redirect::Never,
            challenges: false,
            unmatched: false,
            certificates: false,
        }
    }
}

impl PartialEq for HostGroup {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
            && self.host == other.host
            && self.paths == other.paths
            && self.listener_set == other.listener_set
            && self.wider == other.wider
            && self.https == other.https
            && self.https_by_default == other.https_by_default
            && self.challenges == other.challenges
            && self.unmatched == other.unmatched
            && self.certificates == other.certificates
    }
}

/// Groups by Ingress and host. Of two Ingresses with the same path of the same host and the same conditions the older
/// one has it.
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
                    if !matches!(
                        path.backend,
                        Backend::Redirect(_) | Backend::Location(_) | Backend::Unmatched
                    ) {
                        notes.add(&source.object, Some(&path.field), Outcome::Dropped, message);
                    }
                    continue;
                }
                taken.insert(slot, source);
                paths.push(Owned {
                    path: Arc::clone(path),
                    canaries: Vec::new(),
                    is_default: matches!(path.backend, Backend::Unmatched),
                });
            }
            let is_unmatched = |owned: &mut Owned| matches!(owned.path.backend, Backend::Unmatched);
            let unmatched: Vec<_> = paths.extract_if(.., is_unmatched).collect();
            if !paths.is_empty() {
                groups.push(HostGroup::new(source, host, paths));
            }
            if !unmatched.is_empty() {
                groups.push(HostGroup {
                    unmatched: true,
                    ..HostGroup::new(source, host, unmatched)
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

/// Gives each canary's paths to the base with the same host, path and path type in the same namespace. Of several bases
/// it is the one with the same conditions; a canary without any goes to the only one.
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
                field: path.field.clone(),
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

/// The canary without a header or cookie that the base has a condition on: HTTPRoute compares each header once, and to
/// drop the base's condition would take requests that are not its own.
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

/// Adds `spec.defaultBackend`: to each host of its Ingress that nobody has `/` of, and once for all hosts. Where hosts
/// are alone it is with their paths already, and one without rules is for all other hosts.
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
        let host = Arc::clone(&owned.path.host);
        let group = HostGroup::new(source, &host, vec![owned]);
        match places.get(&place(&group)) {
            Some(at) => groups[*at].paths.extend(group.paths),
            None => {
                places.insert(place(&group), groups.len());
                groups.push(group);
            }
        }
    }
}
