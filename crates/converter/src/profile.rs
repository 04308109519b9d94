//! Whose rules an Ingress is read by, where ingress-nginx and Higress differ.
//!
//! The class of an Ingress decides, never the prefix of its annotations; [`Class`](crate::Class) says which class has
//! which rules. Everything that differs is asked here, so this file is the list of differences: whether hosts are alone
//! and how their paths are read, how a regular expression is compared, whether it holds for the whole host, what a path
//! without type means, what a rewrite replaces, when plain HTTP is sent to https, how tries are counted. What an
//! Ingress has without an annotation is in `defaults`, and what session cookies are in `affinity`.

mod affinity;
mod defaults;
mod differences;

use api::annotation;

pub(crate) use affinity::is_expression;
pub use differences::Difference;

use crate::{
    annotations::{HttpsRedirect, has_captures},
    ingress::{Backend, PathKind},
    native,
    note::Outcome,
    variable::Location,
};

/// A set of rules and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Those of Higress.
    Higress,
    /// Those of ingress-nginx.
    Nginx,
}

/// How often and where a failed request is repeated when nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryDefaults {
    /// Attempts beyond the first.
    pub(crate) retries: u32,
    /// They hold even for an Ingress without any annotation.
    pub(crate) always: bool,
    /// `error`, `timeout` and `invalid_header` mean every answer of 500 and above, too.
    pub(crate) server_errors: bool,
}

