//! Texts of class nginx with variables in them: which there is a value for, and the templates that they become.
//!
//! What is the same for every request of a rule (`$namespace`, `$server_name`) is put in here; the data plane knows the
//! rest. A group that an expression does not have is nothing, as in nginx.

use api::template::{self, DOLLAR, Part};
use k8s_openapi::api::networking::v1::Ingress;
use regex::Regex;

/// Names of values that ingress-nginx sets for each path, and that are known beforehand.
const CONSTANTS: &[&str] = &[
    "namespace",
    "ingress_name",
    "service_name",
    "location_path",
    "server_name",
];

/// What the paths of an Ingress have to offer for its texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// There are groups, and constants, to speak of.
    paths: bool,
    /// Names of groups.
    groups: Vec<String>,
    /// A rule has no host, or one with a wildcard.
    vague: bool,
}

impl Scope {
    /// That of an Ingress.
    pub(crate) fn of(ingress: &Ingress) -> Self {
        let mut scope = Self {
            paths: true,
            ..Self::default()
        };
        let rules = ingress
            .spec
            .iter()
            .flat_map(|spec| spec.rules.iter().flatten());
        for rule in rules {
            let host = rule.host.as_deref().unwrap_or_default();
            scope.vague |= host.is_empty() || host.contains('*');
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                let named = path.path.as_deref().into_iter().flat_map(group_names);
                scope.groups.extend(named);
            }
        }
        scope
    }

    fn has_group(&self, name: &str) -> bool {
        self.groups
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Names of the groups in an expression, as they are written there. That it is none is said elsewhere.
fn group_names(path: &str) -> Vec<String> {
    if !path.contains("(?") {
        return Vec::new();
    }
    let names = Regex::new(path);
    let names = names
        .iter()
        .flat_map(|regex| regex.capture_names().flatten());
    names.map(ToOwned::to_owned).collect()
}

/// Whether there is a value for every variable.
///
/// # Errors
/// The first of which there is none, by name.
pub(crate) fn check(text: &str, scope: &Scope) -> Result<(), String> {
    let parts = template::parts(text).map_err(|_| {
        format!("{text:?} has a dollar that begins no name; ${{{DOLLAR}}} is a dollar itself")
    })?;
    for part in parts {
        let Part::Name(name) = part else { continue };
        let lower = name.to_ascii_lowercase();
        if template::is_variable(name) || scope.has_group(name) {
            continue;
        }
        let known = match &*lower {
            _ if !scope.paths => false,
            "server_name" if scope.vague => {
                return Err(
                    "variable $server_name has no value here: a rule has no host, or one with a wildcard; $host is the request's"
                        .to_owned(),
                );
            }
            name => is_group(name) || CONSTANTS.contains(&name),
        };
        if !known {
            return Err(format!(
                "variable ${name} has no value here; these have: {}",
                template::list()
            ));
        }
    }
    Ok(())
}

/// Whether the name is the number of a group.
fn is_group(name: &str) -> bool {
    matches!(name.as_bytes(), [b'1'..=b'9'])
}

/// Annotations whose text class nginx looks for variables in.
const TEXTS: &[&str] = &[
    "app-root",
    "permanent-redirect",
    "rewrite-path",
    "rewrite-target",
    "temporal-redirect",
    "upstream-vhost",
];

/// What a note adds where a class has no variables and a text seems to have some.
pub(crate) const AS_TEXT: &str =
    "; a variable of nginx stays as it is written, as in Higress, which has none";

/// Whether the text of an annotation seems to have variables.
pub(crate) fn is_in(annotation: &str, text: &str) -> bool {
    TEXTS.contains(&annotation) && has_names(text)
}

/// Whether a text says anything but itself and numbers of groups.
pub(crate) fn has_names(text: &str) -> bool {
    let parts = template::parts(text).unwrap_or_default();
    let named = |part: &Part<'_>| matches!(part, Part::Name(name) if !is_group(name));
    text.contains("${") || parts.iter().any(named)
}

/// What the annotations of an Ingress of class nginx ask for in such texts, as they were written there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// Where every request is sent.
    pub(crate) location: Option<Location>,
    /// New path, where HTTPRoute and a substitution have no word for it.
    pub(crate) path: Option<String>,
    /// What the query begins with.
    pub(crate) query: Option<String>,
    /// The request's own query does not follow.
    pub(crate) drops_query: bool,
    /// Host that the backend sees.
    pub(crate) host: Option<String>,
    /// `X-Forwarded-Prefix`, where the path is rewritten.
    pub(crate) prefix: Option<String>,
}

