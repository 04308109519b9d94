//! `enable-cors` and `cors-*`.

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    native::{Cors, Rule},
    note::Outcome,
    value,
};

/// See [`Family`].
pub(super) const CORS: Family = Family {
    name: "cors",
    keys: &[
        Key {
            name: "enable-cors",
            doc: "true turns cross-origin sharing on. Default false. In class nginx every answer to an allowed origin says what is allowed, and each OPTIONS from there is answered with 204.",
            becomes: "CORS filter of each rule, and in class nginx RoutePolicy `cors`. Refused: neither true nor false; then it is off.",
        },
        Key {
            name: "cors-allow-origin",
            doc: "Origins, comma-separated; without scheme both http and https; *.example.com for any depth. Default *, for which the origin that asks is answered. In class nginx: with any scheme, *.example.com for one label, and * is answered as it is.",
            becomes: "`allowOrigins` of the CORS filter. No effect: without enable-cors. Refused: entries that are no origin (null too), and those beyond 64; the others count, and if none is left nothing is allowed.",
        },
        Key {
            name: "cors-allow-methods",
            doc: "Methods, comma-separated, or *. Default GET, PUT, POST, DELETE, PATCH, OPTIONS.",
            becomes: "`allowMethods` of the CORS filter. No effect: without enable-cors. Refused: entries that are no method; the others count.",
        },
        Key {
            name: "cors-allow-headers",
            doc: "Request headers, comma-separated, or *. Default DNT, X-CustomHeader, Keep-Alive, User-Agent, X-Requested-With, If-Modified-Since, Cache-Control, Content-Type, Authorization; in class nginx Range in the place of X-CustomHeader.",
            becomes: "`allowHeaders` of the CORS filter. No effect: without enable-cors. Refused: entries that are no header's name, and those beyond 64; the others count.",
        },
        Key {
            name: "cors-expose-headers",
            doc: "Response headers that scripts may read, comma-separated, or *: with credentials those that an answer has are named, in class nginx * is sent. Default none.",
            becomes: "`exposeHeaders` of the CORS filter. No effect: without enable-cors. Refused: entries that are no header's name, and those beyond 64; the others count.",
        },
        Key {
            name: "cors-allow-credentials",
            doc: "Whether cookies may be sent along. Default true.",
            becomes: "`allowCredentials` of the CORS filter. No effect: without enable-cors. Refused: neither true nor false; then true counts.",
        },
        Key {
            name: "cors-max-age",
            doc: "Seconds for which a preflight answer may be kept. Default 1728000.",
            becomes: "`maxAge` of the CORS filter. No effect: without enable-cors. Approximated: clamped to 1 to 2147483647. Refused: not a whole number; then the default counts.",
        },
    ],
    apply,
};

const METHODS: &str = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const KNOWN_METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Gateway API's limit of every list in the filter.
const MOST: usize = 64;

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let enabled = reader.parse("enable-cors", value::boolean);
    if enabled != Some(true) {
        reader.exact("enable-cors", Effect::Default, "off");
        for key in &CORS.keys[1..] {
            reader.pointless(key.name, "enable-cors: \"true\"");
        }
        return;
    }
    reader.exact("enable-cors", Effect::Rule(shares), "CORS filter");
    let defaults = reader.profile();
    let methods = entries(reader, "cors-allow-methods", METHODS, |text| {
        let upper = text.to_ascii_uppercase();
        if KNOWN_METHODS.contains(&upper.as_str()) {
            Ok(vec![upper])
        } else {
            Err(format!("{text:?} is not a method"))
        }
    });
    let name = |text: &str| value::header_name(text).map(|_| vec![text.to_owned()]);
    let headers = entries(reader, "cors-allow-headers", defaults.cors_headers(), name);
    let expose = entries(reader, "cors-expose-headers", "", name);
    let credentials = reader.parse("cors-allow-credentials", value::boolean);
    if let Some(credentials) = credentials {
        let effect = changed(!credentials);
        reader.exact("cors-allow-credentials", effect, "allowCredentials");
    }
    let schemes = !defaults.takes_origins_without_scheme();
    let origin = |text: &str| origin(text, schemes);
    let origins = entries(reader, "cors-allow-origin", "*", origin);
    if let Some(answers) = defaults.cors() {
        settings.route_policy_mut().cors = Some(answers);
    }
    settings.rule.cors = Some(Box::new(Cors {
        allow_origins: Some(origins),
        allow_methods: Some(methods),
        allow_headers: Some(headers),
        allow_credentials: Some(credentials.unwrap_or(true)),
        max_age: Some(max_age(reader)),
        expose_headers: (!expose.is_empty()).then_some(expose),
    }));
}

