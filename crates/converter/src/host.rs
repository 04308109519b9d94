//! What the Ingresses of a host say about it together: further names, where its root leads, whether its paths are
//! expressions.
//!
//! [`Facts`] are gathered from all Ingresses. Each Ingress is then told what concerns it, and settled: that is a
//! function of the Ingress and of what it was told, so it is kept for as long as both stay the same.

mod rest;

use std::sync::Arc;

use api::ObjectKey;
use foldhash::{HashMap, HashSet};

use crate::{
    annotations::{HostSettings, Matching},
    ingress::{self, Backend, Path, PathKind, Source},
    native::{self, RequestRedirect},
    neighbours::www,
    note::{Notes, Outcome},
};

/// Ingresses as they were settled.
#[derive(Default)]
pub(crate) struct Memo {
    known: HashMap<ObjectKey, Settled>,
}

struct Settled {
    read: Arc<Source>,
    told: Vec<Told>,
    source: Arc<Source>,
}

impl Memo {
    /// Settles what the rules of single Ingresses could not know. An Ingress that is told nothing stays the same.
    pub(crate) fn settle(
        &mut self,
        sources: Vec<Arc<Source>>,
        notes: &mut Notes,
    ) -> Vec<Arc<Source>> {
        let concerned = |source: &Arc<Source>| {
            source.profile.regex_is_host_wide()
                || source.profile.adds_slash()
                || source.settings.host != HostSettings::default()
        };
        if !sources.iter().any(concerned) {
            for source in &sources {
                self.forget(&source.object.key);
            }
            return sources;
        }
        let facts = Facts::of(&sources, notes);
        let settle = |read: Arc<Source>| {
            let told = facts.tell(&read);
            let key = read.object.key.clone();
            let known = self.known.remove(&key);
            if told.is_empty() {
                return read;
            }
            let known = known.filter(|known| Arc::ptr_eq(&known.read, &read) && known.told == told);
            let settled = known.unwrap_or_else(|| Settled {
                source: Arc::new(apply(&read, &told)),
                read,
                told,
            });
            let source = Arc::clone(&settled.source);
            self.known.insert(key, settled);
            source
        };
        sources.into_iter().map(settle).collect()
    }

    /// An Ingress is gone, or is told nothing any more.
    pub(crate) fn forget(&mut self, key: &ObjectKey) {
        self.known.remove(key);
    }
}

/// What one Ingress is told about one of its hosts.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    host: Arc<str>,
    /// Further names.
    aliases: Vec<Arc<str>>,
    /// Its `app-root` holds.
    app_root: bool,
    /// The host that it redirects here.
    redirected: Option<Arc<str>>,
    /// The Ingress that makes expressions of every path.
    regex: Option<ObjectKey>,
    /// Places of its paths that end in a slash, where nobody has the same without.
    slashes: Vec<usize>,
    /// Its default backend has what no rule of the host matches.
    default_backend: bool,
    /// What no rule of the host matches is not found, behind what its annotations ask for.
    unmatched: bool,
}

/// What is known about hosts.
#[derive(Debug, Default)]
struct Facts {
    hosts: HashMap<Arc<str>, HostFacts>,
    /// Which host an alias is of.
    alias_of: HashMap<String, Arc<str>>,
}

/// What is known about one host.
#[derive(Debug, Default)]
struct HostFacts {
    /// A rule without conditions is for exactly `/`.
    exact_root: bool,
    /// Further names.
    aliases: Vec<Arc<str>>,
    /// Whose `app-root` holds.
    app_root: Option<ObjectKey>,
    /// The host that is redirected here, and whose annotation says so.
    redirected: Option<(Arc<str>, ObjectKey)>,
    /// The oldest Ingress that makes expressions of every path, where that is host-wide.
    regex: Option<ObjectKey>,
    /// Paths as they are written, where a slash may be missing.
    written: HashSet<String>,
    /// The oldest Ingress that names it, of those whose hosts are alone.
    alone: Option<ObjectKey>,
    /// A rule is for whatever begins with `/`.
    root: bool,
    /// A rule has a path.
    paths: bool,
}

