//! `affinity`, `session-cookie-*`.

use api::{BackendPolicySpec, SameSite, SessionCookie, SessionMode, SessionScope};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{effect::Written, note::Outcome, profile, value};

/// See [`Family`].
pub(super) const AFFINITY: Family = Family {
    name: "affinity",
    keys: &[
        Key {
            name: "affinity",
            doc: "cookie: a cookie ties a client to an endpoint; wins over the other two. A value that another Service or the application made stays, and leads to the same endpoint as long as the endpoints are the same.",
            becomes: "BackendPolicy `sessionCookie`. Approximated: in class nginx, a path that is an expression without session-cookie-path; the cookie is for the whole host, where ingress-nginx sends one that browsers do not send back. Refused: anything but cookie; then there is no affinity.",
        },
        Key {
            name: "affinity-mode",
            doc: "balanced: an endpoint that comes takes its share of the clients. persistent: a client stays with its endpoint for as long as that is there. Default balanced in class nginx; in the others a client always stays.",
            becomes: "BackendPolicy `sessionCookie.mode`; nothing of its own where the class is not nginx. Refused: other words.",
        },
        Key {
            name: "session-cookie-name",
            doc: "Name of the affinity cookie. Default INGRESSCOOKIE.",
            becomes: "BackendPolicy `sessionCookie.name`. Refused: no cookie's name; then the default counts.",
        },
        Key {
            name: "session-cookie-path",
            doc: "Path of the affinity cookie. Default: in class nginx the path that was matched, in the others /.",
            becomes: "BackendPolicy `sessionCookie.path`. Refused: characters that fit into no cookie.",
        },
        Key {
            name: "session-cookie-max-age",
            doc: "Lifetime of the affinity cookie in seconds. Default: the browser's session.",
            becomes: "BackendPolicy `sessionCookie.maxAge`. Refused: not a whole number above 0.",
        },
        Key {
            name: "session-cookie-expires",
            doc: "Lifetime of the affinity cookie in seconds, as a date: the attribute Expires. Where the class is not nginx it is a Max-Age, if session-cookie-max-age is absent.",
            becomes: "BackendPolicy `sessionCookie.expires`, or `sessionCookie.maxAge`. No effect: session-cookie-max-age is set and the class is not nginx. Refused: not a whole number above 0, or more than 4,294,967,295.",
        },
        Key {
            name: "session-cookie-domain",
            doc: "Domain of the affinity cookie. Default: the host that was asked.",
            becomes: "BackendPolicy `sessionCookie.domain`. Refused: characters that fit into no cookie.",
        },
        Key {
            name: "session-cookie-samesite",
            doc: "SameSite of the affinity cookie: Strict, Lax or None.",
            becomes: "BackendPolicy `sessionCookie.sameSite`. Refused: other words.",
        },
        Key {
            name: "session-cookie-conditional-samesite-none",
            doc: "true: SameSite=None is left out for browsers that are known to misread it. Default false.",
            becomes: "BackendPolicy `sessionCookie.unlessMisread`. No effect: session-cookie-samesite is not None. Refused: neither true nor false.",
        },
        Key {
            name: "session-cookie-secure",
            doc: "true: the affinity cookie is always Secure, so that browsers send it over TLS only. false, the default: it is over https in class nginx, and with SameSite=None in every class.",
            becomes: "BackendPolicy `sessionCookie.secure` and `secureOverHTTPS`. Refused: neither true nor false.",
        },
        Key {
            name: "session-cookie-change-on-failure",
            doc: "true: a client whose endpoint is there and fails is led to another one, and gets another cookie. false: it stays, and each attempt goes to its endpoint. Default false in class nginx, true in the others.",
            becomes: "BackendPolicy `sessionCookie.changeOnFailure`. Refused: neither true nor false.",
        },
        Key {
            name: "affinity-canary-behavior",
            doc: "sticky: a client stays with its endpoint whatever the weights of canaries say. legacy: the weights choose first, and the cookie counts among the endpoints of the chosen one. Default sticky. On the canary; where the class is not nginx, on its base too. A canary by header or cookie is chosen before either.",
            becomes: "BackendPolicy `sessionCookie.scope` of the rules that share requests by weight. No effect: on a base of class nginx, which reads it on the canary; on a canary whose base has no affinity, or that has no weight. Refused: other words.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let is_canary = settings.canary.is_some();
    if let Some(canary) = &mut settings.canary {
        canary.before_sessions = on_canary(reader);
    }
    if reader.parse("affinity", affinity) == Some(()) {
        let cookie = session_cookie(reader, is_canary);
        let odd =
            { reader.paths().map(|(path, _)| path) }.find(|path| profile::is_expression(path));
        match odd.filter(|_| cookie.path.is_none() && reader.profile().cookies_have_paths()) {
            Some(odd) if !is_canary => {
                let message = format!(
                    "the cookie of the path {odd:?} is for the whole host: ingress-nginx sends the expression as its path, and browsers do not send such a cookie back; set session-cookie-path"
                );
                reader.say("affinity", Outcome::Approximated, message);
            }
            _ => reader.exact("affinity", Effect::BackendPolicy(has_cookie), COOKIE),
        }
        settings.backend_policy_mut().session_cookie = Some(cookie);
    } else {
        let own = |name: &str| name == "affinity" || is_canary && name == BEHAVIOUR;
        for key in AFFINITY.keys.iter().filter(|key| !own(key.name)) {
            reader.pointless(key.name, "affinity: cookie");
        }
    }
}

fn affinity(text: &str) -> Result<(), String> {
    match text {
        "cookie" => Ok(()),
        _ => Err(format!("{text:?} is no kind of affinity; there is cookie")),
    }
}

fn session_cookie(reader: &mut Reader<'_>, is_canary: bool) -> SessionCookie {
    let token = |text: &str| {
        let legal = value::header_name(text).map(|_| text.to_owned());
        legal.map_err(|_| format!("{text:?} is no name of a cookie"))
    };
    let profile = reader.profile();
    let usual = profile.session_cookie();
    let (max_age, expires) = lifetime(reader);
    let same_site = told(reader, "session-cookie-samesite", same_site);
    let secure = told_or(reader, "session-cookie-secure", false, value::boolean);
    let mode = |text: &str| mode(text, profile.balanced());
    let change = usual.change_on_failure;
    SessionCookie {
        name: told_or(reader, "session-cookie-name", usual.name, token),
        path: path(reader),
        max_age,
        expires,
        domain: told(reader, "session-cookie-domain", value::cookie_attribute),
        same_site,
        unless_misread: unless_misread(reader, same_site),
        secure,
        secure_over_https: usual.secure_over_https && !secure,
        mode: told_or(reader, "affinity-mode", usual.mode, mode),
        change_on_failure: told_or(
            reader,
            "session-cookie-change-on-failure",
            change,
            value::boolean,
        ),
        scope: match is_canary {
            true => usual.scope,
            false => on_base(reader),
        },
    }
}

/// A value that goes into the cookie as it is.
fn told<T>(
    reader: &mut Reader<'_>,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let value = reader.parse(key, parse)?;
    reader.exact(key, Effect::BackendPolicy(has_cookie), COOKIE);
    Some(value)
}

/// Likewise a value that may be the default.
fn told_or<T: PartialEq>(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: T,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> T {
    match reader.parse(key, parse) {
        Some(value) if value != default => {
            reader.exact(key, Effect::BackendPolicy(has_cookie), COOKIE);
            value
        }
        Some(value) => {
            reader.exact(key, Effect::Default, "as by default");
            value
        }
        None => default,
    }
}

const COOKIE: &str = "BackendPolicy sessionCookie";

fn has_cookie(policy: &BackendPolicySpec) -> bool {
    policy.session_cookie.is_some()
}

/// The path of the cookie, unless it is that of every rule anyway.
fn path(reader: &mut Reader<'_>) -> Option<String> {
    const KEY: &str = "session-cookie-path";
    let path = reader.parse(KEY, value::cookie_attribute)?;
    let own = reader.profile().cookie_path(&path);
    if reader.profile().cookies_have_paths()
        && (own.is_some() || path == "/")
        && reader.has_only_path(&path)
    {
        reader.exact(KEY, Effect::Default, "as by default");
        return None;
    }
    reader.exact(KEY, Effect::BackendPolicy(has_cookie), COOKIE);
    Some(path)
}

/// How long the cookie lives: Max-Age and Expires, in seconds.
fn lifetime(reader: &mut Reader<'_>) -> (Option<u64>, Option<u64>) {
    const EXPIRES: &str = "session-cookie-expires";
    let max_age = told(reader, "session-cookie-max-age", value::positive);
    let seconds = |text: &str| {
        let seconds = value::positive(text)?;
        let fits = u32::try_from(seconds).is_ok();
        fits.then_some(seconds)
            .ok_or_else(|| format!("{text:?} is more than 4,294,967,295 seconds"))
    };
    if reader.profile().has_expires() {
        return (max_age, told(reader, EXPIRES, seconds));
    }
    let expires = reader.parse(EXPIRES, seconds);
    match (max_age, expires) {
        (Some(_), Some(_)) => {
            let message =
                "session-cookie-max-age says how long the cookie lives, as browsers read it";
            reader.say(EXPIRES, Outcome::NoEffect, message);
        }
        (None, Some(_)) => {
            let effect = Effect::BackendPolicy(has_cookie);
            reader.exact(EXPIRES, effect, COOKIE);
        }
        _ => {}
    }
    (max_age.or(expires), None)
}

fn unless_misread(reader: &mut Reader<'_>, same_site: Option<SameSite>) -> bool {
    const KEY: &str = "session-cookie-conditional-samesite-none";
    if same_site == Some(SameSite::None) {
        return told_or(reader, KEY, false, value::boolean);
    }
    if reader.parse(KEY, value::boolean).is_some() {
        let message = "there is no SameSite=None that it could be about";
        reader.say(KEY, Outcome::NoEffect, message);
    }
    false
}

const BEHAVIOUR: &str = "affinity-canary-behavior";

fn canary_behavior(text: &str) -> Result<SessionScope, String> {
    match text {
        "sticky" => Ok(SessionScope::Rule),
        "legacy" => Ok(SessionScope::Backend),
        _ => Err(format!("{text:?} is neither sticky nor legacy")),
    }
}

/// What a base says about its canaries.
fn on_base(reader: &mut Reader<'_>) -> SessionScope {
    if reader.profile().base_says_who_is_first() {
        return told_or(reader, BEHAVIOUR, SessionScope::Rule, canary_behavior);
    }
    if reader.parse(BEHAVIOUR, canary_behavior).is_some() {
        let message = "class nginx reads it on the canary, not on its base";
        reader.say(BEHAVIOUR, Outcome::NoEffect, message);
    }
    SessionScope::Rule
}

/// Whether a canary says that its share goes before the cookies of the base. It is its own to say, unlike the cookie.
fn on_canary(reader: &mut Reader<'_>) -> bool {
    let inherits = reader.inherits.take();
    let scope = reader.parse(BEHAVIOUR, canary_behavior);
    match scope {
        Some(SessionScope::Backend) => {
            const WHY: &str = "no rule of its base has a session cookie and a share by weight that this could change";
            let effect = Effect::InOr(goes_first, Outcome::NoEffect, WHY);
            reader.exact(BEHAVIOUR, effect, "BackendPolicy sessionCookie of the base");
        }
        Some(SessionScope::Rule) => reader.exact(BEHAVIOUR, Effect::Default, "as by default"),
        None => {}
    }
    reader.inherits = inherits;
    scope == Some(SessionScope::Backend)
}

/// Whether session cookies of the canary's base come after its share, and its base does not say so itself.
fn goes_first(written: &Written<'_>) -> bool {
    let comes_after = |policy: &BackendPolicySpec| {
        let cookie = policy.session_cookie.as_ref();
        cookie.is_some_and(|cookie| cookie.scope == SessionScope::Backend)
    };
    let mut bases = written.groups.iter().map(|group| &group.source.settings);
    let said = bases.any(|base| base.backend_policy.as_deref().is_some_and(comes_after));
    !said && written.backend_policies().any(comes_after)
}

fn mode(text: &str, balanced: SessionMode) -> Result<SessionMode, String> {
    match text {
        "balanced" => Ok(balanced),
        "persistent" => Ok(SessionMode::Persistent),
        _ => Err(format!("{text:?} is neither balanced nor persistent")),
    }
}

fn same_site(text: &str) -> Result<SameSite, String> {
    let known = [
        ("Strict", SameSite::Strict),
        ("Lax", SameSite::Lax),
        ("None", SameSite::None),
    ];
    let mut known = known.into_iter();
    known
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, same_site)| same_site)
        .ok_or_else(|| format!("{text:?} is none of Strict, Lax and None"))
}