/// Whether a rule shares with other origins.
fn shares(rule: &Rule) -> bool {
    let mut filters = rule.filters.iter().flatten();
    filters.any(|filter| filter.cors.is_some())
}

/// The effect of a value that is the default, or is not.
fn changed(differs: bool) -> Effect {
    if differs {
        Effect::Rule(shares)
    } else {
        Effect::Default
    }
}

fn max_age(reader: &mut Reader<'_>) -> i32 {
    const DEFAULT: i32 = 1_728_000;
    let Some(seconds) = reader.parse("cors-max-age", value::number) else {
        return DEFAULT;
    };
    let kept = i32::try_from(seconds.max(1)).unwrap_or(i32::MAX);
    if i64::from(kept) == seconds {
        reader.exact("cors-max-age", changed(kept != DEFAULT), "maxAge");
    } else {
        reader.close_to(
            "cors-max-age",
            changed(kept != DEFAULT),
            format!("Gateway API takes 1 to 2147483647; {kept} is used"),
        );
    }
    kept
}

/// The entries of a list that can be honoured; `*` among them is everything.
fn entries(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: &str,
    parse: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Vec<String> {
    let text = reader.text(key).filter(|text| !text.is_empty());
    let (mut good, mut bad) = list(text.as_deref().unwrap_or(default), &parse);
    let effect = changed(good != list(default, &parse).0);
    if good.len() > MOST {
        bad.push(format!(
            "Gateway API takes {MOST} entries; {} are left out",
            good.len() - MOST
        ));
        good.truncate(MOST);
    }
    match (bad.is_empty(), good.is_empty()) {
        (true, _) if good == ["*"] => reader.exact(key, effect, "everything"),
        (true, _) => reader.exact(key, effect, "CORS filter"),
        (false, true) => reader.say(
            key,
            Outcome::Refused,
            format!("{}; so nothing is allowed", bad.join("; ")),
        ),
        (false, false) => reader.say(
            key,
            Outcome::Refused,
            format!("{}; the others count", bad.join("; ")),
        ),
    }
    good
}

/// Entries, each once, and what is wrong with others.
fn list(
    text: &str,
    parse: &impl Fn(&str) -> Result<Vec<String>, String>,
) -> (Vec<String>, Vec<String>) {
    let items = value::list(text);
    if items.contains(&"*") {
        return (vec!["*".to_owned()], Vec::new());
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for item in items {
        match parse(item) {
            Ok(parsed) => {
                for entry in parsed {
                    if !good.contains(&entry) {
                        good.push(entry);
                    }
                }
            }
            Err(why) => bad.push(why),
        }
    }
    (good, bad)
}

/// An origin as Gateway API writes it. One without scheme stands for both, which is what the annotation's users mean:
/// browsers always send a scheme; unless that is asked for.
fn origin(text: &str, with_scheme: bool) -> Result<Vec<String>, String> {
    let wrong = || {
        let others = match with_scheme {
            true => "or https://*.example.com; ingress-nginx passes over it",
            false => "example.com or *.example.com",
        };
        format!("{text:?} is not an origin such as https://example.com, {others}")
    };
    let lower = text.to_ascii_lowercase();
    if lower == "null" {
        return Err(format!(
            "{text:?}, which files and sandboxed frames send, is no origin that a CORS filter can name"
        ));
    }
    let (schemes, rest) = match lower.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (vec![scheme], rest),
        // Of applications that are not in a browser; ingress-nginx takes letters alone.
        Some((scheme, rest))
            if with_scheme
                && !scheme.is_empty()
                && scheme.bytes().all(|b| b.is_ascii_lowercase()) =>
        {
            (vec![scheme], rest)
        }
        Some(_) => return Err(wrong()),
        None if with_scheme => return Err(wrong()),
        None => (vec!["http", "https"], lower.as_str()),
    };
    let (host, port) = rest
        .split_once(':')
        .map_or((rest, None), |(host, port)| (host, Some(port)));
    let bare = host.strip_prefix("*.").unwrap_or(host);
    value::precise_hostname(bare).map_err(|_| wrong())?;
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(wrong());
    }
    Ok(schemes
        .iter()
        .map(|scheme| format!("{scheme}://{rest}"))
        .collect())
}
