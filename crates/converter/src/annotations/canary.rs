//! `canary*`: which share of another Ingress' requests this one takes.

use super::{Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const CANARY: Family = Family {
    name: "canary",
    keys: &[
        Key {
            name: "canary",
            doc: "true: this Ingress takes requests from the one with the same host, path and path type.",
            becomes: "Rules and weights in the HTTPRoute of the base; of its other annotations only header control counts. Approximated: nothing says which requests it takes, or an annotation of it is not used, as the base's counts. Dropped: a path that no base has.",
        },
        Key {
            name: "canary-by-header",
            doc: "Header whose value always sends a request here and never to the base.",
            becomes: "Exact header matches: `always` leads here, `never` to the base. Refused: a header that the base has a condition on; then nobody comes here by header.",
        },
        Key {
            name: "canary-by-header-value",
            doc: "Value of that header, compared literally, instead of always and never.",
            becomes: "Exact header match. Refused: without canary-by-header, or no legal value; then nobody comes here by header.",
        },
        Key {
            name: "canary-by-header-pattern",
            doc: "Regular expression searched for in that header's value.",
            becomes: "RegularExpression header match. Approximated: canary-by-header-value is set and wins. Refused: without canary-by-header, or it does not compile; then nobody comes here by header.",
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
            becomes: "`weight` of the backendRefs. Refused: outside 1 to 1,000,000,000; then 100 counts.",
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
        reader.exact("canary", "an ordinary Ingress");
        return;
    }
    let canary = Canary {
        header: header(reader),
        cookie: cookie(reader),
        weight: weight(reader),
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
        reader.exact("canary", "rules of the base Ingress' HTTPRoute");
    }
    settings.canary = Some(canary);
}

fn header(reader: &mut Reader<'_>) -> Option<(String, HeaderRule)> {
    let Some(name) = reader.parse("canary-by-header", value::header_name) else {
        for key in ["canary-by-header-value", "canary-by-header-pattern"] {
            reader.say(
                key,
                Outcome::Refused,
                "has no meaning without canary-by-header",
            );
        }
        return None;
    };
    reader.exact("canary-by-header", "header matches");
    if let Some(wanted) = reader.parse("canary-by-header-value", value::header_value) {
        reader.exact("canary-by-header-value", "exact header match");
        reader.say(
            "canary-by-header-pattern",
            Outcome::Approximated,
            "canary-by-header-value is set and wins",
        );
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
        "regular expression on the Cookie header",
    );
    Some(name)
}

fn weight(reader: &mut Reader<'_>) -> Option<Weight> {
    let total = reader.parse("canary-weight-total", |text| match value::number(text)? {
        total @ 1..=1_000_000_000 => Ok(total.unsigned_abs()),
        _ => Err("a total is 1 to 1,000,000,000; 100 is used".to_owned()),
    });
    if total.is_some() {
        reader.exact("canary-weight-total", "weights of backendRefs");
    }
    let total = total.unwrap_or(100);
    let part = reader.parse("canary-weight", value::number)?;
    let clamped = u64::try_from(part).unwrap_or(0).min(total);
    if i64::try_from(clamped) == Ok(part) {
        reader.exact("canary-weight", "weight of a backendRef");
    } else {
        reader.say(
            "canary-weight",
            Outcome::Approximated,
            format!("clamped to {clamped} of {total}"),
        );
    }
    Some(Weight {
        part: clamped,
        total,
    })
}
