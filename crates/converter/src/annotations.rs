//! Annotations: which there are, who reads them, and what was said about each.
//!
//! A family is one file with its keys, their docs and the function that reads them into [`Settings`]; it is registered
//! by one line in [`FAMILIES`]. The report, `docs/annotations.md` and the tests are made from that list.

mod access_log;
mod affinity;
mod auth;
mod backend_timeout;
mod canary;
mod client_limits;
mod console;
mod cors;
mod custom_headers;
mod destination;
mod downstream_tls;
mod external_auth;
mod fallback;
mod foreign;
mod forwarded_prefix;
mod header_control;
mod host;
mod ip_access_control;
mod load_balance;
mod local_rate_limit;
mod matching;
mod mirror;
mod out_of_scope;
mod path_condition;
mod path_match;
mod redirect;
mod request_body;
mod retry;
mod rewrite;
mod secret;
mod service_upstream;
mod settings;
mod snippets;
mod timeout;
mod unknown;
mod upstream_protocol;
mod upstream_tls;

use std::collections::{BTreeMap, BTreeSet};

use api::{ObjectKey, ObjectRef};
use k8s_openapi::api::{core::v1::ConfigMap, networking::v1::Ingress};

use crate::{
    effect::Effect,
    ingress::is_bridge,
    lookup::Lookup,
    note::{Notes, Outcome},
    profile::Profile,
    variable::{self, Scope},
};

pub(crate) use canary::{Canary, HeaderRule, Weight};
pub(crate) use destination::Destination;
pub(crate) use downstream_tls::DownstreamTls;
pub(crate) use external_auth::for_host as external_auth_for;
pub(crate) use forwarded_prefix::ForwardedPrefix;
pub(crate) use header_control::HeaderControl;
pub(crate) use host::HostSettings;
pub(crate) use matching::Matching;
pub(crate) use path_condition::Joined;
pub(crate) use redirect::HttpsRedirect;
pub(crate) use rewrite::has_captures;
pub(crate) use settings::Settings;

/// Higress' own prefix.
pub const HIGRESS: &str = "higress.io/";
/// The prefix of ingress-nginx, taken for every key too.
pub const NGINX: &str = "nginx.ingress.kubernetes.io/";

/// One annotation, without prefix.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// For example `canary-weight`. One that ends in `NAME`, such as `exact-match-header-NAME`, stands for every key
    /// with a name of the user's in its place.
    pub name: &'static str,
    /// One line: values, default, meaning.
    pub doc: &'static str,
    /// What it becomes in Gateway API or in our kinds. Then, each as a sentence that begins with the word and a colon:
    /// what is approximated, and what is refused.
    pub becomes: &'static str,
}

impl Key {
    /// What stands in [`Key::name`] for a name of the user's.
    pub const NAME: &'static str = "NAME";

    /// What such keys begin with: `exact-match-header-`. None: the key is just its name.
    #[must_use]
    pub fn prefix(&self) -> Option<&'static str> {
        self.name.strip_suffix(Self::NAME)
    }

    /// Whether an annotation, without our prefixes, is this key.
    #[must_use]
    pub fn is(&self, annotation: &str) -> bool {
        match self.prefix() {
            None => annotation == self.name,
            Some(prefix) => annotation
                .strip_prefix(prefix)
                .is_some_and(|name| !name.is_empty()),
        }
    }
}

/// The key that an annotation is, without our prefixes, and its family.
#[must_use]
pub fn find(annotation: &str) -> Option<(&'static Family, &'static Key)> {
    let by = |is: fn(&Key, &str) -> bool| {
        FAMILIES.iter().find_map(|family| {
            let key = family.keys.iter().find(|key| is(key, annotation))?;
            Some((*family, key))
        })
    };
    // A key may be one of those that carry a name, and one of its own as well.
    by(|key, annotation| key.name == annotation).or_else(|| by(Key::is))
}

