//! `auth-type`, `auth-secret`, `auth-secret-type`, `auth-realm`: user name and password.

use api::{BasicAuth, BasicAuthFormat, ObjectKey, RoutePolicySpec, SecretRef};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const AUTH: Family = Family {
    name: "auth",
    keys: &[
        Key {
            name: "auth-type",
            doc: "basic: clients have to give user name and password; others are answered with 401. Anything else, digest and an empty value too, lets nobody in. In class nginx the backend does not get the password, and where nobody is let in the answer is 503.",
            becomes: "RoutePolicy `basicAuth`. Refused: digest and whatever else is not basic; nobody is let in.",
        },
        Key {
            name: "auth-secret",
            doc: "Secret (name or namespace/name) with users and hashed passwords. One that cannot be used lets nobody in.",
            becomes: "RoutePolicy `basicAuth.secretRef`. Approximated: a Secret of another namespace needs a ReferenceGrant there, and until then nobody is let in. Refused: what names no Secret, or stands without auth-type; nobody is let in.",
        },
        Key {
            name: "auth-secret-type",
            doc: "auth-file: the key auth of the Secret holds a file as htpasswd writes it; auth-map: each key is a user. Default auth-file.",
            becomes: "RoutePolicy `basicAuth.format`. No effect: without auth-type it has no meaning. Refused: anything but auth-file and auth-map; nobody is let in.",
        },
        Key {
            name: "auth-realm",
            doc: "Realm that the prompt for a password shows. Default Authentication Required.",
            becomes: "RoutePolicy `basicAuth.realm`. No effect: without auth-type it has no meaning. Refused: what no header can hold; the default is shown.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let Some(kind) = reader.text("auth-type") else {
        if reader.has("auth-secret") {
            let message = "without auth-type nobody knows what it is for; nobody is let in: set auth-type: basic, or take it away";
            reader.say("auth-secret", Outcome::Refused, message);
            settings.deny();
        }
        for key in ["auth-secret-type", "auth-realm"] {
            reader.pointless(key, "auth-type: basic");
        }
        return;
    };
    if kind != "basic" {
        let message = match kind.as_str() {
            "digest" => "digest is not spoken: it needs passwords that anybody can read; nobody is let in: use basic, over HTTPS".to_owned(),
            other => format!("{other:?} is not basic; nobody is let in"),
        };
        reader.say("auth-type", Outcome::Refused, message);
        for key in ["auth-secret", "auth-secret-type", "auth-realm"] {
            reader.say(
                key,
                Outcome::Refused,
                "auth-type cannot be honoured; nobody is let in",
            );
        }
        return settings.deny();
    }
    match basic(reader) {
        Ok(auth) => {
            reader.exact(
                "auth-type",
                Effect::RoutePolicy(asks),
                "RoutePolicy basicAuth",
            );
            settings.route_policy_mut().basic_auth = Some(auth);
        }
        Err(key) => {
            let message = format!("{key} cannot be honoured; nobody is let in");
            for other in ["auth-type", "auth-secret", "auth-realm"] {
                if other != key {
                    reader.say(other, Outcome::Refused, message.as_str());
                }
            }
            settings.deny();
        }
    }
}

const SECRET: &str = "RoutePolicy basicAuth.secretRef";

/// Whether clients are asked for name and password.
fn asks(policy: &RoutePolicySpec) -> bool {
    policy.basic_auth.is_some()
}

/// A RoutePolicy's `basicAuth`, or the annotation that is in the way.
fn basic(reader: &mut Reader<'_>) -> Result<BasicAuth, &'static str> {
    let (namespace, name) = reader
        .parse("auth-secret", value::object_ref)
        .ok_or("auth-secret")?;
    let mut auth = BasicAuth {
        secret_ref: SecretRef {
            name,
            namespace: None,
        },
        format: BasicAuthFormat::File,
        realm: None,
        forward_authorization: reader.profile().forwards_authorization(),
    };
    auth.secret_ref.namespace = namespace.filter(|namespace| *namespace != reader.namespace());
    let format = |text: &str| match text {
        "auth-file" | "" => Ok(BasicAuthFormat::File),
        "auth-map" => Ok(BasicAuthFormat::Map),
        other => Err(format!(
            "{other:?} is neither auth-file nor auth-map; nobody is let in"
        )),
    };
    if reader.has("auth-secret-type") {
        auth.format = reader
            .parse("auth-secret-type", format)
            .ok_or("auth-secret-type")?;
        let effect = match auth.format {
            BasicAuthFormat::File => Effect::Default,
            BasicAuthFormat::Map => Effect::RoutePolicy(asks),
        };
        let message = "RoutePolicy basicAuth.format";
        reader.exact("auth-secret-type", effect, message);
    }
    let realm = |text: &str| match value::header_value(text) {
        Ok(realm) if realm.len() <= 256 => Ok(realm),
        _ => Err(format!(
            "{text:?} is no header's value of up to 256 bytes; the default is shown"
        )),
    };
    secret_says(reader, &auth);
    if let Some(realm) = reader
        .parse("auth-realm", realm)
        .filter(|realm| !realm.is_empty())
    {
        auth.realm = Some(realm);
        let message = "RoutePolicy basicAuth.realm";
        reader.exact("auth-realm", Effect::RoutePolicy(asks), message);
    }
    Ok(auth)
}

/// Says what becomes of `auth-secret`. The Secret may come later, as where the annotation comes from.
fn secret_says(reader: &mut Reader<'_>, auth: &BasicAuth) {
    let effect = Effect::RoutePolicy(asks);
    if let Some(namespace) = &auth.secret_ref.namespace {
        let message = format!(
            "{SECRET}; a ReferenceGrant in namespace {namespace} has to let RoutePolicies of namespace {} use the Secret, and until then nobody is let in",
            reader.namespace()
        );
        return reader.close_to("auth-secret", effect, message);
    }
    let key = ObjectKey::new(reader.namespace(), &*auth.secret_ref.name);
    let entries: &[&str] = match auth.format {
        BasicAuthFormat::File => &["auth"],
        BasicAuthFormat::Map => &[],
    };
    let pending = reader.pending(&key, entries, "no request is let in");
    reader.exact("auth-secret", effect, format!("{SECRET}{pending}"));
}