impl Profile {
    /// What routes say about their host (empty: every host) before any rule is asked. In Higress, what the rules of a
    /// host do not match goes on to wider hosts. In ingress-nginx each host has a server of its own, whose name has one
    /// label for a wildcard, and which is found by `Host` whatever TLS was made for; paths are decoded and slashes
    /// merged before they are compared, and fields with underscores do not get in.
    pub(crate) const fn host_annotations(
        self,
        host: &str,
    ) -> &'static [(&'static str, &'static str)] {
        const ANY: &[(&str, &str)] = &[
            (annotation::SERVER_NAMES, "any"),
            (annotation::PATHS, "decoded"),
            (annotation::UNDERSCORES, "drop"),
        ];
        const NAMED: &[(&str, &str)] = &[
            (annotation::HOST_ISOLATION, "true"),
            (annotation::SERVER_NAMES, "any"),
            (annotation::PATHS, "decoded"),
            (annotation::UNDERSCORES, "drop"),
        ];
        const WILDCARD: &[(&str, &str)] = &[
            (annotation::HOST_ISOLATION, "true"),
            (annotation::SERVER_NAMES, "any"),
            (annotation::WILDCARD_LABELS, "one"),
            (annotation::PATHS, "decoded"),
            (annotation::UNDERSCORES, "drop"),
        ];
        match (self, host.as_bytes()) {
            (Self::Higress, _) => &[(annotation::HOST_FALLTHROUGH, "true")],
            (Self::Nginx, []) => ANY,
            (Self::Nginx, [b'*', ..]) => WILDCARD,
            (Self::Nginx, _) => NAMED,
        }
    }

    /// Whether variables of nginx in a text are text.
    pub(crate) const fn sends_variables_as_text(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// Whether each host has a world of its own: a default backend is for the hosts that its Ingress is the first to
    /// name, or, of an Ingress without rules, for hosts that no Ingress names; and the annotations of the Ingress hold
    /// for it.
    pub(crate) const fn hosts_are_alone(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// What a request path must match as a whole where a path is an expression. In ingress-nginx case does not count.
    /// Unless it is for the whole path, anything may follow.
    pub(crate) fn expression(self, text: &str, whole_path: bool) -> String {
        match (self, whole_path) {
            (Self::Higress, true) => text.to_owned(),
            (Self::Higress, false) => format!("(?:{text}).*"),
            (Self::Nginx, true) => format!("(?i:{text})"),
            (Self::Nginx, false) => format!("(?i:{text}).*"),
        }
    }

    /// Whether one Ingress with an expression makes expressions of all paths of its hosts, in all Ingresses of the
    /// class.
    pub(crate) const fn regex_is_host_wide(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether a rewrite makes an expression of a path. Higress: where there are groups to refer to, or where the type
    /// is left open and the text looks like one. ingress-nginx: always, unless nothing would change.
    pub(crate) fn rewrite_makes_regex(self, target: &str, text: &str, path_type: &str) -> bool {
        match self {
            Self::Higress => {
                has_captures(target)
                    || (path_type == "ImplementationSpecific" && is_expression(text))
            }
            Self::Nginx => target != text,
        }
    }

    /// A path whose type is left to us. Higress takes a trailing wildcard off and compares elements; ingress-nginx
    /// compares characters.
    pub(crate) fn untyped(self, text: &str) -> PathKind {
        match self {
            Self::Higress => PathKind::prefix(
                text.strip_suffix(".*")
                    .or(text.strip_suffix("/*"))
                    .unwrap_or(text),
            ),
            Self::Nginx if text.ends_with('/') => PathKind::prefix(text),
            Self::Nginx => PathKind::StringPrefix(text.to_owned()),
        }
    }

    /// Whether `/x` is sent to `/x/` where only the latter is there.
    pub(crate) const fn adds_slash(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether a rewrite without groups replaces all of the path, rather than the prefix that matched.
    pub(crate) const fn rewrites_whole_path(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Where exactly `/` leads. Higress keeps scheme, host and query of the request; ingress-nginx sends what is
    /// written, which may have variables in it.
    pub(crate) fn app_root(self, target: &str) -> Backend {
        match self {
            Self::Higress => Backend::Redirect(Box::new(native::redirect_to_path(target, 302))),
            Self::Nginx => Backend::Location(Box::new(Location {
                url: format!("$scheme://$http_host{target}"),
                code: 302,
                keeps_query: false,
            })),
        }
    }

    /// Whether a path is rewritten where the target is the path itself, so that what follows it goes.
    pub(crate) const fn rewrites_to_itself(self) -> bool {
        matches!(self, Self::Higress)
    }

    /// Whether plain HTTP is sent to https on a host that has a certificate, or has none. In ingress-nginx a
    /// certificate is enough, and without one only `force-ssl-redirect` counts.
    pub(crate) fn redirects_to_https(self, asked: HttpsRedirect, certificate: bool) -> bool {
        match self {
            Self::Higress => asked.force || asked.ssl == Some(true),
            Self::Nginx => asked.force || (certificate && asked.ssl != Some(false)),
        }
    }

    /// Whether each host is served over HTTPS, with the default certificate if it has none of its own.
    pub(crate) const fn every_host_has_https(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether a certificate is shown only for hosts that it is for, and for those that no entry of `spec.tls` lists.
    pub(crate) const fn certificate_by_names(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether clients' certificates may come from the authority in any Secret.
    pub(crate) const fn takes_any_authority(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether a path is served over plain HTTP where others are sent to https: challenges of authorities that are to
    /// issue the certificate.
    pub(crate) fn spares_from_https(self, path: &str) -> bool {
        match self {
            Self::Higress => false,
            Self::Nginx => path.starts_with("/.well-known/acme-challenge"),
        }
    }

    pub(crate) const fn retry_defaults(self) -> RetryDefaults {
        match self {
            Self::Higress => RetryDefaults {
                retries: 3,
                always: false,
                server_errors: true,
            },
            Self::Nginx => RetryDefaults {
                retries: 2,
                always: true,
                server_errors: false,
            },
        }
    }

    /// Attempts beyond the first for a number of tries, or `None` for as many as it takes. Higress counts retries,
    /// ingress-nginx attempts, and there 0 is no limit.
    pub(crate) fn retries(self, tries: i64) -> Option<u32> {
        let retries = match self {
            Self::Higress => tries,
            Self::Nginx if tries == 0 => return None,
            Self::Nginx => tries.saturating_sub(1),
        };
        Some(u32::try_from(retries.max(0)).unwrap_or(u32::MAX))
    }

    /// The largest request body in bytes where nothing else is said; `None` is no limit.
    pub(crate) const fn max_request_body(self) -> Option<u64> {
        match self {
            Self::Higress => None,
            Self::Nginx => Some(1 << 20),
        }
    }

    /// What becomes of an annotation of a canary that only its base can have. Neither controller uses it, but for what
    /// ingress-nginx says of a Service rather than of a path.
    pub(crate) fn annotation_of_canary(self, family: &str) -> Outcome {
        match (self, family) {
            (Self::Nginx, "load-balance") => Outcome::Approximated,
            _ => Outcome::NoEffect,
        }
    }

    /// Whether annotations count for `spec.defaultBackend`. In Higress they are for the rules alone.
    pub(crate) const fn default_backend_has_annotations(self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// Whether `proxy-next-upstream-timeout` limits each attempt, rather than the time in which another may begin.
    pub(crate) const fn times_each_try(self) -> bool {
        matches!(self, Self::Higress)
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;
    use crate::annotations::HttpsRedirect;

    #[test]
    fn tries() {
        let both = |tries| {
            (
                Profile::Higress.retries(tries),
                Profile::Nginx.retries(tries),
            )
        };
        assert_eq!(both(3), (Some(3), Some(2)));
        assert_eq!(both(1), (Some(1), Some(0)));
        assert_eq!(both(0), (Some(0), None));
        assert_eq!(both(-1), (Some(0), Some(0)));
        assert_eq!(both(i64::MIN), (Some(0), Some(0)));
        assert_eq!(both(i64::MAX), (Some(u32::MAX), Some(u32::MAX)));
    }

    #[test]
    fn https() {
        let asked = |ssl, force| HttpsRedirect { ssl, force };
        for (asked, certificate, higress, nginx) in [
            (asked(None, false), true, false, true),
            (asked(None, false), false, false, false),
            (asked(Some(true), false), false, true, false),
            (asked(Some(false), false), true, false, false),
            (asked(Some(false), true), false, true, true),
        ] {
            let got = |profile: Profile| profile.redirects_to_https(asked, certificate);
            assert_eq!(got(Profile::Higress), higress, "{asked:?} {certificate}");
            assert_eq!(got(Profile::Nginx), nginx, "{asked:?} {certificate}");
        }
    }
}
