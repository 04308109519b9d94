//! A backend's certificate, where it is not just looked at for the server name.

use std::sync::Arc;

use ir::SubjectName;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Looks at where a certificate comes from, and then at whom it is for.
#[derive(Debug)]
pub(super) struct Check {
    chain: Arc<WebPkiServerVerifier>,
    names: Names,
}

/// Whom a certificate may be for.
#[derive(Debug)]
pub(super) enum Names {
    /// Anybody.
    Any,
    /// Whoever has one of these names.
    OneOf {
        /// Names that webpki looks for, wildcards of the certificate included.
        hosts: Box<[ServerName<'static>]>,
        /// Names that have to stand in the certificate to the letter.
        literal: Box<[SubjectName]>,
    },
}

impl Names {
    pub(super) fn of(names: &[SubjectName]) -> Self {
        let (mut hosts, mut literal) = (Vec::new(), Vec::new());
        for name in names {
            let host = match name {
                SubjectName::Dns(host) => ServerName::try_from(&**host).ok(),
                SubjectName::Uri(_) => None,
            };
            match host {
                Some(host) => hosts.push(host.to_owned()),
                None => literal.push(name.clone()),
            }
        }
        Self::OneOf {
            hosts: hosts.into(),
            literal: literal.into(),
        }
    }

    fn look(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let Self::OneOf { hosts, literal } = self else {
            return Ok(());
        };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let is_host = |host| verify_server_name(&parsed, host).is_ok();
        if hosts.iter().any(is_host) || has_one(certificate, literal)? {
            return Ok(());
        }
        Err(CertificateError::NotValidForName.into())
    }
}

/// Whether one of these stands among the certificate's subject alternative names.
fn has_one(certificate: &CertificateDer<'_>, literal: &[SubjectName]) -> Result<bool, Error> {
    let bad = || Error::from(CertificateError::BadEncoding);
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| bad())?;
    let alternative = parsed.subject_alternative_name().map_err(|_| bad())?;
    let mut names = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    Ok(names.any(|name| {
        literal.iter().any(|wanted| match (name, wanted) {
            (GeneralName::DNSName(name), SubjectName::Dns(wanted)) => {
                name.eq_ignore_ascii_case(wanted)
            }
            (GeneralName::URI(name), SubjectName::Uri(wanted)) => **name == **wanted,
            _ => false,
        })
    }))
}

impl Check {
    /// A check for these authorities and names.
    ///
    /// # Errors
    /// There is no authority.
    pub(super) fn new(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
        names: Names,
    ) -> Result<Self, Error> {
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let chain = chain.map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, names })
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        match self
            .chain
            .verify_server_cert(certificate, chain, name, ocsp, now)
        {
            // The server name is looked at last, once everything else is well; it is not the one that counts here.
            Ok(_)
            | Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                self.names.look(certificate)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
