//! Keys of ingress-nginx for what there is no word for here: by name, and why. Nothing is lost without a line that says
//! so.

use super::{Effect, Family, Reader, Settings};
use crate::note::Outcome;

mod keys;

/// See [`Family`].
pub(super) const OUT_OF_SCOPE: Family = Family {
    name: "out-of-scope",
    keys: keys::KEYS,
    apply,
};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It tunes nginx, or nginx does not read it any more; nothing that a client or backend could tell is missing.
    NoEffect,
    /// A client, a backend or whoever operates them can tell.
    Differs,
    /// Less is let in than was asked for.
    Stricter,
    /// Something is lost.
    Lost,
    /// It keeps somebody out, and that cannot be done: nobody is let in.
    Closed,
}

/// A key, the values that ask for nothing, and what is said about the others.
struct Foreign {
    name: &'static str,
    idle: &'static [&'static str],
    verdict: Verdict,
    why: &'static str,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    for foreign in keys::FOREIGN {
        let Some(text) = reader.text(foreign.name) else {
            continue;
        };
        if foreign.idle.contains(&text.as_str()) {
            reader.exact(foreign.name, Effect::Default, "as it is here anyway");
            continue;
        }
        match foreign.verdict {
            Verdict::NoEffect => {
                reader.say(foreign.name, Outcome::NoEffect, foreign.why);
            }
            Verdict::Differs => reader.say(foreign.name, Outcome::Approximated, foreign.why),
            Verdict::Stricter => {
                let message = format!("stricter here: {}", foreign.why);
                reader.say(foreign.name, Outcome::Approximated, message);
            }
            Verdict::Lost => reader.say(foreign.name, Outcome::Refused, foreign.why),
            // Whom a canary lets in is for its base to say.
            Verdict::Closed if settings.canary.is_some() => {
                let message = "a canary has the settings of its base; this one is not used";
                reader.say(foreign.name, Outcome::NoEffect, message);
            }
            Verdict::Closed => {
                let message = format!(
                    "{}; nobody is let in until the annotation is gone",
                    foreign.why
                );
                reader.say(foreign.name, Outcome::Refused, message);
                settings.close();
            }
        }
    }
    if reader
        .text("auth-tls-pass-certificate-to-upstream")
        .as_deref()
        == Some("true")
    {
        hide_certificates(settings);
    }
}

/// What ingress-nginx tells backends about a client's certificate. A backend that believes it must not hear it from
/// clients.
const CERTIFICATE: [&str; 4] = [
    "ssl-client-cert",
    "ssl-client-verify",
    "ssl-client-subject-dn",
    "ssl-client-issuer-dn",
];

fn hide_certificates(settings: &mut Settings) {
    let remove = &mut settings.request_headers.remove;
    let missing: Vec<_> = CERTIFICATE
        .iter()
        .filter(|name| !remove.iter().any(|known| known == *name))
        .map(|name| (*name).to_owned())
        .collect();
    // Gateway API takes no more than sixteen.
    if remove.len() + missing.len() > 16 {
        return settings.close();
    }
    remove.extend(missing);
}
