//! `request-header-control-*`, `response-header-control-*`.

use super::{Effect, Family, Key, Reader, Settings, rewrite::rewrites_host};
use crate::{
    effect::Written,
    native::{BackendFilter, Filter, Rule},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const HEADER_CONTROL: Family = Family {
    name: "header-control",
    keys: &[
        Key {
            name: "request-header-control-add",
            doc: "Lines of `KEY VALUE`: appended to the request's header.",
            becomes: "RequestHeaderModifier `add`; a Host becomes URLRewrite `hostname`. Refused: lines that are not KEY VALUE, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
        Key {
            name: "request-header-control-update",
            doc: "Lines of `KEY VALUE`: overwrite or create the request's header.",
            becomes: "RequestHeaderModifier `set`; a Host becomes URLRewrite `hostname`. Refused: lines that are not KEY VALUE, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
        Key {
            name: "request-header-control-remove",
            doc: "Names, comma-separated: removed from the request.",
            becomes: "RequestHeaderModifier `remove`. Refused: Host, entries that are no header's name, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
        Key {
            name: "response-header-control-add",
            doc: "Lines of `KEY VALUE`: appended to the response's header.",
            becomes: "ResponseHeaderModifier `add`. Refused: lines that are not KEY VALUE, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
        Key {
            name: "response-header-control-update",
            doc: "Lines of `KEY VALUE`: overwrite or create the response's header.",
            becomes: "ResponseHeaderModifier `set`. Refused: lines that are not KEY VALUE, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
        Key {
            name: "response-header-control-remove",
            doc: "Names, comma-separated: removed from the response.",
            becomes: "ResponseHeaderModifier `remove`. Refused: entries that are no header's name, headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16; the others count.",
        },
    ],
    apply,
};

/// Gateway API's limit of each list.
pub(super) const MOST: usize = 16;

/// Changes in one direction. Applied in the order remove, update, add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeaderControl {
    pub(crate) add: Vec<(String, String)>,
    pub(crate) update: Vec<(String, String)>,
    pub(crate) remove: Vec<String>,
}

impl HeaderControl {
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.update.is_empty() && self.remove.is_empty()
    }
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let mut host = None;
    settings.request_headers = HeaderControl {
        add: pairs(
            reader,
            (
                "request-header-control-add",
                Effect::In(|w| on_requests(w, |changes| changes.add)),
            ),
            Some(&mut host),
        ),
        update: pairs(
            reader,
            (
                "request-header-control-update",
                Effect::In(|w| on_requests(w, |changes| changes.set)),
            ),
            Some(&mut host),
        ),
        remove: names(
            reader,
            (
                "request-header-control-remove",
                Effect::In(|w| on_requests(w, |changes| changes.remove)),
            ),
        ),
    };
    // The Host of a request is not a header to be set; it is rewritten. `upstream-vhost` wins.
    if let Some((key, host)) = host {
        if settings.rule.hostname.is_none() {
            settings.rule.hostname = Some(host);
        } else {
            let message = "upstream-vhost is set and wins over Host; the other headers count";
            reader.say(key, Outcome::Approximated, message);
        }
    }
    settings.response_headers = HeaderControl {
        add: pairs(
            reader,
            (
                "response-header-control-add",
                Effect::In(|w| on_answers(w, |changes| changes.add)),
            ),
            None,
        ),
        update: pairs(
            reader,
            (
                "response-header-control-update",
                Effect::In(|w| on_answers(w, |changes| changes.set)),
            ),
            None,
        ),
        remove: names(
            reader,
            (
                "response-header-control-remove",
                Effect::In(|w| on_answers(w, |changes| changes.remove)),
            ),
        ),
    };
}

/// What a header modifier does.
struct Changes {
    set: bool,
    add: bool,
    remove: bool,
}

macro_rules! changes {
    ($modifier:expr) => {
        Changes {
            set: $modifier.set.is_some(),
            add: $modifier.add.is_some(),
            remove: $modifier.remove.is_some(),
        }
    };
}

/// Whether a rule, or one of its backends, changes the headers of requests so, or gives them another host.
fn on_requests(written: &Written<'_>, is: fn(&Changes) -> bool) -> bool {
    written.rules().any(|rule| {
        let rules = filters(rule).filter_map(|filter| filter.request_header_modifier.as_ref());
        let backends = backend_filters(rule);
        let backends = backends.filter_map(|filter| filter.request_header_modifier.as_ref());
        rules
            .map(|modifier| changes!(modifier))
            .any(|changes| is(&changes))
            || backends
                .map(|modifier| changes!(modifier))
                .any(|changes| is(&changes))
            || rewrites_host(rule)
    })
}

/// Whether a rule, or one of its backends, changes the headers of answers so.
fn on_answers(written: &Written<'_>, is: fn(&Changes) -> bool) -> bool {
    written.rules().any(|rule| {
        let rules = filters(rule).filter_map(|filter| filter.response_header_modifier.as_ref());
        let backends = backend_filters(rule);
        let backends = backends.filter_map(|filter| filter.response_header_modifier.as_ref());
        rules
            .map(|modifier| changes!(modifier))
            .any(|changes| is(&changes))
            || backends
                .map(|modifier| changes!(modifier))
                .any(|changes| is(&changes))
    })
}

fn filters(rule: &Rule) -> impl Iterator<Item = &Filter> {
    rule.filters.iter().flatten()
}

fn backend_filters(rule: &Rule) -> impl Iterator<Item = &BackendFilter> {
    let backends = rule.backend_refs.iter().flatten();
    backends.flat_map(|backend| backend.filters.iter().flatten())
}

/// The lines of an annotation. A Host goes to `host`, where there is one.
fn pairs(
    reader: &mut Reader<'_>,
    (key, effect): (&'static str, Effect),
    mut host: Option<&mut Option<(&'static str, String)>>,
) -> Vec<(String, String)> {
    let Some(text) = reader.text(key) else {
        return Vec::new();
    };
    let (mut good, mut bad) = (Vec::<(String, String)>::new(), Vec::new());
    for (at, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        match pair(line) {
            Ok((name, value)) if name == "host" && host.is_some() => {
                match value::precise_hostname(&value) {
                    Ok(value) => {
                        if let Some(host) = &mut host {
                            **host = Some((key, value));
                        }
                    }
                    Err(why) => bad.push(format!("line {}: {why}", at + 1)),
                }
            }
            Ok((name, _)) if api::header::frames_a_message(&name) => {
                bad.push(format!("line {}: {}", at + 1, framing(&name)));
            }
            Ok((name, value)) => {
                // The last of several lines for one name counts, as in Higress.
                good.retain(|(other, _)| *other != name);
                good.push((name, value));
            }
            Err(why) => bad.push(format!("line {}: {why}", at + 1)),
        }
    }
    finish(reader, (key, effect), good, bad)
}

/// `KEY VALUE`: split at the first blank; one pair of quotes around either is taken off.
fn pair(line: &str) -> Result<(String, String), String> {
    let line = line.trim();
    let (name, text) = line
        .split_once(char::is_whitespace)
        .ok_or_else(|| format!("{line:?} is not KEY VALUE"))?;
    Ok((
        value::header_name(unquote(name))?,
        value::header_value(unquote(text.trim()))?,
    ))
}

fn unquote(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

fn names(reader: &mut Reader<'_>, (key, effect): (&'static str, Effect)) -> Vec<String> {
    let Some(text) = reader.text(key) else {
        return Vec::new();
    };
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for entry in value::list(&text) {
        match value::header_name(entry) {
            Ok(name) if name == "host" => {
                bad.push("the Host of a request cannot be removed".to_owned())
            }
            Ok(name) if api::header::frames_a_message(&name) => bad.push(framing(&name)),
            Ok(name) if good.contains(&name) => {}
            Ok(name) => good.push(name),
            Err(why) => bad.push(why),
        }
    }
    finish(reader, (key, effect), good, bad)
}

/// Why a header is not for rules to change.
fn framing(name: &str) -> String {
    format!(
        "{name} says how a message is framed, or concerns one connection, and cannot be changed"
    )
}

fn finish<T>(
    reader: &mut Reader<'_>,
    (key, effect): (&'static str, Effect),
    mut good: Vec<T>,
    mut bad: Vec<String>,
) -> Vec<T> {
    if good.len() > MOST {
        bad.push(format!(
            "Gateway API takes {MOST} entries; {} are left out",
            good.len() - MOST
        ));
        good.truncate(MOST);
    }
    if bad.is_empty() {
        reader.exact(key, effect, "header modifier");
    } else {
        let rest = if good.is_empty() {
            "nothing is left"
        } else {
            "the others count"
        };
        reader.say(key, Outcome::Refused, format!("{}; {rest}", bad.join("; ")));
    }
    good
}