/// A group of annotations that mean something together.
#[derive(Debug)]
pub struct Family {
    /// Its name, which is also the name of its file and of its folder of goldens.
    pub name: &'static str,
    /// Its annotations.
    pub keys: &'static [Key],
    /// Reads them.
    pub(crate) apply: fn(&mut Reader<'_>, &mut Settings),
}

/// Every family, in order of application.
pub const FAMILIES: &[&Family] = &[
    &canary::CANARY,
    &matching::MATCHING,
    &path_match::PATH_MATCH,
    &host::HOST,
    &cors::CORS,
    &rewrite::REWRITE,
    &path_condition::PATH_CONDITION,
    &redirect::REDIRECT,
    &header_control::HEADER_CONTROL,
    &custom_headers::CUSTOM_HEADERS,
    &retry::RETRY,
    &timeout::TIMEOUT,
    &local_rate_limit::LOCAL_RATE_LIMIT,
    &client_limits::CLIENT_LIMITS,
    &ip_access_control::IP_ACCESS_CONTROL,
    &request_body::REQUEST_BODY,
    &access_log::ACCESS_LOG,
    &auth::AUTH,
    &external_auth::EXTERNAL_AUTH,
    &upstream_protocol::UPSTREAM_PROTOCOL,
    &upstream_tls::UPSTREAM_TLS,
    &load_balance::LOAD_BALANCE,
    &affinity::AFFINITY,
    &backend_timeout::BACKEND_TIMEOUT,
    &service_upstream::SERVICE_UPSTREAM,
    &fallback::FALLBACK,
    &mirror::MIRROR,
    &destination::DESTINATION,
    &forwarded_prefix::FORWARDED_PREFIX,
    &foreign::FOREIGN,
    &downstream_tls::DOWNSTREAM_TLS,
    &console::CONSOLE,
    &snippets::SNIPPETS,
    &out_of_scope::OUT_OF_SCOPE,
];

/// The annotations of one Ingress, and what is said about them.
pub(crate) struct Reader<'a> {
    object: &'a ObjectRef,
    /// By bare name: the full key that counts, and its text.
    values: BTreeMap<&'a str, (&'a str, &'a str)>,
    spoken: BTreeSet<&'a str>,
    /// The Ingress is a canary, and the family is not one that canaries bring themselves: what becomes of an annotation
    /// that an ordinary Ingress could have.
    inherits: Option<Outcome>,
    /// What names of other objects are looked up in.
    lookup: &'a Lookup<'a>,
    profile: Profile,
    notes: &'a mut Notes,
}

impl<'a> Reader<'a> {
    fn new(
        object: &'a ObjectRef,
        annotations: &'a BTreeMap<String, String>,
        (lookup, profile): (&'a Lookup<'a>, Profile),
        notes: &'a mut Notes,
    ) -> Self {
        let mut values: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (key, text) in annotations {
            if let Some(name) = key.strip_prefix(HIGRESS) {
                values.entry(name).or_insert((key, text));
            } else if let Some(name) = key.strip_prefix(NGINX)
                && let Some((other, other_text)) = values.insert(name, (key, text))
            {
                // Both are there: the nginx one counts, as in Higress.
                let message = format!("overridden by {key}: {text:?}");
                if other_text == text {
                    notes.done(object, other, (Outcome::Exact, Effect::Default), message);
                } else {
                    notes.add(object, Some(other), Outcome::NoEffect, message);
                }
            }
        }
        Self {
            object,
            values,
            spoken: BTreeSet::new(),
            inherits: None,
            lookup,
            profile,
            notes,
        }
    }

