//! Annotations of other controllers: whose they are, in one line for each prefix. Without a word their settings would
//! seem to hold.

use std::collections::BTreeMap;

use api::ObjectRef;

use crate::{
    annotations::{HIGRESS, NGINX},
    note::{Notes, Outcome},
};

/// Prefixes of annotations that only one controller reads, and the controller. A prefix stands for the domains below it
/// too.
const CONTROLLERS: &[(&str, &str)] = &[
    ("nginx.org", "NGINX Inc.'s controller"),
    ("nginx.com", "NGINX Inc.'s controller"),
    ("f5.com", "F5's controllers"),
    ("haproxy.org", "HAProxy's controller"),
    ("haproxy.com", "HAProxy's controller"),
    ("haproxy-ingress.github.io", "HAProxy Ingress"),
    ("haproxy.router.openshift.io", "OpenShift's router"),
    ("route.openshift.io", "OpenShift's router"),
    ("traefik.io", "Traefik"),
    ("konghq.com", "Kong"),
    ("projectcontour.io", "Contour"),
    ("contour.heptio.com", "Contour"),
    ("getambassador.io", "Ambassador"),
    ("zalando.org", "Skipper"),
    ("apisix.apache.org", "APISIX"),
    ("ingress.pomerium.io", "Pomerium"),
    ("ingress.citrix.com", "Citrix' controller"),
    ("ako.vmware.com", "AKO"),
    ("networking.gke.io", "GKE's controller"),
    ("ingress.gcp.kubernetes.io", "GKE's controller"),
    ("cloud.google.com", "GKE's controller"),
    ("ingress.cloud.tencent.com", "Tencent Cloud's controller"),
    ("ingress.appscode.com", "Voyager"),
    ("alb.ingress.kubernetes.io", "a cloud's ALB controller"),
    ("appgw.ingress.kubernetes.io", "Azure's Application Gateway"),
    ("mse.ingress.kubernetes.io", ALIBABA),
    ("higress.ingress.kubernetes.io", ALIBABA),
    ("traefik.ingress.kubernetes.io", "Traefik"),
    ("bfe.ingress.kubernetes.io", "BFE"),
    ("caddy.ingress.kubernetes.io", "Caddy"),
    ("ingress.kubernetes.io", "older controllers"),
];

/// Gateways that have the classes of Higress too, and more annotations than it.
const ALIBABA: &str = "Alibaba Cloud's gateways";

/// A misspelt prefix differs in no more letters than these.
const MISSPELT: usize = 3;

/// One line for each prefix of another controller. `native`: the class is one of ingress-nginx or Higress, neither of
/// which reads them; an Ingress of any other class may have been written for that very controller.
pub(crate) fn note(
    object: &ObjectRef,
    annotations: &BTreeMap<String, String>,
    native: bool,
    notes: &mut Notes,
) {
    // Keys of a prefix stand beside each other.
    let mut last = None;
    for key in annotations.keys() {
        let Some((prefix, _)) = key.split_once('/') else {
            continue;
        };
        if last == Some(prefix) || prefix == bare(NGINX) || prefix == bare(HIGRESS) {
            continue;
        }
        last = Some(prefix);
        let of_prefix = || {
            let all = annotations.keys();
            all.filter(|key| {
                key.split_once('/')
                    .is_some_and(|(other, _)| other == prefix)
            })
        };
        let count = || match of_prefix().count() {
            1 => "1 annotation".to_owned(),
            count => format!("{count} annotations"),
        };
        let (outcome, message) = if is_switched_off(prefix) {
            let message = format!(
                "{} that Higress Console has switched off, which Higress does not read either",
                count()
            );
            (Outcome::NoEffect, message)
        } else if let Some(controller) = controller(prefix) {
            let count = count();
            match native && controller != ALIBABA {
                true => (
                    Outcome::NoEffect,
                    format!(
                        "{count} of {controller}, which ingress-nginx and Higress do not read either"
                    ),
                ),
                false => (
                    Outcome::Refused,
                    format!("{count} of {controller}, of which nothing is done here"),
                ),
            }
        } else if let Some(meant) = misspelt(prefix) {
            let message = format!("no controller reads this prefix; did you mean {meant}?");
            (Outcome::Refused, message)
        } else {
            continue;
        };
        let key = format!("{prefix}/*");
        notes.add(object, Some(&key), outcome, message);
    }
}

/// Whether Higress Console keeps settings under this prefix that it has switched off.
fn is_switched_off(prefix: &str) -> bool {
    let kept = prefix.strip_prefix("disabled.");
    kept.is_some_and(|of| [NGINX, HIGRESS].map(bare).contains(&of))
}

fn bare(prefix: &str) -> &str {
    prefix.trim_end_matches('/')
}

/// Whose a prefix is.
fn controller(prefix: &str) -> Option<&'static str> {
    let mut known = CONTROLLERS.iter();
    let found = known.find(|(domain, _)| {
        let before = prefix.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    });
    // What is below ingress.kubernetes.io, and is no one's of the list, may be ours, misspelt.
    let found = found
        .filter(|(domain, _)| *domain != "ingress.kubernetes.io" || misspelt(prefix).is_none());
    found.map(|(_, controller)| *controller)
}

/// The prefix of ours that this one nearly is.
fn misspelt(prefix: &str) -> Option<&'static str> {
    let near = |ours: &&str| {
        let ours = bare(ours);
        let most = MISSPELT.min(ours.len() / 5);
        ours.len().abs_diff(prefix.len()) <= most
            && (1..=most).contains(&strsim::damerau_levenshtein(prefix, ours))
    };
    [NGINX, HIGRESS].into_iter().find(near)
}

#[cfg(test)]
#[path = "controllers_tests.rs"]
mod tests;
