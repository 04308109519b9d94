//! TLS that listeners terminate, and TLS towards backends.

use std::sync::Arc;

use serde::Serialize;

use crate::Redacted;

/// A certificate chain and its key, checked to belong together before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Where it comes from, as `Secret/namespace/name`.
    pub source: Arc<str>,
    /// DNS names it is valid for, lower case, wildcards as written.
    pub names: Vec<Box<str>>,
    /// PEM chain, leaf first.
    #[serde(skip_serializing)]
    pub chain: Arc<str>,
    /// PEM private key.
    pub key: Redacted<Arc<str>>,
}

/// How a listener answers a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsTermination {
    /// At least one; the first whose names cover the SNI is served, else the first.
    pub certificates: Vec<Arc<Certificate>>,
    /// Versions that are spoken.
    #[serde(skip_serializing_if = "is_default")]
    pub versions: TlsVersions,
    /// Cipher suites for TLS 1.2, in order of preference; `None` is every one we have, an empty list leaves TLS 1.3
    /// alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphers: Option<Vec<CipherSuite>>,
    /// Whether clients have to show a certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub clients: ClientAuth,
}

impl TlsTermination {
    /// Whether a request for this listener may come on a connection whose handshake `other` has answered: neither asks
    /// clients for certificates, and this one restricts versions and suites no further. Certificates do not count.
    #[must_use]
    pub fn takes_over(&self, other: &Self) -> bool {
        let anybody = |tls: &Self| tls.clients == ClientAuth::None;
        let versions = self.versions == TlsVersions::All || self.versions == other.versions;
        let ciphers = self.ciphers.is_none() || self.ciphers == other.ciphers;
        anybody(self) && anybody(other) && versions && ciphers
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// TLS versions that are spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    All,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// Cipher suites for TLS 1.2 that we have: those with forward secrecy and authenticated encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum CipherSuite {
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`
    EcdsaAes128,
    /// `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`
    EcdsaAes256,
    /// `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256`
    EcdsaChacha20,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`
    RsaAes128,
    /// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384`
    RsaAes256,
    /// `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256`
    RsaChacha20,
}

impl CipherSuite {
    /// Every suite, with the names that OpenSSL and IANA have for it.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (
            Self::EcdsaAes128,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            Self::EcdsaAes256,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            Self::EcdsaChacha20,
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (
            Self::RsaAes128,
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            Self::RsaAes256,
            "ECDHE-RSA-AES256-GCM-SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            Self::RsaChacha20,
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
    ];

    /// OpenSSL's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        let found = all.find(|(suite, _, _)| *suite == self);
        found.map_or("", |(_, openssl, _)| openssl)
    }

    /// The suite of an OpenSSL or IANA name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, openssl, iana)| *openssl == name || *iana == name)
            .map(|(suite, _, _)| *suite)
    }
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    None,
    /// One that chains to these authorities.
    Required(Authorities),
    /// None, or one that chains to these authorities.
    Optional(Authorities),
    /// They are asked for one, and let in whatever they show: whoever reads it has to judge it.
    Requested,
    /// What was asked for cannot be honoured: every handshake fails, rather than letting in whom nobody has looked at.
    Refuse,
}

/// Certificate authorities, checked to be such before they get here; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Authorities {
    /// Where they come from, as `Secret/namespace/name`.
    pub source: Arc<str>,
    /// PEM certificates.
    #[serde(skip_serializing)]
    pub pem: Arc<str>,
}

/// TLS towards a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpstreamTls {
    /// The server name that is sent, and that the backend's certificate must be for where [`Verify`] asks for one and
    /// there are no other `names`.
    pub name: UpstreamName,
    /// Whether the server name is sent at all.
    pub send_name: bool,
    /// Whom the backend's certificate must come from.
    pub verify: Verify,
    /// Names of which the backend's certificate must have one, in the place of the server name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<SubjectName>,
    /// What is shown to a backend that asks for a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Arc<Certificate>>,
}

/// Which name a backend is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UpstreamName {
    /// The `Host` that it is sent.
    Host,
    /// This one.
    Fixed(Box<str>),
}

/// A name that a backend's certificate may have among its subject alternative names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SubjectName {
    /// A DNS name, lower case, as a certificate for it or for a wildcard over it has it. One that is a wildcard itself
    /// is had by a certificate for that very wildcard alone.
    Dns(Box<str>),
    /// A URI, to the letter.
    Uri(Box<str>),
}

/// How a backend's certificate is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verify {
    /// Not at all: the connection is encrypted, and whoever answers is believed.
    No,
    /// It must chain to these authorities, and be for the name.
    Authorities(Authorities),
    /// It must chain to these authorities, whatever its name.
    Chain(Authorities),
    /// It must chain to an authority that the system trusts, and be for the name.
    System,
}
