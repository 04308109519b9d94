//! What to write instead of a directive.

mod access;
mod header;
mod redirect;

use super::{Directive, token};

/// How many suggestions one snippet gets.
const MOST: usize = 12;

/// What is to be said about a snippet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// A directive that keeps somebody out, as it is written: the snippet must not be left out in silence.
    pub(crate) restricts: Option<String>,
    /// What to write instead, a directive each.
    pub(crate) instead: Vec<String>,
    /// Why it could not be read, if it could not.
    pub(crate) unreadable: Option<&'static str>,
}

impl Advice {
    fn add(&mut self, suggestion: String) {
        if self.instead.len() < MOST && !self.instead.contains(&suggestion) {
            self.instead.push(suggestion);
        }
    }
}

/// Reads a snippet.
pub(crate) fn advise(text: &str) -> Advice {
    let mut advice = Advice::default();
    match token::parse(text) {
        Ok(directives) => block(&directives, &mut advice),
        Err(why) => {
            // nginx would not have taken it either, unless it is only larger than what is read here.
            advice.unreadable = Some(why);
            let restricts = access::WORDS.iter().find(|word| text.contains(**word));
            advice.restricts = restricts.map(|word| (*word).to_owned());
        }
    }
    advice
}

fn block(directives: &[Directive], advice: &mut Advice) {
    for directive in directives {
        if advice.restricts.is_none() && access::restricts(directive) {
            advice.restricts = Some(written(directive));
        }
        let suggestion = access::instead(directive)
            .or_else(|| header::instead(directive))
            .or_else(|| redirect::instead(directive))
            .or_else(|| other(directive));
        suggestion
            .into_iter()
            .for_each(|suggestion| advice.add(suggestion));
        block(&directive.block, advice);
    }
    access::lists(directives)
        .into_iter()
        .for_each(|suggestion| advice.add(suggestion));
}

/// A directive on one line, shortened.
fn written(directive: &Directive) -> String {
    let words =
        std::iter::once(directive.name.as_str()).chain(directive.args.iter().map(String::as_str));
    short(&words.collect::<Vec<_>>().join(" "))
}

/// Text that goes into a message: on one line, and not too long.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST)
        .collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

/// Whether nginx would put something in here.
fn has_variable(text: &str) -> bool {
    text.contains('$')
}

/// Directives that have a key, a field or no meaning of their own.
fn other(directive: &Directive) -> Option<String> {
    let value = short(directive.arg(0));
    let text = match directive.name.as_str() {
        "client_max_body_size" => format!("`proxy-body-size: \"{value}\"`"),
        "proxy_connect_timeout" | "proxy_read_timeout" | "proxy_send_timeout" => {
            let key = directive.name.replace('_', "-");
            format!("`{key}`, in seconds, for {} {value}", directive.name)
        }
        "access_log" if value == "off" => "`enable-access-log: \"false\"`".to_owned(),
        "limit_req" => "`limit-rps` or `limit-rpm` for limit_req".to_owned(),
        "limit_conn" => "`limit-connections` for limit_conn".to_owned(),
        "if" => "conditions (if) become matches of an HTTPRoute, or `match-method` and `exact-match-header-NAME` of another Ingress".to_owned(),
        "location" => format!("a path of an Ingress for location {}", short(&directive.args.join(" "))),
        "proxy_pass" => "a backend of the Ingress, or `destination`, for proxy_pass".to_owned(),
        name if name.contains("_by_lua") => format!("nothing replaces {}", short(name)),
        _ => return None,
    };
    Some(text)
}
