//! `mirror-*`.

use api::Kind;

use super::{Family, Key, Reader, Settings};
use crate::{
    native,
    note::Outcome,
    service::{self, External, ServiceName, ServiceRef},
    value,
};

/// See [`Family`].
pub(super) const MIRROR: Family = Family {
    name: "mirror",
    keys: &[
        Key {
            name: "mirror-target-service",
            doc: "[namespace/]service[:port]: gets a copy of each request; its answers are not used. Default port: its first.",
            becomes: "RequestMirror filter. Approximated: another namespace has no ReferenceGrant for HTTPRoutes of this one; then nothing is copied. Approximated: mirror-target-fqdn is set and wins. Refused: no such Service.",
        },
        Key {
            name: "mirror-percentage",
            doc: "Share of requests that are copied, 0 to 100. Default 100.",
            becomes: "RequestMirror `percent`. Approximated: more than 100 is 100. Refused: not a whole number; then nothing is copied.",
        },
        Key {
            name: "mirror-target-fqdn",
            doc: "Name of a host that gets a copy of each request; it wins over mirror-target-service.",
            becomes: "RequestMirror filter and a Service of type ExternalName. Refused: no name of a host; then nothing is copied.",
        },
        Key {
            name: "mirror-target-fqdn-port",
            doc: "Port of that host. Default 80.",
            becomes: "Port of that Service. Refused: no port; then nothing is copied.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let percent = percent(reader);
    let target = if reader.has("mirror-target-fqdn") {
        let message = "mirror-target-fqdn is set and wins";
        reader.say("mirror-target-service", Outcome::Approximated, message);
        outside(reader, settings)
    } else {
        let message = "has no meaning without mirror-target-fqdn";
        reader.say("mirror-target-fqdn-port", Outcome::Approximated, message);
        inside(reader)
    };
    if let (Some(target), Ok(percent)) = (target, percent) {
        settings.rule.mirror = (percent > 0).then(|| {
            let share = (percent < 100).then_some(percent);
            Box::new(native::mirror_to(&target, share))
        });
    }
}

/// A bad share must not become all of it.
fn percent(reader: &mut Reader<'_>) -> Result<i32, ()> {
    const KEY: &str = "mirror-percentage";
    if !reader.has(KEY) {
        return Ok(100);
    }
    let whole = |text: &str| match value::number(text)? {
        percent @ 0.. => Ok(percent),
        other => Err(format!("{other} is below 0")),
    };
    let percent = reader.parse(KEY, whole).ok_or(())?;
    if percent > 100 {
        reader.say(KEY, Outcome::Approximated, "lowered to 100");
    } else {
        reader.exact(KEY, "RequestMirror percent");
    }
    Ok(i32::try_from(percent).unwrap_or(100).min(100))
}

fn outside(reader: &mut Reader<'_>, settings: &mut Settings) -> Option<ServiceRef> {
    const PORT: &str = "mirror-target-fqdn-port";
    let port = match reader.parse(PORT, service::port) {
        Some(port) => {
            reader.exact(PORT, "port of a Service of type ExternalName");
            port
        }
        None if reader.has(PORT) => return None,
        None => 80,
    };
    let host = reader.parse("mirror-target-fqdn", value::precise_hostname)?;
    let message = "RequestMirror and a Service of type ExternalName";
    reader.exact("mirror-target-fqdn", message);
    let external = External::new(&reader.object.key.name, &host, port);
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
        None => reader.exact(KEY, "RequestMirror"),
        Some(missing) => reader.say(KEY, Outcome::Approximated, missing),
    }
    Some(target)
}