impl Facts {
    /// Gathers facts from all Ingresses, oldest first. What an annotation cannot have is noted.
    fn of(sources: &[Arc<Source>], notes: &mut Notes) -> Self {
        let mut facts = Self::default();
        let is_base = |source: &&Arc<Source>| source.settings.canary.is_none();
        for source in sources.iter().filter(is_base) {
            if source.profile.hosts_are_alone() {
                for host in &source.hosts {
                    let host = facts.hosts.entry(Arc::clone(host)).or_default();
                    host.alone.get_or_insert_with(|| source.object.key.clone());
                }
            }
            for path in &source.paths {
                let host = facts.hosts.entry(Arc::clone(&path.host)).or_default();
                host.exact_root |= source.settings.matching == Matching::default()
                    && matches!(&path.kind, PathKind::Exact(text) if text == "/");
                host.paths = true;
                host.root |= source.settings.matching == Matching::default()
                    && path.written.0 == "/"
                    && !matches!(path.kind, PathKind::Exact(_));
                if source.profile.adds_slash() {
                    host.written.insert(path.written.0.clone());
                }
                if source.profile.regex_is_host_wide() && matches!(path.kind, PathKind::Regex(_)) {
                    host.regex.get_or_insert_with(|| source.object.key.clone());
                }
            }
        }
        for source in sources.iter().filter(is_base) {
            facts.aliases(source, notes);
            facts.www(source, notes);
        }
        for source in sources.iter().rev().filter(is_base) {
            facts.app_root(source, notes);
        }
        for source in sources.iter().filter(is_base) {
            facts.hosts_alone(source, notes);
        }
        facts
    }

    /// What concerns an Ingress, host by host.
    fn tell(&self, source: &Source) -> Vec<Told> {
        if source.settings.matching.nothing {
            return Vec::new();
        }
        let key = &source.object.key;
        let is_base = source.settings.canary.is_none();
        let told = source.hosts.iter().filter_map(|host| {
            let facts = self.hosts.get(host)?;
            let regex = facts.regex.as_ref();
            let regex = regex.filter(|_| source.profile.regex_is_host_wide());
            let redirected = facts.redirected.as_ref();
            let told = Told {
                host: Arc::clone(host),
                aliases: facts.aliases.clone(),
                app_root: is_base && !facts.exact_root && facts.app_root.as_ref() == Some(key),
                redirected: redirected
                    .filter(|(_, owner)| is_base && owner == key)
                    .map(|(other, _)| Arc::clone(other)),
                regex: regex.cloned(),
                slashes: if is_base && source.profile.adds_slash() && regex.is_none() {
                    slashes(source, host, facts)
                } else {
                    Vec::new()
                },
                default_backend: is_base && !facts.root && facts.has_default(host, source),
                unmatched: is_base && facts.is_left_to(host, source),
            };
            let says = told.app_root
                || told.default_backend
                || told.unmatched
                || told.regex.is_some()
                || told.redirected.is_some()
                || !(told.aliases.is_empty() && told.slashes.is_empty());
            says.then_some(told)
        });
        told.collect()
    }

    fn aliases(&mut self, source: &Source, notes: &mut Notes) {
        let Some((key, aliases)) = &source.settings.host.aliases else {
            return;
        };
        let mut say = |outcome, message: String| {
            notes.add(&source.object, Some(key), outcome, message);
        };
        let served = |host: &&Arc<str>| !host.is_empty() && self.hosts.contains_key(*host);
        let mut hosts = source.hosts.iter().filter(served);
        let Some(host) = hosts.next().cloned() else {
            return say(
                Outcome::Refused,
                "no rule of the Ingress has a host that there could be an alias of".to_owned(),
            );
        };
        if hosts.next().is_some() {
            say(
                Outcome::Approximated,
                format!("the aliases stand for the first host, {host:?}"),
            );
        }
        for alias in aliases.iter().filter(|alias| ***alias != *host) {
            let other = self.alias_of.get(alias);
            if self.hosts.contains_key(alias.as_str()) {
                say(
                    Outcome::Refused,
                    format!("{alias:?} is a host that has rules of its own; it is no alias"),
                );
            } else if let Some(other) = other {
                if *other != host {
                    let message = format!("{alias:?} is an alias of {other:?} already");
                    say(Outcome::Refused, message);
                }
            } else if let Some(facts) = self.hosts.get_mut(&host) {
                facts.aliases.push(alias.as_str().into());
                self.alias_of.insert(alias.clone(), Arc::clone(&host));
            }
        }
    }

