//! The certificate that hosts show which have none of their own, where their class has HTTPS for every host.

use std::{fmt, sync::Arc};

use api::{
    ObjectKey,
    certificate::{self, CHAIN, KEY},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use tracked::View;

use crate::{Options, emit::generated};

/// Name of the Secret in the Gateway's namespace that is looked for where none is named.
const WELL_KNOWN: &str = "postern-default-certificate";

/// A certificate that is shown while the default one is not there: one that the process made for itself.
#[derive(Clone, PartialEq)]
pub struct StandIn(Arc<Secret>);

impl StandIn {
    /// A chain and its key, as PEM.
    #[must_use]
    pub fn new(chain: String, key: String) -> Self {
        let value = |name: &str, text: String| (name.to_owned(), ByteString(text.into_bytes()));
        Self(Arc::new(Secret {
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some([value(CHAIN, chain), value(KEY, key)].into()),
            ..Secret::default()
        }))
    }
}

impl Eq for StandIn {}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandIn([redacted])")
    }
}

/// Which Secrets listeners refer to for the default certificate.
#[derive(Debug, Clone)]
pub(crate) struct DefaultCertificate {
    /// The Secret, and its namespace, in which those listeners stand.
    pub(crate) secret: ObjectKey,
    /// The Secret that is shown while that one is not there, or cannot be used.
    pub(crate) instead: Option<ObjectKey>,
    /// Made by the process, under that name.
    stand_in: Option<StandIn>,
}

impl PartialEq for DefaultCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret && self.instead == other.instead
    }
}

/// The name of the Secret with the default certificate.
#[must_use]
pub fn default_certificate(options: &Options) -> ObjectKey {
    let named = options.default_certificate.clone();
    named.unwrap_or_else(|| ObjectKey::new(&options.gateway.namespace, WELL_KNOWN))
}

impl DefaultCertificate {
    /// What there is of it. Where none is named and there is none, the stand-in takes its place without a word in
    /// conditions; the condition of a listener says what is wrong otherwise.
    pub(crate) fn find(view: &View<'_>, options: &Options) -> Self {
        let secret = default_certificate(options);
        let found = view.get(&secret);
        let usable = found.is_some_and(|found| certificate::subject(&secret, found).is_ok());
        let stand_in = options.stand_in.clone().filter(|_| !usable);
        let instead = stand_in.as_ref().map(|_| {
            if options.default_certificate.is_none() && found.is_none() {
                secret.clone()
            } else {
                ObjectKey::new(&secret.namespace, format!("{}-stand-in", secret.name))
            }
        });
        Self {
            secret,
            instead,
            stand_in,
        }
    }

    /// Names of the Secrets that a listener refers to.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let instead = self.instead.as_ref();
        let instead = instead.filter(|instead| **instead != self.secret);
        [&self.secret]
            .into_iter()
            .chain(instead)
            .map(|key| &*key.name)
    }

    /// The Secret that the process made, as an object.
    pub(crate) fn object(&self) -> Option<Secret> {
        let (StandIn(secret), key) = (self.stand_in.as_ref()?, self.instead.as_ref()?);
        Some(Secret {
            metadata: generated(&key.namespace, &key.name, None),
            ..Secret::clone(secret)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StandIn;

    #[test]
    fn a_key_is_never_shown() {
        let made = StandIn::new("CHAIN".to_owned(), "PRIVATE".to_owned());
        assert_eq!(format!("{made:?}"), "StandIn([redacted])");
    }
}
