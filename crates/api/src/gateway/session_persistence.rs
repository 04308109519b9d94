//! Session persistence of a rule, whichever release of Gateway API spells it.

use serde::{Deserialize, Serialize};

use super::httproutes::{
    HttpRouteRulesSessionPersistence, HttpRouteRulesSessionPersistenceCookieConfigLifetimeType,
    HttpRouteRulesSessionPersistenceType,
};

/// Session persistence of a rule (`SessionPersistence` of Gateway API, GEP-1619).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionPersistence {
    /// Name of the cookie or header: `sessionName` until 1.6, `cookie.name` or `header.name` since 1.7. Default:
    /// generated.
    pub name: Option<String>,
    /// The token stands in a header, rather than in a cookie: `type`.
    pub in_header: bool,
    /// `cookie.path`, since 1.7. Default: `/`.
    pub path: Option<String>,
    /// The cookie outlives the client's own session: `lifetimeType`, of `cookieConfig` until 1.6 and of `cookie` since
    /// 1.7.
    pub permanent: bool,
    /// How long a session lasts, as a duration of Gateway API. Default: no limit.
    pub absolute_timeout: Option<String>,
    /// How long a session lasts without requests, as a duration of Gateway API. Default: no limit.
    pub idle_timeout: Option<String>,
}

impl From<&HttpRouteRulesSessionPersistence> for SessionPersistence {
    fn from(declared: &HttpRouteRulesSessionPersistence) -> Self {
        let config = declared.cookie_config.as_ref();
        let lifetime = config.and_then(|config| config.lifetime_type.as_ref());
        Self {
            name: declared.session_name.clone(),
            in_header: declared.r#type == Some(HttpRouteRulesSessionPersistenceType::Header),
            path: None,
            permanent: lifetime
                == Some(&HttpRouteRulesSessionPersistenceCookieConfigLifetimeType::Permanent),
            absolute_timeout: declared.absolute_timeout.clone(),
            idle_timeout: declared.idle_timeout.clone(),
        }
    }
}

/// The fields of `sessionPersistence` that 1.7 has and our types lack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionFields {
    /// Of type `Cookie`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<SessionCookieFields>,
    /// Of type `Header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<SessionHeaderFields>,
}

/// `sessionPersistence.cookie`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionCookieFields {
    /// See [`SessionPersistence::name`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// See [`SessionPersistence::path`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// See [`SessionPersistence::permanent`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_type: Option<SessionLifetime>,
}

/// `sessionPersistence.cookie.lifetimeType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionLifetime {
    /// Until the client's own session ends.
    Session,
    /// Until `absoluteTimeout` ends.
    Permanent,
}

/// `sessionPersistence.header`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHeaderFields {
    /// See [`SessionPersistence::name`].
    pub name: String,
}

impl SessionPersistence {
    /// The same, with the fields of 1.7.
    #[must_use]
    pub fn with(mut self, fields: &SessionFields) -> Self {
        if let Some(cookie) = fields.cookie.as_ref().filter(|_| !self.in_header) {
            self.name = cookie.name.clone().or(self.name);
            self.path.clone_from(&cookie.path);
            self.permanent |= cookie.lifetime_type == Some(SessionLifetime::Permanent);
        }
        if let Some(header) = fields.header.as_ref().filter(|_| self.in_header) {
            self.name = Some(header.name.clone());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(old: &str, new: &str) -> SessionPersistence {
        let old: HttpRouteRulesSessionPersistence = serde_saphyr::from_str(old).unwrap();
        let new: SessionFields = serde_saphyr::from_str(new).unwrap();
        SessionPersistence::from(&old).with(&new)
    }

    #[test]
    fn both_spellings_mean_the_same() {
        let old = "{sessionName: s, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}";
        let new = "{cookie: {name: s, lifetimeType: Permanent}}";
        assert_eq!(read(old, "{}"), read("{absoluteTimeout: 1h}", new));
        let path = read("{}", "{cookie: {path: /shop}}").path;
        assert_eq!(path.as_deref(), Some("/shop"));
        let old = "{type: Header, sessionName: x-session, idleTimeout: 5m}";
        let new = "{header: {name: x-session}}";
        let headed = read("{type: Header, idleTimeout: 5m}", new);
        assert_eq!(read(old, "{}"), headed);
        assert!(headed.in_header);
    }
}
