//! `canary*`: which share of another Ingress' requests this one takes.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{draft::canary_role, effect::Written, native::BackendRef, note::Outcome, value};

/// See [`Family`].
pub(super) const CANARY: Family = Family {
    name: "canary",
    keys: &[
        Key {
            name: "canary",
            doc: "true: this Ingress takes requests from the one with the same host, path and path type.",
            becomes: "Rules and weights in the HTTPRoute of the base; of its other annotations only header control counts. No effect: an annotation of it that only its base can have. Approximated: nothing says which requests it takes. Dropped: a path that no base has.",
        },
        Key {
            name: "canary-by-header",
            doc: "Header whose value always sends a request here and never to the base.",
            becomes: "Exact header matches: `always` leads here, `never` to the base. Refused: a header that the base has a condition on; then nobody comes here by header.",
        },
        Key {
            name: "canary-by-header-value",
            doc: "Value of that header, compared literally, instead of always and never.",
            becomes: "Exact header match. No effect: without canary-by-header. Refused: no legal value; then nobody comes here by header.",
        },
        Key {
            name: "canary-by-header-pattern",
            doc: "Regular expression searched for in that header's value.",
            becomes: "RegularExpression header match. No effect: without canary-by-header, or canary-by-header-value is set and wins. Refused: it does not compile; then nobody comes here by header.",
        },
        Key {
            name: "canary-by-cookie",
            doc: "Cookie whose value always sends a request here and never to the base.",
            becomes: "RegularExpression matches on the Cookie header. Refused: no cookie's name, or the base has a condition on Cookie; then nobody comes here by cookie.",
        },
        Key {
            name: "canary-weight",
            doc: "Share of the remaining requests, out of canary-weight-total.",
            becomes: "`weight` of the backendRefs, in exact shares. Approximated: clamped to 0 and the total. Refused: not a whole number.",
        },
        Key {
            name: "canary-weight-total",
            doc: "What canary-weight is a part of. Default 100.",
            becomes: "`weight` of the backendRefs. No effect: without canary-weight. Refused: outside 1 to 1,000,000,000; then 100 counts.",
        },
    ],
    apply,
};

/// What sends a request to a canary. The parts are a chain: header, then cookie, then weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canary {
    pub(crate) header: Option<(String, HeaderRule)>,
    pub(crate) cookie: Option<String>,
    pub(crate) weight: Option<Weight>,
    /// Its share goes before session cookies of the base: `affinity-canary-behavior` is `legacy`.
    pub(crate) before_sessions: bool,
    /// The annotations that say so, as they are spelled.
    keys: Vec<String>,
}

impl Canary {
    /// The annotation that ends so, as it is spelled.
    pub(crate) fn key(&self, end: &str) -> Option<&str> {
        let mut keys = self.keys.iter().map(String::as_str);
        keys.find(|key| key.ends_with(end))
    }
}

/// A share: `part` of `total`, never more than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) part: u64,
    pub(crate) total: u64,
}

/// How the header is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderRule {
    /// `always` and `never`.
    Always,
    /// Literally this.
    Value(String),
    /// This expression, anywhere in the value.
    Pattern(String),
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if reader.parse("canary", value::boolean) != Some(true) {
        reader.exact("canary", Effect::Default, "an ordinary Ingress");
        return;
    }
    let canary = Canary {
        header: header(reader),
        cookie: cookie(reader),
        weight: weight(reader),
        before_sessions: false,
        keys: CANARY
            .keys
            .iter()
            .filter_map(|key| reader.key(key.name))
            .collect(),
    };
    if canary.header.is_none() && canary.cookie.is_none() && canary.weight.is_none() {
        let message = "nothing says which requests it takes: set canary-by-header, canary-by-cookie or canary-weight";
        reader.say("canary", Outcome::Approximated, message);
    } else {
        let message = "rules of the base Ingress' HTTPRoute";
        reader.exact("canary", Effect::In(leads_here), message);
    }
    settings.canary = Some(canary);
}

/// Whether a rule sends requests to the canary.
pub(super) fn leads_here(written: &Written<'_>) -> bool {
    by_weight(written) || by_header(written) || leads_by(written, "cookie")
}

