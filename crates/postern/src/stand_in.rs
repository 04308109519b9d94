//! The certificate that is shown where there is no other: made at the start, self-signed, for this process alone.

use converter::StandIn;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

/// The name that it is for: nobody has it (RFC 2606).
const NAME: &str = "postern.invalid";

/// Makes one, with a key of its own. Its key is in no file and no object of the cluster.
///
/// # Errors
/// There is no randomness to be had.
pub(crate) fn make() -> Result<StandIn, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
    let name = "Postern self-signed certificate";
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok(StandIn::new(certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use api::{ObjectKey, certificate};

    #[test]
    fn it_can_be_served_and_is_another_one_each_time() {
        let options = || converter::Options {
            ingress_classes: vec![converter::Class::named("nginx")],
            stand_in: Some(super::make().unwrap()),
            ..converter::Options::default()
        };
        let ingress = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, spec: {ingressClassName: nginx, \
                       rules: [{host: a.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}}";
        let resources = api::yaml::read(ingress).into_resources();
        let key = ObjectKey::new("postern-system", "postern-default-certificate");
        let secrets = [options(), options()].map(|options| {
            let made = converter::expand(&resources, &options).generated;
            made.secrets[&key].clone()
        });
        for secret in &secrets {
            let subject = certificate::subject(&key, secret).unwrap();
            assert_eq!(subject.names, [super::NAME.into()]);
        }
        assert_ne!(secrets[0], secrets[1]);
    }
}
