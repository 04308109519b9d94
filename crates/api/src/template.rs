//! The variables of templates: texts such as `https://$host/login` that are completed for each request.
//!
//! RouteFilters and the external authentication of RoutePolicies have them; `docs/crds.md` says what each stands for.

/// Names of variables, without dollar. Names are taken in any case.
pub const VARIABLES: &[&str] = &[
    "host",
    "http_host",
    "best_http_host",
    "scheme",
    "pass_access_scheme",
    "https",
    "server_port",
    "pass_server_port",
    "pass_port",
    "server_protocol",
    "request_uri",
    "escaped_request_uri",
    "uri",
    "document_uri",
    "args",
    "query_string",
    "is_args",
    "request_method",
    "remote_addr",
    "the_real_ip",
    "realip_remote_addr",
    "remote_user",
    "req_id",
    "request_id",
    "content_type",
    "content_length",
];

/// Variables for what has a name of its own: what theirs begin with.
pub const KINDS: &[&str] = &["http_", "arg_", "cookie_"];

/// What stands for a dollar.
pub const DOLLAR: &str = "literal_dollar";

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'t> {
    /// As it stands.
    Text(&'t str),
    /// A name, as it is written; a number is one, too.
    Name(&'t str),
}

/// A dollar that begins no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BareDollar;

/// Whether there is a variable of this name.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let of_kind = |kind: &str| name.strip_prefix(kind).is_some_and(word);
    name == DOLLAR || VARIABLES.contains(&&*name) || KINDS.iter().any(|kind| of_kind(kind))
}

/// Every variable, for a message.
#[must_use]
pub fn list() -> String {
    let named = VARIABLES.iter().map(|name| format!("${name}"));
    let kinds = KINDS.iter().map(|kind| format!("${kind}NAME"));
    named.chain(kinds).collect::<Vec<_>>().join(", ")
}

/// The parts of a text. A digit behind a dollar is a name by itself: `$1a` is `$1` and an `a`.
///
/// # Errors
/// A dollar begins no name.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, BareDollar> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let (name, behind) = name(after).ok_or(BareDollar)?;
        parts.push(Part::Name(name));
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// The name behind a dollar, and what follows it.
fn name(after: &str) -> Option<(&str, &str)> {
    let (name, behind) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None if after.starts_with(|c: char| c.is_ascii_digit() && c != '0') => after.split_at(1),
        None => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let end = after.bytes().position(|b| !word(b));
            after.split_at(end.unwrap_or(after.len()))
        }
    };
    (!name.is_empty()).then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use super::{BareDollar, Part, is_variable, parts};

    #[test]
    fn texts_have_parts() {
        let text = "a$Host/${1}$2b$http_x-y";
        let wanted = [
            Part::Text("a"),
            Part::Name("Host"),
            Part::Text("/"),
            Part::Name("1"),
            Part::Name("2"),
            Part::Text("b"),
            Part::Name("http_x"),
            Part::Text("-y"),
        ];
        assert_eq!(parts(text).unwrap(), wanted);
        for text in ["$", "a$/", "${host", "${}", "$$host"] {
            assert_eq!(parts(text), Err(BareDollar), "{text}");
        }
    }

    #[test]
    fn names_are_known() {
        for name in ["host", "HOST", "http_x_y", "cookie_sid", "literal_dollar"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["hosts", "http_", "arg_a-b", "1", "upstream_addr", ""] {
            assert!(!is_variable(name), "{name}");
        }
    }
}