fn by_header(written: &Written<'_>) -> bool {
    leads_by(written, "header")
}

/// Whether the base has a rule for the canary.
fn leads_by(written: &Written<'_>, role: &str) -> bool {
    let end = canary_role(role, &written.source.object.key.name);
    let mut names = written.rules().filter_map(|rule| rule.name.as_ref());
    names.any(|name| name.ends_with(&end))
}

/// Whether a rule of the base shares its requests with a Service of the canary.
fn by_weight(written: &Written<'_>) -> bool {
    let services = written
        .source
        .paths
        .iter()
        .flat_map(|path| path.backend.services());
    let services: Vec<&str> = services.map(|service| &*service.name).collect();
    written.rules().any(|rule| {
        let backends = rule.backend_refs.as_deref().unwrap_or_default();
        let shared =
            |backend: &BackendRef| backend.weight.is_some() && services.contains(&&*backend.name);
        backends.len() > 1 && backends.iter().any(shared)
    })
}

fn header(reader: &mut Reader<'_>) -> Option<(String, HeaderRule)> {
    let Some(name) = reader.parse("canary-by-header", value::header_name) else {
        for key in ["canary-by-header-value", "canary-by-header-pattern"] {
            reader.pointless(key, "canary-by-header");
        }
        return None;
    };
    reader.exact("canary-by-header", Effect::In(by_header), "header matches");
    if let Some(wanted) = reader.parse("canary-by-header-value", value::header_value) {
        let effect = Effect::In(by_header);
        reader.exact("canary-by-header-value", effect, "exact header match");
        reader.beaten("canary-by-header-pattern", "canary-by-header-value");
        return Some((name, HeaderRule::Value(wanted)));
    }
    // A value that cannot be honoured must not become `always`.
    if reader.has("canary-by-header-value") {
        return None;
    }
    if let Some(pattern) = reader.parse("canary-by-header-pattern", |p| {
        value::regex(p).map(|()| p.to_owned())
    }) {
        reader.exact(
            "canary-by-header-pattern",
            Effect::In(by_header),
            "header match by regular expression",
        );
        return Some((name, HeaderRule::Pattern(pattern)));
    }
    (!reader.has("canary-by-header-pattern")).then_some((name, HeaderRule::Always))
}

fn cookie(reader: &mut Reader<'_>) -> Option<String> {
    let token = |text: &str| {
        let legal = !text.is_empty() && value::header_name(text).is_ok();
        if legal {
            Ok(text.to_owned())
        } else {
            Err(format!("{text:?} is not a cookie's name"))
        }
    };
    let name = reader.parse("canary-by-cookie", token)?;
    reader.exact(
        "canary-by-cookie",
        Effect::In(|written| leads_by(written, "cookie")),
        "regular expression on the Cookie header",
    );
    Some(name)
}

fn weight(reader: &mut Reader<'_>) -> Option<Weight> {
    let total = reader.parse("canary-weight-total", |text| match value::number(text)? {
        total @ 1..=1_000_000_000 => Ok(total.unsigned_abs()),
        _ => Err("a total is 1 to 1,000,000,000; 100 is used".to_owned()),
    });
    if let Some(total) = total {
        let effect = match total {
            100 => Effect::Default,
            _ => Effect::In(by_weight),
        };
        reader.exact("canary-weight-total", effect, "weights of backendRefs");
    }
    let total = total.unwrap_or(100);
    let Some(part) = reader.parse("canary-weight", value::number) else {
        reader.pointless("canary-weight-total", "canary-weight");
        return None;
    };
    let clamped = u64::try_from(part).unwrap_or(0).min(total);
    if i64::try_from(clamped) == Ok(part) {
        reader.exact(
            "canary-weight",
            Effect::In(by_weight),
            "weight of a backendRef",
        );
    } else {
        reader.close_to(
            "canary-weight",
            Effect::In(by_weight),
            format!("clamped to {clamped} of {total}"),
        );
    }
    Some(Weight {
        part: clamped,
        total,
    })
}