impl Texts {
    /// Requests stay where they are: they are neither redirected nor rewritten.
    pub(crate) fn stays(&mut self) {
        *self = Self {
            host: self.host.take(),
            ..Self::default()
        };
    }
}

/// A URL that clients are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) url: String,
    pub(crate) code: u16,
    /// The request's query follows.
    pub(crate) keeps_query: bool,
}

/// A path whose texts are completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The expression, where it is one.
    pub(crate) pattern: Option<&'a str>,
    pub(crate) host: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) ingress: &'a str,
    /// The Service that it leads to; nothing, where it leads to none.
    pub(crate) service: &'a str,
    /// As it is written.
    pub(crate) path: &'a str,
}

/// Templates for one path.
pub(crate) struct Templates<'a> {
    place: Place<'a>,
    groups: Option<Regex>,
    /// A template has a group.
    pub(crate) used: bool,
}

impl<'a> Templates<'a> {
    /// Those of a path.
    pub(crate) fn of(place: Place<'a>) -> Self {
        let groups = place.pattern.and_then(|pattern| Regex::new(pattern).ok());
        Self {
            place,
            groups,
            used: false,
        }
    }

    /// The template that a checked text becomes.
    pub(crate) fn template(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for part in template::parts(text).unwrap_or_default() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => self.name(name, &mut out),
            }
        }
        out
    }

    fn name(&mut self, name: &str, out: &mut String) {
        let lower = name.to_ascii_lowercase();
        if self.has_group(name) {
            self.used = true;
            out.push_str(&format!("${{{name}}}"));
        } else if template::is_variable(name) {
            out.push_str(&format!("${{{lower}}}"));
        } else {
            // Anything else is a group that this path has not.
            out.push_str(match &*lower {
                "namespace" => self.place.namespace,
                "ingress_name" => self.place.ingress,
                "service_name" => self.place.service,
                "location_path" => self.place.path,
                "server_name" => self.place.host,
                _ => "",
            });
        }
    }

    fn has_group(&self, name: &str) -> bool {
        let Some(groups) = &self.groups else {
            return false;
        };
        match name.parse::<usize>() {
            Ok(number) => number > 0 && number < groups.captures_len(),
            Err(_) => {
                let mut names = groups.capture_names().flatten();
                names.any(|known| known.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// Whether a text is a URL that clients can be sent to: an absolute one, or a path on the same host.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn check_location(text: &str) -> Result<(), String> {
    if text.len() > 2048 || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        return Err(format!(
            "{text:?} is no URL of up to 2,048 characters without blanks and backslashes"
        ));
    }
    if is_absolute(text) {
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // The path of a request may end the host: `https://example.com$request_uri`.
        return check_host(host).map_err(|_| {
            format!("{text:?} has no host that clients can be sent to, such as https://example.com")
        });
    }
    let here = ["$request_uri", "$uri", "${request_uri}", "${uri}"];
    let on_this_host = text.starts_with('/') && !text.starts_with("//");
    if on_this_host || here.iter().any(|start| text.starts_with(start)) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is neither a URL such as https://example.com/path nor a path that begins with one slash"
    ))
}

/// Whether a text begins with a scheme.
pub(crate) fn is_absolute(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let schemes = ["http", "https", "$scheme", "${scheme}"];
    schemes.iter().any(|scheme| {
        let rest = lower.strip_prefix(scheme);
        rest.is_some_and(|rest| rest.starts_with("://"))
    })
}

/// Whether a text can stand where a host does, with a port or without.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn check_host(text: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-:[]".contains(&b);
    let parts = template::parts(text).unwrap_or_default();
    let fits = |part: &Part<'_>| match part {
        Part::Text(text) => text.bytes().all(legal),
        Part::Name(_) => true,
    };
    if parts.is_empty() || text.starts_with(':') || !parts.iter().all(fits) || text.len() > 1024 {
        return Err(format!("{text:?} is not a host, with a port or without"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "variable_tests.rs"]
mod tests;
