//! `mirror-*`.

use api::Kind;

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    external::External,
    native::{self, Rule},
    note::Outcome,
    registry,
    service::{self, ServiceName, ServiceRef},
    value,
};

/// See [`Family`].
pub(super) const MIRROR: Family = Family {
    name: "mirror",
    keys: &[
        Key {
            name: "mirror-target-service",
            doc: "[namespace/]service[:port]: gets a copy of each request; its answers are not used. Default port: its first.",
            becomes: "RequestMirror filter. Approximated: another namespace has no ReferenceGrant for HTTPRoutes of this one; then nothing is copied. No effect: mirror-target-fqdn is set and wins. Refused: no such Service.",
        },
        Key {
            name: "mirror-percentage",
            doc: "Share of requests that are copied, 0 to 100. Default 100.",
            becomes: "RequestMirror `percent`. No effect: without a target it has no meaning. Approximated: more than 100 is 100. Refused: not a whole number; then nothing is copied.",
        },
        Key {
            name: "mirror-target-fqdn",
            doc: "Name of a host that gets a copy of each request, or NAME.dns or NAME.static of a McpBridge (see destination); it wins over mirror-target-service.",
            becomes: "RequestMirror filter and a Service of type ExternalName, or with the endpoints of the registry. Refused: no name of a host, and no registry that can be used; then nothing is copied.",
        },
        Key {
            name: "mirror-target-fqdn-port",
            doc: "Port of that host. Default 80.",
            becomes: "Port of that Service. No effect: without mirror-target-fqdn it has no meaning. Refused: no port; then nothing is copied.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let percent = percent(reader);
    let target = if reader.has("mirror-target-fqdn") {
        reader.beaten("mirror-target-service", "mirror-target-fqdn");
        outside(reader, settings)
    } else {
        reader.pointless("mirror-target-fqdn-port", "mirror-target-fqdn");
        inside(reader)
    };
    if target.is_none() {
        reader.pointless(
            PERCENTAGE,
            "a usable mirror-target-service or mirror-target-fqdn",
        );
    } else if percent.is_err() {
        for key in TARGETS {
            let message = "mirror-percentage cannot be read, so nothing is copied";
            reader.say(key, Outcome::Approximated, message);
        }
    } else if percent == Ok(0) {
        for key in TARGETS {
            reader.say(
                key,
                Outcome::NoEffect,
                "mirror-percentage is 0: nothing is copied",
            );
        }
    }
    if let (Some(target), Ok(percent)) = (target, percent) {
        settings.rule.mirror = (percent > 0).then(|| {
            let share = (percent < 100).then_some(percent);
            Box::new(native::mirror_to(&target, share))
        });
    }
}

/// Whether a rule copies requests.
fn copies(rule: &Rule) -> bool {
    let mut filters = rule.filters.iter().flatten();
    filters.any(|filter| filter.request_mirror.is_some())
}

/// Where copies go.
const TARGETS: [&str; 3] = [
    "mirror-target-service",
    "mirror-target-fqdn",
    "mirror-target-fqdn-port",
];

const PERCENTAGE: &str = "mirror-percentage";

/// A bad share must not become all of it.
fn percent(reader: &mut Reader<'_>) -> Result<i32, ()> {
    const KEY: &str = PERCENTAGE;
    if !reader.has(KEY) {
        return Ok(100);
    }
    let whole = |text: &str| match value::number(text)? {
        percent @ 0.. => Ok(percent),
        other => Err(format!("{other} is below 0")),
    };
    let percent = reader.parse(KEY, whole).ok_or(())?;
    if percent > 100 {
        reader.close_to(KEY, Effect::Default, "lowered to 100");
    } else {
        let effect = match percent {
            100 => Effect::Default,
            0 => Effect::In(|written| !written.rules().any(copies)),
            _ => Effect::Rule(copies),
        };
        reader.exact(KEY, effect, "RequestMirror percent");
    }
    Ok(i32::try_from(percent).unwrap_or(100).min(100))
}

fn outside(reader: &mut Reader<'_>, settings: &mut Settings) -> Option<ServiceRef> {
    const PORT: &str = "mirror-target-fqdn-port";
    let asked = reader.parse(PORT, service::port);
    let port = match asked {
        Some(port) => {
            let effect = match port {
                80 => Effect::Default,
                _ => Effect::Rule(copies),
            };
            reader.exact(PORT, effect, "port of a Service of type ExternalName");
            port
        }
        None if reader.has(PORT) => return None,
        None => 80,
    };
    let (ingress, lookup) = (&reader.object.key.name, reader.lookup);
    let external = reader.parse("mirror-target-fqdn", |text| match registry::name(text) {
        Some(name) => {
            let service = registry::find(name, asked, lookup)?;
            Ok(External::registered(ingress, text, service))
        }
        None => {
            let host = value::precise_hostname(text)?;
            Ok(External::new(ingress, &host, port))
        }
    })?;
    let message = match external.is_registered() {
        true => "RequestMirror and a Service with the endpoints of the registry",
        false => "RequestMirror and a Service of type ExternalName",
    };
    reader.exact("mirror-target-fqdn", Effect::Rule(copies), message);
    let reference = external.reference();
    settings.externals.push(external);
    Some(reference)
}

fn inside(reader: &mut Reader<'_>) -> Option<ServiceRef> {
    const KEY: &str = "mirror-target-service";
    let (home, lookup) = (reader.namespace().to_owned(), reader.lookup);
    let target = reader.parse(KEY, |text| {
        ServiceName::parse(text)?.reference(&home, lookup)
    })?;
    match service::missing_grant(Kind::HttpRoute, &home, &target, lookup) {
        None => reader.exact(KEY, Effect::Rule(copies), "RequestMirror"),
        Some(missing) => reader.close_to(KEY, Effect::Rule(copies), missing),
    }
    Some(target)
}
