//! Header fields that a snippet sets or takes away.

use super::{super::Directive, has_variable, short};
use crate::value;

/// Names whose values are nobody's business.
const SECRET: &[&str] = &[
    "authorization",
    "cookie",
    "key",
    "token",
    "secret",
    "password",
];
/// What the gateway says to backends by itself.
const SENT: &[&str] = &[
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "x-scheme",
    "x-original-uri",
];

/// What to write instead of a directive about header fields.
pub(super) fn instead(directive: &Directive) -> Option<String> {
    let (name, text) = (directive.arg(0), directive.arg(1));
    match directive.name.as_str() {
        "proxy_set_header" | "grpc_set_header" => Some(request(name, text)),
        "add_header" => Some(field("response", "add", name, text)),
        "proxy_hide_header" | "grpc_hide_header" => Some(removed("response", &[name])),
        "more_set_headers" => Some(each(directive, "response")),
        "more_set_input_headers" => Some(each(directive, "request")),
        "more_clear_headers" => Some(cleared(directive, "response")),
        "more_clear_input_headers" => Some(cleared(directive, "request")),
        _ => None,
    }
}

fn request(name: &str, text: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "host" if !has_variable(text) => format!("`upstream-vhost: \"{}\"`", short(text)),
        "host" => "nothing: the backend sees the client's Host".to_owned(),
        "upgrade" | "connection" => {
            "nothing: upgrades such as WebSocket pass by themselves".to_owned()
        }
        name if SENT.contains(&name) && has_variable(text) => format!(
            "nothing: the gateway tells backends who asked and how in X-Forwarded-For, -Proto and -Host ({name})"
        ),
        _ if text.is_empty() => removed("request", &[name]),
        _ => field("request", "update", name, text),
    }
}

/// `request-header-control-update` and its kin.
fn field(direction: &str, change: &str, name: &str, text: &str) -> String {
    let name = short(name);
    if value::header_name(&name).is_err() {
        return format!("{name:?} is not a header name");
    }
    if has_variable(text) {
        return format!(
            "{name} cannot have the value {:?}: only fixed values can be set",
            short(text)
        );
    }
    let lower = name.to_ascii_lowercase();
    let text = match SECRET.iter().any(|word| lower.contains(word)) {
        true => "VALUE".to_owned(),
        false => short(text),
    };
    format!("`higress.io/{direction}-header-control-{change}: \"{name} {text}\"`")
}

fn removed(direction: &str, names: &[&str]) -> String {
    let names = short(&names.join(","));
    match names.contains('*') {
        true => format!("the whole names of the fields {names}: patterns cannot be removed"),
        false => format!("`higress.io/{direction}-header-control-remove: \"{names}\"`"),
    }
}

/// The arguments that are no options; `-s` and `-t` take one themselves.
fn values(directive: &Directive) -> Vec<&str> {
    let mut args = directive.args.iter().map(String::as_str);
    let mut values = Vec::new();
    while let Some(arg) = args.next() {
        match arg {
            "-s" | "-t" => drop(args.next()),
            _ if arg.starts_with('-') => {}
            _ => values.push(arg),
        }
    }
    values
}

/// `'Name: value'`, several times; without a value the field is removed.
fn each(directive: &Directive, direction: &str) -> String {
    let one = |text: &str| {
        let (name, text) = text.split_once(':').unwrap_or((text, ""));
        let (name, text) = (name.trim(), text.trim());
        match (text.is_empty(), direction) {
            (true, _) => removed(direction, &[name]),
            (false, "request") => request(name, text),
            (false, _) => field(direction, "update", name, text),
        }
    };
    let suggestions: Vec<String> = values(directive).into_iter().take(8).map(one).collect();
    suggestions.join(" and ")
}

fn cleared(directive: &Directive, direction: &str) -> String {
    let names: Vec<&str> = values(directive)
        .iter()
        .flat_map(|names| names.split_ascii_whitespace())
        // A name may be written as in a header field, with its colon.
        .map(|name| name.trim_end_matches(':'))
        .collect();
    removed(direction, &names)
}
