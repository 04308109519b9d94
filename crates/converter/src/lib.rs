//! Ingress and its annotations to Gateway API objects: pure and total.
//!
//! [`expand`] is the only way in ([`Expander`] is the same for whoever expands again and again). Bad input becomes a
//! [`Note`]; nothing panics, nothing passes in silence, and no Ingress harms another. To add an annotation, write a
//! family (see [`annotations`]) and register it.
//!
//! **Invariant:** this crate knows neither the IR nor the proxy.

pub mod annotations;
mod broken;
mod class;
mod controllers;
mod default_certificate;
mod draft;
mod effect;
mod emit;
mod expander;
mod external;
mod host;
mod ingress;
mod lookup;
mod merge;
mod native;
mod neighbours;
mod note;
mod profile;
mod registry;
mod secrets;
mod service;
mod snippet;
mod tls;
mod value;
mod variable;
mod weight;

use api::{ObjectKey, Resources};
use k8s_openapi::api::networking::v1::Ingress;

pub use class::{Class, LeftOut};
pub use default_certificate::{StandIn, default_certificate};
pub use expander::Expander;
pub use note::{Note, Outcome, Report};
pub use profile::{Difference, Profile};
pub use secrets::{config_maps, secrets};

/// How to translate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Ingress classes that are ours, and whose rules their Ingresses have. Default `higress` and `mse`.
    pub ingress_classes: Vec<Class>,
    /// The Gateway that converted routes attach to. Default `postern-system/postern`.
    pub gateway: ObjectKey,
    /// Its class. Default `postern`.
    pub gateway_class: String,
    /// Controller of that class, should there be no such class. Default [`api::CONTROLLER_NAME`].
    pub controller_name: String,
    /// Port of its HTTP listener. Default 80.
    pub http_port: u16,
    /// Port of the HTTPS listeners. Default 443.
    pub https_port: u16,
    /// Trusted proxies may end TLS in front of the gateway, so that plain HTTP on a listener may be https for the
    /// client: redirects to https, and what they lead to, are for one scheme of the client then. Default false.
    pub behind_proxies: bool,
    /// The Secret with the certificate that hosts of the class `nginx` show which have none of their own. Default
    /// `postern-default-certificate` in the namespace of that Gateway.
    pub default_certificate: Option<ObjectKey>,
    /// What is shown while that Secret is not there, or is no certificate. Default none: HTTPS is not served for those
    /// hosts then.
    pub stand_in: Option<StandIn>,
    /// Make the GatewayClass and that Gateway too, unless they are there. Default true.
    pub synthesize_gateway: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ingress_classes: ["higress", "mse"].map(Class::named).into(),
            gateway: ObjectKey::new("postern-system", "postern"),
            gateway_class: "postern".to_owned(),
            controller_name: api::CONTROLLER_NAME.to_owned(),
            http_port: 80,
            https_port: 443,
            behind_proxies: false,
            default_certificate: None,
            stand_in: None,
            synthesize_gateway: true,
        }
    }
}

/// What [`expand`] makes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expansion {
    /// The objects that Ingresses became.
    pub generated: Resources,
    /// One line for each annotation, and for each part of an Ingress that is not served; by object and key.
    pub notes: Report,
    /// Ingresses that are not ours, by class.
    pub left_out: LeftOut,
}

impl Expansion {
    /// The name of the certificate that the process made and that is shown instead of the default one, if it is.
    #[must_use]
    pub fn stand_in(&self) -> Option<&ObjectKey> {
        self.generated.secrets.keys().next()
    }

    /// Whether anything that the Ingresses asked for is not there as they asked for it.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.notes.iter().any(|note| note.outcome.is_lossy())
    }
}

/// Whether an Ingress is of one of our classes: by name, or because it names none and ours is the default.
#[must_use]
pub fn is_ours(ingress: &Ingress, resources: &Resources, options: &Options) -> bool {
    ingress::is_ours(ingress, resources, &options.ingress_classes)
}

/// Translates every Ingress of our classes.
#[must_use]
pub fn expand(resources: &Resources, options: &Options) -> Expansion {
    let mut expander = Expander::default();
    expander.expand(resources, options);
    expander.into_expansion()
}

#[cfg(test)]
#[path = "lib_tests.rs"]
mod tests;

#[cfg(test)]
mod coverage_tests;
