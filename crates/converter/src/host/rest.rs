//! What no rule of a host matches, in a class where each host is alone.

use std::sync::Arc;

use super::Told;
use crate::{
    ingress::{self, Backend, Path, Source},
    note::{Notes, Outcome},
};

/// Adds it to the paths of the Ingress that has it: for its default backend, or to be answered without one.
pub(super) fn add(read: &Source, told: &[Told], source: &mut Source, said: &mut Notes) {
    for told in told.iter().filter(|told| told.default_backend) {
        let to = (read.default_backend.clone(), ingress::DEFAULT_BACKEND);
        let path = rest(read, &told.host, to);
        source.paths.extend(path.map(Arc::new));
    }
    for told in told.iter().filter(|told| told.unmatched) {
        let path = rest(read, &told.host, (Some(Backend::Unmatched), RULES));
        source.paths.extend(path.map(Arc::new));
        said.add(&read.object, Some(RULES), Outcome::Exact, unmatched(read));
    }
}

/// The field of the rules of an Ingress.
const RULES: &str = "spec.rules";

/// What becomes of what no rule of a host matches, in a class where each host is alone.
fn unmatched(read: &Source) -> &'static str {
    if read.settings.redirects() {
        "what no rule of its hosts matches is redirected too, as in class nginx"
    } else if read.settings.has_guards() {
        "what no rule of its hosts matches has to pass the same guards, and is answered 404 behind them, as in class nginx"
    } else {
        "a host without paths is one all the same: it is answered 404, as in class nginx"
    }
}

/// It, as a path with everything that annotations say of paths.
fn rest(read: &Source, host: &Arc<str>, (backend, field): (Option<Backend>, &str)) -> Option<Path> {
    let written = ("/".to_owned(), "Prefix".to_owned());
    let kind = ingress::kind((&read.settings, read.profile), &written.0, &written.1).ok()?;
    Some(Path {
        host: Arc::clone(host),
        written,
        kind,
        backend: backend?,
        field: field.to_owned(),
    })
}
