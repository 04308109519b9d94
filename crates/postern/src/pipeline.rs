//! The heart of the program: objects in; IR, status and notes out. Every command runs these same steps.
//!
//! ```text
//! source -> converter::expand -> gateway_core::translate -> proxy.swap
//! ```

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use api::{ObjectKey, ObjectRef, Resources, gateway::HttpRoute};
use converter::{Expander, LeftOut, Note, Report};
use gateway_core::{Definitions, Demand, Status, Translation, Translator};
use ir::Ir;
use k8s_openapi::api::networking::v1::Ingress;

/// Pure steps that remember what they made, so that cost follows the change.
#[derive(Debug)]
pub(crate) struct Pipeline {
    converter: converter::Options,
    core: gateway_core::Options,
    expander: Expander,
    translator: Translator,
    /// Objects come from a cluster, and what becomes of them goes back there.
    cluster: bool,
    /// Ingresses are told where they are served.
    places: bool,
}

/// What became of all objects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Made {
    /// One line for each annotation, and each part of an Ingress that is not served.
    pub(crate) notes: Report,
    /// Objects that stand in the input and would be made from an Ingress too.
    pub(crate) clashes: Vec<ObjectRef>,
    /// What the data plane is to do.
    pub(crate) ir: Arc<Ir>,
    /// What is to be said about objects.
    pub(crate) status: Status,
    /// What Gateways need to be reached, in a cluster.
    pub(crate) demands: BTreeMap<ObjectKey, Demand>,
    /// Objects that Ingresses became.
    pub(crate) generated: Resources,
    /// The Secret in whose place a certificate of this process is shown to clients of hosts without one of their own.
    pub(crate) stand_in: Option<ObjectKey>,
    /// Ingresses that are not ours.
    pub(crate) left_out: LeftOut,
}

impl Pipeline {
    /// A pipeline that has seen nothing yet.
    pub(crate) fn new(converter: converter::Options) -> Self {
        Self {
            converter,
            core: gateway_core::Options::default(),
            expander: Expander::default(),
            translator: Translator::default(),
            cluster: false,
            places: false,
        }
    }

    /// Reads the objects of a cluster, as `core` says.
    pub(crate) fn in_cluster(mut self, core: gateway_core::Options) -> Self {
        self.core = core;
        self.cluster = true;
        self
    }

    /// Says in the status of Ingresses where they are served, or not.
    pub(crate) const fn placing(mut self, places: bool) -> Self {
        self.places = places;
        self
    }

    /// From now on these are the definitions that the objects come from.
    pub(crate) fn define(&mut self, definitions: &Definitions) {
        if self.core.definitions != *definitions {
            self.core.definitions.clone_from(definitions);
        }
    }

    /// Runs all steps.
    pub(crate) fn run(&mut self, input: &Resources) -> Made {
        let expansion = self.expander.expand(input, &self.converter);
        let generated = &expansion.generated;
        let (translation, clashes) = self
            .translator
            .translate_joined(input, generated, &self.core);
        let Translation {
            ir,
            mut status,
            demands,
        } = translation;
        let stand_in = expansion.stand_in();
        let stand_in = stand_in.map(|_| converter::default_certificate(&self.converter));
        let mut generated = expansion.generated.clone();
        if self.cluster {
            // What was made for this process stays in it.
            generated.secrets.clear();
        }
        if self.places {
            place_ingresses(input, &expansion.generated, &self.converter, &mut status);
        }
        Made {
            notes: expansion.notes.clone(),
            clashes,
            ir: Arc::new(ir),
            status,
            demands,
            generated,
            stand_in,
            left_out: expansion.left_out.clone(),
        }
    }

    /// How Ingresses are read.
    pub(crate) const fn options(&self) -> &converter::Options {
        &self.converter
    }
}

/// Ingresses are served where their Gateway is, if any of their hosts is.
fn place_ingresses(
    input: &Resources,
    generated: &Resources,
    options: &converter::Options,
    status: &mut Status,
) {
    let gateway = status.gateways.get(&options.gateway);
    let Some(addresses): Option<Arc<[gateway_core::Address]>> =
        gateway.map(|gateway| Arc::from(&*gateway.addresses))
    else {
        return;
    };
    let routes = generated.http_routes.values();
    let served: HashSet<&str> = routes.flat_map(|route| hosts_of_route(route)).collect();
    let ingresses = input.ingresses.iter();
    let placed = ingresses.filter(|(_, ingress)| {
        ingress.metadata.deletion_timestamp.is_none()
            && converter::is_ours(ingress, input, options)
            && hosts_of_ingress(ingress).any(|host| served.contains(&*host))
    });
    status.ingresses = placed
        .map(|(key, _)| (key.clone(), Arc::clone(&addresses)))
        .collect();
}

/// The hosts of a route; an empty one stands for all.
fn hosts_of_route(route: &HttpRoute) -> impl Iterator<Item = &str> {
    let hosts = route.spec.hostnames.as_deref().unwrap_or_default();
    let any = hosts.is_empty().then_some("");
    hosts.iter().map(String::as_str).chain(any)
}

/// Likewise.
fn hosts_of_ingress(ingress: &Ingress) -> impl Iterator<Item = Cow<'_, str>> {
    let spec = ingress.spec.as_ref();
    let rules = spec.and_then(|spec| spec.rules.as_deref());
    let hosts = rules.unwrap_or_default().iter();
    let default = spec.and_then(|spec| spec.default_backend.as_ref());
    let any = default.map(|_| Cow::Borrowed(""));
    let hosts = hosts.map(|rule| match rule.host.as_deref().unwrap_or_default() {
        host if host.bytes().any(|b| b.is_ascii_uppercase()) => {
            Cow::Owned(host.to_ascii_lowercase())
        }
        host => Cow::Borrowed(host),
    });
    hosts.chain(any)
}

impl Made {
    /// Notes that tell of something that is not as its author wants it.
    pub(crate) fn lossy(&self) -> impl Iterator<Item = &Note> + Clone {
        let notes = self.notes.iter();
        notes.filter(|note| note.outcome.is_lossy())
    }
}

/// What to say where [`Made::stand_in`] names a Secret.
pub(crate) fn stands_in(secret: &ObjectKey) -> String {
    format!(
        "Secret {secret} is no certificate, or not there: hosts without a certificate of their own show one that this process has made and signed itself"
    )
}

/// What to say about an object of [`Made::clashes`].
pub(crate) fn clash(object: &ObjectRef) -> String {
    format!(
        "{object}: is in the input, and would be made from an Ingress too; the one in the input counts"
    )
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
