//! `proxy-ssl-*`.

use api::{BackendPolicySpec, BackendTls, BackendTlsMode, ObjectKey, SecretRef};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const UPSTREAM_TLS: Family = Family {
    name: "upstream-tls",
    keys: &[
        Key {
            name: "proxy-ssl-secret",
            doc: "Secret (namespace/name) with the certificate that is shown to the backend, and the authorities that the backend's must come from; turns TLS on by itself, except in class nginx, where backend-protocol has to be HTTPS or GRPCS.",
            becomes: "BackendPolicy `tls.clientCertificateRef` and `tls.caCertificateRef`, mode VerifiedChain, or Verified with proxy-ssl-name. No effect: in class nginx, without TLS to the backend. Approximated: in class nginx, without proxy-ssl-verify, whose default is off there: the backend is verified. Refused: no name of a Secret; no request reaches the backend.",
        },
        Key {
            name: "proxy-ssl-name",
            doc: "Name that is sent to the backend, and that its certificate must be for. Default: the Host that it is sent, unchecked.",
            becomes: "BackendPolicy `tls.hostname`. No effect: without TLS to the backend it has no meaning. Refused: not a host name.",
        },
        Key {
            name: "proxy-ssl-server-name",
            doc: "off: no name is sent in the TLS handshake with the backend. Default on.",
            becomes: "BackendPolicy `tls.omitServerName`. No effect: without TLS to the backend it has no meaning. Refused: neither on nor off.",
        },
        Key {
            name: "proxy-ssl-verify",
            doc: "off: the backend's certificate is not looked at. Default on, with proxy-ssl-secret.",
            becomes: "BackendPolicy `tls.mode`: Unverified for off. No effect: without TLS to the backend it has no meaning. Approximated: without proxy-ssl-secret there is nobody to verify by, and it is Unverified.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let secret = reader.parse("proxy-ssl-secret", secret);
    let broken = secret.is_none() && reader.has("proxy-ssl-secret");
    let policy = settings.backend_policy.as_ref();
    let tls = policy.and_then(|policy| policy.tls.as_ref());
    let encrypted = tls.is_some_and(|tls| tls.mode != BackendTlsMode::Off);
    if !encrypted && !reader.profile().secret_means_tls() {
        if broken {
            settings.deny();
        }
        for key in UPSTREAM_TLS.keys {
            reader.pointless(key.name, "backend-protocol HTTPS or GRPCS");
        }
        return;
    }
    if secret.is_none() && !broken && !encrypted {
        for key in [
            "proxy-ssl-name",
            "proxy-ssl-server-name",
            "proxy-ssl-verify",
        ] {
            reader.pointless(key, "proxy-ssl-secret or backend-protocol HTTPS");
        }
        return;
    }
    let name = reader.parse("proxy-ssl-name", value::precise_hostname);
    let mut tls = match &secret {
        Some(reference) => verified(reader, reference, name.is_some()),
        // A Secret that cannot be named must not become a connection that nobody has looked at.
        None if broken => BackendTls {
            mode: BackendTlsMode::Verified,
            ca_certificate_ref: Some(SecretRef {
                name: "proxy-ssl-secret-refused".to_owned(),
                namespace: None,
            }),
            ..BackendTls::default()
        },
        None => {
            reader.say(
                "proxy-ssl-verify",
                Outcome::Approximated,
                "without proxy-ssl-secret there is nobody to verify by",
            );
            BackendTls {
                mode: BackendTlsMode::Unverified,
                ..BackendTls::default()
            }
        }
    };
    if let Some(name) = name {
        tls.hostname = Some(name);
        let effect = Effect::BackendPolicy(|policy| has(policy, |tls| tls.hostname.is_some()));
        reader.exact("proxy-ssl-name", effect, "BackendPolicy tls.hostname");
    }
    if let Some(sent) = reader.parse("proxy-ssl-server-name", value::on_off) {
        tls.omit_server_name = !sent;
        let effect = if sent {
            Effect::Default
        } else {
            Effect::BackendPolicy(|policy| has(policy, |tls| tls.omit_server_name))
        };
        let message = "BackendPolicy tls.omitServerName";
        reader.exact("proxy-ssl-server-name", effect, message);
    }
    settings.backend_policy_mut().tls = Some(tls);
}

/// TLS with the Secret of the annotation: shown, and verified by.
fn verified(reader: &mut Reader<'_>, reference: &SecretRef, named: bool) -> BackendTls {
    let verify = reader.parse("proxy-ssl-verify", value::on_off);
    let effect =
        Effect::BackendPolicy(|policy| has(policy, |tls| tls.client_certificate_ref.is_some()));
    let becomes = match verify {
        Some(false) => "BackendPolicy tls.clientCertificateRef",
        _ => "BackendPolicy tls.clientCertificateRef and tls.caCertificateRef",
    };
    let mode = match named {
        true => BackendTlsMode::Verified,
        false => BackendTlsMode::VerifiedChain,
    };
    let home = reference.namespace.as_deref();
    let key = ObjectKey::new(home.unwrap_or(reader.namespace()), &*reference.name);
    let pending = reader.pending(&key, &["tls.crt"], "no request gets to the backends");
    match verify {
        None if !reader.profile().secret_means_tls() => {
            let message = format!(
                "{becomes}; the backend's certificate is verified, as ingress-nginx does only where proxy-ssl-verify is on{pending}"
            );
            reader.close_to("proxy-ssl-secret", effect, message);
        }
        _ => reader.exact("proxy-ssl-secret", effect, format!("{becomes}{pending}")),
    }
    if let Some(verify) = verify {
        let effect = if verify {
            Effect::Default
        } else {
            Effect::BackendPolicy(|policy| {
                has(policy, |tls| tls.mode == BackendTlsMode::Unverified)
            })
        };
        let word = match (verify, named) {
            (false, _) => "Unverified",
            (true, true) => "Verified",
            (true, false) => "VerifiedChain",
        };
        let message = format!("BackendPolicy tls.mode {word}");
        reader.exact("proxy-ssl-verify", effect, message);
    }
    if verify == Some(false) {
        return BackendTls {
            mode: BackendTlsMode::Unverified,
            client_certificate_ref: Some(reference.clone()),
            ..BackendTls::default()
        };
    }
    BackendTls {
        mode,
        client_certificate_ref: Some(reference.clone()),
        ca_certificate_ref: Some(reference.clone()),
        ..BackendTls::default()
    }
}

fn has(policy: &BackendPolicySpec, is: fn(&BackendTls) -> bool) -> bool {
    policy.tls.as_ref().is_some_and(is)
}

/// `name` or `namespace/name`.
fn secret(text: &str) -> Result<SecretRef, String> {
    value::object_ref(text).map(|(namespace, name)| SecretRef { name, namespace })
}
