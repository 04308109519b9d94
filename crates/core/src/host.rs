//! What routes say about their hosts as a whole, in annotations of our own domain.

use api::annotation;
use ir::{HostPattern, HostSettings, Paths, Underscores};
use kube::ResourceExt;

use crate::route::TranslatedRoute;

/// What a route's annotations say for its hosts. A value that cannot be read counts as the strictest.
pub(crate) fn settings(route: &impl ResourceExt, warnings: &mut Vec<String>) -> HostSettings {
    let mut read = |name: &str, words: &[&str], strict: usize| {
        let value = route.annotations().get(name)?.trim();
        let known = words.iter().position(|word| *word == value);
        if known.is_none() {
            warnings.push(format!(
                "annotation {name}: {value:?} is not one of {} and is read as {}",
                words.join(", "),
                words[strict]
            ));
        }
        Some(known.unwrap_or(strict))
    };
    HostSettings {
        isolated: read(annotation::HOST_ISOLATION, &["false", "true"], 1) == Some(1),
        one_label: read(annotation::WILDCARD_LABELS, &["any", "one"], 1) == Some(1),
        any_server_name: read(annotation::SERVER_NAMES, &["own", "any"], 0) == Some(1),
        paths: match read(annotation::PATHS, &["canonical", "decoded"], 1) {
            Some(1) => Paths::DECODED,
            _ => Paths::default(),
        },
        underscores: match read(annotation::UNDERSCORES, &["allow", "drop", "refuse"], 2) {
            Some(1) => Underscores::Drop,
            Some(2) => Underscores::Refuse,
            _ => Underscores::Allow,
        },
    }
}

/// What holds for a host: the safe side of what its routes say.
pub(crate) fn joined<'r>(routes: impl Iterator<Item = &'r TranslatedRoute>) -> HostSettings {
    let settings = routes.map(|route| route.host_settings);
    settings.reduce(HostSettings::and).unwrap_or_default()
}

/// How many hosts are named.
const NAMED: usize = 5;

/// What is said of hosts whose routes do not say the same.
pub(crate) fn disagreement<'h>(
    mut hosts: impl ExactSizeIterator<Item = (&'h HostPattern, HostSettings)>,
) -> Option<String> {
    let count = hosts.len();
    let named: Vec<_> = { hosts.by_ref().take(NAMED) }
        .map(|(host, settings)| format!("{host} ({})", words(settings)))
        .collect();
    let more = match count.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (count > 0).then(|| {
        format!(
            "the annotations of routes disagree on hosts; for all routes of these hosts the safe side holds: {}{more}",
            named.join(", ")
        )
    })
}

/// Settings as annotations say them.
fn words(settings: HostSettings) -> String {
    let underscores = match settings.underscores {
        Underscores::Allow => "",
        Underscores::Drop => "drop",
        Underscores::Refuse => "refuse",
    };
    let said = [
        (annotation::HOST_ISOLATION, settings.isolated, "true"),
        (annotation::WILDCARD_LABELS, settings.one_label, "one"),
        (annotation::SERVER_NAMES, settings.any_server_name, "any"),
        (annotation::PATHS, settings.paths.decoded, "decoded"),
        (
            annotation::UNDERSCORES,
            !underscores.is_empty(),
            underscores,
        ),
    ];
    let said = said.into_iter().filter(|(_, said, _)| *said);
    let said: Vec<_> = said
        .map(|(name, _, value)| format!("{name}: {value}"))
        .collect();
    said.join(", ")
}