    fn www(&mut self, source: &Source, notes: &mut Notes) {
        let Some(key) = &source.settings.host.www else {
            return;
        };
        let names = |host: &&Arc<str>| !host.is_empty() && !host.starts_with("*.");
        if !source.hosts.iter().any(|host| names(&host)) {
            let message = "no rule has a host with a name of its own, which a www name could be of";
            notes.add(&source.object, Some(key), Outcome::NoEffect, message);
        }
        for host in source.hosts.iter().filter(names) {
            let other = www(host);
            if self.hosts.contains_key(other.as_str()) || self.alias_of.contains_key(&other) {
                let message = format!("{other:?} has rules of its own and is not redirected");
                notes.add(&source.object, Some(key), Outcome::Approximated, message);
            } else if let Some(facts) = self.hosts.get_mut(host) {
                facts
                    .redirected
                    .get_or_insert((other.into(), source.object.key.clone()));
            }
        }
    }

    /// What an Ingress is not told, of hosts that are alone.
    fn hosts_alone(&self, source: &Source, notes: &mut Notes) {
        let alone = source.profile.hosts_are_alone();
        for host in &source.hosts {
            let Some(facts) = self.hosts.get(host) else {
                continue;
            };
            let Some(first) = &facts.alone else {
                continue;
            };
            if !alone {
                let message = format!(
                    "the host {host:?} is one of Ingress {first}, too, whose class is nginx: what no rule of the host matches is answered 404, and paths and header fields are read as there"
                );
                notes.add(
                    &source.object,
                    Some("spec.rules"),
                    Outcome::Approximated,
                    message,
                );
            } else if source.default_backend.is_some() && !facts.has_default(host, source) {
                let message = match host.is_empty() {
                    true => "not for the rules without host: what they do not match goes to the default backend of an Ingress without rules, or is answered 404, as in class nginx".to_owned(),
                    false => format!(
                        "not for the host {host:?}, which Ingress {first} was the first to name: what no rule matches there is answered as that Ingress says, as in class nginx"
                    ),
                };
                let field = Some(ingress::DEFAULT_BACKEND);
                notes.add(&source.object, field, Outcome::Dropped, message);
            }
        }
    }

    /// The newest Ingress wins, as in Higress; a rule for exactly `/` goes before.
    fn app_root(&mut self, source: &Source, notes: &mut Notes) {
        let Some((key, _)) = &source.settings.host.app_root else {
            return;
        };
        for host in &source.hosts {
            let Some(facts) = self.hosts.get_mut(host) else {
                continue;
            };
            let owner = facts
                .app_root
                .get_or_insert_with(|| source.object.key.clone());
            if *owner != source.object.key {
                let message =
                    format!("Ingress {owner} is newer and says where / of {host:?} leads");
                notes.add(&source.object, Some(key), Outcome::Approximated, message);
            } else if facts.exact_root {
                let message = format!("a rule is for exactly / of {host:?}, and goes before");
                notes.add(&source.object, Some(key), Outcome::Approximated, message);
            }
        }
    }
}

impl HostFacts {
    /// Whether the host has the default backend of an Ingress for what its rules leave. Where there are rules without
    /// host, ingress-nginx has its own answer for what they leave.
    fn has_default(&self, host: &str, source: &Source) -> bool {
        source.default_backend.is_some()
            && !host.is_empty()
            && self.alone.as_ref() == Some(&source.object.key)
    }

    /// Whether an Ingress without a backend for it says what becomes of what no rule of the host matches: the first
    /// that names the host, where its annotations guard or redirect, or where the host has no path at all.
    fn is_left_to(&self, host: &str, source: &Source) -> bool {
        let settings = &source.settings;
        !self.root
            && !host.is_empty()
            && source.default_backend.is_none()
            && self.alone.as_ref() == Some(&source.object.key)
            && (!self.paths || settings.has_guards() || settings.redirects())
    }
}

/// Paths `/x/` of a host where nobody has `/x`.
fn slashes(source: &Source, host: &Arc<str>, facts: &HostFacts) -> Vec<usize> {
    let paths = source.paths.iter().enumerate();
    let missing = paths.filter(|(_, path)| {
        let bare = path.written.0.strip_suffix('/');
        path.host == *host
            && bare.is_some_and(|bare| !bare.is_empty() && !facts.written.contains(bare))
    });
    missing.map(|(at, _)| at).collect()
}

