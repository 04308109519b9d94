//! Session cookies of `affinity: cookie`, as each class has them.

use api::{SessionCookie, SessionMode, SessionScope};

use super::Profile;
use crate::value;

impl Profile {
    /// The cookie of an Ingress whose annotations say nothing but `affinity: cookie`. In ingress-nginx it is secure
    /// over https, its clients are spread anew when an endpoint comes, and they stay with an endpoint that fails.
    pub(crate) fn session_cookie(self) -> SessionCookie {
        let nginx = matches!(self, Self::Nginx);
        SessionCookie {
            name: "INGRESSCOOKIE".to_owned(),
            path: None,
            max_age: None,
            expires: None,
            domain: None,
            same_site: None,
            unless_misread: false,
            secure: false,
            secure_over_https: nginx,
            mode: match nginx {
                true => SessionMode::Balanced,
                false => SessionMode::Persistent,
            },
            scope: SessionScope::Rule,
            change_on_failure: !nginx,
        }
    }

    /// The mode that is meant by `affinity-mode: balanced`. In Higress a client always stays with its endpoint.
    pub(crate) fn balanced(self) -> SessionMode {
        self.session_cookie().mode
    }

    /// Whether `session-cookie-expires` is an attribute of its own. In Higress it is the same as
    /// `session-cookie-max-age`, which wins.
    pub(crate) const fn has_expires(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether `affinity-canary-behavior` is read from the base. ingress-nginx reads it from the canary.
    pub(crate) const fn base_says_who_is_first(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// Whether a cookie is for the path that was matched, rather than for the whole host.
    pub(crate) const fn cookies_have_paths(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// The path of the cookie of a path as it is written, where nothing else is said. `None`: the whole host. Of an
    /// expression ingress-nginx sends the text, with which no browser ever sends the cookie back; here it is the whole
    /// host.
    pub(crate) fn cookie_path(self, written: &str) -> Option<String> {
        let usable = self.cookies_have_paths() && written != "/" && !is_expression(written);
        value::cookie_attribute(written).ok().filter(|_| usable)
    }
}

/// Whether a path reads as an expression.
pub(crate) fn is_expression(path: &str) -> bool {
    path.contains([
        '\\', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$',
    ])
}
