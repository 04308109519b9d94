//! Certificates and authorities as rustls has them.

use ir::Authorities;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// The certificates of a text in PEM.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// A store of these authorities alone.
pub(crate) fn roots(authorities: &Authorities) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&authorities.pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}
