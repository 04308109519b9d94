use std::sync::Arc;

use api::{Object, ObjectKey, Resources};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use testkit::certs::{Ca, self_signed};
use tracked::View;

use super::{CertificateError, Certificates, KeyFamily, Memo};

fn secret(crt: &str, key: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some("s".to_owned());
    secret.metadata.namespace = Some("default".to_owned());
    let data = [("tls.crt", crt), ("tls.key", key)];
    secret.data = Some(
        data.into_iter()
            .map(|(name, text)| (name.to_owned(), ByteString(text.into())))
            .collect(),
    );
    secret
}

fn read(secret: Secret) -> super::Outcome {
    let mut resources = Resources::default();
    resources.insert(Object::from(secret));
    Certificates::new(&View::new(&resources), &mut Memo::default())
        .get(&ObjectKey::new("default", "s"))
}

#[test]
fn chains_and_names() {
    let ca = Ca::new("test");
    let issued = ca.issue(&["A.example.com", "*.b.example.com", "127.0.0.1"]);
    let chain = format!("{}{}", issued.cert_pem, ca.pem());
    let (certificate, family) = read(secret(&chain, &issued.key_pem)).unwrap();
    assert_eq!(family, KeyFamily::Ecdsa);
    assert_eq!(
        certificate.names,
        ["a.example.com".into(), "*.b.example.com".into()]
    );
    assert_eq!(&*certificate.source, "Secret/default/s");
    assert_eq!(&*certificate.chain, chain);
    assert!(!format!("{certificate:?}").contains("PRIVATE"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (a, b) = (self_signed(&["a.com"]), self_signed(&["b.com"]));
    let ca = Ca::new("test");
    let reversed = format!("{}{}", ca.pem(), a.cert_pem);
    let half = &a.cert_pem[..a.cert_pem.len() / 2];
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let pem = |name| matches!(name, "tls.crt" | "tls.key");
    for (crt, key, fits) in [
        (&*a.cert_pem, &*b.key_pem, "key"),
        (&*reversed, &*a.key_pem, "key"),
        (half, &*a.key_pem, "pem"),
        ("", &*a.key_pem, "pem"),
        (&*a.cert_pem, "", "pem"),
        (&*a.cert_pem, &*a.cert_pem, "pem"),
        (not_der, &*a.key_pem, "certificate"),
    ] {
        let error = read(secret(crt, key)).unwrap_err();
        let got = match &error {
            CertificateError::Key(..) => "key",
            CertificateError::Pem(_, name, _) if pem(name) => "pem",
            CertificateError::Certificate(..) => "certificate",
            _ => "other",
        };
        assert_eq!(got, fits, "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    let mut without_key = secret(&a.cert_pem, &a.key_pem);
    without_key.data.as_mut().unwrap().remove("tls.key");
    let key = ObjectKey::new("default", "s");
    let missing = CertificateError::Missing(key, "tls.key");
    assert_eq!(read(without_key).unwrap_err(), missing);
}

#[test]
fn a_secret_is_read_again_only_when_it_changes() {
    let issued = self_signed(&["a.com"]);
    let key = ObjectKey::new("default", "s");
    let mut memo = Memo::default();
    let mut resources = Resources::default();
    resources.insert(Object::from(secret(&issued.cert_pem, &issued.key_pem)));
    let mut get =
        |resources: &Resources| Certificates::new(&View::new(resources), &mut memo).get(&key);
    let (first, _) = get(&resources).unwrap();
    let (second, _) = get(&resources).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let other = self_signed(&["b.com"]);
    resources.insert(Object::from(secret(&other.cert_pem, &other.key_pem)));
    let (third, _) = get(&resources).unwrap();
    assert_eq!(third.names, ["b.com".into()]);
    resources.secrets.clear();
    let gone = get(&resources).unwrap_err();
    assert_eq!(gone, CertificateError::NotFound(key));
}
