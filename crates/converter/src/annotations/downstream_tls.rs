//! `auth-tls-secret`, `tls-*-protocol-version`, `ssl-cipher`: settings of a host's HTTPS listener.

use api::{ClientTls, ObjectKey, TlsVersion};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const DOWNSTREAM_TLS: Family = Family {
    name: "downstream-tls",
    keys: &[
        Key {
            name: "auth-tls-secret",
            doc: "Secret with the authority that client certificates must come from, key cacert or ca.crt: the name of the certificate's Secret followed by -cacert. Any other name refuses TLS for the host. Class nginx takes any Secret in the namespace of the host's certificate.",
            becomes: "ClientPolicy `tls.clientCertificate` on the listener of the host. Approximated: the host has no certificate, or an older Ingress of the host has this annotation too. Refused: a Secret that does not belong to the certificate, or in class nginx a host with the default certificate; every TLS handshake for the host is refused.",
        },
        Key {
            name: "tls-min-protocol-version",
            doc: "TLSv1.0 to TLSv1.3. TLSv1.0 and TLSv1.1 are raised to TLSv1.2.",
            becomes: "ClientPolicy `tls.minVersion`. Approximated: older versions than 1.2 are raised. Refused: other words, or above tls-max-protocol-version; then it is not used.",
        },
        Key {
            name: "tls-max-protocol-version",
            doc: "TLSv1.0 to TLSv1.3. TLSv1.0 and TLSv1.1 are raised to TLSv1.2.",
            becomes: "ClientPolicy `tls.maxVersion`. Approximated: older versions than 1.2 are raised. Refused: other words, or below tls-min-protocol-version; then it is not used.",
        },
        Key {
            name: "ssl-cipher",
            doc: "Cipher suites for TLS 1.2 by OpenSSL's names, separated by commas or colons. Unknown ones are left out; if none is left, only TLS 1.3 is spoken.",
            becomes: "ClientPolicy `tls.cipherSuites`. Approximated: suites that are not there are left out; or none is for the key of the host's certificate (RSA or ECDSA), so that clients of TLS 1.2 cannot connect.",
        },
    ],
    apply,
};

/// What the family asks for; it holds for the hosts of the Ingress that have a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DownstreamTls {
    /// Without client certificates.
    pub(crate) tls: ClientTls,
    /// Namespace and name, as written; `Some(None)`: not to be read as one.
    pub(crate) auth_secret: Option<Option<(Option<String>, String)>>,
    /// The annotations that say so, as they are spelled.
    pub(crate) keys: Vec<String>,
}

impl DownstreamTls {
    /// The annotation that names the Secret, as it is spelled.
    pub(crate) fn auth_key(&self) -> Option<&str> {
        self.key("/auth-tls-secret")
    }

    /// The annotation that ends so, as it is spelled.
    pub(crate) fn key(&self, end: &str) -> Option<&str> {
        let mut keys = self.keys.iter().map(String::as_str);
        keys.find(|key| key.ends_with(end))
    }
}

/// Suites that we have, as `ir` has them: this crate does not know that one.
const SUITES: &[&str] = &[
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if !DOWNSTREAM_TLS.keys.iter().any(|key| reader.has(key.name)) {
        return;
    }
    let mut tls = ClientTls::default();
    let min = version(reader, "tls-min-protocol-version", "minVersion");
    let max = version(reader, "tls-max-protocol-version", "maxVersion");
    if min > max && max.is_some() {
        let message = "tls-min-protocol-version is above tls-max-protocol-version; neither is used";
        reader.say("tls-max-protocol-version", Outcome::Refused, message);
        reader.say("tls-min-protocol-version", Outcome::Refused, message);
    } else {
        tls.min_version = min;
        tls.max_version = max;
    }
    tls.cipher_suites = ciphers(reader);
    let auth_secret = reader
        .text("auth-tls-secret")
        .map(|text| match value::object_ref(&text) {
            Ok(reference) => {
                let effect = Effect::ClientTls(|tls| tls.client_certificate.is_some());
                let (home, name) = &reference;
                let home = home.as_deref().unwrap_or(reader.namespace());
                let key = ObjectKey::new(home, &**name);
                let until = "every TLS handshake for these hosts is refused";
                let pending = reader.pending(&key, &["cacert", "ca.crt"], until);
                let message = format!("ClientPolicy tls.clientCertificate{pending}");
                reader.exact("auth-tls-secret", effect, message);
                Some(reference)
            }
            Err(why) => {
                reader.say(
                    "auth-tls-secret",
                    Outcome::Refused,
                    format!("{why}; every TLS handshake for these hosts is refused"),
                );
                None
            }
        });
    let keys = DOWNSTREAM_TLS.keys.iter();
    let keys = keys.filter_map(|key| reader.key(key.name)).collect();
    settings.downstream_tls = Some(Box::new(DownstreamTls {
        tls,
        auth_secret,
        keys,
    }));
}

fn version(reader: &mut Reader<'_>, key: &'static str, field: &str) -> Option<TlsVersion> {
    let (version, exact) = reader.parse(key, |text| match text {
        "TLSv1.3" => Ok((TlsVersion::V13, true)),
        "TLSv1.2" => Ok((TlsVersion::V12, true)),
        "TLSv1.0" | "TLSv1.1" | "TLSv1" => Ok((TlsVersion::V12, false)),
        _ => Err(format!(
            "{text:?} is none of TLSv1.0, TLSv1.1, TLSv1.2 and TLSv1.3"
        )),
    })?;
    if exact {
        let effect = match field {
            "minVersion" => Effect::ClientTls(|tls| tls.min_version.is_some()),
            _ => Effect::ClientTls(|tls| tls.max_version.is_some()),
        };
        reader.exact(key, effect, format!("ClientPolicy tls.{field}"));
    } else {
        let message = format!("ClientPolicy tls.{field} 1.2: older versions are not spoken");
        reader.say(key, Outcome::Approximated, message);
    }
    Some(version)
}

fn ciphers(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let text = reader.text("ssl-cipher")?;
    let named = text
        .split([',', ':'])
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let (known, unknown): (Vec<&str>, Vec<&str>) = named.partition(|name| SUITES.contains(name));
    if unknown.is_empty() && !known.is_empty() {
        let effect = Effect::ClientTls(|tls| tls.cipher_suites.is_some());
        reader.exact("ssl-cipher", effect, "ClientPolicy tls.cipherSuites");
    } else if known.is_empty() {
        let message = "none of these suites is there; only TLS 1.3 is spoken";
        reader.say("ssl-cipher", Outcome::Approximated, message);
    } else {
        let message = format!(
            "ClientPolicy tls.cipherSuites, without {}, which are not there",
            unknown.join(", ")
        );
        reader.say("ssl-cipher", Outcome::Approximated, message);
    }
    Some(known.into_iter().map(str::to_owned).collect())
}
