//! Whether plain HTTP of a host is sent to https.

use super::{HostTls, Hosts, State};
use crate::{
    annotations::HttpsRedirect,
    ingress::Backend,
    merge::{HostGroup, Owned},
    note::{Notes, Outcome},
};

/// Whether plain HTTP is sent to https.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirect {
    Never,
    Always,
    /// While the listener that the host has for itself is served.
    WithListener,
}

/// Sends plain HTTP to https on hosts whose Ingresses, or the defaults of their class, ask for it, and where it leads
/// anywhere.
pub(crate) fn redirect_to_https(groups: &mut Vec<HostGroup>, hosts: &Hosts, notes: &mut Notes) {
    // A host that is only there to be redirected goes to the other one at once.
    let leaves = |owned: &Owned| matches!(&owned.path.backend, Backend::Redirect(to) if to.hostname.is_some());
    let mut apart = Vec::new();
    for group in groups.iter_mut() {
        let tls = hosts.get(&group.host);
        let source = &group.source;
        let settings = &source.settings;
        let https = source.profile.every_host_has_https() || tls.is_some();
        if settings.matching.https == Some(true) && !https {
            let message = format!(
                "the scheme has to be https, and the host {:?} has no certificate",
                group.host
            );
            notes.add(&source.object, None, Outcome::Dropped, message);
        }
        let stays = |owned: &Owned| leaves(owned) || owned.is_catch_all(source);
        if settings.redirects() || group.paths.iter().all(stays) {
            continue;
        }
        group.https = redirect(group, settings.https, tls);
        group.https_by_default = redirect(group, HttpsRedirect::default(), tls);
        let spared = |owned: &Owned| source.profile.spares_from_https(&owned.path.written.0);
        if group.paths.iter().all(spared) {
            (group.https, group.https_by_default) = (Redirect::Never, Redirect::Never);
        }
        if group.https == Redirect::Never {
            continue;
        }
        let object = source.object.clone();
        let unasked = settings.https == HttpsRedirect::default();
        let waits = group.https == Redirect::WithListener;
        apart.extend(challenges(group));
        if unasked {
            let message = match waits {
                true => {
                    "once the Secret is a certificate, plain HTTP is answered with 308 to https, as class nginx does; until then it is served; ssl-redirect: \"false\" turns the redirect off"
                }
                false => {
                    "plain HTTP of hosts that have a certificate is answered with 308 to https, as class nginx does; ssl-redirect: \"false\" turns it off"
                }
            };
            notes.add(&object, Some("spec.tls"), Outcome::Exact, message);
        }
    }
    groups.extend(apart);
}

fn redirect(group: &HostGroup, asked: HttpsRedirect, tls: Option<&HostTls>) -> Redirect {
    let source = &group.source;
    let state = tls.map_or(State::Unasked, |tls| tls.state);
    let certified = !matches!(state, State::Unasked);
    if !source.profile.redirects_to_https(asked, certified) {
        return Redirect::Never;
    }
    // Where every host has HTTPS, it leads somewhere if that is all that is asked for.
    let anyhow = asked.force && source.profile.every_host_has_https();
    let own = tls.is_some_and(|tls| tls.owner.is_some());
    match state {
        State::Pending | State::Unknown if !anyhow && own => Redirect::WithListener,
        State::Pending if !anyhow => Redirect::Never,
        _ => Redirect::Always,
    }
}

/// Takes the paths of challenges out of a group of others, where the class serves these over plain HTTP.
fn challenges(group: &mut HostGroup) -> Option<HostGroup> {
    let profile = group.source.profile;
    let spared = |owned: &mut Owned| profile.spares_from_https(&owned.path.written.0);
    let paths: Vec<_> = group.paths.extract_if(.., spared).collect();
    (!paths.is_empty()).then(|| HostGroup {
        challenges: true,
        ..HostGroup::new(&group.source, &group.host, paths)
    })
}
