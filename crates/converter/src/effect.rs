//! Where the effect of an annotation stands, so that what is said of it is settled by what was written.
//!
//! A family says *exact* or *approximated* together with an [`Effect`]. Once the objects of an Ingress are written,
//! [`settled`] looks for it there: a note whose effect stands nowhere is neither, and says why.

use std::{cmp::Ordering, fmt, sync::Arc};

use api::{
    BackendPolicySpec, ClientTls, Object, RouteFilterSpec, RoutePolicySpec, gateway::HttpRoute,
};

use crate::{
    ingress::Source,
    merge::HostGroup,
    native::Rule,
    note::{Note, Outcome},
};

/// Where in what is written for an Ingress the effect of an annotation stands.
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// It asks for what is so anyway: without it, the same is written.
    Default,
    /// In a rule.
    Rule(fn(&Rule) -> bool),
    /// In a RoutePolicy.
    RoutePolicy(fn(&RoutePolicySpec) -> bool),
    /// In a BackendPolicy.
    BackendPolicy(fn(&BackendPolicySpec) -> bool),
    /// In what a ClientPolicy asks of the host's clients.
    ClientTls(fn(&ClientTls) -> bool),
    /// Somewhere else, or in several places.
    In(fn(&Written<'_>) -> bool),
    /// Likewise; where it stands nowhere, this is what became of the annotation, and why.
    InOr(fn(&Written<'_>) -> bool, Outcome, &'static str),
    /// Likewise; where it stands nowhere, the annotation asks for what is so anyway.
    InOrDefault(fn(&Written<'_>) -> bool),
    /// In all that is served of the Ingress, whatever it is.
    Served,
}

impl Effect {
    /// Whether it is there. What is so anyway need not be.
    pub(crate) fn stands(self, written: &Written<'_>) -> bool {
        match self {
            Self::Default => false,
            Self::Rule(is) => written.rules().any(is),
            Self::RoutePolicy(is) => written.route_policies().any(is),
            Self::BackendPolicy(is) => {
                written.backend_policies().any(is) && written.rules().any(forwards)
            }
            Self::ClientTls(is) => written.clients.iter().copied().any(is),
            Self::In(is) | Self::InOr(is, ..) | Self::InOrDefault(is) => is(written),
            Self::Served => written.rules().next().is_some(),
        }
    }

    /// Whether the annotation promises more than was written.
    fn is_missing(self, written: &Written<'_>) -> bool {
        !matches!(self, Self::Default | Self::InOrDefault(_)) && !self.stands(written)
    }

    /// Whether it is about requests that are forwarded.
    const fn is_of_forwarding(self) -> bool {
        matches!(self, Self::Rule(_) | Self::BackendPolicy(_) | Self::In(_))
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

/// How a note is settled is no part of what it says.
impl PartialEq for Effect {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Effect {}

impl PartialOrd for Effect {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Effect {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

/// What was written for an Ingress: for a canary, what was written for its bases.
pub(crate) struct Written<'a> {
    pub(crate) source: &'a Source,
    pub(crate) groups: Vec<&'a HostGroup>,
    pub(crate) objects: Vec<&'a Object>,
    /// What the listeners of its hosts ask of clients.
    pub(crate) clients: Vec<&'a ClientTls>,
}

impl<'a> Written<'a> {
    pub(crate) fn routes(&self) -> impl Iterator<Item = &'a HttpRoute> {
        self.objects.iter().filter_map(|object| match object {
            Object::HttpRoute(route) => Some(&**route),
            _ => None,
        })
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &'a Rule> {
        self.routes()
            .flat_map(|route| route.spec.rules.iter().flatten())
    }

    pub(crate) fn route_policies(&self) -> impl Iterator<Item = &'a RoutePolicySpec> {
        self.objects.iter().filter_map(|object| match object {
            Object::RoutePolicy(policy) => Some(&policy.spec),
            _ => None,
        })
    }

    pub(crate) fn route_filters(&self) -> impl Iterator<Item = &'a RouteFilterSpec> {
        self.objects.iter().filter_map(|object| match object {
            Object::RouteFilter(filter) => Some(&filter.spec),
            _ => None,
        })
    }

    pub(crate) fn backend_policies(&self) -> impl Iterator<Item = &'a BackendPolicySpec> {
        self.objects.iter().filter_map(|object| match object {
            Object::BackendPolicy(policy) => Some(&policy.spec),
            _ => None,
        })
    }

    /// Whether any object is of this kind.
    pub(crate) fn has(&self, kind: api::Kind) -> bool {
        self.objects
            .iter()
            .any(|object| object.reference().kind == kind)
    }

    /// Whether a rule has a Service of this Ingress among its backends.
    fn leads_here(&self) -> bool {
        let own = || {
            let paths = self.source.paths.iter();
            paths.flat_map(|path| path.backend.services())
        };
        let mut backends = self
            .rules()
            .flat_map(|rule| rule.backend_refs.iter().flatten());
        backends.any(|backend| own().any(|service| *service.name == *backend.name))
    }

    /// Why an effect is missing.
    fn why(&self, effect: Effect) -> (Outcome, &'static str) {
        let Source {
            settings,
            paths,
            default_backend,
            ..
        } = self.source;
        if let Effect::InOr(_, outcome, why) = effect {
            return (outcome, why);
        }
        if self.rules().next().is_none() {
            let why = match settings.canary {
                Some(_) => "the canary is not served, so this has nothing to act on",
                None => "nothing of this Ingress is served, so this has nothing to act on",
            };
            return (Outcome::Approximated, why);
        }
        if paths.is_empty() && default_backend.is_some() {
            let why = "the Ingress has only a default backend, for which this does not count; nor does it in the controller that it was written for";
            return (Outcome::NoEffect, why);
        }
        if settings.redirects() && effect.is_of_forwarding() {
            let why = "every request is redirected, and this is about requests that are forwarded";
            return (Outcome::NoEffect, why);
        }
        if !settings.redirects() && !self.rules().any(forwards) {
            let why = match self.rules().any(leads_to_https) {
                true => {
                    "plain HTTP is sent to https, and no host of this Ingress has a certificate, so nothing is forwarded that this could act on"
                }
                false => "no backend of this Ingress can be used, so this has nothing to act on",
            };
            return (Outcome::Approximated, why);
        }
        if settings.is_closed() {
            let why = "another annotation of this Ingress cannot be honoured, so nobody is let in; this does not count";
            return (Outcome::Approximated, why);
        }
        if settings.canary.is_some() {
            let why = match self.leads_here() {
                true => "its base cannot be used, so the canary takes all requests and not a share",
                false => "no request gets to the canary by it",
            };
            return (Outcome::Approximated, why);
        }
        let why = "nothing of what this Ingress became has it";
        (Outcome::Approximated, why)
    }
}

/// Whether a rule has a backend.
fn forwards(rule: &Rule) -> bool {
    rule.backend_refs.iter().flatten().next().is_some()
}

/// Whether a rule sends clients to https.
fn leads_to_https(rule: &Rule) -> bool {
    let mut filters = rule.filters.iter().flatten();
    filters.any(|filter| {
        let redirect = filter.request_redirect.as_ref();
        redirect.is_some_and(|redirect| redirect.scheme.is_some())
    })
}

/// Whether a note has to be settled.
pub(crate) fn is_open(note: &Note) -> bool {
    let certain = |effect| matches!(effect, Effect::Default | Effect::InOrDefault(_));
    matches!(note.outcome, Outcome::Exact | Outcome::Approximated)
        && note.effect.is_some_and(|effect| !certain(effect))
}

/// The notes of an Ingress by what was written for it. They stay as they are where all that is called exact or
/// approximated is there.
pub(crate) fn settled(notes: Arc<[Note]>, written: &Written<'_>) -> Arc<[Note]> {
    let missing = |note: &Note| {
        let effect = note.effect.filter(|_| is_open(note));
        effect.filter(|effect| effect.is_missing(written))
    };
    if notes.iter().all(|note| missing(note).is_none()) {
        return notes;
    }
    let settle = |note: &Note| match missing(note) {
        None => note.clone(),
        Some(effect) => {
            let (outcome, message) = written.why(effect);
            Note {
                outcome,
                message: message.to_owned(),
                ..note.clone()
            }
        }
    };
    notes.iter().map(settle).collect()
}
