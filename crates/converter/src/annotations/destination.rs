//! `destination`.

use api::Kind;

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    note::Outcome,
    service::{self, External, ServiceName, ServiceRef},
    value,
};

/// See [`Family`].
pub(super) const DESTINATION: Family = Family {
    name: "destination",
    keys: &[Key {
        name: "destination",
        doc: "Hosts for paths whose backend is the resource McpBridge, one a line: [N%] host[:port]. Default port 80, of a Service of the cluster its first; default share 100.",
        becomes: "Weighted `backendRefs` to Services of type ExternalName, or to the Service that name.namespace.svc.cluster.local is. No effect: no path has such a backend. Approximated: another namespace has no ReferenceGrant. Refused: names of service registries, subsets, and what is no host; then such paths answer 500.",
    }],
    apply,
};

/// Gateway API's limit of backends.
const MOST: usize = 16;

/// What Higress' names of services from registries end with.
const REGISTRIES: &[&str] = &[
    "nacos",
    "nacos2",
    "nacos3",
    "zookeeper",
    "consul",
    "eureka",
    "static",
    "dns",
];

/// One of several backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) reference: ServiceRef,
    pub(crate) share: u64,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    const KEY: &str = "destination";
    if !reader.has(KEY) {
        return;
    }
    if !reader.has_bridge() {
        let message = "no path has the backend resource McpBridge, which it is for";
        reader.say(KEY, Outcome::NoEffect, message);
        return;
    }
    let (object, lookup) = (reader.object, reader.lookup);
    let home = &object.key.namespace;
    let parsed = reader.parse(KEY, |text| {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<Line> = lines.map(line).collect::<Result<_, _>>()?;
        if lines.is_empty() || lines.len() > MOST || lines.iter().all(|line| line.share == 0) {
            return Err(format!(
                "1 to {MOST} destinations are needed, one of them above 0%"
            ));
        }
        let place = |line: Line| match ServiceName::of_host(&line.host, line.port) {
            Some(name) => Ok((name.reference(home, lookup)?, line.share, None)),
            None => {
                let external = External::new(&object.key.name, &line.host, line.port.unwrap_or(80));
                Ok((external.reference(), line.share, Some(external)))
            }
        };
        lines
            .into_iter()
            .map(place)
            .collect::<Result<Vec<_>, String>>()
    });
    let Some(parsed) = parsed else {
        return;
    };
    let mut missing = Vec::new();
    for (reference, share, external) in parsed {
        missing.extend(service::missing_grant(
            Kind::HttpRoute,
            home,
            &reference,
            lookup,
        ));
        settings.externals.extend(external);
        settings.destinations.push(Destination { reference, share });
    }
    if missing.is_empty() {
        let effect = Effect::Rule(|rule| rule.backend_refs.iter().flatten().next().is_some());
        reader.exact(KEY, effect, "weighted backendRefs");
    } else {
        reader.say(KEY, Outcome::Approximated, missing.join("; "));
    }
}

struct Line {
    share: u64,
    host: String,
    port: Option<u16>,
}

/// `[N%] host[:port] [subset]`.
fn line(text: &str) -> Result<Line, String> {
    let mut words = text.split_whitespace().peekable();
    let share = match words.next_if(|word| word.ends_with('%')) {
        Some(word) => {
            let number = value::number(word.trim_end_matches('%'))?;
            u64::try_from(number)
                .ok()
                .filter(|share| *share <= 100)
                .ok_or_else(|| format!("{word:?} is not 0% to 100%"))?
        }
        None => 100,
    };
    let address = words
        .next()
        .ok_or_else(|| format!("{text:?} names no host"))?;
    if let Some(subset) = words.next() {
        return Err(format!(
            "subset {subset:?} of {address}: there are no subsets; name a Service that selects those endpoints"
        ));
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(service::port(port)?)),
        None => (address, None),
    };
    let registry = host.rsplit('.').next().unwrap_or_default();
    if REGISTRIES.contains(&registry) {
        return Err(format!(
            "{host:?} is a name in a service registry of a McpBridge, which is not read; name a host or a Service"
        ));
    }
    let host = value::precise_hostname(host)?;
    Ok(Line { share, host, port })
}
