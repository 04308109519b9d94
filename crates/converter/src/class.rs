//! Classes of Ingresses: which are ours, and whose rules each has.

use std::{collections::BTreeMap, fmt, str::FromStr};

use api::{ObjectKey, Store};
use k8s_openapi::api::networking::v1::IngressClass;
use serde::Serialize;

use crate::profile::Profile;

/// A class of Ingresses that is ours. As text: `NAME`, `NAME=nginx` or `NAME=higress`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Whose rules its Ingresses have. Without: those of the controller that its IngressClass names, if it is known;
    /// else ingress-nginx' for the name `nginx`, and Higress' for every other one.
    pub profile: Option<Profile>,
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, profile) = match text.split_once('=') {
            None => (text, None),
            Some((name, "nginx")) => (name, Some(Profile::Nginx)),
            Some((name, "higress")) => (name, Some(Profile::Higress)),
            Some((_, other)) => {
                return Err(format!(
                    "{other:?} is no set of rules: give NAME, NAME=nginx or NAME=higress"
                ));
            }
        };
        if name.is_empty() {
            return Err("give NAME, NAME=nginx or NAME=higress".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            profile,
        })
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.profile {
            None => Ok(()),
            Some(Profile::Nginx) => f.write_str("=nginx"),
            Some(Profile::Higress) => f.write_str("=higress"),
        }
    }
}

/// What is known of a class of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    /// The class is one of ingress-nginx or Higress: its Ingresses were written for these. Otherwise they may have been
    /// written for any controller.
    pub(crate) native: bool,
}

impl Class {
    /// A class of that name, of which nothing is said.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            profile: None,
        }
    }

    /// Whose rules the class has, as these objects say.
    pub(crate) fn rules(&self, all: &Store<IngressClass>) -> Rules {
        let key = ObjectKey::new("", &self.name);
        let class = all.get(&key);
        let controller = class.and_then(|class| class.spec.as_ref()?.controller.as_deref());
        let of_controller = controller.and_then(of_controller);
        let of_name = match self.name.as_str() {
            "nginx" => Some(Profile::Nginx),
            "higress" | "mse" => Some(Profile::Higress),
            _ => None,
        };
        let known = self.profile.or(of_controller).or(of_name);
        Rules {
            profile: known.unwrap_or(Profile::Higress),
            native: known.is_some(),
        }
    }
}

/// Whose rules a controller has, by the name that an IngressClass gives. A second ingress-nginx in a cluster is to be
/// called `k8s.io/internal-ingress-nginx` or alike, by its documentation; AKS runs it under a name of its own.
fn of_controller(controller: &str) -> Option<Profile> {
    let (domain, name) = controller.split_once('/')?;
    match domain {
        "k8s.io" if name.contains("ingress-nginx") => Some(Profile::Nginx),
        "webapprouting.kubernetes.azure.com" if name.starts_with("nginx") => Some(Profile::Nginx),
        "higress.io" | "mse.alibabacloud.com" => Some(Profile::Higress),
        _ => None,
    }
}

/// How many Ingresses are not ours, by class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// By the class that they name.
    pub by_class: BTreeMap<String, usize>,
    /// Those that name no class, while none of ours is the default one.
    pub without_class: usize,
}

impl LeftOut {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_class.values().sum::<usize>() + self.without_class
    }
}

#[cfg(test)]
#[path = "class_tests.rs"]
mod tests;