    /// The text of an annotation; lines are trimmed and joined, as Higress does.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let (_, text) = self.values.get(name)?;
        Some(text_of(text))
    }

    /// The parsed value of an annotation. A bad one is noted, and counts as absent.
    pub(crate) fn parse<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (key, written) = *self.values.get(name)?;
        let text = text_of(written);
        // The default counts as it does there.
        let blank = text != written && key.starts_with(NGINX) && !self.profile.takes_blanks(name);
        let read = parse(&text).and_then(|value| match blank {
            false => Ok(value),
            true => Err(format!(
                "{written:?} has blanks around it, with which ingress-nginx reads no such value"
            )),
        });
        match read {
            Ok(value) => Some(value),
            Err(why) => {
                self.say(name, Outcome::Refused, why);
                None
            }
        }
    }

    /// Whether the annotation that counts is spelled as ingress-nginx does.
    pub(crate) fn is_nginx(&self, name: &str) -> bool {
        self.values
            .get(name)
            .is_some_and(|(key, _)| key.starts_with(NGINX))
    }

    /// A ConfigMap.
    pub(crate) fn config_map(&self, key: &ObjectKey) -> Option<&'a ConfigMap> {
        self.lookup.config_map(key)
    }

    /// The namespace of the Ingress.
    pub(crate) fn namespace(&self) -> &str {
        &self.object.key.namespace
    }

    /// The Ingress itself: it is what the reading is of.
    fn ingress(&self) -> Option<&'a Ingress> {
        let ingress = self.lookup.get::<Ingress>(&self.object.key);
        ingress.map(|ingress| &**ingress)
    }

    /// What its paths have to offer for the text of an annotation, if that is there.
    pub(crate) fn scope(&self, name: &str) -> Scope {
        let ingress = self.ingress().filter(|_| self.has(name));
        ingress.map_or_else(Scope::default, Scope::of)
    }

    /// Its paths, with their types.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let spec = self.ingress().and_then(|ingress| ingress.spec.as_ref());
        let rules = spec
            .into_iter()
            .flat_map(|spec| spec.rules.iter().flatten());
        let http = rules.flat_map(|rule| &rule.http);
        let paths = http.flat_map(|http| &http.paths);
        paths.map(|one| {
            let text = one.path.as_deref().filter(|text| !text.is_empty());
            (text.unwrap_or("/"), &*one.path_type)
        })
    }

    /// Whether it has paths, and all of them are this one.
    pub(crate) fn has_only_path(&self, path: &str) -> bool {
        let mut paths = self.paths().peekable();
        paths.peek().is_some() && paths.all(|(text, _)| text == path)
    }

    /// Whether any backend of the Ingress is Higress' resource for what is no Service.
    pub(crate) fn has_bridge(&self) -> bool {
        self.ingress()
            .is_some_and(|ingress| crate::ingress::backends(ingress).any(is_bridge))
    }

    /// Whether all of them are.
    pub(crate) fn has_only_bridges(&self) -> bool {
        self.ingress()
            .is_some_and(|ingress| crate::ingress::backends(ingress).all(is_bridge))
    }

    /// The rules that the Ingress is read by.
    pub(crate) const fn profile(&self) -> Profile {
        self.profile
    }

    /// The full key of an annotation, as it is spelled.
    pub(crate) fn key(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|(key, _)| (*key).to_owned())
    }

    /// Annotations whose names begin with `start`: the name, and the rest of it.
    pub(crate) fn named(&self, start: &str) -> Vec<(&'a str, &'a str)> {
        let names = self.values.keys();
        names
            .filter_map(|name| Some((*name, name.strip_prefix(start)?)))
            .collect()
    }

    /// Whether the annotation is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Says what became of an annotation that is there. One that is approximated acts on what is served.
    pub(crate) fn say(&mut self, name: &str, outcome: Outcome, message: impl Into<String>) {
        if let Some((name, (key, _))) = self.values.get_key_value(name) {
            self.spoken.insert(name);
            match outcome {
                Outcome::Approximated => {
                    let done = (outcome, Effect::Served);
                    self.notes.done(self.object, key, done, message);
                }
                _ => self.notes.add(self.object, Some(key), outcome, message),
            }
        }
    }

    /// Says that an annotation that is there does what it should, and where in the output that stands.
    pub(crate) fn exact(&mut self, name: &str, effect: Effect, message: impl Into<String>) {
        self.done(name, (Outcome::Exact, effect), message);
    }

    /// Says that an annotation that is there does something close to what it should, and where in the output that
    /// stands.
    pub(crate) fn close_to(&mut self, name: &str, effect: Effect, message: impl Into<String>) {
        self.done(name, (Outcome::Approximated, effect), message);
    }

    fn done(&mut self, name: &str, done: (Outcome, Effect), message: impl Into<String>) {
        let Some((name, (key, text))) = self.values.get_key_value(name) else {
            return;
        };
        self.spoken.insert(name);
        match self.inherits {
            None if self.profile.sends_variables_as_text() && variable::is_in(name, text) => {
                let message = format!("{}{}", message.into(), variable::AS_TEXT);
                self.notes.done(self.object, key, done, message);
            }
            None => self.notes.done(self.object, key, done, message),
            Some(outcome) => {
                let message = "a canary has the settings of its base; this one is not used";
                self.notes.add(self.object, Some(key), outcome, message);
            }
        }
    }

    /// Says that an annotation that is there does nothing without another, neither here nor where it comes from.
    pub(crate) fn pointless(&mut self, name: &str, without: &str) {
        let message = format!("has no meaning without {without}");
        self.say(name, Outcome::NoEffect, message);
    }

    /// Says that another annotation wins over one that is there, as it does where they come from.
    pub(crate) fn beaten(&mut self, name: &str, by: &str) {
        self.say(name, Outcome::NoEffect, format!("{by} is set and wins"));
    }

    /// Whatever nobody spoke about: not a key that there is.
    fn finish(self) {
        for (name, (key, _)) in &self.values {
            if !self.spoken.contains(name) {
                let known = find(name).is_some();
                let message = if known {
                    "has no effect here".to_owned()
                } else {
                    unknown::message(name)
                };
                let outcome = if known {
                    Outcome::Approximated
                } else {
                    Outcome::Refused
                };
                self.notes.add(self.object, Some(key), outcome, message);
            }
        }
    }
}

