//! Who has to say who they are.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::{ClusterKey, PasswordHash, Redacted, Template, serialize};

/// User name and password (RFC 7617). Whoever gives none, or wrong ones, is answered 401.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BasicAuth {
    /// What `WWW-Authenticate` says: `Basic realm="…"`.
    #[serde(serialize_with = "serialize::header_value")]
    pub challenge: HeaderValue,
    /// Where the users come from, as `Secret/namespace/name`.
    pub source: Box<str>,
    /// Who may come in.
    pub users: Redacted<Users>,
    /// The backend does not get the client's `Authorization`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept_back: bool,
}

impl BasicAuth {
    /// The challenge for a realm; `None` when a header cannot hold it.
    #[must_use]
    pub fn challenge(realm: &str) -> Option<HeaderValue> {
        let escaped = realm.replace('\\', "\\\\").replace('"', "\\\"");
        HeaderValue::from_str(&format!("Basic realm=\"{escaped}\"")).ok()
    }
}

/// Users and what is known of their passwords. There is at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Users(Box<[(Box<str>, PasswordHash)]>);

impl Users {
    /// Users by name; of two with the same name the first counts. `None` when there are none.
    #[must_use]
    pub fn new(mut users: Vec<(Box<str>, PasswordHash)>) -> Option<Self> {
        users.sort_by(|(a, _), (b, _)| a.cmp(b));
        users.dedup_by(|(later, _), (first, _)| later == first);
        (!users.is_empty()).then(|| Self(users.into()))
    }

    /// The password of a user.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&PasswordHash> {
        let found = self
            .0
            .binary_search_by(|(known, _)| known.as_bytes().cmp(name));
        Some(&self.0.get(found.ok()?)?.1)
    }

    /// Somebody's password, chosen by `seed`: what the password of a user who is not there is compared with, so that it
    /// takes as long as with one who is.
    #[must_use]
    pub fn decoy(&self, seed: u64) -> &PasswordHash {
        let at = seed % self.0.len() as u64;
        &self.0[usize::try_from(at).unwrap_or(0)].1
    }
}

/// Somebody else who decides, request by request, over HTTP. Whatever is neither a yes nor a no answers 5xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExternalAuth {
    /// Who is asked.
    pub cluster: ClusterKey,
    /// With which method; `None`: the request's.
    #[serde(
        serialize_with = "serialize::option_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub method: Option<Method>,
    /// With which host; `None`: the request's.
    #[serde(
        serialize_with = "serialize::option_header_value",
        skip_serializing_if = "Option::is_none"
    )]
    pub host: Option<HeaderValue>,
    /// Path and query.
    pub target: Template,
    /// Request headers that are sent along, beside `Authorization`; `None`: all.
    #[serde(serialize_with = "serialize::option_names")]
    pub sent: Option<Vec<HeaderName>>,
    /// Only 200 is a yes; else any 2xx is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_200: bool,
    /// Headers of a yes that go on to the backend; what the client sent under their names does not. `None`: all that
    /// say nothing about the answer itself.
    #[serde(serialize_with = "serialize::option_names")]
    pub copied: Option<Vec<HeaderName>>,
    /// Where a client is sent who would be answered 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<Template>,
    /// What `X-Auth-Request-Redirect` says: where a client shall come back to.
    pub back_to: Template,
    /// Whether cookies of the authenticator go to the client.
    pub cookies: AuthCookies,
    /// How long it may take.
    #[serde(serialize_with = "serialize::duration")]
    pub timeout: Duration,
}

/// What the requests of a listener must pass before a route is looked for, whatever they ask for (Gateway API,
/// GEP-5224).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Admission {
    /// Nothing.
    #[default]
    Open,
    /// Each of these authenticators, in this order, lets a request pass. Routes see the request as they leave it.
    Ask(Vec<Arc<ExternalAuth>>),
    /// No request passes: each is answered 500.
    Closed,
}

impl Admission {
    /// Whether every request passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }

    /// What passes both, this one first.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::Open, other) => other.clone(),
            (own, Self::Open) => own,
            (Self::Ask(mut auths), Self::Ask(others)) => {
                for other in others {
                    if !auths.contains(other) {
                        auths.push(Arc::clone(other));
                    }
                }
                Self::Ask(auths)
            }
        }
    }

    /// Clusters that are asked.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterKey> {
        let auths = match self {
            Self::Ask(auths) => &**auths,
            Self::Open | Self::Closed => &[],
        };
        auths.iter().map(|auth| &auth.cluster)
    }
}

/// Whether cookies that an authenticator sets go to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthCookies {
    /// Never, but with its own denials.
    Denials,
    /// With successful answers and redirects.
    Successes,
    /// With every answer.
    Always,
}

impl AuthCookies {
    /// Whether cookies go with an answer of this status.
    #[must_use]
    pub fn go_with(self, status: StatusCode) -> bool {
        match self {
            Self::Denials => false,
            Self::Successes => matches!(
                status.as_u16(),
                200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308
            ),
            Self::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BasicAuth, Users};
    use crate::{PasswordHash, Redacted};

    fn users(names: &[&str]) -> Option<Users> {
        let hash = |at: usize| {
            PasswordHash::parse(&format!("$apr1$salt{at}$5fHG4LRFIuTKpkZ3NfbDi.")).unwrap()
        };
        let entries = names.iter().enumerate();
        Users::new(
            entries
                .map(|(at, name)| ((*name).into(), hash(at)))
                .collect(),
        )
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let found = users(&["b", "a", "b"]).unwrap();
        assert!(found.get(b"b").unwrap().text().contains("salt0"));
        assert!(found.get(b"a").unwrap().text().contains("salt1"));
        assert!(found.get(b"c").is_none());
        for seed in [0, 1, 2, u64::MAX] {
            assert!(found.decoy(seed).text().contains("salt"));
        }
        assert!(users(&[]).is_none());
    }

    #[test]
    fn realms_are_quoted_and_users_never_printed() {
        let challenge = BasicAuth::challenge(r#"a "b" \c"#).unwrap();
        assert_eq!(challenge, r#"Basic realm="a \"b\" \\c""#);
        assert!(BasicAuth::challenge("a\nb").is_none());
        let auth = BasicAuth {
            challenge,
            source: "Secret/a/b".into(),
            users: Redacted::new(users(&["john"]).unwrap()),
            kept_back: false,
        };
        for text in [format!("{auth:?}"), serde_json::to_string(&auth).unwrap()] {
            assert!(!text.contains("john") && !text.contains("apr1"), "{text}");
        }
        assert_eq!(
            format!("{:?}", users(&["john"]).unwrap().decoy(0)),
            "[redacted]"
        );
    }
}