/// The Ingress with everything that it was told.
fn apply(read: &Source, told: &[Told]) -> Source {
    let mut source = read.clone();
    let mut said = Notes::default();
    said.repeat(read.notes.as_deref());
    let mut more: Vec<Path> = Vec::new();
    rest::add(read, told, &mut source, &mut said);
    for told in told {
        add_slashes(read, told, &mut more, &mut said);
        if let Some((_, target)) = read
            .settings
            .host
            .app_root
            .as_ref()
            .filter(|_| told.app_root)
        {
            let backend = read.profile.app_root(target);
            more.push(moved(&told.host, PathKind::Exact("/".to_owned()), backend));
        }
        make_regex(&mut source, told, &mut said);
    }
    source.paths.extend(more.into_iter().map(Arc::new));
    if told.iter().any(|told| told.regex.is_some()) {
        // Of equally long expressions ingress-nginx asks the last by alphabet first.
        source.paths.sort_by(|a, b| b.written.0.cmp(&a.written.0));
    }
    for told in told {
        for alias in &told.aliases {
            let paths = source.paths.iter().filter(|path| path.host == told.host);
            let same = paths.map(|path| {
                Arc::new(Path {
                    host: Arc::clone(alias),
                    ..Path::clone(path)
                })
            });
            let same: Vec<_> = same.collect();
            source.paths.extend(same);
            source.hosts.push(Arc::clone(alias));
            let added = (Arc::clone(alias), Arc::clone(&told.host));
            source.tls.get_or_insert_default().added.push(added);
        }
        if let Some(other) = &told.redirected {
            let filter = RequestRedirect {
                hostname: Some(told.host.to_string()),
                status_code: Some(308),
                ..RequestRedirect::default()
            };
            let backend = Backend::Redirect(Box::new(filter));
            let path = moved(other, PathKind::prefix("/"), backend);
            source.paths.push(Arc::new(path));
            source.hosts.push(Arc::clone(other));
            let added = (Arc::clone(other), Arc::clone(&told.host));
            source.tls.get_or_insert_default().added.push(added);
        }
    }
    source.notes = said.into_lists().next();
    source
}

/// One expression makes expressions of every path of its host.
fn make_regex(source: &mut Source, told: &Told, said: &mut Notes) {
    let Some(by) = &told.regex else {
        return;
    };
    for path in &mut source.paths {
        if path.host != told.host || matches!(path.kind, PathKind::Regex(_)) {
            continue;
        }
        let whole = source.settings.full_path_regex;
        let pattern = source.profile.expression(&path.written.0, whole);
        let place = (&source.object, path.field.as_str());
        let unmatched = matches!(path.backend, Backend::Unmatched);
        if !unmatched && ingress::check_regex(&path.written.0, &pattern, place, said) {
            let message = format!(
                "a regular expression that paths have to begin with, in any case: class nginx reads every path of a host so once one Ingress (here {by}) has use-regex or rewrite-target"
            );
            let field = Some(path.field.as_str());
            said.add(&source.object, field, Outcome::Exact, message);
        }
        Arc::make_mut(path).kind = PathKind::Regex(pattern);
    }
}

fn add_slashes(read: &Source, told: &Told, more: &mut Vec<Path>, notes: &mut Notes) {
    for path in told.slashes.iter().filter_map(|at| read.paths.get(*at)) {
        let text = &path.written.0;
        let bare = text.trim_end_matches('/');
        let message = format!("{bare} is answered with 301 to {text}, as class nginx does");
        notes.add(&read.object, Some(&path.field), Outcome::Exact, message);
        let to = Backend::Redirect(Box::new(native::redirect_to_path(text, 301)));
        more.push(moved(&path.host, PathKind::Exact(bare.to_owned()), to));
    }
}

/// A path that sends clients elsewhere.
fn moved(host: &Arc<str>, kind: PathKind, backend: Backend) -> Path {
    let (PathKind::Exact(text)
    | PathKind::Prefix(text)
    | PathKind::StringPrefix(text)
    | PathKind::Regex(text)) = &kind;
    Path {
        host: Arc::clone(host),
        // Not a type of path: no canary can have the same.
        written: (text.clone(), "redirect".to_owned()),
        kind,
        backend,
        field: "metadata.annotations".to_owned(),
    }
}