/// A value as it is read.
pub(crate) fn text_of(value: &str) -> String {
    let lines: Vec<_> = value.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

/// Families that a canary brings itself: who gets there, conditions that tell its base from others, and headers.
const CANARYS_OWN: &[&str] = &[
    "canary",
    "matching",
    "path-condition",
    "header-control",
    "destination",
];

/// Reads all annotations of an Ingress. Every one of our prefixes gets a note.
pub(crate) fn read(
    object: &ObjectRef,
    annotations: &BTreeMap<String, String>,
    (lookup, profile): (&Lookup<'_>, Profile),
    notes: &mut Notes,
) -> Settings {
    let mut settings = Settings::default();
    profile.write_defaults(&mut settings);
    let mut reader = Reader::new(object, annotations, (lookup, profile), notes);
    for family in FAMILIES {
        let inherits = settings.canary.is_some() && !CANARYS_OWN.contains(&family.name);
        reader.inherits = inherits.then(|| profile.annotation_of_canary(family.name));
        (family.apply)(&mut reader, &mut settings);
    }
    reader.finish();
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FAMILIES, find};

    #[test]
    fn keys_are_unique_and_documented_and_families_have_goldens() {
        let mut seen = BTreeSet::new();
        for family in FAMILIES {
            for key in family.keys {
                assert!(seen.insert(key.name), "{} twice", key.name);
                for text in [key.doc, key.becomes] {
                    assert!(
                        text.ends_with('.') && text.len() > 10 && !text.contains(['\n', '|']),
                        "{} needs a line of doc, and one of what it becomes",
                        key.name
                    );
                }
            }
            let folder = format!("{}/testdata/{}", env!("CARGO_MANIFEST_DIR"), family.name);
            assert!(
                std::path::Path::new(&folder).is_dir(),
                "no goldens for {}",
                family.name
            );
        }
    }

    #[test]
    fn a_key_may_carry_a_name() {
        let name = |annotation| find(annotation).map(|(_, key)| key.name);
        assert_eq!(
            name("exact-match-header-x-stage"),
            Some("exact-match-header-NAME")
        );
        assert_eq!(name("exact-match-header-"), None);
        assert_eq!(name("canary-weight"), Some("canary-weight"));
        assert_eq!(name("canary-weights"), None);
    }
}
