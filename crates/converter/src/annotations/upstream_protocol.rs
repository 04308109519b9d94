//! `backend-protocol`.

use api::{BackendProtocol, BackendTls, BackendTlsMode};

use super::{Effect, Family, Key, Reader, Settings};
use crate::profile::Profile;

/// See [`Family`].
pub(super) const UPSTREAM_PROTOCOL: Family = Family {
    name: "upstream-protocol",
    keys: &[Key {
        name: "backend-protocol",
        doc: "HTTP, HTTP2, HTTPS, GRPC or GRPCS towards the backend. HTTPS and GRPCS encrypt and do not verify, unless proxy-ssl-secret is set. Default: what the name or appProtocol of the Service's port says, else HTTP. In class nginx: HTTP whatever the port says, and no HTTP2.",
        becomes: "BackendPolicy `protocol` and `tls.mode`. Refused: other values; then the default counts.",
    }],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let profile = reader.profile();
    let Some((protocol, encrypted)) = reader.parse("backend-protocol", |text| parse(text, profile))
    else {
        return;
    };
    let policy = settings.backend_policy_mut();
    policy.protocol = Some(protocol);
    policy.tls = Some(BackendTls {
        mode: if encrypted {
            BackendTlsMode::Unverified
        } else {
            BackendTlsMode::Off
        },
        ..BackendTls::default()
    });
    let protocol = match protocol {
        BackendProtocol::HTTP1 => "HTTP1",
        BackendProtocol::HTTP2 => "HTTP2",
    };
    let tls = match encrypted {
        false => "",
        true if reader.has("proxy-ssl-secret") => " and tls, which proxy-ssl-secret is about",
        true => ", tls.mode Unverified: encrypted, and the backend's certificate is not looked at",
    };
    let message = format!("BackendPolicy protocol {protocol}{tls}");
    let effect = Effect::BackendPolicy(|policy| policy.protocol.is_some());
    reader.exact("backend-protocol", effect, message);
}

fn parse(text: &str, profile: Profile) -> Result<(BackendProtocol, bool), String> {
    use BackendProtocol::{HTTP1, HTTP2};
    match text.to_ascii_uppercase().as_str() {
        "HTTP" => Ok((HTTP1, false)),
        "HTTPS" => Ok((HTTP1, true)),
        "HTTP2" if profile == Profile::Nginx => Err(format!(
            "{text:?} is no protocol of ingress-nginx, which speaks HTTP/1.1 then; GRPC is HTTP/2 without TLS"
        )),
        "HTTP2" | "GRPC" => Ok((HTTP2, false)),
        "GRPCS" => Ok((HTTP2, true)),
        "FCGI" => {
            let message = "FastCGI is not spoken: put a server for it in front of the backend";
            Err(message.to_owned())
        }
        "AUTO_HTTP" => {
            let message =
                "the scheme of the client does not choose that of the backend: write HTTP or HTTPS";
            Err(message.to_owned())
        }
        _ => Err(format!(
            "{text:?} is none of HTTP, HTTP2, HTTPS, GRPC and GRPCS"
        )),
    }
}
