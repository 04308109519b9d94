//! The session cookies of rules: what is the Ingress', with what is the path's.

use api::{SessionCookie, SessionScope};

use super::matches::rule_name;
use crate::{
    ingress::Backend,
    merge::{HostGroup, Owned},
};

/// For each path of a group that has session cookies: what the names of its rules begin with, and its cookie.
pub(crate) fn session_cookies(group: &HostGroup) -> Vec<(String, SessionCookie)> {
    let cookie = |owned: &Owned| {
        if matches!(
            owned.path.backend,
            Backend::Redirect(_) | Backend::Location(_)
        ) {
            return None;
        }
        let settings = owned.settings(&group.source)?;
        let policy = settings.backend_policy.as_deref()?;
        let mut cookie = policy.session_cookie.clone()?;
        let written = &owned.path.written.0;
        cookie.path = cookie
            .path
            .or_else(|| group.source.profile.cookie_path(written));
        let mut canaries = owned.canaries.iter().map(|attached| &attached.canary);
        if canaries.any(|canary| canary.before_sessions && canary.weight.is_some()) {
            cookie.scope = SessionScope::Backend;
        }
        Some((rule_name(&owned.path.kind, ""), cookie))
    };
    group.paths.iter().filter_map(cookie).collect()
}
